"""choose_anova: which functions, of which variables and under which noise, by cross-validation."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from superpose.train.anova.basis import ColumnBasis
from superpose.train.anova.fit import AnovaFit, AnovaMixture, AnovaSettings, column_bases, fit_anova

Fold = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class SelectionRules:
    """Constants of the choice. Looked at on 22 tables of R's datasets and SRBench's black-box sets.

    Attributes:
        doubt: rows for each degree of complexity: a candidate weighs ``exp(-doubt * degree / N)`` before its errors are
            known, since with few rows complex ones look good by luck. Of 0, 30 and 60, 30 predicted best.
        power: the weight of a candidate is ``(mean squared error)^(-power * N)``: half of what it would be were the
            squared errors known. Of 1/2, 1/4 and 1/8, 1/4 predicted best.
        decade: a column is tried in logarithms where its largest value is more than this many times its smallest.
        sure: standard errors by which the logarithm of the target must be more probable.
        worse: by how much its squared error in the target's own units may be larger then.
        decades: a target whose 95th percentile is more than this many times its 5th spans decades: errors are relative
            there, and
        worse_over_decades: is allowed instead.
        weight: share below which a candidate does not enter the mean.
        gross: robust deviations beyond which a residual is gross. One of a million of normal residuals is.
        many_columns: with more columns the folds share the splines of all rows, which the targets have no part in: to
            make those of 200 columns takes half a second.
        most_gross: more than this share of rows are no outliers but another distribution.
    """

    doubt: float = 30.0
    power: float = 0.25
    decade: float = 10.0
    sure: float = 2.0
    worse: float = 1.1
    decades: float = 100.0
    worse_over_decades: float = 2.0
    weight: float = 0.05
    gross: float = 5.0
    most_gross: float = 0.15
    many_columns: int = 20


RULES = SelectionRules()


@dataclass(frozen=True)
class Tried:
    """A candidate, judged by cross-validation.

    Attributes:
        settings: what was fitted.
        rows: ``[M]``, the rows that were predicted, some of them several times where folds were repeated.
        predictions: ``[M]`` in the target's units.
        density: ``[M]``, logarithms of the predictive density of the rows.
        loss: ``[M]``, squared errors in the target's units, those of gross errors cut off.
    """

    settings: AnovaSettings
    rows: Tensor
    predictions: Tensor
    density: Tensor
    loss: Tensor

    @property
    def mean_loss(self) -> float:
        """Infinite where a prediction is not finite."""
        mean = float(self.loss.mean())
        return mean if math.isfinite(mean) else math.inf


@dataclass(frozen=True)
class AnovaChoice:
    """What :func:`choose_anova` returns.

    Attributes:
        fit: the mean of the candidates in the chosen variables, fitted to all rows of the folds; each weighs as much
            as its errors make it probable.
        chosen: the best single candidate.
        rows: ``[M]``, the rows that cross-validation predicted, several times where folds were repeated.
        predictions: ``[M]``, those of ``fit`` in the target's units.
        tried: all candidates.
        suspicious: rows that have little weight in a robust fit; empty otherwise.
        fits: of all candidates, to all rows.
    """

    fit: AnovaMixture
    chosen: Tried
    rows: Tensor
    predictions: Tensor
    tried: list[Tried] = field(repr=False)
    suspicious: Tensor
    fits: dict[AnovaSettings, AnovaFit] = field(repr=False)

    def single(self, one: Tried) -> AnovaMixture:
        """The fit of one candidate to all rows."""
        return AnovaMixture(((1.0, self.fits[one.settings]),))


def choose_anova(
    x: Tensor,
    y: Tensor,
    folds: Sequence[Fold],
    *,
    weights: Tensor | None = None,
    log_target: bool | None = None,
    late: Callable[[], bool] = lambda: False,
) -> AnovaChoice:
    """Choose and fit a sum of functions for the rows of ``x [N, d]`` and ``y [N]`` that the folds hold.

    Args:
        folds: training and test rows of each; of several repetitions where rows are few.
        weights: ``[N]``, as for :func:`fit_anova`.
        log_target: whether the target's logarithm is fitted; None tries it where all targets are positive.
        late: whether the time is over: then no further candidate is tried, beyond the first one, and one that is not
            judged by all folds is left out.
    """
    search = _Selection(x, y, folds, weights, late)
    variables = search.variables(log_target)
    for structure in (_STRUCTURES[0], _STRUCTURES[2]):
        for one in variables:
            search.judge(one.of(structure))
    best = search.best()
    chosen = Variables(best.settings.log_target, best.settings.log_columns)
    for structure in _STRUCTURES:
        search.judge(chosen.of(structure))
    best = search.best()
    if search.has_gross_errors(best):
        search.judge(replace(best.settings, robust=True))
        best = search.best()
    mixed = search.weighed(best)
    constant = search.judge(_CONSTANT)
    if constant is not None and constant.mean_loss <= best.mean_loss:
        best, mixed = constant, [(1.0, constant)]
    mixture = AnovaMixture(tuple((weight, search.fits[one.settings]) for weight, one in mixed))
    predictions = torch.stack([weight * one.predictions for weight, one in mixed]).sum(0)
    main, few = mixture.main, torch.empty(0, dtype=torch.long)
    if main.settings.robust and main.weights is not None:
        few = search.all[main.weights < _LITTLE]
    return AnovaChoice(mixture, best, search.rows, predictions, search.tried, few, search.fits)


# The weight of a row whose residual is about 4.5 deviations, with 3 degrees of freedom.
_LITTLE = 0.18

# What no candidate may be worse than.
_CONSTANT = AnovaSettings(constant=True, curves=False)
# From simple to complex.
_STRUCTURES = (
    AnovaSettings(curves=False),
    AnovaSettings(curves=False, relevance=True),
    AnovaSettings(),
    AnovaSettings(relevance=True),
    AnovaSettings(interactions=True),
    AnovaSettings(interactions=True, relevance=True),
)


def _degree(settings: AnovaSettings) -> int:
    """Of complexity: one for curves, one more for interactions, and as many again where each column has a strength."""
    shape = settings.curves + settings.interactions
    return shape + settings.relevance * max(1, 2 * shape - (shape > 1) * 2)


@dataclass(frozen=True)
class Variables:
    """Whether the target and which columns are taken by their logarithms."""

    log_target: bool
    log_columns: tuple[int, ...]

    def of(self, settings: AnovaSettings) -> AnovaSettings:
        """Settings in these variables."""
        return replace(settings, log_target=self.log_target, log_columns=self.log_columns)


class _Selection:
    def __init__(
        self, x: Tensor, y: Tensor, folds: Sequence[Fold], weights: Tensor | None, late: Callable[[], bool]
    ) -> None:
        self.x, self.y, self.folds, self.weights, self.late = x, y, folds, weights, late
        self.tried: list[Tried] = []
        self.fits: dict[AnovaSettings, AnovaFit] = {}
        self.all = torch.unique(torch.cat([torch.cat(fold) for fold in folds]))
        self.made: dict[tuple[int, tuple[int, ...]], list[ColumnBasis]] = {}
        self.rows = torch.cat([test for _, test in folds])
        train = torch.unique(torch.cat([train for train, _ in folds]))
        self.spread = float(y[train].var()) if len(train) > 1 else 1.0
        self.positive = bool((y > 0).all())
        low, high = y.quantile(torch.tensor([0.05, 0.95], dtype=y.dtype)).tolist()
        self.decades = self.positive and high > RULES.decades * max(low, 1e-300)

    def variables(self, log_target: bool | None) -> list[Variables]:
        """Variables to try: the columns and the target, or their logarithms."""
        x = self.x
        logs = tuple(
            i
            for i in range(x.shape[1])
            if float(x[:, i].min()) > 0 and bool(x[:, i].max() > RULES.decade * x[:, i].min())
        )
        targets = [log_target] if log_target is not None else [False, True] if self.positive else [False]
        columns: list[tuple[int, ...]] = [(), logs] if logs else [()]
        return [Variables(t, c) for t, c in itertools.product(targets, columns)]

    def judge(self, settings: AnovaSettings) -> Tried | None:
        """Cross-validate a candidate, unless it was or the time is over."""
        known = next((one for one in self.tried if one.settings == settings), None)
        needless = self.x.shape[1] == 1 and settings.interactions
        late = bool(self.tried) and not settings.constant and self.late()
        if known is not None or needless or late:
            return known
        predictions, density = [], []
        whole = self._whole(settings)
        for number, (train, test) in enumerate(self.folds):
            if self.tried and not settings.constant and self.late():
                return None
            part = None if self.weights is None else self.weights[train]
            bases = self._bases(number, train, settings)
            x, y = self.x[train], self.y[train]
            fit = fit_anova(x, y, settings, weights=part, bases=bases, start=whole, late=self.late)
            predictions.append(fit.predict(self.x[test]))
            density.append(_density(fit, self.x[test], self.y[test]))
        predicted = torch.cat(predictions)
        error = (predicted - self.y[self.rows]).abs()
        loss = error.square()
        if not self.decades:
            # Gross errors are the same under every candidate, and would drown what the candidates differ in.
            limit = RULES.gross * _deviation(error)
            loss = torch.where(error.isfinite() & (error > limit) & (error < 3 * self._range()), limit**2, loss)
        if self.weights is not None:
            loss = loss * self.weights[self.rows]
        found = Tried(settings, self.rows, predicted, torch.cat(density), loss)
        if not settings.constant:
            self.tried.append(found)
        return found

    def _whole(self, settings: AnovaSettings) -> AnovaFit:
        """The fit to all rows: what is returned if the candidate is chosen, and where the folds begin."""
        part = None if self.weights is None else self.weights[self.all]
        bases = self._bases(-1, self.all, settings)
        fit = fit_anova(self.x[self.all], self.y[self.all], settings, weights=part, bases=bases, late=self.late)
        self.fits[settings] = fit
        return fit

    def _bases(self, number: int, train: Tensor, settings: AnovaSettings) -> list[ColumnBasis]:
        if self.x.shape[1] > RULES.many_columns:
            number, train = -1, self.all
        key = number, settings.log_columns
        if key not in self.made:
            self.made[key] = column_bases(self.x[train], replace(settings, curves=True))
        made = self.made[key]
        return made if settings.curves else [basis.line() for basis in made]

    def _range(self) -> float:
        return float(self.y.max() - self.y.min())

    def log_weight(self, one: Tried) -> float:
        """Logarithm of a candidate's weight: by its errors, and by its complexity."""
        rows = len(self.all)
        return -RULES.power * rows * math.log(max(one.mean_loss, 1e-300)) - RULES.doubt * _degree(one.settings) / rows

    def best(self) -> Tried:
        """The candidate that weighs most; the target's logarithm by density and by loss."""
        plain = [one for one in self.tried if not one.settings.log_target] or self.tried
        first = max(plain, key=self.log_weight)
        logarithms = [one for one in self.tried if one.settings.log_target]
        if not logarithms or len(plain) == len(self.tried) or plain is self.tried:
            return first
        second = max(logarithms, key=self.log_weight)
        gain = second.density - first.density
        error = float(gain.std()) / math.sqrt(len(gain)) if len(gain) > 1 else math.inf
        allowed = RULES.worse_over_decades if self.decades else RULES.worse
        sure = float(gain.mean()) > RULES.sure * error
        return second if sure and second.mean_loss <= allowed * first.mean_loss else first

    def weighed(self, best: Tried) -> list[tuple[float, Tried]]:
        """The candidates in the variables of the best with their weights, the best first, and none without weight.

        Pseudo-Bayesian model averaging (Y. Yao et al., *Using stacking to average Bayesian predictive distributions*,
        2018), with a prior against complexity.
        """
        alike = [
            one
            for one in self.tried
            if one is best
            or all(
                getattr(one.settings, name) == getattr(best.settings, name)
                for name in ("log_target", "log_columns", "robust")
            )
        ]
        logs = [self.log_weight(one) for one in alike]
        top = max(logs)
        weights = [math.exp(log - top) for log in logs]
        kept = [(w, one) for w, one in zip(weights, alike, strict=True) if w > RULES.weight * sum(weights)]
        total = sum(w for w, _ in kept)
        return sorted(((w / total, one) for w, one in kept), key=lambda pair: -pair[0])

    def has_gross_errors(self, best: Tried) -> bool:
        """Whether some residuals are gross."""
        error = (best.predictions - self.y[best.rows]).abs()
        share = float((error > RULES.gross * _deviation(error)).double().mean())
        return 0 < share <= RULES.most_gross


def _deviation(error: Tensor) -> float:
    """Of normal residuals with these magnitudes, from their median."""
    return 1.4826 * float(error.nanmedian())


def _density(fit: AnovaFit, x: Tensor, y: Tensor) -> Tensor:
    """Logarithms of the predictive densities ``[N]`` of rows, those of gross errors cut off."""
    log = fit.settings.log_target
    scores, deviation = (y.log() if log else y), fit.deviation(x)
    density = -0.5 * ((scores - fit.score(x)) / deviation).square().clamp(max=RULES.gross**2) - deviation.log()
    return density - y.log() if log else density
