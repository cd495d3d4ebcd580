"""The errors that a person can cause: one base, and one plain sentence each.

>>> raise DataError("'knots.csv' has no column 'volum'; did you mean 'volume'?")
Traceback (most recent call last):
    ...
superpose.errors.DataError: 'knots.csv' has no column 'volum'; did you mean 'volume'?

Each class also derives from the built-in error that a caller would expect, so ``except ValueError``
and ``except OSError`` keep working.
"""

from __future__ import annotations

__all__ = ["BackendWarning", "DataError", "DataWarning", "FileError", "OptionError", "ShapeError", "SuperposeError"]


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


class DataWarning(UserWarning):
    """A table was used, and something in it may be wrong, such as a level that a model was never fitted to."""
