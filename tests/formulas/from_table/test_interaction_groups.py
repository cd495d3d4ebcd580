"""Groups of columns that stand in different terms, or factors, of a law of many columns and few rows."""

from __future__ import annotations

import pytest
import sympy
import torch
from torch import Tensor

from superpose.data import Dataset
from superpose.deadline import Deadline
from superpose.formulas import find_laws
from superpose.formulas.from_table.backfitting import Backfitting
from superpose.formulas.from_table.interaction_groups import group_splits, interaction_groups
from superpose.formulas.from_table.subproblem import Subproblem

DOUBLE = torch.float64


def table(rows: int, columns: int, seed: int) -> Tensor:
    return 0.5 + 2 * torch.rand(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


def problem_of(x: Tensor, y: Tensor) -> Subproblem:
    symbols = [sympy.Symbol(f"x{n}", real=True) for n in range(x.shape[1])]
    return Subproblem(x, y, torch.ones_like(y), symbols, float(y.std()), lambda inner: inner)


def four_terms(x: Tensor) -> Tensor:
    return x[:, 0] * x[:, 2] / x[:, 5] + x[:, 1].cos() - 2 * x[:, 4] * x[:, 6] ** 2


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("rows", [150, 400])
def test_columns_that_interact_are_one_group_and_idle_ones_are_in_none(rows: int, seed: int) -> None:
    x = table(rows, 8, seed)
    assert interaction_groups(x, four_terms(x)) == [[0, 2, 5], [1], [4, 6]]


def test_noise_and_columns_of_two_values_make_no_pairs() -> None:
    x = table(300, 6, 0)
    x[:, 2:4] = (x[:, 2:4] > 1.5).double()
    noise = torch.randn(300, generator=torch.Generator().manual_seed(1), dtype=DOUBLE)
    assert interaction_groups(x, noise) == []
    assert interaction_groups(x, x[:, 0] * x[:, 2] + 3 * x[:, 3] + 0.01 * noise) == [[0, 2], [3]]


def test_few_rows_and_one_value_say_nothing() -> None:
    x = table(10, 8, 0)
    assert interaction_groups(x, four_terms(x)) == []
    assert interaction_groups(table(100, 4, 0), torch.ones(100, dtype=DOUBLE)) == []


def test_the_part_of_each_group_is_the_term_but_for_noise_and_a_constant() -> None:
    x = table(400, 8, 0)
    found = group_splits(problem_of(x, four_terms(x)), 1.0)
    assert [split.places for split in found] == [(1,), (4, 6), (0, 2, 5)]
    term = -2 * x[:, 4] * x[:, 6] ** 2
    offset = found[1].values - term
    assert float(offset.std()) < 0.03 * float(term.std())


def test_factors_are_seen_in_the_logarithm() -> None:
    x = table(400, 6, 0)
    y = (x[:, 0] + x[:, 3]) * (1 + x[:, 1] * x[:, 4]).sqrt() / x[:, 5].exp()
    factors = group_splits(problem_of(x, y), 1.0, product=True)
    assert all(split.product for split in factors)
    assert [split.places for split in factors] == [(5,), (0, 3), (1, 4)]
    ratio = factors[1].values / (x[:, 0] + x[:, 3])
    assert float(ratio.std() / ratio.mean()) < 0.03


def test_parts_that_err_more_than_one_surrogate_of_all_columns_are_none() -> None:
    x = table(400, 8, 0)
    assert group_splits(problem_of(x, four_terms(x)), 1e-6) == []


@pytest.mark.usefixtures("counted_time")
def test_terms_that_polynomials_blur_are_found_one_after_another() -> None:
    """The pair of a product with a sine is too weak to be seen beside a quotient that polynomials miss."""
    x = table(200, 8, 2)
    y = x[:, 0] * x[:, 2].sin() + 2 * x[:, 1] * x[:, 3] / x[:, 5] - x[:, 4] * x[:, 6] ** 2 + x[:, 7].exp()
    assert [0, 2] not in interaction_groups(x, y)
    data = Dataset.from_arrays(x, y, feature_names=[f"x{n}" for n in range(8)])
    result = find_laws(data, time_limit=40)
    assert result.best is not None and result.best.error < 1e-12


def test_terms_that_are_not_found_give_no_sum() -> None:
    x = table(400, 8, 0)
    problem = problem_of(x, four_terms(x))
    terms = Backfitting(problem, group_splits(problem, 1.0), lambda *table: None, Deadline())
    assert terms.run() is None and terms.found == {}


def test_a_term_that_is_not_right_is_searched_for_again_in_what_the_others_leave() -> None:
    x = table(400, 8, 0)
    problem = problem_of(x, four_terms(x))
    seen = []

    def solve(
        columns: Tensor, values: Tensor, symbols: list[sympy.Symbol], enough: float, deadline: Deadline
    ) -> tuple[sympy.Expr, float]:
        names = [str(symbol) for symbol in symbols]
        seen.append(names)
        if names == ["x1"]:
            return sympy.cos(symbols[0]), 1e-3
        if names == ["x4", "x6"]:
            return -2 * symbols[0] * symbols[1] ** 2, 1e-3
        if seen.count(names) == 1:
            return symbols[0] * symbols[1], 1e-3
        truth = columns[:, 0] * columns[:, 1] / columns[:, 2]
        # The other terms keep their form, so that what they leave is nearly exact.
        assert float((values - truth).std()) < 2e-3 * float(truth.std())
        return symbols[0] * symbols[1] / symbols[2], 1e-12

    whole = Backfitting(problem, group_splits(problem, 1.0), solve, Deadline()).run()
    assert whole is not None and whole.error < 1e-12
    assert seen == [["x1"], ["x4", "x6"], ["x0", "x2", "x5"], ["x0", "x2", "x5"]]
