"""Where the grids of hidden layers lie: they follow the activations, with room beside them for fresh samples."""

from __future__ import annotations

import torch
from torch import Tensor

from superpose.nn.model import KAN
from superpose.spline import grid

# Hidden activations are few at the ends of their range, where even knots would stand without samples between them.
# Of blends 0, 0.3, 0.6, 0.8, 0.9 and margins 0.01, 0.03, this pair gave the least test error on exp(sin(pi x) + y^2).
_HIDDEN_BLEND, _HIDDEN_MARGIN = 0.6, 0.03
# Fresh samples reach further than those seen, most of all in the corners of the data and where nodes sum many inputs,
# and beyond its grid a spline is a straight line. Hidden grids are widened by these shares of the activations' range,
# and within them by so many of the distances by which the highest few activations stand above the next.
_WIDER_MARGIN, _WIDEST_MARGIN = 0.03, 0.25
_HIGHEST, _REACHES = 8, 4.0
# Less than this share is a range that ends: on [2,1,1] and 1,000 rows such a room costs half of the accuracy.
_THIN = 0.1


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
def widen(model: KAN, x: Tensor) -> None:
    """Make room beside the activations; what the layers compute on the samples stays the same.

    Args:
        model: its first layer's grid stays.
        x: ``[B, n_in]`` scaled inputs.
    """
    h = model.layer(0)(x)
    for layer in model.kan_layers()[1:]:
        outputs = layer(h)
        points = grid.breakpoints(layer.knots, layer.degree)
        low, high = h.amin(0), h.amax(0)
        below, above = room(-h), room(h)
        inside = (low >= points[:, 0]) & (high <= points[:, -1])
        near_low = low - points[:, 0] < 0.5 * below
        near_high = points[:, -1] - high < 0.5 * above
        if bool((inside & (near_low | near_high)).any()):
            layer.widen(
                torch.where(inside & near_low, low - below, points[:, 0]),
                torch.where(inside & near_high, high + above, points[:, -1]),
            )
        h = outputs


def room(h: Tensor) -> Tensor:
    """How far fresh activations may reach beyond the largest of ``h [B, n]``, ``[n]``.

    The highest few lie above the next by a mean distance that says how fast their numbers fall off: by almost nothing
    where the range simply ends, by a third of a standard deviation where a node sums many inputs. Fresh samples, ten
    times as many, reach two or three of these further, sometimes more. Where that is little, the usual room is enough,
    and more of it would only make the grid coarser.
    """
    width = h.amax(0) - h.amin(0)
    highest = h.topk(min(_HIGHEST + 1, len(h)), dim=0).values
    reach = _REACHES * (highest[:-1].mean(0) - highest[-1]) if len(h) > 1 else torch.zeros_like(width)
    least, most = _WIDER_MARGIN * width, _WIDEST_MARGIN * width
    return torch.where(reach > _THIN * width, torch.minimum(reach, most), least)
