"""How smooth edges are to be: what knots weigh, and what the strengths do with noise and without it."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from superpose.data import Affine, Dataset
from superpose.nn import KAN
from superpose.optim.levenberg_marquardt import LevenbergMarquardt
from superpose.optim.parameters import Parameters
from superpose.optim.smoothness import Smoothness, jumps, knot_weights
from superpose.spline import fitting, grid
from superpose.train import fit

DOUBLE = torch.float64


def random(*shape: int, seed: int = 0) -> Tensor:
    return 2 * torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE) - 1


def curve(count: int, noise: float, seed: int = 0) -> Dataset:
    x = random(count, 1, seed=seed)
    y = torch.sin(3 * x[:, 0]) + noise * torch.randn(
        count, generator=torch.Generator().manual_seed(seed + 1), dtype=DOUBLE
    )
    return Dataset.from_arrays(x, y, validation=0.0, test=0.0)


def trained(data: Dataset, size: int, looks: int) -> tuple[KAN, LevenbergMarquardt, Smoothness]:
    model = KAN([1, 1], grid_size=size, grid_range=(-1.02, 1.02), seed=0)
    stepper = LevenbergMarquardt(model, data.x, data.y)
    smoothness = Smoothness(stepper.parameters, data.x)
    stepper.set_penalties(smoothness.terms())
    for _ in range(looks):
        for _ in range(4):
            stepper.step()
        assert smoothness.update(stepper.normal_matrix(), stepper.theta, stepper.loss, data.y.numel())
        stepper.set_penalties(smoothness.terms())
    return model, stepper, smoothness


def test_knots_with_few_samples_beside_them_weigh_more_and_others_alike() -> None:
    points = torch.tensor([0.0, 1.0, 2.0, 3.0, 4.0], dtype=DOUBLE)
    samples = torch.cat([torch.linspace(0.01, 2.99, 300, dtype=DOUBLE), torch.tensor([3.5], dtype=DOUBLE)])
    weights = knot_weights(points, samples)
    assert weights[:2].tolist() == [1.0, 1.0] and weights[2] == pytest.approx((301 / 4) ** 2)
    empty = knot_weights(points, samples[:300])
    assert empty[2] > weights[2]
    assert knot_weights(points, samples[:300], hold_unseen=True).tolist()[1:] == [1.0, 0.0]


@pytest.mark.parametrize("degree", [1, 2, 3, 5])
def test_polynomials_cost_nothing_whatever_the_knots_and_a_kink_is_one_jump(degree: int) -> None:
    points = torch.tensor([[-1.0, -0.9, -0.5, 0.0, 0.1, 0.8, 1.0]], dtype=DOUBLE)
    knots = grid.extended_knots(points, degree)
    places = torch.linspace(-1, 1, 301, dtype=DOUBLE)[:, None]

    def kinks(curve: Tensor) -> Tensor:
        return jumps(knots[0], degree) @ fitting.fit_curves(knots, degree, places, curve[..., None])[0, :, 0]

    assert kinks((places - 0.3) ** degree).abs().max() < 1e-8
    # (x - t)_+^k has the jump k! at t.
    kink = kinks((places - 0.1).clamp(min=0) ** degree)
    assert kink.tolist() == pytest.approx([0, 0, 0, math.factorial(degree) * 0.4**degree, 0], abs=1e-8)
    even = torch.arange(7 + 2.0 * degree, dtype=DOUBLE) / 3
    count = len(even) - degree - 1
    assert torch.allclose(jumps(even, degree), torch.eye(count, dtype=DOUBLE).diff(n=degree + 1, dim=0))


def test_without_noise_strengths_fade_and_with_noise_they_stay() -> None:
    def strength(noise: float) -> float:
        (value,) = trained(curve(400, noise), 40, 20)[2].strengths.values()
        return value

    none, little, much = strength(0.0), strength(0.01), strength(0.3)
    assert none < 1e-6 * little and little < 0.1 * much


def test_a_fine_grid_does_not_follow_noise() -> None:
    x = torch.linspace(-0.95, 0.95, 500, dtype=DOUBLE)[:, None]
    truth = torch.sin(3 * x)

    def error(smooth: bool) -> float:
        data = curve(300, 0.1)
        if smooth:
            model = trained(data, 100, 10)[0]
        else:
            model = KAN([1, 1], grid_size=100, grid_range=(-1.02, 1.02), seed=0)
            stepper = LevenbergMarquardt(model, data.x, data.y)
            for _ in range(40):
                stepper.step()
        with torch.no_grad():
            return float((model(x) - truth).square().mean().sqrt())

    # Some six constants of a hundred are told by the data: their share of the noise is left.
    assert error(True) < 0.03 and error(False) > 2 * error(True)


def test_other_penalties_change_what_was_assembled_as_if_assembled_anew() -> None:
    data = curve(60, 0.1)
    model = KAN([1, 2, 1], seed=0)
    stepper = LevenbergMarquardt(model, data.x, data.y)
    smoothness = Smoothness(stepper.parameters, data.x)
    stepper.normal_matrix()
    stepper.set_penalties(smoothness.terms())
    fresh = LevenbergMarquardt(model, data.x, data.y, penalties=smoothness.terms())
    assert torch.allclose(stepper.normal_matrix(), fresh.normal_matrix(), rtol=1e-12, atol=1e-18)


def test_coefficients_that_no_sample_sees_stay_where_an_earlier_fit_left_them() -> None:
    left, right = random(200, 1, seed=1) / 2 - 0.5, random(200, 1, seed=2) / 2 + 0.5
    model = KAN([1, 1], grid_size=40, base="none", seed=0)
    unit = Affine(torch.zeros(1, dtype=DOUBLE), torch.ones(1, dtype=DOUBLE))
    model.set_scaling(unit, unit)
    options = {"adapt": False, "starts": 1, "grids": (40,), "progress": False}
    fit(model, Dataset.from_arrays(left, torch.sin(5 * left), test=0.0), **options)
    with torch.no_grad():
        before = model(left)
        fit(model, Dataset.from_arrays(right, torch.sin(5 * right), test=0.0), **options)
        assert (model(left) - before).abs().max() < 1e-5 and (model(right) - torch.sin(5 * right)).abs().max() < 1e-5


def test_a_singular_matrix_changes_nothing() -> None:
    model = KAN([1, 1], seed=0)
    smoothness = Smoothness(Parameters(model), random(20, 1))
    before = dict(smoothness.strengths)
    size = Parameters(model).size
    broken = -torch.eye(size, dtype=DOUBLE)
    assert not smoothness.update(broken, torch.ones(size, dtype=DOUBLE), 1.0, 20)
    assert smoothness.strengths == before
