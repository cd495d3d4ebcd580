"""The benchmarks of function fitting: every problem, seed and method on the same points in the same time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from benchmarks import problems as known
from benchmarks.functions import pages
from benchmarks.harness.settings import Settings
from benchmarks.harness.store import Row, Store, as_csv
from benchmarks.harness.suite import check_names
from benchmarks.methods import REGRESSION_PEERS, SUPERPOSE, regression
from benchmarks.problems import KnownFunction
from benchmarks.problems.known_function import FloatArray
from superpose.plot import render

TITLES = {
    "special": "Special functions",
    "feynman": "Feynman equations",
    "toy": "Functions that show how errors scale",
}
_FIGURES = (
    *("test_rmse", "relative_rmse", "seconds", "processor_seconds"),
    *("predict_seconds", "parameters", "shape", "grids"),
)
# Errors of a method that cannot learn a problem: too many dimensions, a singular matrix, no memory.
_FAILURES = (ArithmeticError, MemoryError, RuntimeError, ValueError)


def suite(name: str) -> Functions:
    """The benchmark of that name."""
    problems: dict[str, Callable[[], dict[str, KnownFunction]]] = {
        "special": known.special,
        "feynman": known.feynman,
        "toy": known.toy,
    }
    return Functions(TITLES[name], problems[name])


class Functions:
    """A set of functions to be learnt from samples."""

    def __init__(self, title: str, problems: Callable[[], dict[str, KnownFunction]]) -> None:
        self.title = title
        self.problems = problems

    def order(self, settings: Settings) -> tuple[str, ...]:
        known = self.problems()
        check_names(settings.only, known)
        return (*known, SUPERPOSE, *REGRESSION_PEERS)

    def measure(self, settings: Settings, store: Store, listener: Callable[[str], None]) -> None:
        problems = chosen(self.problems(), settings.only)
        store.problems |= {problem.name: described(problem) for problem in problems}
        total = len(problems) * len(settings.seeds) * (1 + len(settings.peers))
        count = 0
        for problem in problems:
            for seed in settings.seeds:
                for name in (SUPERPOSE, *settings.peers):
                    count += 1
                    if store.found(problem=problem.name, seed=seed, method=name) is None:
                        listener(f"{problem.name}, seed {seed}: {name} ({count} of {total})")
                        size = (store.found(problem=problem.name, seed=seed, method=SUPERPOSE) or {}).get("parameters")
                        store.add(measured(problem, name, settings, seed, size))

    def pages(self, store: Store) -> dict[str, bytes]:
        return {
            "results.csv": as_csv(store.rows()),
            "results.md": pages.table(self.title, store).encode(),
            "results.svg": render(pages.dots(self.title, store), "svg"),
        }

    def lines(self, store: Store) -> list[str]:
        return pages.lines(store)


def chosen(problems: dict[str, KnownFunction], only: Iterable[str]) -> list[KnownFunction]:
    """The problems named, or all."""
    names = set(only) or set(problems)
    return [problem for name, problem in problems.items() if name in names]


def described(problem: KnownFunction) -> dict[str, Any]:
    """What stands of a problem in ``results.json``."""
    return {
        "title": problem.title,
        "ranges": {variable.name: [variable.low, variable.high] for variable in problem.variables},
        "published": dict(problem.published),
        "published_best_kan": problem.best_kan,
        "published_best": problem.best_published,
        "published_shape": list(problem.shape),
    }


def measured(problem: KnownFunction, name: str, settings: Settings, seed: int, parameters: int | None) -> Row:
    """Fit one method and measure it on fresh points: one row."""
    x, y = problem.sample(settings.points, (seed, 0))
    test_x, test_y = problem.sample(settings.test_points, (seed, 1))
    row: Row = {"problem": problem.name, "seed": seed, "method": name}
    figures: Row = dict.fromkeys(_FIGURES)
    began, worked = time.monotonic(), time.process_time()
    try:
        fitted = regression.fit(name, problem, x, y, time_limit=settings.time_limit, seed=seed, parameters=parameters)
        after, worked = time.monotonic(), time.process_time() - worked
        predicted = fitted.predict(test_x)
        error, spread = root_mean_square(predicted - test_y), float(test_y.std())
        figures |= {
            "test_rmse": error,
            "relative_rmse": error / spread if spread else None,
            "seconds": after - began,
            "processor_seconds": worked,
            "predict_seconds": time.monotonic() - after,
            "parameters": fitted.parameters,
            "shape": list(fitted.shape),
            "grids": list(fitted.grids),
        }
        failure = None if math.isfinite(error) else "its predictions are not finite"
    except _FAILURES as fault:
        if name == SUPERPOSE:
            raise
        figures["seconds"] = time.monotonic() - began
        failure = f"{type(fault).__name__}: {' '.join(str(fault).split())[:200]}"
    return row | figures | {"failure": failure}


def root_mean_square(errors: FloatArray) -> float:
    """The root of the mean of squares, without a warning where they overflow."""
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.sqrt(np.mean(np.square(errors))))
