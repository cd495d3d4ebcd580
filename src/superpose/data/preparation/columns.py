"""How each kind of raw column becomes columns of numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy

from superpose.data.preparation.cells import YES_OR_NO, as_text, is_missing, numbers_with_gaps
from superpose.data.tables import Column, FloatArray, Table
from superpose.errors import DataError
from superpose.messages import counted, listed, quoted

# More levels of one column are names, places or remarks, not categories; a round number.
MAX_LEVELS = 50
# A level with fewer rows is rare: the standard error of a mean of 5 rows is nearly half of their deviation. In tables
# of less than 50 rows a tenth of the rows, and at least 2, since a level of one row explains that row and nothing else.
_RARE_ROWS, _RARE_SHARE, _LEAST_ROWS = 5, 0.1, 2
# A column whose rare levels hold more of the rows holds names or free text. A round number.
_MOST_RARE = 0.5
OTHER = "other"
# Rare levels that are remembered by name, so that they are no surprise in a later table; a round number.
_REMEMBERED = 50


@dataclass(frozen=True)
class RawColumn(ABC):
    """A column of a table as people have it, and the columns of numbers that it becomes.

    Attributes:
        name: of the raw column.
        fill: the value that missing cells get; None if they get none.
        indicator: whether a column of 0 and 1 says which cells were missing.
    """

    name: str
    fill: float | None = None
    indicator: bool = False

    kind: ClassVar[str] = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns that it becomes."""
        return (*self.value_names, *((f"{self.name} is missing",) if self.indicator else ()))

    @property
    def value_names(self) -> tuple[str, ...]:
        """The same without that of the indicator."""
        return (self.name,)

    @abstractmethod
    def read(self, table: Table, notes: list[str]) -> FloatArray:
        """Its value in each row of a table, NaN where the cell is missing; appends sentences to ``notes``."""

    def spread(self, values: FloatArray) -> list[FloatArray]:
        """The columns of numbers, for values without gaps or with NaN."""
        return [values]

    @property
    @abstractmethod
    def meanings(self) -> tuple[str, ...]:
        """What each column of :attr:`value_names` is, in words."""

    @property
    def plain(self) -> bool:
        """Whether the column is taken as it is."""
        return False

    @property
    def filling(self) -> str:
        """What missing cells count as, in words."""
        return f"the median {self.fill:.6g}"

    def filled(self, values: FloatArray, rule: str, *, typical: float | None = None) -> Self:
        """The column with what its missing cells get under a rule, from the values of the training rows."""
        if rule not in ("median", "indicator"):
            return self
        known = values[~numpy.isnan(values)]
        fill = float(numpy.median(known)) if typical is None else typical
        return replace(self, fill=fill, indicator=rule == "indicator" and len(known) < len(values))


@dataclass(frozen=True)
class NumberColumn(RawColumn):
    """Numbers, taken as they are."""

    kind: ClassVar[str] = "number"

    def read(self, table: Table, notes: list[str]) -> FloatArray:
        """The numbers; see :class:`RawColumn`."""
        return numbers_with_gaps(table, self.name)

    @property
    def meanings(self) -> tuple[str, ...]:
        """See :class:`RawColumn`."""
        return ("a number",)

    @property
    def plain(self) -> bool:
        """Whether the column is taken as it is."""
        return self.fill is None


@dataclass(frozen=True)
class PercentColumn(RawColumn):
    """Shares with a sign %, of which the number before it is taken."""

    kind: ClassVar[str] = "percent"

    def read(self, table: Table, notes: list[str]) -> FloatArray:
        """The numbers before the signs, and numbers without one as they are."""
        return numbers_with_gaps(table, self.name, percents=True)

    @property
    def meanings(self) -> tuple[str, ...]:
        """See :class:`RawColumn`."""
        return ("in percent, 12 for 12%",)


