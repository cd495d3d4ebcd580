"""Error against complexity: the same weights in both regimes, and what they are derived from."""

from __future__ import annotations

import math

import pytest

from superpose.formulas import selection
from superpose.formulas.selection import FLOORS, WEIGHTS


def test_a_node_must_lower_the_squared_error_by_its_weight() -> None:
    gain = 10 ** (-WEIGHTS.node / 2)
    assert selection.score(0.1, 5) < selection.score(0.1001 * gain, 6) < selection.score(0.1, 6)
    assert selection.score(0.0999 * gain, 6) < selection.score(0.1, 5)


@pytest.mark.parametrize("floor", [FLOORS.rounding, FLOORS.exact])
def test_below_the_floor_the_simpler_formula_is_better_and_no_error_is_infinite(floor: float) -> None:
    assert selection.score(0.0, 5, floor=floor) == selection.score(floor / 2, 5, floor=floor)
    assert selection.score(floor / 2, 5, floor=floor) < selection.score(0.0, 6, floor=floor)
    assert selection.score(math.inf, 5) == math.inf


def test_without_noise_a_node_weighs_what_it_does_in_174_rows_of_noise() -> None:
    def decades(nodes: float) -> float:
        return selection.description_length(selection.gaussian(0.1, 174), nodes, 0, 174) / (174 * math.log(10))

    assert decades(7) - decades(6) == pytest.approx(WEIGHTS.node, rel=0.01)
    assert decades(6) - 6 * WEIGHTS.node == pytest.approx(selection.score(0.1, 0), rel=0.01)


def test_more_rows_of_noise_tell_smaller_differences_apart() -> None:
    def length(error: float, nodes: int, rows: int) -> float:
        return selection.description_length(selection.gaussian(error, rows), nodes, 2, rows)

    assert length(0.1, 5, 1000) < length(0.0995, 9, 1000)
    assert length(0.1, 5, 10_000) > length(0.0995, 9, 10_000)


def test_a_constant_costs_the_logarithm_of_the_rows_and_functions_and_splines_count_as_nodes() -> None:
    assert selection.description_length(0.0, 0, 3, 500) == pytest.approx(3 * math.log(500))
    assert selection.class_description_length(10.0, 3, 500) == pytest.approx(10 + 3 * math.log(500))
    assert selection.size(5, functions=2, splines=1) == 5 + 2 * WEIGHTS.function + WEIGHTS.spline
    assert selection.class_size(3, 1) > selection.class_size(5, 0)


def test_constants_cost_more_where_rows_are_few() -> None:
    costs = [selection.constants_cost(3, rows) for rows in (5, 6, 12, 600)]
    assert costs == [float("inf"), pytest.approx(46), pytest.approx(6 + 40 / 7), pytest.approx(3 * math.log(600))]
    assert selection.constants_cost(0, 10) < selection.constants_cost(1, 10) < selection.constants_cost(2, 10)
