"""Merging: hidden nodes of a layer with the same function become one node."""

from __future__ import annotations

import torch
from torch import Tensor

from superpose.data import Dataset
from superpose.edit.attribution import attribution_scores
from superpose.errors import OptionError
from superpose.nn.layer import KANLayer
from superpose.nn.model import KAN
from superpose.nn.rows import samples
from superpose.nn.surgery import slice_model
from superpose.spline import fitting, grid, reference

# Weight of the sites of a spline relative to the samples, in the fit of a merged edge: small enough that the samples
# decide where there are any, large enough that all coefficients are determined. A round number.
_SITE_WEIGHT = 1e-4


def merge(model: KAN, data: Tensor | Dataset, *, tolerance: float = 1e-6) -> KAN:
    """A new model in which hidden nodes with the same function are one node.

    Two nodes of a layer have the same function if one is a multiple of the other plus a constant. The outgoing edges of
    the second are then rewritten as edges of the first and added to its own: splines by least squares, on the
    breakpoints of both where one grid is too coarse; a symbolic edge only if the sum is symbolic again. Two nodes are
    not merged if an output would change by more than ``tolerance``.

    Args:
        model: any model; it is not changed.
        data: samples ``[B, n_in]`` in the user's units, or a data set (its training rows).
        tolerance: the share of a node's variance that its twin need not explain, and the share of an output's variance
            by which merging may change it.

    Raises:
        OptionError: if ``tolerance`` is negative.
        DataError: if there are fewer than two samples, or the model is not finite on them.

    >>> x = 2 * torch.rand(100, 2, generator=torch.Generator().manual_seed(0)) - 1
    >>> model = KAN([2, 2, 1], base="none", seed=0)
    >>> layer = model.layer(0)
    >>> layer.coefficients.data[..., 1] = 3 * layer.coefficients.data[..., 0]
    >>> merge(model, x).widths
    [2, 1, 1]
    """
    if not tolerance >= 0:
        raise OptionError(f"tolerance must be a number of at least 0, not {tolerance!r}")
    x = samples(model, data)
    attribution_scores(model, x)  # refuses a model that is not finite on the samples
    target = model(x).detach()
    model = model.copy()
    layer = 1
    while layer < len(model.layers):
        merged = _merge_in_layer(model, x, target, layer, tolerance)
        if merged is None:
            layer += 1
        else:
            model = merged
    return model


@torch.no_grad()
def _merge_in_layer(model: KAN, x: Tensor, target: Tensor, n: int, tolerance: float) -> KAN | None:
    """The model with one pair of twins of node layer ``n`` merged, or None if it has none."""
    h = model.scale_inputs(x)
    for layer in model.kan_layers()[:n]:
        h = layer(h)
    deviation = h - h.mean(0)
    products = deviation.T @ deviation
    variance = products.diagonal()
    before = model.layer(n - 1)
    incoming = [int(before.mask[:, before.sums_of(node)].sum()) for node in range(before.out_features)]
    following = model.layer(n)
    domain = grid.breakpoints(following.knots, following.degree)
    resolution = (variance.sqrt() / (domain[:, -1] - domain[:, 0])).tolist()
    # The node with the fewest incoming edges is kept; of equals, the node whose values fill most of its grid, on which
    # the other's edges are approximated best.
    order = sorted(range(len(incoming)), key=lambda node: (incoming[node], -resolution[node]))
    for place, kept in enumerate(order):
        for gone in order[place + 1 :]:
            both = variance[kept] * variance[gone]
            shared = products[kept, gone].square()
            if not (both > 0 and both - shared <= tolerance * both):
                continue
            factor = float(products[kept, gone] / variance[kept])
            shift = float(h[:, gone].mean() - factor * h[:, kept].mean())
            for finer in (False, True):
                made = _merged(model, h, n, (kept, gone), (factor, shift), finer=finer)
                if made is None:
                    break
                if _largest_change(made(x), target) <= tolerance:
                    return made
    return None


