"""Tables to begin with: those of the project's folder of examples, or, in an installed package, one that is made."""

from __future__ import annotations

import math
import random
from collections.abc import AsyncIterator
from pathlib import Path

from superpose.errors import OptionError

_FOLDER = Path(__file__).parents[4] / "examples" / "data"
_SAYS = {
    "hello.csv": "1,000 rows of x, y and f: which law gives f?",
    "knots.csv": "12,953 knots and their invariants; a law for cusp_volume, or the classes of signature",
}
_ROWS = 1000


def listed() -> list[dict[str, str]]:
    """Name and description of each.

    >>> listed()[0]["name"]
    'hello.csv'
    """
    there = [name for name in _SAYS if (_FOLDER / name).is_file()] or ["hello.csv"]
    return [{"name": name, "says": _SAYS[name]} for name in there]


def opened(name: str) -> tuple[str, AsyncIterator[bytes]]:
    """Name and content of one.

    Raises:
        OptionError: if there is none of that name.
    """
    if name not in {one["name"] for one in listed()}:
        raise OptionError("there is no such example")
    return name, _content(name)


async def _content(name: str) -> AsyncIterator[bytes]:
    path = _FOLDER / name
    yield path.read_bytes() if path.is_file() else hello().encode()


def hello() -> str:
    """The table ``f = exp(sin(pi*x) + y**2)`` at random points, as text.

    >>> hello().count("\\n")
    1001
    """
    source = random.Random(0)
    lines = ["x,y,f"]
    for _ in range(_ROWS):
        x, y = source.uniform(-1, 1), source.uniform(-1, 1)
        lines.append(f"{x!r},{y!r},{math.exp(math.sin(math.pi * x) + y * y)!r}")
    return "\n".join(lines) + "\n"
