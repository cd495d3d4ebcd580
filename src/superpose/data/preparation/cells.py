"""Single cells of raw columns: which are missing, which are yes or no, and which are shares in percent."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy
import numpy.typing

from superpose.data.tables import NUMBER, PERCENT, Column, FloatArray, Table
from superpose.errors import DataError
from superpose.messages import counted, quoted

BoolArray = numpy.typing.NDArray[numpy.bool_]

# Marks of missing values in any column, in lower case: those of R, pandas, SQL, spreadsheets, the UCI repository (?),
# Stata and SAS (.).
_MARKS = frozenset({"", "na", "n/a", "#n/a", "<na>", "nan", "+nan", "-nan", "null", "?", "."})
# Marks beside numbers, dates, and yes and no only: in a column of text they may be a level of its own.
# The last lines: R and databases, statistical offices (World Bank, Eurostat), no data and not available as people write
# them in English and German, results of spreadsheets and of Windows that are none.
_MARKS_BESIDE_VALUES = _MARKS | {
    "-", "--", "---", "–", "—", "none", "nil", "missing",
    "\\n", "(null)", "<null>", "..", "...", ":", "n.a.", "n. a.", "n.d.", "n. d.", "nd", "k.a.", "k. a.", "#n/v",
    "#div/0!", "#value!", "#ref!", "#name?", "#num!", "#null!", "#wert!", "#bezug!", "#zahl!",
    "1.#qnan", "-1.#qnan", "1.#ind", "-1.#ind", "nan(ind)", "-nan(ind)",
}  # fmt: skip
# Each pair by itself is no and yes.
# In German, French, Spanish and Italian too.
_ANSWERS = (
    *(("false", "true"), ("no", "yes"), ("n", "y"), ("f", "t"), ("off", "on")),
    *(("falsch", "wahr"), ("nein", "ja"), ("n", "j"), ("aus", "an"), ("faux", "vrai"), ("non", "oui")),
    *(("falso", "verdadero"), ("no", "sí"), ("no", "si"), ("falso", "vero"), ("no", "sì")),
)
YES_OR_NO = {word: float(place) for pair in _ANSWERS for place, word in enumerate(pair)} | {"0": 0.0, "1": 1.0}


def is_missing(cell: str, *, beside_values: bool = False) -> bool:
    """Whether a cell of text stands for a missing value.

    Args:
        cell: its text, without white space around it.
        beside_values: whether the other cells are numbers, dates, or yes and no, beside which ``-`` is no level.

    >>> is_missing("n/a"), is_missing("-"), is_missing("-", beside_values=True)
    (True, False, True)
    """
    return cell.lower() in (_MARKS_BESIDE_VALUES if beside_values else _MARKS)


def marks_beside_numbers() -> list[str]:
    """How missing cells between numbers are marked, in the cases that programs write them in.

    >>> {"", "NA", "N/A", "NaN", "None", "null", "-"} <= set(marks_beside_numbers())
    True
    """
    written = {case(mark) for mark in _MARKS_BESIDE_VALUES for case in (str.lower, str.upper, str.capitalize)}
    return sorted(written | {"NaN", "+NaN", "-NaN", "NaN(ind)", "-NaN(ind)"})


def present(cells: Iterable[str], *, beside_values: bool = False) -> set[str]:
    """The different cells that are not missing."""
    return {cell for cell in set(cells) if not is_missing(cell, beside_values=beside_values)}


def surely_finite(values: FloatArray) -> bool:
    """Whether all numbers are finite, by their sum; False also where that overflows. Most columns need no more."""
    with numpy.errstate(all="ignore"):
        return bool(numpy.isfinite(values.sum()))


def gaps(values: FloatArray) -> BoolArray:
    """``[N]``, where numbers are NaN."""
    return numpy.zeros(len(values), dtype=bool) if surely_finite(values) else numpy.isnan(values)


def missing_mask(column: Column, *, beside_values: bool = False) -> BoolArray:
    """``[N]``, the cells of a column that are missing: NaN, or a mark of a missing value."""
    if isinstance(column, numpy.ndarray):
        return gaps(column)
    known = {cell: is_missing(cell, beside_values=beside_values) for cell in set(column)}
    return numpy.fromiter((known[cell] for cell in column), dtype=bool, count=len(column))


def answers(cells: set[str]) -> bool:
    """Whether cells are answers of one kind, such as true and false in any case.

    >>> answers({"TRUE", "False"}), answers({"yes", "false"})
    (True, False)
    """
    lower = {cell.lower() for cell in cells}
    return bool(lower) and any(lower <= set(pair) for pair in _ANSWERS)


def percent(cell: str) -> float | None:
    """The number before a sign %, None for any other cell; a comma with three digits behind it may be no decimal one.

    >>> percent("12.5 %"), percent("12,5%"), percent("1,250%")
    (12.5, 12.5, None)
    """
    text = cell[:-1].rstrip() if PERCENT.fullmatch(cell) else ""
    if not text or ("," in text and len(text) - text.index(",") == 4):
        return None
    return float(text.replace(",", "."))


def refuse_missing(table: Table, name: str, missing: BoolArray, *, target: bool = False) -> None:
    """Raise a sentence with the first missing cell of a column, their number, and the options, if there is one."""
    if not missing.any():
        return
    row, column = int(missing.argmax()), table.column(name)
    cell = table.cell(row, name)
    what = f"holds {cell}, not a finite number" if isinstance(column, numpy.ndarray) and cell == str(column[row]) else (
        f"holds {quoted(cell)}"
    )  # fmt: skip
    if "nan" in cell.lower():
        what = f"holds {cell}, not a finite number"
    if not cell:
        what = "is empty"
    remedy = "drop leaves out such rows" if target else "drop, median or indicator"
    raise DataError(
        f"{table.label}, {table.place(row)}: column {quoted(name)} {what} "
        f"({counted(int(missing.sum()), 'row')} without a value); fill the cell, leave out the row or the column, or "
        f"say what is done with missing cells: --missing {remedy} (in Python missing=...)"
    )


def as_text(column: Column) -> list[str]:
    """The cells of a column as levels: numbers as a person writes them, missing cells empty.

    >>> as_text(numpy.array([1.0, 2.5, numpy.nan])), as_text(["a", "NA"]), as_text(["1.0", "2"])
    (['1', '2.5', ''], ['a', ''], ['1', '2'])
    """
    if isinstance(column, numpy.ndarray):
        return [written(value) for value in column.tolist()]
    known = {cell: _level(cell) for cell in set(column)}
    return [known[cell] for cell in column]


def _level(cell: str) -> str:
    if is_missing(cell):
        return ""
    number = _as_number(cell)
    # The same whether a reader took the column for numbers or for text.
    return cell if number is None else written(number)


def _as_number(cell: str) -> float | None:
    return float(cell) if NUMBER.fullmatch(cell) else None


def written(value: float) -> str:
    """A number as text: whole numbers without a point, NaN as nothing."""
    if value != value:
        return ""
    return str(int(value)) if abs(value) < 2**53 and value == int(value) else repr(value)


def numbers_with_gaps(table: Table, name: str, *, percents: bool = False) -> FloatArray:
    """A column as numbers, NaN where cells are missing.

    Raises:
        DataError: for a cell that is neither a finite number nor missing.
    """
    if name in table.faults:
        raise DataError(table.faults[name])
    column = table.column(name)
    if isinstance(column, numpy.ndarray):
        if name not in table.finite and not surely_finite(column) and (infinite := numpy.isinf(column)).any():
            row = int(infinite.argmax())
            raise table.wrong_cell(name, row, str(column[row]))
        return column
    known: dict[str, float] = {}
    found = numpy.empty(len(column))
    for row, cell in enumerate(column):
        if cell not in known:
            value = percent(cell) if percents else None
            if value is None:
                value = float("nan") if is_missing(cell, beside_values=True) else _as_number(cell)
            if value is None or math.isinf(value):
                raise table.wrong_cell(name, row, cell if value is None else str(value))
            known[cell] = value
        found[row] = known[cell]
    return found
