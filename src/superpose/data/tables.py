"""A table: named columns, and where a cell stands when something about it is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy
import numpy.typing

from superpose.errors import DataError
from superpose.messages import listed, nearest, quoted, row_place

if TYPE_CHECKING:
    import pandas

# float64, or float32 where a file holds it.
FloatArray: TypeAlias = numpy.typing.NDArray[numpy.floating[Any]]
# A column holds numbers, or the cells' text as it stands in the table.
Column: TypeAlias = FloatArray | list[str]

NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
COMMA_NUMBER = re.compile(r"[+-]?(?:[0-9]+,[0-9]*|,[0-9]+)(?:[eE][+-]?[0-9]+)?")
_THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(?:[,.' ][0-9]{3})+(?:[.,][0-9]+)?")
PERCENT = re.compile(r"[+-]?[0-9]*[.,]?[0-9]+ ?%")
# What is wrong where a line that begins with # was read as one of the table's.
REMARK = "lines that begin with # are read as rows here, remove them (or only the # before the columns' names)"
NOT_FINITE = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Table:
    """Named columns, and the place of each row in the words of the person who made the table.

    Columns of numbers may be rows of one array ``storage``, which then belongs to the table alone.

    Attributes:
        notes: sentences on what was assumed or passed over when the table was read.
        faults: for columns whose numbers cannot be told, the sentence that is raised when they are wanted.
        declared: what the source says of columns beside their cells: ``"boolean"``, ``"category"``, or the levels of
            ordered ones from low to high.
        finite: columns that are known to hold finite numbers only, so that nobody looks again.
        missing_text: the text of a missing cell in a column of numbers, by its row and the name of the column.
    """

    label: str
    names: tuple[str, ...]
    columns: tuple[Column, ...]
    place: Callable[[int], str] = field(default=row_place)
    storage: FloatArray | None = None
    notes: tuple[str, ...] = ()
    faults: Mapping[str, str] = field(default_factory=dict)
    declared: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    finite: frozenset[str] = frozenset()
    missing_text: Callable[[int, str], str] | None = None

    def __post_init__(self) -> None:
        if all(self.names) and len(set(self.names)) == len(self.names):
            return
        for position, name in enumerate(self.names):
            if not name and len(self.names) > 2 and sum(map(bool, self.names)) == 1:
                title = next(filter(None, self.names))
                raise DataError(
                    f"{self.label}: only one of {len(self.names)} columns has a name, {quoted(title)}; if that is a "
                    "title, remove the lines above the columns' names"
                )
            if not name:
                raise DataError(
                    f"{self.label}: column {position + 1} has no name; name it in the header or "
                    "remove it (a data frame is best written without its index)"
                )
            if name in self.names[:position]:
                raise DataError(
                    f"{self.label}: two columns are named {quoted(name)}, column "
                    f"{self.names.index(name) + 1} and column {position + 1}; rename one of them"
                )

    @property
    def n_rows(self) -> int:
        return len(self.columns[0]) if self.columns else 0

    def column(self, name: str) -> Column:
        """The cells of a column."""
        return self.columns[self.names.index(name)]

    def cell(self, row: int, name: str) -> str:
        """The text of a cell: as it stands in the table, or a number as Python writes it."""
        found = self.column(name)[row]
        if self.missing_text is not None and found != found:
            return self.missing_text(row, name)
        return str(found)

    def numbers_only(self) -> tuple[FloatArray, ...]:
        """The columns, of which none holds text."""
        return tuple(column for column in self.columns if isinstance(column, numpy.ndarray))

    def rows(self, kept: numpy.typing.NDArray[Any]) -> Table:
        """Some rows, by their numbers ``[M]`` in ascending order; their places are those in this table."""
        columns = tuple(
            column[kept] if isinstance(column, numpy.ndarray) else [column[row] for row in kept]
            for column in self.columns
        )
        text = self.missing_text
        return Table(
            self.label,
            self.names,
            columns,
            lambda row: self.place(int(kept[row])),
            notes=self.notes,
            faults=self.faults,
            declared=self.declared,
            finite=self.finite,
            missing_text=None if text is None else lambda row, name: text(int(kept[row]), name),
        )

    def require(self, name: str, role: str) -> None:
        """Raise if there is no column of this name; ``role`` says what it was wanted for."""
        if name not in self.names:
            hint = nearest(name, self.names) or f"; its columns are {listed(self.names)}"
            first = self.columns[0]
            if not isinstance(first, numpy.ndarray) and name in first:
                hint = (
                    f", but {self.place(first.index(name))} begins with it; if each row of the table is a variable, "
                    "transpose it, so that each is a column"
                )
            if self.names[0].startswith("#"):
                hint += f"; {REMARK}"
            raise DataError(f"{self.label}: there is no column {quoted(name)} for {role}{hint}")

    def is_label(self, name: str) -> bool:
        """Return whether no cell of the column is a number: a name, a date, a remark."""
        column = self.columns[self.names.index(name)]
        if isinstance(column, numpy.ndarray) or name in self.faults:
            return False
        return not any(is_numeric(cell) or NOT_FINITE.fullmatch(cell) for cell in column)

    def is_percent(self, name: str) -> bool:
        """Return whether a column holds shares with the sign %."""
        column = self.columns[self.names.index(name)]
        return not isinstance(column, numpy.ndarray) and any(PERCENT.fullmatch(cell) for cell in column)

    def numbers(self, name: str) -> FloatArray:
        """Return a column as finite numbers, or raise naming the first cell that is not one."""
        if name in self.faults:
            raise DataError(self.faults[name])
        column = self.columns[self.names.index(name)]
        if name in self.finite and isinstance(column, numpy.ndarray):
            return column
        if not isinstance(column, numpy.ndarray):
            for row, cell in enumerate(column):
                if not NUMBER.fullmatch(cell):
                    raise self.wrong_cell(name, row, cell)
            column = numpy.array([float(cell) for cell in column])
        finite = numpy.isfinite(column)
        if not finite.all():
            row = int(numpy.argmin(finite))
            raise self.wrong_cell(name, row, self.cell(row, name))
        return column

    def wrong_cell(self, name: str, row: int, cell: str) -> DataError:
        """The error of a cell that is no finite number."""
        where = f"{self.label}, {self.place(row)}: column {quoted(name)}"
        if not cell:
            return DataError(f"{where} is empty; fill the cell, or leave out the row or the column")
        if NOT_FINITE.fullmatch(cell):
            return DataError(f"{where} holds {cell}, not a finite number; leave out the row or the column")
        if PERCENT.fullmatch(cell):
            remedy = "write shares as numbers, without the % sign, in the whole column"
        elif _THOUSANDS.fullmatch(cell) or COMMA_NUMBER.fullmatch(cell):
            remedy = "write numbers with a decimal point and without thousands separators"
        else:
            remedy = "correct the cell, or leave out the row or the column"
        return DataError(f"{where} holds {quoted(cell)}, which is not a number; {remedy}")


def table_from_frame(frame: pandas.DataFrame, label: str) -> Table:
    """Return a data frame as a table; columns of text keep their cells as text."""
    names = tuple(str(name).strip() for name in frame.columns)
    columns = tuple(frame_column(frame.iloc[:, position]) for position in range(len(names)))
    if not names or not len(frame):
        raise DataError(f"{label} has no {'rows' if names else 'columns'}; a table needs both")
    declared = {name: said for name, dtype in zip(names, frame.dtypes, strict=True) if (said := declared_by(dtype))}
    return Table(label, names, columns, declared=declared)


def declared_by(dtype: Any) -> str | tuple[str, ...] | None:
    """What the type of a data frame's column says beside its cells."""
    from pandas import CategoricalDtype
    from pandas.api import types

    if isinstance(dtype, CategoricalDtype):
        return tuple(str(level).strip() for level in dtype.categories) if dtype.ordered else "category"
    return "boolean" if types.is_bool_dtype(dtype) else None


def frame_column(series: pandas.Series[Any]) -> Column:
    """A column of a data frame: numbers, or text with empty cells where there is nothing."""
    from pandas.api import types

    dtype = series.dtype
    if types.is_bool_dtype(dtype) or (types.is_numeric_dtype(dtype) and not types.is_complex_dtype(dtype)):
        return series.to_numpy(dtype=numpy.float64, na_value=numpy.nan)
    missing = series.isna().to_numpy()
    cells = series.astype(object).to_numpy()
    return ["" if gone else str(cell).strip() for cell, gone in zip(cells, missing, strict=True)]


def is_numeric(cell: str) -> bool:
    """Return whether a cell is a number, with a decimal point or a decimal comma."""
    return bool(NUMBER.fullmatch(cell) or COMMA_NUMBER.fullmatch(cell))