@dataclass(frozen=True)
class BooleanColumn(RawColumn):
    """Yes and no, true and false: one column of 1 and 0."""

    kind: ClassVar[str] = "boolean"

    def read(self, table: Table, notes: list[str]) -> FloatArray:
        """1 and 0; also from numbers that are these."""
        column = table.column(self.name)
        if isinstance(column, numpy.ndarray):
            wrong = ~((column == 0) | (column == 1) | numpy.isnan(column))
            if wrong.any():
                raise self._neither(table, int(wrong.argmax()))
            return column
        known: dict[str, float] = {}
        found = numpy.empty(len(column))
        for row, cell in enumerate(column):
            if cell not in known:
                value = YES_OR_NO.get(cell.lower())
                # 1.0 is what a column of 1 and 0 becomes where cells are missing.
                value = YES_OR_NO.get(cell.removesuffix(".0")) if value is None else value
                if value is None and not is_missing(cell, beside_values=True):
                    raise self._neither(table, row)
                known[cell] = numpy.nan if value is None else value
            found[row] = known[cell]
        return found

    def _neither(self, table: Table, row: int) -> DataError:
        return DataError(
            f"{table.label}, {table.place(row)}: column {quoted(self.name)} holds "
            f"{quoted(table.column(self.name)[row])}, which is neither true nor false, as its other cells are"
        )

    def filled(self, values: FloatArray, rule: str, *, typical: float | None = None) -> Self:
        """Missing cells get the more frequent answer: the median of 0 and 1 may be neither."""
        return super().filled(values, rule, typical=float(numpy.nanmean(values) > 0.5))

    @property
    def meanings(self) -> tuple[str, ...]:
        """See :class:`RawColumn`."""
        return (f"1 where {self.name} is true, else 0",)

    @property
    def filling(self) -> str:
        """What missing cells count as, in words."""
        return f"the more frequent answer, {'true' if self.fill else 'false'}"


@dataclass(frozen=True)
class CategoryColumn(RawColumn):
    """Levels: a column of 0 and 1 for each, or one column for two levels.

    Attributes:
        levels: that have a column of their own, numbers in ascending order, text in alphabetical order.
        rare: names of levels with too few rows for one, 50 at most.
        other: whether rare levels share a column, which levels that were never seen get too.
    """

    levels: tuple[str, ...] = ()
    rare: tuple[str, ...] = ()
    other: bool = False

    kind: ClassVar[str] = "category"

    @classmethod
    def of(cls, name: str, cells: Sequence[str], *, forced: bool = False) -> CategoryColumn | None:
        """The levels of a column's cells, which :func:`~.cells.as_text` wrote; None if there are none to learn from.

        Args:
            name: of the column.
            cells: those of the training rows.
            forced: whether a column of many levels, or of rare ones, is one of categories all the same.
        """
        counts = Counter(cell for cell in cells if cell)
        least = rare_below(len(cells))
        levels = tuple(sorted((level for level, count in counts.items() if count >= least), key=_order))
        if not forced and too_many(counts, len(cells)):
            return None
        rest = {level: count for level, count in counts.items() if count < least}
        other = OTHER not in levels and sum(rest.values()) >= least
        if len(levels) + other < 2:
            return None
        rare = tuple(sorted(rest, key=lambda level: (-rest[level], _order(level)))[:_REMEMBERED])
        return cls(name, levels=levels, rare=rare, other=other)

    @property
    def _single(self) -> int | None:
        """The level with the only column, where two states need no more; None where each has its own."""
        if self.other and len(self.levels) == 1:
            return 0
        return 1 if len(self.levels) == 2 and not self.other and not self.rare else None

    @property
    def _rest(self) -> int:
        """The code of rare and unknown levels: of the level or the column ``other``, or one that has no column."""
        return self.levels.index(OTHER) if OTHER in self.levels else len(self.levels)

    @property
    def value_names(self) -> tuple[str, ...]:
        """``species = Gentoo`` and the like."""
        if self._single is not None:
            return (f"{self.name} = {self.levels[self._single]}",)
        return tuple(f"{self.name} = {level}" for level in (*self.levels, *((OTHER,) if self.other else ())))

    def read(self, table: Table, notes: list[str]) -> FloatArray:
        """The number of each row's level; a sentence says which levels were never seen."""
        known: dict[str, float] = {level: float(place) for place, level in enumerate(self.levels)}
        known |= {level: float(self._rest) for level in self.rare} | {"": numpy.nan}
        unseen: Counter[str] = Counter()
        cells = as_text(table.column(self.name))
        found = numpy.empty(len(cells))
        for row, cell in enumerate(cells):
            value = known.get(cell)
            if value is None:
                unseen[cell] += 1
                value = self._rest
            found[row] = value
        if unseen:
            notes.append(self._unseen(table, unseen))
        return found

    def _unseen(self, table: Table, unseen: Counter[str]) -> str:
        rows = counted(sum(unseen.values()), "row")
        if self.other or OTHER in self.levels:
            taken = f"counted as {quoted(OTHER)}"
        elif self._single is not None:
            taken = f"counted as {quoted(self.levels[1 - self._single])}"
        else:
            taken = "0 in all its columns"
        one = len(unseen) == 1
        return (
            f"{table.label}: column {quoted(self.name)} holds the level{'' if one else 's'} "
            f"{listed(sorted(unseen), 4)} in {rows}, which the model was not fitted to; "
            f"{'it is' if one else 'they are'} {taken}"
        )

    def spread(self, values: FloatArray) -> list[FloatArray]:
        """Columns of 0 and 1, NaN where values are."""
        codes = range(len(self.levels) + self.other) if self._single is None else (self._single,)
        missing = numpy.isnan(values)
        return [numpy.where(missing, numpy.nan, values == code) for code in codes]

    def filled(self, values: FloatArray, rule: str, *, typical: float | None = None) -> Self:
        """Missing cells get the most frequent level, the first of equals."""
        known = values[~numpy.isnan(values)].astype(int)
        return super().filled(values, rule, typical=float(numpy.bincount(known).argmax()))

    @property
    def filling(self) -> str:
        """What missing cells count as, in words."""
        place = self._rest if self.fill is None else int(self.fill)
        return f"the most frequent level, {(*self.levels, OTHER)[place]}"

    @property
    def meanings(self) -> tuple[str, ...]:
        """See :class:`RawColumn`."""
        if self._single is not None:
            return (f"1 where {self.name} is {self.levels[self._single]}, else 0",)
        rest = f"1 where {self.name} is none of {', '.join(self.levels)}, else 0"
        return (
            *(f"1 where {self.name} is {level}, else 0" for level in self.levels),
            *((rest,) if self.other else ()),
        )


