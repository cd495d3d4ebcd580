"""Measures the first release's two promises: formulas from small tables, and accuracy under refinement.

    python -m benchmarks first-light                  everything: 5 seeds of 5 tables, and the refinement
    python -m benchmarks first-light --quick          one seed of each
    python -m benchmarks first-light --out FILE       where the JSON goes (out/first_light.json if left out)

Tables have 1,000 rows. A formula is what ``superpose fit TABLE --target f --json`` prints in a process of its own; it
counts as found if the ``formula.py`` that the run wrote equals the true function to 1e-6 on 10,000 fresh points of the
same ranges. With 1% noise no formula can be exact to 1e-6, so there the form has to be right and its constants within
2% of the true ones, which is checked by fitting ``exp(a*sin(b*x) + c*y^2)`` to the formula's own values.

The refinement is ``fit(KAN([2, 1, 1]), hello, grids=(3, 6, 12, 25, 50, 100))``: its time, the error on 10,000 fresh
points, and the largest relative rise of the loss at a change from one grid to the next.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import torch

import superpose

ROWS, FRESH, TOLERANCE, CONSTANTS_WITHIN = 1000, 10_000, 1e-6, 0.02
GRIDS = (3, 6, 12, 25, 50, 100)
Array = numpy.ndarray


@dataclass(frozen=True)
class FormulaTable:
    """One table: two columns x and y, uniform in a range, and a target f."""

    name: str
    function: Callable[[Array, Array], Array]
    low: float = -1.0
    high: float = 1.0
    noise: float = 0.0

    def columns(self, rows: int, seed: int) -> tuple[Array, Array, Array]:
        generator = numpy.random.default_rng(seed)
        x, y = generator.uniform(self.low, self.high, size=(2, rows))
        f = self.function(x, y)
        return x, y, f + self.noise * f.std() * generator.standard_normal(rows)


def hello(x: Array, y: Array) -> Array:
    values: Array = numpy.exp(numpy.sin(numpy.pi * x) + y**2)
    return values


CASES = (
    FormulaTable("exp(sin(pi*x) + y^2)", hello),
    FormulaTable("x*y", lambda x, y: x * y),
    FormulaTable("x/y", lambda x, y: x / y, low=0.5, high=2.0),
    FormulaTable("sin(3x) + 0.5*y^2", lambda x, y: numpy.sin(3 * x) + 0.5 * y**2),
    FormulaTable("exp(sin(pi*x) + y^2), 1% noise", hello, noise=0.01),
)


def in_own_process(case: FormulaTable, seed: int, threads: str) -> dict[str, Any]:
    """One run of the program, and whether its formula is right."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (folder / "table.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["x", "y", "f"])
            writer.writerows(zip(*(column.tolist() for column in case.columns(ROWS, seed)), strict=True))
        command = [sys.executable, "-m", "superpose", "fit", "table.csv", "--target", "f", "--json"]
        command += ["--seed", str(seed), "--out", "out"]
        began = time.perf_counter()
        finished = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": threads}
        )
        seconds = time.perf_counter() - began
        row: dict[str, Any] = {"case": case.name, "seed": seed, "seconds": seconds, "found": False}
        if finished.returncode:
            return row | {"error": finished.stderr.strip()}
        printed = json.loads(finished.stdout)
        row |= {key: printed[key] for key in ("formula", "formula_rmse", "network_rmse", "target_std", "shape")}
        if printed["formula"] is None:
            return row
        # What formula.py says alone, in a process that knows nothing of superpose.
        x, y, _ = case.columns(FRESH, seed + 1_000_000)
        numpy.savez(folder / "fresh.npz", x=x, y=y)
        script = "import numpy, formula; numpy.save('values', formula.predict(**numpy.load('../fresh.npz')))"
        alone = subprocess.run([sys.executable, "-c", script], cwd=folder / "out", capture_output=True, text=True)
        if alone.returncode:
            return row | {"error": alone.stderr.strip()}
        values = numpy.load(folder / "out" / "values.npy").reshape(-1)
    row["largest_error"] = float(numpy.abs(values - case.function(x, y)).max())
    if case.noise:
        row["constants_off"], row["form_off"] = noisy_constants(x, y, values)
        row["found"] = row["constants_off"] <= CONSTANTS_WITHIN and row["form_off"] <= TOLERANCE
    else:
        row["found"] = row["largest_error"] <= TOLERANCE
    return row


