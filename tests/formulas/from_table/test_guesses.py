"""Guesses and reductions of the search for laws: what each says of itself is true on the table."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import sympy
import torch
from torch import Tensor

from helpers import CountingClock
from superpose.deadline import Deadline
from superpose.formulas.dictionary import simplest_products
from superpose.formulas.from_table.additive import additive
from superpose.formulas.from_table.curve import _fast_waves, _reciprocal, _scanned, curves
from superpose.formulas.from_table.expansions import expansions
from superpose.formulas.from_table.outer_functions import outer_functions
from superpose.formulas.from_table.ridges import ridges
from superpose.formulas.from_table.subproblem import Guess, Subproblem, best_guesses
from superpose.formulas.from_table.surrogate import fit_surrogate, held_out
from superpose.formulas.from_table.symmetries import Reduction, reductions
from superpose.formulas.from_table.verified_reductions import leading_columns, verified_reductions
from superpose.formulas.subsets import best_subsets
from superpose.nn.symbolic_functions import torch_function

DOUBLE = torch.float64


def random(*shape: int, seed: int = 0, low: float = 1.0, high: float = 3.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(*shape, generator=generator, dtype=DOUBLE)


def symbols(count: int) -> list[sympy.Symbol]:
    return [sympy.Symbol(name, real=True) for name in "abcdefgh"[:count]]


def values(expression: sympy.Expr, x: Tensor) -> Tensor:
    found = torch_function(expression, tuple(symbols(x.shape[1])), {})(*x.unbind(-1))
    return torch.as_tensor(found, dtype=DOUBLE).expand(len(x))


def table(x: Tensor, function: Callable[..., Tensor]) -> Subproblem:
    y = function(*x.unbind(-1))
    return Subproblem(x, y, torch.ones_like(y), symbols(x.shape[1]), float(y.std(correction=0)), lambda inner: inner)


def error(guess: Guess, problem: Subproblem) -> float:
    return float((values(guess.expression, problem.x) - problem.y).square().mean().sqrt()) / problem.spread


def soon() -> Deadline:
    return Deadline(600)


# -- terms and subsets


@pytest.mark.parametrize(("low", "high", "count"), [(1.0, 3.0, 1), (1.0, 3.0, 2), (-2.0, 2.0, 2), (0.5, 1.5, 4)])
def test_terms_have_the_values_that_they_say_and_come_plainest_first(low: float, high: float, count: int) -> None:
    x = random(60, count, low=low, high=high)
    found = simplest_products(x, symbols(count), most=300)
    assert found.expression(0) == 1 and 20 < len(found) <= 300
    costs = [found.cost(index) for index in range(len(found))]
    assert costs == sorted(costs)
    for index in range(len(found)):
        torch.testing.assert_close(found.values[:, index], values(found.expression(index), x), rtol=1e-12, atol=1e-12)


def test_no_term_has_a_pole_among_the_rows() -> None:
    a, b = symbols(2)
    x = random(60, 2, low=-2.0, high=2.0)
    x[0, 0] = 1e-9
    found = simplest_products(x, [a, b], most=300)
    every = [found.expression(index) for index in range(len(found))]
    assert a / b in every and b / a not in every


def test_waves_of_two_columns_are_among_the_terms() -> None:
    a, b = symbols(2)
    found = simplest_products(random(60, 2), [a, b], most=400)
    every = {found.expression(index) for index in range(len(found))}
    assert {sympy.sin(a * b), sympy.cos(a / b), sympy.sin(a - b), sympy.exp(-a / b), a * sympy.sin(b)} <= every


def fitted(matrix: Tensor, target: Tensor) -> float:
    rest = target - matrix @ torch.linalg.lstsq(matrix, target[:, None]).solution[:, 0]
    return float(rest.square().mean().sqrt()) / 2.0


def test_the_best_subsets_are_those_of_trying_all() -> None:
    generator = torch.Generator().manual_seed(3)
    for seed in range(4):
        mixed = torch.randn(9, 9, generator=generator, dtype=DOUBLE)
        matrix = torch.randn(60, 9, generator=generator, dtype=DOUBLE) @ mixed * random(9, seed=seed, high=1e4)
        target = torch.randn(60, generator=generator, dtype=DOUBLE)
        # With a beam of one nothing but trying all finds sets that do not hold the best smaller one.
        found = {len(one.columns): one for one in best_subsets(matrix, target, 2.0, most=5, beam=1, keep=1)}
        for size in range(1, 5):
            tried = [(fitted(matrix[:, p], target), p) for p in itertools.combinations(range(9), size)]
            assert found[size].error == pytest.approx(min(tried)[0], rel=1e-9)
            assert tuple(sorted(found[size].columns)) == min(tried)[1]
        four = found[4].columns
        tried = [(fitted(matrix[:, [*four, k]], target), (*four, k)) for k in range(9) if k not in four]
        assert found[5].error == pytest.approx(min(tried)[0], rel=1e-9)
        for one in found.values():
            left = target - matrix[:, list(one.columns)] @ one.coefficients
            assert one.error == pytest.approx(float(left.square().mean().sqrt()) / 2.0, rel=1e-9)


def test_an_exact_sum_of_terms_that_are_much_alike_leaves_rounding_only() -> None:
    x = random(300, high=1.5)
    matrix = torch.stack([x**k for k in range(5)], -1)
    found = best_subsets(matrix, matrix @ torch.tensor([0.3, -2.0, 1.7, 0.4, -0.9], dtype=DOUBLE), 1.0, most=5)
    assert found[-1].columns == (0, 1, 2, 3, 4) and found[-1].error < 1e-15


def test_columns_that_say_the_same_are_not_taken_together() -> None:
    x = random(100, 3)
    same = 2 * x[:, 0]
    matrix = torch.stack([x[:, 0], same, x[:, 1], torch.full_like(same, math.inf), 0 * same], -1)
    target = x[:, 0] + x[:, 1] + 1e-3 * x[:, 2]
    for beam in (1, 200):
        found = best_subsets(matrix, target, 1.0, most=4, beam=beam)
        assert all(not {0, 1} <= set(one.columns) and not {3, 4} & set(one.columns) for one in found)
        assert min(one.error for one in found if len(one.columns) == 2) < 1e-3


# -- outer functions


@pytest.mark.parametrize("sign", [1, -1])
def test_what_an_outer_function_weighs_is_its_slope(sign: int) -> None:
    u = sympy.Symbol("u", real=True)
    names = set()
    for outer in outer_functions(sign * random(200, low=0.1, high=0.9)):
        names.add(outer.name)
        outside = outer.outside(u)
        torch.testing.assert_close(
            torch_function(outside, (u,), {})(outer.values).expand(200), sign * random(200, low=0.1, high=0.9)
        )
        slopes = torch.as_tensor(torch_function(sympy.diff(outside, u), (u,), {})(outer.values), dtype=DOUBLE)
        torch.testing.assert_close(outer.weights, slopes.abs().expand(200), rtol=1e-9, atol=1e-9)
    assert {"x", "1/x", "sqrt", "exp", "1/sqrt", "x^2", "1/x^2", "log", "tanh"} <= names


def test_rows_on_which_a_function_cannot_be_undone_are_left_out() -> None:
    y = random(300, low=0.1, high=2.0)
    y[:30] = -0.01
    found = {outer.name: outer for outer in outer_functions(y)}
    for name in ("exp", "sqrt", "1/x"):
        outer = found[name]
        assert outer.rows is not None and outer.rows.tolist() == list(range(30, 300))
        assert bool(torch.isfinite(outer.values).all() & torch.isfinite(outer.weights).all())
    y[:30] = -1.0
    assert "exp" not in {outer.name for outer in outer_functions(y)}


# -- guesses


def truths(guesses: list[Guess], problem: Subproblem, least: float = 0.0) -> float:
    """The least error, after it was seen that every guess errs as it says, or by what counts as the least."""
    for guess in guesses:
        assert max(error(guess, problem), least) == pytest.approx(guess.error, rel=0.2, abs=1e-9), guess
    return min((error(guess, problem) for guess in guesses), default=1.0)


SUMS: dict[str, Callable[..., Tensor]] = {
    "a sum": lambda a, b: 2.3 * a * b - 0.4 * b**2 / a + 1.7,
    "a root": lambda a, b: -torch.sqrt(a**2 + 3.1 * b),
    "an exponential": lambda a, b: torch.exp(0.3 * a - 0.2 * b**2),
    "an inverse": lambda a, b: 1 / (a + b**2),
    "a quotient": lambda a, b: (a + 0.7 * b) / (1 + 0.3 * a * b**2),
    "a root of a quotient": lambda a, b: torch.sqrt((a + b) / (1 + 2 * a * b**2)),
    "a logarithm": lambda a, b: torch.log(a**2 + b),
    "saturation": lambda a, b: torch.tanh(0.2 * a * b - 0.1 * b),
    "an angle": lambda a, b: torch.asin(0.1 * a * b),
}


@pytest.mark.parametrize("name", SUMS)
def test_sums_of_terms_and_their_quotients_are_found(name: str) -> None:
    problem = table(random(400, 2), SUMS[name])
    assert truths(expansions(problem, soon(), quick=True), problem) < 1e-9


def test_a_thorough_look_finds_more() -> None:
    problem = table(random(400, 2), lambda a, b: 2 * a * torch.sin(a / b) + 1)
    assert truths(expansions(problem, soon(), quick=True), problem) > 1e-4
    assert truths(expansions(problem, soon()), problem) < 1e-9


def test_guesses_at_a_noisy_quotient_err_as_they_say() -> None:
    problem = table(random(400, 2), lambda a, b: (a + 0.7 * b) / (1 + 0.3 * a * b**2))
    noise = torch.randn(400, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    problem = Subproblem(
        problem.x, problem.y + 1e-5 * noise, problem.weight, problem.symbols, problem.spread, problem.lift
    )
    guesses = expansions(problem, soon(), quick=True)
    assert any("quotient" in guess.note for guess in guesses)
    assert truths(guesses, problem) < 1e-3


def test_rows_that_weigh_little_do_not_decide() -> None:
    x = random(600, 2)
    problem = table(x, lambda a, b: 2 * a * b + 1)
    weight = torch.ones(600, dtype=DOUBLE)
    weight[::5] = 0.0
    wrong = problem.y.clone()
    wrong[::5] += 10
    guesses = expansions(Subproblem(x, wrong, weight, problem.symbols, problem.spread, problem.lift), soon())
    assert min(error(guess, problem) for guess in guesses) < 1e-9


CURVES: dict[str, Callable[[Tensor], Tensor]] = {
    "a decay of the inverse": lambda x: 3 * torch.exp(-1.9 / x) / x,
    "a function of the library": lambda x: 2 * torch.tanh(3 * x - 5) + 1,
    "a function under another": lambda x: torch.exp(0.4 * torch.tanh(3 * x - 5)),
}


@pytest.mark.parametrize("name", CURVES)
def test_curves_of_one_column_are_found(name: str) -> None:
    problem = table(random(300, 1), CURVES[name])
    assert truths(curves(problem, soon(), enough=1e-5), problem, least=0.3e-5) < 1e-5


@pytest.mark.parametrize(
    ("kind", "function"),
    [
        ("wave", lambda x: 2 * x * torch.sin(11.3 * x) - 1),
        ("exponential", lambda x: (1 + 2 * x) * torch.exp(-2.7 * x)),
    ],
)
def test_rates_are_found_by_scanning(kind: str, function: Callable[[Tensor], Tensor]) -> None:
    problem = table(random(300, 1), function)
    plain = itertools.takewhile(lambda guess: guess.note.startswith("x of"), _scanned(problem, soon()))
    assert truths([guess for guess in plain if kind in guess.note], problem) < 1e-5


def test_in_noise_two_terms_at_the_right_rate_are_among_the_guesses() -> None:
    generator = torch.Generator().manual_seed(0)
    x = 0.1 + 5 * torch.rand(500, 1, generator=generator, dtype=DOUBLE)
    noise = torch.randn(500, generator=generator, dtype=DOUBLE)
    problem = table(x, lambda z: z / (z.exp() - 1) + 3e-4 * noise)
    beyond = itertools.takewhile(lambda guess: guess.note.startswith(("x of", "1/x of")), _scanned(problem, soon()))
    found = [guess.expression for guess in beyond if guess.note == "1/x of exponentials"]
    (z,) = problem.symbols
    pairs = [guess for guess in found if len((1 / guess).args) == 2 and not guess.has(z**2)]
    rates = [abs(part.args[0].coeff(z)) for guess in pairs for part in guess.atoms(sympy.exp)]
    assert any(abs(rate - 1) < 0.01 for rate in rates), pairs


ADDITIVE: dict[str, Callable[..., Tensor]] = {
    "a sum": lambda a, b, c: torch.sin(3 * a) + torch.exp(b) + c**2 - 17,
    "a root of a sum": lambda a, b: torch.sqrt(a**2 + b**3),
    "a product": lambda a, b, c: (2 + torch.sin(3 * a)) * torch.exp(0.3 * b) * c**2,
}


@pytest.mark.parametrize("name", ADDITIVE)
def test_sums_and_products_of_curves_are_found(name: str, counted_time: CountingClock) -> None:
    problem = table(random(1500, ADDITIVE[name].__code__.co_argcount), ADDITIVE[name])
    guesses = additive(problem, 1e-5, soon())
    assert min(error(guess, problem) for guess in guesses) < 1e-3
    assert additive(table(random(800, 2), lambda a, b: torch.sin(a * b)), 1e-3, soon()) == []


STEPPED: dict[str, Callable[..., Tensor]] = {
    "zeros and ones": lambda a, b: (a > 2.1).double(),
    "ones and twos": lambda a, b: 1 + (a > 2.1).double(),
    "three values": lambda a, b: (a > 1.7).double() + (b > 2.3).double(),
    "minus ones and zeros": lambda a, b: -(a > b).double(),
    "one row in 20": lambda a, b: (b > 2.9).double(),
    "all but one row in 20": lambda a, b: (b < 2.9).double(),
    "constant part": lambda a, b: (a - 2).clamp(min=0),
    "large steps": lambda a, b: 1e6 * (a > 2.1).double(),
}


@pytest.mark.parametrize("name", STEPPED)
def test_a_target_of_few_values_is_undone_only_where_it_still_varies(name: str) -> None:
    y = STEPPED[name](*random(300, 2).unbind(-1))
    names = [outer.name for outer in outer_functions(y)]
    assert names[0] == "x"
    assert all(float(outer.values.max()) > float(outer.values.min()) for outer in outer_functions(y)), names


@pytest.mark.parametrize("columns", ["measured", "of two values", "of one value where the target is not 0"])
@pytest.mark.parametrize("name", STEPPED)
def test_curves_are_sought_in_any_target_of_few_values(
    name: str, columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What the curves look like takes long to read, and is not what is asked here.
    monkeypatch.setattr("superpose.formulas.from_table.additive.curves", lambda *given, **options: [])
    x = random(300, 2)
    y = STEPPED[name](*x.unbind(-1))
    if columns == "of two values":
        x = (x > 2).double()
    elif columns == "of one value where the target is not 0":
        x[:, 1] = (y != 0).double()
    problem = Subproblem(x, y, torch.ones_like(y), symbols(2), float(y.std(correction=0)), lambda inner: inner)
    for guess in additive(problem, 1.0, soon()):
        assert guess.error >= 0 and math.isfinite(guess.error)


def test_a_column_may_be_turned_upside_down_but_not_at_zero() -> None:
    problem = table(random(100, 1), lambda x: torch.sin(9 / x))
    turned = _reciprocal(problem)
    assert turned is not None and turned.lift(sympy.sin(turned.symbols[0])) == sympy.sin(1 / problem.symbols[0])
    torch.testing.assert_close(turned.x * problem.x, torch.ones_like(problem.x))
    assert _reciprocal(table(torch.linspace(-1, 1, 101, dtype=DOUBLE)[:, None], torch.sin)) is None


def test_the_best_guesses_are_kept_each_once() -> None:
    x = sympy.Symbol("x")
    every = [Guess(lambda n=n: x**n, 0.1 / n, "", 5.0) for n in (1, 2, 3, 3, 2, 9, 8)]
    assert [guess.expression for guess in best_guesses(every, 4)] == [x**9, x**8, x**3, x**2]
    # A hundredth more of an error is not worth many nodes.
    assert best_guesses([Guess(lambda: x, 0.1, "", 5.0), Guess(lambda: x**2, 0.099, "", 50.0)])[0].expression == x


# -- surrogates


def test_a_product_of_powers_over_decades_is_smooth_in_logarithms() -> None:
    x = 10 ** random(800, 2, low=-2.0, high=2.0)
    surrogate = fit_surrogate(x, x[:, 0] ** 2.3 * x[:, 1] ** -1.7, torch.ones(800, dtype=DOUBLE), 1.0)
    assert surrogate.logarithmic and surrogate.kind == "log" and surrogate.error < 1e-3


def test_a_stand_in_errs_as_it_says_and_chooses_few_columns_under_noise() -> None:
    x, weight = random(2000, 3), random(2000, seed=1, low=0.1, high=2.0)
    y = x[:, 0] * x[:, 1] + torch.randn(2000, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    surrogate = fit_surrogate(x, y, weight, 3.0)
    some = slice(0, held_out(2000))
    left = ((surrogate.values(x) - y) * weight)[some]
    assert surrogate.error == pytest.approx(float(left.square().mean().sqrt()) / 3.0, rel=1e-9)
    assert surrogate.error < 1.1 * float(((y - x[:, 0] * x[:, 1]) * weight)[some].square().mean().sqrt()) / 3.0


# -- reductions


def checked(found: list[Reduction], problem: Subproblem) -> list[Reduction]:
    """The reductions, after it was seen that columns and factors are what their expressions say."""
    for one in found:
        assert one.columns.shape == (len(problem.x), len(one.expressions))
        for column, expression in zip(one.columns.unbind(-1), one.expressions, strict=True):
            torch.testing.assert_close(column, values(expression, problem.x), rtol=1e-12, atol=1e-12)
        factor = torch.ones_like(problem.y) if one.factor is None else one.factor
        torch.testing.assert_close(factor, values(one.factor_expression, problem.x), rtol=1e-12, atol=1e-12)
    return found


def seen(problem: Subproblem) -> list[Reduction]:
    surrogate = fit_surrogate(problem.x, problem.y, problem.weight, problem.spread)
    points = problem.x[:400]
    return checked(list(reductions(problem.x, problem.symbols, points, *surrogate.gradient(points))), problem)


def left(reduction: Reduction, problem: Subproblem) -> float:
    """How much of the target the smaller table leaves open, as far as a surrogate can tell."""
    child = problem.reduced(reduction)
    return fit_surrogate(child.x, child.y, child.weight, problem.spread).error


a, b, c = symbols(3)
PAIRS: dict[str, tuple[Callable[..., Tensor], sympy.Expr]] = {
    "a difference": (lambda a, b, c: torch.exp(-((a - b) ** 2)) * (1 + c), a - b),
    "a weighted sum": (lambda a, b, c: torch.exp(-((a + 2 * b) ** 2) / 9) * (1 + c), a + 2 * b),
    "a product": (lambda a, b, c: torch.cos(a * b / 3) + c, a * b),
    "a power": (lambda a, b, c: torch.cos(a / b**2) + c, a / b**2),
    "squares": (lambda a, b, c: torch.sqrt(a**2 + b**2) * c + c**2, a**2 + b**2),
    "inverses": (lambda a, b, c: torch.cos(1 / a + 1 / b) + c, 1 / a + 1 / b),
}


@pytest.mark.parametrize("name", PAIRS)
def test_two_columns_that_enter_as_one_are_seen(name: str) -> None:
    function, pair = PAIRS[name]
    problem = table(random(1500, 3), function)
    good = [one for one in seen(problem) if one.violation < 0.01]
    ratios = [sympy.simplify(one.expressions[0] / pair) for one in good if len(one.expressions) == 2]
    assert any(ratio.is_number for ratio in ratios)
    for one in good:
        assert left(one, problem) < 1e-3


def test_an_idle_column_and_units_are_seen_and_nothing_where_there_is_nothing() -> None:
    problem = table(random(1500, 3), lambda a, b, c: a**2 * torch.sqrt(b) * torch.ones_like(c))
    good = [one for one in seen(problem) if one.violation < 1e-3]
    assert any(c not in {s for e in one.expressions for s in e.free_symbols} for one in good)
    problem = table(random(1500, 3), lambda a, b, c: a**2 * torch.sqrt(b) * torch.sin(c / a))
    good = [one for one in seen(problem) if one.violation < 0.01]
    units = [one for one in good if one.factor is not None and len(one.expressions) == 1]
    assert units and all(left(one, problem) < 1e-3 for one in units)
    problem = table(random(1500, 3), lambda a, b, c: torch.sin(a * b + c) + torch.exp(a - 0.3 * b * c) / 9 + a * c**2)
    assert all(one.violation > 0.02 for one in seen(problem))


def test_weights_of_a_sum_that_are_no_small_fractions_stay_as_they_are() -> None:
    problem = table(random(1500, 3), lambda a, b, c: torch.exp(-((a + 1.42 * b) ** 2) / 9) * (1 + c))
    best = min(seen(problem), key=lambda one: one.violation)
    assert float(best.expressions[0].coeff(b) / best.expressions[0].coeff(a)) == pytest.approx(1.42, rel=1e-6)
    assert left(best, problem) < 1e-6


def test_reductions_of_negative_columns_have_values() -> None:
    for function in (lambda a, b, c: torch.cos(a * torch.sqrt(-b)) + c, lambda a, b, c: a * torch.sqrt(-b) * c):
        x = random(1500, 3)
        x[:, 1] *= -1
        found = [one for one in seen(table(x, function)) if one.violation < 0.02]
        assert all(bool(torch.isfinite(one.columns).all()) for one in found)
        assert all(one.factor is None or bool(torch.isfinite(one.factor).all()) for one in found)


def test_the_way_back_from_a_smaller_table() -> None:
    problem = table(random(50, 3, low=-3.0, high=-1.0), lambda a, b, c: a * b / c)
    turned = Reduction(0.0, problem.x[:, :1] * problem.x[:, 1:2], [a * b], problem.x[:, 2] ** 3, c**3, "")
    child = problem.reduced(turned)
    again = child.reduced(Reduction(0.0, child.x**2, [child.symbols[0] ** 2], child.x[:, 0], child.symbols[0], ""))
    (u,), (v,) = child.symbols, again.symbols
    assert child.lift(sympy.exp(u)) == c**3 * sympy.exp(a * b)
    assert again.lift(sympy.exp(v)) == c**3 * a * b * sympy.exp(a**2 * b**2)
    torch.testing.assert_close(again.y * problem.x[:, 2] ** 3 * child.x[:, 0], problem.y)
    # An error of the small table's target is one of the original target, times this.
    torch.testing.assert_close(again.weight, (problem.x[:, 2] ** 3 * child.x[:, 0]).abs())
    assert len(again.notes) == 2


def test_reductions_are_found_by_trying() -> None:
    problem = table(random(1200, 3), lambda a, b, c: c**2 * torch.cos(3 * (a - b)))
    surrogate = fit_surrogate(problem.x, problem.y, problem.weight, problem.spread)
    found = checked(verified_reductions(problem, surrogate, soon()), problem)
    assert any(one.factor_expression == c**2 and one.expressions == [a, b] for one in found)
    assert all(left(one, problem) < 1.2 * surrogate.error for one in found)
    # Without a column that clears so much, pairs are tried too.
    problem = table(random(1200, 3), lambda a, b, c: torch.cos(3 * (a - b)) * torch.sin(4 * c) + c)
    surrogate = fit_surrogate(problem.x, problem.y, problem.weight, problem.spread)
    found = checked(verified_reductions(problem, surrogate, soon()), problem)
    assert any(one.expressions == [a - b, c] for one in found)
    assert not any(one.expressions == [a + b, c] for one in found)
    assert verified_reductions(problem, surrogate, Deadline(0)) == []


def test_the_few_columns_that_matter_are_found_among_many() -> None:
    problem = table(random(1500, 8), lambda *x: torch.exp(x[6] / 3) * x[2])
    reach = torch.tensor([1e-9, 2e-9, 0.6, 1e-9, 3e-9, 1e-9, 0.7, 1e-9])
    (found,) = checked(
        leading_columns(
            problem, fit_surrogate(problem.x, problem.y, problem.weight, problem.spread).error, reach, soon()
        ),
        problem,
    )
    assert found.expressions == [problem.symbols[2], problem.symbols[6]]
    y = torch.randn(1500, dtype=DOUBLE, generator=torch.Generator().manual_seed(0))
    noise = Subproblem(problem.x, y, problem.weight, problem.symbols, 1.0, problem.lift)
    assert leading_columns(noise, 1e-3, reach, soon()) == []


@pytest.mark.parametrize(
    ("function", "column"),
    [
        (lambda a, b, c: torch.sin(20 * a * b / c), a * b / c),
        (lambda a, b, c: torch.sin(20 * (a - b + c)), a - b + c),
        (lambda a, b, c: torch.sin(7 * (a**2 + b**2 - c**2)), a**2 + b**2 - c**2),
    ],
)
def test_a_lively_function_of_one_product_or_sum_is_seen(function: Callable[..., Tensor], column: sympy.Expr) -> None:
    problem = table(random(3000, 3, high=2.0), function)
    found = checked(list(ridges(problem.x, problem.y, problem.symbols)), problem)
    assert [found[0].expressions] == [[column]]
    assert list(ridges(problem.x, torch.randn(3000, dtype=DOUBLE), problem.symbols)) == []


def test_fast_waves_are_found_below_noise_but_not_in_it() -> None:
    x = torch.linspace(0, 1, 200, dtype=DOUBLE)[:, None]
    noise = torch.randn(200, generator=torch.Generator().manual_seed(1), dtype=DOUBLE)
    assert not list(_fast_waves(table(x, lambda a: a + 0.05 * noise), soon()))
    wave = table(x, lambda a: 2 * torch.sin(300 * a + 1) + a)
    best = min(_fast_waves(wave, soon()), key=lambda guess: guess.error)
    assert error(best, wave) < 1e-6 and error(best, wave) == pytest.approx(best.error, abs=1e-9)
    assert list(_fast_waves(table(x, lambda a: torch.sin(300 * a) + 0.5 * noise), soon()))
