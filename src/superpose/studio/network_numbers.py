"""A network as numbers that JSON can hold: where its nodes and edges stand in the diagram, and each edge's curve."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import torch

from superpose.data import Dataset
from superpose.data.sampling import evenly
from superpose.edit import attribution_scores
from superpose.errors import DataError
from superpose.files.json_numbers import json_ready
from superpose.nn.model import KAN, Edge
from superpose.plot.diagram_numbers import DrawnEdge, drawn_edges, edge_strengths, levels_of, strongest
from superpose.plot.edge_closeup import node_names
from superpose.plot.network_layout import Layout, arrange
from superpose.plot.samples import magnitudes, traced


@dataclass(frozen=True)
class NetworkRules:
    """Sizes of what is sent; round numbers.

    Attributes:
        rows: of the table, on which ranges and scores are taken.
        live_rows: the same while a network trains, several times a second.
        points: of each curve in the diagram.
        beta: strength of a colour is tanh(beta * score), as in :func:`superpose.plot.network`.
        decimals: of the curves in the diagram, a pixel of which is a hundredth.
        digits: significant digits of all other numbers; those of a column far from zero need more than five.
        letter: width of a letter of a name, in inches.
        most_letters: of a name that is written horizontally.
    """

    rows: int = 2000
    live_rows: int = 256
    points: int = 49
    beta: float = 3.0
    decimals: int = 3
    digits: int = 9
    letter: float = 0.085
    most_letters: int = 18


RULES = NetworkRules()


def network_numbers(model: KAN, data: Dataset, *, live: bool = False) -> dict[str, Any]:
    """The diagram of a network and its edges; lengths in inches, y upwards, as in :func:`superpose.plot.network`.

    Args:
        model: the network.
        data: its table.
        live: whether it is in training: from fewer rows, with the sizes of edges in place of their scores.
    """
    rows = data.features(data.train[evenly(len(data.train), RULES.live_rows if live else RULES.rows)])
    trace = traced(model, rows)
    scores = magnitude = magnitudes(trace)
    # A network that is not finite everywhere has no scores, and is shown all the same.
    with contextlib.suppress(DataError):
        scores = magnitude if live else attribution_scores(model, rows).edges
    strengths = edge_strengths(model, magnitude, RULES.beta)
    edges, hidden_edges = strongest(model, strengths)
    levels, hidden_inputs = levels_of(model, edges)
    drawn = drawn_edges(model, trace, edges, strengths, RULES.points)
    longest = max((len(name) for name in (*model.feature_names, *model.target_names)), default=1)
    width = len(max(levels, key=len)) * min(longest, RULES.most_letters) * RULES.letter
    layout = arrange(
        levels,
        edges,
        tagged={edge for edge in edges if drawn[edge].symbol},
        owners=[layer.owners for layer in model.kan_layers()],
        min_width=max(2.4, min(width, 9.0)),
    )
    found = {
        "shape": model.shape,
        "widths": model.widths,
        "features": list(model.feature_names),
        "targets": list(model.target_names),
        "parameters": model.parameter_count(),
        "layers": [_layer(model, n) for n in range(len(model.layers))],
        "layout": {"width": layout.width, "height": layout.height, "box": layout.box, "tag": layout.tag},
        "nodes": _nodes(model, layout),
        "factors": [{"level": level, "sum": o, "x": x, "y": y} for (level, o), (x, y) in layout.factors.items()],
        "edges": [_edge(model, layout, edge, drawn[edge], scores) for edge in edges],
        "hidden_edges": hidden_edges,
        "hidden_inputs": hidden_inputs,
    }
    return rounded(found)


def _layer(model: KAN, n: int) -> dict[str, Any]:
    layer = model.layer(n)
    return {"grid_size": layer.grid_size, "degree": layer.degree, "base": layer.base}


def _nodes(model: KAN, layout: Layout) -> list[dict[str, Any]]:
    last, made = len(model.layers), []
    for (level, index), (x, y) in layout.nodes.items():
        kind = "input" if level == 0 else "output" if level == last else "hidden"
        product = level > 0 and len(model.layer(level - 1).sums_of(index)) > 1
        name = ""
        if kind != "hidden":
            name = (model.feature_names if kind == "input" else model.target_names)[index]
        made.append({"node": [level, index], "kind": kind, "product": product, "name": name, "x": x, "y": y})
    return made


def _edge(model: KAN, layout: Layout, edge: Edge, drawn: DrawnEdge, scores: tuple[torch.Tensor, ...]) -> dict[str, Any]:
    n, i, o = edge
    layer = model.layer(n)
    start, end = node_names(model, edge)
    return {
        "edge": list(edge),
        "from": [n, i],
        "to": [n + 1, layer.owners[o]],
        "start": start,
        "end": end,
        "status": "symbolic" if drawn.symbol else "spline",
        "function": drawn.symbol,
        "frozen": layer.frozen_table().get((i, o), ""),
        "strength": drawn.strength,
        "score": float(scores[n][i, o]),
        "box": list(layout.boxes[edge]),
        "lines": [[list(corner) for corner in part] for part in layout.lines[edge]],
        # From -1 to 1, at even steps from one side of the box to the other; null at poles.
        "shown": [round(y, RULES.decimals) if y == y else None for y in drawn.y.tolist()],
        "range": [drawn.inputs[0], drawn.inputs[-1]],
        "values": [float(drawn.outputs.min()), float(drawn.outputs.max())],
    }


def rounded(found: dict[str, Any]) -> dict[str, Any]:
    """The values as JSON can hold them, numbers of nine significant digits."""
    return {name: _rounded(json_ready(value)) for name, value in found.items()}


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{RULES.digits}g}")
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    return value
