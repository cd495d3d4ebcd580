"""find_laws: the law that made a table, whatever stands beside it.

Curves without a symbol and functions of one's own: docs/discovery.md, whose code test_code_of_pages.py runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import sympy
import torch
from torch import Tensor

from helpers import CountingClock
from superpose.data import Dataset
from superpose.deadline import Deadline
from superpose.formulas import Formula, find_laws
from superpose.formulas.from_table import law_search
from superpose.formulas.from_table.law_pool import LawPool
from superpose.formulas.from_table.law_ranking import Ranking
from superpose.formulas.from_table.subproblem import Guess

DOUBLE = torch.float64
# A limit of these searches is a number of steps, and they end when they have found what there is, long before.
pytestmark = pytest.mark.usefixtures("counted_time")
LIMIT = 120.0
Function = Callable[..., Tensor]


def table(
    function: Function,
    ranges: list[tuple[float, float]],
    *,
    count: int = 600,
    noise: float = 0.0,
    idle: int = 0,
    seed: int = 0,
) -> Dataset:
    generator = torch.Generator().manual_seed(seed)
    columns = [low + (high - low) * torch.rand(count, generator=generator, dtype=DOUBLE) for low, high in ranges]
    y = function(*columns)
    y = y + noise * y.std() * torch.randn(count, generator=generator, dtype=DOUBLE)
    columns += [torch.randn(count, generator=generator, dtype=DOUBLE) for _ in range(idle)]
    names = [*"abcdefgh"[: len(ranges)], *(f"idle{n}" for n in range(idle))]
    return Dataset.from_arrays(torch.stack(columns, -1), y, feature_names=names, target_names=["target"])


def misses(data: Dataset, function: Function, ranges: list[tuple[float, float]], limit: float = LIMIT) -> float:
    """How far the recommended law is from the truth on wider ranges, in units of the truth's spread."""
    found = find_laws(data, time_limit=limit)
    assert found.best is not None
    wider = [(low, high + (high - low) / 4) for low, high in ranges]
    fresh = table(function, wider, count=400, idle=data.n_features - len(ranges), seed=7)
    formula = Formula.from_expressions([found.best.expression], data)
    return formula.rmse(fresh, "all") / float(fresh.y.std())


UNIT, POSITIVE = (-1.0, 1.0), (1.0, 3.0)
LAWS: dict[str, tuple[Function, list[tuple[float, float]]]] = {
    "a*b": (lambda a, b: a * b, [UNIT] * 2),
    "a product of three sums": (lambda a, b, c, d, e, f: (a + b) * (c + d) * (e + f), [UNIT] * 6),
    "a distance": (lambda a, b, c, d: torch.sqrt((a - b) ** 2 + (c - d) ** 2), [UNIT] * 4),
    "velocities": (lambda a, b: (a + b) / (1 + a * b), [(0.0, 0.9)] * 2),
    "log(a/b) + c^2": (lambda a, b, c: torch.log(a / b) + c**2, [POSITIVE, POSITIVE, UNIT]),
    "a well": (lambda a, b, c: torch.tanh(5 * (a**4 + b**4 + c**4 - 1)), [UNIT] * 3),
    "radiation": (lambda a, b: a**3 / (torch.exp(a / b) - 1), [POSITIVE] * 2),
    "saturation": (lambda a, b, c: a * b / (c + b), [POSITIVE] * 3),
    "two high powers": (lambda a, b, c: 4 * a * ((b / c) ** 12 - (b / c) ** 6), [POSITIVE, (1.0, 2.0), (1.2, 3.0)]),
    "a constant before a law": (lambda a, b, c: 3.7 + c * torch.sin(3 * a / b), [(0.2, 1.0)] * 3),
    "the larger of two": (lambda a, b, c: c * torch.maximum(a, b), [(-1.0, 1.0), (-1.0, 1.0), POSITIVE]),
    "the smaller of two": (lambda a, b: 1 + 2 * torch.minimum(a, b), [(-1.0, 2.0)] * 2),
    "odd powers": (lambda a, b: 2.3 * a**0.7 * b**-1.2, [POSITIVE] * 2),
}


