"""A stretch of an edge's curve, moved to another course by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from superpose.edit.edge_curves import check_edge
from superpose.errors import OptionError
from superpose.nn.model import KAN, Edge
from superpose.spline import fitting, grid, reference

# Sites in each interval, of which a cubic needs four. A round number.
_SITES = 12
# Weight of sites outside the stretch: they keep the curve from swinging out there, and do not decide. A round number.
_OUTSIDE = 0.01
# Of the normal matrix, for coefficients that few sites see. A round number; errors of the curve are of its size.
_RIDGE = 1e-9


@torch.no_grad()
def drag(
    model: KAN,
    edge: Sequence[int],
    x: Sequence[float],
    y: Sequence[float],
    *,
    units: Literal["scaled", "table"] = "table",
) -> KAN:
    """A new model in which a stretch of an edge's curve follows points that are given.

    Between the points the course is straight. The spline comes as near to it as its knots allow: only coefficients
    that belong to places in the stretch move, so that the curve stays as it is a few intervals further on.
    Editing of curves by hand as in Z. Wang et al., *GAM Changer*, 2021.

    Args:
        model: it is not changed.
        edge: ``(layer, input, output)``, a spline.
        x: places of the points, two or more, in any order; all different.
        y: values of the curve there, as many.
        units: ``"table"`` (default), those of :func:`superpose.plot.edge`: of a column if the edge starts at one, of
            the target if the edge ends at one; or ``"scaled"``, the layer's own.

    Raises:
        OptionError: if the edge is not there or is symbolic, or the points do not lie in its grid.

    >>> model = KAN([1, 1], grid_size=8, seed=0)
    >>> dragged = drag(model, (0, 0, 0), [-0.4, 0.0, 0.4], [0.5, 0.5, 0.5])
    >>> places = torch.tensor([[0.0], [0.9]], dtype=torch.float64)
    >>> after, before = dragged.values(places)[:, 0], model.values(places)[:, 0]
    >>> round(float(after[0]), 1), float(after[1] - before[1])
    (0.5, 0.0)
    """
    n, i, o = where = check_edge(model, edge)
    if (i, o) in model.layer(n).symbolic_table():
        raise OptionError(f"edge {where} is symbolic, and only splines can be dragged; release it first")
    moved = model.copy()
    layer = moved.layer(n)
    xs, ys = _course(model, where, x, y, units)
    knots = layer.knots[i : i + 1].double()
    points = grid.breakpoints(knots, layer.degree)[0]
    if not (points[0] - 1e-9 <= xs[0] and xs[-1] <= points[-1] + 1e-9):
        raise OptionError(
            f"the points lie beyond the grid of edge {where}, which ends where its inputs do; drag within the curve"
        )
    sites = fitting.sites(points[None], layer.degree, _SITES)[0]
    inside = (sites >= xs[0]) & (sites <= xs[-1])
    present = layer.edge_function(i, o, sites.to(layer.knots)).double()
    # A point counts as much as an interval, so that the curve follows the hand.
    places = torch.cat([sites, xs])
    values = layer.edge_function(i, o, places.to(layer.knots)).double()
    wanted = torch.cat([torch.where(inside, _between(xs, ys, sites), present), ys])
    weights = torch.cat([torch.where(inside, 1.0, _OUTSIDE), torch.full_like(xs, _SITES)])
    moving = _moving(knots[0], layer.degree, xs)
    columns = reference.dense_basis(knots, layer.degree, "none", places[:, None])[:, 0][:, moving]
    matrix = columns.T @ (weights[:, None] * columns)
    matrix += _RIDGE * matrix.diagonal().mean() * torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
    change = torch.linalg.solve(matrix, columns.T @ (weights * (wanted - values)))
    layer.spline_coefficients[i, moving, o] += change.to(layer.coefficients)
    return moved


def _moving(knots: Tensor, degree: int, xs: Tensor) -> Tensor:
    """Which coefficients move: those that belong to places in the stretch, or the nearest one.

    The place of a coefficient is the mean of its inner knots (the Greville abscissa).
    """
    places = knots[1:-1].unfold(-1, degree, 1).mean(-1) if degree else (knots[1:] + knots[:-1]) / 2
    inside = (places >= xs[0]) & (places <= xs[-1])
    if not bool(inside.any()):
        inside[(places - (xs[0] + xs[-1]) / 2).abs().argmin()] = True
    return inside


def _course(model: KAN, edge: Edge, x: Sequence[float], y: Sequence[float], units: str) -> tuple[Tensor, Tensor]:
    """The points in the layer's scaled units, in ascending order, checked."""
    if units not in ("scaled", "table"):
        raise OptionError(f"units must be 'scaled' or 'table', not {units!r}")
    try:
        xs, ys = ([float(value) for value in values] for values in (x, y))
    except (TypeError, ValueError):
        raise OptionError("x and y of a dragged curve are lists of numbers") from None
    if len(xs) != len(ys) or len(xs) < 2 or len(set(xs)) < len(xs):
        raise OptionError(
            f"a dragged curve needs two or more points at different places, a y for each x; there are {len(xs)} x, "
            f"{len(set(xs))} of them different, and {len(ys)} y"
        )
    if not all(math.isfinite(value) for value in (*xs, *ys)):
        raise OptionError("x and y of a dragged curve are finite numbers")
    n, _, o = edge
    layer = model.layer(n)
    points = torch.tensor([xs, ys], dtype=torch.float64, device=layer.knots.device)
    across, up = points[0], points[1]
    if units == "table":
        if n == 0:
            across = (across - model.input_center[edge[1]].double()) / model.input_scale[edge[1]].double()
        if n == len(model.layers) - 1:
            up = up / model.output_scale[layer.owners[o]].double()
    order = across.argsort()
    return across[order], up[order]


def _between(xs: Tensor, ys: Tensor, places: Tensor) -> Tensor:
    """The straight course through points, at places; constant beyond them."""
    right = torch.searchsorted(xs, places.contiguous()).clamp(1, len(xs) - 1)
    left = right - 1
    share = ((places - xs[left]) / (xs[right] - xs[left])).clamp(0, 1)
    return ys[left] + share * (ys[right] - ys[left])
