"""What a person says on the raw columns of a table: options, checked by themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from superpose.choices import MISSING
from superpose.data.preparation.dates import DAY_FIRST, MONTH_FIRST, PARTS
from superpose.errors import OptionError
from superpose.messages import nearest, quoted

_FIRST = {"day-first": DAY_FIRST, "month-first": MONTH_FIRST}


@dataclass(frozen=True)
class PreparationOptions:
    """How raw columns are to be understood.

    Attributes:
        missing: what is done with missing cells, one of ``MISSING``.
        categories: names of columns that are categories whatever they hold.
        automatic: whether columns of text with few levels are categories too.
        dates: parts of columns of dates that are wanted beside the time that has passed, by the names of the columns;
            or which of day and month comes first, ``"day-first"`` or ``"month-first"``.
        use_dates: whether columns of dates are used at all.
    """

    missing: str = "error"
    categories: tuple[str, ...] = ()
    automatic: bool = True
    dates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    use_dates: bool = True

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> PreparationOptions:
        """The options of a :class:`~superpose.data.RowOptions`.

        Raises:
            OptionError: for a value that makes no sense.

        >>> PreparationOptions.read({"missing": "median", "categories": ["month"]}).categories
        ('month',)
        """
        missing = given.get("missing")
        if missing is not None and missing not in MISSING:
            hint = nearest(missing, MISSING) if isinstance(missing, str) else ""
            raise OptionError(f"missing is {quoted(missing)} and must be one of {', '.join(MISSING)}{hint}")
        categories = given.get("categories")
        none = categories == "none"
        dates = given.get("dates")
        return cls(
            missing or "error",
            () if none else _names("categories", categories),
            not none,
            {} if dates == "none" else read_dates(dates),
            dates != "none",
        )

    def parts(self, name: str) -> tuple[str, ...]:
        """The parts that are wanted of a column of dates."""
        return tuple(part for part in self.dates.get(name, ()) if part in PARTS)

    def order(self, name: str) -> str | None:
        """Which of day and month comes first in a column of dates, ``"day"`` or ``"month"``; None if nobody said."""
        return next((_FIRST[part] for part in self.dates.get(name, ()) if part in _FIRST), None)


def read_dates(given: Any, option: str = "dates") -> dict[str, tuple[str, ...]]:
    """Parts of columns of dates: from ``"date:hour,weekday"``, several of these, or a mapping.

    Raises:
        OptionError: for a part that there is not.

    >>> read_dates(["sold:hour,weekday", "built"]), read_dates({"sold": "month"})
    ({'sold': ('hour', 'weekday'), 'built': ()}, {'sold': ('month',)})
    """
    if given is None:
        return {}
    pairs: list[tuple[str, Sequence[str]]] = []
    if isinstance(given, Mapping):
        pairs = [(name, (parts,) if isinstance(parts, str) else parts) for name, parts in given.items()]
    else:
        for text in _names(option, given):
            # A name may hold a colon, a part does not.
            head, colon, tail = text.rpartition(":")
            pairs.append((head, tail.split(",")) if colon else (text, ()))
    found: dict[str, tuple[str, ...]] = {}
    for name, parts in pairs:
        found[name.strip()] = tuple(part.strip() for part in parts)
        for part in found[name.strip()]:
            known = (*PARTS, *_FIRST)
            if part not in known:
                raise OptionError(
                    f"{option} asks for {quoted(part)} of {quoted(name)}; parts of dates are {', '.join(known)}"
                    f"{nearest(part, known)}"
                )
    return found


def _names(option: str, given: Any) -> tuple[str, ...]:
    """Names of columns, of which a single one may stand alone."""
    if given is None:
        return ()
    names = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, Sequence) else (given,)
    if not all(isinstance(name, str) and name for name in names):
        raise OptionError(f"{option} is {quoted(given)} and must be names of columns, or none")
    return names
