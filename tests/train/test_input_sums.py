"""Combinations in which inputs enter: seen in slopes, computed by a first layer, used by the search."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from superpose import KAN, Dataset, KANLayer, fit
from superpose.train import input_layer, linear_combinations, search
from superpose.train.architecture_search import ArchitectureSearch
from superpose.train.budget import Budget
from superpose.train.run import Run
from superpose.train.settings import FitSettings
from superpose.train.trial import Architecture, Trial


def points(n: int, width: int, seed: int = 0) -> Tensor:
    return 2 * torch.rand(n, width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) - 1


def slopes_of(function: object, x: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    return torch.autograd.grad(function(x).sum(), x)[0]  # type: ignore[operator]


def test_weights_are_those_of_the_function() -> None:
    slopes = slopes_of(
        lambda x: torch.sin(2 * x[:, 1] - 3 * x[:, 3] + x[:, 4]) * x[:, 0] + x[:, 2] ** 3, points(500, 5)
    )
    sums = linear_combinations.detect(slopes, 1e-3)
    assert sums is not None
    assert [[i for i, _ in inputs] for inputs in sums] == [[0], [1, 3, 4], [2]]
    weights = torch.tensor([weight for _, weight in sums[1]])
    torch.testing.assert_close(weights, torch.tensor([2.0, -3.0, 1.0]) / 6)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x[:, 0] * x[:, 1] + x[:, 2],
        lambda x: torch.exp(x[:, 0]) * torch.sin(x[:, 1] + 1) + x[:, 2] ** 2,
        # Not a weighted sum, but close to one: the second column bends a little.
        lambda x: torch.sin(x[:, 0] + x[:, 1] + 0.15 * x[:, 1] ** 2) + x[:, 2] ** 2,
        lambda x: x[:, 0] ** 2 + 0 * x[:, 1] * x[:, 2],
        lambda x: 0 * x.sum(1),
    ],
)
def test_other_functions_have_none(function: object) -> None:
    assert linear_combinations.detect(slopes_of(function, points(500, 3)), 1e-3) is None


def test_a_network_with_errors_may_show_a_sum_less_clearly() -> None:
    slopes = slopes_of(lambda x: torch.sin(x[:, 0] - x[:, 1]), points(500, 2))
    wrong = slopes + 0.08 * torch.randn(slopes.shape, dtype=slopes.dtype, generator=torch.Generator().manual_seed(0))
    assert linear_combinations.detect(wrong, 1e-3) is None
    assert linear_combinations.detect(wrong, 0.05) is not None


def test_steep_places_do_not_decide() -> None:
    slopes = slopes_of(lambda x: torch.sin(x[:, 0] - x[:, 1]), points(500, 2))
    slopes[0] = 1e9
    sums = linear_combinations.detect(slopes, 0.05)
    assert sums is not None and sums[0][1][1] == pytest.approx(-0.5, abs=0.02)


def test_slopes_that_are_no_numbers_tell_nothing() -> None:
    slopes = slopes_of(lambda x: torch.sin(x[:, 0] - x[:, 1]), points(50, 2))
    slopes[3, 0] = torch.nan
    assert linear_combinations.detect(slopes, 0.1) is None


def test_the_layer_computes_the_sums_everywhere() -> None:
    layer = KANLayer(4, 2, dtype=torch.float64)
    input_layer.compute(layer, (((0, 0.25), (3, -0.75)), ((1, 0.5), (2, 0.5))))
    x = 10 * points(50, 4)
    expected = torch.stack([0.25 * x[:, 0] - 0.75 * x[:, 3], 0.5 * x[:, 1] + 0.5 * x[:, 2]], -1)
    torch.testing.assert_close(layer(x), expected)


def test_training_moves_all_weights_but_the_first_of_each_sum() -> None:
    x = points(300, 3)
    model = KAN([3, 2, 1], seed=0)
    input_layer.compute(model.layer(0), (((0, 0.5), (1, -0.5)), ((2, 1.0),)))
    fit(model, (x, torch.exp(x[:, :1] - 0.8 * x[:, 1:2]) + x[:, 2:] ** 2), starts=1, progress=False)
    table = model.layer(0).symbolic_table()
    scale = model.input_scale
    assert table[0, 0][1] == (1.0, 0.0, 0.5, 0.0)
    assert table[2, 1][1] == (1.0, 0.0, 1.0, 0.0)
    assert table[1, 0][1][2] / 0.5 == pytest.approx(float(-0.8 * scale[1] / scale[0]), rel=1e-5)
    assert set(table) == {(0, 0), (1, 0), (2, 1)}


def test_slopes_of_a_run_are_those_of_its_best_state() -> None:
    x = points(200, 2)
    model = KAN([2, 2], seed=0)
    y = torch.stack([x[:, 0] ** 2, torch.sin(x[:, 1])], -1)
    run = Run(model, Dataset.from_arrays(x, y), "lm", FitSettings(progress=False), None)
    run.run()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1
    before = [parameter.clone() for parameter in model.parameters()]
    slopes = run.tracker.gradients().reshape(2, -1, 2)
    inputs = run.data.rows("train")[0]
    inner = run.data.x_scale.scale[0] / run.data.y_scale.scale[0]
    torch.testing.assert_close(slopes[0, :, 0], 2 * inputs[:, 0] * inner, rtol=1e-3, atol=1e-3)
    assert float(slopes[0, :, 1].abs().max()) < 1e-3 > float(slopes[1, :, 0].abs().max())
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def differences(n: int = 300) -> tuple[Tensor, Tensor]:
    x = points(n, 4)
    return x, torch.exp(-((x[:, 0] - x[:, 1]) ** 2)) * (1 + x[:, 2] + 2 * x[:, 3])


def test_a_search_computes_sums_first_where_it_sees_them() -> None:
    heard: list[str] = []
    x = points(600, 4)
    y = torch.exp(-((x[:, 0] - x[:, 1]) ** 2)) + torch.sin(x[:, 2] + 2 * x[:, 3])
    found = search((x, y), steps=400, time_limit=1e6, listener=heard.append)
    assert "inputs that enter as one weighted sum: (x1, x2), (x3, x4)" in heard
    table = found.model.layer(0).symbolic_table()
    assert {edge: name for edge, (name, _) in table.items()} == dict.fromkeys([(0, 0), (1, 0), (2, 1), (3, 1)], "x")
    assert found.history.validation_rmse < 1e-4


@pytest.mark.parametrize(("error", "put_off"), [(0.05, True), (0.03, False)])
def test_sums_whose_network_is_far_worse_are_put_off(error: float, put_off: bool) -> None:
    search = ArchitectureSearch(
        Dataset.from_arrays(*differences(50)), ((1,),), None, Budget(), None, 0, True, lambda event: None
    )
    sums = (((0, 0.5), (1, -0.5)), ((2, 1.0),), ((3, 1.0),))
    (alone,) = search.waiting
    with_sums = [Architecture((4, 2), 3, sums), Architecture((2,), 3, sums)]
    search.waiting = [with_sums[1], alone]
    search.trials = [
        SimpleNamespace(architecture=alone, error=0.01),
        SimpleNamespace(architecture=with_sums[0], error=error),
    ]  # type: ignore[list-item]
    search._deprioritise()
    assert search.waiting == ([alone, with_sums[1]] if put_off else [with_sums[1], alone])


def test_shapes_that_are_named_are_tried_as_they_are() -> None:
    heard: list[str] = []
    found = search(differences(), shapes=[(2,), (3,)], steps=60, time_limit=1e6, listener=heard.append)
    assert all(layer.symbolic is None for layer in found.model.kan_layers())
    assert not any("sum" in event for event in heard)


def test_the_constants_of_a_form_are_counted_before_it_is_trained() -> None:
    sums = (((0, 0.5), (1, -0.25), (3, 0.25)), ((2, 1.0),))
    data = Dataset.from_arrays(*differences(100))
    for architecture, widths in ((Architecture((3,), 3, sums), [4, 2, 3, 1]), (Architecture((3,), 5), [4, 3, 1])):
        trial = Trial(architecture, data, 0, Budget())
        assert trial.run.model.widths == widths
        assert trial.constants(5) == trial.run.model.parameter_count()


def test_a_budget_counts_the_weights_of_sums() -> None:
    found = search(differences(), parameters=60, steps=120, time_limit=1e6)
    assert found.model.parameter_count() <= 60
    assert all(one.parameters <= 60 for one in found.tried)
