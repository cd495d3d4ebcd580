"""The same sweep of 40 fits on one process, on two, on local clusters of Dask and Ray, and killed at random moments.

    OMP_NUM_THREADS=1 python -m benchmarks sweep --pairs 3 --kills 5

Two tables of noisy rows, two shapes, two grids, five seeds. ``times``: the sweep on one process and with loky on two,
in turn, each pair beginning with new processes; the ratio of the medians is printed. ``dask`` and ``ray``: the sweep
on a local cluster of two workers, where the package is installed (``pip install 'dask[distributed]' 'ray[default]'``).
``kills``: ``superpose sweep --jobs 2`` killed with SIGKILL at moments drawn uniformly over the time that it took
undisturbed, and finished by the same command. All results have to be those of one process: facts of the fits, and
their model files byte for byte.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import program
from benchmarks.harness.resumable import Results
from superpose import parallel, read_sweep, sweep
from superpose.deadline import Deadline
from superpose.errors import OptionError
from superpose.tasks.sweeps import SweepResult

PARTS = ("times", "dask", "ray", "kills")
VARY: dict[str, Any] = {"hidden": [(4,), (5, 2)], "grid_size": [8, 16]}
SEEDS = range(5)
PROCESSES = 2


Measure = Callable[["Case", argparse.Namespace], Iterator[dict[str, Any]]]


@dataclass(frozen=True)
class Case:
    """The sweep.

    Attributes:
        tables: the files.
        vary: the options of the fits.
        expected: facts and model files of every fit, made on one process.
    """

    tables: list[str]
    vary: dict[str, Any]
    expected: list[tuple[dict[str, Any], bytes]]

    def seconds(self, **options: Any) -> tuple[float, bool]:
        """How long the sweep takes, and whether it gives what is expected."""
        with tempfile.TemporaryDirectory() as scratch:
            clock = Deadline()
            found = sweep(self.tables, "y", vary=self.vary, seeds=SEEDS, folder=scratch, **options)
            return clock.elapsed(), parts_of(found) == self.expected


def parts_of(found: SweepResult) -> list[tuple[dict[str, Any], bytes]]:
    """Everything of the fits but the time that they took."""
    rows = [{name: value for name, value in row.items() if name not in ("seconds", "table")} for row in found.rows()]
    return [(row, b"" if one.file is None else one.file.read_bytes()) for row, one in zip(rows, found, strict=True)]


def write_tables(folder: Path, rows: int) -> list[str]:
    """Two tables of ``sin(3*a)*b + c^2`` with noise."""
    paths = []
    for number in range(2):
        chance = np.random.default_rng(number)
        x = chance.uniform(-1, 1, (rows, 3))
        y = np.sin(3 * x[:, 0]) * x[:, 1] + x[:, 2] ** 2 + 0.02 * chance.standard_normal(rows)
        path = folder / f"table{number}.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerows([["a", "b", "c", "y"], *np.column_stack([x, y]).tolist()])
        paths.append(str(path))
    return paths


def times(case: Case, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The sweep on one process and on two, in turn."""
    for pair in range(options.pairs):
        for jobs in (1, PROCESSES):
            parallel.close()
            seconds, same = case.seconds(n_jobs=jobs)
            yield {"part": "times", "pair": pair, "jobs": jobs, "seconds": seconds, "same": same}
    parallel.close()


