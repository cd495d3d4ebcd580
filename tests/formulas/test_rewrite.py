"""Canonical forms: the same values, the constants where they can be read."""

from __future__ import annotations

import math
from typing import Any

import pytest
import sympy
import torch
from expressions import real, trees, x, y
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from superpose.formulas.expressions.rewrite import canonical, complexity, without_signs
from superpose.nn.symbolic_functions import torch_function

DOUBLE = torch.float64


def values(expression: sympy.Expr, count: int = 50, nudge: float = 0.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    columns = [4 * torch.rand(count, generator=generator, dtype=DOUBLE) - 2 + nudge for _ in range(2)]
    return torch_function(expression, (x, y))(*columns)


@settings(max_examples=150, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(trees.filter(real), st.booleans())
def test_canonical_forms_have_the_same_values(expression: sympy.Expr, multiply_out: bool) -> None:
    rewritten = canonical(expression, multiply_out=multiply_out)
    wanted, found = values(expression), values(rewritten)
    # Compared where the digits mean something: finite, not huge, and not next to a pole or a jump.
    steady = (values(expression, nudge=1e-9) - wanted).abs() < 1e-4 * wanted.abs().clamp(min=1)
    usable = torch.isfinite(wanted) & (wanted.abs() < 1e6) & steady
    # Fractional powers were positive on the data; rewriting may extend where something is defined, never lose it.
    assert bool(torch.isfinite(found[usable]).all()), rewritten
    difference = (found - wanted)[usable].abs() / wanted[usable].abs().clamp(min=1)
    assert float(difference.max() if len(difference) else 0.0) < 1e-6, rewritten


@settings(max_examples=60, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(trees.filter(real))
def test_canonical_forms_stay_as_they_are(expression: sympy.Expr) -> None:
    once = canonical(expression, multiply_out=True)
    if complexity(once) > 40:
        return
    twice = canonical(once, multiply_out=True)
    assert complexity(twice) <= complexity(once) + 4


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        (sympy.exp(2.0 * sympy.log(x) + 0.5), math.exp(0.5) * x**2.0),
        (sympy.exp(x + 1.0), math.e * sympy.exp(x)),
        (sympy.log(3.0 * x), sympy.log(x) + math.log(3)),
        ((4.0 * x) ** sympy.Rational(1, 2), 2.0 * sympy.sqrt(x)),
        (1 / (2.0 * x + 4.0), 0.25 / (0.5 * x + 1.0)),
        (sympy.sin(x + math.pi), -sympy.sin(x)),
        (sympy.sin(-2.0 * x), -sympy.sin(2.0 * x)),
        (sympy.cos(x - math.pi / 2), sympy.sin(x)),
        (sympy.tanh(-3.0 * x), -sympy.tanh(3.0 * x)),
        (sympy.cosh(-3.0 * x), sympy.cosh(3.0 * x)),
        ((x + y) ** 2 - (x - y) ** 2, 4 * x * y),
    ],
)
def test_known_forms(expression: sympy.Expr, wanted: sympy.Expr) -> None:
    found = canonical(expression, multiply_out=True)
    # One form, up to the last digit of its constants.
    assert complexity(found) <= complexity(wanted) + 2, found
    torch.testing.assert_close(
        torch.nan_to_num(values(found)), torch.nan_to_num(values(wanted)), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("function", [sympy.tanh, sympy.atan, sympy.sinh, sympy.tan, sympy.cosh, sympy.Abs, sympy.sin])
@pytest.mark.parametrize("inner", [x - 2.0 * y, 0.5 - 2.0 * x + y, y - 3.0 * x * y])
def test_odd_and_even_functions_keep_their_sign(function: Any, inner: sympy.Expr) -> None:
    node = function(inner, evaluate=False)
    torch.testing.assert_close(values(canonical(node, multiply_out=False)), values(node), rtol=1e-10, atol=1e-10)


def test_signs_of_what_never_changes_sign_go() -> None:
    def sign_of(inner: sympy.Expr) -> int:
        return {x: 1, y: -1}.get(inner, 0)

    expression = sympy.Abs(x) + sympy.sign(y) * sympy.Abs(x + y) + sympy.Abs(y)
    assert without_signs(expression, sign_of) == x - sympy.Abs(x + y) - y


def test_complexity_counts_the_nodes_of_the_tree() -> None:
    assert complexity(x) == 1 and complexity(sympy.sin(x)) == 2 and complexity(x + y) == 3
    assert complexity(sympy.exp(sympy.sin(sympy.pi * x) + y**2)) == 9
