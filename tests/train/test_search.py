"""search: the right shape, the budget, the front, time, wrong options."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from helpers import HELD_OUT, is_one_sentence
from superpose.data import Dataset
from superpose.errors import DataError, OptionError
from superpose.stopping import StopReason
from superpose.train import SearchResult, search

DOUBLE = torch.float64


def points(count: int, inputs: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(count, inputs, generator=generator, dtype=DOUBLE) - 1


def product(count: int = 400, noise: float = 0.0) -> Dataset:
    x = points(count, 2)
    y = x.prod(1) + noise * torch.randn(count, generator=torch.Generator().manual_seed(9), dtype=DOUBLE)
    return Dataset.from_arrays(x, y, **HELD_OUT)


# Steps and not seconds end these searches: at the same place on every machine.
FOREVER = 1e6
SMALL: dict[str, Any] = {"shapes": [(), (1,), (2,)], "steps": 420, "time_limit": FOREVER}


def rmse(found: SearchResult, data: Dataset) -> float:
    x, y = data.rows("test")
    with torch.no_grad():
        return float((found.model(x) - y).square().mean().sqrt())


@pytest.fixture(scope="module")
def of_a_product() -> SearchResult:
    return search(product(), **SMALL)


def test_a_product_needs_two_hidden_nodes(of_a_product: SearchResult) -> None:
    assert of_a_product.model.widths == [2, 2, 1] and rmse(of_a_product, product()) < 1e-3


def test_a_product_node_is_found_where_the_function_is_a_product() -> None:
    x = points(300, 2)
    data = Dataset.from_arrays(x, torch.sin(3 * x[:, 0]) * torch.exp(x[:, 1]), **HELD_OUT)
    found = search(data, shapes=[(), (2,), ((0, [2]),)], steps=400, time_limit=FOREVER)
    # No network of as many constants comes as near, and what it learns is the function to six digits.
    errors = [one.validation_rmse for one in found.front if one.shape == (2, [0, [2]], 1)]
    assert len(errors) > 1 and min(errors) < 1e-5
    assert rmse(found, data) < 1e-5


def test_shapes_are_compared_at_as_many_constants() -> None:
    x = points(900, 2)
    found = search(Dataset.from_arrays(x, torch.sin(9 * x[:, 0])), shapes=[(), (3,)], steps=150, time_limit=FOREVER)
    grids = [one.grid_size for one in itertools.takewhile(lambda one: one.shape == (2, 1), found.tried)]
    # Two edges of 80 intervals have fewer constants than nine of 20.
    assert grids == [5, 10, 20, 40, 80]


def test_of_several_degrees_the_best_is_taken() -> None:
    x = points(200, 2)
    data = Dataset.from_arrays(x, torch.exp(torch.sin(3 * x[:, 0]) + x[:, 1] ** 2), **HELD_OUT)
    found = search(data, shapes=[(1,)], degree=(2, 5), steps=250, time_limit=FOREVER)
    assert {layer.degree for layer in found.model.kan_layers()} == {5}
    first, *_ = found.tried
    assert first.parameters == 3 * (5 + 2 + 1)


@pytest.mark.parametrize(("features", "degree"), [(1, 5), (3, 3)])
def test_smooth_functions_of_few_features_get_quintic_splines(features: int, degree: int) -> None:
    x = points(300, features)
    found = search((x, torch.sin(4 * x[:, :1])), shapes=[()], time_limit=FOREVER)
    assert {layer.degree for layer in found.model.kan_layers()} == {degree}


def test_noise_is_reached_by_the_smallest_network_that_reaches_it() -> None:
    x = points(3000, 2)
    noise = 0.1 * torch.randn(3000, generator=torch.Generator().manual_seed(9), dtype=DOUBLE)
    data = Dataset.from_arrays(x, torch.sin(3 * x[:, 0]) + x[:, 1] ** 2 + noise)
    found = search(data, **SMALL | {"steps": 600})
    assert found.stop is StopReason.CONVERGED and found.model.widths == [2, 1]
    assert 0.08 < rmse(found, data) < 0.13


def test_the_front_falls_as_networks_grow_and_nothing_tried_lies_below_it(of_a_product: SearchResult) -> None:
    found = of_a_product
    front = found.front
    for smaller, larger in itertools.pairwise(front):
        assert smaller.parameters < larger.parameters and smaller.validation_rmse > larger.validation_rmse
    for one in found.tried:
        assert any(f.parameters <= one.parameters and f.validation_rmse <= one.validation_rmse for f in front)
        assert math.isfinite(one.test_rmse)
    assert {one.shape for one in found.tried} >= {(2, 1), (2, 1, 1), (2, 2, 1)}
    assert found.model.parameter_count() in {one.parameters for one in found.tried}


def test_no_network_has_more_constants_than_the_budget() -> None:
    found = search(product(), parameters=80, **SMALL)
    assert found.model.parameter_count() <= 80 and all(one.parameters <= 80 for one in found.tried)
    with pytest.raises(OptionError, match="no network fits into 5 parameters") as caught:
        search(product(), parameters=5, **SMALL)
    assert is_one_sentence(str(caught.value))


def test_time_ends_a_search_and_what_was_found_is_kept() -> None:
    data = product()
    found = search(data, time_limit=0.3)
    assert found.stop is found.history.stop is StopReason.TIME_LIMIT and not found.history.interrupted
    assert math.isfinite(rmse(found, data))


def test_steps_end_a_search_at_the_same_place_on_every_machine() -> None:
    data = product()
    for most in (3, 7):
        # Without hidden layers there is one start, and each step leaves a record.
        found = search(data, shapes=[()], steps=most, time_limit=FOREVER)
        assert found.stop is StopReason.STEP_BUDGET and math.isfinite(rmse(found, data))
        assert sum(record.event == "" for record in found.history.records) == most


def test_a_search_whose_time_is_over_at_once_gives_a_model() -> None:
    found = search(product(), shapes=[(2,)], time_limit=1e-6)
    assert found.reason == "the time was over" and math.isfinite(found.history.validation_rmse)


def test_an_interruption_keeps_the_best_so_far() -> None:
    def interrupt(event: str) -> None:
        if event.startswith("[2, 2, 1]"):
            raise KeyboardInterrupt

    found = search(product(), listener=interrupt, **SMALL)
    assert found.history.interrupted and found.reason.startswith("interrupted") and is_one_sentence(found.reason)
    assert len(found.tried) >= 4


def test_searches_repeat_from_their_seed(untouched_globals: None) -> None:
    first, again = (search(product(200), shapes=[(), (2,)], seed=4, steps=120, time_limit=FOREVER) for _ in range(2))
    assert len(first.tried) >= 2 and first.tried == again.tried and first.reason == again.reason
    for one, other in zip(first.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"parameters": 0}, "parameters must be a whole number"),
        ({"parameters": 2.5}, "parameters must be a whole number"),
        ({"time_limit": 0}, "time_limit must be a positive"),
        ({"steps": 0}, "steps must be a whole number"),
        ({"shapes": []}, "shapes is empty"),
        ({"shapes": [(0,)]}, "whole numbers of at least 1"),
        ({"shapes": [5]}, "whole numbers of at least 1"),
        ({"shapes": ["ab"]}, "whole numbers of at least 1"),
        ({"shapes": [((0, []),)]}, "whole numbers of at least 1"),
        ({"shapes": [((1, [0]),)]}, "whole numbers of at least 1"),
        ({"degree": ()}, "degree is empty"),
        ({"degree": (3, 9)}, "degree must be"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"degree": 9}, "degree must be"),
    ],
)
def test_wrong_options_give_one_sentence(options: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words) as caught:
        search(product(40), **options)
    assert is_one_sentence(str(caught.value))


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(DataError, match="pair of arrays"):
        search(points(10, 2))  # type: ignore[arg-type]