@dataclass(frozen=True)
class OrderedColumn(RawColumn):
    """Levels in an order: one column with their rank, 1 for the lowest.

    Attributes:
        levels: from low to high.
    """

    levels: tuple[str, ...] = ()

    kind: ClassVar[str] = "ordered"

    @property
    def value_names(self) -> tuple[str, ...]:
        """The rank, under another name than the levels."""
        return (f"rank of {self.name}",)

    def read(self, table: Table, notes: list[str]) -> FloatArray:
        """The rank of each row's level."""
        known: dict[str, float] = {level: 1.0 + place for place, level in enumerate(self.levels)} | {"": numpy.nan}
        cells = as_text(table.column(self.name))
        for row, cell in enumerate(cells):
            if cell not in known:
                raise DataError(
                    f"{table.label}, {table.place(row)}: column {quoted(self.name)} holds {quoted(cell)}, which is "
                    f"none of its levels {listed(self.levels)}; correct the cell, or leave out the row"
                )
        return numpy.array([known[cell] for cell in cells])

    @property
    def meanings(self) -> tuple[str, ...]:
        """See :class:`RawColumn`."""
        ranks = ", ".join(f"{1 + place} for {level}" for place, level in enumerate(self.levels))
        return (f"the rank of {self.name}: {ranks}",)


def rare_below(rows: int) -> int:
    """The number of rows below which a level of a table of so many rows is rare.

    >>> rare_below(10), rare_below(40), rare_below(1000)
    (2, 4, 5)
    """
    return max(_LEAST_ROWS, min(_RARE_ROWS, int(_RARE_SHARE * rows)))


def too_many(counts: Counter[str], rows: int) -> bool:
    """Whether cells with these counts are names or free text rather than categories."""
    kept = [count for count in counts.values() if count >= rare_below(rows)]
    return len(kept) > MAX_LEVELS or sum(kept) < (1 - _MOST_RARE) * sum(counts.values())


def _order(level: str) -> tuple[bool, float, str]:
    """Numbers in their order, before text."""
    try:
        return False, float(level), level
    except ValueError:
        return True, 0.0, level


def raw_levels(column: Column) -> Counter[str]:
    """How many rows each level of a column has, missing cells left out."""
    return Counter(cell for cell in as_text(column) if cell)
