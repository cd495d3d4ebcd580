"""Prediction intervals of a model: their quantiles, their scale, where the data end, and whose errors they are."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import scipy.stats
import torch
from torch import Tensor

from helpers import is_one_sentence
from superpose.data import Dataset
from superpose.edit import fix
from superpose.errors import OptionError
from superpose.nn import KAN, Head
from superpose.nn.local_scale import LocalScale
from superpose.nn.support import Support
from superpose.nn.uncertainty import limits, student_quantile
from superpose.spline import grid
from superpose.tasks.regression import calibrate

DOUBLE = torch.float64


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


# -- quantiles


@pytest.mark.parametrize("count", [15, 19, 60, 99, 100, 523])
@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
def test_of_equally_probable_places_of_a_new_residual_enough_are_within(count: int, level: float) -> None:
    """A new residual falls into each of the n + 1 gaps between n others with the same probability."""
    residuals = random(count, 1).sort(0).values
    low, high, method = limits(residuals, level, count)
    assert method == "conformal"
    # The middle of each gap, and one place beyond either end.
    ends = torch.cat([residuals[:1] - 1, residuals, residuals[-1:] + 1])
    gaps = (ends[1:] + ends[:-1]) / 2
    if low == -high:
        # By magnitudes: of a new one among n others.
        sizes = residuals.abs().sort(0).values
        gaps = torch.cat([sizes[:1] / 2, (sizes[1:] + sizes[:-1]) / 2, sizes[-1:] + 1])
    share = float(((gaps >= low) & (gaps <= high)).double().mean())
    assert level - 1e-12 <= share <= level + 2 / (count + 1)


def test_each_tail_of_skewed_residuals_has_its_share() -> None:
    residuals = random(400, 1).exp().sort(0).values
    low, high, _ = limits(residuals, 0.9, 400)
    assert float((residuals < low).double().mean()) == pytest.approx(0.05, abs=0.005)
    assert float((residuals > high).double().mean()) == pytest.approx(0.05, abs=0.005)


@pytest.mark.parametrize(("count", "level"), [(8, 0.9), (14, 0.5), (30, 0.99)])
def test_where_residuals_are_too_few_normal_errors_are_assumed(count: int, level: float) -> None:
    residuals = random(count, 1).sort(0).values
    low, high, method = limits(residuals, level, count - 2.0)
    assert method == "student" and low == -high
    wanted = scipy.stats.t.ppf((1 + level) / 2, count - 2) * float(residuals.square().mean().sqrt())
    assert float(high) == pytest.approx(max(wanted, float(residuals.abs().max()) if level > 0.9 else 0), rel=1e-4)


@pytest.mark.parametrize("freedom", [1.0, 2.5, 10.0, 60.0, 61.0, 1e5])
def test_quantiles_of_students_distribution(freedom: float) -> None:
    for probability in (0.55, 0.9, 0.95, 0.995):
        assert student_quantile(probability, freedom) == pytest.approx(
            scipy.stats.t.ppf(probability, freedom), rel=1e-4
        )


# -- where the data end


def test_far_values_and_strange_combinations_are_outside() -> None:
    first = torch.rand(300, 1, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    support = Support.of(torch.cat([first, first + 0.02 * random(300, 1), torch.ones(300, 1, dtype=DOUBLE)], 1))
    new = torch.tensor([[0.5, 0.5, 1.0], [0.1, 0.9, 1.0], [0.5, 2.0, 1.0], [1.03, 1.03, 1.0], [0.5, 0.5, 2.0]])
    assert support.beyond(new).any(1).tolist() == [False, False, True, False, True]
    assert support.unusual(new).tolist()[:3] == [False, True, True]


def test_few_rows_of_the_same_kind_are_outside() -> None:
    outside = []
    for seed in range(20):
        support, new = Support.of(random(60, 4, seed=seed)), random(200, 4, seed=100 + seed)
        outside.append(float((support.beyond(new).any(1) | support.unusual(new)).double().mean()))
    assert sum(outside) / 20 < 0.1


# -- the local scale


def scale_of(coefficients: Tensor) -> LocalScale:
    knots = grid.extended_knots(torch.linspace(0, 1, 3, dtype=DOUBLE)[None].repeat(2, 1), 3)
    low, high = torch.tensor([0.0, -1.0], dtype=DOUBLE), torch.tensor([2.0, 1.0], dtype=DOUBLE)
    bounds = torch.tensor([-1.0, 1.0], dtype=DOUBLE)
    return LocalScale(low, high, knots, coefficients, bounds, torch.tensor([[3.0], [8.0]], dtype=DOUBLE))


def test_beyond_its_limits_the_scale_goes_on_like_the_distance() -> None:
    scale = scale_of(0.1 * random(2, 5))
    x, score = torch.tensor([[2.0], [2002.0], [4002.0], [-2000.0]], dtype=DOUBLE), torch.zeros(4, dtype=DOUBLE)
    at, far, farther, below = scale(x, score).tolist()
    assert farther == pytest.approx(2 * far, rel=1e-3) and far == pytest.approx(at * 1000 * math.sqrt(8), rel=1e-3)
    left = float(scale(torch.zeros(1, 1, dtype=DOUBLE), score[:1]))
    assert below == pytest.approx(left * 1000 * math.sqrt(3), rel=1e-3)


def test_no_prediction_makes_the_scale_infinite() -> None:
    scale, x = scale_of(100 * random(2, 5)), torch.ones(3, 1, dtype=DOUBLE)
    found = scale(x, torch.tensor([math.nan, 1e300, -1e300], dtype=DOUBLE))
    assert bool(found.isfinite().all()) and float(found.max()) <= math.e + 1e-9


# -- whose errors


def calibrated() -> tuple[KAN, Dataset]:
    """A line, and a table of it with normal errors of deviation 0.1."""
    x = random(400, 1)
    data = Dataset.from_arrays(x, 2 * x + 0.1 * random(400, 1, seed=1), validation=0.5, test=0.0)
    model = KAN([1, 1], grid_size=3, base="none", feature_names=data.feature_names, target_names=data.target_names)
    model.layer(0).set_symbolic({(0, 0): ("x", (1.0, 0.0, 2.0, 0.0))})
    return calibrate(model, data), data


def test_a_calibrated_model_has_intervals_of_the_size_of_its_errors() -> None:
    model, _ = calibrated()
    assert model.uncertainty is not None and model.uncertainty.source == "held-out rows"
    x = random(4000, 1, seed=5)
    y = (2 * x + 0.1 * random(4000, 1, seed=6)).numpy()
    found = model.predict_interval(x, 0.8)
    assert 0.74 < ((y >= found.low) & (y <= found.high)).mean() < 0.86
    wider = model.predict_interval(x, 0.95)
    assert (wider.high > found.high).all() and (wider.low < found.low).all()


def test_a_model_of_the_same_function_keeps_its_intervals() -> None:
    model, data = calibrated()
    for same in (model.copy(), model.refine(6), model.copy().float()):
        assert same.predict_interval(data.x[:5]).low == pytest.approx(model.predict_interval(data.x[:5]).low, rel=1e-4)


def test_a_model_that_was_changed_has_none() -> None:
    model, data = calibrated()
    changed = fix(model, data, (0, 0, 0), "x", (1.0, 0.0, 2.5, 0.0))
    with pytest.raises(OptionError, match=r"superpose\.calibrate") as caught:
        changed.predict_interval(data)
    assert is_one_sentence(str(caught.value))


@pytest.mark.parametrize("level", [0, 1, 1.5, math.nan, "0.9", True, None])
def test_levels_that_are_no_probabilities(level: object) -> None:
    model, data = calibrated()
    with pytest.raises(OptionError, match="probability between 0 and 1"):
        model.predict_interval(data, level)  # type: ignore[arg-type]


def test_models_without_intervals_say_why() -> None:
    model, data = calibrated()
    model.uncertainty = None
    with pytest.raises(OptionError, match="has no prediction intervals, since") as caught:
        model.predict_interval(data)
    assert is_one_sentence(str(caught.value))
    model.head = Head("sigmoid", ("no", "yes"))
    with pytest.raises(OptionError, match="probabilities"):
        model.predict_interval(data)
    with pytest.raises(OptionError, match="probabilities"):
        calibrate(model, data)


def test_intervals_of_logarithms_are_positive_also_where_the_model_is_not() -> None:
    model, _ = calibrated()
    assert model.uncertainty is not None
    low, high = (model.predict_interval([[1.0]]).low, model.predict_interval([[1.0]]).high)
    logs = replace(model.uncertainty, log=True, residuals=torch.tensor([[-0.1], [0.1]], dtype=DOUBLE), scale=None)
    model.uncertainty = logs
    found = model.predict_interval([[1.0], [-1.0]], 0.5)
    assert found.low[0, 0] > 0 and found.low[0, 0] * found.high[0, 0] == pytest.approx(4.0)
    # A mean of curves may fall below zero, where the data have least: the interval is that of the least value.
    assert found.prediction[1, 0] < 0 < found.low[1, 0] < logs.least < found.high[1, 0] < found.low[0, 0]
    assert (low < high).all()
