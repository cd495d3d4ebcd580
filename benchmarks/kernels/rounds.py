"""Interleaved timing: every round times each contender once, so that what disturbs the machine disturbs all alike."""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmarks.kernels.cases import Call

# A block of calls lasts at least this long, so that the clock and one interruption matter little.
BLOCK_SECONDS = 2e-3
# Threads of the contender before spin for a while after their work, or still give memory back (XLA's, for some 20 ms
# after a call on fine grids): no contender begins before a pause in which this process has hardly computed.
PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 5e-3, 0.5
IDLE_SHARE = 0.05
# Contenders displace one another from the caches: a call shorter than this is made once more, untimed, just before.
SETTLE_BELOW_SECONDS = 0.1
CALIBRATION_CALLS, LONG_SECONDS = 3, 1.0

Inside = Callable[[], AbstractContextManager[object]]


@dataclass
class Timed:
    """A call and its times.

    Attributes:
        seconds: of one call, one entry for each round.
        repeats: calls in a block.
    """

    call: Call
    inside: Inside
    after: Callable[[], None]
    repeats: int = 1
    settles: bool = True
    seconds: list[float] = field(default_factory=list)

    def prepare(self) -> float:
        """Warm up (the first call compiles what has to be compiled), choose the repeats; seconds of one call."""
        with self.inside():
            self.call()
            shortest = _block(self.call, 1)
            for _ in range(CALIBRATION_CALLS if shortest < LONG_SECONDS else 0):
                shortest = min(shortest, _block(self.call, 1))
        self.after()
        self.repeats = max(1, math.ceil(BLOCK_SECONDS / shortest))
        self.settles = shortest < SETTLE_BELOW_SECONDS
        return shortest

    def turn(self) -> None:
        _wait_until_idle()
        with self.inside():
            if self.settles:
                self.call()
            self.seconds.append(_block(self.call, self.repeats))
        self.after()


def _wait_until_idle() -> None:
    end = time.perf_counter() + LONGEST_PAUSE_SECONDS
    while time.perf_counter() < end:
        start, used = time.perf_counter(), time.process_time()
        time.sleep(PAUSE_SECONDS)
        if time.process_time() - used <= IDLE_SHARE * (time.perf_counter() - start):
            return


def _block(call: Call, repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats


@contextmanager
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def run_rounds(timed: Mapping[str, Timed], rounds: int) -> None:
    """Time all of them, in an order that starts one further each round and is turned round every other time."""
    names = list(timed)
    with _no_collector():
        for index in range(rounds if names else 0):
            start = index % len(names)
            order = names[start:] + names[:start]
            for name in order if index % 2 == 0 else reversed(order):
                timed[name].turn()


def ratio(of: list[float], to: list[float]) -> float:
    """Median of the rounds' ratios."""
    return statistics.median(a / b for a, b in zip(of, to, strict=True))


def record(timed: Timed, parameters: int, note: str) -> dict[str, Any]:
    """For the JSON: every time, to four digits."""
    return {
        "median": short(statistics.median(timed.seconds)),
        "repeats": timed.repeats,
        "parameters": parameters,
        "note": note,
        "seconds": [short(seconds) for seconds in timed.seconds],
    }


def short(value: float, digits: int = 5) -> float:
    return float(f"{value:.{digits}g}")
