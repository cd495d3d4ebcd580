"""The split of a table's rows into training, validation and test, and folds for cross-validation.

Rows are dealt out in blocks: single rows in random order, groups in random order, or times in their own. The first
blocks are for training, the last for the test.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from superpose.checks import check_seed, check_whole
from superpose.errors import DataError, OptionError
from superpose.messages import counted


@dataclass(frozen=True)
class HoldOut:
    """How many rows are held out where nothing is said.

    Attributes:
        rows: of a table from which on rows are held out. A round number: 15% of 500 rows give an RMSE with a relative
            standard deviation of 1 / sqrt(2 * 75) = 8% (for normal errors). With fewer rows that is larger, and each
            row is missed more in training, so all rows train, and errors are estimated by cross-validation.
        share: of the rows for validation, and of those for the test. A round number.
        min_rows: of a table, and of training: two points lie on a line whatever they are, a third may not.
    """

    rows: int = 500
    share: float = 0.15
    min_rows: int = 3


HOLD_OUT = HoldOut()
# Of the first fold in time; from a single row nothing can be learnt.
_MIN_FIRST_ROWS = 2

Fold = tuple[Tensor, Tensor]


class Parts(NamedTuple):
    """Row numbers, int64, in ascending order."""

    train: Tensor
    validation: Tensor
    test: Tensor


class SplitRows(Protocol):
    """What :func:`folds` reads of a :class:`~superpose.Dataset`."""

    @property
    def y(self) -> Tensor: ...

    @property
    def train(self) -> Tensor: ...

    @property
    def validation(self) -> Tensor: ...

    @property
    def groups(self) -> Tensor | None: ...

    @property
    def order(self) -> Tensor | None: ...


def split_rows(
    n_rows: int,
    validation: float | None,
    test: float | None,
    seed: int,
    *,
    groups: Tensor | None = None,
    order: Tensor | None = None,
) -> Parts:
    """Training, validation and test rows.

    Args:
        validation, test: shares of the rows; by default those of :class:`HoldOut`.
        seed: of the order of rows or groups.
        groups: ``[n_rows]`` codes; no group is divided.
        order: ``[n_rows]`` ranks; the last rows are for the test, those before them for validation, and rows of one
            rank stay together.

    Raises:
        OptionError: for shares or a seed that make no sense, or too few rows or groups for training.
    """
    generator = torch.Generator().manual_seed(check_seed(seed))
    sequence = _sequence(n_rows, groups, order, generator)
    wanted = [_count("validation", validation, n_rows), _count("test", test, n_rows)]
    sizes = torch.bincount(sequence)
    for which, share in enumerate((validation, test)):
        # Parts that nobody asked for are left out where there are too few blocks for them.
        if share is None and len(sizes) < 1 + sum(count > 0 for count in wanted):
            wanted[which] = 0
    what = "groups" if order is None else "times"
    needed = 1 + sum(count > 0 for count in wanted)
    if len(sizes) < needed:
        raise OptionError(
            f"{len(sizes)} {what} cannot be divided into {needed} parts; hold out fewer rows: validation=0 leaves one "
            "part less"
        )
    first_test = _cut(sizes, len(sizes), wanted[1], least=2 if wanted[0] else 1)
    first_validation = _cut(sizes, first_test, wanted[0], least=1)
    part = (sequence >= first_validation).long() + (sequence >= first_test).long()
    train, held_out, final = ((part == which).nonzero().flatten() for which in range(3))
    left = max(0, min(len(train), n_rows - sum(wanted)))
    if left < HOLD_OUT.min_rows:
        raise OptionError(
            f"validation={validation!r} and test={test!r} leave {left} of {counted(n_rows, 'row')} for training; at "
            f"least {HOLD_OUT.min_rows} are needed, hold out fewer"
        )
    return Parts(train, held_out, final)


def _cut(sizes: Tensor, end: int, count: int, *, least: int) -> int:
    """The first of the blocks before ``end`` that hold about ``count`` rows; at least one block if any are wanted."""
    if not count:
        return end
    ends = torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])
    nearest = int((ends - (int(ends[end]) - count)).abs().argmin())
    return max(least, min(nearest, end - 1))


def _sequence(n_rows: int, groups: Tensor | None, order: Tensor | None, generator: torch.Generator) -> Tensor:
    """The position ``[n_rows]`` of each row's block in the sequence that is cut."""
    if order is not None:
        ranks: Tensor = torch.unique(order, return_inverse=True)[1]
        return ranks
    code: Tensor = torch.arange(n_rows) if groups is None else torch.unique(groups, return_inverse=True)[1]
    return torch.randperm(int(code.max()) + 1, generator=generator).argsort()[code]


def _count(option: str, share: float | None, n_rows: int) -> int:
    """How many rows are wanted for a part."""
    if share is None:
        share = HOLD_OUT.share if n_rows >= HOLD_OUT.rows else 0.0
    if isinstance(share, bool) or not isinstance(share, Real) or not 0 <= share < 1:
        raise OptionError(f"{option}={share!r} is no share of the rows; use a number from 0 up to below 1")
    return round(share * n_rows)


