"""An end to computations that know no time limit of their own."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any


class OutOfTime(Exception):
    """A computation was ended because its time was over."""


@contextlib.contextmanager
def until(deadline: float) -> Iterator[None]:
    """End what runs inside at a time of :func:`time.monotonic`, by :class:`OutOfTime`.

    For pure Python code of this thread, such as SymPy's: the clock is looked at whenever a function is called, which
    costs about a quarter of the speed. Where a profiler is at work, it is left alone and nothing is ended.
    """
    if sys.getprofile() is not None:
        yield
        return

    def look(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call" and time.monotonic() > deadline:
            sys.setprofile(None)
            raise OutOfTime

    sys.setprofile(look)
    try:
        yield
    finally:
        sys.setprofile(None)
