"""What a network diagram shows, as numbers: its edges with their curves, its levels of nodes. Nothing is drawn here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from superpose.errors import OptionError
from superpose.nn import KAN
from superpose.nn.model import Edge
from superpose.nn.trace import Trace
from superpose.plot.edge_numbers import units
from superpose.plot.samples import input_ranges

# Boxes in one layer: 300 fill ten rows of the smallest boxes. Of more edges the strongest are drawn, with a remark.
MAX_EDGES = 300
# Inputs without edges: more of them are left out, with a remark. A round number.
_MAX_IDLE_INPUTS = 40
# Enough for a smooth curve in a box of at most 0.95 inches at 160 dots per inch.
CURVE_POINTS = 101


@dataclass(frozen=True)
class DrawnEdge:
    """One edge of the diagram.

    Attributes:
        x, y: the curve, scaled to -1 ... 1 both ways.
        inputs, outputs: the curve in the units of :func:`superpose.plot.edge`.
        strength: of the colour, from 0 to 1.
        symbol: the name of a symbolic function; None for a spline.
    """

    x: np.ndarray
    y: np.ndarray
    inputs: np.ndarray
    outputs: np.ndarray
    strength: float
    symbol: str | None


def edge_strengths(model: KAN, scores: Sequence[Tensor], beta: float) -> list[np.ndarray]:
    """The strength of each edge's colour, ``[I, O]`` for each layer: tanh(beta * score), 0 where that is not finite.

    Raises:
        OptionError: if the scores do not belong to the model.
    """
    shapes = [tuple(layer.mask.shape) for layer in model.kan_layers()]
    listed = isinstance(scores, Sequence) and all(isinstance(score, Tensor) for score in scores)
    given = [tuple(score.shape) for score in scores] if listed else type(scores).__name__
    if given != shapes:
        raise OptionError(
            f"scores need one tensor for each layer, of shapes {shapes}, and are {given}; "
            "superpose.edit.attribution_scores(model, x).edges are such"
        )
    return [np.nan_to_num(torch.tanh(beta * score.detach().cpu()).numpy()) for score in scores]


def strongest(model: KAN, strengths: Sequence[np.ndarray]) -> tuple[list[Edge], int]:
    """The edges to draw, and the number of edges that are left out."""
    active, kept = model.active_edges(), []
    for n in range(len(strengths)):
        layer = [edge for edge in active if edge[0] == n]
        if len(layer) > MAX_EDGES:
            layer.sort(key=lambda edge: -strengths[edge[0]][edge[1:]])
        kept += layer[:MAX_EDGES]
    return sorted(kept), len(active) - len(kept)


def levels_of(model: KAN, edges: Sequence[Edge]) -> tuple[list[list[int]], int]:
    """The nodes to draw on each level, and the number of inputs that are left out."""
    widths = model.widths
    used: list[set[int]] = [set() for _ in widths]
    for n, i, o in edges:
        used[n].add(i)
        used[n + 1].add(model.layer(n).owners[o])
    idle = widths[0] - len(used[0])
    if idle <= _MAX_IDLE_INPUTS:
        used[0], idle = set(range(widths[0])), 0
    used[-1] = set(range(widths[-1]))
    return [sorted(level) or [0] for level in used], idle


@torch.no_grad()
def drawn_edges(
    model: KAN, trace: Trace, edges: Sequence[Edge], strengths: Sequence[np.ndarray], points: int = CURVE_POINTS
) -> dict[Edge, DrawnEdge]:
    """Each edge's curve at so many points, scaled to -1 ... 1 both ways."""
    drawn = {}
    places = np.linspace(-1, 1, points)
    for n, layer in enumerate(model.kan_layers()):
        low, high = input_ranges(trace.layers[n].inputs)
        share = torch.linspace(0, 1, points, dtype=low.dtype)[:, None]
        inputs = low + share * (high - low)
        outputs = layer.edges(inputs.to(layer.knots)).cpu()
        values = outputs.numpy()
        node = trace.layers[n].sums.std(0, correction=0).numpy()
        names = {} if layer.symbolic is None else layer.symbolic.names
        for _, i, o in (edge for edge in edges if edge[0] == n):
            curve = _scaled(values[:, i, o], node[o])
            into, out = units(model, (n, i, o))
            raw = into(inputs[:, i]), out(outputs[:, i, o])
            drawn[n, i, o] = DrawnEdge(places, curve, *raw, float(strengths[n][i, o]), names.get((i, o)))
    return drawn


def _scaled(values: np.ndarray, node: float) -> np.ndarray:
    """A curve between -1 and 1, with NaN near poles; a constant function becomes zero.

    Poles are values outside the range of the central 94%, widened by 40% on both sides. A design choice.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return np.full_like(values, np.nan)
    low, high = np.quantile(finite, [0.03, 0.97])
    around = 0.4 * (high - low)
    low, high = max(low - around, finite.min()), min(high + around, finite.max())
    if high - low <= 1e-9 * (np.abs(finite).max() + node):
        return np.where(np.isfinite(values), 0.0, np.nan)
    scaled = (2 * values - low - high) / (high - low)
    return np.where(np.abs(scaled) <= 1 + 1e-9, scaled, np.nan)
