"""What kind each raw column of a table is, and its cells read as that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy
import numpy.typing

from superpose.data.preparation.cells import (
    BoolArray,
    answers,
    as_text,
    missing_mask,
    numbers_with_gaps,
    present,
    refuse_missing,
)
from superpose.data.preparation.columns import (
    MAX_LEVELS,
    BooleanColumn,
    CategoryColumn,
    NumberColumn,
    OrderedColumn,
    PercentColumn,
    RawColumn,
    rare_below,
    raw_levels,
    too_many,
)
from superpose.data.preparation.dates import looks_like_dates
from superpose.data.preparation.options import PreparationOptions
from superpose.data.tables import NOT_FINITE, PERCENT, Column, Table, is_numeric
from superpose.errors import DataError
from superpose.messages import counted, quoted

# Kinds whose cells are one number each.
_OF_NUMBERS: dict[str, type[RawColumn]] = {kind.kind: kind for kind in (NumberColumn, PercentColumn, BooleanColumn)}


@dataclass(frozen=True, eq=False)
class RawTable:
    """A table whose columns were looked at.

    Attributes:
        original: as it was read.
        table: with numbers, shares in percent and answers as numbers, NaN where they are missing.
        kinds: of the columns that can be learnt from.
        left_out: the columns that cannot.
        options: how the columns were to be understood.
    """

    original: Table
    table: Table
    kinds: dict[str, str]
    left_out: tuple[str, ...]
    options: PreparationOptions

    @classmethod
    def of(cls, table: Table, names: Sequence[str], options: PreparationOptions, *, named: bool = False) -> RawTable:
        """Look at some columns.

        Args:
            table: as it was read.
            names: of the columns.
            options: see :class:`PreparationOptions`.
            named: whether a person named these columns, so that each has to be usable.

        Raises:
            DataError: for a column that holds numbers and text, or that was named and cannot be used.
        """
        for name in options.categories:
            table.require(name, "categories")
        kinds: dict[str, str] = {}
        left_out: list[str] = []
        for name in names:
            kind = kind_of(table, name, options)
            if kind in ("text", "empty", "date"):
                if named:
                    raise _unusable(table, name, kind)
                left_out.append(name)
            else:
                kinds[name] = kind
        return cls(table, as_numbers(table, kinds), kinds, tuple(left_out), options)

    def missing(self, table: Table | None = None) -> BoolArray:
        """``[N]``, the rows of this table, or of another that has its columns, in which a cell is missing."""
        table = table or self.table
        found = numpy.zeros(table.n_rows, dtype=bool)
        for name in self.kinds:
            if name in table.names:
                found |= self._missing(table, name)
        return found

    def rows(self, kept: numpy.typing.NDArray[numpy.int64]) -> RawTable:
        """Some rows, by their numbers in ascending order."""
        return replace(self, original=self.original.rows(kept), table=self.table.rows(kept))

    def _missing(self, table: Table, name: str) -> BoolArray:
        return missing_mask(table.column(name), beside_values=self.kinds[name] not in ("category", "ordered"))

    def refuse_missing(self) -> None:
        """Raise a sentence on the first column with missing cells, if there is one."""
        for name in self.kinds:
            refuse_missing(self.original, name, self._missing(self.table, name))

    def fitted(self, name: str, rows: numpy.typing.NDArray[numpy.int64]) -> RawColumn | None:
        """How a column becomes numbers, from some rows; None if it holds nothing to learn from in them."""
        kind, table, forced = self.kinds[name], self.table, name in self.options.categories
        made: RawColumn | None
        if kind in _OF_NUMBERS:
            made = _OF_NUMBERS[kind](name)
        elif kind == "ordered":
            made = OrderedColumn(name, levels=tuple(as_text(list(table.declared[name]))))
        else:
            cells = as_text(table.column(name))
            forced = forced or table.declared.get(name) == "category"
            made = CategoryColumn.of(name, [cells[row] for row in rows], forced=forced)
        if made is None or self.options.missing not in ("median", "indicator"):
            return made
        values = made.read(table, [])[rows]
        return None if numpy.isnan(values).all() else made.filled(values, self.options.missing)


def kind_of(table: Table, name: str, options: PreparationOptions) -> str:
    """The kind of a column: number, percent, boolean, category, ordered, date, text (no use) or empty.

    >>> table = Table("'t'", ("a", "b"), (["yes", "no", ""], ["1", "NA", "x"]))
    >>> kind_of(table, "a", PreparationOptions()), kind_of(table, "b", PreparationOptions())
    ('boolean', 'number')
    """
    declared, column = table.declared.get(name), table.column(name)
    if name in options.categories or (declared == "category" and options.automatic):
        return "category"
    if isinstance(declared, tuple) and options.automatic:
        return "ordered"
    if isinstance(column, numpy.ndarray):
        if numpy.isnan(column[:1]).all() and numpy.isnan(column).all():
            return "empty"
        return "boolean" if declared == "boolean" else "number"
    cells = present(column, beside_values=True)
    if not cells:
        return "empty"
    if name in table.faults or any(is_numeric(cell) or NOT_FINITE.fullmatch(cell) for cell in cells):
        return "number"
    if any(PERCENT.fullmatch(cell) for cell in cells):
        return "percent"
    if answers(cells):
        return "boolean"
    if looks_like_dates(cells):
        return "date"
    return "category" if options.automatic and not too_many(raw_levels(column), len(column)) else "text"


def as_numbers(table: Table, kinds: dict[str, str]) -> Table:
    """The table with its columns of numbers, shares in percent, and answers as numbers."""
    columns: dict[str, Column] = {}
    for name, kind in kinds.items():
        if kind in _OF_NUMBERS:
            columns[name] = _OF_NUMBERS[kind](name).read(table, [])
    return with_columns(table, columns)


def with_columns(table: Table, columns: dict[str, Column]) -> Table:
    """The table with other cells in some columns."""
    if all(columns[name] is table.column(name) for name in columns):
        return table
    made = tuple(columns.get(name, column) for name, column in zip(table.names, table.columns, strict=True))
    return replace(table, columns=made)


def target_numbers(table: Table, names: Sequence[str]) -> tuple[Table, list[str]]:
    """The table with its targets as numbers, NaN where they are missing, and a sentence on those in percent."""
    notes, columns = [], dict[str, Column]()
    for name in names:
        # One plain number among shares may be a share of 1.
        shares = table.is_percent(name) and table.is_label(name)
        columns[name] = numbers_with_gaps(table, name, percents=shares)
        if shares:
            notes.append(f"the target {quoted(name)} is in percent: 12% is the number 12, and so are predictions")
    return with_columns(table, columns), notes


def _unusable(table: Table, name: str, kind: str) -> DataError:
    where = f"{table.label}: column {quoted(name)}"
    if kind == "empty":
        return DataError(f"{where} is empty in every row; leave it out of the features")
    if kind == "date":
        return DataError(f"{where} holds dates, which are no numbers; leave it out of the features")
    cells = raw_levels(table.column(name))
    return DataError(
        f"{where} holds text such as {quoted(next(iter(cells)))}, {counted(len(cells), 'value')} in {table.n_rows} "
        f"rows; as categories it needs up to {MAX_LEVELS} levels of {rare_below(table.n_rows)} rows or more: leave it "
        "out of the features, join levels, or name it in categories (--categories)"
    )