def _merged(
    model: KAN,
    h: Tensor,
    n: int,
    pair: tuple[int, int],
    affine: tuple[float, float],
    *,
    finer: bool,
) -> KAN | None:
    """``model`` with the second of two twins computed from the first; None if a symbolic edge would be lost."""
    kept, gone = pair
    made = model.copy()
    layer = made.layer(n)
    if finer:
        layer.set_knots(grid.extended_knots(_joined_breakpoints(layer, pair, affine), layer.degree))
    table = layer.symbolic_table()
    curves = []
    for o in torch.nonzero(layer.mask[gone])[:, 0].tolist():
        if (gone, o) not in table and (kept, o) not in table:
            curves.append(o)
            continue
        joined = _joined_symbol(layer, kept, gone, o, affine)
        if joined is None:
            return None
        table[kept, o] = joined
    _add_curves(layer, h[:, kept], pair, curves, affine)
    layer.mask[kept] |= layer.mask[gone]
    layer.set_symbolic(table)
    nodes = [list(range(width)) for width in made.widths[1:-1]]
    nodes[n - 1].remove(gone)
    return slice_model(made, nodes)


def _joined_breakpoints(layer: KANLayer, pair: tuple[int, int], affine: tuple[float, float]) -> Tensor:
    """Breakpoints of the first twin and of the second, so that the edges of both are splines on one grid.

    The grids of the other inputs are split into as many intervals, which keeps their curves.
    """
    points = grid.breakpoints(layer.knots, layer.degree)
    own, other = points[pair[0]], (points[pair[1]] - affine[1]) / affine[0]
    # A breakpoint very close to another would add only rounding errors.
    apart = (other[:, None] - own).abs().amin(1) > 1e-3 * own.diff().mean()
    inside = (other > own[0]) & (other < own[-1])
    joined = torch.cat([own, other[apart & inside]]).sort().values
    split = grid.split_breakpoints(points, len(joined) - 1)
    split[pair[0]] = joined
    return split


def _joined_symbol(
    layer: KANLayer, kept: int, gone: int, o: int, affine: tuple[float, float]
) -> tuple[str, tuple[float, float, float, float]] | None:
    """One symbolic edge for two, where the second's input is ``factor * input + shift``."""
    table, frozen = layer.symbolic_table(), layer.frozen_table()
    if (gone, o) not in table or (gone, o) in frozen or (kept, o) in frozen:
        return None
    factor, shift = affine
    name, (a, b, c, d) = table[gone, o]
    a, b = a * factor, b + a * shift
    if not bool(layer.mask[kept, o]):
        return name, (a, b, c, d)
    other, (p, q, r, t) = table.get((kept, o), ("", (0.0,) * 4))
    near = abs(p - a) + abs(q - b) <= 1e-6 * max(1.0, abs(p) + abs(q))
    if name != other or not near:
        return None
    return name, (p, q, r + c, t + d)


def _add_curves(
    layer: KANLayer,
    x: Tensor,
    pair: tuple[int, int],
    outputs: list[int],
    affine: tuple[float, float],
) -> None:
    """Add to the edges ``kept -> o`` the least-squares approximation of ``gone -> o``."""
    kept, gone = pair
    if not outputs:
        return
    knots = layer.knots[kept : kept + 1]
    free = fitting.sites(grid.breakpoints(knots, layer.degree), layer.degree)[0]
    places = torch.cat([free, x])
    moved = affine[0] * places + affine[1]
    curves = torch.stack([layer.edge_function(gone, o, moved) for o in outputs], -1)
    basis = reference.dense_basis(knots, layer.degree, layer.base, places[:, None])[:, 0]
    # Away from the samples the old edge is approximated with a small weight.
    weight = torch.ones_like(places)
    weight[: len(free)] = _SITE_WEIGHT
    weighted = [(side * weight[:, None]).cpu() for side in (basis, curves)]
    # The base function may be a spline, or nearly one: the system need not have full rank.
    fitted = torch.linalg.lstsq(*weighted, driver="gelsd").solution.to(x.device)
    own = layer.rows()[kept][:, outputs] + fitted
    layer.coefficients[kept][:, outputs] = own


def _largest_change(y: Tensor, target: Tensor) -> float:
    """The largest mean squared difference between ``y`` and ``target``, relative to the variance of each output."""
    variance, mean = target.var(0, correction=0), target.mean(0)
    # An output that is constant up to rounding is measured by its size.
    scale = variance + torch.finfo(target.dtype).eps * mean.square()
    change = (y - target).square().mean(0)
    return float(torch.where(change > 0, change / scale, 0.0).max())
