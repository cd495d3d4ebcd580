"""Targets and what was measured, side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.kernels.cases import GRADIENTS, STEP, LayerCase, Shape
from benchmarks.kernels.memory import bound_bytes
from benchmarks.kernels.rounds import ratio, short

SAME_PARAMETERS = "mlp same parameters"
AT_LEAST: dict[Shape, dict[int, float]] = {
    (256, 784, 64): {5: 2.0, 20: 4.0, 100: 10.0},
    (1024, 128, 128): {5: 2.0, 20: 4.0, 100: 10.0},
    (512, 512, 512): {5: 1.5, 20: 2.5, 100: 6.0},
}
OF_MLP = {5: 1.0, 20: 0.5, 100: 0.2}
TINY_OF_MLP, TINY_TIMES_PYKAN, GROWTH = 0.7, 15.0, 1.5


@dataclass(frozen=True)
class Target:
    """One target.

    Attributes:
        most: whether the figure is to be at most the target, and not at least.
        measured: None if it was not.
    """

    what: str
    target: float
    measured: float | None
    most: bool
    unit: str = "x"

    @property
    def met(self) -> bool | None:
        if self.measured is None:
            return None
        return self.measured <= self.target if self.most else self.measured >= self.target

    def cells(self) -> tuple[str, str, str, str]:
        sign = "at most" if self.most else "at least"
        measured = "not measured" if self.measured is None else f"{self.measured:.3g} {self.unit}"
        return (
            self.what,
            f"{sign} {self.target:.3g} {self.unit}",
            measured,
            {True: "yes", False: "NO", None: "-"}[self.met],
        )


def targets(result: dict[str, Any], peers: set[str]) -> list[Target]:
    """Every target beside its figure; ``peers`` are the contenders that the first compares with."""
    return [*_peers(result, peers), *_mlp(result), *_tiny(result), *_growth(result), *_memory(result)]


def _cell(result: dict[str, Any], shape: Shape, grid: int) -> dict[str, Any] | None:
    for cell in result.get("layers", []):
        found = (cell["batch"], cell["in"], cell["out"]), cell["grid"], cell["measure"]
        if found == (shape, grid, GRADIENTS) and "superpose" in cell["contenders"]:
            return dict(cell)
    return None


def _over(cell: dict[str, Any], name: str, base: str) -> float | None:
    """Median ratio of two contenders' times in a cell."""
    found = cell["contenders"]
    return short(ratio(found[name]["seconds"], found[base]["seconds"]), 4) if name in found and base in found else None


def _peers(result: dict[str, Any], peers: set[str]) -> Iterator[Target]:
    for shape, targets in AT_LEAST.items():
        for grid, target in targets.items():
            cell = _cell(result, shape, grid) or {"ratios": {}}
            found = {name: value for name, value in cell["ratios"].items() if name in peers}
            fastest = min(found, key=lambda name: found[name], default=None)
            whom = f"fastest of {len(found)} peers, {fastest}" if fastest else "fastest peer"
            yield Target(f"1. {shape}, G = {grid}: faster than the {whom}", target, found.get(fastest or ""), False)


def _mlp(result: dict[str, Any]) -> Iterator[Target]:
    for shape in AT_LEAST:
        for grid, target in OF_MLP.items():
            cell = _cell(result, shape, grid)
            measured = _over(cell, "superpose", SAME_PARAMETERS) if cell else None
            yield Target(f"2. {shape}, G = {grid}: time of the MLP with as many parameters", target, measured, True)


def _tiny(result: dict[str, Any]) -> Iterator[Target]:
    found = {cell["dtype"]: cell for cell in result.get("tiny", [])}
    for dtype in ("float32", "float64"):
        cell = found.get(dtype, {"contenders": {}})
        of_mlp, of_pykan = _over(cell, "superpose", SAME_PARAMETERS), _over(cell, "pykan", "superpose")
        yield Target(f"3. KAN [2, 5, 1], {dtype}: time of the MLP with as many parameters", TINY_OF_MLP, of_mlp, True)
        yield Target(f"3. KAN [2, 5, 1], {dtype}: faster than pykan", TINY_TIMES_PYKAN, of_pykan, False)


def _growth(result: dict[str, Any]) -> Iterator[Target]:
    growth = result.get("growth", {}).get("growth", {})
    yield Target("4. (1000, 2, 5): time at G = 1000 over G = 10", GROWTH, growth.get("superpose"), True)


def _memory(result: dict[str, Any]) -> Iterator[Target]:
    for measure, name in ((GRADIENTS, "forward and backward"), (STEP, "the same with AdamW, its moments allowed for")):
        peak = None
        bound = bound_bytes(LayerCase(1024, 128, 128, 100), measure) / 1e6
        for case in result.get("memory", []):
            if (case["contender"], case["grid"], case["measure"]) == ("superpose", 100, measure) and case.get("clean"):
                peak = case["peak"] / 1e6
        what = f"4. (1024, 128, 128), G = 100: peak memory of {name}"
        yield Target(what, bound, peak, True, "MB")
