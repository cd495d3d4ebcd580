"""One layer at a time: every contender on every shape and grid, in every way."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from benchmarks.kernels.cases import GRADIENTS, Contender, LayerCase, Shape, Trial
from benchmarks.kernels.rounds import Timed, ratio, record, run_rounds, short

GIB = 2**30


@dataclass
class Limits:
    """What a contender may cost, and the times seen, from which those on finer grids are estimated.

    Attributes:
        seconds: longest single call.
        gib: memory of all contenders of a case at once.
    """

    seconds: float
    gib: float
    seen: dict[tuple[str, Shape, str], tuple[LayerCase, float]] = field(default_factory=dict)

    def too_slow(self, contender: Contender, case: LayerCase, measure: str) -> str | None:
        """A reason if the contender, whose time grows with the grid, took so long on a coarser one."""
        seen, seconds = self.seen.get((contender.name, case.shape, measure), (case, 0.0))
        estimate = seconds * case.rows / seen.rows if contender.grows else seconds
        return f"about {estimate:.2g} s a call, judging by G = {seen.grid}" if estimate > self.seconds else None

    def note(self, contender: Contender, case: LayerCase, measure: str, seconds: float) -> str | None:
        """Remember the time of a call; a reason if it is too long."""
        self.seen[contender.name, case.shape, measure] = case, seconds
        return f"{seconds:.2g} s a call" if seconds > self.seconds else None


def fitting(
    contenders: Sequence[Contender], case: LayerCase, measure: str, limits: Limits
) -> tuple[list[Contender], dict[str, str]]:
    """Those that can be tried together, and why each of the others cannot."""
    chosen: list[Contender] = []
    skipped: dict[str, str] = {}
    kept = peak = 0.0
    for contender in contenders:
        reason = contender.unfit(case) or limits.too_slow(contender, case, measure)
        keeps = kept + contender.persistent_bytes(case, measure)
        peaks = max(peak, contender.transient_bytes(case, measure))
        if reason is None and keeps + peaks > limits.gib * GIB:
            reason = f"with the contenders before it, it would need about {(keeps + peaks) / GIB:.1f} GiB"
        if reason is None:
            chosen.append(contender)
            kept, peak = keeps, peaks
        else:
            skipped[contender.name] = reason
    return chosen, skipped


def fastest(contender: Contender, case: LayerCase, measure: str) -> tuple[Trial, Timed, float]:
    """The contender's fastest variant, warm and calibrated, and the seconds of a call."""
    best: tuple[Trial, Timed, float] | None = None
    for build in contender.variants(case):
        trial = build()
        timed = Timed(trial.call(measure), trial.inside, trial.release)
        seconds = timed.prepare()
        if best is None or seconds < best[2]:
            best = trial, timed, seconds
    assert best is not None
    return best


def measure_case(
    contenders: Sequence[Contender], case: LayerCase, measure: str, rounds: int, limits: Limits
) -> dict[str, Any]:
    """One cell of the table."""
    # Compiled anew for this very shape: torch would otherwise compile for any shape, and stop compiling after a few.
    torch._dynamo.reset()
    chosen, skipped = fitting(contenders, case, measure, limits)
    timed: dict[str, Timed] = {}
    about: dict[str, Trial] = {}
    for contender in chosen:
        try:
            trial, one, seconds = fastest(contender, case, measure)
        # A peer may fail in ways of its own; that is a result like another.
        except Exception as error:
            skipped[contender.name] = f"{type(error).__name__}: {error}".splitlines()[0]
            continue
        reason = limits.note(contender, case, measure, seconds)
        if reason is None:
            timed[contender.name], about[contender.name] = one, trial
        else:
            skipped[contender.name] = reason
    run_rounds(timed, rounds)
    cell = {
        "measure": measure,
        "batch": case.batch,
        "in": case.inputs,
        "out": case.outputs,
        "grid": case.grid,
        "degree": case.degree,
        "dtype": case.dtype,
        "contenders": records(timed, about),
        "ratios": ratios(timed),
        "skipped": skipped,
    }
    timed.clear()
    about.clear()
    gc.collect()
    return cell


def records(timed: dict[str, Timed], about: dict[str, Trial]) -> dict[str, dict[str, Any]]:
    return {name: record(one, about[name].parameters, about[name].note) for name, one in timed.items()}


def ratios(timed: dict[str, Timed], base: str = "superpose") -> dict[str, float]:
    """Median over the rounds of each contender's time over superpose's: how many times faster superpose is."""
    if base not in timed:
        return {}
    return {name: short(ratio(one.seconds, timed[base].seconds), 4) for name, one in timed.items() if name != base}


def measure_growth(
    contenders: Sequence[Contender], shape: Shape, grids: tuple[int, int], dtype: str, rounds: int
) -> dict[str, Any]:
    """Forward and backward on a fine grid over the same on a coarse one, both in the same rounds."""
    torch._dynamo.reset()
    timed: dict[str, Timed] = {}
    about: dict[str, Trial] = {}
    for contender in contenders:
        for grid in grids:
            name = f"{contender.name}, G = {grid}"
            about[name], timed[name], _ = fastest(contender, LayerCase(*shape, grid, dtype=dtype), GRADIENTS)
    run_rounds(timed, rounds)
    coarse, fine = grids
    growth = {
        c.name: short(ratio(timed[f"{c.name}, G = {fine}"].seconds, timed[f"{c.name}, G = {coarse}"].seconds), 4)
        for c in contenders
    }
    about_grids = {"shape": list(shape), "grids": list(grids), "dtype": dtype}
    return about_grids | {"contenders": records(timed, about), "growth": growth}
