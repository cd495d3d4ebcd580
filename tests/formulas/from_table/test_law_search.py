"""The search for laws as a whole: what it keeps, when it ends, what it says of its end, and which rows it sees."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import sympy
import torch
from torch import Tensor

from superpose.data import Dataset
from superpose.deadline import Deadline
from superpose.formulas import Law, find_laws
from superpose.formulas.expressions import rewrite
from superpose.formulas.expressions.constants import ConstantFit
from superpose.formulas.from_table import law_search
from superpose.formulas.from_table.law_pool import LawPool
from superpose.formulas.from_table.law_ranking import front
from superpose.formulas.from_table.law_search import LawSearch
from superpose.formulas.from_table.laws import _measured
from superpose.formulas.from_table.simplification import simplified
from superpose.formulas.from_table.subproblem import Guess, Subproblem
from superpose.formulas.from_table.symmetries import Reduction
from superpose.nn.symbolic_functions import torch_function
from superpose.stopping import StopReason

# A limit of these searches is a number of steps, and most end when they have found what there is, long before.
pytestmark = pytest.mark.usefixtures("counted_time")
DOUBLE = torch.float64
LIMIT = 120.0
a, b = (sympy.Symbol(name, real=True) for name in "ab")


def random(*shape: int, seed: int = 0, low: float = 1.0, high: float = 3.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(*shape, generator=generator, dtype=DOUBLE)


def normal(count: int) -> Tensor:
    return torch.randn(count, generator=torch.Generator().manual_seed(1), dtype=DOUBLE)


def data(x: Tensor, y: Tensor) -> Dataset:
    return Dataset.from_arrays(x, y, feature_names=["a", "b"][: x.shape[1]])


def guess(expression: sympy.Expr, error: float, size: float = 5.0) -> Guess:
    return Guess(lambda: expression, error, "a guess", size)


@pytest.fixture
def noisy() -> LawPool:
    """y = a*b and noise of 0.01."""
    x = random(3000, 2)
    pool = LawPool(x, x[:, 0] * x[:, 1] + 0.01 * normal(3000), (a, b))
    pool.floor = 0.01 / pool.spread
    return pool


# -- when it ends


def test_a_law_is_enough_when_nothing_but_noise_is_left(noisy: LawPool) -> None:
    assert not noisy.found()
    for expression, enough in ((a * b, True), (a * b + 0.008 * sympy.sin(3 * a), False), (a * b + 0.05 * b, False)):
        values = torch_function(expression, (a, b), {})(*noisy.x.unbind(-1))
        error = float((values - noisy.y).square().mean().sqrt()) / noisy.spread
        noisy.laws = [Law(expression, error, "")]
        assert noisy.found() == enough
    # However little structure is left, a law that errs more than a surrogate is not enough.
    noisy.laws, noisy.floor = [Law(a * b, 0.01 / noisy.spread, "")], 0.005 / noisy.spread
    assert not noisy.found()


def test_no_time_is_no_law_and_says_so() -> None:
    x = random(200, 2)
    pool = LawPool(x, x[:, 0] * x[:, 1], (a, b))
    search = LawSearch(pool, Deadline(0))
    assert search.run() == "the time was over" and search.stop is StopReason.TIME_LIMIT and pool.laws == []


def test_what_is_left_to_explain_is_said() -> None:
    x = random(300, 2)
    found = find_laws(data(x, torch.maximum(x[:, 0] * x[:, 1], x[:, 0] + x[:, 1] ** 2 / 3)), time_limit=1)
    assert found.best is not None and found.best.error > 1e-3
    assert not found.complete and "residuals still show structure" in found.reason


@pytest.mark.parametrize("word", ["surrogate", "error"])
def test_interrupting_keeps_what_was_found(word: str) -> None:
    def interrupt(event: str) -> None:
        if word in event:
            raise KeyboardInterrupt

    x = random(400, 2)
    found = find_laws(data(x, x[:, 0] * x[:, 1] + torch.sin(9 * x[:, 0])), time_limit=LIMIT, listener=interrupt)
    assert found.interrupted and found.reason.startswith("interrupted")


def test_interrupting_later_leaves_a_law() -> None:
    seen = []

    def interrupt(event: str) -> None:
        seen.append(event)
        if sum("error" in one for one in seen) == 2:
            raise KeyboardInterrupt

    x = random(400, 2)
    found = find_laws(data(x, x[:, 0] * x[:, 1] + torch.sin(9 * x[:, 0])), time_limit=LIMIT, listener=interrupt)
    assert found.interrupted and found.best is not None and "interrupted" in found.reason


# -- what it keeps


def test_poor_guesses_wait_and_are_fitted_in_the_end(noisy: LawPool) -> None:
    noisy.consider([guess(2.0 * a, 0.5), guess(1.5 * a * b, 0.1)], 0.001, Deadline())
    assert noisy.laws == [] and len(noisy.postponed) == 2
    noisy.fit_postponed(1)
    (law,) = noisy.laws
    assert law.expression.free_symbols == {a, b} and law.error == pytest.approx(noisy.floor, rel=0.1)


def test_a_guess_is_fitted_once_and_without_values_not_at_all(noisy: LawPool) -> None:
    for _ in range(2):
        found = [guess(1.5 * a * b, 0.1), guess(sympy.log(-1.5 * a), 0.1), guess(sympy.gamma(1.5 * a), 0.1)]
        noisy.consider(found, 0.1, Deadline())
    assert len(noisy.laws) == 1


def test_simpler_laws_are_each_better_than_those_before(noisy: LawPool) -> None:
    noisy.laws = [Law(e, error, "") for e, error in
                  ((2 * a, 0.5), (a + b, 0.6), (a + b + 2, 0.2), (a * b + 0.01 * a + b, 0.001))]  # fmt: skip
    noisy.postponed = [guess(1.5 * a + 1.5 * b + 1.5, 0.1, 3.0)]
    found = noisy.simpler(noisy.laws[-1], 5)
    assert found[0].expression == 2 * a
    assert [law.error for law in found] == sorted((law.error for law in found), reverse=True)
    assert a + b not in [law.expression for law in found]
    assert len(noisy.simpler(noisy.laws[-1], 1)) == 1


def test_the_front_goes_from_simple_to_accurate() -> None:
    laws = [
        Law(e, error, "") for e, error in ((a * b + a, 0.1), (a, 0.5), (b, 0.6), (a * b * 2 + a + 1, 0.2), (a + 1, 0.3))
    ]
    best = laws[3]
    assert [law.expression for law in front(laws, best)] == [a, a + 1, a * b + a, best.expression]
    assert [law.expression for law in front(laws[:3], laws[0])] == [a, a * b + a]


def test_a_table_without_a_column_left_is_a_constant() -> None:
    x = random(300, 2)
    found = find_laws(data(x, 1.7 * x[:, 0] ** 3 / x[:, 1] ** 2), time_limit=LIMIT)
    assert found.best is not None and found.complete
    factor = found.best.expression * b**2 / a**3
    assert float(factor) == pytest.approx(1.7, rel=1e-12)


# -- which reductions it follows


def test_a_reduction_to_one_column_is_followed_though_larger_ones_seem_clearer(noisy: LawPool) -> None:
    x = random(300, 5)
    symbols = list(sympy.symbols("c:5", real=True))
    problem = Subproblem(x, x.prod(1), torch.ones(300, dtype=DOUBLE), symbols, 1.0, lambda inner: inner)

    def reduction(columns: int, violation: float) -> Reduction:
        kept = symbols[:columns]
        return Reduction(violation, x[:, :columns], kept, None, sympy.Integer(1), f"{columns} columns")

    found = [*(reduction(4, 1e-5 * n) for n in range(1, 7)), reduction(1, 1e-4)]
    # Violations below a tenth of the surrogate's error are equal, and each column counts a fifth of a decade.
    surrogate = SimpleNamespace(error=1e-4)
    following = LawSearch(noisy, Deadline())._children(problem, surrogate, found)  # type: ignore[arg-type]
    assert len(following) == law_search._LIMITS.children
    assert "1 columns" in [task.problem.notes[-1] for _, task in following]


# -- what it sees


def test_rows_of_the_test_are_not_looked_at() -> None:
    x = random(400, 2)
    table = data(x, 2 * x[:, 0] * x[:, 1])
    y = table.y.clone()
    y[table.test] = 1e6
    found = find_laws(replace(table, y=y), time_limit=LIMIT)
    assert found.best is not None and found.best.expression == 2 * a * b


def test_each_target_has_its_own_law() -> None:
    x = random(300, 2)
    table = data(x, torch.stack([x[:, 0] * x[:, 1], x[:, 0] / x[:, 1]], -1))
    for target, law in enumerate((a * b, a / b)):
        found = find_laws(table, time_limit=LIMIT, target=target)
        assert found.best is not None and found.best.expression == law


def test_sorted_rows_are_dealt_out_first() -> None:
    x = random(600, 2)
    x = x[x[:, 0].argsort()]
    found = find_laws(data(x, torch.exp(x[:, 0]) / x[:, 1]), time_limit=LIMIT)
    assert found.best is not None and found.best.expression == sympy.exp(a) / b


def test_units_that_are_chosen_lead_back() -> None:
    x = random(50, 2) * torch.tensor([2e-25, 30.0], dtype=DOUBLE)
    y = 1e9 * random(50, seed=5)
    columns, target, units = _measured(x, y, (a, b))
    for values in (columns[:, 0], target):
        assert 0.1 < float(values.abs().median()) < 10
    torch.testing.assert_close(columns[:, 1], x[:, 1])
    law = a + sympy.exp(b / 50)
    there = torch_function(law, (a, b), {})(*columns.unbind(-1))
    here = torch_function(units.restored(law), (a, b), {})(*x.unbind(-1))
    torch.testing.assert_close(here / y, there / target, rtol=1e-12, atol=0)


def test_constants_of_a_noisy_law_have_standard_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    # How long the search goes on for a simpler law is not what is asked.
    monkeypatch.setattr(law_search, "_LIMITS", replace(law_search._LIMITS, again=0.5))
    x = random(1000, 2)
    found = find_laws(data(x, 2.345 * x[:, 0] * x[:, 1] + 0.05 * normal(1000)), time_limit=8)
    assert found.best is not None
    (number,) = found.best.expression.atoms(sympy.Float)
    assert 0 < found.best.errors[float(number)] < 0.01
    assert abs(float(number) - 2.345) < 4 * found.best.errors[float(number)]


# -- how it is written


@pytest.mark.parametrize(
    ("law", "written"),
    [
        (1.5 * a**2 - 0.3333333333333333 * b, sympy.Rational(3, 2) * a**2 - b / 3),
        (0.503 * a**2 + 1.0 * b, 0.503 * a**2 + b),
        (sympy.sqrt(1.0 * a**2 * b + 2.0 * a**2), -a * sympy.sqrt(b + 2)),
        (1.0 * a * b + 1.0 * a * b**2 + 1.0 * a, a * (b**2 + b + 1)),
        (3.141592653589793 * a / b, sympy.pi * a / b),
        (
            2.0 * sympy.log((a**2 + 3.0 * b) / b) - 2.0 * sympy.log(1 + 5.0 * a**2 / b),
            2 * sympy.log((a**2 + 3 * b) / (5 * a**2 + b)),
        ),
        (b * sympy.sqrt(1 / (1.0 + 0.3 * a / b)), b / sympy.sqrt(1 + 0.3 * a / b)),
        (
            b * sympy.sqrt(1.0 + a**4 / b**2 - 2.0 * a**2 / b**3 + 1.0 / b**4),
            sympy.sqrt(b**2 + (a**2 - 1 / b) ** 2),
        ),
        # Two fractions that were found as one.
        ((2.0 * b**2 - 1.0 * a**2 + 1.0 * a * b) / (b**2 * (a - b)), 2 / (a - b) - a / b**2),
    ],
)
def test_a_law_is_written_as_a_person_would(law: sympy.Expr, written: sympy.Expr) -> None:
    x = random(400, 2)
    x[:, 0] *= -1
    y = torch_function(law, (a, b), {})(*x.unbind(-1))
    found = simplified(law, ConstantFit((a, b), x, y, {}))
    assert math.sqrt(found.error) < 1e-10
    apart = torch_function(found.expression - written, (a, b), {})(*x.unbind(-1))
    assert float(apart.abs().max()) < 1e-9 * float(y.abs().max())
    assert rewrite.complexity(found.expression) <= rewrite.complexity(written) + 1


def test_in_noise_a_spline_counts_as_what_it_takes() -> None:
    plain = Law(a * sympy.exp(b), 1.00e-2, "")
    spline = Law(a * sympy.Function("_spline_1", real=True)(b), 0.9999e-2, "")
    assert plain.description_length(8000) < spline.description_length(8000)
    # What errs by significantly less is likelier, however much it takes.
    assert replace(spline, error=0.9e-2).description_length(8000) < plain.description_length(8000)
