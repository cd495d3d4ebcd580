"""Searches for laws: tables made by known formulas, and the methods that recover these formulas from them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks import methods, problems
from benchmarks.discovery import pages
from benchmarks.discovery.recovery import Recovery, assess
from benchmarks.harness import workers
from benchmarks.harness.settings import Settings
from benchmarks.harness.store import Row, Store, as_csv
from benchmarks.harness.suite import check_names
from benchmarks.methods import FORMULA_PEERS, SUPERPOSE
from benchmarks.methods.proposals import NothingFound
from benchmarks.methods.symbolic_regression import propose
from benchmarks.problems import KnownLaw
from benchmarks.problems.known_function import FloatArray
from superpose.files.json_numbers import json_ready
from superpose.plot import render

TITLES = {"discovery": "A hundred equations found in tables", "laws": "Nine laws found in tables"}
# A search that takes longer than this multiple of its time limit has failed. A round number, so that a search may
# finish the step that it is in.
MAX_TIME_RATIO = 1.5
# Seconds for the comparison with the law, a round number. Most comparisons take milliseconds; a formula that is right
# but too long is simplified for up to 15 s.
_ASSESSMENT_SECONDS = 60.0
# Characters of a formula in results.json.
_MAX_LENGTH = 2000


def suite(name: str) -> Discovery:
    """The benchmark of that name."""
    return Discovery(name)


def known(name: str) -> dict[str, KnownLaw]:
    """The laws of a benchmark."""
    return problems.equations() if name == "discovery" else problems.laws()


class Discovery:
    """A set of laws, each at some levels of noise."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.laws = known(name)

    def order(self, settings: Settings) -> tuple[str, ...]:
        """See :class:`~benchmarks.harness.suite.Suite`."""
        check_names(settings.only, self.laws)
        return (*self.laws, SUPERPOSE, *FORMULA_PEERS)

    def measure(self, settings: Settings, store: Store, listener: Callable[[str], None]) -> None:
        """See :class:`~benchmarks.harness.suite.Suite`."""
        tasks = list(self._tasks(settings))
        store.problems |= {
            name: described(self.laws[name]) for name in dict.fromkeys(task["problem"] for task in tasks)
        }
        missing = [task for task in tasks if store.found(**_key(task)) is None]
        count = len(tasks) - len(missing)

        def started(task: workers.Task) -> None:
            nonlocal count
            count += 1
            listener(
                f"{task['problem']}, noise {task['noise']:g}, seed {task['seed']}: {task['method']} "
                f"({count} of {len(tasks)})"
            )

        def done(task: workers.Task, row: Row | None, reason: str) -> None:
            store.add((row or failed(task, reason)) | {"jobs": settings.jobs})

        limit = MAX_TIME_RATIO * settings.time_limit + _ASSESSMENT_SECONDS
        workers.work_off(missing, __name__, jobs=settings.jobs, limit=limit, started=started, done=done)

    def _tasks(self, settings: Settings) -> Iterator[workers.Task]:
        for noise in settings.noise:
            for problem in self.laws:
                if settings.only and problem not in settings.only:
                    continue
                for seed in settings.seeds:
                    for method in (SUPERPOSE, *settings.peers):
                        yield {
                            "benchmark": self.name,
                            "problem": problem,
                            "noise": noise,
                            "seed": seed,
                            "method": method,
                            "time_limit": settings.time_limit,
                            "points": settings.points,
                            "test_points": settings.test_points,
                        }

    def pages(self, store: Store) -> dict[str, bytes]:
        """See :class:`~benchmarks.harness.suite.Suite`."""
        return {
            "results.csv": as_csv(store.rows()),
            "results.md": pages.table(TITLES[self.name], store).encode(),
            "results.svg": render(pages.picture(TITLES[self.name], store), "svg"),
        }

    def lines(self, store: Store) -> list[str]:
        """See :class:`~benchmarks.harness.suite.Suite`."""
        return pages.lines(store)


def described(law: KnownLaw) -> dict[str, Any]:
    """What stands of a law in ``results.json``."""
    return {
        "formula": law.title,
        "output": law.output,
        "ranges": {variable.name: [variable.low, variable.high] for variable in law.variables},
        "wider_ranges": {variable.name: [variable.low, variable.high] for variable in law.wider},
    }


def _key(task: workers.Task) -> Row:
    return {name: task[name] for name in ("problem", "noise", "seed", "method")}


def failed(task: workers.Task, reason: str, seconds: float | None = None) -> Row:
    """The row of a search that gave nothing."""
    figures = ("formula", "complexity", "law_complexity", "error", "wider_error", "moved", "reason")
    found = {"recovered": False, "unaided": False}
    return _key(task) | found | dict.fromkeys(figures) | {"seconds": seconds, "failure": reason}


def table(law: KnownLaw, points: int, noise: float, seed: int) -> tuple[FloatArray, FloatArray]:
    """The rows that everybody gets: ``x`` [points, n] and ``y`` [points].

    Args:
        law: whose values ``y`` are.
        points: how many.
        noise: standard deviation of the Gaussian noise on ``y``, as a share of that of ``y``.
        seed: of both.
    """
    x, y = law.sample(points, (seed, 0))
    return x, y + noise * y.std() * np.random.default_rng((seed, 2)).standard_normal(points)


def answer(task: workers.Task) -> Row:
    """Let one method look for one law, and assess what it found: one row, ready for JSON."""
    law, method = known(task["benchmark"])[task["problem"]], task["method"]
    methods.load([method] if method in FORMULA_PEERS else [], FORMULA_PEERS)
    x, y = table(law, task["points"], task["noise"], task["seed"])
    began = time.monotonic()
    try:
        proposal = propose(method, law, x, y, time_limit=task["time_limit"], seed=task["seed"])
    except NothingFound as nothing:
        return failed(task, str(nothing), time.monotonic() - began)
    except Exception as fault:
        return failed(task, f"{type(fault).__name__}: {' '.join(str(fault).split())[:200]}", time.monotonic() - began)
    seconds = time.monotonic() - began
    options = {"points": task["test_points"], "seed": task["seed"], "functions": proposal.functions}
    assessed = [assess(law, expression, task["noise"], **options) for expression in proposal.expressions]
    best = max(assessed, key=lambda one: one.recovered)
    late = seconds > MAX_TIME_RATIO * task["time_limit"]
    failure = f"it took {seconds:.0f} s" if late else None
    row: Row = json_ready(_key(task) | _figures(best) | {"seconds": seconds, "failure": failure})
    return row | {"recovered": best.recovered and not late, "unaided": assessed[0].recovered and not late}


def _figures(recovery: Recovery) -> Row:
    text = str(recovery.expression)
    return {
        "recovered": recovery.recovered,
        "formula": text if len(text) <= _MAX_LENGTH else f"{text[:_MAX_LENGTH]}...",
        "complexity": recovery.complexity,
        "law_complexity": recovery.law_complexity,
        "error": recovery.error,
        "wider_error": recovery.wider_error,
        "moved": recovery.moved if recovery.moved is None or math.isfinite(recovery.moved) else None,
        "reason": recovery.reason or None,
    }