def cluster(backend: str) -> Measure:
    """The sweep on a cluster of this machine."""

    def measure(case: Case, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
        package = {"dask": "distributed"}.get(backend, backend)
        if importlib.util.find_spec(package) is None:
            yield {"part": backend, "same": None, "said": f"{package} is not installed"}
            return
        with parallel.connected(backend, None, PROCESSES):
            seconds, same = case.seconds(n_jobs=PROCESSES, backend=backend)
        yield {"part": backend, "jobs": PROCESSES, "seconds": seconds, "same": same}

    return measure


def kills(case: Case, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The command, killed at random moments and given once more."""
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "sweep"
        clock = Deadline()
        undisturbed = _command(case, out)
        subprocess.run(undisturbed, check=True, capture_output=True)
        took = clock.elapsed()
        for moment in sorted(np.random.default_rng(0).uniform(0, took, options.kills).tolist()):
            shutil.rmtree(out)
            with subprocess.Popen(undisturbed, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
                try:
                    process.wait(moment)
                except subprocess.TimeoutExpired:
                    os.kill(process.pid, signal.SIGKILL)
            kept = len(list(out.glob("fits/*.json")))
            done = subprocess.run(undisturbed, check=False, capture_output=True, text=True)
            row = {"part": "kills", "took": took, "moment": moment, "kept": kept, "code": done.returncode}
            same = done.returncode == 0 and parts_of(read_sweep(out)) == case.expected
            yield row | {"same": same} | ({"said": done.stderr[-300:]} if done.returncode else {})


def _command(case: Case, out: Path) -> list[str]:
    values = {name: value if isinstance(value, list) else [value] for name, value in case.vary.items()}
    vary = {name: ",".join(_typed(one) for one in several) for name, several in values.items()}
    options = [text for name, values in vary.items() for text in ("--vary", f"{name}={values}")]
    seeds = ["--seeds", f"{SEEDS[0]}..{SEEDS[-1]}", "--jobs", str(PROCESSES), "--out", str(out), "--quiet"]
    return [sys.executable, "-m", "superpose", "sweep", *case.tables, "--target", "y", *options, *seeds]


def _typed(value: Any) -> str:
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)


MEASURES: dict[str, Measure] = {
    "times": times,
    "dask": cluster("dask"),
    "ray": cluster("ray"),
    "kills": kills,
}


def main(arguments: Sequence[str]) -> int:
    """Run with these arguments and return the exit code."""
    return program.run("sweep", __doc__, arguments, _declare, _run)


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pairs", type=int, default=3, help="of sweeps on one process and on two")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--rows", type=int, default=4000, help="of each table; 4000 make fits of seconds")
    parser.add_argument("--starts", type=int, default=4, help="of each fit, which make it longer")
    parser.add_argument("--parts", default=",".join(PARTS), help="which parts to measure")


def _run(options: argparse.Namespace) -> int:
    parts = options.parts.split(",")
    if not set(parts) <= set(PARTS):
        raise OptionError(f"--parts must be some of {','.join(PARTS)}, not {options.parts!r}")
    settings = {"rows": options.rows, "starts": options.starts, "pairs": options.pairs, "kills": options.kills}
    results = Results.of(options.out, settings, resume=options.resume)
    # A part that was not finished is measured anew.
    counts = {"times": 2 * options.pairs, "dask": 1, "ray": 1, "kills": options.kills}
    known = {part for part, count in counts.items() if sum(row["part"] == part for row in results.rows) >= count}
    results.rows = [row for row in results.rows if row["part"] in known]
    with tempfile.TemporaryDirectory() as scratch:
        tables = write_tables(Path(scratch), options.rows)
        folder = Path(scratch) / "expected"
        vary = VARY | {"starts": options.starts, "steps": 40}
        found = sweep(tables, "y", vary=vary, seeds=SEEDS, n_jobs=1, folder=folder)
        print(f"{len(found)} fits, {sum(one.seconds for one in found) / len(found):.2f} s each", flush=True)
        case = Case(tables, vary, parts_of(found))
        for part in parts:
            for row in () if part in known else MEASURES[part](case, options):
                results.add([row])
                print(", ".join(f"{name} {value}" for name, value in row.items()), flush=True)
    for line in summary(results.rows):
        print(line)
    return 0 if all(row["same"] in (True, None) for row in results.rows) else 1


def summary(rows: Sequence[dict[str, Any]]) -> list[str]:
    """What was found, in lines.

    >>> summary([{"part": "times", "jobs": jobs, "seconds": 20.0 / jobs, "same": True} for jobs in (1, 2)])
    ['times: median 20.0 s on 1 process, 10.0 s on 2: 2.00 times as fast', 'the same results in 2 of 2 sweeps']
    """
    lines = []
    timed = [row for row in rows if row["part"] == "times"]
    if timed:
        one, two = (
            statistics.median(row["seconds"] for row in timed if row["jobs"] == jobs) for jobs in (1, PROCESSES)
        )
        lines.append(f"times: median {one:.1f} s on 1 process, {two:.1f} s on 2: {one / two:.2f} times as fast")
    run = [row for row in rows if row["same"] is not None]
    return [*lines, f"the same results in {sum(row['same'] for row in run)} of {len(run)} sweeps"]
