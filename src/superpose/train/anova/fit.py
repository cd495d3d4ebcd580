"""fit_anova: a sum of functions of one column and of products of two, fitted to a table."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor

from superpose.train.anova.basis import ColumnBasis, bases_of, values_of
from superpose.train.anova.evidence import Penalised, Solution, most_probable


@dataclass(frozen=True)
class AnovaSettings:
    """Which functions are fitted.

    Attributes:
        constant: whether all functions are 0, and the fit is the mean.
        curves: whether main effects may bend; straight lines otherwise, and the fit is a ridge regression.
        interactions: whether there are products of two columns' functions.
        relevance: whether each column has a strength of its own, as where most columns say nothing.
        log_target: whether the target's logarithm is fitted; all targets must be positive.
        log_columns: the columns, by number, whose logarithm is the variable of their functions.
        robust: whether the residuals are Student's t with ``freedom`` degrees of freedom, under which single gross
            errors have little influence, instead of normal.
        freedom: 3 is the usual choice for gross errors; a round number.
        grid_size: intervals of the splines; None for 8, and 12 from 500 rows on.
        order: functions of each column of an interaction, the straight line included.
        most_pairs: interactions at most; those are taken of which the residuals of the main effects show most.
    """

    constant: bool = False
    curves: bool = True
    interactions: bool = False
    relevance: bool = False
    log_target: bool = False
    log_columns: tuple[int, ...] = ()
    robust: bool = False
    freedom: float = 3.0
    grid_size: int | None = None
    order: int = 4
    most_pairs: int = 45

    @property
    def is_line(self) -> bool:
        """Whether it is a straight line in the columns themselves."""
        return not (self.constant or self.curves or self.log_target or self.log_columns)

    def intervals(self, rows: int) -> int:
        """Of the splines, for a table of so many rows."""
        return self.grid_size or (8 if rows < 500 else 12)


@dataclass(frozen=True)
class AnovaFit:
    """A fitted sum of functions.

    Attributes:
        settings: what was fitted.
        bases: of the columns.
        pairs: the columns of each interaction.
        mean: ``[P]``, means of the design's columns, which are subtracted.
        center, scale: of the target, or of its logarithm.
        solution: the coefficients in units of ``scale``, and how certain they are.
        ends: the least and the largest score of the rows.
        loo: ``[N]``, leave-one-out predictions in the target's units: of a row by the others, at the same strengths.
        influence: ``[N]``, factors of mean 1 by which a robust fit multiplied the weights of the rows; None for ones.
    """

    settings: AnovaSettings
    bases: tuple[ColumnBasis, ...]
    pairs: tuple[tuple[int, int], ...]
    mean: Tensor
    center: float
    scale: float
    solution: Solution
    ends: tuple[float, float]
    loo: Tensor = field(repr=False)
    influence: Tensor | None = field(default=None, repr=False)

    @property
    def noise(self) -> float:
        """Standard deviation of the residuals of rows of mean weight, in the target's units or its logarithm's."""
        return self.scale * math.sqrt(self.solution.variance)

    @property
    def effective(self) -> float:
        """Number of constants that the data determine."""
        return self.solution.effective

    def design(self, x: Tensor) -> Tensor:
        """The centred design ``[N, P]`` at rows ``x [N, d]``."""
        return design(self.bases, self.pairs, self.settings, x) - self.mean

    def score(self, x: Tensor) -> Tensor:
        """The fitted sum ``[N]`` at rows ``x [N, d]``, which is the target or its logarithm."""
        return self.center + self.scale * (self.design(x) @ self.solution.theta)

    def predict(self, x: Tensor) -> Tensor:
        """The target ``[N]`` at rows ``x [N, d]``."""
        return target_of(self.score(x), self.settings, self.ends)

    def deviation(self, x: Tensor) -> Tensor:
        """Standard deviation ``[N]`` of a new row at ``x [N, d]`` from its score: noise and uncertainty of the fit."""
        return self.score_and_deviation(x)[1]

    def score_and_deviation(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """:meth:`score` and :meth:`deviation` of one design."""
        values = self.design(x)
        uncertain = self.solution.leverage(values) / len(self.loo)
        deviation = self.noise * (1 + 1 / len(self.loo) + uncertain).sqrt()
        return self.center + self.scale * (values @ self.solution.theta), deviation

    def coefficients(self) -> Coefficients:
        """Of all functions, in the score's units."""
        theta = self.solution.theta * self.scale
        constant = self.center - float(theta @ self.mean)
        return Coefficients.of(self.bases, self.pairs, self.settings.order, theta, constant)

    def effect(self, column: int, x: Tensor) -> tuple[Tensor, Tensor]:
        """The main effect of a column at its values ``x [N]``: ``[N]`` values and standard errors, in score units."""
        start = sum(basis.coefficients.shape[1] for basis in self.bases[:column])
        basis = self.bases[column]
        where = slice(start, start + basis.coefficients.shape[1])
        values = x.new_zeros((len(x), len(self.solution.theta)))
        values[:, where] = basis(x) - self.mean[where]
        errors = (self.solution.leverage(values) / len(self.loo)).sqrt()
        return self.scale * (values @ self.solution.theta), self.noise * errors


