"""fit does not care for units, and no start of it ends in NaN."""

from __future__ import annotations

import functools
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from helpers import EXAMPLES
from superpose.data import Dataset, read_csv
from superpose.nn import KAN
from superpose.train import fit

DOUBLE = torch.float64
OPTIONS: dict[str, dict[str, Any]] = {"lm": {}, "lbfgs": {"steps": 30}, "adamw": {"steps": 100}}


def points(count: int, seed: int) -> tuple[Tensor, Tensor]:
    x = 2 * torch.rand(count, 2, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE) - 1
    return x, torch.exp(torch.sin(math.pi * x[:, :1]) + x[:, 1:] ** 2)


@functools.cache
def relative_error(optimizer: str, factor: float, shift: float, offset: float) -> float:
    """RMSE on fresh points by the deviation of the targets there, of a network trained in other units."""
    model = KAN([2, 2, 1], seed=0)
    x, y = points(300, seed=0)
    data = Dataset.from_arrays(x + shift, factor * (y + offset))
    fit(model, data, optimizer=optimizer, grids=(5,), starts=1, progress=False, **OPTIONS[optimizer])
    x, y = points(500, seed=1)
    with torch.no_grad():
        error = model(x + shift) / factor - offset - y
    return float(error.square().mean().sqrt() / y.std())


@pytest.mark.parametrize("optimizer", ["lm", "lbfgs", "adamw"])
@pytest.mark.parametrize(
    ("factor", "shift", "offset"),
    [
        (1e12, 0.0, 0.0),
        (1e-12, 0.0, 0.0),
        (1.0, 1e6, 0.0),
        (1.0, -1e6, 0.0),
        (1.0, 0.0, 1e6),
        (1e12, 1e6, 1e3),
        (1e-12, -1e6, -1e3),
    ],
)
def test_units_do_not_change_the_relative_error(optimizer: str, factor: float, shift: float, offset: float) -> None:
    plain = relative_error(optimizer, 1.0, 0.0, 0.0)
    assert plain < {"lm": 0.02, "lbfgs": 0.6, "adamw": 0.6}[optimizer]
    assert relative_error(optimizer, factor, shift, offset) == pytest.approx(plain, rel=0.1)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_units_of_inputs_do_not_change_the_relative_error(scale: float) -> None:
    model = KAN([2, 2, 1], seed=0)
    x, y = points(300, seed=0)
    fit(model, Dataset.from_arrays(x * torch.tensor([scale, 1 / scale]), y), grids=(5,), starts=1, progress=False)
    x, y = points(500, seed=1)
    with torch.no_grad():
        error = model(x * torch.tensor([scale, 1 / scale])) - y
    relative = float(error.square().mean().sqrt() / y.std())
    assert relative == pytest.approx(relative_error("lm", 1.0, 0.0, 0.0), rel=0.1)


@pytest.mark.parametrize("seed", range(8))
def test_no_start_ends_in_nan(seed: int) -> None:
    data = read_csv(EXAMPLES / "data" / "hello.csv", target="f")
    model = KAN([2, 5, 1], grid_size=5, seed=seed)
    history = fit(model, data, grids=(5,), starts=1, steps=20, seed=seed, progress=False)
    assert all(math.isfinite(record.train_loss + record.validation_loss) for record in history.records)
    assert "NaN" not in history.reason
    assert all(bool(torch.isfinite(value).all()) for value in model.state_dict().values() if value.is_floating_point())
    assert history.validation_rmse < 0.2 * data.target_std
