"""Every method on the same folds, within its share of the time."""

from __future__ import annotations

import math
import statistics
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from superpose.data.tables import FloatArray
from superpose.deadline import Deadline
from superpose.errors import SuperposeError
from superpose.messages import counted
from superpose.tasks.comparison.fitted import Fit, TrainingRows
from superpose.tasks.comparison.folds import Fold, FoldPlan
from superpose.tasks.comparison.methods import Method
from superpose.tasks.comparison.table import ComparisonTable

Listener = Callable[[str], None]
Place = tuple[int, int]

# A method is judged on folds that are drawn again if its fits take no more seconds than this. A round number.
_QUICK = 5.0
# With fewer folds there is no standard error.
_LEAST_FOLDS = 2
# Of a reason: a line of a terminal or two.
_LONGEST = 160


@dataclass
class Record:
    """What is known of one method.

    Attributes:
        method: which.
        losses: by repetition and number of the fold: the mean squared error on the test rows in units of the target's
            variance, or the share of test rows whose class is wrong.
        sizes, seconds, notes: of the fits.
        failure: why the method is not judged; empty if it is.
    """

    method: Method
    losses: dict[Place, float] = field(default_factory=dict)
    sizes: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failure: str = ""

    @property
    def size(self) -> float | None:
        """The median over the fits."""
        return statistics.median(self.sizes) if self.sizes else None


@dataclass
class Group:
    """Methods that share a fit.

    Attributes:
        records: of the methods, in their order.
        waiting: fits that are still to come.
        seconds: of the fits until now.
    """

    records: list[Record]
    waiting: int = 0
    seconds: list[float] = field(default_factory=list)

    @property
    def judged(self) -> bool:
        """Whether a method of the group has not failed."""
        return any(not record.failure for record in self.records)

    @property
    def expected(self) -> float:
        """Seconds of the next fit."""
        return statistics.fmean(self.seconds)