@dataclass(frozen=True)
class Coefficients:
    """Those of all functions in the bases of their columns.

    Attributes:
        constant: of the sum.
        mains: ``[K]`` of each column's main effect.
        pairs: ``[order, order]`` of the interactions, by the functions of the first and of the second column.
    """

    constant: float
    mains: list[Tensor]
    pairs: dict[tuple[int, int], Tensor]

    @classmethod
    def of(
        cls,
        bases: Sequence[ColumnBasis],
        pairs: Sequence[tuple[int, int]],
        order: int,
        theta: Tensor,
        constant: float,
    ) -> Coefficients:
        """From those ``[P]`` of a design with these functions."""
        sizes = [basis.coefficients.shape[1] for basis in bases]
        mains, start, matrices = list(torch.split(theta[: sum(sizes)], sizes)), sum(sizes), {}
        for i, j in pairs:
            shape = min(order, sizes[i]), min(order, sizes[j])
            matrices[i, j] = theta[start : start + shape[0] * shape[1]].view(*shape)
            start += shape[0] * shape[1]
        return cls(constant, mains, matrices)

    @classmethod
    def mean(cls, bases: Sequence[ColumnBasis], parts: Sequence[tuple[float, Coefficients]]) -> Coefficients:
        """The weighted sum of several; ``bases`` are those of the part with most functions."""
        mains = [basis.roughness.new_zeros(len(basis.roughness)) for basis in bases]
        pairs: dict[tuple[int, int], Tensor] = {}
        for weight, one in parts:
            for total, main in zip(mains, one.mains, strict=True):
                total[: len(main)] += weight * main
            for pair, matrix in one.pairs.items():
                pairs[pair] = pairs.get(pair, torch.zeros_like(matrix)) + weight * matrix
        return cls(sum(weight * one.constant for weight, one in parts), mains, pairs)


class Part(Protocol):
    """A fit that may be a part of a mixture."""

    @property
    def settings(self) -> AnovaSettings:
        """Which functions were fitted."""

    @property
    def bases(self) -> tuple[ColumnBasis, ...]:
        """Of the columns."""

    @property
    def effective(self) -> float:
        """Number of constants that the data determine."""


Fit = TypeVar("Fit", bound=Part)


@dataclass(frozen=True)
class Mixture(Generic[Fit]):
    """A weighted mean of fits to the same rows and variables, which is a sum of functions of the same kind.

    Attributes:
        parts: the weights, of sum 1, and the fits; the heaviest first.
    """

    parts: tuple[tuple[float, Fit], ...]

    @property
    def main(self) -> Fit:
        """The heaviest."""
        return self.parts[0][1]

    @property
    def settings(self) -> AnovaSettings:
        """Of the heaviest."""
        return self.main.settings

    @property
    def bases(self) -> tuple[ColumnBasis, ...]:
        """Those of the columns; of the part with most functions."""
        return max((fit.bases for _, fit in self.parts), key=lambda bases: sum(len(one.roughness) for one in bases))

    @property
    def effective(self) -> float:
        """Number of constants that the data determine."""
        return sum(weight * fit.effective for weight, fit in self.parts)


