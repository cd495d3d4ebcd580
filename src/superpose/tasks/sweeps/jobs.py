"""One fit of a sweep, as a process makes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from superpose.deadline import Deadline, counted_time
from superpose.errors import SuperposeError
from superpose.files import to_bytes
from superpose.files.json_numbers import json_ready
from superpose.partial import Failures, reason
from superpose.short_repr import brief
from superpose.tasks.sweeps.kinds import KINDS, AnyTable, Rows


@dataclass(frozen=True, eq=False)
class Job:
    """What a process needs to make a fit.

    Attributes:
        task: as in :data:`~superpose.tasks.sweeps.kinds.KINDS`.
        table: its data.
        options: of the task.
        seed: of every random choice.
        keep_model: whether the model is sent back.
    """

    __repr__ = brief

    task: str
    table: AnyTable
    options: Mapping[str, Any]
    seed: int
    keep_model: bool


@dataclass(frozen=True)
class Outcome:
    """What became of a fit.

    Attributes:
        rows: of facts, ready for JSON.
        model: the content of its file; None if there is no model, or it is not kept.
        has_model: whether there is one.
        failure: why there is no fit; empty if there is one.
        seconds: by the clock; everything else is the same on every machine.
    """

    rows: Rows = field(default_factory=list)
    model: bytes | None = field(default=None, repr=False)
    has_model: bool = False
    failure: str = ""
    seconds: float = 0.0


def answer(job: Job) -> Outcome:
    """Make a fit. A mistake in its options, or a fault, is its failure; an interruption passes.

    Time limits count work (:func:`superpose.deadline.counted_time`), so that a fit ends at the same place however busy
    the machine is.
    """
    clock, failures = Deadline(), Failures()
    outcome: Outcome | None = None
    failure = ""
    with failures.part("the fit failed"):
        try:
            with counted_time():
                rows, model = KINDS[job.task].run(job.table, job.options, job.seed)
            content = to_bytes(model) if model is not None and job.keep_model else None
            outcome = Outcome(json_ready(rows), content, model is not None, "", clock.elapsed())
        except (SuperposeError, OSError) as error:
            failure = reason(error)
    return outcome or Outcome(failure=failure or failures.sentences[0], seconds=clock.elapsed())
