"""Deadlines: public functions take ``time_limit`` in seconds, and pass on a :class:`Deadline` made from it."""

from __future__ import annotations

import contextlib
import math
import sys
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any


class Clock:
    """The time that deadlines of one run read. A run that goes on from a checkpoint sets it to where that was.

    >>> search = Deadline(60)
    >>> first_part = search.share(0.5)
    >>> search.clock.advance(40)
    >>> search.elapsed() >= 40, search.passed(), first_part.passed()
    (True, False, True)
    """

    __slots__ = ("_ahead",)

    def __init__(self) -> None:
        self._ahead = 0.0

    def now(self) -> float:
        """Seconds since an unknown moment."""
        return time.monotonic() + self._ahead

    def advance(self, seconds: float) -> None:
        """Count seconds that a run took before it was stopped; for all deadlines of this clock."""
        self._ahead += seconds


class Deadline:
    """A moment at which a computation has to end.

    Args:
        time_limit: seconds from now; None or infinity for no limit.
        clock: that of the run, which parts of this deadline share; one of its own if None.

    >>> search = Deadline(60)
    >>> search.passed(), search.share(0.5).left() < 30.1, search.sub(3).left() <= 3, Deadline(None).left()
    (False, True, True, inf)
    """

    __slots__ = ("_at", "_began", "clock")

    def __init__(self, time_limit: float | None = None, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self._began = self.clock.now()
        self._at = math.inf if time_limit is None else self._began + time_limit

    def left(self) -> float:
        """Seconds until the deadline; 0 if it has passed."""
        return max(0.0, self._at - self.clock.now())

    def elapsed(self) -> float:
        """Seconds since this object was made."""
        return self.clock.now() - self._began

    def passed(self) -> bool:
        """Whether the deadline has passed."""
        return self.clock.now() >= self._at

    def share(self, fraction: float) -> Deadline:
        """A deadline after this fraction of the time that is left."""
        return Deadline(fraction * self.left(), self.clock)

    def sub(self, seconds: float) -> Deadline:
        """A deadline after these seconds, or this one if it is earlier."""
        return Deadline(min(seconds, self.left()), self.clock)


class OutOfTime(Exception):
    """The deadline of :func:`until` passed, or its calls were made."""


@contextlib.contextmanager
def until(deadline: Deadline, calls: float = math.inf) -> Iterator[None]:
    """Raise :class:`OutOfTime` inside the block when the deadline passes, or after so many function calls.

    For pure Python code of this thread that takes no time limit, such as SymPy's. A number of calls ends it at the same
    place on every machine. Calls are counted by a profiling function, under which SymPy takes two to three times as
    long; under another profiler the block runs without a limit.
    """
    if sys.getprofile() is not None:
        yield
        return

    made = 0

    def check(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal made
        if event == "call":
            made += 1
            if made > calls or deadline.passed():
                sys.setprofile(None)
                raise OutOfTime

    sys.setprofile(check)
    try:
        yield
    finally:
        sys.setprofile(None)
