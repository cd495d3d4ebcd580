"""The folds that all methods share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing
import torch
from torch import Tensor

from superpose.data import splitting
from superpose.data.tables import FloatArray
from superpose.short_repr import brief

IndexArray = numpy.typing.NDArray[np.int64]

# Seeds of later drawings are this far from those that a user would choose for another comparison. A prime number; torch
# reads 32 bits of a seed.
_NEXT_DRAWING, _SEEDS = 1_000_003, 2**32


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
    predictions: int = 500
    repetitions: int = 5


RULES = FoldRules()


@dataclass(frozen=True, eq=False)
class Fold:
    """One division of the rows.

    Attributes:
        repetition: which drawing of folds it belongs to.
        number: within the repetition.
        train, test: indices of rows, ascending.
    """

    __repr__ = brief

    repetition: int
    number: int
    train: IndexArray
    test: IndexArray


@dataclass(frozen=True, eq=False)
class FoldPlan:
    """Folds of a table, drawn once or more often.

    Attributes:
        repetitions: lists of folds; a row is a test row of at most one fold of each list.
    """

    repetitions: tuple[tuple[Fold, ...], ...]

    @property
    def count(self) -> int:
        """Folds of one drawing."""
        return len(self.repetitions[0])

    @property
    def folds(self) -> tuple[Fold, ...]:
        """Those of all drawings."""
        return tuple(fold for folds in self.repetitions for fold in folds)


@dataclass(frozen=True, eq=False)
class _AllRows:
    """What :func:`superpose.data.splitting.folds` reads: all rows are for training and validation."""

    y: Tensor
    train: Tensor
    validation: Tensor
    groups: Tensor | None
    order: Tensor | None


def plan(
    y: FloatArray, cv: int | None, seed: int, *, groups: Tensor | None = None, order: Tensor | None = None
) -> FoldPlan:
    """Folds for a target ``y [N]``, numbers or numbers of classes; classes are spread evenly over the folds.

    Args:
        cv: how many, or None.
        seed: of the order in which rows are dealt out.
        groups, order: as those of :class:`~superpose.Dataset`.

    Raises:
        DataError: if there are too few groups or times.

    >>> made = plan(np.arange(20.0), None, seed=0)
    >>> made.count, len(made.repetitions), [len(fold.test) for fold in made.repetitions[0]]
    (5, 5, [4, 4, 4, 4, 4])
    >>> plan(np.arange(12.0), None, seed=0).count
    12
    """
    every = torch.arange(len(y))
    rows = _AllRows(torch.from_numpy(y)[:, None], every, every[:0], groups, order)
    count = (len(y) if len(y) < RULES.leave_one_out else RULES.folds) if cv is None else cv
    first = splitting.folds(rows, count, seed)
    # Folds of one row each, and folds in time, are the same however often they are drawn.
    same = len(first) == len(y) or order is not None
    often = 1 if same else min(max(1, round(RULES.predictions / len(y))), RULES.repetitions)
    drawn = [first] + [
        splitting.folds(rows, count, (seed + again * _NEXT_DRAWING) % _SEEDS) for again in range(1, often)
    ]
    return FoldPlan(
        tuple(
            tuple(Fold(repetition, number, a.numpy(), b.numpy()) for number, (a, b) in enumerate(folds))
            for repetition, folds in enumerate(drawn)
        )
    )
