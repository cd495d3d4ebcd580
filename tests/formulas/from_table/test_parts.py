"""The parts of the search for laws: surrogates, symmetries, subsets, outer functions."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sympy
import torch

from superpose.deadline import Deadline
from superpose.formulas.expressions.constants import ConstantFit
from superpose.formulas.expressions.rewrite import complexity
from superpose.formulas.from_table.exponential_sums import exponential_sums
from superpose.formulas.from_table.latent_sums import latent_sums
from superpose.formulas.from_table.outer_functions import outer_functions
from superpose.formulas.from_table.residual_structure import structure
from superpose.formulas.from_table.simplification import _by_ratios, _is_usable, simplified
from superpose.formulas.from_table.splits import splits, without
from superpose.formulas.from_table.subproblem import Subproblem
from superpose.formulas.from_table.surrogate import Surrogate, fit_surrogate
from superpose.formulas.from_table.symmetries import reductions
from superpose.formulas.subsets import best_subsets
from superpose.nn.symbolic_functions import torch_function

DOUBLE = torch.float64


def random(*shape: int, seed: int = 0, low: float = 1.0, high: float = 3.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(*shape, generator=generator, dtype=DOUBLE)


@pytest.mark.parametrize("kind", ["x", "log", "square", "inverse"])
def test_a_stand_in_has_the_values_and_derivatives_of_the_function(kind: str) -> None:
    x = random(1500, 2)
    inside = 1 + x[:, 0] * x[:, 1] ** 2
    slopes = torch.stack([x[:, 1] ** 2, 2 * x[:, 0] * x[:, 1]], -1)
    y, factor = {
        "x": (inside, torch.ones_like(inside)),
        "log": (-inside.exp() / 1e4, -inside.exp() / 1e4),
        "square": (inside.sqrt(), 0.5 / inside.sqrt()),
        "inverse": (1 / inside, -1 / inside**2),
    }[kind]
    surrogate = fit_surrogate(x, y, torch.ones_like(y), float(y.std()))
    values, gradient = surrogate.gradient(x)
    assert surrogate.error < 1e-6
    torch.testing.assert_close(values, y, rtol=1e-5, atol=1e-5 * float(y.abs().max()))
    torch.testing.assert_close(values, surrogate.values(x))
    wanted = slopes * factor[:, None]
    torch.testing.assert_close(gradient, wanted, rtol=1e-3, atol=1e-4 * float(wanted.abs().max()))


def test_three_terms_are_found_of_which_none_two_are_the_best_pair() -> None:
    p, q = random(800, seed=1, low=0.2, high=5.0), random(800, seed=2, low=0.2, high=5.0)
    y = (p + q) / (1 + p * q)
    columns = [torch.ones_like(p)] + [p**i * q**j for i in range(-2, 4) for j in range(-2, 4) if i or j]
    matrix = torch.stack([*columns, *(y * column for column in columns[1:])], -1)
    found = best_subsets(matrix, y, float(y.std()), most=3)
    assert min(subset.error for subset in found) < 1e-12
    assert min(subset.error for subset in found if len(subset.columns) == 2) > 1e-2


def test_symmetries_are_seen() -> None:
    x = random(2000, 4)
    symbols = list(sympy.symbols("a b c d", real=True))
    a, b, c, d = symbols
    y = x[:, 3] * torch.exp(-((x[:, 0] - x[:, 1]) ** 2)) * x[:, 2] ** 2
    surrogate = fit_surrogate(x, y, torch.ones_like(y), float(y.std()))
    found = sorted(reductions(x, symbols, x[:500], *surrogate.gradient(x[:500])), key=lambda r: r.violation)
    good = [reduction for reduction in found if reduction.violation < 10 * surrogate.error + 1e-3]
    assert any(reduction.expressions[0] in (a - b, b - a) for reduction in good)
    assert any(
        reduction.factor is not None and {c, d} <= reduction.factor_expression.free_symbols for reduction in good
    )
    for reduction in good:
        assert reduction.columns.shape[1] < 4


def test_every_outer_function_undoes_what_it_says() -> None:
    y = random(200, low=0.05, high=0.9)
    u = sympy.Symbol("u", real=True)
    names = []
    for outer in outer_functions(y):
        names.append(outer.name)
        rows = y if outer.rows is None else y[outer.rows]
        function = sympy.lambdify(u, outer.outside(u), "numpy")
        torch.testing.assert_close(torch.as_tensor(function(outer.values.numpy()), dtype=DOUBLE), rows)
    assert {"x", "exp", "log", "sqrt", "1/x", "arcsin", "arccos", "tanh", "sin"} <= set(names)


def test_forms_that_torch_cannot_evaluate_are_passed_over() -> None:
    x = sympy.Symbol("x", real=True)
    points = random(100, 1, low=0.5, high=1.0)
    problem = ConstantFit((x,), points, 1 / points[:, 0].tan(), {})
    assert not _is_usable(sympy.cot(x), problem) and not _is_usable(sympy.sqrt(-x), problem)
    assert _is_usable(1 / sympy.tan(x), problem)
    found = simplified(sympy.cos(x) / sympy.sin(x), problem)
    assert found.error < 1e-20 and not found.expression.has(sympy.cot)


def curve(x: torch.Tensor, y: torch.Tensor) -> Subproblem:
    symbol = sympy.Symbol("u", real=True)
    return Subproblem(x[:, None], y, torch.ones_like(y), [symbol], float(y.std()), lambda inner: inner)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: 2 * torch.exp(-0.4 * x) * torch.cos(3 * x + 1),
        lambda x: torch.exp(-x) - torch.exp(-3 * x),
        lambda x: x**2 + torch.cos(9 * x),
        lambda x: torch.cos(4 * x) + torch.cos(5 * x),
        lambda x: torch.exp(0.3 * torch.sin(4 * x)),
        lambda x: torch.cos(2 * x**2 + 1),
        lambda x: x**3.3 - 4 * x**1.7,
    ],
)
def test_rates_of_modes_come_from_the_curve(function: Callable[[torch.Tensor], torch.Tensor]) -> None:
    x = random(1500, low=0.1, high=5.0)
    problem = curve(x, function(x))
    assert min(guess.error for guess in exponential_sums(problem, Deadline())) < 1e-9


def test_noise_on_modes_leaves_their_rates() -> None:
    x = random(3000, low=0.0, high=8.0)
    y = torch.exp(-0.3 * x) * torch.cos(2.5 * x)
    noisy = y + 0.01 * random(3000, seed=5, low=-1.0, high=1.0)
    best = min(
        (guess for guess in exponential_sums(curve(x, noisy), Deadline()) if guess.size < 15),
        key=lambda guess: guess.error,
    )
    values = torch_function(best.expression, [sympy.Symbol("u", real=True)])(x)
    assert float((values - y).abs().max()) < 2e-3


@pytest.mark.parametrize(
    ("function", "wanted"),
    [
        (lambda a, b, c: torch.sin(a.exp() + torch.log(1 + b**2)), lambda a, b: sympy.exp(a) + sympy.log(1 + b**2)),
        (lambda a, b, c: c / (1 + a**3 - b.sqrt()) + c**2, lambda a, b: a**3 - sympy.sqrt(b)),
    ],
)
def test_two_columns_in_a_sum_under_an_unknown_function_become_one(
    function: Callable[..., torch.Tensor], wanted: Callable[..., sympy.Expr]
) -> None:
    x = random(3000, 3, low=0.5, high=1.5)
    a, b, c = sympy.symbols("a b c", real=True)
    leaves = x.clone().requires_grad_()
    y = function(*leaves.unbind(-1))
    (gradient,) = torch.autograd.grad(y.sum(), leaves)
    y = y.detach()
    problem = Subproblem(x, y, torch.ones_like(y), [a, b, c], float(y.std()), lambda inner: inner)
    (found,) = latent_sums(problem, x[:700], gradient[:700], Deadline())
    assert found.expressions[1:] == [c]
    # The same up to a factor and a constant.
    values = torch_function(found.expressions[0], [a, b])(x[:, 0], x[:, 1])
    truth = torch_function(wanted(a, b), [a, b])(x[:, 0], x[:, 1])
    assert abs(float(torch.corrcoef(torch.stack([values, truth]))[0, 1])) > 1 - 1e-9
    torch.testing.assert_close(found.columns[:, 0], values)


def test_no_sum_is_seen_where_there_is_none() -> None:
    x = random(3000, 2, low=0.5, high=1.5)
    a, b = sympy.symbols("a b", real=True)
    leaves = x.clone().requires_grad_()
    p, q = leaves.unbind(-1)
    y = torch.sin(2 * p * q) + p**2 * torch.exp(q - p)
    (gradient,) = torch.autograd.grad(y.sum(), leaves)
    y = y.detach()
    problem = Subproblem(x, y, torch.ones_like(y), [a, b], float(y.std()), lambda inner: inner)
    assert latent_sums(problem, x[:700], gradient[:700], Deadline()) == []


a_, b_ = sympy.symbols("a b", real=True)


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        (sympy.log(0.5 * sympy.sqrt(a_) + 0.5 * b_) + 0.69314718056, sympy.log(sympy.sqrt(a_) + b_)),
        (1.5 * (0.5 * a_ + 0.5 * sympy.exp(b_) - 1) ** 2 + 1.5 * (a_ + sympy.exp(b_)), None),
        (sympy.sqrt(a_**2 - 2 * a_ * b_ + b_**2 + 1), sympy.sqrt((a_ - b_) ** 2 + 1)),
        (a_ * sympy.sqrt(1 / (4 - b_)) / sympy.sqrt(4 + b_), a_ / sympy.sqrt(16 - b_**2)),
        (a_ * sympy.sqrt(4 + b_) * sympy.sqrt(1 / (4 - b_)), a_ * sympy.sqrt((4 + b_) / (4 - b_))),
    ],
)
def test_constants_go_where_they_are_plain(raw: sympy.Expr, plain: sympy.Expr | None) -> None:
    x = random(800, 2)
    y = torch_function(raw, [a_, b_])(*x.unbind(-1))
    found = simplified(raw, ConstantFit((a_, b_), x, y, {}))
    assert found.error < 1e-18
    if plain is None:
        # 1.5/4 (s - 2)^2 + 1.5 s = 3/8 s^2 + 3/2
        plain = 3 * (a_ + sympy.exp(b_)) ** 2 / 8 + sympy.Rational(3, 2)
    assert sympy.expand(found.expression - plain) == 0
    assert complexity(found.expression) <= complexity(plain) + 2


@pytest.mark.parametrize(
    ("raw", "truth"),
    [
        # Neither number of a sum is plain, their ratio is.
        (
            a_ / (6.2858 * sympy.exp(0.15909 * a_ * b_) - 6.2859),
            a_ / (2 * sympy.pi * (sympy.exp(a_ * b_ / 2 / sympy.pi) - 1)),
        ),
        (b_ / (-0.48852 + 0.48858 * a_**2) ** 2, 4 * sympy.pi * b_ / (3 * (a_**2 - 1) ** 2)),
        # With five constants, chance takes more than three standard errors of one.
        (
            1.002 * b_ / (-0.0032 * a_ + 1.004 * sympy.exp(0.9993 * a_) + sympy.exp(-1.0008 * a_)),
            b_ / (sympy.exp(a_) + sympy.exp(-a_)),
        ),
    ],
)
def test_noisy_constants_that_are_plain_together_become_plain(raw: sympy.Expr, truth: sympy.Expr) -> None:
    for seed in range(6):
        x = random(1500, 2, seed=seed, low=1.2)
        y = torch_function(truth, [a_, b_])(*x.unbind(-1))
        noise = torch.randn(len(y), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        found = simplified(raw, ConstantFit((a_, b_), x, y + 1e-3 * y.std() * noise, {}))
        assert sympy.simplify(found.expression / truth) == 1, (seed, found.expression)


def test_a_shift_by_a_quarter_turn_is_no_end() -> None:
    # SymPy makes tan(u + 7 pi/2) and 1/tan(u) a cot(u), which torch does not know.
    x = random(400, 2, low=0.3, high=0.8)
    for raw, truth in (
        (2.0 * sympy.tan(7.853981633974483 + 1.0 * a_), -2 / sympy.tan(a_)),
        (1 / sympy.tan(2.0 * a_) + 0.3 * b_, 1 / sympy.tan(2 * a_) + 3 * b_ / 10),
    ):
        y = torch_function(truth, [a_, b_])(*x.unbind(-1))
        found = simplified(raw, ConstantFit((a_, b_), x, y, {}))
        assert found.error < 1e-18 and found.expression == truth


def test_a_sum_by_its_largest_number_has_the_same_values() -> None:
    x = random(50, 2)
    for raw, ratios in (
        (a_ / (3.0 * a_ - 1.5 * b_) ** 2, {sympy.Float(-0.5)}),
        (a_ * sympy.sqrt(4.0 * a_ + 1.0 * b_**2) * (0.5 - 2.0 * a_), {sympy.Float(0.25), sympy.Float(-0.25)}),
        (a_ * (2 * a_ + b_), set()),
        (2.5 * a_ + b_, set()),
    ):
        made = _by_ratios(raw)
        values = [torch_function(form, [a_, b_])(*x.unbind(-1)) for form in (raw, made)]
        assert torch.allclose(*values, rtol=1e-12, atol=0)
        assert ratios <= made.atoms(sympy.Float)
        assert made == raw or ratios


def looked_at(
    function: Callable[..., torch.Tensor], *, low: float, high: float, count: int
) -> tuple[Subproblem, Surrogate]:
    x = random(3000, count, low=low, high=high)
    y = function(*x.unbind(-1))
    symbols = list(sympy.symbols("a b c d", real=True))[:count]
    problem = Subproblem(x, y, torch.ones_like(y), symbols, float(y.std()), lambda inner: inner)
    return problem, fit_surrogate(x, y, problem.weight, problem.spread)


def test_functions_of_different_columns_stand_apart() -> None:
    problem, surrogate = looked_at(
        lambda a, b, c, d: torch.sin(a * d) + torch.exp(b - c**2), low=0.2, high=1.2, count=4
    )
    (split,) = splits(problem, surrogate)
    assert split.places == (0, 3) and not split.product and split.error <= 1.1 * surrogate.error
    truth = torch.sin(problem.x[:, 0] * problem.x[:, 3])
    offset = split.values - truth
    assert float((offset - offset.mean()).abs().max()) < 1e-6
    a, b, c, d = problem.symbols
    left = without(problem, split, lambda *table: (sympy.sin(a * d), 1e-9), Deadline())
    assert left is not None and left.expressions == [b, c]
    child = problem.reduced(left)
    torch.testing.assert_close(child.y, problem.y - truth)
    assert child.lift(child.symbols[0] * child.symbols[1]) == sympy.sin(a * d) + b * c


def test_factors_of_different_columns_stand_apart() -> None:
    problem, surrogate = looked_at(lambda a, b, c: (2 + torch.sin(a * b)) * torch.exp(c**3), low=0.2, high=1.5, count=3)
    split = next(split for split in splits(problem, surrogate) if split.product)
    assert split.places == (2,)
    ratio = split.values / torch.exp(problem.x[:, 2] ** 3)
    torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio), rtol=1e-6, atol=0)
    left = without(problem, split, lambda *table: (sympy.exp(problem.symbols[2] ** 3), 1e-9), Deadline())
    assert left is not None
    torch.testing.assert_close(problem.reduced(left).y, problem.y / torch.exp(problem.x[:, 2] ** 3))


def test_nothing_stands_apart_in_a_composition() -> None:
    problem, surrogate = looked_at(lambda a, b, c: torch.sin(a * b + c) + a * c, low=0.2, high=1.2, count=3)
    assert list(splits(problem, surrogate)) == []


def test_a_constant_before_a_homogeneous_law_is_seen() -> None:
    problem, surrogate = looked_at(lambda a, b, c: 2.5 + c * torch.sin(a / b), low=0.5, high=1.5, count=3)
    points = problem.x[:500]
    found = [
        reduction
        for reduction in reductions(problem.x, problem.symbols, points, *surrogate.gradient(points))
        if reduction.term is not None and reduction.violation < 1e-4
    ]
    assert found
    for reduction in found:
        assert reduction.term is not None
        assert abs(float(reduction.term[0]) - 2.5) < 1e-3
        child = problem.reduced(reduction)
        values = torch_function(child.lift(sympy.Float(0.0) * child.symbols[0]), problem.symbols)(*problem.x.unbind(-1))
        torch.testing.assert_close(values.expand_as(problem.y), reduction.term)


def test_columns_that_cross_zero_are_no_units() -> None:
    problem, surrogate = looked_at(lambda a, b, c, d: (a + b) * (c + d), low=-1.0, high=1.0, count=4)
    points = problem.x[:500]
    found = list(reductions(problem.x, problem.symbols, points, *surrogate.gradient(points)))
    assert not any("units" in reduction.note for reduction in found)
    assert any(reduction.violation < 1e-9 and "as a sum" in reduction.note for reduction in found)


def test_residuals_that_jump_or_wave_are_no_noise() -> None:
    x = random(3000, 2, low=-1.0, high=1.0)
    waving = torch.sign(torch.sin(60 * x[:, 0]))
    noise = torch.randn(3000, generator=torch.Generator().manual_seed(3), dtype=DOUBLE)
    assert structure(x, waving, []) < 0.1 < 0.5 < structure(x, waving, [0])
    assert structure(x, noise, [0]) < 0.02 and structure(x, torch.zeros(3000, dtype=DOUBLE), [0]) == 0
    assert structure(x, noise + x[:, 0] * x[:, 1], []) > 0.02
