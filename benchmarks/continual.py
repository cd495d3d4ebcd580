"""``bench continual``: peaks shown one after another, and what is left of the earlier ones.

In one dimension these are the five Gaussian peaks of Z. Liu et al., *KAN: Kolmogorov-Arnold Networks*, 2024, section
3.4: each phase shows 100 points of one fifth of [-1, 1] and nothing of the others. In two dimensions four peaks stand
in the quadrants of the plane, and each phase shows 400 points of one quadrant.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from benchmarks import continual_pages as pages
from benchmarks.functions import check_names
from benchmarks.settings import Settings
from benchmarks.store import Row, Store, as_csv
from superpose.data import Affine, Dataset
from superpose.errors import OptionError
from superpose.messages import nearest
from superpose.nn import KAN
from superpose.plot import render
from superpose.train import Memory, fit, remember

NAMES = {1: "line", 2: "plane"}
TITLE = "Peaks shown one after another"
_DOUBLE = torch.float64
# The paper's peaks in one dimension, exp(-300 (x - c)^2); wide enough in two for 400 points to show them.
_SHARPNESS = {1: 300.0, 2: 30.0}
_POINTS = {1: 100, 2: 400}
_FRESH = {1: 1000, 2: 2000}
_CURVE = 201
_MLP_STEPS, _MLP_RATE = 1000, 1e-2


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
            "competitor": self.learner,
            "parameters": self.parameters,
            "seconds": self.seconds,
            "largest_change": self.largest_change,
            "final_rmse": self.final,
            "rmse": [list(phase) for phase in self.rmse],
            "curves": [[round(value, 4) for value in curve] for curve in self.curves],
        }


class Learner:
    """Something that is shown one phase after another."""

    parameters: int

    def learn(self, x: Tensor, y: Tensor, time_limit: float) -> None:
        raise NotImplementedError

    def __call__(self, x: Tensor) -> Tensor:
        raise NotImplementedError


class _Network(Learner):
    """A KAN whose grids stand still; ``strength`` is that of its memory, without one if None."""

    def __init__(
        self,
        widths: Sequence[int],
        grid_size: int,
        seed: int,
        *,
        base: str = "none",
        strength: float | None = None,
        rehearse: bool = False,
        **options: Any,
    ) -> None:
        self.model = KAN(widths, grid_size=grid_size, base=base, seed=seed)
        # The data are in [-1, 1] already. Without this the first phase would fix the scaling to its own box.
        zeros, ones = (torch.full((widths[0],), value, dtype=_DOUBLE) for value in (0.0, 1.0))
        self.model.set_scaling(Affine(zeros, ones), Affine(zeros[:1], ones[:1]))
        self.parameters = self.model.parameter_count()
        self.strength, self.rehearse, self.options = strength, rehearse, options
        self.memory: Memory | None = None
        self.seen: list[tuple[Tensor, Tensor]] = []
        self.phases = 0

    def learn(self, x: Tensor, y: Tensor, time_limit: float) -> None:
        options: dict[str, Any] = {"time_limit": time_limit, "progress": False} | self.options
        if self.rehearse:
            self.seen.append((x, y))
            x, y = (torch.cat(parts) for parts in zip(*self.seen, strict=True))
        data = Dataset.from_arrays(x, y, validation=0.0, test=0.0)
        self.phases += 1
        if self.memory is None:
            # Hidden grids follow the first activations; later they stand still, unless all points are still there.
            adapt = self.phases == 1 or self.rehearse
            options |= {"grids": (self.model.layer(0).grid_size,), "starts": 1, "adapt": adapt}
        else:
            options |= {"memory": self.memory, "adapt": False}
        history = fit(self.model, data, **options)
        # fit keeps its best state then and returns, but a benchmark wants whole runs.
        if history.interrupted:
            raise KeyboardInterrupt
        if self.strength is not None:
            self.memory = remember(self.model, data, self.memory, strength=self.strength)

    def __call__(self, x: Tensor) -> Tensor:
        predicted: Tensor = self.model(x)
        return predicted


class _Perceptron(Learner):
    """The MLP beside it: three hidden layers of tanh, trained by Adam on all points of a phase at once."""

    def __init__(self, dims: int, parameters: int, seed: int) -> None:
        width = min(range(2, 64), key=lambda w: abs(_perceptron_size(dims, w) - parameters))
        generator = torch.Generator().manual_seed(seed)
        widths = (dims, width, width, width, 1)
        self.tensors: list[Tensor] = []
        for before, after in itertools.pairwise(widths):
            for shape in ((after, before), (after,)):
                # As torch.nn.Linear starts, from a generator of its own.
                drawn = (2 * torch.rand(shape, generator=generator, dtype=_DOUBLE) - 1) / math.sqrt(before)
                self.tensors.append(drawn.requires_grad_())
        self.parameters = sum(tensor.numel() for tensor in self.tensors)

    def learn(self, x: Tensor, y: Tensor, time_limit: float) -> None:
        optimizer = torch.optim.Adam(self.tensors, lr=_MLP_RATE)
        until = time.monotonic() + time_limit
        with torch.enable_grad():
            for _ in range(_MLP_STEPS):
                if time.monotonic() > until:
                    break
                optimizer.zero_grad()
                (self(x) - y).square().mean().backward()  # type: ignore[no-untyped-call]
                optimizer.step()

    def __call__(self, x: Tensor) -> Tensor:
        for weight, bias in zip(self.tensors[:-2:2], self.tensors[1:-2:2], strict=True):
            x = torch.tanh(torch.nn.functional.linear(x, weight, bias))
        return torch.nn.functional.linear(x, self.tensors[-2], self.tensors[-1])


def _perceptron_size(dims: int, width: int) -> int:
    return (dims + 1) * width + 2 * (width + 1) * width + width + 1


def _on_a_line(**options: Any) -> Callable[[int], Learner]:
    return lambda seed: _Network([1, 1], 200, seed, **options)


def _on_a_plane(nodes: int, **options: Any) -> Callable[[int], Learner]:
    return lambda seed: _Network([2, nodes, 1], 10, seed, base="silu", **options)


STRONG = "KAN [2,{},1] with memory of strength 10,000"
# By dimension and name.
LEARNERS: dict[int, dict[str, Callable[[int], Learner]]] = {
    1: {
        "KAN": _on_a_line(),
        "KAN with memory": _on_a_line(strength=1.0),
        "KAN, base SiLU": _on_a_line(base="silu"),
        "KAN, base SiLU, with memory": _on_a_line(base="silu", strength=1.0),
        "MLP": lambda seed: _Perceptron(1, 203, seed),
    },
    2: {
        name: make
        for nodes, size in ((5, 210), (10, 420))
        for name, make in (
            (f"KAN [2,{nodes},1]", _on_a_plane(nodes)),
            (f"KAN [2,{nodes},1] with memory", _on_a_plane(nodes, strength=1.0)),
            (STRONG.format(nodes), _on_a_plane(nodes, strength=1e4)),
            (f"KAN [2,{nodes},1], earlier points kept", _on_a_plane(nodes, rehearse=True)),
            (f"MLP beside [2,{nodes},1]", lambda seed, size=size: _Perceptron(2, size, seed)),
        )
    },
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
            if store.found(problem=NAMES[dims], seed=seed, competitor=name) is None:
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
