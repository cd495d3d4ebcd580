"""Checks of numbers that a user passes: whole numbers, finite numbers, seeds.

Functions ``check_...`` raise :class:`~superpose.errors.OptionError`, a sentence with the option, the values that are
allowed, and the value that was given. NumPy's numbers are accepted, booleans are not: ``True`` where a count belongs is
a mistake.

>>> check_whole("steps", 0, least=1)
Traceback (most recent call last):
    ...
superpose.errors.OptionError: steps must be a whole number of at least 1, not 0
"""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

from superpose.errors import OptionError


def is_whole(value: Any, least: int | None = None) -> bool:
    """Whether a value is a whole number, of at least ``least``.

    >>> is_whole(3), is_whole(3, least=4), is_whole(3.0), is_whole(True)
    (True, False, False, False)
    """
    return isinstance(value, Integral) and not isinstance(value, bool) and (least is None or int(value) >= least)


def is_finite(value: Any) -> bool:
    """Whether a value is a finite real number.

    >>> is_finite(0.5), is_finite(float("inf")), is_finite("0.5"), is_finite(True)
    (True, False, False, False)
    """
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def check_whole(name: str, value: Any, *, least: int = 1, most: int | None = None, optional: bool = False) -> None:
    """Raise :class:`OptionError` unless an option is a whole number in a range, or None where it is optional."""
    if (value is None and optional) or (is_whole(value, least) and (most is None or value <= most)):
        return
    wanted = f"of at least {least}" if most is None else f"from {least} to {most}"
    raise OptionError(f"{name} must be a whole number {wanted}{', or None' if optional else ''}, not {value!r}")


def check_positive(name: str, value: Any, *, unit: str = "", optional: bool = False) -> None:
    """Raise :class:`OptionError` unless an option is a positive finite number, or None where it is optional.

    Args:
        unit: what the number counts, such as ``"seconds"``.
    """
    if (value is None and optional) or (is_finite(value) and value > 0):
        return
    kind = f"positive finite number{f' of {unit}' if unit else ''}"
    raise OptionError(f"{name} must be a {kind}{', or None' if optional else ''}, not {value!r}")


def check_share(name: str, value: Any, meaning: str = "") -> None:
    """Raise :class:`OptionError` unless an option is a number from 0 to 1."""
    if not (is_finite(value) and 0 <= value <= 1):
        raise OptionError(f"{name} must be a number from 0 to 1{meaning}, not {value!r}")


def check_not_negative(name: str, value: Any, *, optional: bool = False) -> None:
    """Raise :class:`OptionError` unless an option is a finite number of at least 0, or None where it is optional."""
    if not ((value is None and optional) or (is_finite(value) and value >= 0)):
        raise OptionError(f"{name} must be a finite number that is not negative, not {value!r}")


def check_seed(value: Any, *, bits: int = 63, reserved: int = 0) -> int:
    """The seed as a plain integer.

    Args:
        bits: of the largest seed; :class:`torch.Generator` takes 63.
        reserved: how many seeds above this one the caller derives from it.

    Raises:
        OptionError: unless it is a whole number in that range.

    >>> check_seed(7)
    7
    """
    if not (is_whole(value, 0) and value < 2**bits - reserved):
        raise OptionError(f"seed must be a whole number from 0 to 2**{bits} - {1 + reserved}, not {value!r}")
    return int(value)


def check_grid_sizes(name: str, value: Any) -> None:
    """Raise :class:`OptionError` unless an option lists growing grid sizes, or is None."""
    if value is None:
        return
    try:
        sizes = list(value)
    except TypeError:
        sizes = []
    if not sizes or not all(is_whole(size, 1) for size in sizes) or sizes != sorted(set(sizes)):
        raise OptionError(f"{name} must be growing whole numbers such as (5, 10, 20), not {value!r}")
