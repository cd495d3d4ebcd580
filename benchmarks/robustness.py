"""Random starts, and a network that is too large for its data.

    OMP_NUM_THREADS=1 python -m benchmarks robustness --out out/robustness

Starts: KAN [2, 5, 1] on 5 intervals, exp(sin(pi x) + y^2), 1,000 points, 50 seeds, the defaults of ``fit`` (four starts
each, the best goes on): RMSE on 10,000 fresh points, and seconds.

Too large: KAN [2, 5, 1] on the same 1,000 points through grids of 3 to 200 intervals, seeds 0 to 2: the error of the
state that is kept, after each grid.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.harness.machine import machine, versions
from superpose import KAN, Dataset, fit

GRIDS = (3, 5, 10, 20, 50, 100, 200)


def hello(count: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = 2 * torch.rand(count, 2, dtype=torch.float64, generator=generator) - 1
    return x, torch.exp(torch.sin(math.pi * x[:, 0]) + x[:, 1] ** 2)[:, None]


def rmse(model: KAN, x: Tensor, y: Tensor) -> float:
    with torch.no_grad():
        return float((model(x) - y).square().mean().sqrt())


def start(seed: int) -> dict[str, float]:
    data = Dataset.from_arrays(*hello(1000, 0), test=0.0, validation=0.1)
    model = KAN([2, 5, 1], grid_size=5, seed=seed)
    history = fit(model, data, grids=(5,), seed=seed, progress=False)
    return {"seed": seed, "test_rmse": rmse(model, *hello(10000, 1)), "seconds": history.seconds}


def too_large(seed: int) -> dict[str, object]:
    data = Dataset.from_arrays(*hello(1000, seed), test=0.0, validation=0.1, seed=seed)
    fresh, errors = hello(10000, 1000 + seed), {}
    for last in range(1, len(GRIDS) + 1):
        # Each schedule anew: the state that is kept is chosen when a fit ends.
        model = KAN([2, 5, 1], grid_size=3, seed=seed)
        history = fit(model, data, grids=GRIDS[:last], seed=seed, progress=False)
        errors[GRIDS[last - 1]] = rmse(model, *fresh)
        print(
            f"seed {seed}, up to {GRIDS[last - 1]}: {errors[GRIDS[last - 1]]:.2e} in {history.seconds:.1f} s",
            flush=True,
        )
    return {"seed": seed, "test_rmse": errors}


def main(arguments: Sequence[str]) -> int:
    """Run with these arguments and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks robustness",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=Path("out/robustness"))
    parser.add_argument("--starts", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args(arguments)
    starts = [start(seed) for seed in range(options.starts)]
    errors = sorted(run["test_rmse"] for run in starts)
    slowest = max(run["seconds"] for run in starts)
    good = sum(error <= 1e-3 for error in errors)
    print(f"{good} of {len(starts)} starts at or below 1e-3, the worst {errors[-1]:.2e}, the slowest {slowest:.1f} s")
    large = [too_large(seed) for seed in range(options.seeds)]
    options.out.mkdir(parents=True, exist_ok=True)
    record = {"machine": machine(), "versions": versions(), "starts": starts, "too_large": large}
    (options.out / "robustness.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return 0
