"""A law is recognised however it is written, and nothing else is."""

from __future__ import annotations

import contextlib
import itertools
import math
import signal
import threading
import time
from dataclasses import replace
from typing import Any

import numpy
import pytest
import sympy
import torch

from benchmarks import problems
from benchmarks.discovery import recovery
from benchmarks.discovery.recovery import assess
from benchmarks.problems import KnownLaw
from superpose import OptionError
from superpose.formulas.expressions.rewrite import complexity

LAWS = problems.equations() | problems.laws()
x, y, q, C, r, F, theta = sympy.symbols("x y q C r F theta", real=True)


def scaled(expression: Any, factors: Any) -> Any:
    """The expression with its floats multiplied by the next factors."""
    return expression.xreplace({number: number * next(factors) for number in expression.atoms(sympy.Float)})


@pytest.mark.parametrize("noise", [0.0, 0.01])
@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_a_law_is_itself_and_no_multiple_of_itself(law: KnownLaw, noise: float) -> None:
    right = assess(law, law.expression, noise, points=2000)
    assert right.recovered and right.reason == "" and max(right.error, right.wider_error) < 1e-13
    assert right.complexity == right.law_complexity == complexity(law.expression)
    assert right.moved is None if not noise else right.moved < 1e-9
    wrong = assess(law, law.expression * (1 + max(10 * noise, 1e-5)), noise, points=2000)
    assert not wrong.recovered and "error" in wrong.reason
    other = assess(law, sympy.sin(law.expression), noise, points=2000)
    assert not other.recovered and other.wider_error > 0.01


@pytest.mark.parametrize("name", ["I.6.2", "I.12.2", "I.41.16", "II.24.17", "III.9.52"])
def test_other_symbols_and_floats_for_exact_numbers_do_not_matter(name: str) -> None:
    law = LAWS[name]
    text = {symbol: sympy.Symbol(symbol.name, positive=True) for symbol in law.symbols}
    assert assess(law, sympy.N(law.expression.xreplace(text))).recovered
    assert assess(law, sympy.N(law.expression), noise=0.001).recovered


def test_the_error_decides_on_the_wider_ranges() -> None:
    step = sympy.Function("step")(q - 5)
    found = assess("I.25.13", q / C + step, functions={"step": lambda values: (values > 0).to(values)})
    assert found.error < 1e-13 and found.wider_error > 0.01 and not found.recovered


def test_length_is_limited_and_a_shorter_form_is_found() -> None:
    law = LAWS["I.25.13"]
    most = 2 * complexity(law.expression) + 10
    long = sympy.Add(*(q / C * f(n * q) ** 2 / 5 for n in range(1, 6) for f in (sympy.sin, sympy.cos)))
    assert complexity(long) > most
    shorter = assess(law, long)
    assert shorter.recovered and shorter.complexity <= most
    # True of the values, but nothing that simplifies.
    padding = [sympy.Function(f"f{n}")(q) for n in range(8)]
    functions = {f"f{n}": torch.zeros_like for n in range(8)}
    stays = assess(law, q / C + sympy.Add(*padding), functions=functions)
    assert stays.wider_error < 1e-13 and not stays.recovered and f"may have {most}" in stays.reason


def test_simplifying_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    finished: list[bool] = []

    def endless(expression: sympy.Expr) -> None:
        time.sleep(60)
        finished.append(True)

    monkeypatch.setattr(recovery, "CRITERION", replace(recovery.CRITERION, simplify_seconds=0.05))
    monkeypatch.setattr(sympy, "simplify", endless)
    assert all(isinstance(form, sympy.Expr) for form in recovery.simplified(q / C + 1))
    forms: list[Any] = []
    thread = threading.Thread(target=lambda: forms.extend(recovery.simplified(q / C + 1)))
    thread.start()
    thread.join(10)
    assert not thread.is_alive() and len(forms) == 2 and not finished


