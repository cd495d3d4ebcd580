"""Tables made at random, of all sizes and kinds of columns and noise, fitted from the command line.

    OMP_NUM_THREADS=1 python -m benchmarks random --tables 200 --time-limit 10

Each table has 3 to 2,000 rows and 1 to 50 columns (normal, uniform, skewed, over decades, whole numbers, two values,
nearly constant, copies of others, tiny, far from zero) and a target that is a law, a sum of curves, products, noise
alone, counts, 0 or 1, over decades, or classes, with normal, heavy-tailed or relative noise or none, sometimes rounded,
sometimes with gross errors. Asked is: does every run end within its limit, with exit code 0, or 2 and a sentence? Is
every prediction on 500 fresh rows finite, and is the model no worse than the mean (for classes: the most frequent one)
on these, which have no noise? ``results.json`` has a line for each table.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import program
from benchmarks.harness.resumable import Results
from superpose.deadline import Deadline

Array = Any
FRESH = 500
# Of rows so few, chance alone makes a fit worse than the mean on fresh rows; such tables are counted apart.
FEW = 30

COLUMNS: dict[str, Callable[[np.random.Generator, int], Array]] = {
    "normal": lambda random, n: random.normal(size=n),
    "uniform": lambda random, n: random.uniform(-1, 3, n),
    "skewed": lambda random, n: random.gamma(0.7, 2.0, n),
    "decades": lambda random, n: 10 ** random.uniform(-3, 4, n),
    "whole": lambda random, n: random.integers(1, 8, n).astype(float),
    "two": lambda random, n: random.integers(0, 2, n).astype(float),
    "nearly constant": lambda random, n: 5.0 + (random.uniform(size=n) < 0.05),
    "tiny": lambda random, n: 1e-12 * random.normal(size=n),
    "far": lambda random, n: 1e7 + random.normal(size=n),
}


@dataclass(frozen=True)
class Table:
    """A table, and fresh rows of the same without noise."""

    kind: str
    noise: str
    names: list[str]
    x: Array
    y: Array
    fresh: Array
    wanted: Array

    @property
    def classes(self) -> bool:
        """Whether the target names classes."""
        return self.kind == "classes"


def made(seed: int) -> Table:
    """The table of a seed."""
    random = np.random.default_rng(seed)
    rows = round(10 ** random.uniform(math.log10(3), math.log10(2000)))
    count = round(10 ** random.uniform(0, math.log10(50)))
    kinds = random.choice(list(COLUMNS), count, p=np.array([4, 4, 2, 1, 2, 2, 0.5, 0.5, 0.5]) / 16.5)
    every = np.stack([COLUMNS[kind](random, rows + FRESH) for kind in kinds], 1)
    for i in range(1, count):
        if random.uniform() < 0.1:
            every[:, i] = every[:, random.integers(0, i)] * random.choice([1.0, -2.0])
    # What each column says, in units of its spread.
    z = (every - every.mean(0)) / np.maximum(every.std(0), 1e-300)
    kind = str(random.choice(["line", "curves", "product", "law", "noise", "counts", "binary", "decades", "classes"]))
    score = _score(kind, z, random)
    clean, noisy, noise = _target(kind, score, random)
    if kind not in ("classes", "binary", "counts"):
        if random.uniform() < 0.15:
            noisy = np.round(noisy, 1 - int(np.floor(np.log10(max(noisy.std(), 1e-300)))))
        if rows > 20 and random.uniform() < 0.15:
            noisy[random.integers(0, rows, max(1, rows // 40))] += 30 * noisy.std()
    names = [f"x{i}" for i in range(count)]
    return Table(kind, noise, names, every[:rows], noisy[:rows], every[rows:], clean[rows:])


def _score(kind: str, z: Array, random: np.random.Generator) -> Array:
    count = z.shape[1]
    some = random.permutation(count)[: min(count, int(random.integers(1, 5)))]
    weights = random.normal(size=len(some)) + np.sign(random.normal(size=len(some)))
    if kind in ("curves", "classes", "binary"):
        return sum(w * np.sin(1.5 * z[:, i] + w) for w, i in zip(weights, some, strict=True))
    if kind == "product":
        return np.prod([z[:, i] for i in some[:2]], 0) + z[:, some[0]]
    if kind == "law":
        return np.exp(0.5 * np.clip(z[:, some[0]], -3, 3)) / (1 + z[:, some[-1]] ** 2)
    if kind == "noise":
        return np.zeros(len(z))
    return z[:, some] @ weights


def _target(kind: str, score: Array, random: np.random.Generator) -> tuple[Array, Array, str]:
    """Without noise, with it, and its name."""
    if kind == "classes":
        ranks = np.argsort(np.argsort(score)) / len(score)
        labels = np.array(["red", "green", "blue", "old"])[: random.integers(2, 5)]
        clean = labels[np.minimum((ranks * len(labels)).astype(int), len(labels) - 1)]
        wrong = random.uniform(size=len(score)) < random.choice([0.0, 0.1, 0.3])
        return clean, np.where(wrong, random.choice(labels, len(score)), clean), "labels"
    if kind == "binary":
        return (score > 0).astype(float), (score + 0.5 * random.normal(size=len(score)) > 0).astype(float), "labels"
    if kind == "counts":
        mean = np.exp(np.clip(score / max(score.std(), 1e-300), -3, 3))
        return mean, random.poisson(mean).astype(float), "counts"
    noise = str(random.choice(["none", "normal", "strong", "heavy", "relative"]))
    if kind == "noise":
        noise = "strong"
    clean = score * 10 ** random.uniform(-3, 5) + random.choice([0.0, 0.0, 1e4])
    if kind == "decades":
        clean, noise = 10 ** (2 * score / max(score.std(), 1e-300)), "relative"
    spread = clean.std() or 1.0
    size = {"none": 0.0, "normal": 0.1 * spread, "strong": spread, "heavy": 0.1 * spread, "relative": 0.1 * clean}[
        noise
    ]
    drawn = random.standard_t(2, size=len(score)) if noise == "heavy" else random.normal(size=len(score))
    added = size * drawn
    return clean, clean + added, noise


def measure(seed: int, time_limit: float) -> dict[str, Any]:
    """What became of a table."""
    table = made(seed)
    found: dict[str, Any] = {
        "seed": seed,
        "kind": table.kind,
        "noise": table.noise,
        "rows": len(table.y),
        "columns": len(table.names),
    }
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        write(place / "train.csv", [*table.names, "y"], np.column_stack([table.x.astype(object), table.y]))
        write(place / "fresh.csv", table.names, table.fresh.astype(object))
        task = ["--task", "classification"] if table.classes else []
        clock = Deadline()
        limit = ["--time-limit", f"{time_limit:g}"]
        done = _superpose("fit", place / "train.csv", "--target", "y", *task, "--out", place / "out", "--quiet", *limit)
        found |= {"code": done.returncode, "seconds": clock.elapsed()}
        if done.returncode:
            return found | {"said": (done.stderr or done.stdout).strip()[-300:]}
        for name in ("model", "network"):
            model = place / "out" / f"{name}.safetensors"
            if model.exists():
                found |= _judged(name, model, place, table)
    return found


def _superpose(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "superpose", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def write(path: Path, names: Sequence[str], rows: Array) -> None:
    """Write a table of rows ``[n, columns]`` with a header."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(rows.tolist())


