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
    surely_finite,
    written,
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
from superpose.data.preparation.date_column import DateColumn, seconds_of
from superpose.data.preparation.dates import DateForm, are_compact, date_form
from superpose.data.preparation.missing_codes import missing_code
from superpose.data.preparation.options import PreparationOptions
from superpose.data.tables import NOT_FINITE, PERCENT, Column, FloatArray, Table, is_numeric
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
        notes: sentences on columns of dates that mean one of two, and on numbers that may mean missing values.
    """

    original: Table
    table: Table
    kinds: dict[str, str]
    left_out: tuple[str, ...]
    options: PreparationOptions
    notes: tuple[str, ...] = ()

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
        notes: list[str] = []
        for name in options.dates:
            table.require(name, "dates")
            if kind_of(table, name, options) != "date":
                raise _no_dates(table, name, options)
        for name in names:
            kind = kind_of(table, name, options)
            unclear = _ambiguous(table, name, options) if kind == "date" and options.use_dates else ""
            if unclear and (named or name in options.dates):
                raise DataError(unclear)
            if kind in ("text", "empty") or (kind == "date" and not options.use_dates):
                if named:
                    raise _unusable(table, name, kind)
                left_out.append(name)
            elif unclear:
                left_out.append(name)
                notes.append(f"{unclear}; it is left out")
            else:
                kinds[name] = kind
        numeric = as_numbers(table, kinds)
        notes += [sentence for name in kinds if kinds[name] == "number" for sentence in told_of_codes(numeric, name)]
        return cls(table, numeric, kinds, tuple(left_out), options, tuple(notes))

    def missing(self, table: Table | None = None) -> BoolArray:
        """``[N]``, the rows of this table, or of another that has its columns, in which a cell is missing."""
        table = table or self.table
        found = numpy.zeros(table.n_rows, dtype=bool)
        for name in self.kinds:
            if name in table.names:
                found |= self.missing_in(name, table)
        return found

    def rows(self, kept: numpy.typing.NDArray[numpy.int64]) -> RawTable:
        """Some rows, by their numbers in ascending order."""
        return replace(self, original=self.original.rows(kept), table=self.table.rows(kept))

    def missing_in(self, name: str, table: Table | None = None) -> BoolArray:
        """``[N]``, the missing cells of one column of this table, or of another that has it."""
        table = table or self.table
        if name in table.finite:
            return numpy.zeros(table.n_rows, dtype=bool)
        return missing_mask(table.column(name), beside_values=self.kinds[name] not in ("category", "ordered"))

    def refuse_missing(self) -> None:
        """Raise a sentence on the first column with missing cells, if there is one."""
        for name in self.kinds:
            refuse_missing(self.original, name, self.missing_in(name))

    def fitted(self, name: str, rows: numpy.typing.NDArray[numpy.int64]) -> RawColumn | None:
        """How a column becomes numbers, from some rows; None if it holds nothing to learn from in them."""
        kind, table, forced = self.kinds[name], self.table, name in self.options.categories
        made: RawColumn | None
        if kind in _OF_NUMBERS:
            made = _OF_NUMBERS[kind](name)
        elif kind == "ordered":
            made = OrderedColumn(name, levels=tuple(as_text(list(table.declared[name]))))
        elif kind == "date":
            form = _form(table, name, self.options)
            order = None if form is None else form.order
            made = DateColumn.of(name, seconds_of(table, name, order)[rows], order, self.options.parts(name))
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
        if declared == "boolean":
            return "boolean"
        return "date" if _holds_days(column) else "number"
    cells = present(column, beside_values=True)
    if not cells:
        return "empty"
    if are_compact(cells):
        return "date"
    if name in table.faults or any(is_numeric(cell) or NOT_FINITE.fullmatch(cell) for cell in cells):
        return "number"
    if any(PERCENT.fullmatch(cell) for cell in cells):
        return "percent"
    if answers(cells):
        return "boolean"
    if _form(table, name, options) is not None:
        return "date"
    return "category" if options.automatic and not too_many(raw_levels(column), len(column)) else "text"


def _form(table: Table, name: str, options: PreparationOptions) -> DateForm | None:
    """How the dates of a column are written; None if it holds others cells."""
    column = table.column(name)
    if isinstance(column, numpy.ndarray):
        return DateForm() if _holds_days(column) else None
    return date_form(present(column, beside_values=True), options.order(name))


def _holds_days(column: FloatArray) -> bool:
    """Whether numbers are days such as 20240131. Most columns of numbers are told by their ends."""
    if not (column[0] != column[0] or _DAYS[0] <= column[0] <= _DAYS[1]):
        return False
    if not _DAYS[0] <= numpy.nanmin(column) <= numpy.nanmax(column) <= _DAYS[1]:
        return False
    return are_compact(written(value) for value in numpy.unique(column[~numpy.isnan(column)]).tolist())


# The first and the last day that a number of eight digits may be.
_DAYS = 19000101, 20991231


def _ambiguous(table: Table, name: str, options: PreparationOptions) -> str:
    """A sentence on a column whose dates mean one of two; empty for others."""
    form = _form(table, name, options)
    if form is None or form.ambiguous is None:
        return ""
    return (
        f"{table.label}: column {quoted(name)} holds dates such as {quoted(form.ambiguous)}, of which day or month may "
        f"come first; say which: --dates {name}:day-first or {name}:month-first (in Python dates=...)"
    )


def _no_dates(table: Table, name: str, options: PreparationOptions) -> DataError:
    column = table.column(name)
    if isinstance(column, numpy.ndarray):
        return DataError(f"{table.label}: column {quoted(name)} holds numbers and no dates; leave it out of the dates")
    try:
        seconds_of(table, name, options.order(name))
    except DataError as error:
        return error
    return DataError(f"{table.label}: column {quoted(name)} is named in categories and in dates; take it out of one")


def as_numbers(table: Table, kinds: dict[str, str]) -> Table:
    """The table with its columns of numbers, shares in percent, and answers as numbers."""
    columns: dict[str, Column] = {}
    for name, kind in kinds.items():
        if kind in _OF_NUMBERS:
            columns[name] = _OF_NUMBERS[kind](name).read(table, [])
    finite = [name for name, column in columns.items() if isinstance(column, numpy.ndarray) and surely_finite(column)]
    return replace(with_columns(table, columns), finite=table.finite.union(finite))


def told_of_codes(table: Table, name: str) -> list[str]:
    """A sentence on a number in a column of numbers that may mean a missing value, if there is one."""
    column = table.column(name)
    code = missing_code(column) if isinstance(column, numpy.ndarray) else None
    return [] if code is None else [f"{table.label}: {code.sentence(name)}"]


def with_columns(table: Table, columns: dict[str, Column]) -> Table:
    """The table with other cells in some columns."""
    if all(columns[name] is table.column(name) for name in columns):
        return table
    made = tuple(columns.get(name, column) for name, column in zip(table.names, table.columns, strict=True))
    return replace(table, columns=made)


def target_numbers(table: Table, names: Sequence[str]) -> tuple[Table, list[str]]:
    """The table with its targets as numbers, NaN where they are missing, and sentences on those that may mislead."""
    notes, columns = [], dict[str, Column]()
    for name in names:
        # One plain number among shares may be a share of 1.
        shares = table.is_percent(name) and table.is_label(name)
        columns[name] = numbers_with_gaps(table, name, percents=shares)
        if shares:
            notes.append(f"the target {quoted(name)} is in percent: 12% is the number 12, and so are predictions")
    made = with_columns(table, columns)
    return made, [*notes, *(sentence for name in names for sentence in told_of_codes(made, name))]


def _unusable(table: Table, name: str, kind: str) -> DataError:
    where = f"{table.label}: column {quoted(name)}"
    if kind == "empty":
        return DataError(f"{where} is empty in every row; leave it out of the features")
    if kind == "date":
        return DataError(f"{where} holds dates, which are not used; leave it out of the features, or leave out --dates")
    cells = raw_levels(table.column(name))
    return DataError(
        f"{where} holds text such as {quoted(next(iter(cells)))}, {counted(len(cells), 'value')} in {table.n_rows} "
        f"rows; as categories it needs up to {MAX_LEVELS} levels of {rare_below(table.n_rows)} rows or more: leave it "
        "out of the features, join levels, or name it in categories (--categories)"
    )