class Evaluation:
    """The cross-validation of some methods.

    Fold by fold, all methods are fitted, so that all have been judged on the same folds when the time is over.

    Args:
        table: all rows.
        plan: the folds.
        methods: in the order in which they are fitted.
        seed: of every random choice of a method.
        deadline: of everything.
        tell: called with a short sentence before each fit.
    """

    def __init__(
        self,
        table: ComparisonTable,
        plan: FoldPlan,
        methods: Sequence[Method],
        seed: int,
        deadline: Deadline,
        tell: Listener,
    ) -> None:
        self.table, self.plan, self.seed, self.deadline, self.tell = table, plan, seed, deadline, tell
        self.records = [Record(method) for method in methods]
        self.interrupted = False
        self._unit = table.deviation
        by_fit: dict[Fit, list[Record]] = {}
        for record in self.records:
            by_fit.setdefault(record.method.fit, []).append(record)
        self._groups = [Group(records) for records in by_fit.values()]

    def run(self) -> list[Record]:
        """All methods; after an interruption, or when the time is over, those that were judged until then.

        Raises:
            KeyboardInterrupt: if a user interrupts before any method was judged.
        """
        reason = f"the time was over before {counted(min(_LEAST_FOLDS, self.plan.count), 'fold')} had been judged"
        try:
            for folds in self.plan.repetitions:
                groups = self._affordable(folds)
                self._draw(folds, groups)
        except KeyboardInterrupt:
            self.interrupted, reason = True, "interrupted"
        self._keep_whole_folds(reason)
        if self.interrupted and all(record.failure for record in self.records):
            raise KeyboardInterrupt
        return self.records

    def _affordable(self, folds: tuple[Fold, ...]) -> list[Group]:
        """The methods to judge on a drawing: all on the first, later those that are quick if the time is enough."""
        if folds[0].repetition == 0:
            return self._groups
        quick = [group for group in self._groups if group.seconds and group.expected <= _QUICK]
        enough = len(folds) * sum(group.expected for group in quick) <= self.deadline.left()
        return quick if enough else []

    def _draw(self, folds: tuple[Fold, ...], groups: list[Group]) -> None:
        for group in groups:
            group.waiting = len(folds)
        for fold in folds:
            for group in groups:
                if self.deadline.passed():
                    return
                if group.judged:
                    clock = Deadline()
                    self._fold(group.records, fold, Deadline(self._allowance(group, groups)))
                    group.seconds.append(clock.elapsed())
                group.waiting -= 1

    def _allowance(self, group: Group, groups: list[Group]) -> float:
        """Seconds for the next fit: an even share of what is left, and what the other methods do not need."""
        left = self.deadline.left()
        fits = sum(len(one.records) * one.waiting for one in groups if one.judged)
        share = left * len(group.records) / fits
        others = 0.0
        for one in groups:
            if one is not group and one.judged:
                even = left * len(one.records) / fits
                others += one.waiting * (min(one.expected, even) if one.seconds else even)
        return max(share, (left - others) / group.waiting)

    def _fold(self, group: list[Record], fold: Fold, deadline: Deadline) -> None:
        names = ", ".join(record.method.label for record in group if not record.failure)
        again = f", drawn again ({fold.repetition})" if fold.repetition else ""
        self.tell(f"{names}: fold {fold.number + 1} of {self.plan.count}{again}")
        table, clock = self.table, Deadline()
        rows = TrainingRows(
            table.x,
            table.y,
            table.feature_names,
            table.target,
            table.classes,
            table.numeric,
            self.seed,
            deadline,
            table.groups,
            table.order,
        ).chosen(fold.train)
        where = f"in fold {fold.number + 1} of {self.plan.count}"
        try:
            # Warnings of packages about constants at their bounds and steps that were not enough.
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                fits = group[0].method.fit(rows)
        except Exception as error:
            _fail(group, f"{_reason(error)} ({where})")
            return
        fitting = clock.elapsed()
        for record in group:
            fit = fits[record.method.name]
            if record.failure or isinstance(fit, str):
                record.failure = record.failure or f"{fit} ({where})"
                continue
            clock = Deadline()
            loss, record.failure = self._loss(fit.predict, fold)
            if record.failure:
                record.failure += f" ({where})"
                continue
            record.losses[fold.repetition, fold.number] = loss
            record.seconds.append(fitting + clock.elapsed())
            record.sizes += [] if fit.size is None else [fit.size]
            record.notes += [fit.note] if fit.note else []

    def _loss(self, predict: Callable[[FloatArray], FloatArray], fold: Fold) -> tuple[float, str]:
        """The mean loss on the test rows of a fold, or why there is none."""
        x, y = self.table.x[fold.test], self.table.y[fold.test]
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                found = np.asarray(predict(x), dtype=np.float64).reshape(-1)
                errors = found != y if self.table.classes else np.square((found - y) / self._unit)
        except Exception as error:
            return math.nan, _reason(error)
        lost = int((~np.isfinite(found)).sum())
        if lost:
            return math.nan, f"no finite prediction for {lost} of {counted(len(y), 'row')}"
        loss = float(errors.mean())
        return loss, "" if math.isfinite(loss) else "predictions too large to be squared"

    def _keep_whole_folds(self, reason: str) -> None:
        """When the time was over, or after an interruption, folds count that all methods were judged on."""
        judged = [record for record in self.records if not record.failure]
        first = [(0, fold.number) for fold in self.plan.repetitions[0]]
        common = [place for place in first if all(place in record.losses for record in judged)]
        if len(common) < min(_LEAST_FOLDS, len(first)):
            # Methods whose turn came are judged by themselves, if they got far enough.
            common = [place for place in first if any(place in record.losses for record in judged)]
        for record in judged:
            whole = self._whole_drawings(record)
            kept = {place: loss for place, loss in record.losses.items() if place[0] in whole or place in common}
            record.losses = kept
            if sum(place in kept for place in first) < min(_LEAST_FOLDS, len(first)):
                record.failure = reason

    def _whole_drawings(self, record: Record) -> set[int]:
        """Later drawings, all folds of which a method was judged on."""
        return {
            folds[0].repetition
            for folds in self.plan.repetitions[1:]
            if all((fold.repetition, fold.number) in record.losses for fold in folds)
        }


def _fail(group: list[Record], reason: str) -> None:
    for record in group:
        record.failure = record.failure or reason


def _reason(error: Exception) -> str:
    """A failure on one line: a sentence of superpose's as it is, others with their kind."""
    text = " ".join(str(error).split())
    if not isinstance(error, SuperposeError):
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
