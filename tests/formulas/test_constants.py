"""Constants: exact ones come back, noisy ones within their errors, and nothing silly for a poor fit."""

from __future__ import annotations

import itertools
import math

import pytest
import sympy
import torch
from torch import Tensor

from superpose.deadline import Deadline
from superpose.formulas.expressions.constants import ConstantFit, simplest

DOUBLE = torch.float64
x, y = sympy.symbols("x y", real=True)


def random(count: int, *, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(count, 2, generator=generator, dtype=DOUBLE) - 1


def normal(count: int, *, seed: int = 1) -> Tensor:
    return torch.randn(count, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


def problem(truth: sympy.Expr, noise: float = 0.0, count: int = 400) -> ConstantFit:
    from superpose.nn.symbolic_functions import torch_function

    columns = random(count)
    target = torch_function(truth, (x, y))(*columns.unbind(-1)).expand(count)
    target = target + noise * float(target.std()) * normal(count)
    return ConstantFit((x, y), columns, target, {})


EXACT = (
    *(sympy.pi / 2, sympy.Rational(1, 3), sympy.sqrt(2), sympy.Integer(2), -2 * sympy.pi, sympy.Rational(-7, 4)),
    *(sympy.pi, 1 / sympy.sqrt(2 * sympy.pi), sympy.E, sympy.Rational(3, 20), sympy.Integer(-13), sympy.sqrt(3) / 2),
)


@pytest.mark.parametrize("constant", EXACT)
def test_exact_constants_come_back(constant: sympy.Expr) -> None:
    truth = sympy.sin(x + y / 3) * constant + x**2 / 4
    # As after training: everything a little off.
    start = 0.97 * float(constant) * sympy.sin(1.02 * x + 0.35 * y) + 0.26 * x**2
    found = problem(truth).snapped(start)
    assert sympy.expand(found.expression - truth) == 0, found.expression
    assert found.error < 1e-28 and not found.errors


@pytest.mark.parametrize("constant", [sympy.pi / 2, sympy.Integer(2), sympy.sqrt(2), sympy.Rational(1, 3)])
def test_exact_constants_come_back_from_inside_functions(constant: sympy.Expr) -> None:
    found = problem(sympy.exp(sympy.sin(constant * x) + y**2)).snapped(
        1.01 * sympy.exp(0.99 * sympy.sin(1.01 * float(constant) * x) + 1.01 * y**2)
    )
    assert found.expression == sympy.exp(sympy.sin(constant * x) + y**2)


def test_zero_terms_and_powers_vanish() -> None:
    found = problem(x * y + 1).snapped(1.01 * x * y + 0.99 + 1e-3 * x**2 - 2e-3 * sympy.sin(y))
    assert found.expression == x * y + 1
    shifted = problem((x + 3) ** 2).snapped(sympy.Float(0.98) * (x + 3.01) ** sympy.Float(2.02))
    assert shifted.expression == (x + 3) ** 2


def test_constants_that_are_not_simple_stay_as_they_are() -> None:
    for value in (0.7234907651, 3.1418, 1.9996, 0.33412, 1.41499):
        found = problem(value * sympy.sin(x) + y).snapped(1.01 * value * sympy.sin(x) + 0.99 * y)
        (number,) = found.expression.atoms(sympy.Float)
        assert float(number) == pytest.approx(value, rel=1e-12), found.expression
        assert found.error < 1e-24


@pytest.mark.parametrize("noise", [0.01, 0.1])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_noisy_constants_are_within_their_errors(noise: float, seed: int) -> None:
    columns = random(500)
    truth = 0.7234 * torch.sin(2.347 * columns[:, 0]) + 1.2711 * columns[:, 1]
    target = truth + noise * float(truth.std()) * normal(500, seed=seed)
    fit = ConstantFit((x, y), columns, target, {}).fit(0.8 * sympy.sin(2.2 * x) + 1.1 * y)
    assert len(fit.errors) == 3
    for value, width in fit.errors.items():
        wanted = min((0.7234, 2.347, 1.2711), key=lambda w: abs(w - value))
        # Four standard errors are left once in 16,000 times; and they are errors of the right size.
        assert abs(value - wanted) < 4 * width
        assert width < 0.3 * noise
    assert fit.error == pytest.approx(noise**2, rel=0.3)


def test_noisy_simple_constants_become_simple() -> None:
    found = problem(sympy.exp(sympy.sin(sympy.pi * x) + y**2), noise=0.01, count=900).snapped(
        1.02 * sympy.exp(0.99 * sympy.sin(3.1 * x + 0.01) + 1.02 * y**2)
    )
    assert found.expression == sympy.exp(sympy.sin(sympy.pi * x) + y**2)


@pytest.mark.parametrize(
    "constant", [sympy.sqrt(sympy.Rational(3, 2)), -sympy.sqrt(7), sympy.sqrt(sympy.Rational(2, 3))]
)
def test_roots_come_back_from_rounded_numbers(constant: sympy.Expr) -> None:
    value = float(constant)
    found = problem(constant * sympy.sqrt(x + 3) + y, noise=1e-5).snapped(1.01 * value * sympy.sqrt(x + 3) + 0.99 * y)
    assert sympy.simplify(found.expression - constant * sympy.sqrt(x + 3) - y) == 0


@pytest.mark.parametrize(("value", "noise"), [(1.2345, 1e-5), (1.2348, 2e-3), (9.7124, 0.0155)])
def test_what_may_be_no_root_stays_a_number(value: float, noise: float) -> None:
    found = problem(value * sympy.sqrt(x + 3) + y, noise=noise).snapped(1.01 * value * sympy.sqrt(x + 3) + 0.99 * y)
    (left,) = found.expression.atoms(sympy.Float)
    assert float(left) == pytest.approx(value, rel=1e-3)


def test_a_poor_fit_is_not_dressed_up() -> None:
    # Pure noise: no constant is known to more than a digit, so nothing finer than halves may be claimed for it.
    columns = random(200)
    found = ConstantFit((x, y), columns, normal(200), {}).snapped(0.13 * sympy.sin(1.7 * x) + 0.21 * y + 0.04)
    assert found.expression.atoms(sympy.NumberSymbol) == set()
    for number in found.expression.atoms(sympy.Rational):
        assert number.q <= 4
    assert found.error == pytest.approx(1.0, abs=0.1)
    # A wrong form of a clean target: the constants that fit it best, none of them an exotic root.
    wrong = problem(sympy.exp(2 * x)).snapped(1.2 * x**2 + 2.1 * x + 0.9)
    assert not any(power.exp == sympy.Rational(1, 2) for power in wrong.expression.atoms(sympy.Pow))
    best = problem(sympy.exp(2 * x)).fit(1.2 * x**2 + 2.1 * x + 0.9)
    assert wrong.error <= best.error * (1 + 9 * 8 / 400)


def test_forms_without_values_are_never_accepted() -> None:
    task = problem(x)
    assert task.error(sympy.log(x)) == math.inf
    fit = task.fit(1.5 * sympy.log(x) + 0.5)
    assert fit.error == math.inf
    chosen = simplest(task, [1.5 * sympy.log(x) + 0.5, 0.9 * x + 0.1 * y])
    assert chosen.expression == x


def test_the_simplest_of_forms_that_fit_equally_well() -> None:
    task = problem(x * y)
    forms = [0.25 * (x + y) ** 2 - 0.25 * (x - y) ** 2, sympy.Float(0.9) * x * y]
    for order in itertools.permutations(forms):
        assert simplest(task, list(order)).expression == x * y


def test_signs_are_those_on_all_samples() -> None:
    task = problem(x)
    assert (task.sign(x**2 + 1), task.sign(-sympy.exp(x)), task.sign(x)) == (1, -1, 0)


def test_a_deadline_that_is_over_leaves_a_finite_expression() -> None:
    task = problem(2 * x + y)
    task.deadline = Deadline(0)
    found = task.snapped(1.9 * x + 1.1 * y)
    assert math.isfinite(found.error)
    assert found.expression.free_symbols == {x, y}


@pytest.mark.parametrize(("distance", "wanted"), [(2.5, True), (3.5, False), (-3.5, False)])
def test_a_simple_value_is_taken_within_three_standard_errors(distance: float, wanted: bool) -> None:
    columns, noise = random(300), normal(300)
    point = columns[:, 0]
    # Noise that pulls the slope nowhere: the best one is known, and so is its standard error.
    noise = 0.2 * (noise - point * (noise @ point) / (point @ point))
    width = float((noise.square().mean() / (point @ point)).sqrt())
    found = ConstantFit((x, y), columns, (2 + distance * width) * point + noise, {}).snapped(1.9 * x)
    assert (found.expression == 2 * x) == wanted, found.expression


def test_a_sample_of_weight_three_counts_as_three() -> None:
    point, noise = normal(30), 0.1 * normal(30)
    thrice = torch.repeat_interleave(torch.arange(30), 1 + 2 * (torch.arange(30) % 2))
    weights = 1.0 + 2.0 * (torch.arange(30, dtype=torch.float64) % 2)
    columns, target = torch.stack([point, noise], -1), 2 * torch.sin(point) + noise
    weighted = ConstantFit((x, y), columns, target, {}, None, weights / weights.mean())
    repeated = ConstantFit((x, y), columns[thrice], target[thrice], {})
    start = 1.5 * sympy.sin(1.1 * x) + 0.3
    assert weighted.error(start) == pytest.approx(repeated.error(start))
    found, expected = weighted.fit(start), repeated.fit(start)
    assert found.error == pytest.approx(expected.error, rel=1e-6)
    # As many rows as before, so that the standard errors are those of 30.
    assert weighted.variance == pytest.approx(repeated.variance)
