"""Uncertainty: what a model needs to give prediction intervals, kept beside its function.

The intervals are those of conformal prediction: the errors that the model made on rows it was not fitted to, divided by
a local scale, are kept in order; an interval reaches from one of their quantiles to another, times the scale at its
row. Whatever the errors are distributed like, and however wrong the scale is, such an interval holds the target of a
new row of the same kind with the probability that was asked for (V. Vovk et al., *Algorithmic Learning in a Random
World*, 2005; R. Barber et al., *Predictive inference with the jackknife+*, 2021, for errors from cross-validation).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from superpose.checks import is_finite
from superpose.errors import OptionError
from superpose.nn.local_scale import LocalScale
from superpose.nn.support import Support
from superpose.short_repr import brief

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np


@dataclass(frozen=True)
class IntervalRules:
    """Constants of intervals.

    Attributes:
        tail: residuals on either side beyond the interval with which its ends are quantiles of their own; with fewer
            both are the same quantile of the magnitudes, since rounding up to whole residuals would cost more than
            asymmetry gains. Five; a round number.
        few: with fewer residuals their quantiles say little, and Student's t takes their place. A round number.
        kept: residuals that are kept; of more, as many quantiles.
        points: at which a model is compared with the one whose errors were measured.
        apart: share of a typical error by which it may differ there.
        rounding: relative difference that is rounding, of models in float32 too.
    """

    tail: float = 5.0
    few: int = 15
    kept: int = 1000
    points: int = 32
    apart: float = 0.05
    rounding: float = 1e-5


RULES = IntervalRules()
SOURCES = ("cross-validation", "leave-one-out", "held-out rows")


@dataclass(frozen=True)
class Intervals:
    """Prediction intervals of the rows of a table, in the user's units.

    Attributes:
        prediction: ``[N, n_out]``.
        low, high: ``[N, n_out]``, NaN where the prediction is none.
        outside: ``[N]``, whether a row lies outside the data that the model was fitted to, where the probability is
            not assured.
        beyond: ``[N, n_in]``, the columns of a row that lie beyond their range; a row that is outside though none
            does is an unusual combination.
        level: the probability that an interval holds the target.
        method: ``"conformal"``, or ``"student"`` where there were too few rows for quantiles of errors: then the
            level holds for normal errors.
    """

    __repr__ = brief

    prediction: np.ndarray
    low: np.ndarray
    high: np.ndarray
    outside: np.ndarray
    beyond: np.ndarray
    level: float
    method: str


@dataclass(frozen=True)
class Uncertainty:
    """The errors of a model on rows that it was not fitted to, and where those rows lie.

    Attributes:
        residuals: ``[n, n_out]``, target minus prediction over the local scale, in ascending order for each target.
        log: whether target and prediction are compared by their logarithms.
        freedom: degrees of freedom that the rows leave to the errors, for Student's t.
        source: where the errors are from, one of ``SOURCES``.
        scale: None where errors are taken to be alike everywhere.
        support: where the rows lie that the model was fitted to.
        values: ``[32, n_out]``, of the model at ``support.points(32)``, by which a model that was changed is noticed.
    """

    __repr__ = brief

    residuals: Tensor
    log: bool
    freedom: float
    source: str
    scale: LocalScale | None
    support: Support
    values: Tensor

    def intervals(self, predict: Callable[[Tensor], Tensor], x: Tensor, level: float) -> Intervals:
        """The intervals of rows ``x [N, d]``, float64.

        Args:
            predict: the model: from ``[N, d]`` to ``[N, n_out]``.

        Raises:
            OptionError: for a level that is no probability, or if the model is not the one whose errors were measured.
        """
        if not (is_finite(level) and 0 < level < 1):
            raise OptionError(f"the level of an interval is a probability between 0 and 1, such as 0.9, not {level!r}")
        if not self.describes(predict):
            raise OptionError(
                "the model was changed after the errors were measured from which its prediction intervals follow; "
                "measure them again with superpose.calibrate(model, data)"
            )
        low, high, method = limits(self.residuals, level, self.freedom)
        parts = [self._block(predict, block, low, high) for block in torch.split(x, _BLOCK)]
        prediction, first, last, outside, beyond = (torch.cat(part).numpy() for part in zip(*parts, strict=True))
        return Intervals(prediction, first, last, outside, beyond, float(level), method)

    def _block(self, predict: Callable[[Tensor], Tensor], x: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, ...]:
        with torch.no_grad():
            prediction = predict(x).cpu().double()
        score = prediction.clamp(min=self.least).log() if self.log else prediction
        scale = self.scale_at(x, score)
        ends = (score + low * scale, score + high * scale)
        ends = (ends[0].exp(), ends[1].exp()) if self.log else ends
        beyond = self.support.beyond(x)
        return prediction, *ends, beyond.any(1) | self.support.unusual(x), beyond

    @property
    def least(self) -> float:
        """The least positive value at the support's points.

        A mean of curves may fall below zero, where there is no logarithm that an interval could lie about.
        """
        positive = self.values[self.values > 0]
        return float(positive.min()) if len(positive) else math.nan

    def scale_at(self, x: Tensor, score: Tensor) -> Tensor:
        """``[N, n_out]``: the local scale at rows ``x [N, d]`` with scores ``[N, n_out]``."""
        return torch.ones_like(score) if self.scale is None else self.scale(x, score[:, 0])[:, None]

    def describes(self, predict: Callable[[Tensor], Tensor]) -> bool:
        """Whether a model has the values of the one whose errors were measured, within a small part of an error."""
        points = self.support.points(len(self.values))
        with torch.no_grad():
            values = probed(predict, points)
        if values.shape != self.values.shape:
            return False
        score = self.values.abs().clamp(min=1e-300).log() if self.log else self.values
        error = self.residuals.abs().median(0).values * self.scale_at(points, score)
        allowed = RULES.apart * (error * self.values.abs() if self.log else error)
        allowed = allowed + RULES.rounding * torch.maximum(self.values.abs(), self.values.abs().amax(0))
        return bool(((values - self.values).abs() <= allowed).all())


def required(found: Uncertainty | None, *, classifier: bool) -> Uncertainty:
    """What a model has for its intervals.

    Raises:
        OptionError: if it has nothing.
    """
    if classifier:
        raise OptionError("the model is a classifier, which has no prediction intervals; ask for its probabilities")
    if found is None:
        raise OptionError(
            "the model has no prediction intervals, since its errors were not measured on rows that it was not "
            "fitted to; fit it again with superpose fit, or use superpose.calibrate(model, data)"
        )
    return found


# Rows at a time: the splines of the scale are all written out.
_BLOCK = 1 << 14


def probed(predict: Callable[[Tensor], Tensor], points: Tensor) -> Tensor:
    """The values ``[P, n_out]`` of a model at points, 0 where they are not finite."""
    return predict(points).detach().cpu().double().nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)


def limits(residuals: Tensor, level: float, freedom: float) -> tuple[Tensor, Tensor, str]:
    """Lower and upper limit ``[n_out]`` of a new row's normalised residual, and by which method.

    Args:
        residuals: ``[n, n_out]``, in ascending order.

    >>> low, high, method = limits(torch.arange(-50.0, 50.0)[:, None], 0.9, 90.0)
    >>> float(low), float(high), method
    (-46.0, 45.0, 'conformal')
    """
    count = len(residuals)
    # The smallest number keeps what is whole but for rounding whole.
    tail = math.floor((count + 1) * (1 - level) / 2 + 1e-9)
    if tail >= RULES.tail:
        return residuals[tail - 1], residuals[count - tail], "conformal"
    sizes, place = residuals.abs().sort(0).values, math.ceil((count + 1) * level - 1e-9)
    if count >= RULES.few and place <= count:
        return -sizes[place - 1], sizes[place - 1], "conformal"
    half = student_quantile((1 + level) / 2, freedom) * residuals.square().mean(0).sqrt()
    if place > count:
        half = torch.maximum(half, sizes[-1])
    return -half, half, "student"


def student_quantile(probability: float, freedom: float) -> float:
    """The quantile of Student's t distribution for a probability of at least 1/2.

    With ``t = sqrt(freedom) * tan(angle)`` its density is a power of the cosine, which is summed by the midpoint rule.

    >>> round(student_quantile(0.95, 10.0), 3), round(student_quantile(0.975, 1e6), 2)
    (1.812, 1.96)
    """
    # Where the cosine's power is nothing any more; at most a right angle.
    last = min(math.pi / 2, 12 / math.sqrt(freedom)) if freedom > 60 else math.pi / 2
    count = 20_000
    angles = (torch.arange(count, dtype=torch.float64) + 0.5) * (last / count)
    mass = angles.cos().pow(freedom - 1).cumsum(0)
    place = int(torch.searchsorted(mass, (2 * probability - 1) * mass[-1]))
    before = float(mass[place - 1]) if place else 0.0
    share = ((2 * probability - 1) * float(mass[-1]) - before) / (float(mass[place]) - before)
    return math.sqrt(freedom) * math.tan((place + share) * last / count)
