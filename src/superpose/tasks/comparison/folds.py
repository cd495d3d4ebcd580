"""The folds that all methods share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing

from superpose.data.tables import FloatArray

IndexArray = numpy.typing.NDArray[np.int64]


@dataclass(frozen=True)
class FoldRules:
    """How many folds there are. Round numbers.

    Attributes:
        folds: of a table, if not asked for otherwise.
        leave_one_out: tables of fewer rows have a fold for each row: every training row is needed.
        predictions: folds are drawn anew, for methods that are quick, until about so many rows have been predicted,
        repetitions: but not more often than this.
    """

    folds: int = 5
    leave_one_out: int = 15
    predictions: int = 1000
    repetitions: int = 10


RULES = FoldRules()


@dataclass(frozen=True, eq=False)
class Fold:
    """One division of the rows.

    Attributes:
        repetition: which drawing of folds it belongs to.
        number: within the repetition.
        train, test: indices of rows, ascending.
    """

    repetition: int
    number: int
    train: IndexArray
    test: IndexArray


@dataclass(frozen=True, eq=False)
class FoldPlan:
    """Folds of a table, drawn once or more often.

    Attributes:
        count: folds of a repetition.
        repetitions: lists of folds; each row is a test row of one fold of each list.
    """

    count: int
    repetitions: tuple[tuple[Fold, ...], ...]

    @property
    def folds(self) -> tuple[Fold, ...]:
        """Those of all repetitions."""
        return tuple(fold for folds in self.repetitions for fold in folds)


def plan(y: FloatArray, classes: int, cv: int | None, seed: int) -> FoldPlan:
    """Folds for a target ``y [N]``; the rows of each of ``classes`` classes are spread evenly over them.

    >>> made = plan(np.arange(20.0), 0, None, seed=0)
    >>> made.count, len(made.repetitions), [len(fold.test) for fold in made.repetitions[0]]
    (5, 10, [4, 4, 4, 4, 4])
    >>> plan(np.arange(12.0), 0, None, seed=0).count
    12
    """
    rows = len(y)
    wanted = (rows if rows < RULES.leave_one_out else RULES.folds) if cv is None else cv
    count = min(wanted, rows)
    # Folds of one row each are the same, however often they are drawn.
    often = 1 if count == rows else min(max(1, round(RULES.predictions / rows)), RULES.repetitions)
    return FoldPlan(count, tuple(_drawn(y, classes, count, seed, repetition) for repetition in range(often)))


def _drawn(y: FloatArray, classes: int, count: int, seed: int, repetition: int) -> tuple[Fold, ...]:
    generator = np.random.default_rng([seed, repetition])
    groups = [np.flatnonzero(y == number) for number in range(classes)] if classes else [np.arange(len(y))]
    order = np.concatenate([generator.permutation(group) for group in groups])
    # Dealt like cards, class by class.
    place = np.empty(len(y), dtype=np.int64)
    place[order] = np.arange(len(y)) % count
    parts = [(np.flatnonzero(place != number), np.flatnonzero(place == number)) for number in range(count)]
    return tuple(Fold(repetition, number, train, test) for number, (train, test) in enumerate(parts))
