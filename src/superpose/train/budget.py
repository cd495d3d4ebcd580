"""How long trainings may go on: seconds, and optimiser steps."""

from __future__ import annotations

import math

from superpose.deadline import Clock, Deadline
from superpose.stopping import StopReason


class Budget:
    """Seconds and optimiser steps that one training has, or several share.

    A budget of steps ends at the same place on every machine, whatever its speed.

    Args:
        seconds: from now on; no limit if None.
        steps: of all trainings together; no limit if None.
        clock: that of the run; one of its own if None.
    """

    def __init__(self, seconds: float | None = None, steps: int | None = None, clock: Clock | None = None) -> None:
        self.seconds = math.inf if seconds is None else seconds
        self.steps = math.inf if steps is None else steps
        self.deadline, self.taken = Deadline(seconds, clock), 0

    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return self.deadline.elapsed()

    def used(self) -> float:
        """The share that is used up, of seconds or of steps, whichever is larger."""
        return max(self.elapsed() / self.seconds, self.taken / self.steps)

    def over(self) -> bool:
        """Whether nothing is left."""
        return self.used() >= 1

    def take(self) -> bool:
        """Count one step, unless nothing is left; returns whether there was one."""
        if self.over():
            return False
        self.taken += 1
        return True

    def stop(self) -> StopReason:
        """Which of the two limits was reached."""
        return StopReason.STEP_BUDGET if self.taken >= self.steps else StopReason.TIME_LIMIT

    def end(self) -> str:
        """Why it was over, as half a sentence."""
        return "all steps were taken" if self.stop() is StopReason.STEP_BUDGET else "the time was over"
