"""What each row of a table is for: training, validation or test, with its group or time, and its weight."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import numpy
import torch
from torch import Tensor

from superpose.data.options import RowOptions, SplitRule
from superpose.data.preparation.cells import gaps
from superpose.data.splitting import Parts, split_rows
from superpose.data.tables import NUMBER, FloatArray, Table
from superpose.data.weighting import row_weights
from superpose.errors import DataError
from superpose.messages import counted, quoted


@dataclass(frozen=True)
class Division:
    """The parts, and for each row its group, the rank of its time, and its weight, or None where there are none.

    Rows of a test table come after all others. ``notes`` are sentences on what may be wrong with the parts.
    """

    parts: Parts
    groups: Tensor | None
    order: Tensor | None
    weights: Tensor | None
    notes: tuple[str, ...]


def divide(table: Table, test: Table | None, rule: SplitRule, options: RowOptions) -> Division:
    """Deal out the rows of a table, and append those of a test table.

    Raises:
        DataError: if the columns of groups, times or weights cannot be used.
        OptionError: for options that make no sense, or leave too few rows for training.
    """
    n_test = 0 if test is None else test.n_rows
    groups = order = None
    notes: tuple[str, ...] = ()
    if rule.kind == "group":
        groups = _codes(table, rule.column, _groups(table, rule.column))
        if test is not None:
            groups = _with_test_groups(table, test, rule.column)
    elif rule.kind == "time":
        moments = _times(table, rule.column)
        _codes(table, rule.column, moments)
        if test is not None:
            later = _times(test, rule.column)
            early = int((later <= moments.max()).sum())
            if early:
                notes = (
                    f"{counted(early, 'row')} of {test.label} are no later than the last row of {table.label}, so the "
                    "test is not of the future alone",
                )
            moments = numpy.concatenate([moments, later])
        order = _code(moments)
    parts = split_rows(
        table.n_rows,
        options.get("validation"),
        options.get("test") if test is None else 0.0,
        options.get("seed", 0),
        groups=None if groups is None else groups[: table.n_rows],
        order=None if order is None else order[: table.n_rows],
    )
    if test is not None:
        parts = parts._replace(test=torch.arange(table.n_rows, table.n_rows + n_test))
    return Division(parts, groups, order, _weights(table, test, parts, options), notes)


def _weights(table: Table, test: Table | None, parts: Parts, options: RowOptions) -> Tensor | None:
    """Weights ``[N]`` with mean 1 over the training rows."""
    weights, sigma = options.get("weights"), options.get("sigma")
    given = weights if sigma is None else sigma
    if given is None:
        return None
    found = torch.from_numpy(row_weights(table, test, given, deviations=sigma is not None))
    found = found / found[parts.train].mean()
    # Numbers are for the rows of the table alone.
    n_rows = table.n_rows + (0 if test is None else test.n_rows)
    return torch.cat([found, found.new_ones(n_rows - len(found))])


def _code(values: FloatArray | list[str]) -> Tensor:
    return torch.from_numpy(numpy.unique(numpy.asarray(values), return_inverse=True)[1])


def _codes(table: Table, name: str, values: FloatArray | list[str]) -> Tensor:
    """The rank of each value among those that occur, [N]; refuses a single one."""
    codes = _code(values)
    if not bool(codes.any()):
        raise DataError(f"{table.label}: column {quoted(name)} has one value only, so rows cannot be divided by it")
    return codes


def _with_test_groups(table: Table, test: Table, name: str) -> Tensor:
    """The groups of both tables, [N + M]; refuses one that is in both."""
    # As text: a column may hold numbers in one table and names in the other.
    first, second = (list(map(str, _groups(one, name))) for one in (table, test))
    for row, cell in enumerate(second):
        if cell in set(first):
            raise DataError(
                f"{test.label}, {test.place(row)}: the group {quoted(cell)} of column {quoted(name)} is in "
                f"{table.label} too; leave its rows out of one of the tables"
            )
    return _code(first + second)


def _groups(table: Table, name: str) -> FloatArray | list[str]:
    """The group of each row: numbers, or text.

    Raises:
        DataError: if a cell is empty or no finite number.
    """
    table.require(name, "the split")
    column = table.columns[table.names.index(name)]
    missing = gaps(column) if isinstance(column, numpy.ndarray) else numpy.array([not cell for cell in column])
    if missing.any():
        row = int(missing.argmax())
        what = f"holds {quoted(cell)}" if (cell := table.cell(row, name)) else "is empty"
        raise DataError(
            f"{table.label}, {table.place(row)}: column {quoted(name)} {what}, so the row has no group; fill the "
            "cell, or leave out the row"
        )
    if isinstance(column, numpy.ndarray) or all(NUMBER.fullmatch(cell) for cell in column):
        return table.numbers(name)
    return column


def _times(table: Table, name: str) -> FloatArray:
    """The time of each row: numbers as they are, dates in seconds.

    Raises:
        DataError: if a cell is neither a finite number nor a date as ISO 8601 writes it.

    >>> _times(Table("'t'", ("day",), (["2024-01-01", "2024-01-02"],)), "day").tolist()
    [1704067200.0, 1704153600.0]
    """
    table.require(name, "the split")
    column = table.columns[table.names.index(name)]
    if isinstance(column, numpy.ndarray) or all(NUMBER.fullmatch(cell) for cell in column):
        return table.numbers(name)
    found = numpy.empty(len(column))
    for row, cell in enumerate(column):
        try:
            moment = datetime.datetime.fromisoformat(cell)
        except ValueError:
            raise DataError(
                f"{table.label}, {table.place(row)}: column {quoted(name)} holds {quoted(cell)}, which is no time; "
                "write numbers, or dates such as 2024-01-31 or 2024-01-31 15:30:00"
            ) from None
        # Where no zone is written, all times are of one.
        found[row] = (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()
    return found
