"""Forms with constants inside their terms."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import sympy
import torch

from superpose.deadline import Deadline
from superpose.formulas.from_table import inner_constants as forms
from superpose.formulas.from_table.subproblem import Guess, Subproblem

DOUBLE = torch.float64
A, B, C = sympy.symbols("a b c", real=True)


def table(law: sympy.Expr, symbols: Sequence[sympy.Symbol], low: float, rows: int = 120) -> Subproblem:
    """Rows of a law of columns between ``low`` and 4."""
    generator = torch.Generator().manual_seed(0)
    x = low + (4 - low) * torch.rand(rows, len(symbols), generator=generator, dtype=DOUBLE)
    y = torch.as_tensor(sympy.lambdify(symbols, law, "numpy")(*x.numpy().T))
    return Subproblem(x, y, torch.ones_like(y), list(symbols), float(y.std()), lambda inner: inner)


def agrees(guess: Guess, law: sympy.Expr, symbols: Sequence[sympy.Symbol], low: float) -> bool:
    """Whether a guess is the law on other rows too."""
    fresh = table(law, symbols, low, rows=37)
    values = torch.as_tensor(sympy.lambdify(symbols, guess.expression, "numpy")(*fresh.x.numpy().T))
    return float((values - fresh.y).abs().max()) < 1e-5 * fresh.spread


@pytest.mark.parametrize(
    ("law", "symbols", "low"),
    [
        (2 * sympy.sign(A - 1) * sympy.Abs(A - 1) ** sympy.Rational(1, 3) + 1, [A], -4.0),
        (0.4 * A - 0.01 * A**2 - 0.8 * A * B / (A + 2.5 * B), [A, B], 0.5),
        (A * B - 2 * B**2 + 3 * A / (1.5 * A + B + 2), [A, B], 0.0),
    ],
    ids=["odd root", "quotient of two columns", "quotient beside a square"],
)
def test_constants_inside_are_found(law: sympy.Expr, symbols: list[sympy.Symbol], low: float) -> None:
    best = forms.inner_constants(table(law, symbols, low), Deadline())[0]
    assert best.error < 1e-8
    assert agrees(best, law, symbols, low)


@pytest.mark.parametrize(
    ("law", "text", "low"),
    [
        (0.3 + 1.7 * A / (A + 0.8) * sympy.exp(-0.6 * B), "c + a*(u/(u + k0))*(exp(k1*v))", 0.0),
        (3 * sympy.exp(-0.8 * A) + 2 / (B + 1.3) + 1, "c + a*(exp(k0*u)) + b*(1/(v + k1))", 0.0),
        (sympy.exp(0.5 * A - B) + sympy.log(1 + 3 * A + B), "c + a*exp((k*u + l*v)) + b*log(1 + (m*u + n*v))", 0.0),
    ],
)
def test_the_form_of_a_law_comes_first(law: sympy.Expr, text: str, low: float, monkeypatch: pytest.MonkeyPatch) -> None:
    # Of all forms a few, with the right one among them; to compare all takes seconds.
    every = forms.families(2)
    assert text in every
    some = [text, *every[::12]]
    problem = table(law, [A, B], low)
    first = forms.roughly_fitted(problem, some, Deadline())[0]
    assert first.text == text
    [guess] = forms.fitted(problem, [first], Deadline())
    assert agrees(guess, law, [A, B], low)


def test_large_exponents_are_left_to_exponentials() -> None:
    problem = table(1 + 900 * A**-9, [A], 1.0)
    [guess] = forms.fitted(problem, forms.roughly_fitted(problem, ["c + a*abs(u + m)^p"], Deadline()), Deadline())
    powers = [power.exp for power in guess.expression.atoms(sympy.Pow)]
    assert powers and all(abs(float(one)) <= 6 for one in powers)


def test_few_rows_are_not_fitted_by_many_constants() -> None:
    problem = table(A + sympy.sin(B), [A, B], 0.0, rows=11)
    assert all(2 * len(form.constants) <= 11 for form in forms.roughly_fitted(problem, forms.families(2), Deadline()))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_families_are_different_forms(count: int) -> None:
    texts = forms.families(count)
    assert len(set(texts)) == len(texts)
    assert all(f in text for text in texts for f in ("uvw"[:count] if count != 2 else "uv"))


def test_tables_of_many_columns_are_left_alone() -> None:
    symbols = sympy.symbols("a:4", real=True)
    assert forms.inner_constants(table(symbols[0] + symbols[1], symbols, 0.0), Deadline()) == []
