"""What commands share: progress on the terminal, numbers that JSON has, one thread unless told otherwise.

>>> finite({"a": [1.0, float("nan")]})
{'a': [1.0, None]}
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any


def one_thread() -> None:
    """Use one thread unless the person has said how many; torch reads this when it is first imported.

    The matrices of small networks are so small that handing them between threads costs more than it saves: on a
    busy machine with two cores the hello example took 45 s with two threads and 11 s with one.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def finite(value: Any) -> Any:
    """The value with null for each NaN and infinity, which JSON does not have."""
    if isinstance(value, dict):
        return {name: finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextlib.contextmanager
def progress(quiet: bool, first: str) -> Iterator[Callable[[str], None] | None]:
    """A line on stderr that says what is being done, ``first`` at first; nothing where nobody looks."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True).status(first) as status:
        yield lambda event: status.update(Text(event))
