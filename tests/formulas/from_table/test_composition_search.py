"""Compositions are found by their values, exactly or not at all."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sympy
import torch

from superpose.data import Dataset
from superpose.deadline import Deadline
from superpose.formulas.from_table import composition_search
from superpose.formulas.from_table.composition_search import composition_guesses
from superpose.formulas.from_table.laws import find_laws
from superpose.formulas.from_table.subproblem import Guess, Subproblem
from superpose.nn.symbolic_functions import torch_function
from superpose.spline import backend

pytestmark = pytest.mark.skipif(backend.enumeration() is None, reason="the kernels were not built")
X, Y = sympy.symbols("x y", real=True)
# Expressions of x and y, the range of both, and how many rows.
COMPOSITIONS = {
    "a product": (sympy.sin(X**2) * sympy.cos(X) - 1, -1.0, 1.0, 20),
    "a sum": (sympy.sin(X) + sympy.sin(X**2 + X), -1.0, 1.0, 20),
    "a logarithm": (sympy.log(X + sympy.sqrt(X**2 + 1)), 0.0, 100.0, 101),
    "powers and a wave": (X**3 + X**2 + X + sympy.sin(X) + sympy.sin(Y**2), -1.0, 1.0, 100),
    "a quotient of sums": (sympy.sin(3 * X) / (sympy.Rational(6, 5) + (Y - 2) ** 2), 0.3, 4.0, 100),
    "a constant below": (X * (4 - X - Y / (1 + X)), 1.0, 5.0, 60),
}


def problem(law: sympy.Expr, low: float, high: float, rows: int, seed: int = 0) -> Subproblem:
    generator = torch.Generator().manual_seed(seed)
    symbols = sorted(law.free_symbols, key=str) or [X]
    x = low + (high - low) * torch.rand(rows, len(symbols), generator=generator, dtype=torch.float64)
    y = torch_function(law, tuple(symbols))(*x.unbind(-1)).expand(rows)
    return Subproblem(x, y, torch.ones_like(y), symbols, float(y.std()) or 1.0, lambda inner: inner)


@pytest.fixture(autouse=True)
def few_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composition_search, "_SETTINGS", replace(composition_search._SETTINGS, tried=20_000))


def guesses(table: Subproblem) -> list[Guess]:
    return next(reversed(list(composition_guesses(table, Deadline(60), 1.0))), [])


@pytest.mark.parametrize("name", COMPOSITIONS)
def test_a_composition_is_found_from_few_rows(name: str) -> None:
    law, low, high, rows = COMPOSITIONS[name]
    found = guesses(problem(law, low, high, rows))[0].expression
    # Where no row was: only the law itself is right there.
    width = (high - low) / 2
    fresh = problem(law, low if low >= 0 else low - width, high + width, 200, seed=1)
    values = torch_function(found, tuple(fresh.symbols))(*fresh.x.unbind(-1))
    assert float((values - fresh.y).square().mean().sqrt()) < 1e-8 * fresh.spread


@pytest.mark.parametrize("noise", [1.0, 1e-4])
def test_nothing_is_claimed_where_noise_is_left(noise: float, few_compositions: None) -> None:
    table = problem(sympy.sin(X**2) * sympy.cos(X), -1.0, 1.0, 60)
    errors = torch.randn(60, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    assert guesses(replace(table, y=table.y + noise * table.spread * errors)) == []


def test_the_search_depends_on_counts_and_not_on_the_clock() -> None:
    law, low, high, rows = COMPOSITIONS["a quotient of sums"]
    first, second = (guesses(problem(law, low, high, rows)) for _ in range(2))
    assert [str(one.expression) for one in first] == [str(one.expression) for one in second]


def test_without_compiled_kernels_there_are_no_guesses() -> None:
    law, low, high, rows = COMPOSITIONS["a sum"]
    with backend.use("reference"):
        assert guesses(problem(law, low, high, rows)) == []


def test_a_target_with_few_digits_is_not_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    law, low, high, rows = COMPOSITIONS["a sum"]
    table = problem(law, low, high, rows)

    def searched(*_: object) -> None:
        raise AssertionError("the search began")

    monkeypatch.setattr(backend, "enumeration", lambda: searched)
    assert guesses(replace(table, y=table.y.mul(1000).round() / 1000)) == []
    with pytest.raises(AssertionError, match="began"):
        guesses(table)


def test_values_that_are_not_finite_are_passed_over() -> None:
    table = problem(sympy.sin(X), -1.0, 1.0, 30)
    x = table.x.clone()
    x[0] = 0.0  # log and 1/x are not finite there
    x[1] = 300.0  # exp overflows twice
    found = guesses(replace(table, x=x, y=torch.sin(x[:, 0]) * x[:, 0].square()))
    assert found and found[0].error < 1e-9


def test_a_search_for_laws_uses_it() -> None:
    law, low, high, rows = COMPOSITIONS["a product"]
    table = problem(law, low, high, rows)
    found = find_laws(Dataset.from_arrays(table.x, table.y, feature_names=["x"]), time_limit=60)
    assert found.best is not None
    assert found.best.expression == law


def test_a_product_of_two_compositions_is_found() -> None:
    a, b, c = symbols = sympy.symbols("a b c", real=True)
    law = sympy.exp(-a * b) * sympy.cos(b * c) * a
    x = 0.3 + 2 * torch.rand(200, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = torch.as_tensor(sympy.lambdify(symbols, law, "numpy")(*x.numpy().T))
    problem = Subproblem(x, y, torch.ones_like(y), list(symbols), float(y.std()), lambda inner: inner)
    best = list(composition_guesses(problem, Deadline(), 1.0))[-1][0]
    assert sympy.simplify(sympy.nsimplify(best.expression, rational=True, tolerance=1e-9) - law) == 0