@pytest.mark.parametrize("name", LAWS)
def test_the_law_is_found_and_holds_beyond_the_table(name: str) -> None:
    function, ranges = LAWS[name]
    assert misses(table(function, ranges, count=3000), function, ranges) < 1e-6


def test_a_cubed_determinant_of_few_rows_is_found() -> None:
    data = table(lambda a, b, c, d: (a * d - b * c) ** 3, [(0.0, 1.0)] * 4, count=300, seed=1)
    # Some five times what it takes.
    best = find_laws(data, time_limit=20.0, seed=1).best
    assert best is not None and best.error < 1e-12


@pytest.mark.parametrize(("name", "count", "idle"), [("a*b", 600, 2), ("velocities", 600, 1), ("saturation", 2000, 1)])
def test_noise_and_idle_columns_do_not_change_the_law(
    name: str, count: int, idle: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # How long the search goes on for a simpler law is not what is asked.
    monkeypatch.setattr(law_search, "_LIMITS", replace(law_search._LIMITS, again=0.5))
    function, ranges = LAWS[name]
    assert misses(table(function, ranges, count=count, noise=0.01, idle=idle), function, ranges) < 3e-3


A, B, C = sympy.symbols("a b c", real=True)
# The function, the ranges of its columns, its form, and others that come within a tenth of noise of a thousandth.
IN_NOISE: dict[str, tuple[Function, list[tuple[float, float]], sympy.Expr, list[sympy.Expr]]] = {
    "Planck": (
        lambda a, b: a / ((a * b).exp() - 1),
        [(1.0, 3.0), (0.2, 1.0)],
        1 / (1.01 * sympy.exp(1.02 * A * B) / A - 1.01 / A),
        [
            (1.85 - 1.88 * sympy.tanh(0.332 * A * B + 0.49)) / B,
            (0.0117 + 4.24 * sympy.exp(-((0.21 * A * B + 1.207) ** 2))) / B,
            sympy.exp(-1.146 * A * B + 0.647 * A * B * sympy.exp(-0.0669 * A * B)) / B,
        ],
    ),
    "Clausius and Mossotti": (
        lambda a, b: 1 + a * b / (1 - a * b / 3),
        [(0.0, 1.0)] * 2,
        -2.01 + 22.66 / (7.552 - 2.517 * A * B),
        [
            25.92 * sympy.atan(2.933 * A * B - 8.663) + 38.74,
            1.99 * sympy.exp(1.956 * sympy.tan(0.4543 * A * B - 0.3383)),
            (0.3286 * A * B + 0.1711 * sympy.exp(A * B) - 0.04147 * A**2 * B**2 + 0.8289) ** 2,
        ],
    ),
    "Doppler": (
        lambda a, b, c: c * (1 + a / b) / (1 - (a / b) ** 2).sqrt(),
        [(1.0, 2.0), (3.0, 10.0), POSITIVE],
        C * sympy.sqrt(-1.01 + 13.83 / (6.914 - 6.913 * A / B)),
        [
            C * sympy.sqrt(186.2 * sympy.atan(93.11 - 93.11 * B / A) + 293.5),
            C * sympy.exp(0.404 * A**6 / B**6 + 0.345 * A**3 / B**3 + 1.01 * A / B),
            C / (4.82 - 1.85 * A**2 / B**2 - 0.491 * A / B - 3.82 * sympy.cos(A / B)) ** 2,
        ],
    ),
}


@pytest.mark.parametrize("name", IN_NOISE)
def test_in_noise_the_right_form_is_told_from_those_that_fit(name: str) -> None:
    function, ranges, right, others = IN_NOISE[name]
    data = table(function, ranges, count=8000, noise=1e-3)
    pool = LawPool(data.x, data.y[:, 0], tuple(sympy.Symbol(column, real=True) for column in data.feature_names))
    pool.floor = 1e-3
    for expression in (*others, right):
        pool.consider([Guess(lambda expression=expression: expression, 0.0, "", 5.0)], 1.0, Deadline())
    *wrong, law = pool.laws
    assert len(wrong) == len(others) and sum(other.error < 1.01 * law.error for other in wrong) >= 1
    ranking = Ranking(pool, LIMIT)
    assert ranking._laws[0] is law
    fresh = table(function, ranges, count=400, seed=7)
    formula = Formula.from_expressions([ranking.recommended().expression], data)
    assert formula.rmse(fresh, "all") < 3e-4 * float(fresh.y.std())


def test_in_noise_a_search_finds_the_right_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(law_search, "_LIMITS", replace(law_search._LIMITS, again=2.0))
    function, ranges, *_ = IN_NOISE["Clausius and Mossotti"]
    assert misses(table(function, ranges, count=8000, noise=1e-3), function, ranges) < 3e-4


def test_units_do_not_matter() -> None:
    ranges = [(1e-30, 5e-30), (1e8, 9e8)]
    assert misses(table(lambda a, b: a * b**2, ranges), lambda a, b: a * b**2, ranges) < 1e-9
    found = find_laws(table(lambda a, b: a * b**2 / 2, ranges), time_limit=LIMIT)
    a, b = sympy.symbols("a b", real=True)
    assert found.best is not None and found.best.expression == a * b**2 / 2


def test_noise_alone_is_explained_by_nothing_and_says_so() -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(400, 2, generator=generator, dtype=DOUBLE), torch.randn(400, generator=generator, dtype=DOUBLE)
    found = find_laws(Dataset.from_arrays(x, y), time_limit=6)
    assert found.best is None or found.best.error > 0.8


def test_the_time_limit_holds_where_nothing_is_found(counted_time: CountingClock) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2000, 5, generator=generator, dtype=DOUBLE)
    steps = torch.floor(7 * torch.sin(9 * x[:, 0] * x[:, 1]) + 3 * torch.cos(8 * x[:, 2] * x[:, 3] - x[:, 4]))
    find_laws(Dataset.from_arrays(x, steps), time_limit=3)
    assert counted_time.now < 6


