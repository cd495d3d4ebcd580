"""Every method on the same folds, within its share of the time."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from superpose.deadline import Deadline
from superpose.messages import counted
from superpose.parallel import Lost, work_off
from superpose.tasks.comparison.fitted import Fit
from superpose.tasks.comparison.fold_fits import FoldAnswer, FoldJob, Judged, judge
from superpose.tasks.comparison.folds import Fold, FoldPlan
from superpose.tasks.comparison.methods import Method
from superpose.tasks.comparison.table import ComparisonTable

Listener = Callable[[str], None]
Place = tuple[int, int]

# A method is judged on folds that are drawn again if its fits take no more seconds than this. A round number.
_QUICK = 5.0
# With fewer folds there is no standard error.
_LEAST_FOLDS = 2


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
        tell: called with a short sentence before each fit; where several run, after it.
        processes: fits at a time.
    """

    def __init__(
        self,
        table: ComparisonTable,
        plan: FoldPlan,
        methods: Sequence[Method],
        seed: int,
        deadline: Deadline,
        tell: Listener,
        processes: int = 1,
    ) -> None:
        self.table, self.plan, self.seed, self.deadline, self.tell = table, plan, seed, deadline, tell
        self.records = [Record(method) for method in methods]
        self.interrupted, self.processes = False, processes
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
        enough = len(folds) * sum(group.expected for group in quick) <= self.deadline.left() * self.processes
        return quick if enough else []

    def _draw(self, folds: tuple[Fold, ...], groups: list[Group]) -> None:
        if self.processes > 1:
            self._draw_side_by_side(folds, groups)
            return
        for group in groups:
            group.waiting = len(folds)
        for fold in folds:
            for group in groups:
                if self.deadline.passed():
                    return
                if group.judged:
                    self.tell(self._said(group, fold))
                    self._note(group, fold, judge(self._job(group, fold, self._allowance(group, groups))))
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

    def _job(self, group: Group, fold: Fold, seconds: float) -> FoldJob:
        names = tuple(record.method.name for record in group.records if not record.failure)
        return FoldJob(self.table, fold, group.records[0].method.fit, names, self.seed, seconds)

    def _said(self, group: Group, fold: Fold) -> str:
        names = ", ".join(record.method.label for record in group.records if not record.failure)
        again = f", drawn again ({fold.repetition})" if fold.repetition else ""
        return f"{names}: fold {fold.number + 1} of {self.plan.count}{again}"

    def _note(self, group: Group, fold: Fold, answer: FoldAnswer) -> None:
        """Record what a fit gave on a fold."""
        group.seconds.append(answer.seconds)
        for record in group.records:
            if record.failure:
                continue
            found = answer.methods[record.method.name]
            if found.failure:
                record.failure = f"{found.failure} (in fold {fold.number + 1} of {self.plan.count})"
                continue
            record.losses[fold.repetition, fold.number] = found.loss
            record.seconds.append(found.seconds)
            record.sizes += [] if found.size is None else [found.size]
            record.notes += [found.note] if found.note else []

    def _draw_side_by_side(self, folds: tuple[Fold, ...], groups: list[Group]) -> None:
        """The folds of a drawing in several processes, each fit within an even share of their time.

        What is found is recorded in the order of the folds, as if they had been fitted one after another.
        """
        places = [(fold, group) for fold in folds for group in groups if group.judged]
        if not places:
            return
        even = self.deadline.left() * self.processes / sum(len(group.records) for _, group in places)

        def jobs() -> Iterator[FoldJob]:
            for fold, group in places:
                if self.deadline.passed():
                    return
                yield self._job(group, fold, even * len(group.records))

        answers: dict[int, FoldAnswer] = {}
        try:
            with contextlib.closing(work_off(judge, jobs(), n_jobs=self.processes)) as found:
                for number, answer in found:
                    fold, group = places[number]
                    self.tell(self._said(group, fold))
                    lost = answer.reason if isinstance(answer, Lost) else ""
                    names = [record.method.name for record in group.records]
                    failed = FoldAnswer(dict.fromkeys(names, Judged(failure=lost)), 0.0)
                    answers[number] = failed if isinstance(answer, Lost) else answer
        finally:
            for number in sorted(answers):
                fold, group = places[number]
                if group.judged:
                    self._note(group, fold, answers[number])

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
