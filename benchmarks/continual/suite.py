"""Continual learning: peaks shown one after another, and the errors on the earlier peaks.

In one dimension these are the five Gaussian peaks of Z. Liu et al., *KAN: Kolmogorov-Arnold Networks*, 2024, section
3.4: each phase shows 100 points of one fifth of [-1, 1] and nothing of the others. In two dimensions four peaks stand
in the quadrants of the plane, and each phase shows 400 points of one quadrant.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.continual import pages
from benchmarks.continual.learners import LEARNERS
from benchmarks.harness.settings import Settings
from benchmarks.harness.store import Row, Store, as_csv
from benchmarks.harness.suite import check_names
from superpose.errors import OptionError
from superpose.messages import nearest
from superpose.plot import render

NAMES = {1: "line", 2: "plane"}
TITLE = "Peaks shown one after another"
_DOUBLE = torch.float64
# The paper's peaks in one dimension, exp(-300 (x - c)^2); wider in two dimensions, so that 400 points show their form.
_SHARPNESS = {1: 300.0, 2: 30.0}
# The paper's 100 points of a phase; 400 and the numbers of fresh points are round numbers.
_POINTS = {1: 100, 2: 400}
_FRESH = {1: 1000, 2: 2000}
# Points of a curve in results.json.
_CURVE = 201


@dataclass(frozen=True)
class Task:
    """Peaks and the boxes around them.

    Attributes:
        centers: ``[peaks, dims]``.
        half: half the side of the box of each phase.
    """

    centers: Tensor
    half: float

    @property
    def dims(self) -> int:
        return self.centers.shape[1]

    def target(self, x: Tensor) -> Tensor:
        """``[B, dims] -> [B, 1]``, the sum of all peaks."""
        distances = (x[:, None] - self.centers).square().sum(-1)
        return torch.exp(-_SHARPNESS[self.dims] * distances).sum(1, keepdim=True)

    def samples(self, peak: int, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Points of one box and their targets; in one dimension evenly spaced, ends included, as in the paper."""
        if self.dims == 1:
            offset = torch.linspace(-1, 1, count, dtype=_DOUBLE)[:, None]
        else:
            offset = 2 * torch.rand(count, self.dims, generator=generator, dtype=_DOUBLE) - 1
        x = self.centers[peak] + self.half * offset
        return x, self.target(x)


def task(dims: int) -> Task:
    """Five peaks on a line, or four on a plane."""
    if dims == 1:
        return Task(torch.linspace(-0.8, 0.8, 5, dtype=_DOUBLE)[:, None], 0.2)
    if dims == 2:
        corners = [[-0.5, -0.5], [0.5, -0.5], [-0.5, 0.5], [0.5, 0.5]]
        return Task(torch.tensor(corners, dtype=_DOUBLE), 0.5)
    raise OptionError(f"dims must be 1 or 2, not {dims!r}")


@dataclass(frozen=True)
class Outcome:
    """What one learner did with one task.

    Attributes:
        learner: its name in :data:`LEARNERS`.
        dims, seed: of the task.
        parameters: free constants of the network.
        rmse: ``[phases][peaks]`` on fresh points of each peak's box after each phase.
        seconds: of training, all phases together.
        curves: ``[phases][points]`` predictions on even points of [-1, 1] after each phase; empty in two dimensions.
    """

    learner: str
    dims: int
    seed: int
    parameters: int
    rmse: tuple[tuple[float, ...], ...]
    seconds: float
    curves: tuple[tuple[float, ...], ...]

    @property
    def largest_change(self) -> float:
        """Of an earlier peak's RMSE, from the end of its own phase to any later one."""
        changes = [abs(row[peak] - self.rmse[peak][peak]) for n, row in enumerate(self.rmse) for peak in range(n)]
        return max(changes, default=0.0)

    @property
    def final(self) -> float:
        """RMSE over all boxes at the end."""
        return math.sqrt(sum(value**2 for value in self.rmse[-1]) / len(self.rmse[-1]))

    def row(self) -> Row:
        """What stands in ``results.json``."""
        return {
            "problem": NAMES[self.dims],
            "seed": self.seed,
            "method": self.learner,
            "parameters": self.parameters,
            "seconds": self.seconds,
            "largest_change": self.largest_change,
            "final_rmse": self.final,
            "rmse": [list(phase) for phase in self.rmse],
            "curves": [[round(value, 4) for value in curve] for curve in self.curves],
        }