def test_laws_come_from_simple_to_accurate_and_the_best_is_among_them() -> None:
    data = table(lambda a, b: torch.exp(torch.sin(math.pi * a) + b**2), [UNIT] * 2, count=1000)
    found = find_laws(data, time_limit=LIMIT)
    assert found.complete and found.best in found.laws
    a, b = sympy.symbols("a b", real=True)
    assert found.best is not None and found.best.expression == sympy.exp(b**2 + sympy.sin(sympy.pi * a))
    errors = [law.error for law in found.laws]
    assert errors == sorted(errors, reverse=True)


def test_standard_errors_cover_the_truth_at_their_nominal_rate() -> None:
    inside, drawn = 0, 60
    for seed in range(drawn):
        data = table(lambda a, b: 2.345 * a + 0.617 * torch.exp(b), [UNIT] * 2, count=100, noise=0.05, seed=seed)
        a, b = sympy.symbols("a b", real=True)
        problem_errors = Formula.from_expressions(
            [_fitted(sympy.Float(2.0) * a + sympy.Float(1.0) * sympy.exp(b), data)], data
        ).constants(data)
        truths = (0.617, 2.345)
        inside += sum(
            abs(constant["value"] - truth) < 1.96 * constant["standard_error"]
            for constant, truth in zip(problem_errors, truths, strict=True)
        )
    # 95% of 120 is 114; three standard deviations of that count are 7.
    assert 2 * drawn - 13 <= inside


def _fitted(expression: sympy.Expr, data: Dataset) -> sympy.Expr:
    from superpose.formulas.expressions.constants import ConstantFit

    rows = torch.cat([data.train, data.validation])
    symbols = tuple(sympy.Symbol(name, real=True) for name in data.feature_names)
    return ConstantFit(symbols, data.x[rows], data.y[rows, 0], {}).fit(expression).expression
