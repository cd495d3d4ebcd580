"""Parts of the sentences that people read: names, counts, rows, and what was perhaps meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


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


def quoted(text: object, length: int = 40) -> str:
    """Return a cell or a name as it may stand in a one-line message."""
    text = str(text)
    return repr(text if len(text) <= length else text[: length - 3] + "...")


def listed(names: Sequence[str], most: int = 8) -> str:
    """Return names as a phrase for a message.

    >>> listed(["x", "y"])
    "'x', 'y'"
    """
    phrase = ", ".join(quoted(name) for name in names[:most])
    return phrase if len(names) <= most else f"{phrase} and {len(names) - most} more"


def counted(n: int, noun: str) -> str:
    """Return a number with its noun.

    >>> counted(1, "row"), counted(3, "row")
    ('1 row', '3 rows')
    """
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def row_place(row: int) -> str:
    """Return how a person finds a row of an array or a data frame."""
    return f"row {row + 1} (counting from 1)"
