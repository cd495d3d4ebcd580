"""The option ``--units`` of ``superpose fit``, from text to units of columns.

>>> units(["m=kg, v=m/s", "E=J"])
{'m': 'kg', 'v': 'm/s', 'E': 'J'}
>>> units(["names"]), units(None)
('names', None)
>>> units(["m"])
Traceback (most recent call last):
    ...
superpose.errors.OptionError: --units is 'm' and must be columns with their units, such as 'm=kg, v=m/s', or names
"""

from __future__ import annotations

from collections.abc import Sequence

from superpose.cli.parsing import quoted
from superpose.errors import OptionError

_NAMES = "names"


def units(texts: Sequence[str] | None) -> dict[str, str] | str | None:
    """Units as text by the names of columns; ``names`` if they stand in these names; None without the option.

    Raises:
        OptionError: for what is no unit, or a column that is given twice.
    """
    if not texts:
        return None
    if [text.strip() for text in texts] == [_NAMES]:
        return _NAMES
    found: dict[str, str] = {}
    for text in texts:
        begun = ""
        for part in text.split(","):
            # A name may hold commas and equal signs, a unit does not.
            begun = f"{begun},{part}" if begun else part
            name, equals, unit = begun.rpartition("=")
            if not equals:
                continue
            name, begun = name.strip(), ""
            if not name or not unit.strip():
                raise _wrong(text)
            if name in found:
                raise OptionError(f"--units gives column {quoted(name)} a unit twice; give it once")
            found[name] = unit.strip()
        if begun.strip() or not text.strip():
            raise _wrong(text)
    from superpose.formulas.units.reading import read_units

    # A mistake is answered before the table is read.
    read_units(found)
    return found


def _wrong(text: str) -> OptionError:
    return OptionError(
        f"--units is {quoted(text)} and must be columns with their units, such as 'm=kg, v=m/s', or {_NAMES}"
    )
