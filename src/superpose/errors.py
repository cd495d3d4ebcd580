"""The errors that a person can cause: one base, and one plain sentence each.

>>> raise DataError("'knots.csv' has no column 'volum'; did you mean 'volume'?")
Traceback (most recent call last):
    ...
superpose.errors.DataError: 'knots.csv' has no column 'volum'; did you mean 'volume'?

Each class also derives from the built-in error that a caller would expect, so ``except ValueError``
and ``except OSError`` keep working.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["BackendWarning", "DataError", "FileError", "OptionError", "ShapeError", "SuperposeError", "nearest"]


class SuperposeError(Exception):
    """Base of every failure that a user can cause, told in one sentence: cause, place, remedy."""


class DataError(SuperposeError, ValueError):
    """A table, an array or a column that cannot be used as it is."""


class OptionError(SuperposeError, ValueError):
    """An argument or an option with a value that makes no sense."""


class FileError(SuperposeError, OSError):
    """A file that cannot be read or written, or that is damaged."""


class ShapeError(SuperposeError, ValueError):
    """A tensor of the wrong shape."""


class BackendWarning(UserWarning):
    """Plain torch computes, because the compiled kernels are not there."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint at the known name closest to ``name``, or an empty string.

    >>> nearest("longitud", ["longitude", "volume"])
    "; did you mean 'longitude'?"
    >>> nearest("VOLUME", ["longitude", "volume"])
    "; did you mean 'volume'?"
    >>> nearest("xyz", ["longitude", "volume"])
    ''
    """
    by_lower_case = {candidate.lower(): candidate for candidate in known}
    matches = difflib.get_close_matches(name.lower(), by_lower_case, n=1)
    return f"; did you mean {by_lower_case[matches[0]]!r}?" if matches else ""