def noisy_constants(x: Array, y: Array, values: Array) -> tuple[float, float]:
    """How far the constants of ``k*exp(a*sin(b*x) + c*y^2)`` are off, and how far the formula is from that form."""
    if not (values > 0).all():
        return math.inf, math.inf
    logarithm = numpy.log(values)
    true = numpy.array([0.0, 1.0, math.pi, 1.0])
    found = true.copy()
    for _ in range(30):
        k, a, b, c = found
        wave = numpy.sin(b * x)
        model = k + a * wave + c * y**2
        jacobian = numpy.stack([numpy.ones_like(x), wave, a * x * numpy.cos(b * x), y**2], axis=1)
        found = found + numpy.linalg.lstsq(jacobian, logarithm - model, rcond=None)[0]
    k, a, b, c = found
    rest = float(numpy.abs(numpy.expm1(logarithm - (k + a * numpy.sin(b * x) + c * y**2))).max())
    # The factor e^k has the true value 1.
    off = [math.expm1(k), *((found[1:] - true[1:]) / true[1:])]
    return float(numpy.abs(off).max()), rest


def refinement(seed: int) -> dict[str, Any]:
    """Levenberg-Marquardt on hello, from 3 to 100 intervals."""
    x, y, f = CASES[0].columns(ROWS, seed)
    data = superpose.Dataset.from_arrays(numpy.stack([x, y], axis=1), f, seed=seed)
    model = superpose.KAN([2, 1, 1], grid_size=3, seed=seed)
    history = superpose.fit(model, data, grids=GRIDS, seed=seed, progress=False)
    records = history.records
    rises = [
        now.train_loss / before.train_loss - 1 for before, now in itertools.pairwise(records) if now.event == "refine"
    ]
    x, y, f = CASES[0].columns(FRESH, seed + 1_000_000)
    with torch.no_grad():
        held_out, fresh = data.rows("test"), torch.from_numpy(numpy.stack([x, y], axis=1))
        test = float((model(held_out[0]) - held_out[1]).square().mean().sqrt())
        wide = float((model(fresh)[:, 0] - torch.from_numpy(f)).square().mean().sqrt())
    return {
        "seed": seed,
        "seconds": history.seconds,
        "test_rmse": test,
        "fresh_rmse": wide,
        "largest_jump": max((abs(rise) for rise in rises), default=0.0),
        "grids": history.grids,
        "reason": history.reason,
    }


def main(arguments: Sequence[str]) -> int:
    """Run with these arguments and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks first-light", description="Measure formulas from small tables, and refinement."
    )
    parser.add_argument("--quick", action="store_true", help="one seed of each")
    parser.add_argument("--out", default="out/first_light.json", help="where the JSON goes")
    options = parser.parse_args(arguments)
    seeds = range(1 if options.quick else 5)
    threads = os.environ.get("OMP_NUM_THREADS", "1")
    formulas, refinements = [], []
    print(f"{'table':32} seed  found  seconds  largest error  formula")
    for case in CASES:
        for seed in seeds:
            row = in_own_process(case, seed, threads)
            formulas.append(row)
            error = row.get("largest_error", math.nan)
            formula = row.get("formula") or row.get("error", "no formula")
            found = "yes" if row["found"] else "no"
            print(f"{case.name:32} {seed:4}  {found:5}  {row['seconds']:7.1f}  {error:13.1e}  {formula}", flush=True)
    print(f"\n{'refinement of [2,1,1] to 100':32} seed  seconds  test RMSE  fresh RMSE  largest jump")
    for seed in seeds:
        made = refinement(seed)
        refinements.append(made)
        print(
            f"{'':32} {seed:4}  {made['seconds']:7.1f}  {made['test_rmse']:9.1e}  {made['fresh_rmse']:10.1e}  "
            f"{made['largest_jump']:.1e}",
            flush=True,
        )
    facts = {
        "command": " ".join(["python -m benchmarks first-light", *arguments]),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "threads": threads,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "superpose": superpose.__version__,
        "formulas": formulas,
        "refinements": refinements,
    }
    out = Path(options.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(facts, indent=1, default=str) + "\n", encoding="utf-8")
    print(f"\nwritten to {out}")
    return 0
