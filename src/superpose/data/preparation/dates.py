"""Dates as text: recognised, and read as times."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy

from superpose.data.tables import FloatArray

# Months by the first letters of their names in English, German, French, Spanish and Italian.
_MONTHS = {
    name: month
    for month, names in enumerate(
        (
            *("jan jän ene gen", "feb fév fev", "mar mär mrz maer", "apr avr abr", "may mai mag", "jun juin giu"),
            *("jul juil lug", "aug aoû aou ago", "sep set", "oct okt ott", "nov", "dec dez déc dic"),
        ),
        start=1,
    )
    for name in names.split()
}
_CLOCK = r"(?:[T ,]+(?P<clock>\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?)\s*(?P<half>[AaPp]\.?[Mm]\.?)?)?"
# Three numbers with one sign between them, the year first or last.
_NUMERIC = re.compile(rf"(?P<one>\d{{1,4}})(?P<sign>[/.\-])(?P<two>\d{{1,2}})(?P=sign)(?P<three>\d{{1,4}}){_CLOCK}")
# 31 Jan 2024, 31-Jan-2024, and Jan 31, 2024.
_WORD = r"[^\W\d_]{3,10}"
_NAMED = re.compile(
    rf"(?:(?P<day>\d{{1,2}})[ \-./]*(?P<month>{_WORD})\.?|(?P<month2>{_WORD})\.?\s+(?P<day2>\d{{1,2}}))"
    rf"[ \-,./]+(?P<year>\d{{4}}){_CLOCK}"
)
_MONTH_ONLY = re.compile(r"\d{4}-\d{2}")
# 20240131: year, month and day without a sign between them.
_COMPACT = re.compile(r"(?:19|20)\d{6}")
# Of numbers of eight digits from 1900 on 4% are days of the calendar; of three that are, chance is no explanation.
_COMPACT_DAYS = 3
DAY_FIRST, MONTH_FIRST = "day", "month"
_EPOCH = datetime.datetime(1970, 1, 1)


@dataclass(frozen=True)
class DateForm:
    """How the dates of a column are written.

    Attributes:
        order: ``"day"`` or ``"month"``, which comes first where both are numbers before the year; None if it cannot be
            told or does not matter.
        ambiguous: a cell that means one of two dates; None where there is none.
    """

    order: str | None = None
    ambiguous: str | None = None


def date_form(cells: Iterable[str], order: str | None = None) -> DateForm | None:
    """How dates are written; None if some cell is no date.

    Args:
        cells: those that are not missing.
        order: ``"day"`` or ``"month"`` if a person said which comes first.

    >>> date_form(["2024-01-31", "2024-02-01 15:30"])
    DateForm(order=None, ambiguous=None)
    >>> date_form(["31/01/2024", "01/02/2024"]), date_form(["01/02/2024"])
    (DateForm(order='day', ambiguous=None), DateForm(order=None, ambiguous='01/02/2024'))
    """
    shown: set[str] = set()
    open_cell = None
    for cell in cells:
        which = _order_of(cell)
        if which in (DAY_FIRST, MONTH_FIRST):
            shown.add(which)
        elif which == "either":
            open_cell = cell if open_cell is None else min(open_cell, cell)
        if moment(cell, which if which in (DAY_FIRST, MONTH_FIRST) else order or DAY_FIRST) is None:
            return None
    if len(shown) > 1 or (order is not None and shown - {order}):
        return None
    known = next(iter(shown), order)
    return DateForm(known, open_cell if known is None else None)


def _order_of(cell: str) -> str:
    """Which of day and month comes first in a cell: one of them, either, or none where that does not matter."""
    found = _NUMERIC.fullmatch(cell)
    if found is None or len(found["one"]) == 4:
        return "none"
    if found["sign"] == ".":
        # Points stand between dates with the day first only.
        return DAY_FIRST
    one, two = int(found["one"]), int(found["two"])
    if one > 12 or two > 12:
        return DAY_FIRST if one > 12 else MONTH_FIRST
    return "none" if one == two else "either"


def moment(cell: str, order: str | None) -> float | None:
    """The time of a cell in seconds since 1970, in UTC if it names a zone; None if it is none.

    >>> moment("1970-01-02T01:00+01:00", None)
    86400.0
    >>> moment("3 Jan 1970", None) == moment("1/3/1970", "month") == moment("1970-01-03", None)
    True
    """
    iso = _iso(cell)
    if iso is not None:
        return iso
    if _COMPACT.fullmatch(cell):
        return _iso(f"{cell[:4]}-{cell[4:6]}-{cell[6:]}")
    found = _NUMERIC.fullmatch(cell) or _NAMED.fullmatch(cell)
    if found is None:
        return None
    parts = found.groupdict()
    if "one" in parts:
        one, two, three = parts["one"], int(parts["two"]), parts["three"]
        if len(one) == 4:
            year, month, day = int(one), two, int(three)
        elif len(three) == 4:
            year = int(three)
            day, month = (two, int(one)) if order == MONTH_FIRST else (int(one), two)
        else:
            return None
    else:
        name = (parts["month"] or parts["month2"]).lower()
        named = _MONTHS.get(name[:4]) or _MONTHS.get(name[:3])
        if named is None:
            return None
        year, month, day = int(parts["year"]), named, int(parts["day"] or parts["day2"])
    try:
        date = datetime.datetime(year, month, day)
    except ValueError:
        return None
    seconds = _clock(parts["clock"], parts["half"])
    if seconds is None:
        return None
    return (date - _EPOCH).total_seconds() + seconds


def are_compact(cells: Iterable[str]) -> bool:
    """Whether cells that are not missing are days such as 20240131, and not only numbers.

    >>> are_compact(["20240131", "20240201", "20240202"]), are_compact(["20240131", "20240131", "20240199"])
    (True, False)
    """
    days = set(cells)
    return len(days) >= _COMPACT_DAYS and all(
        _COMPACT.fullmatch(cell) and moment(cell, None) is not None for cell in days
    )


def _iso(cell: str) -> float | None:
    """A date as ISO 8601 writes it, with a hyphen, so that no plain number is one."""
    if "-" not in cell[1:]:
        return None
    try:
        found = datetime.datetime.fromisoformat(f"{cell}-01" if _MONTH_ONLY.fullmatch(cell) else cell)
    except ValueError:
        return None
    # Where no zone is written, all times are of one.
    offset = found.utcoffset() or datetime.timedelta()
    return (found.replace(tzinfo=None) - offset - _EPOCH).total_seconds()


def _clock(text: str | None, half: str | None) -> float | None:
    if text is None:
        return 0.0
    hours, minutes, *rest = text.replace(",", ".").split(":")
    hour, seconds = int(hours), float(rest[0]) if rest else 0.0
    if half is not None:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half[0] in "pP" else 0)
    if hour > 23 or int(minutes) > 59 or seconds >= 60:
        return None
    return 3600.0 * hour + 60.0 * int(minutes) + seconds


@dataclass(frozen=True)
class Unit:
    """A unit of elapsed time.

    Attributes:
        name: in the plural.
        seconds: in one.
        least: the shortest span of a column, in seconds, that is measured in it.
    """

    name: str
    seconds: float
    least: float


_HOUR, _DAY = 3600.0, 86400.0
# A column of three units or more is measured in that unit; a round number. Months and years are of different lengths.
UNITS = {
    unit.name: unit
    for unit in (
        Unit("days", _DAY, 3 * _DAY),
        Unit("hours", _HOUR, 3 * _HOUR),
        Unit("minutes", 60.0, 180.0),
        Unit("seconds", 1.0, 0.0),
    )
}


def unit_of(span: float) -> Unit:
    """The largest unit in which a span of seconds is three or more.

    >>> unit_of(86400.0 * 30).name, unit_of(4 * 3600.0).name
    ('days', 'hours')
    """
    return next(unit for unit in UNITS.values() if span >= unit.least)


def stamp(seconds: float, unit: Unit) -> str:
    """A time as text, as exact as whole units are.

    >>> stamp(0.0, UNITS["days"]), stamp(3600.0, UNITS["hours"])
    ('1970-01-01', '1970-01-01 01:00')
    """
    found = _EPOCH + datetime.timedelta(seconds=seconds)
    if unit.name == "days":
        return found.strftime("%Y-%m-%d")
    return found.strftime("%Y-%m-%d %H:%M" if unit.name in ("hours", "minutes") else "%Y-%m-%d %H:%M:%S")


# Parts of a date that return: the time of the day, the day of the week, the time of the year.
PARTS = ("hour", "weekday", "month")
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MEAN_YEAR = 365.2425


def part_names(name: str, part: str) -> tuple[str, ...]:
    """The columns of a part of a date column.

    >>> part_names("date", "hour")
    ('date hour sine', 'date hour cosine')
    """
    if part == "weekday":
        return tuple(f"{name} = {day}" for day in _WEEKDAYS)
    return f"{name} {part} sine", f"{name} {part} cosine"


def part_meanings(name: str, part: str) -> tuple[str, ...]:
    """What each of them is, in words."""
    if part == "weekday":
        return tuple(f"1 where {name} is a {day}, else 0" for day in _WEEKDAYS)
    period, share = ("24 hours", "the time of the day") if part == "hour" else ("a year", "the time of the year")
    return tuple(f"the {wave} of {share} of {name}, with a period of {period}" for wave in ("sine", "cosine"))


def part_columns(seconds: FloatArray, part: str) -> list[FloatArray]:
    """A part of times in seconds since 1970, as columns of numbers; NaN for NaN.

    The days of a week are seven columns of 0 and 1, since a Sunday has little to do with a Saturday's neighbour. Hours
    and months are points on a circle.
    """
    if part == "weekday":
        # The first of January 1970 was a Thursday.
        day = numpy.mod(numpy.floor(seconds / _DAY) + 3, 7)
        missing = numpy.isnan(seconds)
        return [numpy.where(missing, numpy.nan, day == number) for number in range(7)]
    turn = numpy.mod(seconds, _DAY) / _DAY if part == "hour" else _day_of_year(seconds) / _MEAN_YEAR
    angle = 2 * numpy.pi * turn
    return [numpy.sin(angle), numpy.cos(angle)]


def _day_of_year(seconds: FloatArray) -> FloatArray:
    """Days since the first of January, with fractions; NaN for NaN."""
    missing = numpy.isnan(seconds)
    # Whole seconds, as dates of NumPy are whole numbers.
    times = numpy.where(missing, 0.0, numpy.floor(seconds)).astype("datetime64[s]")
    days: FloatArray = (times - times.astype("datetime64[Y]")).astype(float) / _DAY
    return numpy.where(missing, numpy.nan, days)
