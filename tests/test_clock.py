"""A time limit for what knows none."""

from __future__ import annotations

import math
import sys
import threading

import pytest

from superpose.deadline import Deadline, HeldClock, OutOfTime, running_on, until


def endless() -> int:
    count = 0
    while True:
        count = next_one(count)


def next_one(count: int) -> int:
    return count + 1


def test_an_endless_computation_ends_and_leaves_no_trace() -> None:
    with pytest.raises(OutOfTime), until(Deadline(0.05)):
        endless()
    assert sys.getprofile() is None
    assert next_one(1) == 2


def test_as_many_calls_are_made_as_are_allowed() -> None:
    for calls in (10, 100):
        seen = []
        with pytest.raises(OutOfTime), until(Deadline(60), calls):
            while True:
                seen.append(next_one(0))
        assert calls - 2 <= len(seen) <= calls


def test_what_ends_in_time_is_not_disturbed() -> None:
    with until(Deadline(60)):
        assert sum(next_one(n) for n in range(10)) == 55
    assert sys.getprofile() is None


def test_a_profiler_keeps_its_place() -> None:
    seen = []
    sys.setprofile(lambda frame, event, argument: seen.append(event))
    try:
        with until(Deadline(0.0)):
            next_one(1)
    finally:
        sys.setprofile(None)
    assert "call" in seen


def test_deadlines_nest() -> None:
    whole = Deadline(60)
    assert not whole.passed() and 59 < whole.left() <= 60 and 0 <= whole.elapsed() < 1
    assert 29 < whole.share(0.5).left() <= 30 and whole.sub(5).left() <= 5
    assert whole.sub(100).left() <= 60 and Deadline(0).passed() and Deadline(-1).left() == 0
    assert Deadline(None).left() == Deadline(math.inf).share(0.5).left() == math.inf


def test_a_held_clock_stands_still_and_whoever_asks_waits() -> None:
    clock = HeldClock()
    with running_on(clock):
        deadline = Deadline(60)
    assert Deadline().clock is not clock
    before = deadline.elapsed()
    clock.hold()
    asked = threading.Thread(target=deadline.elapsed)
    asked.start()
    asked.join(0.2)
    assert asked.is_alive()
    clock.release()
    asked.join()
    # It waited for a fifth of a second, and the clock counts none of it.
    assert deadline.elapsed() - before < 0.15
