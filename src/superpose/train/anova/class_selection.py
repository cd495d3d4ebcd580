"""choose_anova_classes: which functions, and of which variables, by the cross-validated loss of a classifier."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from superpose.data.splitting import Fold
from superpose.nn.likelihood import Head
from superpose.train.anova.basis import ColumnBasis
from superpose.train.anova.classes import ClassFit, ClassMixture, fit_anova_classes, leave_one_out
from superpose.train.anova.fit import AnovaSettings, column_bases
from superpose.train.anova.folds import apart, chooses_pairs, in_order
from superpose.train.anova.selection import (
    CONSTANT,
    STRUCTURES,
    degree_of,
    finite_mean,
    shares,
)
from superpose.train.anova.variables import log_columns


@dataclass(frozen=True)
class ClassSelectionRules:
    """Constants of the choice.

    Attributes:
        doubt: rows for each degree of complexity, as for numbers.
        power: the weight of a candidate is ``exp(-power * loss)`` of its summed losses.
        weight: share below which a candidate does not enter the mean.
        same: fits whose probabilities differ by less on average are one candidate.
        work: multiplications of a Newton step beyond which a candidate is left out: half a second on a slow core, and a
            fit has up to a hundred steps.
        cheap: up to which the first candidate is finished even if the time is over,
        many: unless there are more folds than this.
        rare: probabilities are kept this far from 0, for the logarithm.
    """

    doubt: float = 30.0
    power: float = 0.5
    weight: float = 0.05
    same: float = 1e-4
    work: float = 1e9
    cheap: float = 5e8
    many: int = 10
    rare: float = 1e-12


RULES = ClassSelectionRules()


@dataclass(frozen=True)
class TriedClasses:
    """A candidate, judged by cross-validation.

    Attributes:
        settings: what was fitted.
        logs: ``[M, K]``, logarithms of the classes' probabilities at the rows that were predicted.
        losses: ``[M]``, the rows' negative log-likelihoods, times their weights of mean 1.
    """

    settings: AnovaSettings
    logs: Tensor
    losses: Tensor

    @property
    def mean_loss(self) -> float:
        """Infinite where a prediction is not finite."""
        return finite_mean(self.losses)


@dataclass(frozen=True)
class ClassChoice:
    """What :func:`choose_anova_classes` returns.

    Attributes:
        fit: the mean of the candidates in the chosen variables, fitted to all rows of the folds; each weighs as much
            as its losses make it probable.
        chosen: the best single candidate.
        rows: ``[M]``, the rows that cross-validation predicted, several times where folds were repeated.
        logs: ``[M, K]``, logarithms of the classes' probabilities there, by ``fit``.
        losses: ``[M]``, the rows' negative log-likelihoods, times their weights of mean 1.
        tried: all candidates.
        fits: of all candidates, to all rows.
    """

    fit: ClassMixture
    chosen: TriedClasses
    rows: Tensor
    logs: Tensor
    losses: Tensor
    tried: list[TriedClasses] = field(repr=False)
    fits: dict[AnovaSettings, ClassFit] = field(repr=False)

    def single(self, one: TriedClasses) -> ClassChoice:
        """The choice of one candidate alone."""
        fit = ClassMixture(((1.0, self.fits[one.settings]),))
        return replace(self, fit=fit, chosen=one, logs=one.logs, losses=one.losses)


def choose_anova_classes(
    x: Tensor,
    y: Tensor,
    head: Head,
    folds: Sequence[Fold] | None,
    *,
    weights: Tensor | None = None,
    structures: Sequence[AnovaSettings] = STRUCTURES[:-1],
    late: Callable[[], bool] = lambda: False,
) -> ClassChoice | None:
    """Choose and fit scores for the rows of ``x [N, d]`` and the head's targets ``y [N, S]`` that the folds hold.

    Args:
        head: as for :func:`fit_anova_classes`.
        folds: training and test rows of each; of several repetitions where rows are few. If None, each row is
            predicted by the others at the strengths of all: one fit instead of six, which knows the rows a little.
        weights: ``[N]``, how often each row counts, up to a factor.
        structures: which functions are tried, the simplest first.
        late: whether the time is over: then no further candidate is tried, beyond the first.

    Returns:
        None if there are so many columns and classes that even straight lines would take minutes, or so many folds that
        the time was over before one candidate was judged.
    """
    kind = _Selection if folds is not None else _LeaveOneOut
    rows = torch.arange(len(x))
    search = kind(x, y, head, [(rows[:0], rows)] if folds is None else folds, weights, late)
    logs = log_columns(x)
    variables: list[tuple[int, ...]] = [(), logs] if logs else [()]
    for structure in [one for one in structures if one in _FIRST] or structures[:1]:
        for columns in variables:
            search.judge(replace(structure, log_columns=columns))
    if not search.tried:
        return None
    chosen = search.best().settings.log_columns
    for structure in structures:
        search.judge(replace(structure, log_columns=chosen))
    best = search.best()
    mixed, constant = search.weighed(best), search.cross_validated(CONSTANT, _never)
    if constant is not None and constant.mean_loss <= best.mean_loss:
        mixed = [(1.0, constant)]
    mixture = ClassMixture(tuple((weight, search.fits[one.settings]) for weight, one in mixed))
    mean = torch.stack([weight * one.logs for weight, one in mixed]).sum(0).log_softmax(-1)
    return ClassChoice(mixture, mixed[0][1], search.rows, mean, search.losses(mean), search.tried, search.fits)


# Which variables are best is asked of straight lines and of curves.
_FIRST = (STRUCTURES[0], STRUCTURES[2])


def _never() -> bool:
    return False


class _Selection:
    def __init__(
        self,
        x: Tensor,
        y: Tensor,
        head: Head,
        folds: Sequence[Fold],
        weights: Tensor | None,
        late: Callable[[], bool],
    ) -> None:
        self.x, self.y, self.head, self.folds, self.weights, self.late = x, y, head, folds, weights, late
        self.tried: list[TriedClasses] = []
        self.fits: dict[AnovaSettings, ClassFit] = {}
        self.all = torch.unique(torch.cat([torch.cat(fold) for fold in folds]))
        self.rows = torch.cat([test for _, test in folds])
        self.made: dict[tuple[int, tuple[int, ...]], list[ColumnBasis]] = {}
        self.targets = class_shares(head, y[self.rows])

    def judge(self, settings: AnovaSettings) -> None:
        """Add a candidate, unless it was, it would take too long, or the time is over."""
        if any(one.settings == settings for one in self.tried) or (self.tried and self.late()):
            return
        if (self.x.shape[1] == 1 and settings.interactions) or self._work(settings) > RULES.work:
            return
        first = not self.tried and self._work(settings) <= RULES.cheap and len(self.folds) <= RULES.many
        found = self.cross_validated(settings, _never if first else self.late)
        if found is not None:
            self.tried.append(found)

    def cross_validated(self, settings: AnovaSettings, late: Callable[[], bool]) -> TriedClasses | None:
        """A candidate with its losses; None if the time ends before, or if it is the same as a simpler one."""
        whole = self._fitted(-1, self.all, settings, None, late)
        if self._known(whole):
            return None
        predicted = self._predicted(settings, whole, late)
        if predicted is None:
            return None
        self.fits[settings] = whole
        return TriedClasses(settings, predicted, self.losses(predicted))

    def _predicted(self, settings: AnovaSettings, whole: ClassFit, late: Callable[[], bool]) -> Tensor | None:
        """Log-probabilities ``[M, K]`` by fits to other rows; None if the time ends before."""
        return self._by_folds(self.folds, settings, whole, late)

    def _by_folds(
        self, folds: Sequence[Fold], settings: AnovaSettings, whole: ClassFit, late: Callable[[], bool]
    ) -> Tensor | None:
        logs = []
        for number, (train, test) in enumerate(folds):
            if late():
                return None
            fit = self._fitted(number, train, settings, whole, late)
            logs.append(log_probabilities(fit.head, fit.scores(self.x[test])))
        return torch.cat(logs)

    def _known(self, fit: ClassFit) -> bool:
        """Whether a simpler candidate is the same, as where the rows leave nothing of the curves."""
        probabilities = fit.head.probabilities(fit.scores(self.x[self.all]))
        for other in self.fits.values():
            known = other.head.probabilities(other.scores(self.x[self.all]))
            if float((probabilities - known).abs().mean()) < RULES.same:
                return True
        return False

    def losses(self, logs: Tensor) -> Tensor:
        """``[M]`` negative log-likelihoods of the predicted rows, times their weights of mean 1."""
        found = -(self.targets * logs).sum(1)
        return found if self.weights is None else found * self.weights[self.rows] / self.weights[self.rows].mean()

    def _fitted(
        self, number: int, rows: Tensor, settings: AnovaSettings, start: ClassFit | None, late: Callable[[], bool]
    ) -> ClassFit:
        part = None if self.weights is None else self.weights[rows]
        bases = self._bases(number, rows, settings)
        return fit_anova_classes(
            self.x[rows], self.y[rows], self.head, settings, weights=part, bases=bases, start=start, late=late
        )

    def _work(self, settings: AnovaSettings) -> float:
        """Multiplications of a Newton step."""
        basis = self._bases(-1, self.all, settings)
        size = sum(len(one.roughness) for one in basis)
        if settings.interactions:
            pairs = len(basis) * (len(basis) - 1) // 2
            size += min(pairs, settings.most_pairs) * settings.order**2
        size, rows = size * max(1, self.head.n_scores - 1), len(self.all) * self.head.n_scores
        if rows < size:
            return float(rows**2 * size)
        # The blocks of two scores, each of all rows, and the inverse.
        return float(size**2 * len(self.all) / 2 + size**3)

    def _bases(self, number: int, train: Tensor, settings: AnovaSettings) -> list[ColumnBasis]:
        key = number, settings.log_columns
        if key not in self.made:
            self.made[key] = column_bases(self.x[train], replace(settings, curves=True))
        made = self.made[key]
        return made if settings.curves else [basis.line() for basis in made]

    def log_weight(self, one: TriedClasses) -> float:
        """Logarithm of a candidate's weight: by its losses, and by its complexity."""
        rows = len(self.all)
        return -RULES.power * rows * one.mean_loss - RULES.doubt * degree_of(one.settings) / rows

    def best(self) -> TriedClasses:
        """The candidate that weighs most."""
        return max(self.tried, key=self.log_weight)

    def weighed(self, best: TriedClasses) -> list[tuple[float, TriedClasses]]:
        """The candidates in the variables of the best with their weights, the best first, and none without weight."""
        alike = [one for one in self.tried if one.settings.log_columns == best.settings.log_columns]
        weights = shares([self.log_weight(one) for one in alike])
        kept = [(w, one) for w, one in zip(weights, alike, strict=True) if w > RULES.weight]
        total = sum(w for w, _ in kept)
        return sorted(((w / total, one) for w, one in kept), key=lambda pair: -pair[0])


class _LeaveOneOut(_Selection):
    """As its base, with the leave-one-out scores of one fit to all rows in place of folds.

    Candidates whose pairs are chosen are judged by folds all the same, as for numbers.
    """

    def _predicted(self, settings: AnovaSettings, whole: ClassFit, late: Callable[[], bool]) -> Tensor | None:
        if chooses_pairs(settings, self.x.shape[1]):
            folds = apart(self.y)
            found = self._by_folds(folds, settings, whole, late)
            return None if found is None else in_order(found, folds)
        return log_probabilities(whole.head, leave_one_out(whole, self.x, self.y, self.weights))


def class_shares(head: Head, y: Tensor) -> Tensor:
    """``[N, K]``: the classes of the head's targets ``y [N, S]`` as probabilities, 0 and 1 unless labels are soft."""
    if head.kind == "softmax":
        return y
    if head.kind == "ordinal":
        return torch.nn.functional.one_hot(head.indices(y), len(head.classes)).to(y)
    return torch.cat([1 - y, y], 1)


def log_probabilities(head: Head, scores: Tensor) -> Tensor:
    """``[N, K]`` logarithms of the classes' probabilities."""
    return head.probabilities(scores).clamp(min=RULES.rare).log()
