"""effect_of: what one column of a fitted sum of functions does to the target, with standard errors."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from superpose.train.anova.average import AnovaAverage
from superpose.train.anova.fit import AnovaFit


def effect_of(fit: AnovaAverage, column: int, places: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """The partial dependence on a column, less its mean over the rows, in the target's units.

    Of sums it is the main effect plus the products of the column's functions with the means of the other columns'
    (J. Friedman, *Greedy function approximation*, 2001, section 8.2). Of a logarithm it is the exponential of that,
    times a factor that gives the mean of the predictions; the factor neglects dependence among the columns.

    Args:
        fit: the sum of functions.
        column: by number.
        places: ``[G]``, values of the column.
        rows: ``[R, d]``, over which the means are taken.

    Returns:
        ``[G]`` values, and their standard errors: of the constants, and of what the parts of the mean differ by. The
        mean itself is taken as known.

    >>> x = torch.linspace(-1, 1, 60, dtype=torch.float64)[:, None]
    >>> from superpose.train.anova.fit import AnovaMixture, fit_anova
    >>> found = AnovaAverage(((1.0, AnovaMixture(((1.0, fit_anova(x, 3 * x[:, 0])),))),))
    >>> [round(float(value), 3) for value in effect_of(found, 0, x[[0, -1], 0], x)[0]]
    [-3.0, 3.0]
    """
    parts = []
    for outer, mixture in fit.parts:
        for inner, one in mixture.parts:
            parts.append((outer * inner, *_effect(one, column, places, rows)))
    mean = torch.stack([weight * value for weight, value, _ in parts]).sum(0)
    squares = [weight * (error.square() + (value - mean).square()) for weight, value, error in parts]
    return mean, torch.stack(squares).sum(0).sqrt()


def _effect(fit: AnovaFit, column: int, places: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """:func:`effect_of` for a single fit."""
    if fit.settings.constant:
        return torch.zeros_like(places), torch.zeros_like(places)
    joint = _design(fit, column, torch.cat([places, rows[:, column]]), rows)
    score = fit.scale * (joint @ fit.solution.theta)
    score = score - score[len(places) :].mean()
    errors = fit.noise * (fit.solution.leverage(joint[: len(places)]) / len(fit.loo)).sqrt()
    if not fit.settings.log_target:
        return score[: len(places)], errors
    # Beyond the largest target an exponential goes on as a straight line; see ``target_of``.
    most = fit.ends[1] - fit.center
    factors = score.clamp(max=max(most, 0.0)).exp()
    level = float(fit.predict(rows).mean()) / float(factors[len(places) :].mean())
    target = level * factors
    return (target - target[len(places) :].mean())[: len(places)], target[: len(places)] * errors


def _design(fit: AnovaFit, column: int, values: Tensor, rows: Tensor) -> Tensor:
    """``[V, P]``: means over the rows of the fit's design with the column at each of ``values [V]``, centred.

    Functions that do not involve the column are zero.
    """
    bases, order = fit.bases, fit.settings.order
    sizes = [len(basis.roughness) for basis in bases]
    starts = [0, *itertools.accumulate(sizes)]
    made = values.new_zeros((len(values), len(fit.solution.theta)))
    own = bases[column](values)
    own = own - bases[column](rows[:, column]).mean(0)
    made[:, starts[column] : starts[column + 1]] = own
    start = starts[-1]
    for i, j in fit.pairs:
        shape = min(order, sizes[i]), min(order, sizes[j])
        if column in (i, j):
            other = j if column == i else i
            mean = bases[other](rows[:, other]).mean(0)[None]
            left, right = (own, mean) if column == i else (mean, own)
            products = left[:, : shape[0], None] * right[:, None, : shape[1]]
            made[:, start : start + math.prod(shape)] = products.flatten(1)
        start += math.prod(shape)
    return made
