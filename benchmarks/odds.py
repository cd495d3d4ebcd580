"""Whether the odds between forms are honest, and whether measuring the telling row decides.

    OMP_NUM_THREADS=1 python -m benchmarks odds --tables 1000 --runs 40

Tables of 8 to 24 rows are made from one of two competing laws, drawn with equal probability, with noise of 2% to 14%
of the target's range. First the two forms alone: how often the favoured one is the truth, by the odds for it; where
the odds are below 10 to 1, the telling row is measured with the same noise, or a row at random in its place. Then
whole runs of ``discover``: how often the most probable of the forms that it lists has the values of the true law.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import statistics
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from superpose import Dataset, DiscoverOptions, Formula, SuperposeError, discover, fit_formula
from superpose.formulas import FormulaFit, parse_form, selection, telling_row

# Two forms, their constants, and the range of the column.
PAIRS = (
    ("V*x/(K + x)", (10.0, 1.5), "V*(1 - exp(-k*x))", (10.0, 0.6), (0.2, 5.0)),
    ("a*x^b", (2.0, 1.5), "a*exp(b*x)", (1.0, 0.6), (1.0, 4.0)),
    ("a + b*log(x)", (1.0, 2.0), "a + b*sqrt(x)", (1.0, 2.0), (0.5, 5.0)),
    ("V*x/(K + x)", (10.0, 1.5), "V*x^h/(K^h + x^h)", (10.0, 1.5, 1.8), (0.2, 5.0)),
)
BINS = (1.0, 2.0, 5.0, 20.0, 100.0, 1000.0, math.inf)


class Case:
    """A table of one of two laws."""

    def __init__(self, number: int, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(1000 * seed + number)
        first, own, second, other, (low, high) = PAIRS[number % len(PAIRS)]
        self.true = int(torch.randint(2, (), generator=self.generator))
        self.forms, constants = (first, second), (own, other)[self.true]
        drawn = torch.randn(len(constants), generator=self.generator, dtype=torch.float64)
        self.constants = torch.tensor(constants, dtype=torch.float64) * (0.2 * drawn).exp()
        self.law = parse_form(self.forms[self.true], ["x"])
        rows = int(torch.randint(8, 25, (), generator=self.generator))
        x = low + (high - low) * torch.rand(rows, generator=self.generator, dtype=torch.float64)
        y = self.truth(x)
        share = 0.02 * 7 ** float(torch.rand((), generator=self.generator))
        self.noise = share * float(y.max() - y.min())
        self.data = self.table(x, self.measured(x))

    def truth(self, x: Tensor) -> Tensor:
        return self.law.values((x,), self.constants[None])[0]

    def measured(self, x: Tensor) -> Tensor:
        return self.truth(x) + self.noise * torch.randn(len(x), generator=self.generator, dtype=torch.float64)

    @staticmethod
    def table(x: Tensor, y: Tensor) -> Dataset:
        return Dataset.from_arrays(x[:, None], y, feature_names=["x"], target_names=["y"], test=0.0, validation=0.0)

    def with_row(self, x: float) -> Dataset:
        """The table with one more row."""
        new = torch.tensor([x], dtype=torch.float64)
        return self.table(torch.cat([self.data.x[:, 0], new]), torch.cat([self.data.y[:, 0], self.measured(new)]))

    def log_odds(self, data: Dataset) -> tuple[float, list[FormulaFit]]:
        """Logarithm of the odds for the true form, all else being equal beforehand."""
        fits = [fit_formula(data, form) for form in self.forms]
        lengths = [
            2 * fit.rows * math.log(fit.rmse) + selection.constants_cost(len(fit.constants), fit.rows) for fit in fits
        ]
        return (lengths[1 - self.true] - lengths[self.true]) / 2, fits

    def is_true(self, formula: Formula) -> bool:
        """Whether a formula has the values of the true form within the rows, to a fifth of the noise."""
        x = self.data.x[:, 0]
        between = torch.linspace(float(x.min()), float(x.max()), 100, dtype=torch.float64)[:, None]
        own = fit_formula(self.data, self.forms[self.true]).formula
        return float((formula.torch(between) - own.torch(between)).abs().max()) < 0.2 * self.noise


def forms(tables: int, seed: int) -> None:
    """The two forms of each table alone."""
    seen: list[float] = []
    left_out: list[float] = []
    gains: dict[str, list[float]] = {"telling row": [], "row at random": []}
    silent = 0
    for number in range(tables):
        case = Case(number, seed)
        with contextlib.suppress(SuperposeError):
            before, fits = case.log_odds(case.data)
            seen.append(before)
            first, second = (fit.rows * math.log(fit.leave_one_out) for fit in fits)
            left_out.append(second - first if case.true == 0 else first - second)
            if abs(before) > math.log(10):
                continue
            better = fits[case.true if before > 0 else 1 - case.true]
            noise = better.rmse * math.sqrt(better.rows / (better.rows - len(better.constants)))
            row = telling_row(fits[0].formula, fits[1].formula, case.data, noise)
            silent += row is None
            if row is not None:
                x = case.data.x[:, 0]
                other = x.min() + torch.rand((), generator=case.generator, dtype=torch.float64) * (x.max() - x.min())
                gains["telling row"].append(case.log_odds(case.with_row(row.row["x"]))[0] - before)
                gains["row at random"].append(case.log_odds(case.with_row(float(other)))[0] - before)
    for what, each in (("description length", seen), ("leave-one-out", left_out)):
        print(f"{len(seen)} tables, {what}\nodds for the favoured form  tables  favoured is the truth  expected")
        for low, high in pairwise(BINS):
            inside = [one for one in each if low <= math.exp(min(abs(one), 700.0)) < high]
            expected = statistics.mean(1 / (1 + math.exp(-abs(one))) for one in inside)
            right = statistics.mean(one > 0 for one in inside)
            print(f"{low:8g} to {high:<8g}  {len(inside):13}  {right:21.3f}  {expected:8.3f}")
    print(f"odds below 10: {silent} tables without a telling row, {len(gains['telling row'])} with one")
    for what, gained in gains.items():
        raised, factor = statistics.mean(one > 0 for one in gained), math.exp(statistics.median(gained))
        print(f"{what}: odds for the truth raised in {raised:.1%}, median factor {factor:.2f}")


def runs(count: int, seed: int, seconds: float) -> None:
    """Whole runs: how often the most probable of the listed forms is the true one."""
    shares, right, listed, recommended = [], [], 0, 0
    for number in range(count):
        case = Case(number, seed)
        result = discover(case.data, DiscoverOptions(time_limit=seconds))
        if result.formula is None:
            continue
        ranked = [(1.0, result.formula), *((one.odds, one.formula) for one in result.alternatives)]
        truth = [case.is_true(formula) for _, formula in ranked]
        recommended, listed = recommended + truth[0], listed + any(truth)
        best = min(range(len(ranked)), key=lambda place: ranked[place][0])
        total = sum(1 / odds for odds, _ in ranked)
        if any(truth):
            shares.append(1 / ranked[best][0] / total)
            right.append(truth[best])
    print(f"{count} runs: the truth is recommended in {recommended}, listed with odds in {listed}")
    print(f"where it is listed, the most probable form is the truth in {sum(right)}; expected {sum(shares):.1f}")


def main(arguments: Sequence[str]) -> int:
    """Run with these arguments and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks odds", description=__doc__)
    parser.add_argument("--tables", type=int, default=1000, help="tables whose two forms are compared alone")
    parser.add_argument("--runs", type=int, default=40, help="tables that discover gets")
    parser.add_argument("--time-limit", type=float, default=20.0, help="seconds for each run")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if options.tables:
        forms(options.tables, options.seed)
    if options.runs:
        runs(options.runs, options.seed, options.time_limit)
    return 0