@dataclass(frozen=True)
class AnovaMixture(Mixture[AnovaFit]):
    """A mixture of fits of a number."""

    @property
    def noise(self) -> float:
        """Standard deviation of the residuals, in the score's units."""
        return math.sqrt(sum(weight * fit.noise**2 for weight, fit in self.parts))

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the largest score of the rows."""
        return self.main.ends

    @property
    def loo(self) -> Tensor:
        """``[N]``, leave-one-out predictions in the target's units."""
        return torch.stack([weight * fit.loo for weight, fit in self.parts]).sum(0)

    def score(self, x: Tensor) -> Tensor:
        """The fitted sum ``[N]`` at rows ``x [N, d]``, which is the target or its logarithm."""
        return torch.stack([weight * fit.score(x) for weight, fit in self.parts]).sum(0)

    def predict(self, x: Tensor) -> Tensor:
        """The target ``[N]`` at rows ``x [N, d]``."""
        return target_of(self.score(x), self.settings, self.ends)

    def deviation(self, x: Tensor) -> Tensor:
        """Standard deviation ``[N]`` of a new row from its score: noise, uncertainty, and what the parts differ by."""
        found = [(weight, *fit.score_and_deviation(x)) for weight, fit in self.parts]
        mean = torch.stack([weight * score for weight, score, _ in found]).sum(0)
        squares = [weight * (own.square() + (score - mean).square()) for weight, score, own in found]
        return torch.stack(squares).sum(0).sqrt()

    def effect(self, column: int, x: Tensor) -> tuple[Tensor, Tensor]:
        """The main effect of a column at its values ``x [N]``: ``[N]`` values and standard errors, in score units."""
        effects = [(weight, *fit.effect(column, x)) for weight, fit in self.parts]
        mean = torch.stack([weight * value for weight, value, _ in effects]).sum(0)
        squares = [weight * (error.square() + (value - mean).square()) for weight, value, error in effects]
        return mean, torch.stack(squares).sum(0).sqrt()

    def coefficients(self) -> Coefficients:
        """Of all functions, in the score's units."""
        return Coefficients.mean(self.bases, [(weight, fit.coefficients()) for weight, fit in self.parts])


def target_of(score: Tensor, settings: AnovaSettings, ends: tuple[float, float]) -> Tensor:
    """The target of a score. That of a logarithm is the median: the law without its noise, and not the mean.

    A little beyond the largest target of the rows an exponential goes on as a straight line: curves that are followed
    too far would else make predictions absurd.
    """
    if not settings.log_target:
        return score
    top = top_of(ends)
    return score.clamp(max=top).exp() + math.exp(top) * (score - top).clamp(min=0)


def top_of(ends: tuple[float, float]) -> float:
    """The score at which the exponential of a target's logarithm ends: 5% of the range of the rows' beyond it."""
    return ends[1] + 0.05 * (ends[1] - ends[0])


def column_bases(x: Tensor, settings: AnovaSettings) -> list[ColumnBasis]:
    """The bases of the columns of ``x [N, d]`` in the variables of the settings."""
    made = bases_of(x, settings.intervals(len(x)), settings.log_columns)
    return made if settings.curves else [basis.line() for basis in made]


def design(
    bases: Sequence[ColumnBasis], pairs: Sequence[tuple[int, int]], settings: AnovaSettings, x: Tensor
) -> Tensor:
    """``[N, P]``: the functions of each column, then the products of the first ``order`` functions of each pair."""
    order = settings.order
    if settings.constant:
        return x.new_zeros((len(x), sum(len(basis.roughness) for basis in bases)))
    values = values_of(bases, x)
    products = [_products(values[i][:, :order], values[j][:, :order]) for i, j in pairs]
    return torch.cat([*values, *products], 1)


def _products(left: Tensor, right: Tensor) -> Tensor:
    return (left[:, :, None] * right[:, None, :]).flatten(1)


def fit_anova(
    x: Tensor,
    y: Tensor,
    settings: AnovaSettings | None = None,
    *,
    weights: Tensor | None = None,
    bases: Sequence[ColumnBasis] | None = None,
    start: AnovaFit | None = None,
    late: Callable[[], bool] = lambda: False,
) -> AnovaFit:
    """Fit a sum of functions to rows ``x [N, d]`` and targets ``y [N]``, in the user's units.

    Args:
        settings: which functions; main effects if left out.
        weights: ``[N]``, inverse variances of the rows up to a factor; rows of weight 0 are left out.
        bases: from :func:`column_bases` for these rows and settings, where they were made already.
        start: a fit with the same settings to similar rows, from the strengths of which this one begins.
        late: whether the time is over: then the strengths stay as they are.

    >>> x = torch.linspace(-1, 1, 60, dtype=torch.float64)[:, None]
    >>> found = fit_anova(x, torch.sin(3 * x[:, 0]))
    >>> float((found.predict(x) - torch.sin(3 * x[:, 0])).abs().max()) < 5e-3
    True
    """
    settings = settings or AnovaSettings()
    if weights is not None and bool((weights == 0).any()):
        some = weights > 0
        part = fit_anova(x[some], y[some], settings, weights=weights[some], bases=bases, start=start, late=late)
        influence = None
        if part.influence is not None:
            influence = torch.ones_like(y).masked_scatter(some, part.influence)
        return replace(part, loo=part.predict(x).masked_scatter(some, part.loo), influence=influence)
    bases = tuple(column_bases(x, settings) if bases is None else bases)
    scores = y.log() if settings.log_target else y
    base = None if weights is None else weights / weights.mean()
    used, influence = base, None
    for _ in range(_ROBUST_ROUNDS if settings.robust else 1):
        found = _fitted(_Rows(x, scores, used), bases, settings, start, late)
        start = found
        if settings.robust:
            squares = ((scores - found.score(x)) / found.noise).square()
            squares = squares if base is None else squares * base
            factors = (settings.freedom + 1) / (settings.freedom + squares)
            used = factors if base is None else factors * base
            used, influence = used / used.mean(), factors / factors.mean()
    return replace(found, influence=influence)


