"""A column of dates, and the columns of numbers that it becomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy

from superpose.data.preparation.cells import is_missing, written
from superpose.data.preparation.columns import RawColumn
from superpose.data.preparation.dates import (
    UNITS,
    moment,
    part_columns,
    part_meanings,
    part_names,
    stamp,
    unit_of,
)
from superpose.data.tables import FloatArray, Table
from superpose.errors import DataError
from superpose.messages import quoted


@dataclass(frozen=True)
class DateColumn(RawColumn):
    """Dates: the time that has passed, and parts that return if they are wanted.

    Attributes:
        origin: in seconds since 1970, from which time is counted.
        unit: in which it is counted, a name in ``UNITS``.
        order: whether the ``"day"`` or the ``"month"`` comes first in dates such as 01/02/2024; None if it does not
            matter.
        parts: some of ``PARTS``.
    """

    origin: float = 0.0
    unit: str = "days"
    order: str | None = None
    parts: tuple[str, ...] = ()

    kind: ClassVar[str] = "date"

    @classmethod
    def of(cls, name: str, seconds: FloatArray, order: str | None, parts: Sequence[str]) -> DateColumn:
        """The column that some times, in seconds since 1970, make; NaN for missing ones."""
        known = seconds[~numpy.isnan(seconds)]
        first, last = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
        unit = unit_of(last - first)
        # From a whole unit: a date without a time is a whole number of days.
        return cls(name, origin=first // unit.seconds * unit.seconds, unit=unit.name, order=order, parts=tuple(parts))

    @property
    def value_names(self) -> tuple[str, ...]:
        """``date (days since 2024-01-31)``, and those of the parts."""
        elapsed = f"{self.name} ({self.unit} since {stamp(self.origin, UNITS[self.unit])})"
        return (elapsed, *(one for part in self.parts for one in part_names(self.name, part)))

    def read(self, table: Table, notes: list[str]) -> FloatArray:
        """Seconds since 1970."""
        return seconds_of(table, self.name, self.order)

    def spread(self, values: FloatArray) -> list[FloatArray]:
        """The time since the origin, and the parts."""
        elapsed = (values - self.origin) / UNITS[self.unit].seconds
        return [elapsed, *(column for part in self.parts for column in part_columns(values, part))]

    @property
    def filling(self) -> str:
        """What missing cells count as, in words."""
        return f"the median {stamp(self.fill or 0.0, UNITS['seconds'])}"

    @property
    def meanings(self) -> tuple[str, ...]:
        """See :class:`RawColumn`."""
        elapsed = f"the {self.unit} from {stamp(self.origin, UNITS[self.unit])} to {self.name}"
        return (elapsed, *(one for part in self.parts for one in part_meanings(self.name, part)))


def seconds_of(table: Table, name: str, order: str | None) -> FloatArray:
    """A column of dates in seconds since 1970, NaN where cells are missing.

    Raises:
        DataError: for a cell that is no date.
    """
    column = table.column(name)
    known: dict[str, float] = {}
    found = numpy.empty(len(column))
    for row, cell in enumerate(column):
        text = cell if isinstance(cell, str) else written(cell)
        if text not in known:
            value = numpy.nan if is_missing(text, beside_values=True) else moment(text, order)
            if value is None:
                raise DataError(
                    f"{table.label}, {table.place(row)}: column {quoted(name)} holds {quoted(text)}, which is no date; "
                    "write dates such as 2024-01-31 or 2024-01-31 15:30:00, or leave out the row"
                )
            known[text] = value
        found[row] = known[text]
    return found