def folds(data: SplitRows, k: int, seed: int) -> list[Fold]:
    """Folds for cross-validation over the training and validation rows of a data set; test rows are in none.

    Each row is in the test part of exactly one fold, and in the training part of all others; with as many folds as rows
    or more, one row is left out at a time. Targets of few values (classes) are dealt out evenly.

    With ``data.groups`` no group is in both parts of a fold, and there are at most as many folds as groups. With
    ``data.order`` the rows of a test part come later than all of its training part: fold ``i`` trains on the first
    ``i + 1`` of ``k + 1`` stretches of time and tests on the next, so the first stretch is tested in no fold, and rows
    of one time are never divided.

    Args:
        data: a :class:`~superpose.Dataset`.
        k: how many, at least 2.
        seed: of the order in which rows or groups are dealt out.

    Returns:
        Training and test row numbers of each fold, int64, in ascending order.

    Raises:
        OptionError: if ``k`` or the seed makes no sense.
        DataError: if all rows belong to one group, or to fewer than 3 times.

    >>> from superpose import Dataset
    >>> data = Dataset.from_arrays([[float(row)] for row in range(10)], range(10), validation=0, test=0)
    >>> [len(test) for train, test in folds(data, 4, seed=0)]
    [3, 3, 2, 2]
    """
    check_whole("k", k, least=2)
    generator = torch.Generator().manual_seed(check_seed(seed))
    rows = torch.cat([data.train, data.validation]).sort().values
    if data.order is not None:
        return _forward_chain(rows, data.order[rows], k)
    if data.groups is not None:
        part = _parts_of_groups(data.groups[rows], k, generator)
    else:
        part = _parts_of_rows(data.y[rows], min(k, len(rows)), generator)
    return [(rows[part != fold], rows[part == fold]) for fold in range(int(part.max()) + 1)]


def folds_of_rows(y: Tensor, k: int, seed: int = 0) -> list[Fold]:
    """Those of :func:`folds` for targets ``y [N]`` or ``[N, S]`` of rows without groups and times.

    >>> [len(test) for train, test in folds_of_rows(torch.arange(10.0), 4)]
    [3, 3, 2, 2]
    """
    part = _parts_of_rows(y, min(k, len(y)), torch.Generator().manual_seed(check_seed(seed)))
    rows = torch.arange(len(y))
    return [(rows[part != fold], rows[part == fold]) for fold in range(int(part.max()) + 1)]


def _parts_of_rows(y: Tensor, k: int, generator: torch.Generator) -> Tensor:
    """The fold of each row: dealt out in turn from a random order, value by value where each value is there k times."""
    dealt = torch.randperm(len(y), generator=generator)
    values, code = torch.unique(y, dim=0, return_inverse=True)
    if len(values) * k <= len(y):
        dealt = dealt[code[dealt].argsort(stable=True)]
    part = torch.empty_like(dealt)
    part[dealt] = torch.arange(len(y)) % k
    return part


def _parts_of_groups(groups: Tensor, k: int, generator: torch.Generator) -> Tensor:
    """The fold of each row: groups from large to small, each to the fold with the fewest rows so far."""
    _, code, sizes = torch.unique(groups, return_inverse=True, return_counts=True)
    if len(sizes) < 2:
        raise DataError("all rows outside the test belong to one group; cross-validation needs at least two groups")
    # Groups of one size are dealt out at random.
    order = torch.randperm(len(sizes), generator=generator)
    order = order[sizes[order].argsort(descending=True, stable=True)]
    filled = torch.zeros(min(k, len(sizes)), dtype=torch.long)
    part = torch.empty_like(sizes)
    for group in order.tolist():
        part[group] = filled.argmin()
        filled[part[group]] += sizes[group]
    return part[code]


def _forward_chain(rows: Tensor, order: Tensor, k: int) -> list[Fold]:
    """Folds whose training rows all come before their test rows."""
    times, counts = torch.unique(order, return_counts=True)
    ends = counts.cumsum(0)
    # Times before the first test.
    least = int((ends < _MIN_FIRST_ROWS).sum()) + 1
    k = min(k, len(times) - least)
    if k < 1:
        raise DataError(
            "the rows outside the test are of too few times for cross-validation in time; it tests on times later than "
            f"the first {_MIN_FIRST_ROWS} rows"
        )
    # The first stretch takes what the division leaves over, as it is trained on and never tested.
    stretch = len(rows) // (k + 1)
    begins: list[int] = []
    for fold in range(k):
        # To the end of a time, and so that every fold has one to test on.
        nearest = int((ends <= len(rows) - stretch * (k - fold)).sum())
        begins.append(min(max(nearest, begins[-1] + 1 if begins else least), len(times) - (k - fold)))
    code = torch.searchsorted(times, order)
    return [
        (rows[code < begin], rows[(begin <= code) & (code < end)])
        for begin, end in zip(begins, [*begins[1:], len(times)], strict=True)
    ]
