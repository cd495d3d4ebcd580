"""``bench discovery`` and ``bench laws``: tables made by known formulas, and who finds these formulas in them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks import discovery_pages as pages
from benchmarks import peers, problems, workers
from benchmarks.competitors import OURS
from benchmarks.functions import check_names
from benchmarks.judge import Judged, judge
from benchmarks.peers import SEEKERS
from benchmarks.problems import Law
from benchmarks.problems.problem import FloatArray
from benchmarks.seekers import NothingFound, seek
from benchmarks.settings import Settings
from benchmarks.store import Row, Store, as_csv
from superpose.files.json_numbers import finite
from superpose.plot import render

TITLES = {"discovery": "A hundred equations found in tables", "laws": "Nine laws found in tables"}
# A search that takes more than so many times its time limit has failed.
MOST_TIME = 1.5
# Seconds for the judge, in which its attempts to simplify have room.
_JUDGING = 60.0
_LONGEST = 2000


def suite(name: str) -> Discovery:
    """The benchmark of that name."""
    return Discovery(name)


def known(name: str) -> dict[str, Law]:
    """The laws of a benchmark."""
    return problems.equations() if name == "discovery" else problems.laws()


class Discovery:
    """A set of laws, each at some levels of noise."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.laws = known(name)

    def order(self, settings: Settings) -> tuple[str, ...]:
        """See :class:`~benchmarks.suite.Suite`."""
        check_names(settings.only, self.laws)
        return (*self.laws, OURS, *SEEKERS)

    def measure(self, settings: Settings, store: Store, listener: Callable[[str], None]) -> None:
        """See :class:`~benchmarks.suite.Suite`."""
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
                f"{task['problem']}, noise {task['noise']:g}, seed {task['seed']}: {task['competitor']} "
                f"({count} of {len(tasks)})"
            )

        def done(task: workers.Task, row: Row | None, reason: str) -> None:
            store.add((row or failed(task, reason)) | {"jobs": settings.jobs})

        limit = MOST_TIME * settings.time_limit + _JUDGING
        workers.work_off(missing, jobs=settings.jobs, limit=limit, started=started, done=done)

    def _tasks(self, settings: Settings) -> Iterator[workers.Task]:
        for noise in settings.noise:
            for problem in self.laws:
                if settings.only and problem not in settings.only:
                    continue
                for seed in settings.seeds:
                    for competitor in (OURS, *settings.peers):
                        yield {
                            "benchmark": self.name,
                            "problem": problem,
                            "noise": noise,
                            "seed": seed,
                            "competitor": competitor,
                            "time_limit": settings.time_limit,
                            "points": settings.points,
                            "test_points": settings.test_points,
                        }

    def pages(self, store: Store) -> dict[str, bytes]:
        """See :class:`~benchmarks.suite.Suite`."""
        return {
            "results.csv": as_csv(store.rows()),
            "results.md": pages.table(TITLES[self.name], store).encode(),
            "results.svg": render(pages.picture(TITLES[self.name], store), "svg"),
        }

    def lines(self, store: Store) -> list[str]:
        """See :class:`~benchmarks.suite.Suite`."""
        return pages.lines(store)


def described(law: Law) -> dict[str, Any]:
    """What stands of a law in ``results.json``."""
    return {
        "formula": law.title,
        "output": law.output,
        "ranges": {variable.name: [variable.low, variable.high] for variable in law.variables},
        "wider_ranges": {variable.name: [variable.low, variable.high] for variable in law.wider},
    }


def _key(task: workers.Task) -> Row:
    return {name: task[name] for name in ("problem", "noise", "seed", "competitor")}


def failed(task: workers.Task, reason: str, seconds: float | None = None) -> Row:
    """The row of a search that gave nothing."""
    figures = ("formula", "complexity", "law_complexity", "error", "wider_error", "moved", "reason")
    found = {"recovered": False, "unaided": False}
    return _key(task) | found | dict.fromkeys(figures) | {"seconds": seconds, "failure": reason}


def table(law: Law, points: int, noise: float, seed: int) -> tuple[FloatArray, FloatArray]:
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
    """Let one competitor look for one law, and judge what it found: one row, ready for JSON."""
    law, competitor = known(task["benchmark"])[task["problem"]], task["competitor"]
    peers.load([competitor] if competitor in SEEKERS else [], SEEKERS)
    x, y = table(law, task["points"], task["noise"], task["seed"])
    began = time.monotonic()
    try:
        proposal = seek(competitor, law, x, y, time_limit=task["time_limit"], seed=task["seed"])
    except NothingFound as nothing:
        return failed(task, str(nothing), time.monotonic() - began)
    except Exception as fault:
        return failed(task, f"{type(fault).__name__}: {' '.join(str(fault).split())[:200]}", time.monotonic() - began)
    seconds = time.monotonic() - began
    options = {"points": task["test_points"], "seed": task["seed"], "functions": proposal.functions}
    judged = [judge(law, expression, task["noise"], **options) for expression in proposal.expressions]
    best = max(judged, key=lambda one: one.recovered)
    late = seconds > MOST_TIME * task["time_limit"]
    failure = f"it took {seconds:.0f} s" if late else None
    row: Row = finite(_key(task) | _figures(best) | {"seconds": seconds, "failure": failure})
    return row | {"recovered": best.recovered and not late, "unaided": judged[0].recovered and not late}


def _figures(judged: Judged) -> Row:
    text = str(judged.expression)
    return {
        "recovered": judged.recovered,
        "formula": text if len(text) <= _LONGEST else f"{text[:_LONGEST]}...",
        "complexity": judged.complexity,
        "law_complexity": judged.law_complexity,
        "error": judged.error,
        "wider_error": judged.wider_error,
        "moved": judged.moved if judged.moved is None or math.isfinite(judged.moved) else None,
        "reason": judged.reason or None,
    }
