"""Where the grids of hidden layers lie: they follow the activations, with room beside them for fresh samples."""

from __future__ import annotations

import torch
from torch import Tensor

from superpose.nn import products
from superpose.nn.layer import KANLayer
from superpose.nn.model import KAN
from superpose.spline import grid

# Hidden activations are few at the ends of their range, where even knots would stand without samples between them.
# Of blends 0, 0.3, 0.6, 0.8, 0.9 and margins 0.01, 0.03, this pair gave the least test error on exp(sin(pi x) + y^2).
_HIDDEN_BLEND, _HIDDEN_MARGIN = 0.6, 0.03
# Fresh samples reach further than those seen, most of all in the corners of the data and where nodes sum many inputs,
# and beyond its grid a spline is a straight line. Hidden grids are widened by so many of the distances by which the
# highest few activations stand above the next, between these shares of the activations' range; but not by more than the
# least share beyond what nodes could be if inputs met in any combination.
_MIN_ROOM, _MAX_ROOM = 0.03, 0.25
# Of 4, 6 and 8 distances, 8 served best (docs/lab/training.md); how many of the highest was not compared.
_HIGHEST, _REACHES = 8, 8.0


@torch.no_grad()
def adapt(model: KAN, x: Tensor) -> bool:
    """Move hidden grids whose activations left them, or fill little of them; says whether one moved.

    Args:
        model: its first layer's grid stays.
        x: ``[B, n_in]`` scaled inputs.
    """
    moved = False
    h = model.layer(0)(x)
    for layer in model.kan_layers()[1:]:
        outputs = layer(h)
        points = grid.breakpoints(layer.knots, layer.degree)
        low, high = points[:, 0], points[:, -1]
        width = h.amax(0) - h.amin(0)
        outside = (h.amin(0) < low) | (h.amax(0) > high)
        if bool(torch.isfinite(h).all()) and bool((outside | (width < 0.5 * (high - low))).any()):
            points = grid.adapted_breakpoints(h, layer.grid_size, blend=_HIDDEN_BLEND, margin=_HIDDEN_MARGIN)
            layer.set_knots(grid.extended_knots(points, layer.degree))
            moved = True
        h = outputs
    return moved


@torch.no_grad()
def widen(model: KAN, x: Tensor, *, far: bool = True) -> None:
    """Make room beside the activations; what the layers compute on the samples stays the same.

    Args:
        model: its first layer's grid stays.
        x: ``[B, n_in]`` scaled inputs.
        far: as far as fresh activations may reach; or else a little.
    """
    first, *others = model.kan_layers()
    h, ends = first(x), corners(first, x)
    for layer in others:
        outputs, next_ends = layer(h), corners(layer, h)
        points = grid.breakpoints(layer.knots, layer.degree)
        low, high = h.amin(0), h.amax(0)
        least, most = ends if far else (low, high)
        below, above = room(-h, -least), room(h, most)
        inside = (low >= points[:, 0]) & (high <= points[:, -1])
        near_low = low - points[:, 0] < 0.5 * below
        near_high = points[:, -1] - high < 0.5 * above
        if bool((inside & (near_low | near_high)).any()):
            layer.widen(
                torch.where(inside & near_low, low - below, points[:, 0]),
                torch.where(inside & near_high, high + above, points[:, -1]),
            )
        h, ends = outputs, next_ends


def corners(layer: KANLayer, x: Tensor) -> tuple[Tensor, Tensor]:
    """The least and the largest that nodes could be ``[n]`` if inputs as in ``x [B, I]`` met in any combination."""
    edges = layer.edges(x)
    return products.bounds(edges.amin(0).sum(0), edges.amax(0).sum(0), layer.plain_count, layer.products)


def room(h: Tensor, end: Tensor) -> Tensor:
    """How far to widen beyond the largest of ``h [B, n]``, ``[n]``, for nodes that could be as large as ``end [n]``.

    The highest few lie above the next by a mean distance that says how fast their numbers fall off: by almost nothing
    where the range simply ends, by a percent or two in the corner of two inputs, by a third of a standard deviation
    where a node sums many. Fresh samples, ten times as many, reach a few of these further.
    """
    highest = h.topk(min(_HIGHEST + 1, len(h)), dim=0).values
    width = highest[0] - h.amin(0)
    reach = _REACHES * (highest[:-1].mean(0) - highest[-1]) if len(h) > 1 else torch.zeros_like(width)
    least = _MIN_ROOM * width
    reach = reach.maximum(least).minimum(_MAX_ROOM * width)
    return reach.minimum((end - highest[0]).clamp(min=0) + least)
