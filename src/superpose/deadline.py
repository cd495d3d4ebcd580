"""Deadlines: public functions take ``time_limit`` in seconds, and pass on a :class:`Deadline` made from it.

Under :func:`counted_time` the seconds of all deadlines are counted from the work done, not measured, so that a run
takes the same decisions on every machine.
"""

from __future__ import annotations

import contextlib
import math
import sys
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar
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


# Counted for each question for the time: between two of them lies about so much work, as far as nothing charges for it.
_QUESTION = 2e-4
# Calls of Python functions between two questions for the time in :func:`until`, and what they count: about a
# microsecond each. Round numbers.
_CALLS, _SECONDS_OF_CALLS = 1024, 1e-3


class CountedClock(Clock):
    """A clock that shows seconds of work: each question for the time counts a little, and :func:`charge` the rest."""

    __slots__ = ()

    def now(self) -> float:
        """Seconds of work so far."""
        self._ahead += _QUESTION
        return self._ahead


class HeldClock(Clock):
    """A clock that can be held: it stands still, and whoever asks it for the time waits until it is released.

    A run pauses by it, wherever it is: every loop of this package asks for the time.

    >>> clock = HeldClock()
    >>> with running_on(clock):
    ...     deadline = Deadline(60)
    >>> clock.hold()
    >>> threading.Timer(0.05, clock.release).start()
    >>> clock.held, deadline.passed(), clock.held
    (True, False, False)
    """

    __slots__ = ("_going",)

    def __init__(self) -> None:
        super().__init__()
        self._going = threading.Event()
        self._going.set()

    @property
    def held(self) -> bool:
        """Whether it stands still."""
        return not self._going.is_set()

    def hold(self) -> None:
        """Stand still from the next question for the time on."""
        self._going.clear()

    def release(self) -> None:
        """Go on."""
        self._going.set()

    def now(self) -> float:
        """Seconds since an unknown moment, without those for which it was held."""
        if not self._going.is_set():
            began = time.monotonic()
            try:
                self._going.wait()
            finally:
                self._ahead -= time.monotonic() - began
        return super().now()


# A context variable, since time limits are made from seconds in many places: threads and tasks each have their own.
_clock: ContextVar[Clock | None] = ContextVar("clock", default=None)


@contextlib.contextmanager
def running_on(clock: Clock) -> Iterator[None]:
    """Within the block all new deadlines of this thread read this clock."""
    token = _clock.set(clock)
    try:
        yield
    finally:
        _clock.reset(token)


@contextlib.contextmanager
def counted_time(counted: bool = True) -> Iterator[None]:
    """Within the block all new deadlines of this thread count work instead of reading the clock.

    A second of work takes about a second on one core of a server; how long it really takes depends on the machine, the
    result does not.

    Args:
        counted: if False, deadlines read the clock, also inside another such block.

    >>> with counted_time():
    ...     deadline = Deadline(1.0)
    ...     charge(0.9)
    ...     before = deadline.passed()
    ...     charge(0.2)
    ...     before, deadline.passed()
    (False, True)
    """
    token = _clock.set(CountedClock() if counted else None)
    try:
        yield
    finally:
        _clock.reset(token)


def is_counted() -> bool:
    """Whether deadlines count work here."""
    return isinstance(_clock.get(), CountedClock)


def charge(seconds: float) -> None:
    """Count work that takes about so many seconds on one core of a server; nothing unless time is counted."""
    clock = _clock.get()
    if isinstance(clock, CountedClock):
        clock.advance(seconds)


class Deadline:
    """A moment at which a computation has to end.

    Args:
        time_limit: seconds from now; None or infinity for no limit.
        clock: that of the run, which parts of this deadline share; one of its own if None, or that of
            :func:`counted_time` or :func:`running_on`.

    >>> search = Deadline(60)
    >>> search.passed(), search.share(0.5).left() < 30.1, search.sub(3).left() <= 3, Deadline(None).left()
    (False, True, True, inf)
    """

    __slots__ = ("_at", "_began", "clock")

    def __init__(self, time_limit: float | None = None, clock: Clock | None = None) -> None:
        self.clock = clock or _clock.get() or Clock()
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

    made, counted = 0, is_counted()

    def check(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal made
        if event != "call":
            return
        made += 1
        # Time that is counted does not pass within a call: asking each time would count each call as a question.
        if counted and not made % _CALLS:
            charge(_SECONDS_OF_CALLS)
        if made > calls or ((not counted or made % _CALLS == 1) and deadline.passed()):
            sys.setprofile(None)
            raise OutOfTime

    sys.setprofile(check)
    try:
        yield
    finally:
        sys.setprofile(None)