# Reweighted fits; the weights of gross errors settle within three.
_ROBUST_ROUNDS = 5


@dataclass(frozen=True)
class _Rows:
    """What is fitted: ``x [N, d]``, the target or its logarithm ``[N]``, and weights of mean 1 or None."""

    x: Tensor
    scores: Tensor
    weights: Tensor | None


def _fitted(
    rows: _Rows,
    bases: tuple[ColumnBasis, ...],
    settings: AnovaSettings,
    start: AnovaFit | None,
    late: Callable[[], bool],
) -> AnovaFit:
    known = None if start is None else start.solution.strengths
    pairs = list(itertools.combinations(range(len(bases)), 2)) if settings.interactions else []
    if len(pairs) > settings.most_pairs:
        main = _solved(rows, bases, (), settings, known, late)
        pairs = telling_pairs(pairs, bases, rows.x, rows.scores - main.score(rows.x), settings.most_pairs)
    return _solved(rows, bases, tuple(pairs), settings, known, late)


def telling_pairs(
    pairs: list[tuple[int, int]], bases: tuple[ColumnBasis, ...], x: Tensor, residual: Tensor, count: int
) -> list[tuple[int, int]]:
    """The pairs whose products of the first two functions correlate most with residuals ``[N]`` or ``[N, S]``."""
    padded = [values[:, :2] for values in values_of(bases, x)]
    stacked = torch.stack([torch.nn.functional.pad(one, (0, 2 - one.shape[1])) for one in padded], 1).flatten(1)
    squares = stacked.square()
    spread = squares.T @ squares / len(x) - (stacked.T @ stacked / len(x)).square()
    each = (residual - residual.mean(0)).reshape(len(x), -1).unbind(1)
    told = torch.stack([((stacked * one[:, None]).T @ stacked).square() for one in each]).sum(0)
    told = torch.where(spread > 1e-9, told / spread.clamp(min=1e-9), 0.0)
    told = told.view(len(bases), 2, len(bases), 2).sum((1, 3))
    order = sorted(range(len(pairs)), key=lambda k: -float(told[pairs[k]]))[:count]
    return [pairs[k] for k in sorted(order)]


def _solved(
    rows: _Rows,
    bases: tuple[ColumnBasis, ...],
    pairs: tuple[tuple[int, int], ...],
    settings: AnovaSettings,
    start: Tensor | None,
    late: Callable[[], bool],
) -> AnovaFit:
    scores, count = rows.scores, len(rows.scores)
    weight = torch.ones_like(scores) if rows.weights is None else rows.weights
    share = weight / weight.sum()
    values = design(bases, pairs, settings, rows.x)
    mean = share @ values
    values = values - mean
    center = float(share @ scores)
    if bool((scores == scores[0]).all()):
        # Without rounding, which would be the scale.
        center = float(scores[0])
    scale = math.sqrt(float(share @ (scores - center).square())) or 1.0
    y = (scores - center) / scale
    solution = most_probable(values, y, penalised(bases, pairs, settings), rows.weights, start, late)
    leverage = weight * (solution.leverage(values) + 1) / count
    left = (y - values @ solution.theta) / (1 - leverage.clamp(max=_MOST_LEVERAGE))
    ends = float(scores.min()), float(scores.max())
    loo = target_of(scores - scale * left, settings, ends)
    return AnovaFit(settings, bases, pairs, mean, center, scale, solution, ends, loo)


# A row that alone determines the fit at its place has no leave-one-out residual; this keeps it finite.
_MOST_LEVERAGE = 0.99


def penalised(bases: tuple[ColumnBasis, ...], pairs: tuple[tuple[int, int], ...], settings: AnovaSettings) -> Penalised:
    """What is penalised how in a design of these functions."""
    roughness = [basis.roughness for basis in bases]
    columns = [torch.full((len(basis.roughness), 2), i) for i, basis in enumerate(bases)]
    for i, j in pairs:
        left, right = bases[i].roughness[: settings.order], bases[j].roughness[: settings.order]
        roughness.append((left[:, None] + right[None, :]).flatten())
        columns.append(torch.tensor([i, j]).repeat(len(roughness[-1]), 1))
    both = torch.cat(columns)
    group = (both[:, 0] != both[:, 1]).long()
    return Penalised(torch.cat(roughness), group, both, settings.relevance)
