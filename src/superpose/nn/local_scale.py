"""LocalScale: how the size of a model's errors depends on the columns and on the prediction."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from superpose.short_repr import brief
from superpose.spline import reference

DEGREE = 3


@dataclass(frozen=True)
class LocalScale:
    """The standard deviation of a new row's error, up to a factor.

    Its logarithm is a sum of curves of the columns and of the prediction (its logarithm, where errors are those of
    logarithms). Beyond limits that hold most of the rows the curves go on as constants, and the variance grows with
    the square of the distance, as that of a straight line does.

    Attributes:
        low, high: ``[d + 1]``, the limits; the prediction is last.
        knots: ``[d + 1, G + 7]`` of cubic splines, where the limits are 0 and 1.
        coefficients: ``[d + 1, G + 3]``.
        bounds: ``[2]``, least and largest sum of the curves; no row that they were made from is beyond.
        growth: ``[2, d]``, relative growth of the variance below and above a column's limits, for the squared
            distance in units of ``high - low``.
    """

    __repr__ = brief

    low: Tensor
    high: Tensor
    knots: Tensor
    coefficients: Tensor
    bounds: Tensor
    growth: Tensor

    def __call__(self, x: Tensor, score: Tensor) -> Tensor:
        """``[N]`` for rows ``x [N, d]`` and predictions ``score [N]``."""
        # A row without a prediction has no interval either, and its scale does not matter.
        values = torch.cat([x, score[:, None]], 1).nan_to_num(nan=0.0)
        place = (values - self.low) / (self.high - self.low)
        inside = place.clamp(0, 1)
        beyond = (place - inside)[:, :-1]
        splines = reference.dense_basis(self.knots, DEGREE, "none", inside)
        curves = (splines * self.coefficients).sum((1, 2)).clamp(*self.bounds.tolist())
        grown = torch.where(beyond < 0, self.growth[0], self.growth[1]) * beyond.square()
        return curves.exp() * (1 + grown.sum(1)).sqrt()
