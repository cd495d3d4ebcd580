"""The options of ``superpose fit`` on what is known of the target beforehand, from text to values.

>>> value("dose=0, age=40: 1.5")
((('dose', 0.0), ('age', 40.0)), 1.5)
>>> value("dose=0")
Traceback (most recent call last):
    ...
superpose.errors.OptionError: --at is 'dose=0' and must be values of columns and the target's value there, such as \
'x=0: 0' or 'x=0, z=1: 3'
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from superpose.cli import parsing
from superpose.errors import OptionError


def value(text: str) -> tuple[tuple[tuple[str, float], ...], float]:
    """A value at a point: the columns with their values, and the target's value."""
    try:
        point, colon, target = text.rpartition(":")
        pairs = [part.rpartition("=") for part in point.split(",")]
        made = tuple((name.strip(), _finite(number)) for name, equals, number in pairs if equals and name.strip())
        if not colon or not made or len(made) < len(pairs):
            raise ValueError
        return made, _finite(target)
    except ValueError:
        raise OptionError(
            f"--at is {parsing.quoted(text)} and must be values of columns and the target's value there, such as "
            "'x=0: 0' or 'x=0, z=1: 3'"
        ) from None


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number


def _limit(option: str, text: str | None) -> float | None:
    try:
        return None if text is None else _finite(text)
    except ValueError:
        raise OptionError(f"{option} is {parsing.quoted(text or '')} and must be a number") from None


def knowledge(
    columns: Mapping[str, list[str] | None], at: Sequence[str] | None, lower: str | None, upper: str | None
) -> dict[str, Any]:
    """The arguments of :class:`superpose.Knowledge` that were given.

    Raises:
        OptionError: for text that makes no sense.
    """
    made: dict[str, Any] = {
        name: tuple(names)
        for name, given in columns.items()
        if (names := parsing.names(f"--{name}", given)) is not None
    }
    if at:
        made["values"] = tuple(map(value, at))
    limits = {"lower": _limit("--lower", lower), "upper": _limit("--upper", upper)}
    return made | {name: limit for name, limit in limits.items() if limit is not None}
