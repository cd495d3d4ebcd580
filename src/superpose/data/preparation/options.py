"""What a person says on the raw columns of a table: options, checked by themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from superpose.choices import MISSING
from superpose.errors import OptionError
from superpose.messages import nearest, quoted


@dataclass(frozen=True)
class PreparationOptions:
    """How raw columns are to be understood.

    Attributes:
        missing: what is done with missing cells, one of ``MISSING``.
        categories: names of columns that are categories whatever they hold.
        automatic: whether columns of text with few levels are categories too.
    """

    missing: str = "error"
    categories: tuple[str, ...] = ()
    automatic: bool = True

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> PreparationOptions:
        """The options of a :class:`~superpose.data.RowOptions`.

        Raises:
            OptionError: for a value that makes no sense.

        >>> PreparationOptions.read({"missing": "median", "categories": ["month"]})
        PreparationOptions(missing='median', categories=('month',), automatic=True)
        """
        missing = given.get("missing")
        if missing is not None and missing not in MISSING:
            hint = nearest(missing, MISSING) if isinstance(missing, str) else ""
            raise OptionError(f"missing is {quoted(missing)} and must be one of {', '.join(MISSING)}{hint}")
        categories = given.get("categories")
        none = categories == "none"
        return cls(missing or "error", () if none else _names("categories", categories), not none)


def _names(option: str, given: Any) -> tuple[str, ...]:
    """Names of columns, of which a single one may stand alone."""
    if given is None:
        return ()
    names = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, Sequence) else (given,)
    if not all(isinstance(name, str) and name for name in names):
        raise OptionError(f"{option} is {quoted(given)} and must be names of columns, or none")
    return names
