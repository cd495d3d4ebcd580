"""Large tables: rows grow while that changes the answer, sums are computed in blocks, and no step is too long."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from superpose.data import Dataset
from superpose.nn.model import KAN
from superpose.nn.rows import values_at
from superpose.optim import normal_equations as equations
from superpose.optim.parameters import Parameters
from superpose.stopping import StopReason
from superpose.train import growing_rows
from superpose.train.fit import fit
from superpose.train.growing_rows import RowGrowth, fit_growing, rows_affordable
from superpose.train.history import History, Record
from superpose.train.step_cost import StepCost, affordable_starts


def table(rows: int, noise: float = 0.0) -> Dataset:
    generator = torch.Generator().manual_seed(0)
    x = 2 * torch.rand(rows, 2, dtype=torch.float64, generator=generator) - 1
    y = torch.sin(3 * x[:, 0]) + x[:, 1] ** 2
    y = y + noise * torch.randn(rows, dtype=torch.float64, generator=generator)
    return Dataset.from_arrays(x, y, validation=0.15, test=0.15)


def used(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The training rows of each stage."""
    seen: list[int] = []
    real = growing_rows.Run

    def watched(model: KAN, data: Dataset, *others: object) -> object:
        seen.append(len(data.train))
        return real(model, data, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(growing_rows, "Run", watched)
    return seen


def test_rows_grow_while_the_error_falls(monkeypatch: pytest.MonkeyPatch) -> None:
    data, seen = table(8000, noise=0.3), used(monkeypatch)
    model = KAN([2, 1], grid_size=3, seed=0)
    history = fit_growing(model, data, rows=60)
    assert seen[0] == 60
    assert all(later == 4 * before for before, later in itertools.pairwise(seen[:-1]))
    assert len(seen) > 1
    # Better than what so few rows alone determine, and near the noise.
    few = replace(data, train=data.train[:60])
    alone = fit(KAN([2, 1], grid_size=3, seed=0), few, progress=False)
    assert history.validation_rmse < min(0.32, 0.95 * alone.validation_rmse)
    assert len(history.records) > len(alone.records)


def test_rows_stop_growing_when_the_error_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = used(monkeypatch)
    history = fit_growing(KAN([2, 1], grid_size=3, seed=0), table(20_000, noise=0.3), rows=1000)
    assert max(seen) < 14_000
    assert history.reason.endswith(f"the last stage used {seen[-1]} of 14000 training rows")


def test_a_small_table_is_one_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, data = used(monkeypatch), table(200)
    models = [KAN([2, 1], grid_size=3, seed=0) for _ in range(2)]
    history = fit_growing(models[0], data, rows=1000)
    whole = fit(models[1], data, progress=False)
    assert seen == [140]
    assert history.validation_rmse == whole.validation_rmse
    assert history.reason == whole.reason


def test_without_time_for_more_rows_the_last_stage_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing_rows, "rows_affordable", lambda rows, *others: rows)
    history = fit_growing(KAN([2, 1], grid_size=3, seed=0), table(3000, noise=0.3), rows=60, time_limit=1000.0)
    assert history.stop is StopReason.TIME_LIMIT
    assert "no time for more than 60 rows" in history.reason


def test_validation_rows_are_the_same_for_all_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = RowGrowth(validation=50)
    seen: list[Tensor] = []
    real = growing_rows.Run

    def watched(model: KAN, data: Dataset, *others: object) -> object:
        seen.append(data.validation)
        return real(model, data, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(growing_rows, "Run", watched)
    fit_growing(KAN([2, 1], grid_size=3, seed=0), table(3000, noise=0.3), rows=60, rules=rules)
    assert all(torch.equal(one, seen[0]) for one in seen)
    assert len(seen[0]) == 50


@pytest.mark.parametrize(("step", "left", "expected"), [(0.0, 1.0, 4000), (0.1, 10.0, 3500), (1.0, 10.0, 350)])
def test_steps_of_the_next_stage_fit_into_the_time_left(step: float, left: float, expected: int) -> None:
    rows = rows_affordable(1000, step, left)
    assert rows == expected
    assert growing_rows.GROWTH.steps * step * rows / 1000 <= growing_rows.GROWTH.share * left + 1e-9


@pytest.mark.parametrize("weighted", [False, True])
def test_sums_in_blocks_are_the_sums(monkeypatch: pytest.MonkeyPatch, weighted: bool) -> None:
    data = table(500)
    model = KAN([2, 3, 1], grid_size=4, seed=0)
    x, y = data.rows("all")
    weights = 1 + x[:, 0].square() if weighted else None
    whole = equations.normal_equations(Parameters(model), x, y, weights)
    monkeypatch.setattr(equations, "_BLOCK_SAMPLES", 64)
    monkeypatch.setattr(equations.normal_matrix, "RECORD", 10**6)
    blocks = equations.normal_equations(Parameters(model), x, y, weights)
    for one, other in zip(whole, blocks, strict=True):
        assert torch.allclose(one, other, rtol=1e-12, atol=1e-15)


def test_values_in_blocks_are_the_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("superpose.nn.rows._BLOCK", 7)
    data, model = table(50), KAN([2, 1], seed=0)
    with torch.no_grad():
        assert torch.allclose(values_at(model, data, data.test), model(data.rows("test")[0]))
    assert values_at(model, data, data.test[:0]).shape == (0, 1)


def test_larger_networks_and_more_rows_cost_more() -> None:
    cost = StepCost()
    small, wide = KAN([2, 1], seed=0), KAN([50, 2, 1], seed=0)
    assert cost.of(small, 1000) < cost.of(small, 4000) < cost.of(wide, 4000)
    assert cost.of(small, 1000, 50) > cost.of(small, 1000)
    assert cost.affordable(wide, 1000, 10.0) < cost.affordable(small, 1000, 10.0)


def test_a_measured_training_corrects_predictions() -> None:
    cost, model = StepCost(), KAN([50, 2, 1], seed=0)
    step = cost.of(model, 10_000)
    count = int(1 / step) + 1
    history = History([Record(n, "", model.layer(0).grid_size, 1.0, 1.0, 0.0) for n in range(count)])
    history.seconds = 3 * count * step
    cost.measured(model, 10_000, history)
    assert cost.of(model, 10_000) == pytest.approx(3 * step)
    # What takes no time says nothing.
    cost.measured(KAN([2, 1], seed=0), 10, replace(history, records=history.records[:2], seconds=100.0))
    assert cost.of(model, 10_000) == pytest.approx(3 * step)


@pytest.mark.parametrize("steps", [0, 29, 30, 49, 50, 89, 150, 10_000])
def test_starts_leave_steps_for_the_training(steps: int) -> None:
    starts = affordable_starts(steps, wanted=6, least=30)
    assert 0 <= starts <= 6
    assert bool(starts) is (steps >= 30)
    assert starts <= 1 or 20 * starts + 30 <= steps


def test_a_finer_grid_is_not_begun_without_time_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    data = table(300)
    monkeypatch.setattr("superpose.train.run._FEW_STEPS", 10**12)
    history = fit(KAN([2, 1], grid_size=3, seed=0), data, time_limit=1000.0, progress=False)
    assert history.stop is StopReason.TIME_LIMIT
    assert history.grids == [3]
    assert fit(KAN([2, 1], grid_size=3, seed=0), data, progress=False).grids != [3]
