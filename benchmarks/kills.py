"""Runs that are killed at random moments, and go on with ``--resume``: is their answer that of the undisturbed run?

    OMP_NUM_THREADS=1 python -m benchmarks kills --runs 10 --kills 5

Each run fits a table of :mod:`benchmarks.random_tables` without noise, of 10 to 200 rows and at most 10 columns.
It is run undisturbed first; then again, from an empty folder, killed with SIGKILL at moments drawn uniformly over the
time that it took, and finished with ``--resume``. The formula's text and the predictions on all rows have to be the
same. The time limit is generous, so that no search ends by the clock.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import random_tables
from benchmarks.harness import program
from benchmarks.harness.resumable import Results
from superpose.deadline import Deadline

# Predictions that differ by less than this share of the target's range are the same: rounding in the text of a file.
SAME = 1e-9


@dataclass(frozen=True)
class Answer:
    """What a run left.

    Attributes:
        formula: its text; empty if there is none.
        cells: predictions of every row, as they are written.
    """

    formula: str
    cells: tuple[str, ...]

    @classmethod
    def of(cls, folder: Path, table: Path) -> Answer:
        """The answer in the folder of a finished run.

        Raises:
            FileNotFoundError: if the model, or its prediction, is missing.
        """
        text, out = folder / "formula.txt", folder.parent / "predictions.csv"
        subprocess.run(
            [
                sys.executable,
                "-m",
                "superpose",
                "predict",
                str(folder / "model.safetensors"),
                str(table),
                "--out",
                str(out),
            ],
            capture_output=True,
            check=False,
        )
        with out.open(encoding="utf-8") as file:
            cells = tuple(list(row.values())[-1] for row in csv.DictReader(file))
        out.unlink()
        return cls(text.read_text(encoding="utf-8") if text.exists() else "", cells)

    def same(self, other: Answer) -> bool:
        """Whether another run gave this answer."""
        if self.formula != other.formula or len(self.cells) != len(other.cells):
            return False
        try:
            own, others = (np.array([float(cell) for cell in one.cells]) for one in (self, other))
        except ValueError:
            return self.cells == other.cells
        return bool(np.abs(own - others).max() <= SAME * max(float(np.ptp(own)), 1e-300))


def seeds(count: int) -> list[int]:
    """Seeds of tables without noise: their searches end by themselves, in seconds."""
    found: list[int] = []
    seed = 0
    while len(found) < count:
        table = random_tables.made(seed)
        if 10 <= len(table.y) <= 200 and len(table.names) <= 10 and table.noise == "none":
            found.append(seed)
        seed += 1
    return found


def command(table: random_tables.Table, path: Path, out: Path, time_limit: float) -> list[str]:
    """The run of a table."""
    task = ["--task", "classification"] if table.classes else []
    limit = ["--time-limit", f"{time_limit:g}"]
    return [
        sys.executable,
        "-m",
        "superpose",
        "fit",
        str(path),
        "--target",
        "y",
        *task,
        "--out",
        str(out),
        "--quiet",
        *limit,
    ]


def killed(arguments: Sequence[str], seconds: float) -> bool:
    """Run a command and kill it after so many seconds; whether it was still running."""
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            return True
    return False


def measure(seed: int, kills: int, time_limit: float) -> list[dict[str, Any]]:
    """One row for each kill of a table's run."""
    table = random_tables.made(seed)
    facts = {"seed": seed, "kind": table.kind, "rows": len(table.y), "columns": len(table.names)}
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        path = place / "table.csv"
        random_tables.write(path, [*table.names, "y"], np.column_stack([table.x.astype(object), table.y]))
        clock, out = Deadline(), place / "undisturbed"
        done = subprocess.run(command(table, path, out, time_limit), capture_output=True, text=True, check=False)
        took = clock.elapsed()
        if done.returncode:
            return [facts | {"code": done.returncode, "same": False, "said": done.stderr.strip()[-300:]}]
        wanted = Answer.of(out, path)
        moments = np.random.default_rng(seed).uniform(0, took, kills)
        for moment in sorted(moments.tolist()):
            out = place / "killed"
            shutil.rmtree(out, ignore_errors=True)
            arguments = command(table, path, out, time_limit)
            stopped = killed(arguments, moment)
            done = subprocess.run([*arguments, "--resume"], capture_output=True, text=True, check=False)
            row = facts | {"took": took, "moment": moment, "killed": stopped, "code": done.returncode, "same": False}
            if done.returncode:
                row["said"] = done.stderr.strip()[-300:]
            else:
                answer = Answer.of(out, path)
                row |= {"same": answer.same(wanted), "formula": answer.formula, "wanted": wanted.formula}
            found.append(row)
    return found


def main(arguments: Sequence[str]) -> int:
    """Run with these arguments and return the exit code."""
    return program.run("kills", __doc__, arguments, _declare, _run)


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--kills", type=int, default=5, help="of each run")
    parser.add_argument("--time-limit", type=float, default=600.0, metavar="SECONDS")


def _run(given: argparse.Namespace) -> int:
    results = Results.of(given.out, {"kills": given.kills, "time_limit": given.time_limit}, resume=given.resume)
    known = {row["seed"] for row in results.rows}
    for seed in seeds(given.runs):
        if seed not in known:
            for row in results.add(measure(seed, given.kills, given.time_limit)):
                print("    " if row["same"] else "NOT ", json.dumps(row), flush=True)
    same = sum(row["same"] for row in results.rows)
    print(f"{same} of {len(results.rows)} killed runs end with the answer of the undisturbed run")
    return int(same < len(results.rows))