def run(learner: str, *, dims: int, seed: int = 0, time_limit: float = 60.0) -> Outcome:
    """Show one learner every phase of a task, and measure it after each.

    Args:
        learner: a name in :data:`LEARNERS` for that many dimensions.
        dims: 1 or 2.
        seed: of the start, and in two dimensions of the points.
        time_limit: seconds of training, shared evenly by the phases.

    Raises:
        OptionError: if there is no such learner or number of dimensions.
    """
    shown = task(dims)
    if learner not in LEARNERS[dims]:
        raise OptionError(f"there is no learner {learner!r} in {dims} dimensions{nearest(learner, LEARNERS[dims])}")
    student = LEARNERS[dims][learner](seed)
    peaks = len(shown.centers)
    fresh = [shown.samples(n, _FRESH[dims], torch.Generator().manual_seed(1000 + n)) for n in range(peaks)]
    everywhere = torch.linspace(-1, 1, _CURVE, dtype=_DOUBLE)[:, None]
    rmse, curves, seconds = [], [], 0.0
    for phase in range(peaks):
        x, y = shown.samples(phase, _POINTS[dims], torch.Generator().manual_seed(10 * seed + phase))
        began = time.perf_counter()
        student.learn(x, y, time_limit / peaks)
        seconds += time.perf_counter() - began
        with torch.no_grad():
            rmse.append(tuple(float((student(a) - b).square().mean().sqrt()) for a, b in fresh))
            if dims == 1:
                curves.append(tuple(student(everywhere)[:, 0].tolist()))
    return Outcome(learner, dims, seed, student.parameters, tuple(rmse), seconds, tuple(curves))


def suite(name: str) -> Continual:
    """The benchmark ``continual``."""
    return Continual()


class Continual:
    """Every learner on both tasks."""

    def order(self, settings: Settings) -> tuple[str, ...]:
        check_names(settings.only, NAMES.values())
        if settings.peers:
            raise OptionError("--peer: the MLP always runs in this benchmark, and no other peer can; leave out --peer")
        return (*NAMES.values(), *(learner for dims in NAMES for learner in LEARNERS[dims]))

    def measure(self, settings: Settings, store: Store, listener: Callable[[str], None]) -> None:
        wanted = [dims for dims, name in NAMES.items() if not settings.only or name in settings.only]
        for dims in wanted:
            shown = task(dims)
            store.problems[NAMES[dims]] = {
                "centers": shown.centers.tolist(),
                "half_side": shown.half,
                "sharpness": _SHARPNESS[dims],
                "points_of_a_phase": _POINTS[dims],
                "test_points_of_a_peak": _FRESH[dims],
            }
        runs = [(dims, seed, name) for dims in wanted for seed in settings.seeds for name in LEARNERS[dims]]
        for count, (dims, seed, name) in enumerate(runs):
            if store.found(problem=NAMES[dims], seed=seed, method=name) is None:
                listener(f"{NAMES[dims]}, seed {seed}: {name} ({count + 1} of {len(runs)})")
                store.add(run(name, dims=dims, seed=seed, time_limit=settings.time_limit).row())

    def pages(self, store: Store) -> dict[str, bytes]:
        made = {
            "results.csv": as_csv(pages.phases(store.rows())),
            "results.md": pages.table(TITLE, store).encode(),
        }
        for name, draw in (("line", pages.curves), ("plane", pages.tables)):
            rows = [row for row in store.rows() if row["problem"] == name]
            if rows:
                # The first seed's: a picture of medians would show nothing that happened.
                first = [row for row in rows if row["seed"] == min(row["seed"] for row in rows)]
                made[f"{name}.svg"] = render(draw(first, store.problems[name]), "svg")
        return made

    def lines(self, store: Store) -> list[str]:
        return pages.lines(store)
