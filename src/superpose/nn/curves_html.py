"""A network as a notebook shows it: for each layer a table of small curves, inputs down, outputs across."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from superpose.messages import counted
from superpose.notebook_html import html_curve, html_paragraph, html_table
from superpose.spline import grid

if TYPE_CHECKING:
    from superpose.nn.layer import KANLayer

# A larger layer is said in a line: its curves would be too many to look at. And points of a curve. Round numbers.
_MOST, _POINTS = 12, 33


def layers_html(layers: Sequence[KANLayer], features: Sequence[str], targets: Sequence[str]) -> str:
    """The tables of the layers of a network between these columns; each curve is drawn over its grid, scaled."""
    edges = sum(int(layer.mask.sum()) for layer in layers)
    symbolic = sum(len(layer.symbolic_table()) for layer in layers)
    parts = [html_paragraph(f"{counted(edges, 'edge')}, {symbolic} of them symbolic.")]
    names = list(features)
    for n, layer in enumerate(layers):
        last = n == len(layers) - 1
        ends = [targets[node] if last else f"node {node + 1}" for node in layer.owners]
        parts.append(_layer(layer, n, names, ends))
        names = [f"node {node + 1}" for node in range(layer.out_features)]
    return "".join(parts)


@torch.no_grad()
def _layer(layer: KANLayer, n: int, names: list[str], ends: list[str]) -> str:
    title = f"layer {n}: spline of degree {layer.degree} on {counted(layer.grid_size, 'interval')}"
    if layer.in_features > _MOST or layer.sum_count > _MOST:
        edges = counted(int(layer.mask.sum()), "edge")
        return html_paragraph(f"{title}; {edges} from {layer.in_features} to {layer.sum_count}, not drawn")
    points = grid.breakpoints(layer.knots, layer.degree)
    share = torch.linspace(0, 1, _POINTS, dtype=points.dtype, device=points.device)[:, None]
    places = points[:, 0] + share * (points[:, -1] - points[:, 0])
    values = layer.edges(places.to(layer.dtype)).double().cpu()
    table = layer.symbolic_table()
    rows = []
    for i, name in enumerate(names):
        cells: list[object] = [name]
        for o, end in enumerate(ends):
            function = table[i, o][0] if (i, o) in table else None
            label = f"{name} to {end}: {function or 'spline'}"
            drawn = html_curve(values[:, i, o].tolist(), label, symbolic=function is not None)
            cells.append(drawn if bool(layer.mask[i, o]) else "")
        rows.append(cells)
    return html_table(("", *ends), rows, title)
