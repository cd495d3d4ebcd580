"""search: the right shape, the budget, the front, time, wrong options."""

from __future__ import annotations

import itertools
import math
import time
from typing import Any

import pytest
import torch
from torch import Tensor

from helpers import is_one_sentence
from superpose._errors import DataError, OptionError
from superpose.data import Dataset
from superpose.train import SearchResult, search

DOUBLE = torch.float64


def points(count: int, inputs: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(count, inputs, generator=generator, dtype=DOUBLE) - 1


def product(count: int = 400, noise: float = 0.0) -> Dataset:
    x = points(count, 2)
    y = x.prod(1) + noise * torch.randn(count, generator=torch.Generator().manual_seed(9), dtype=DOUBLE)
    return Dataset.from_arrays(x, y)


SMALL: dict[str, Any] = {"shapes": [(), (1,), (2,)], "time_limit": 4}


def rmse(found: SearchResult, data: Dataset) -> float:
    x, y = data.rows("test")
    with torch.no_grad():
        return float((found.model(x) - y).square().mean().sqrt())


def test_a_product_needs_two_hidden_nodes() -> None:
    data = product()
    found = search(data, **SMALL)
    assert found.model.widths == [2, 2, 1] and rmse(found, data) < 1e-3


@pytest.fixture
def processor_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time limits that mean the same on a busy machine."""
    monkeypatch.setattr(time, "monotonic", time.process_time)


@pytest.mark.usefixtures("processor_time")
def test_a_product_node_is_found_where_the_function_is_a_product() -> None:
    x = points(600, 2)
    data = Dataset.from_arrays(x, torch.sin(3 * x[:, 0]) * torch.exp(x[:, 1]))
    found = search(data, shapes=[(), (2,), ((0, [2]),)], time_limit=3)
    assert found.model.shape == [2, [0, [2]], 1] and rmse(found, data) < 1e-6
    assert (2, [0, [2]], 1) in [one.shape for one in found.front]


def test_shapes_are_compared_at_as_many_constants() -> None:
    x = points(900, 2)
    found = search(Dataset.from_arrays(x, torch.sin(9 * x[:, 0])), shapes=[(), (3,)], time_limit=4)
    grids = [one.grid_size for one in itertools.takewhile(lambda one: one.shape == (2, 1), found.tried)]
    # Two edges of 80 intervals have fewer constants than nine of 20.
    assert grids == [5, 10, 20, 40, 80]


@pytest.mark.usefixtures("processor_time")
def test_of_several_degrees_the_best_is_taken() -> None:
    x = points(400, 2)
    data = Dataset.from_arrays(x, torch.exp(torch.sin(3 * x[:, 0]) + x[:, 1] ** 2))
    found = search(data, shapes=[(1,)], degree=(2, 5), time_limit=2)
    assert {layer.degree for layer in found.model.kan_layers()} == {5}
    first, *_ = found.tried
    assert first.parameters == 3 * (5 + 2 + 1)


@pytest.mark.parametrize(("features", "degree"), [(1, 5), (3, 3)])
def test_smooth_functions_of_few_features_get_quintic_splines(features: int, degree: int) -> None:
    x = points(300, features)
    found = search((x, torch.sin(4 * x[:, :1])), shapes=[()], time_limit=3)
    assert {layer.degree for layer in found.model.kan_layers()} == {degree}


def test_noise_is_reached_by_the_smallest_network_that_reaches_it() -> None:
    x = points(3000, 2)
    noise = 0.1 * torch.randn(3000, generator=torch.Generator().manual_seed(9), dtype=DOUBLE)
    data = Dataset.from_arrays(x, torch.sin(3 * x[:, 0]) + x[:, 1] ** 2 + noise)
    found = search(data, **SMALL | {"time_limit": 20})
    assert found.model.widths == [2, 1]
    assert 0.08 < rmse(found, data) < 0.13


def test_the_front_falls_as_networks_grow_and_nothing_tried_lies_below_it() -> None:
    found = search(product(), **SMALL)
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
    assert found.reason == "the time was over" and found.history.interrupted is False
    assert found.seconds < 10 and math.isfinite(rmse(found, data))


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
    first, again = (search(product(200), shapes=[(), (2,)], seed=4, time_limit=3) for _ in range(2))
    # As far as both came: what time cuts short may differ.
    both = list(zip(first.tried, again.tried, strict=False))[:-1]
    assert len(both) >= 3
    for one, other in both:
        assert (one.shape, one.validation_rmse) == (other.shape, other.validation_rmse)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"parameters": 0}, "parameters must be a whole number"),
        ({"parameters": 2.5}, "parameters must be a whole number"),
        ({"time_limit": 0}, "time_limit must be a positive"),
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
