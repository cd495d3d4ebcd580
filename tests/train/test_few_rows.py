"""Fits to few rows, none of which is held out, and to rows with weights."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from superpose.data import Dataset
from superpose.errors import OptionError
from superpose.nn import KAN
from superpose.optim.gauss_newton import Quadratic
from superpose.optim.levenberg_marquardt import LevenbergMarquardt
from superpose.train import fit


def noisy(rows: int, seed: int = 0, **options: Any) -> Dataset:
    """A sine with noise of a fifth of its spread."""
    generator = torch.Generator().manual_seed(seed)
    x = 2 * torch.rand(rows, 1, generator=generator, dtype=torch.float64) - 1
    noise = torch.randn(rows, 1, generator=generator, dtype=torch.float64)
    return Dataset.from_arrays(x, torch.sin(3 * x) + 0.15 * noise, **options)


@pytest.mark.parametrize("rows", range(3, 11))
@pytest.mark.parametrize("optimizer", ["lm", "lbfgs", "adamw"])
def test_three_to_ten_rows_are_fitted(rows: int, optimizer: str) -> None:
    data = noisy(rows)
    for widths in ([1, 1], [1, 2, 1]):
        model = KAN(widths, seed=0)
        history = fit(
            model, data, optimizer=optimizer, steps=5, starts=1 if optimizer == "lm" else None, progress=False
        )
        assert torch.isfinite(model(data.x)).all() and history.train_rmse < data.target_std
        assert not history.validated and history.validation_rmse == history.train_rmse


def test_without_validation_rows_the_error_on_new_rows_is_estimated() -> None:
    rows, fresh = noisy(60), noisy(2000, seed=1)
    model = KAN([1, 1], seed=0)
    history = fit(model, rows, progress=False)
    with torch.no_grad():
        new = fresh.rmse(model(fresh.x), "all")
    # The estimate lies above the training error, by about what it is off on new rows; it is that of 60 rows.
    assert history.train_rmse < history.estimated_rmse < 1.3 * new and new < 1.3 * history.estimated_rmse
    assert math.isnan(fit(KAN([1, 1], seed=0), noisy(60, validation=0.2), progress=False).estimated_rmse)


def test_noise_is_not_learned_by_heart_without_validation_rows() -> None:
    model = KAN([1, 1], seed=0)
    fit(model, noisy(60, seed=3), grids=(5, 10, 20), progress=False)
    x = torch.linspace(-0.9, 0.9, 200, dtype=torch.float64)[:, None]
    error = float((model(x) - torch.sin(3 * x)).detach().square().mean().sqrt())
    # 0.066 if states are compared by their training error, 0.049 if stages end before the penalties have settled.
    assert error < 0.045


def test_effective_parameters_are_those_of_ridge_regression() -> None:
    data = noisy(40)
    stepper = LevenbergMarquardt(KAN([1, 1], grid_size=4, base="none", seed=0), data.x, data.y)
    normal = stepper.normal_matrix().clone()
    assert stepper.effective_parameters() == pytest.approx(7, abs=1e-6)
    penalty = 1e-3 * torch.eye(7, dtype=torch.float64)
    stepper.set_penalties([Quadratic(0, penalty)])
    expected = torch.trace(torch.linalg.solve(normal + penalty, normal))
    assert stepper.effective_parameters() == pytest.approx(float(expected), rel=1e-9)


# -- weights of rows


@pytest.mark.parametrize(("optimizer", "steps"), [("lm", None), ("lbfgs", 60), ("adamw", 60)])
def test_a_row_of_weight_three_counts_as_three_rows(optimizer: str, steps: int | None) -> None:
    plain = noisy(30)
    weights = 1.0 + 2.0 * (torch.arange(30) % 2)
    thrice = torch.repeat_interleave(torch.arange(30), weights.long())
    options: dict[str, Any] = {"adapt": False, "grids": (5,), "starts": 1, "optimizer": optimizer, "steps": steps}
    weighted = Dataset.from_arrays(plain.x, plain.y, weights=weights)
    repeated = Dataset.from_arrays(plain.x[thrice], plain.y[thrice])
    models = [KAN([1, 1], seed=0) for _ in range(2)]
    # The roughness that the data suggest depends on how many rows there are.
    histories = [
        fit(model, data, roughness=1e-6, batch_size=60, progress=False, **options)
        for model, data in zip(models, (weighted, repeated), strict=True)
    ]
    x = plain.x
    if optimizer != "adamw":
        assert torch.allclose(models[0](x), models[1](x), rtol=0, atol=1e-5)
        assert histories[0].train_rmse == pytest.approx(histories[1].train_rmse, rel=1e-4)
    assert histories[0].records[-1].train_loss == pytest.approx(histories[1].records[-1].train_loss, rel=0.02)
    unweighted = KAN([1, 1], seed=0)
    fit(unweighted, plain, roughness=1e-6, batch_size=60, progress=False, **options)
    assert (models[0](x) - unweighted(x)).abs().max() > 1e-3


def test_a_loss_without_weights_refuses_weighted_rows() -> None:
    data = Dataset.from_arrays(noisy(30).x, noisy(30).y, weights=torch.arange(30) + 1.0)
    with pytest.raises(OptionError, match="rows with weights are fitted by squared errors"):
        fit(KAN([1, 1]), data, optimizer="lbfgs", loss=torch.nn.functional.huber_loss)