@pytest.mark.parametrize(
    ("name", "text", "recovered"),
    [
        ("I.18.12", 1.002 * r * F * sympy.sin(1.001 * theta), True),
        ("I.18.12", 0.999 * r**1.003 * F * sympy.cos(theta - 1.5702), True),
        # One constant twice.
        ("I.18.12", 2.0 * (0.5011 * r) * F * sympy.sin(theta), True),
        # A constant that is off by more than 1%, and one more constant than there is.
        ("I.18.12", 1.02 * r * F * sympy.sin(theta), False),
        ("I.18.12", r * F * sympy.sin(theta) + 0.001, False),
        ("I.18.12", (r + 0.002) * F * sympy.sin(theta), False),
        # Whole numbers do not move.
        ("I.14.4", sympy.Symbol("k_spring") * x**2 / 2, True),
        ("I.14.4", sympy.Symbol("k_spring") * x**2 * sympy.Rational(499, 1000), True),
        ("I.14.4", sympy.Symbol("k_spring") * x**2 * 100 / 199, True),
        # The same within the noise, but of another form.
        ("I.14.4", sympy.Symbol("k_spring") * (sympy.cosh(0.02 * x) - 1) / 0.0004, False),
    ],
)
def test_under_noise_the_form_decides(name: str, text: Any, recovered: bool) -> None:
    found = assess(name, text, noise=0.01)
    assert found.wider_error < 0.05
    assert found.recovered == recovered, found
    if not recovered:
        assert "constants" in found.reason
        assert found.moved == math.inf


def test_what_a_constant_is() -> None:
    expression = sympy.Float(0.5) * x**2.0 + 200 * y ** sympy.Rational(1, 2) + sympy.Rational(2, 3) * q**1.5 + sympy.pi
    template, slots, values = recovery._with_symbols_for_constants(expression)
    assert sorted(values) == pytest.approx([0.5, 2 / 3, 1.5])
    half, third, power = (slots[values.index(value)] for value in sorted(values))
    assert template == half * x**2 + 200 * sympy.sqrt(y) + third * q**power + sympy.pi


def test_how_far_a_constant_is_moved() -> None:
    law = LAWS["II.11.17"]
    exact = sympy.N(law.expression.subs({1: sympy.Float(1.0)}))
    assert (assess(law, exact, noise=0.01).moved or 0) < 1e-9
    factors = itertools.cycle([1.004])
    found = assess("III.12.43", scaled(sympy.N(LAWS["III.12.43"].expression), factors), noise=0.01)
    assert found.moved == pytest.approx(1 - 1 / 1.004, rel=1e-5) and found.recovered


@pytest.mark.parametrize(
    "expression",
    [sympy.nan, sympy.zoo, sympy.I * q, sympy.Symbol("elsewhere"), sympy.log(-q), sympy.gamma(q),
     sympy.Function("spline")(q), sympy.Integer(3), q ** sympy.exp(sympy.exp(q))],
)  # fmt: skip
@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_what_has_no_values_is_not_recovered(expression: Any, noise: float) -> None:
    found = assess("I.25.13", expression, noise)
    assert not found.recovered and found.reason
    assert not math.isnan(found.error) and not math.isnan(found.wider_error)


def test_nothing_rings_after_the_time_is_over() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with contextlib.suppress(recovery._TimeOver), recovery._within(0.02):
        time.sleep(5)
    with recovery._within(5):
        pass
    assert signal.getsignal(signal.SIGALRM) is before and signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_formula_is_assessed_on_rows_that_it_was_not_learnt_from() -> None:
    law = LAWS["I.12.1"]
    learnt, _ = law.sample(500, (0, 0))
    check = recovery._Check(law, 0.0, 500, 0, {})
    for rows, _ in (check.rows, check.wider_rows):
        assert not numpy.isin(rows.numpy()[:, 0], learnt[:, 0]).any()


def test_an_unknown_law() -> None:
    with pytest.raises(OptionError, match=r"did you mean 'I\.25\.13'"):
        assess("I.25.1", q)


def test_the_assessment_leaves_no_trace(untouched_globals: None) -> None:
    for name in ("I.6.2", "I.41.16", "quotient"):
        assert assess(name, LAWS[name].expression, 0.01).recovered
