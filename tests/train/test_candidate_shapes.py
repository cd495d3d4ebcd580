"""Candidate shapes: their order, the time that they may take, and the choice among them."""

from __future__ import annotations

import pytest

from superpose.train.candidate_shapes import PROBE_SHAPE, SHAPES, in_order, smallest_near_best


@pytest.mark.parametrize("n_features", [1, 2, 3, 4, 8, 9])
def test_a_search_begins_without_hidden_layers_and_then_with_the_probe_for_some_numbers_of_inputs(
    n_features: int,
) -> None:
    first, second, *_ = SHAPES.of(n_features)
    assert first == ()
    assert (second == PROBE_SHAPE) == (n_features in SHAPES.probed)


def test_shapes_are_trained_in_their_order_without_those_that_are_left_out() -> None:
    trained = list(in_order([1, 2, 3, 4], lambda shape: None if shape == 2 else shape, lambda: False))
    assert trained == [1, 3, 4]


def test_one_network_is_trained_even_if_the_time_is_over() -> None:
    assert list(in_order([1, 2, 3], lambda shape: None if shape == 1 else shape, lambda: True)) == [2]


def test_no_shape_is_trained_after_the_caller_has_left_the_loop() -> None:
    trained: list[int] = []
    for network in in_order([1, 2, 3], lambda shape: trained.append(shape) or shape, lambda: False):
        if network == 2:
            break
    assert trained == [1, 2]


@pytest.mark.parametrize(("tolerance", "chosen"), [(1.0, (9, 1.0)), (1.2, (5, 1.1)), (3.0, (2, 2.0))])
def test_of_networks_near_the_least_error_the_smallest_is_chosen(tolerance: float, chosen: tuple[int, float]) -> None:
    networks = [(2, 2.0), (5, 1.1), (9, 1.0), (20, 1.05)]
    found = smallest_near_best(
        networks, lambda one: one[1], lambda one: one[0], lambda one, best: one[1] <= tolerance * best[1]
    )
    assert found == chosen
