"""choose_anova: which functions, of which variables and under which noise, by cross-validation or leave-one-out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from superpose.data.splitting import Fold
from superpose.train.anova.average import AnovaAverage
from superpose.train.anova.basis import ColumnBasis
from superpose.train.anova.fit import AnovaFit, AnovaMixture, AnovaSettings, column_bases, fit_anova
from superpose.train.anova.folds import apart, chooses_pairs, in_order
from superpose.train.anova.selection_rules import RULES
from superpose.train.anova.variables import Variables, log_columns


@dataclass(frozen=True)
class Tried:
    """A candidate, judged by cross-validation.

    Attributes:
        settings: what was fitted.
        rows: ``[M]``, the rows that were predicted, some of them several times where folds were repeated.
        predictions: ``[M]`` in the target's units.
        density: ``[M]``, logarithms of the predictive density of the rows.
        loss: ``[M]``, squared errors in the target's units; that of a row which errs grossly under every candidate is
            the same for all.
    """

    settings: AnovaSettings
    rows: Tensor
    predictions: Tensor
    density: Tensor
    loss: Tensor

    @property
    def mean_loss(self) -> float:
        """Infinite where a prediction is not finite."""
        return finite_mean(self.loss)


@dataclass(frozen=True)
class AnovaChoice:
    """What :func:`choose_anova` returns.

    Attributes:
        fit: the mean of the candidates, fitted to all rows of the folds; each weighs as much as its errors make it
            probable. Those in the variables of the best one come first.
        chosen: the best single candidate.
        rows: ``[M]``, the rows that cross-validation predicted, several times where folds were repeated.
        predictions: ``[M]``, those of ``fit`` in the target's units.
        tried: all candidates.
        suspicious: rows that have little weight in a robust fit; empty otherwise.
        fits: of all candidates, to all rows.
    """

    fit: AnovaAverage
    chosen: Tried
    rows: Tensor
    predictions: Tensor
    tried: list[Tried] = field(repr=False)
    suspicious: Tensor
    fits: dict[AnovaSettings, AnovaFit] = field(repr=False)

    def single(self, one: Tried) -> AnovaAverage:
        """The fit of one candidate to all rows."""
        return single(self.fits[one.settings])


def single(fit: AnovaFit) -> AnovaAverage:
    """One fit as a mean."""
    return AnovaAverage(((1.0, AnovaMixture(((1.0, fit),))),))


def choose_anova(
    x: Tensor,
    y: Tensor,
    folds: Sequence[Fold] | None,
    *,
    weights: Tensor | None = None,
    log_target: bool | None = None,
    late: Callable[[], bool] = lambda: False,
    plausible: Callable[[Callable[[Tensor], Tensor]], bool] = lambda predict: True,
) -> AnovaChoice:
    """Choose and fit a sum of functions for the rows of ``x [N, d]`` and ``y [N]`` that the folds hold.

    Args:
        folds: training and test rows of each; of several repetitions where rows are few. If None, each row is
            predicted by the others at the strengths of all: one fit instead of six, which knows the rows a little.
        weights: ``[N]``, as for :func:`fit_anova`.
        log_target: whether the target's logarithm is fitted; None tries it where all targets are positive.
        late: whether the time is over: then no further candidate is tried, beyond the first one, the constant and a
            cheap second one, and one that is not judged by all folds is left out.
        plausible: whether a function from rows ``[N, d]`` to predictions ``[N]`` has plausible values beside the rows
            too. If the mean has not, it is made of the candidates that have.
    """
    search = _LeaveOneOut(x, y, weights, late) if folds is None else _Selection(x, y, folds, weights, late)
    variables = search.variables(log_target)
    search.tour(variables, robust=False)
    search.judge(replace(CONSTANT, log_target=bool(log_target)))
    if bool(search.gross()[0].any()):
        # Gross errors mislead the choice of structure and variables too.
        search.tour(variables, robust=True)
    average, best, predictions = search.averaged()
    tried = search.tried
    if not plausible(average.predict):
        search.tried = [one for one in tried if plausible(single(search.fits[one.settings]).predict)] or tried
        average, best, predictions = search.averaged()
    main, few = average.first.main, torch.empty(0, dtype=torch.long)
    if main.influence is not None:
        score = y[search.all].log() if main.settings.log_target else y[search.all]
        error = (score - main.score(x[search.all])).abs()
        # The noise of a robust fit is that of Student's distribution, less than the deviation of normal residuals.
        few = search.all[(main.influence < _LITTLE) & (error > RULES.gross * _deviation(error))]
    return AnovaChoice(average, best, search.rows, predictions, tried, few, search.fits)


# The weight of a row whose residual is about 4.5 deviations, with 3 degrees of freedom.
_LITTLE = 0.18

# Where nothing can be learnt, no candidate may be worse.
CONSTANT = AnovaSettings(constant=True, curves=False)

# From simple to complex, but for the constant, which is last.
STRUCTURES = (
    AnovaSettings(curves=False),
    AnovaSettings(curves=False, relevance=True),
    AnovaSettings(),
    AnovaSettings(relevance=True),
    AnovaSettings(interactions=True),
    AnovaSettings(interactions=True, relevance=True),
    CONSTANT,
)


def degree_of(settings: AnovaSettings) -> int:
    """Of complexity: one for curves, one more for interactions, and as many again where each column has a strength."""
    shape = settings.curves + settings.interactions
    return shape + settings.relevance * max(1, 2 * shape - (shape > 1) * 2)


class _Selection:
    def __init__(
        self, x: Tensor, y: Tensor, folds: Sequence[Fold], weights: Tensor | None, late: Callable[[], bool]
    ) -> None:
        self.x, self.y, self.folds, self.late = x, y, folds, late
        self.tried: list[Tried] = []
        self.fits: dict[AnovaSettings, AnovaFit] = {}
        self.all = torch.unique(torch.cat([torch.cat(fold) for fold in folds]))
        self.weights = None if weights is None else weights / weights[self.all].mean()
        self.made: dict[tuple[int, tuple[int, ...]], list[ColumnBasis]] = {}
        self.rows = torch.cat([test for _, test in folds])
        seen = y[self.all]
        self.range = float(seen.max() - seen.min())
        self.positive = bool((seen > 0).all())
        low, high = seen.quantile(torch.tensor([0.05, 0.95], dtype=y.dtype)).tolist()
        self.decades = self.positive and high > RULES.decades * max(low, 1e-300)

    def variables(self, log_target: bool | None) -> list[Variables]:
        """Variables to try: the columns and the target, or their logarithms."""
        logs = log_columns(self.x)
        targets = [log_target] if log_target is not None else [False, True] if self.positive else [False]
        columns: list[tuple[int, ...]] = [(), logs] if logs else [()]
        return [Variables(t, c) for t, c in itertools.product(targets, columns)]

    def judge(self, settings: AnovaSettings) -> None:
        """Cross-validate a candidate, unless it was, is too large, or the time is over."""
        if any(one.settings == settings for one in self.tried) or (self.x.shape[1] == 1 and settings.interactions):
            return
        late, ends = self._late(settings)
        if ends():
            return
        whole = self._fitted(-1, self.all, settings, None, late)
        found = self._predicted(settings, whole, late, ends)
        if found is not None:
            self.fits[settings] = whole
            self.tried.append(Tried(settings, self.rows, *found, self._errors(found[0]).square()))

    def _predicted(
        self, settings: AnovaSettings, whole: AnovaFit, late: Callable[[], bool], ends: Callable[[], bool]
    ) -> tuple[Tensor, Tensor] | None:
        """Predictions ``[M]`` by fits to other rows, and their log densities; None if the time ends before."""
        return self._by_folds(self.folds, settings, whole, late, ends)

    def _by_folds(
        self,
        folds: Sequence[Fold],
        settings: AnovaSettings,
        whole: AnovaFit,
        late: Callable[[], bool],
        ends: Callable[[], bool],
    ) -> tuple[Tensor, Tensor] | None:
        predictions, density = [], []
        for number, (train, test) in enumerate(folds):
            fit = self._fitted(number, train, settings, whole, late)
            if ends():
                return None
            predictions.append(fit.predict(self.x[test]))
            density.append(_density(fit, self.x[test], self.y[test], self._of(test)))
        return torch.cat(predictions), torch.cat(density)

    def _late(self, settings: AnovaSettings) -> tuple[Callable[[], bool], Callable[[], bool]]:
        """Whether a candidate's strengths are to stay as they are, and whether it is to be left out."""
        rows, columns = len(self.all), self.x.shape[1]
        each = settings.intervals(rows) + 1 if settings.curves else 1
        pairs = min(settings.most_pairs, columns * (columns - 1) // 2) if settings.interactions else 0
        size = columns * each + pairs * settings.order**2
        cheap = settings.constant or (len(self.tried) < 2 and min(rows, size) ** 2 * size <= RULES.cheap)
        if not self.tried or cheap:
            return _never if cheap else self.late, _never
        return self.late, (lambda: True) if rows * size > RULES.entries else self.late

    def _fitted(
        self, number: int, rows: Tensor, settings: AnovaSettings, start: AnovaFit | None, late: Callable[[], bool]
    ) -> AnovaFit:
        """The fit to the training rows of a fold, or to all for -1."""
        return fit_anova(
            self.x[rows],
            self.y[rows],
            settings,
            weights=self._of(rows),
            bases=self._bases(number, rows, settings),
            start=start,
            late=late,
        )

    def _of(self, rows: Tensor) -> Tensor | None:
        """The weights of rows."""
        return None if self.weights is None else self.weights[rows]

    def _errors(self, predicted: Tensor) -> Tensor:
        """Sizes of the errors ``[M]`` in units of rows of mean weight."""
        error = (predicted - self.y[self.rows]).abs()
        return error if self.weights is None else error * self.weights[self.rows].sqrt()

    def gross(self) -> tuple[Tensor, float]:
        """Which rows ``[M]`` err grossly under every candidate, and from which error on.

        Under a candidate for the logarithm that does about as well, the logarithms must err grossly as well: of a
        skewed target the largest values are no errors.
        """
        errors = [self._errors(one.predictions).nan_to_num(nan=math.inf) for one in self.tried]
        deviations = [_deviation(error) for error in errors]
        least = min(deviations)
        gross = torch.stack(errors).amin(0) > RULES.gross * least
        for one, deviation in zip(self.tried, deviations, strict=True):
            if one.settings.log_target and deviation <= RULES.alike * least:
                error = (one.predictions.log() - self.y[self.rows].log()).abs()
                gross &= error > RULES.gross * _deviation(error)
        if self.decades or float(gross.double().mean()) > RULES.most_gross:
            gross = torch.zeros_like(gross)
        return gross, RULES.gross * least

    def settle(self) -> None:
        """Let rows of gross errors count the same under every candidate: they would drown what these differ in."""
        gross, limit = self.gross()
        self.tried = [
            replace(
                one,
                loss=torch.where(gross & one.predictions.isfinite(), limit**2, self._errors(one.predictions).square()),
            )
            for one in self.tried
        ]

    def _bases(self, number: int, train: Tensor, settings: AnovaSettings) -> list[ColumnBasis]:
        key = number, settings.log_columns
        if key not in self.made:
            self.made[key] = column_bases(self.x[train], replace(settings, curves=True))
        made = self.made[key]
        return made if settings.curves else [basis.line() for basis in made]

    def log_weight(self, one: Tried) -> float:
        """Logarithm of a candidate's weight: by its errors, and by its complexity."""
        rows = len(self.all)
        return -RULES.power * rows * math.log(max(one.mean_loss, 1e-300)) - RULES.doubt * degree_of(one.settings) / rows

    def tour(self, variables: Sequence[Variables], *, robust: bool) -> None:
        """Judge lines and curves in all variables, and all structures in the best of these."""
        for structure in (STRUCTURES[0], STRUCTURES[2]):
            for one in variables:
                self.judge(replace(one.of(structure), robust=robust))
        best = self.best(robust=robust).settings
        chosen = Variables(best.log_target, best.log_columns)
        for structure in STRUCTURES:
            self.judge(replace(chosen.of(structure), robust=robust))

    def best(self, *, robust: bool | None = None) -> Tried:
        """The candidate that weighs most; the target's logarithm by density and by loss.

        Args:
            robust: only among robust fits or the others, if there are any; among all if None.
        """
        self.settle()
        among = [one for one in self.tried if robust is None or one.settings.robust == robust] or self.tried
        plain = [one for one in among if not one.settings.log_target]
        logarithms = [one for one in among if one.settings.log_target]
        if not plain or not logarithms:
            return max(among, key=self.log_weight)
        first = max(plain, key=self.log_weight)
        second = max(logarithms, key=self.log_weight)
        gain = second.density - first.density
        error = float(gain.std()) / math.sqrt(len(gain)) if len(gain) > 1 else math.inf
        allowed = RULES.worse_over_decades if self.decades else RULES.worse
        sure = float(gain.mean()) > RULES.sure * error
        return second if sure and second.mean_loss <= allowed * first.mean_loss else first

    def averaged(self) -> tuple[AnovaAverage, Tried, Tensor]:
        """The mean of the candidates, the best of them, and the predictions ``[M]`` of the mean."""
        best = self.best()
        groups = self.weighed(best)
        made = [
            AnovaMixture(tuple((weight / total, self.fits[one.settings]) for weight, one in group))
            for group in groups
            for total in [sum(weight for weight, _ in group)]
        ]
        average = AnovaAverage(tuple((sum(w for w, _ in group), fit) for group, fit in zip(groups, made, strict=True)))
        predictions = torch.stack([weight * one.predictions for group in groups for weight, one in group]).sum(0)
        return average, best, predictions

    def weighed(self, best: Tried) -> list[list[tuple[float, Tried]]]:
        """The candidates with their weights, grouped by their variables, and none without weight.

        Pseudo-Bayesian model averaging (Y. Yao et al., *Using stacking to average Bayesian predictive distributions*,
        2018), with a prior against complexity. Robust fits and others are not mixed, nor is a target over decades with
        its logarithm.

        Returns:
            The variables of the best candidate first, then by weight; the best candidate first, then by weight.
        """
        apart = ("robust", "log_target") if self.decades else ("robust",)
        alike = [
            one
            for one in self.tried
            if one is best or all(getattr(one.settings, name) == getattr(best.settings, name) for name in apart)
        ]
        kept = [
            (w, one)
            for w, one in zip(shares([self.log_weight(one) for one in alike]), alike, strict=True)
            if one is best or (w > RULES.weight and one.mean_loss < math.inf)
        ]
        groups: dict[Variables, list[tuple[float, Tried]]] = {}
        # The best first: of a logarithm it need not weigh most.
        for w, one in sorted(kept, key=lambda pair: (pair[1] is not best, -pair[0])):
            groups.setdefault(Variables(one.settings.log_target, one.settings.log_columns), []).append((w, one))
        # Variables of the constant do not matter.
        first, *others = groups.values()
        others = sorted(others, key=lambda group: -sum(w for w, _ in group))[: RULES.groups - 1]
        total = sum(w for group in (first, *others) for w, _ in group)
        return [[(w / total, one) for w, one in group] for group in (first, *others)]


class _LeaveOneOut(_Selection):
    """As its base, with the leave-one-out predictions of one fit to all rows in place of folds.

    Those of pairs that were chosen among more are better than new rows would be, since all rows took part in the
    choice: such candidates are judged by folds all the same.
    """

    def __init__(self, x: Tensor, y: Tensor, weights: Tensor | None, late: Callable[[], bool]) -> None:
        rows = torch.arange(len(x))
        super().__init__(x, y, [(rows[:0], rows)], weights, late)

    def _predicted(
        self, settings: AnovaSettings, whole: AnovaFit, late: Callable[[], bool], ends: Callable[[], bool]
    ) -> tuple[Tensor, Tensor] | None:
        if chooses_pairs(settings, self.x.shape[1]):
            folds = apart(self.y)
            found = self._by_folds(folds, settings, whole, late, ends)
            return None if found is None else (in_order(found[0], folds), in_order(found[1], folds))
        scores = whole.loo.clamp(min=1e-300).log() if settings.log_target else whole.loo
        return whole.loo, _density(whole, self.x, self.y, self.weights, scores)


def shares(logs: Sequence[float]) -> list[float]:
    """Weights of sum 1 from their logarithms up to a constant.

    >>> shares([-1000.0, -1000.0])
    [0.5, 0.5]
    """
    weights = [math.exp(log - max(logs)) for log in logs]
    return [weight / sum(weights) for weight in weights]


def finite_mean(losses: Tensor) -> float:
    """The mean of losses ``[M]``; infinite where one of them is not finite."""
    mean = float(losses.mean())
    return mean if math.isfinite(mean) else math.inf


def _never() -> bool:
    return False


def _deviation(error: Tensor) -> float:
    """Of normal residuals with these magnitudes, from their median."""
    return 1.4826 * float(error.nanmedian())


def _density(fit: AnovaFit, x: Tensor, y: Tensor, weights: Tensor | None, known: Tensor | None = None) -> Tensor:
    """Logarithms of the predictive densities ``[N]`` of rows, those of gross errors cut off.

    Args:
        known: scores ``[N]`` of the rows; those of the fit if left out.
    """
    log, predicted = fit.settings.log_target, fit.score(x) if known is None else known
    scores, deviation = (y.log() if log else y), fit.deviation(x)
    if weights is not None:
        deviation = (deviation.square() + fit.noise**2 * (1 / weights - 1)).sqrt()
    density = -0.5 * ((scores - predicted) / deviation).square().clamp(max=RULES.gross**2) - deviation.log()
    return density - y.log() if log else density
