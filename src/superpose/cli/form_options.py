"""The options of ``superpose fit`` on forms that a person gives, from text to values.

>>> interval("K=0..1"), interval("K=..-2"), interval("K=1e-3..")
(('K', (0.0, 1.0)), ('K', (None, -2.0)), ('K', (0.001, None)))
>>> start("K=0.1")
('K', 0.1)
>>> interval("K=0-1")
Traceback (most recent call last):
    ...
superpose.errors.OptionError: --bound is 'K=0-1' and must be a constant with its least and largest value, such as \
K=0..1 or K=0..
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from superpose.cli.parsing import quoted
from superpose.errors import OptionError


def interval(text: str) -> tuple[str, tuple[float | None, float | None]]:
    """A constant with its bounds."""
    name, equals, limits = text.partition("=")
    low, dots, high = limits.partition("..")
    try:
        made = _finite(low), _finite(high)
    except ValueError:
        made = None, None
    if not name.strip() or not equals or not dots or made == (None, None):
        raise OptionError(
            f"--bound is {quoted(text)} and must be a constant with its least and largest value, such as K=0..1 or "
            "K=0.."
        )
    return name.strip(), made


def start(text: str) -> tuple[str, float]:
    """A constant with a value to begin at."""
    name, _, value = text.partition("=")
    try:
        made = _finite(value)
    except ValueError:
        made = None
    if not name.strip() or made is None:
        raise OptionError(f"--start is {quoted(text)} and must be a constant with a value, such as K=0.1")
    return name.strip(), made


def _finite(text: str) -> float | None:
    """A number; None for nothing at all."""
    if not text.strip():
        return None
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value


def forms(
    texts: Sequence[str] | None, bounds: Sequence[str] | None, starts: Sequence[str] | None, no_search: bool
) -> dict[str, Any] | None:
    """The options of :class:`superpose.tasks.regression.FormOptions`; None without forms.

    Raises:
        OptionError: for an option that makes no sense, or needs a form.
    """
    given: list[tuple[str, bool, Callable[[], Any]]] = [
        ("--bound", bool(bounds), lambda: dict(map(interval, bounds or ()))),
        ("--start", bool(starts), lambda: dict(map(start, starts or ()))),
    ]
    if not texts:
        for option, used, _ in (*given, ("--no-search", no_search, None)):
            if used:
                raise OptionError(f"{option} is for a form; add --form 'A*exp(-B*t)', or leave it out")
        return None
    made = [read() for _, _, read in given]
    return {"forms": tuple(texts), "bounds": made[0], "start": made[1], "search": not no_search}
