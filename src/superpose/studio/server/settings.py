"""What the browser may ask of an engine: names and kinds of options. Whether they make sense, the engine says.

None of these is a path, so nothing that a page sends names a file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from superpose.errors import OptionError
from superpose.messages import nearest, quoted

Json = dict[str, Any]

# What a page can send in one option; round numbers.
_LONGEST_TEXT, _LONGEST_LIST, _LARGEST = 10_000, 10_000, 10**9


def _text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST_TEXT


def _texts(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= _LONGEST_LIST and all(map(_text, value))


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


# Layers and nodes as on the command line.
_MOST_LAYERS, _MOST_NODES = 20, 1000


def _widths(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= _MOST_LAYERS
        and all(_whole(one) and 1 <= one <= _MOST_NODES for one in value)
    )


_OPTIONS: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("where", "sheet", "query", "decimal", "encoding"), (_text, "text")),
    **dict.fromkeys(("missing", "weights", "sigma", "split", "task", "target", "optimizer"), (_text, "text")),
    **dict.fromkeys(("exclude", "categories", "dates", "features"), (_texts, "a list of names")),
    **dict.fromkeys(("linear", "combine", "functions"), (_texts, "a list of names")),
    **dict.fromkeys(("time_limit", "sparsity", "test"), (_number, "a number")),
    **dict.fromkeys(("seed", "grid", "steps"), (_whole, "a whole number from 0")),
    "formula": (_flag, "true or false"),
    "hidden": (_widths, "a list of up to 20 numbers of nodes, each from 1 to 1000"),
}


def checked(given: Any) -> Json:
    """The options that a page sent, without those that are left out.

    Raises:
        OptionError: for a name that there is not, or a value of another kind.

    >>> checked({"target": "f", "time_limit": 45, "where": None})
    {'target': 'f', 'time_limit': 45}
    >>> checked({"hidden": [5, "x"]})
    Traceback (most recent call last):
        ...
    superpose.errors.OptionError: hidden must be a list of up to 20 numbers of nodes, each from 1 to 1000
    """
    if not isinstance(given, Mapping):
        raise OptionError("options are named")
    found: Json = {}
    for name, value in given.items():
        if name not in _OPTIONS:
            raise OptionError(f"there is no option {quoted(name)}{nearest(str(name), _OPTIONS)}")
        fits, says = _OPTIONS[name]
        if value is None:
            continue
        if not fits(value):
            raise OptionError(f"{name} must be {says}")
        found[name] = value.strip() if isinstance(value, str) and name not in ("target", "weights", "sigma") else value
    return {name: value for name, value in found.items() if value != ""}
