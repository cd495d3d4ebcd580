"""What surrounds the cells of a table: columns that number the rows, empty columns, rows of totals."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy
import numpy.typing

from superpose.data.reading.notation import is_number
from superpose.data.reading.records import Record
from superpose.data.tables import NUMBER, Column, Table
from superpose.errors import DataError
from superpose.messages import quoted

# Names that programs give to the column of row numbers of a data frame, besides none.
_INDEX = re.compile(r"(?:Unnamed: ?\d+(?:\.\d+)?)?")
# What a first column of text without a name is called, as those that R and pandas write.
ROW_NAMES = "row"
# What rows at the end are called that sum up those above, and by which functions they may do so.
_SUMMARIES: tuple[tuple[re.Pattern[str], tuple[Callable[[Any], Any], ...]], ...] = tuple(
    (re.compile(rf"(?:grand |sub[- ]?|sum |column )?(?:{words})\b(?: .{{0,20}})?:?", re.IGNORECASE), functions)
    for words, functions in (
        ("totals?|sums?|summe|gesamt(?:summe)?|zwischensumme|somme|totale|suma|totaal", (numpy.sum,)),
        (r"averages?|avg\.?|means?|mittelwert|durchschnitt|moyenne|media", (numpy.mean,)),
        ("medians?", (numpy.median,)),
        (
            r"std\.?|std\.? ?dev\.?|standard deviations?|sd",
            (numpy.std, lambda values: numpy.std(values, ddof=1)),
        ),
        (r"min\.?|minimum", (numpy.min,)),
        (r"max\.?|maximum", (numpy.max,)),
        ("counts?", (len,)),
    )
)
# Rows of the first two kinds are nothing else; one called max or count may be one like the others.
_SURE = 2
# Rows at the end that may be summaries: a sum, a mean, a spread, the extremes. A round number.
_MOST_TOTALS = 8
# Remarks below a table, at most. A round number.
_MOST_REMARKS = 8
# How they begin.
_REMARK = re.compile(
    r"(?:sources?|notes?|remarks?|quellen?|anmerkung(?:en)?|hinweise?|stand|©|\(c\)|[*†‡])(?!\w)", re.IGNORECASE
)
# A sum that was printed with few digits differs from ours by less than this share of it.
_ROUNDED = 1e-3


def footer(records: Sequence[Record], width: int) -> int:
    """How many records at the end are remarks below a table, such as its source: text in one cell, or in sentences.

    They follow an empty line, begin as remarks do, or stand below a first column of numbers. A row that was cut off is
    none of these.

    Args:
        records: the rows of a table and what follows them.
        width: cells of a row.
    """
    count = 0
    while count < min(_MOST_REMARKS, len(records) - 1) and _is_remark(records[-1 - count], width):
        count += 1
    if not count or width < 2:
        return 0
    first, above = records[-count], records[:-count]
    numbers = sum(bool(NUMBER.fullmatch(record.cells[0])) for record in above if record.cells)
    apart = first.line > above[-1].line + 1
    return count if apart or _REMARK.match(first.cells[0]) or 2 * numbers > len(above) else 0


def passed_over_below(label: str, what: str, first: Record, count: int) -> tuple[str, ...]:
    """A sentence on the remarks below a table, of which the first is given."""
    many = f"{count} {what}s from {what} {first.line} on" if count > 1 else f"{what} {first.line}"
    return (f"{label}: what stands below the table was passed over ({many}: {quoted(first.cells[0])})",)


def _is_remark(record: Record, width: int) -> bool:
    cells = record.cells
    if not cells or (len(cells) == width and record.used > 1):
        return False
    return any(map(str.isalpha, cells[0])) and not is_number(cells[0])


def without_columns(table: Table, names: Sequence[str]) -> Table:
    """A table without some columns.

    Raises:
        DataError: if it has no such column.
    """
    for name in names:
        table.require(name, "the columns to exclude")
    return _select(table, [name not in names for name in table.names])


def _select(table: Table, kept: Sequence[bool]) -> Table:
    return replace(
        table,
        names=tuple(name for name, keep in zip(table.names, kept, strict=True) if keep),
        columns=tuple(column for column, keep in zip(table.columns, kept, strict=True) if keep),
    )


def without_nameless(
    label: str, names: Sequence[str], columns: Sequence[Column]
) -> tuple[tuple[str, ...], tuple[Column, ...], tuple[str, ...]]:
    """Names and columns without those that number the rows, or have neither a name nor a cell, and sentences on it.

    A frame that was written and read with its index several times has as many such columns. Names are in one line.
    """
    names = [" ".join(name.split()) for name in names]
    kept, notes, called = [True] * len(names), [], list(names)
    for position, (name, column) in enumerate(zip(names, columns, strict=True)):
        if not _INDEX.fullmatch(name) or len(names) < 2:
            continue
        if not isinstance(column, numpy.ndarray) and not any(column):
            kept[position] = False
        elif not any(kept[:position]) and (first := _numbers_rows(column)) is not None:
            kept[position] = False
            which = "the first column" if position == 0 else f"column {position + 1}"
            notes.append(f"{label}: {which}, which numbers the rows from {first}, was passed over")
        elif position == 0 and ROW_NAMES not in names and _is_text(column):
            called[0] = ROW_NAMES
            notes.append(f"{label}: the first column, which has no name, was called {ROW_NAMES!r}")
    return (
        tuple(name for name, keep in zip(called, kept, strict=True) if keep),
        tuple(column for column, keep in zip(columns, kept, strict=True) if keep),
        tuple(notes),
    )


def _is_text(column: Column) -> bool:
    return not isinstance(column, numpy.ndarray) and not any(NUMBER.fullmatch(cell) for cell in column)


def _numbers_rows(column: Column) -> int | None:
    """The first of the whole numbers that a column counts up by one from 0 or 1; None if it does something else."""
    if isinstance(column, numpy.ndarray):
        first = int(column[0]) if column[0] in (0, 1) else None
        return first if first is not None and bool((column == numpy.arange(first, first + len(column))).all()) else None
    first = int(column[0]) if column[0] in ("0", "1") else None
    if first is None or any(cell != str(row) for row, cell in enumerate(column, start=first)):
        return None
    return first


def without_totals(table: Table, refuse: bool) -> Table:
    """A table without rows at its end that sum up those above, with a sentence that says so.

    Args:
        refuse: whether a row that is called a total and is none raises an error; else a sentence is added.

    Raises:
        DataError: naming that row.
    """
    texts = [column for column in table.columns if not isinstance(column, numpy.ndarray)]
    end = table.n_rows
    # The summaries stand in a block at the end, in whatever order.
    while table.n_rows - end < _MOST_TOTALS and end > 1 and _label(texts, end - 1):
        end -= 1
    if end == table.n_rows or end < 2:
        return table
    for row in range(end, table.n_rows):
        label = _label(texts, row)
        kind = _kind(label) or 0
        if not _sums_up(table, row, end, _SUMMARIES[kind][1]):
            if kind >= _SURE:
                return table
            where = f"{table.label}, {table.place(row)}: the row is called {quoted(label)}"
            if refuse:
                raise DataError(
                    f"{where} at the end of the table, but is no sum or mean of those above; remove it, or choose the "
                    "rows (where, --where)"
                )
            return replace(table, notes=(*table.notes, f"{where}; it is read as a row like the others"))
    first, last = table.place(end), table.place(table.n_rows - 1)
    which = f"the row {quoted(_label(texts, end))} in {first} sums" if end == table.n_rows - 1 else (
        f"the rows {quoted(_label(texts, end))} to {quoted(_label(texts, table.n_rows - 1))} in {first} to {last} sum"
    )  # fmt: skip
    return replace(
        table.rows(numpy.arange(end)),
        notes=(*table.notes, f"{table.label}: {which} up those above and was passed over"),
    )


def _label(texts: Sequence[Sequence[str]], row: int) -> str:
    """What a row is called if that is a word for a summary, and no other row of that column is called so."""
    for column in texts:
        if _kind(column[row]) is not None and column.count(column[row]) == 1:
            return column[row]
    return ""


def _kind(label: str) -> int | None:
    """The place among the summaries of what a row is called; None for other words."""
    return next((k for k, (words, _) in enumerate(_SUMMARIES) if words.fullmatch(label)), None)


def _sums_up(table: Table, row: int, end: int, functions: Sequence[Callable[[Any], Any]]) -> bool:
    """Whether one of these functions of the numbers above gives every number of a row, or the row has no numbers."""
    fitting = list(functions)
    for column in table.columns:
        if isinstance(column, numpy.ndarray):
            value, above = float(column[row]), column[:end][~numpy.isnan(column[:end])]
            if value != value:
                continue
        else:
            if not NUMBER.fullmatch(column[row]):
                continue
            value = float(column[row])
            above = numpy.array([float(cell) for cell in column[:end] if NUMBER.fullmatch(cell)])
        if len(above) < 2:
            continue
        limit = _ROUNDED * max(abs(value), 1e-300)
        fitting = [function for function in fitting if abs(float(function(above)) - value) <= limit]
    return bool(fitting)
