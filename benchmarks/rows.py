"""What can be known from how many rows: the network's error on fresh rows, and what cross-validation said of it.

    OMP_NUM_THREADS=1 python -m benchmarks rows
    OMP_NUM_THREADS=1 python -m benchmarks rows --laws 8

Tables of 5 columns, of which y = sin(3 a) + b^2 + c d depends on four, with noise of a fifth of the spread. The
network is the sum of smooth functions that ``superpose.discover`` compares everything with. One line for each number of
rows: medians over the seeds of the R² on 2,000 fresh rows without noise, of the R² of cross-validation (of noisy rows:
at most 0.96 can be reached), and of R² on fresh rows of a straight line.

With ``--laws N``, N textbook laws from the catalogue give tables of few rows with several levels of noise, and counted
is where ``superpose.formulas.recognise`` has the law first, or first or not told from the first.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from types import SimpleNamespace

import torch
from torch import Tensor

from benchmarks.textbook_laws import made as table_of
from superpose.data.splitting import folds
from superpose.formulas.catalogue.all import LAWS
from superpose.formulas.catalogue.trial import not_told_from, recognise
from superpose.train.anova import AnovaSettings, choose_anova, fit_anova

NOISE = 0.2
# Of the tables of laws: numbers of rows, and noise as shares of the target's spread.
FEW, LEVELS = (8, 15, 40), (0.005, 0.02, 0.1)


def made(rows: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Columns ``[rows, 5]`` and the target without noise ``[rows]``, of variance about 1."""
    x = 2 * torch.rand(rows, 5, generator=generator, dtype=torch.float64) - 1
    y = torch.sin(3 * x[:, 0]) + x[:, 1].square() + x[:, 2] * x[:, 3]
    return x, y / 0.84


def measure(rows: int, seed: int) -> tuple[float, float, float]:
    """R² of the network on fresh rows, of cross-validation, and of a straight line on fresh rows."""
    generator = torch.Generator().manual_seed(1000 * rows + seed)
    x, truth = made(rows, generator)
    y = truth + NOISE * torch.randn(rows, generator=generator, dtype=torch.float64)
    fresh, wanted = made(2000, generator)
    everything = torch.arange(rows)
    table = SimpleNamespace(train=everything, validation=everything[:0], y=y[:, None], order=None, groups=None)
    parts = [fold for number in range(2 if rows < 60 else 1) for fold in folds(table, min(5, rows), number)]
    found = choose_anova(x, y, parts)
    line = fit_anova(x, y, AnovaSettings(curves=False))
    return (
        _r2(wanted, found.fit.predict(fresh)),
        _r2(y[found.rows], found.predictions),
        _r2(wanted, line.predict(fresh)),
    )


def _r2(y: Tensor, predictions: Tensor) -> float:
    return 1 - float((y - predictions).square().mean() / (y - y.mean()).square().mean())


def recovered(wanted: int, rows: int, noise: float, seed: int) -> tuple[int, int]:
    """Of so many laws, how many come first, and how many are first or not told from the first."""
    first = among = 0
    for law in LAWS[seed % (len(LAWS) // wanted) :: len(LAWS) // wanted][:wanted]:
        found = recognise(table_of(law, seed, rows, noise), seed=seed)
        names = [one.law.name for one in (*found[:1], *(not_told_from(found[0], found) if found else ()))]
        first, among = first + (names[:1] == [law.name]), among + (law.name in names)
    return first, among


def main(arguments: Sequence[str]) -> int:
    """Run with these arguments and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks rows", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=7)
    parser.add_argument("--laws", type=int, help="textbook laws, of which tables are made, instead")
    parser.add_argument("--seed", type=int, default=0, help="of the tables of laws, and of their choice")
    options = parser.parse_args(arguments)
    if options.laws is not None:
        print(f"of {options.laws} laws, first / first or not told from the first, with noise of")
        print("rows  " + "  ".join(f"{noise:8.1%}" for noise in LEVELS))
        for rows in FEW:
            counts = [recovered(options.laws, rows, noise, options.seed) for noise in LEVELS]
            print(f"{rows:4}  " + "  ".join(f"{first:3} /{among:3}" for first, among in counts), flush=True)
        return 0
    print("rows  network  cross-validation  straight line")
    for rows in (8, 15, 30, 60, 120, 250, 500, 1000):
        seen = [measure(rows, seed) for seed in range(options.seeds)]
        medians = [statistics.median(values) for values in zip(*seen, strict=True)]
        print(f"{rows:4}  {medians[0]:7.3f}  {medians[1]:16.3f}  {medians[2]:13.3f}", flush=True)
    return 0
