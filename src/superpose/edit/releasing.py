"""Symbolic edges become splines again."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from superpose.data import Dataset
from superpose.edit.edge_curves import check_edge, edge_samples
from superpose.errors import OptionError
from superpose.nn.model import KAN
from superpose.spline import fitting, grid

# Breakpoints of a new grid: three parts evenly spaced, one part quantiles, over the range widened by 2% on both sides.
# Round numbers; nothing was measured.
_QUANTILE_SHARE, _MARGIN = 0.25, 0.02


@torch.no_grad()
def release(model: KAN, data: Dataset | Tensor, edge: Sequence[int]) -> KAN:
    """A new model in which a symbolic edge is a spline again, close to the same curve over the range of its inputs.

    Args:
        model: it is not changed.
        data: rows that give that range: a data set (its training rows), or samples ``[S, n_in]`` in the user's units.
        edge: ``(layer, input, output)``.

    Raises:
        OptionError: if the edge is not there or is not symbolic.

    >>> x = torch.linspace(-1, 1, 60, dtype=torch.float64)[:, None]
    >>> model = KAN([1, 1], seed=0)
    >>> model.layer(0).set_symbolic({(0, 0): ("x^2", (1.0, 0.0, 1.0, 0.0))})
    >>> free = release(model, x, (0, 0, 0))
    >>> free.layer(0).symbolic_table(), torch.allclose(free(x), model(x))
    ({}, True)
    """
    n, i, o = check_edge(model, edge)
    freed = model.copy()
    layer = freed.layer(n)
    table = layer.symbolic_table()
    if (i, o) not in table:
        raise OptionError(f"edge {(n, i, o)} is a spline already; only symbolic edges can be released")
    x, _ = edge_samples(model, data, (n, i, o))
    # All edges of an input share its grid, so the grid may move only if no other edge is a spline on it.
    if not bool(layer.spline_mask()[i].any()):
        points = grid.adapted_breakpoints(x[:, None], layer.grid_size, blend=_QUANTILE_SHARE, margin=_MARGIN)
        knots = layer.knots.clone()
        knots[i] = grid.extended_knots(points, layer.degree)[0]
        layer.knots = knots
    # The sites of the spline are samples too, so that every coefficient is determined.
    sites = fitting.sites(grid.breakpoints(layer.knots[i : i + 1], layer.degree), layer.degree).T
    inside = sites[(sites[:, 0] >= x.min()) & (sites[:, 0] <= x.max())]
    x = torch.cat([x[:, None], inside])
    y = layer.edge_function(i, o, x[:, 0])
    coefficients = fitting.fit_curves(layer.knots[i : i + 1], layer.degree, x, y[:, None, None])
    del table[i, o]
    layer.set_symbolic(table)
    layer.spline_coefficients[i, :, o] = coefficients[0, :, 0]
    if layer.base_weight is not None:
        layer.base_weight[i, o] = 0.0
    return freed