def _judged(name: str, model: Path, place: Path, table: Table) -> dict[str, Any]:
    """The error on the fresh rows over that of the mean, or of the most frequent class."""
    out = place / f"{name}.csv"
    done = _superpose("predict", model, place / "fresh.csv", "--out", out)
    if done.returncode:
        return {name: math.inf, f"{name}_said": (done.stderr or done.stdout).strip()[-300:]}
    with out.open(encoding="utf-8") as file:
        cells = [row["y"] for row in csv.DictReader(file)]
    if table.classes:
        labels, counts = np.unique(table.y.astype(str), return_counts=True)
        own = float(np.mean(np.array(cells) != table.wanted.astype(str)))
        return {name: own / max(float(np.mean(labels[counts.argmax()] != table.wanted.astype(str))), 1e-3)}
    values = np.array([float(cell) if cell else math.nan for cell in cells])
    errors = [np.sqrt(np.mean((one - table.wanted) ** 2)) for one in (values, np.full(FRESH, table.y.mean()))]
    # Where the truth is constant, the noise is what errors are measured by.
    scale = max(errors[1], 0.1 * table.y.std(), 1e-300)
    ratio = float(errors[0] / scale)
    return {name: ratio if math.isfinite(ratio) else math.inf}


def bad(row: dict[str, Any]) -> bool:
    """Whether a table of enough rows has a model or a network that is worse than the mean by more than a tenth."""
    return row["rows"] >= FEW and any(row.get(name, 0.0) > 1.1 for name in ("model", "network"))


def main(arguments: Sequence[str]) -> int:
    """Run with these arguments and return the exit code."""
    return program.run("random", __doc__, arguments, _declare, _run)


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tables", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, metavar="SEED")
    parser.add_argument("--time-limit", type=float, default=10.0, metavar="SECONDS")


def _run(given: argparse.Namespace) -> int:
    results = Results.of(given.out, {"time_limit": given.time_limit}, resume=given.resume)
    known = {row["seed"] for row in results.rows}
    for seed in range(given.first, given.first + given.tables):
        if seed not in known:
            row = results.add([measure(seed, given.time_limit)])[0]
            mark = "EXIT" if row["code"] not in (0, 2) else "BAD " if bad(row) else "    "
            print(mark, json.dumps(row), flush=True)
    rows = results.rows
    failed = [row["seed"] for row in rows if row["code"] not in (0, 2)]
    refused = [row["seed"] for row in rows if row["code"] == 2]
    worse = [row["seed"] for row in rows if bad(row)]
    few = [row["seed"] for row in rows if row["rows"] < FEW and any(row.get(n, 0) > 1.1 for n in ("model", "network"))]
    late = [row["seed"] for row in rows if row["seconds"] > 1.05 * given.time_limit + 1]
    print(f"{len(rows)} tables: exit code 1 or a signal {failed}; refused in a sentence {refused}; worse than the mean")
    print(f"{worse}, and of few rows {few}; longer than the limit, 5% and a second {late}")
    return int(bool(failed or worse))
