"""The options ``--missing``, ``--categories`` and ``--dates``, from text to options of a data set.

>>> columns("median", ["month,site"])
{'missing': 'median', 'categories': ['month', 'site']}
>>> columns("keep", None)
Traceback (most recent call last):
    ...
superpose.errors.OptionError: --missing is 'keep' and must be one of error, drop, median, indicator
"""

from __future__ import annotations

from typing import Any

from superpose.choices import MISSING
from superpose.cli import parsing

_NONE = ["none"]


def columns(missing: str | None, categories: list[str] | None, dates: list[str] | None = None) -> Any:
    """What was typed on raw columns, as far as something was.

    Raises:
        OptionError: for a rule that there is not, or names that are empty.
    """
    made: dict[str, Any] = {}
    if missing is not None:
        made["missing"] = parsing.one_of("--missing", missing, MISSING)
    if (names := parsing.names("--categories", categories)) is not None:
        made["categories"] = "none" if names == _NONE else names
    if dates:
        from superpose.data.preparation.options import read_dates

        made["dates"] = "none" if dates == _NONE else dates
        if dates != _NONE:
            # A mistake is answered before the table is read.
            read_dates(dates, "--dates")
    return made
