"""Why a run ended: one enumeration for training, searches and solvers."""

from __future__ import annotations

from enum import StrEnum


class StopReason(StrEnum):
    """Why a run ended. The value is a short name for JSON files; :attr:`sentence` is for people.

    Results carry it as ``stop``, beside ``reason``, a sentence with the details of that run.

    >>> StopReason.TIME_LIMIT.value, StopReason.TIME_LIMIT.sentence
    ('time_limit', 'the time limit was reached; the best result so far was kept')
    """

    NOT_RUN = "not_run"
    CONVERGED = "converged"
    EXACT = "exact"
    GRIDS_EXHAUSTED = "grids_exhausted"
    NO_IMPROVEMENT = "no_improvement"
    CANDIDATES_EXHAUSTED = "candidates_exhausted"
    TIME_LIMIT = "time_limit"
    STEP_BUDGET = "step_budget"
    NAN_LOSS = "nan_loss"
    INTERRUPTED = "interrupted"

    @property
    def sentence(self) -> str:
        """One sentence for people."""
        return _SENTENCES[self]


_SENTENCES = {
    StopReason.NOT_RUN: "nothing was run",
    StopReason.CONVERGED: "the error reached its floor",
    StopReason.EXACT: "the data are reproduced to rounding",
    StopReason.GRIDS_EXHAUSTED: "all grid sizes of the schedule were visited",
    StopReason.NO_IMPROVEMENT: "a finer grid gave no better validation error",
    StopReason.CANDIDATES_EXHAUSTED: "all candidates were tried",
    StopReason.TIME_LIMIT: "the time limit was reached; the best result so far was kept",
    StopReason.STEP_BUDGET: "the budget of optimiser steps was used up; the best result so far was kept",
    StopReason.NAN_LOSS: "the loss became NaN; the best result so far was kept",
    StopReason.INTERRUPTED: "interrupted; the best result so far was kept",
}
