"""Hidden grids that follow the activations and keep the curves.

A grid that moves makes its curves approximate anew, and second derivatives feel that most. So a grid that has become
too short is made longer by further intervals beside the old ones: inside the old range nothing changes at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from superpose.nn.layer import KANLayer
from superpose.nn.model import KAN
from superpose.spline import fitting, grid, reference


@dataclass(frozen=True)
class _Margins:
    """When a hidden grid moves, and how far; shares of its range unless another unit is named.

    Beyond its grid a spline is a straight line. Where a sample crosses the boundary, the second derivative of the edge
    jumps, and no step of the optimiser gets past a jump. So grids grow before activations reach their boundary.

    Attributes:
        near: activations nearer to the boundary than this make the grid longer.
        beyond: the grid then reaches this far beyond the activations.
        filled: activations that fill less of the grid than this get a new, shorter grid.
        max_growth: a grid that would need more intervals than this share of those that it has is laid anew, and its
            curves are fitted again.

    docs/lab/pde.md reports what growing instead of fitting again brought; the numbers themselves are round, and no
    measurement of them is recorded.
    """

    near: float = 0.02
    beyond: float = 0.1
    filled: float = 0.5
    max_growth: float = 0.5


_MARGINS = _Margins()


@torch.no_grad()
def adapt(model: KAN, x: Tensor) -> bool:
    """Move hidden grids that activations on samples ``x [B, n_in]`` leave or hardly fill; whether any grid moved."""
    moved = False
    h = model.scale_inputs(x)
    for n, layer in enumerate(model.kan_layers()):
        outputs = layer(h)
        if n and bool(torch.isfinite(h).all()):
            moved = _follow(layer, h) or moved
        h = outputs
    return moved


def _follow(layer: KANLayer, h: Tensor) -> bool:
    points = grid.breakpoints(layer.knots, layer.degree)
    low, high, least, most = points[:, 0], points[:, -1], h.amin(0), h.amax(0)
    size = high - low
    left, right = least < low + _MARGINS.near * size, most > high - _MARGINS.near * size
    empty = most - least < _MARGINS.filled * size
    if not bool((left | right | empty).any()):
        return False
    # How many intervals are missing on either side.
    before = torch.where(left, (low - least + _MARGINS.beyond * size) / points.diff(dim=1)[:, 0], 0.0).ceil().long()
    after = torch.where(right, (most - high + _MARGINS.beyond * size) / points.diff(dim=1)[:, -1], 0.0).ceil().long()
    longer = int((before + after).max())
    if bool(empty.any()) or longer > max(2, _MARGINS.max_growth * layer.grid_size) or not _continued_evenly(layer):
        fresh = grid.adapted_breakpoints(h, layer.grid_size, blend=0.0, margin=_MARGINS.beyond)
        fresh = torch.where((left | right | empty)[:, None], fresh, points)
        layer.set_knots(grid.extended_knots(fresh, layer.degree))
        return True
    knots, curves = [], []
    for i in range(layer.in_features):
        one = _longer(layer.knots[i : i + 1], layer.spline_coefficients[i], layer.degree, int(before[i]), int(after[i]))
        split = grid.split_breakpoints(grid.breakpoints(one[0], layer.degree), layer.grid_size + longer)
        knots.append(grid.extended_knots(split, layer.degree))
        curves.append(grid.insertion_matrix(one[0], knots[-1], layer.degree)[0] @ one[1])
    rest = layer.coefficients[:, layer.spline_coefficients.shape[1] :]
    wanted = layer.coefficients.requires_grad
    layer.knots = torch.cat(knots)
    layer.coefficients = torch.nn.Parameter(torch.cat([torch.stack(curves), rest], 1), requires_grad=wanted)
    return True


def _continued_evenly(layer: KANLayer) -> bool:
    """Whether the knots beyond the range go on in steps of the end intervals, as longer grids need them."""
    points = grid.breakpoints(layer.knots, layer.degree)
    size = points[:, -1:] - points[:, :1]
    return bool(((grid.extended_knots(points, layer.degree) - layer.knots).abs() < 1e-12 * size).all())


def _longer(knots: Tensor, curves: Tensor, degree: int, before: int, after: int) -> tuple[Tensor, Tensor]:
    """Knots ``[1, K]`` and curves ``[R, O]`` with further intervals, on which they go on nearly straight."""
    points = grid.breakpoints(knots, degree)
    first, last = points[0, 1] - points[0, 0], points[0, -1] - points[0, -2]
    steps = torch.arange(1, max(before, after) + 1, dtype=points.dtype, device=points.device)
    head, tail = points[0, 0] - first * steps[:before].flip(0), points[0, -1] + last * steps[:after]
    new = grid.extended_knots(torch.cat([head, points[0], tail])[None], degree)
    # The old rows stand between the new ones, unchanged.
    longer = torch.nn.functional.pad(curves, (0, 0, before, after))
    rows = torch.cat([torch.arange(before), torch.arange(before + len(curves), len(longer))]).to(points.device)
    if len(rows):
        places = fitting.sites(grid.breakpoints(new, degree), degree).T
        places = places[(places < points[0, 0]).flatten() | (places > points[0, -1]).flatten()]
        wanted = reference.dense_basis(knots, degree, "none", places)[:, 0] @ curves
        basis = reference.dense_basis(new, degree, "none", places)[:, 0]
        longer[rows] = torch.linalg.lstsq(basis[:, rows], wanted - basis @ longer).solution
    return new, longer
