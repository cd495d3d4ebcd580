"""Which method to use: the best by cross-validation, or a simpler one that is as good.

Two methods are compared by the differences of their losses on the folds that both were judged on, since what makes a
fold hard makes it hard for both. The training rows of folds overlap, so the variance of the mean difference is larger
than that of independent differences: Nadeau and Bengio, *Inference for the generalization error*, 2003, replace `1/J`
by `1/J + n_test/n_train` for J folds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from superpose.data.tables import FloatArray
from superpose.tasks.comparison.evaluation import Place, Record
from superpose.tasks.comparison.folds import FoldPlan


@dataclass(frozen=True)
class ChoiceRule:
    """When a method counts as good as another one.

    Attributes:
        errors: the mean difference of their losses is at most so many of its standard errors, and
        margin: its error is at most this share larger; for classes so many more rows are wrong, as a share of all.
        exact: errors below this, in units of the target's standard deviation, count as none.

    On 88 splits of 22 tables of ``benchmarks/comparison/tables.csv`` (four splits each, at most 520 rows; mean, line,
    ridge, forest, boosting and Gaussian process, five folds drawn up to twice) the named method was within 2% of the
    best one on the rows held out in 59% of the splits, as often as that of the least cross-validated error; its error
    was 8.0% larger than the least one in the geometric mean, 7.7% for the least cross-validated error. Without the
    margin these are 59% and 9.8%. Even the method that is best on average over the four splits of a table is within 2%
    on 75% of them.
    """

    errors: float = 1.0
    margin: float = 0.02
    exact: float = 1e-6


RULE = ChoiceRule()


@dataclass(frozen=True)
class Difference:
    """Of the losses of two methods: the mean over their common folds and its standard error."""

    mean: float
    standard_error: float


@dataclass(frozen=True)
class Choice:
    """Which method to use.

    Attributes:
        named: the method to use.
        best: that of the least error.
        ties: methods as good as the best, the named one and the best left out, least error first.
    """

    named: str
    best: str
    ties: tuple[str, ...]


class Losses:
    """The losses of methods on common folds.

    Args:
        records: of methods that were judged.
        plan: of the folds.
    """

    def __init__(self, records: Sequence[Record], plan: FoldPlan) -> None:
        self.records = {record.method.name: record for record in records}
        self.plan = plan
        weights = {(fold.repetition, fold.number): float(len(fold.test)) for fold in plan.folds}
        mean = float(np.mean([weights[0, number] for number in range(plan.count)]))
        # Folds may differ by one row. Weighted so, the mean over folds is the mean over rows.
        self._weights = {place: weight / mean for place, weight in weights.items()}
        # Test rows over training rows: 1/(K - 1) for K folds.
        self._ratio = float(np.mean([len(fold.test) / len(fold.train) for fold in plan.folds]))
        self.means = self._means()

    def difference(self, first: str, second: str) -> Difference:
        """Loss of the first method less that of the second."""
        one, two = (self.records[name].losses for name in (first, second))
        common = [place for place in one if place in two]
        return self._mean({place: one[place] - two[place] for place in common}, common)

    def standard_error(self, name: str) -> float:
        """That of the mean loss of a method."""
        losses = self.records[name].losses
        return self._mean(losses, list(losses)).standard_error

    def _mean(self, losses: Mapping[Place, float], places: Sequence[Place]) -> Difference:
        values = self._weighted(losses, places)
        if len(values) < 2:
            return Difference(float(values.mean()), math.inf)
        overlap = 1 / len(values) + self._ratio
        return Difference(float(values.mean()), math.sqrt(float(values.var(ddof=1)) * overlap))

    def _weighted(self, losses: Mapping[Place, float], places: Sequence[Place]) -> FloatArray:
        return np.array([losses[place] * self._weights[place] for place in places])

    def _means(self) -> dict[str, float]:
        """The mean loss of each method over all folds.

        Where a method was judged on fewer folds than others, its mean is multiplied by how much harder all folds are
        than its own, for the median of the methods that were judged on all.
        """
        most = max(self.records.values(), key=lambda record: len(record.losses)).losses
        whole = [record.losses for record in self.records.values() if record.losses.keys() == most.keys()]
        middle = {place: float(np.median([losses[place] for losses in whole])) for place in most}
        means = {}
        for name, record in self.records.items():
            mean = float(self._weighted(record.losses, list(record.losses)).mean())
            own = float(self._weighted(middle, [place for place in record.losses if place in middle]).mean())
            if record.losses.keys() != most.keys() and own > 0:
                mean *= float(self._weighted(middle, list(middle)).mean()) / own
            means[name] = mean
        return means


def choose(losses: Losses, classes: bool, rule: ChoiceRule = RULE) -> Choice:
    """The method to use."""
    order = sorted(losses.means, key=lambda name: (losses.means[name], _simplicity(losses.records[name])))
    best = order[0]
    equal = [name for name in order if name == best or _as_good(losses, name, best, classes, rule)]
    level = {name: losses.records[name].method.level for name in order}
    readable = [name for name in equal if level[name] < level[best] or (level[name] == level[best] and name == best)]
    named = min(readable, key=lambda name: _simplicity(losses.records[name]))
    return Choice(named, best, tuple(name for name in equal if name not in (named, best)))


def _simplicity(record: Record) -> tuple[int, float]:
    return record.method.level, math.inf if record.size is None else record.size


def _as_good(losses: Losses, name: str, best: str, classes: bool, rule: ChoiceRule) -> bool:
    """Whether a method is as good as the best one by the rule."""
    least, mean = losses.means[best], losses.means[name]
    if not classes and math.sqrt(mean) <= rule.exact:
        return True
    apart = losses.difference(name, best)
    close = mean - least <= rule.margin if classes else math.sqrt(mean) <= (1 + rule.margin) * math.sqrt(least)
    return close and apart.mean <= rule.errors * apart.standard_error
