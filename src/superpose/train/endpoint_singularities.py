"""Inputs at one end of whose range a function rises steeply, as sqrt(x) does at 0, seen in where a network errs.

Splines follow such a rise no better than their last interval is short, and what they miss is all at that end. A network
whose first layer computes the root of the distance from it has a smooth function left to learn.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from superpose.data import Dataset
from superpose.nn.layer import KANLayer
from superpose.nn.symbolic_functions import ROOT

# A function is steep where this share of the rows at one end of an input makes up that share of the squared error. For
# roots they made up 0.47 to 0.88, for functions that are smooth at their ends at most 0.37, and in noise 0.02.
_OUTERMOST, _MIN_SHARE = 0.02, 0.4
# Zero counts as the end of inputs of one sign if it is nearer than so many mean distances between rows.
# If zero is the end of uniformly distributed rows, the nearest row is further away with probability exp(-4) = 2%.
_NEAR = 4


class EndpointSingularity(NamedTuple):
    """An end of an input.

    Attributes:
        feature: number of the input.
        side: 1 for the lower end, -1 for the upper one.
        at: where it is, in the network's scaled units.
        known: whether it is zero, in the units of the data; otherwise it is where samples end, and to be trained.
    """

    feature: int
    side: int
    at: float
    known: bool


def detect(x: Tensor, squares: Tensor) -> tuple[int, int] | None:
    """The input and the side of the end at which most of the squared error is, or None.

    Args:
        x: inputs ``[S, n]``.
        squares: of the errors there ``[S]``.

    >>> import torch
    >>> x = torch.rand(1000, 2, generator=torch.Generator().manual_seed(0))
    >>> detect(x, torch.where(x[:, 1] > 0.99, 1.0, 1e-3)), detect(x, x[:, 1])
    ((1, -1), None)
    """
    count = max(1, round(_OUTERMOST * len(x)))
    order = x.argsort(0)
    whole = float(squares.sum())
    sums = {
        (feature, side): float(squares[rows].sum())
        for feature in range(x.shape[1])
        for side, rows in ((1, order[:count, feature]), (-1, order[-count:, feature]))
    }
    worst = max(sums, key=lambda end: sums[end])
    # Errors that are no numbers make no share that is more than anything.
    return worst if sums[worst] > _MIN_SHARE * whole else None


def located(data: Dataset, feature: int, side: int) -> EndpointSingularity:
    """Where that end is: at zero if rows come near to it and not beyond, else as far outside as rows are apart."""
    values = side * data.x[:, feature].double()
    lowest, highest = float(values.min()), float(values.max())
    apart = (highest - lowest) / len(values)
    known = 0 <= lowest < _NEAR * apart
    at = 0.0 if known else side * (lowest - apart)
    center, scale = float(data.x_scale.center[feature]), float(data.x_scale.scale[feature])
    return EndpointSingularity(feature, side, (at - center) / scale, known)


def release(layer: KANLayer, singularities: tuple[EndpointSingularity, ...]) -> None:
    """Let training move the ends that are not known, in a layer that computes their roots."""
    moving = {end.feature for end in singularities if not end.known}
    table, frozen = layer.symbolic_table(), layer.frozen_table()
    frozen |= {(i, o): "acd" for (i, o), (name, _) in table.items() if name == ROOT and i in moving}
    layer.set_symbolic(table, frozen)
