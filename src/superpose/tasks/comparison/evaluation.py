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
from superpose.tasks.comparison.fitted import Fits, TrainingRows
from superpose.tasks.comparison.folds import Fold, FoldPlan
from superpose.tasks.comparison.methods import Method
from superpose.tasks.comparison.table import ComparisonTable

Listener = Callable[[str], None]
Place = tuple[int, int]

# Share of a method's time that folds drawn again may take; the rest goes to the methods after it.
_REPEATING = 0.5
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


class Evaluation:
    """The cross-validation of some methods.

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
        self.records = {method.name: Record(method) for method in methods}
        self.interrupted = False
        self._unit = table.deviation

    def run(self) -> list[Record]:
        """All methods; after an interruption those that were judged until then.

        Raises:
            KeyboardInterrupt: if a user interrupts before any method was judged.
        """
        groups: dict[Callable[[TrainingRows], Fits], list[Record]] = {}
        for record in self.records.values():
            groups.setdefault(record.method.fit, []).append(record)
        waiting = len(self.records)
        try:
            for group in groups.values():
                self._judge(group, self.deadline.share(len(group) / waiting))
                waiting -= len(group)
        except KeyboardInterrupt:
            self.interrupted = True
            self._end()
            if all(record.failure for record in self.records.values()):
                raise
        return list(self.records.values())

    def _judge(self, group: list[Record], share: Deadline) -> None:
        """Methods that share a fit: all folds once, and again where that is quick."""
        first = self.plan.repetitions[0]
        for fold in first:
            if share.passed():
                done = f"its share of the time limit was over after {fold.number} of {counted(len(first), 'fold')}"
                _fail(group, done)
            if all(record.failure for record in group):
                return
            self._fold(group, fold, share.share(1 / (len(first) - fold.number)))
        if not all(record.method.repeated for record in group):
            return
        again = share.share(_REPEATING)
        for folds in self.plan.repetitions[1:]:
            # As long as the last repetition took.
            if sum(group[0].seconds[-len(first) :]) > again.left() or all(record.failure for record in group):
                return
            for fold in folds:
                self._fold(group, fold, share)

    def _fold(self, group: list[Record], fold: Fold, deadline: Deadline) -> None:
        names = ", ".join(record.method.label for record in group if not record.failure)
        more = f", drawn again ({fold.repetition})" if fold.repetition else ""
        self.tell(f"{names}: fold {fold.number + 1} of {self.plan.count}{more}")
        table, clock = self.table, Deadline()
        rows = TrainingRows(
            table.x[fold.train],
            table.y[fold.train],
            table.feature_names,
            table.target,
            table.classes,
            table.numeric,
            self.seed,
            deadline,
        )
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
                record.failure = record.failure or f"{fit} {where}"
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

    def _end(self) -> None:
        """After an interruption: methods without all folds were not judged, and half repetitions do not count."""
        for record in self.records.values():
            whole = {
                folds[0].repetition
                for folds in self.plan.repetitions
                if all((fold.repetition, fold.number) in record.losses for fold in folds)
            }
            record.losses = {place: loss for place, loss in record.losses.items() if place[0] in whole}
            if not record.losses and not record.failure:
                record.failure = "interrupted"


def _fail(group: list[Record], reason: str) -> None:
    for record in group:
        record.failure = record.failure or reason


def _reason(error: Exception) -> str:
    """A failure on one line: a sentence of superpose's as it is, others with their kind."""
    text = " ".join(str(error).split())
    if not isinstance(error, SuperposeError):
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
