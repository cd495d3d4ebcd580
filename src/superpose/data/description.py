"""What was understood of a table, column by column, before anything is fitted."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy

from superpose.data.arrays import chosen_names, is_frame
from superpose.data.columns import Roles
from superpose.data.options import RowOptions, dividing_columns, weighing_columns
from superpose.data.preparation.cells import missing_mask, written
from superpose.data.preparation.columns import RawColumn, raw_levels
from superpose.data.preparation.date_column import DateColumn
from superpose.data.preparation.dates import UNITS, stamp
from superpose.data.preparation.missing_codes import missing_code
from superpose.data.preparation.options import PreparationOptions
from superpose.data.preparation.preparation import Preparation
from superpose.data.preparation.understanding import RawTable, kind_of
from superpose.data.reading.opening import opened
from superpose.data.reading.options import check_options, file_options
from superpose.data.tables import Table, table_from_frame
from superpose.errors import DataError
from superpose.messages import counted

# Levels that are shown, the most frequent first; a round number.
SHOWN_LEVELS = 6


@dataclass(frozen=True)
class ColumnSummary:
    """What was understood of one raw column.

    Attributes:
        name: of the column.
        role: ``"target"``, ``"feature"``, ``"left out"``, or the option that the column is used for, such as
            ``"weights"``.
        kind: ``"number"``, ``"percent"``, ``"boolean"``, ``"category"``, ``"ordered"``, ``"date"``, ``"text"``,
            ``"empty"`` or, where it cannot be used, ``"mixed"``.
        unit: what stands in brackets at the end of the name; None if nothing does.
        missing: how many cells are missing.
        low, high: of numbers; None of others.
        code: a number outside these that is likely to mean a missing value, and its rows; None if there is none.
        span: the first and the last date; None of others.
        levels: of categories, answers and text the most frequent ones, with their numbers of rows.
        distinct: how many levels there are; None of numbers.
        becomes: the columns that are learnt from.
        problem: why the column cannot be used; empty if it can.
    """

    name: str
    role: str
    kind: str
    unit: str | None = None
    missing: int = 0
    low: float | None = None
    high: float | None = None
    code: tuple[float, int] | None = None
    span: tuple[str, str] | None = None
    levels: tuple[tuple[str, int], ...] = ()
    distinct: int | None = None
    becomes: tuple[str, ...] = ()
    problem: str = ""

    def holds(self) -> str:
        """Its range or its levels, in words.

        >>> ColumnSummary("x", "feature", "number", low=0.5, high=12.0).holds()
        '0.5 to 12'
        """
        if self.kind == "text" and self.levels:
            return f"{self.distinct} different values such as {self.levels[0][0]}"
        if self.levels:
            more = (self.distinct or 0) - len(self.levels)
            rest = f" and {more} more" if more > 0 else ""
            return ", ".join(f"{level} {count}" for level, count in self.levels) + rest
        if self.span is not None:
            return f"{self.span[0]} to {self.span[1]}"
        odd = "" if self.code is None else f", and {written(self.code[0])} in {counted(self.code[1], 'row')}"
        return "" if self.low is None else f"{self.low:.6g} to {self.high:.6g}{odd}"

    def made(self) -> str:
        """Its name, its kind and the number of columns made of it, in words.

        >>> ColumnSummary("sex", "feature", "category", becomes=("sex = male",)).made()
        'sex (category, 1 column)'
        """
        return f"{self.name} ({self.kind}, {counted(len(self.becomes), 'column')})"

    def result(self) -> str:
        """What becomes of the column, in words."""
        if self.problem:
            return self.problem
        if self.becomes == (self.name,):
            return {"boolean": "1 where true, else 0", "percent": "the number before %"}.get(self.kind, "")
        more = len(self.becomes) - SHOWN_LEVELS
        return ", ".join(self.becomes[:SHOWN_LEVELS]) + (f" and {more} more" if more > 0 else "")


@dataclass(frozen=True)
class TableDescription:
    """What was understood of a table.

    Attributes:
        label: of the table.
        rows: how many it has.
        columns: in its order.
    """

    label: str
    rows: int
    columns: tuple[ColumnSummary, ...] = field(repr=False)

    HEAD = ("column", "role", "kind", "missing", "holds", "becomes")

    @property
    def raw(self) -> bool:
        """Whether some column is anything else than numbers without gaps."""
        return any(column.kind != "number" or column.missing for column in self.columns)

    def to_dict(self) -> dict[str, Any]:
        """The same, ready for JSON."""
        return asdict(self)

    def lines(self) -> list[tuple[str, ...]]:
        """A line for each column, under ``HEAD``."""
        return [
            (column.name, column.role, column.kind, str(column.missing or ""), column.holds(), column.result())
            for column in self.columns
        ]

    def __str__(self) -> str:
        lines = [self.HEAD, *self.lines()]
        # The last cell of a line may be as long as it is.
        widths = [max(len(line[place]) for line in lines) for place in range(len(self.HEAD) - 1)]
        made = [
            "  ".join(f"{cell:<{width}}" for cell, width in zip(line, [*widths, 0], strict=True)).rstrip()
            for line in lines
        ]
        return "\n".join([f"{self.label}: {counted(self.rows, 'row')}, {counted(len(self.columns), 'column')}", *made])


def describe(
    table: Any, target: str | Sequence[str] | None = None, *, features: Sequence[str] | None = None, **options: Any
) -> TableDescription:
    """Say what each column of a table is, and what becomes of it, without fitting anything.

    Args:
        table: a path, a data frame, or what :func:`superpose.data.read_table` returned.
        target: the column to be learnt, or several; none if left out.
        features: the columns to learn from; all that can be learnt from if None.
        options: see :class:`~superpose.data.RowOptions` and :class:`~superpose.data.FileOptions`.

    Raises:
        FileError: if the file cannot be read.
        DataError: if a column that is named is not there.
        OptionError: for an option that makes no sense.

    >>> import pandas
    >>> frame = pandas.DataFrame({"kind": ["a", "b"] * 5, "mass [kg]": range(10), "f": range(10)})
    >>> print(describe(frame, "f"))
    the data frame: 10 rows, 3 columns
    column     role     kind      missing  holds     becomes
    kind       feature  category           a 5, b 5  kind = b
    mass [kg]  feature  number             0 to 9
    f          target   number             0 to 9
    """
    given: Any = options
    check_options("describe", given, ("target", "features"))
    if isinstance(table, str | os.PathLike | Table):
        read, _ = opened(table, file_options(given))
    elif is_frame(table):
        read = table_from_frame(table, "the data frame")
    else:
        raise DataError(f"describe needs a path or a data frame, not a {type(table).__name__}")
    settings = PreparationOptions.read(options)
    roles: dict[str, str] = {}
    for name in () if features is None else chosen_names(features, "features"):
        read.require(name, "a feature")
        roles[name] = "feature"
    for names, role in ((weighing_columns(given), "weights"), (dividing_columns(given), "split")):
        for name in names:
            read.require(name, f"the {role}")
            roles.setdefault(name, role)
    for name in () if target is None else chosen_names(target, "target"):
        read.require(name, "the target")
        roles[name] = "target"
    usual = "feature" if features is None else "left out"
    columns = tuple(_looked_at(read, name, roles.get(name, usual), settings) for name in read.names)
    return TableDescription(read.label, read.n_rows, columns)


def summaries(raw: RawTable, roles: Roles, preparation: Preparation, options: RowOptions) -> tuple[ColumnSummary, ...]:
    """The summaries of all columns of a table that a data set is made of.

    Args:
        raw: the table.
        roles: of its columns.
        preparation: how the features are made.
        options: those of the data set, in which columns may be named that are no features.
    """
    columns = {column.name: column for column in preparation.columns}
    known = dict.fromkeys(roles.features, "feature") | dict.fromkeys(roles.targets, "target")
    for names, role in ((weighing_columns(options), "weights"), (dividing_columns(options), "split")):
        known = dict.fromkeys(names, role) | known
    return tuple(summary(raw, name, columns.get(name), known.get(name, "left out")) for name in raw.table.names)


def _looked_at(table: Table, name: str, role: str, options: PreparationOptions) -> ColumnSummary:
    """The summary of a column of a table that nobody looked at before."""
    try:
        raw = RawTable.of(table, [name], options)
        column = raw.fitted(name, numpy.arange(table.n_rows)) if name in raw.kinds else None
    except DataError as error:
        return ColumnSummary(name, role, "mixed", unit_in(name), problem=str(error))
    return summary(raw, name, column, role)


def summary(raw: RawTable, name: str, column: RawColumn | None, role: str) -> ColumnSummary:
    """The summary of a column.

    Args:
        raw: the table.
        name: of the column.
        column: what it becomes; None if it cannot be learnt from.
        role: of the column; one that cannot be learnt from is no feature.
    """
    cells = raw.table.column(name)
    kind = raw.kinds.get(name) or kind_of(raw.table, name, raw.options)
    if kind == "empty":
        return ColumnSummary(name, "left out" if role == "feature" else role, kind, unit_in(name), raw.table.n_rows)
    text = kind in ("category", "ordered", "text")
    dates = column if isinstance(column, DateColumn) else None
    known_whole = name in raw.table.finite
    missing = numpy.zeros(len(cells), dtype=bool) if known_whole else missing_mask(cells, beside_values=not text)
    becomes: tuple[str, ...] = ()
    problem = ""
    if role == "feature" and column is None:
        role = "left out"
    elif role == "feature" and column is not None:
        becomes = column.names
    if missing.any() and raw.options.missing == "error" and role in ("feature", "target"):
        problem = "refused; say what is done with missing cells"
    elif role == "left out" and kind == "text":
        problem = "names or free text"
    elif role == "left out" and kind == "date":
        problem = "not used, or day and month cannot be told apart: --dates NAME:day-first"
    known = ColumnSummary(name, role, kind, unit_in(name), int(missing.sum()), becomes=becomes, problem=problem)
    return _with_values(known, raw, cells, missing) if dates is None else _with_dates(known, raw, dates)


def _with_values(known: ColumnSummary, raw: RawTable, cells: Any, missing: Any) -> ColumnSummary:
    """The summary with the range or the levels of a column."""
    if isinstance(cells, numpy.ndarray) and known.kind != "category":
        values = cells[~missing] if known.missing else cells
        if known.kind == "boolean":
            true = int((values == 1).sum())
            levels = Counter({"true": true, "false": len(values) - true})
            return replace(known, levels=tuple(levels.most_common()), distinct=2)
        code = missing_code(values)
        if code is not None:
            return replace(known, low=code.low, high=code.high, code=(code.value, code.rows))
        return replace(known, low=float(values.min()), high=float(values.max()))
    counts = raw_levels(raw.original.column(known.name))
    common = sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:SHOWN_LEVELS]
    return replace(known, levels=tuple(common), distinct=len(counts))


def _with_dates(known: ColumnSummary, raw: RawTable, column: DateColumn) -> ColumnSummary:
    """The summary with the first and the last date of a column."""
    seconds = column.read(raw.table, [])
    times = [stamp(float(end), UNITS[column.unit]) for end in (numpy.nanmin(seconds), numpy.nanmax(seconds))]
    return replace(known, span=(times[0], times[1]))


def unit_in(name: str) -> str | None:
    """What stands in square or round brackets at the end of a column's name.

    >>> unit_in("mass [kg]"), unit_in("mass")
    ('kg', None)
    """
    found = re.fullmatch(r".+?[\[(]([^\[\]()]+)[\])]\s*", name)
    return None if found is None else found[1].strip()
