"""The random edge functions with which a layer starts."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from superpose.spline import fitting

# Legendre polynomials P_1 to P_3 in columns, with the factors of x, x^2 and x^3 in rows; and their constants.
_LEGENDRE = ((1.0, 0.0, -1.5), (0.0, 1.5, 0.0), (0.0, 0.0, 2.5))
_LEGENDRE_CONSTANTS = (0.0, -0.5, 0.0)


class SplineStart(NamedTuple):
    """Random spline coefficients as a product: ``scale * polynomials @ weights[i]`` for input ``i``.

    Attributes:
        polynomials: ``[G + k, P]`` spline coefficients of the polynomials.
        weights: ``[I, P, O]`` standard normal.
        scale: makes the variance of an output's sum of splines ``spline_scale**2`` times that of one polynomial.
    """

    polynomials: Tensor
    weights: Tensor
    scale: float


def draw_splines(
    knots: Tensor, degree: int, outputs: int, spline_scale: float, generator: torch.Generator | None
) -> SplineStart:
    """Draw smooth splines: random combinations of Legendre polynomials up to the third, or up to the degree if lower.

    Independent random coefficients would make curves with a bend at every knot. A smooth start trains better, and keeps
    its shape exactly when the grid changes, because a spline of any grid represents the polynomials exactly.

    Args:
        knots: ``[I, G + 2k + 1]``; the first row stands for all.
        degree: ``k``.
        outputs: ``O``.
        spline_scale: see :class:`SplineStart`.
        generator: source of the weights; torch's own when None.
    """
    first = knots[:1]
    low, high = first[0, degree], first[0, -degree - 1]
    unit = (2 * first - low - high) / (high - low)
    if degree == 0:
        # P_1 at the middle of each interval.
        polynomials = ((unit[0, 1:] + unit[0, :-1]) / 2)[:, None]
    else:
        count = min(degree, 3)
        factors, constants = (first.new_tensor(part)[..., :count] for part in (_LEGENDRE, _LEGENDRE_CONSTANTS))
        # B-splines sum to one, so adding a constant to a spline adds it to all coefficients.
        polynomials = fitting.powers(unit, degree, count)[0] @ factors[:count] + constants
    inputs, count = len(knots), polynomials.shape[1]
    weights = torch.randn(inputs, count, outputs, generator=generator, dtype=knots.dtype, device=knots.device)
    return SplineStart(polynomials, weights, spline_scale / math.sqrt(inputs * count))
