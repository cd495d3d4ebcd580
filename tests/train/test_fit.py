"""fit: accuracy, staircases, repeatability, every way to stop, every wrong option."""

from __future__ import annotations

import functools
import itertools
import math
import statistics
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from helpers import EXAMPLES, HELD_OUT, is_one_sentence
from superpose.data import Dataset, read_csv
from superpose.errors import DataError, OptionError, ShapeError
from superpose.nn import KAN
from superpose.spline import grid
from superpose.stopping import StopReason
from superpose.train import History, Record, fit, hidden_grids
from superpose.train.hidden_grids import room

DOUBLE = torch.float64


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(*shape, generator=generator, dtype=DOUBLE) - 1


def table(count: int = 150, noise: float = 0.0, outputs: int = 1, seed: int = 0) -> Dataset:
    x = random(count, 2, seed=seed)
    y = torch.stack([torch.sin(2 * x[:, 0]) + x[:, 1] ** 2, x[:, 0] - x[:, 1], x.prod(1)], -1)[:, :outputs]
    y = y + noise * torch.randn(y.shape, generator=torch.Generator().manual_seed(seed + 1), dtype=DOUBLE)
    return Dataset.from_arrays(x, y, seed=seed, **HELD_OUT)


def rmse(model: KAN, data: Dataset, split: Any) -> float:
    x, y = data.rows(split)
    with torch.no_grad():
        return float((model(x) - y).square().mean().sqrt())


def same_state(one: KAN, other: KAN) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


# -- accuracy and the staircase


@functools.cache
def staircase() -> tuple[KAN, Dataset, History]:
    data = read_csv(EXAMPLES / "data" / "hello.csv", target="f")
    model = KAN([2, 1, 1], grid_size=3, seed=0)
    return model, data, fit(model, data, grids=(3, 6, 12, 25, 50, 100), progress=False)


def test_hello_comes_down_the_staircase_to_a_test_error_of_1e_7() -> None:
    errors = []
    for seed in range(5):
        data = read_csv(EXAMPLES / "data" / "hello.csv", target="f", seed=seed)
        model = KAN([2, 1, 1], grid_size=3, seed=seed)
        fit(model, data, grids=(3, 6, 12, 25, 50, 100), seed=seed, progress=False)
        errors.append(rmse(model, data, "test"))
    # One corner, which few rows reach, decides each.
    assert statistics.median(errors) <= 1e-7 and max(errors) <= 2e-7


def test_the_staircase_visits_the_grids_and_reports_the_errors_at_its_end() -> None:
    model, data, history = staircase()
    assert history.grids == [3, 6, 12, 25, 50, 100]
    assert history.train_rmse == pytest.approx(rmse(model, data, "train"), rel=1e-6)
    assert history.validation_rmse == pytest.approx(rmse(model, data, "validation"), rel=1e-6)


def test_the_loss_does_not_jump_at_a_refinement() -> None:
    _, _, history = staircase()
    pairs = [(a, b) for a, b in zip(history.records, history.records[1:], strict=False) if b.event == "refine"]
    assert [(a.grid_size, b.grid_size) for a, b in pairs] == [(3, 6), (6, 12), (12, 25), (25, 50), (50, 100)]
    for before, after in pairs:
        assert abs(after.train_loss - before.train_loss) < 1e-10 * before.train_loss


def test_the_loss_only_falls_between_changes_of_the_grid() -> None:
    # With a fixed roughness: where it is found from the data, the objective changes at every look.
    history = fit(KAN([2, 1, 1], grid_size=3, seed=0), table(400), grids=(3, 6, 12), roughness=1e-11, progress=False)
    for before, after in zip(history.records, history.records[1:], strict=False):
        if not after.event:
            # The objective holds the roughness beside the squares, hence not to the last digit.
            assert after.train_loss**2 <= before.train_loss**2 + 1e-9
    assert [record.step for record in history.records] == list(range(len(history.records)))
    assert history.records[0].event == "start"


def test_without_a_schedule_the_grid_doubles_while_that_helps() -> None:
    data = table(200, noise=0.05)
    history = fit(KAN([2, 1], seed=0), data, progress=False)
    assert history.grids[0] == 5 and all(b == 2 * a for a, b in zip(history.grids, history.grids[1:], strict=False))
    assert "gave no better validation error" in history.reason and history.stop is StopReason.NO_IMPROVEMENT
    exact = fit(KAN([2, 1], seed=0), table(300), progress=False)
    assert exact.grids[:3] == [5, 10, 20] and exact.validation_rmse < 1e-5


# -- repeatability


@pytest.mark.parametrize("optimizer", ["lm", "lbfgs", "adamw"])
def test_runs_repeat_from_their_seed_and_touch_nothing(optimizer: str, untouched_globals: None) -> None:
    data = table()
    options: dict[str, Any] = {
        "optimizer": optimizer,
        "steps": 6,
        "seed": 3,
        "starts": 1 + (optimizer == "lm"),
        "progress": False,
    }
    first, second, other = KAN([2, 2, 1], seed=1), KAN([2, 2, 1], seed=1), KAN([2, 2, 1], seed=1)
    histories = [fit(first, data, **options), fit(second, data, **options)]
    # Someone else's draws in between change nothing.
    assert same_state(first, second)
    assert [r.train_loss for r in histories[0].records] == [r.train_loss for r in histories[1].records]
    if optimizer == "adamw":
        fit(other, data, **options | {"seed": 4, "batch_size": 16})
        assert not same_state(first, other)


def test_the_state_of_torch_does_not_reach_into_a_run() -> None:
    data, models = table(), []
    for seed in (1, 2):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            models.append(KAN([2, 2, 1], seed=1))
            fit(models[-1], data, optimizer="adamw", steps=8, batch_size=32, progress=False)
    assert same_state(*models)


# -- optimisers and losses


@pytest.mark.parametrize(
    ("optimizer", "options"), [("lbfgs", {"steps": 40}), ("adamw", {"steps": 200, "batch_size": 32})]
)
@pytest.mark.parametrize("loss", [None, torch.nn.functional.huber_loss, torch.nn.L1Loss()])
def test_first_order_optimisers_lower_any_loss(
    optimizer: str, options: dict[str, Any], loss: Callable[[Tensor, Tensor], Tensor] | None
) -> None:
    data, model = table(), KAN([2, 2, 1], seed=0)
    history = fit(model, data, optimizer=optimizer, loss=loss, progress=False, **options)
    losses = [record.train_loss for record in history.records]
    assert min(losses) < 0.25 * losses[0]
    assert history.optimizer == optimizer and history.reason
    x, y = data.rows("validation")
    with torch.no_grad():
        scaled, target = ((v - model.output_center) / model.output_scale for v in (model(x), y))
        value = loss(scaled, target) if loss is not None else (scaled - target).square().mean().sqrt()
    # The kept model is the one with the best validation loss, in the loss that was given.
    assert float(value) == pytest.approx(min(r.validation_loss for r in history.records), rel=1e-6)


def test_lbfgs_reaches_a_small_error_and_its_loss_does_not_rise() -> None:
    data = table()
    history = fit(KAN([2, 1], seed=0), data, optimizer="lbfgs", progress=False)
    losses = [record.train_loss for record in history.records if not record.event]
    assert all(b <= a * (1 + 1e-9) for a, b in itertools.pairwise(losses))
    assert history.validation_rmse < 2e-2


def test_mini_batches_see_every_row_once_before_any_twice() -> None:
    from superpose.optim.first_order import AdamW, Objective

    model, seen = KAN([1, 1], seed=0), []
    x = torch.arange(12, dtype=DOUBLE)[:, None]

    def loss(prediction: Tensor, target: Tensor) -> Tensor:
        if prediction.requires_grad:
            seen.append(target[:, 0].tolist())
        return (prediction - target).square().mean()

    generator = torch.Generator().manual_seed(0)
    stepper = AdamW(Objective(model, x, x, loss), 1e-3, batch_size=4, steps=6, generator=generator)
    for _ in range(6):
        stepper.step()
    epochs = [sorted(itertools.chain(*seen[start : start + 3])) for start in (0, 3)]
    assert epochs == [list(range(12))] * 2 and seen[:3] != seen[3:]


@pytest.mark.parametrize("optimizer", ["lm", "lbfgs", "adamw"])
def test_sparsity_thins_edges_out(optimizer: str) -> None:
    from superpose.optim.penalty import magnitudes

    data = table(120)
    shares = []
    for strength in (0.0, 0.02):
        model = KAN([2, 4, 1], seed=0)
        fit(model, data, optimizer=optimizer, grids=(5,), steps=20, starts=1, sparsity=strength, progress=False)
        with torch.no_grad():
            shares.append(sum(float(size.sum()) for size in magnitudes(model.trace(data.x))))
    assert shares[1] < shares[0]


def test_sparsity_survives_edges_that_were_removed() -> None:
    data = table(80)
    model = KAN([2, 2, 1], seed=0).with_mask([(0, 0, 1)], alive=False)
    history = fit(model, data, optimizer="lbfgs", steps=10, sparsity=0.01, progress=False)
    assert "NaN" not in history.reason
    assert history.records[-1].train_loss < history.records[0].train_loss


@pytest.mark.parametrize("optimizer", ["lm", "lbfgs", "adamw"])
def test_several_outputs_are_learned_together(optimizer: str) -> None:
    data = table(outputs=3)
    model = KAN([2, 4, 3], seed=0)
    fit(
        model,
        data,
        optimizer=optimizer,
        grids=(5,),
        steps={"lm": 20, "lbfgs": 40, "adamw": 400}[optimizer],
        progress=False,
    )
    x, y = data.rows("validation")
    with torch.no_grad():
        left = (model(x) - y).square().mean(0) / y.var(0)
    assert float(left.max()) < 0.1


@pytest.mark.parametrize("optimizer", ["lm", "adamw"])
def test_float32_models_learn_from_columns_far_from_zero(optimizer: str) -> None:
    x = random(200, 1)
    data = Dataset.from_arrays(x + 2e6, torch.sin(3 * x) - 3e6, seed=0)
    model = KAN([1, 1], seed=0, dtype=torch.float32)
    history = fit(model, data, optimizer=optimizer, grids=(10,), progress=False, sparsity=1e-7)
    assert history.train_rmse < 2e-3 and history.validation_rmse < 2e-3


def test_float32_models_stay_float32() -> None:
    data, model = table(), KAN([2, 1], seed=0, dtype=torch.float32)
    history = fit(model, data, grids=(5, 10), progress=False)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert model.layer(0).knots.dtype == torch.float32
    assert history.validation_rmse < 1e-2


def test_symbolic_and_removed_edges_stay_what_they_are() -> None:
    data = table()
    model = KAN([2, 2, 1], seed=0).with_mask([(0, 1, 0)], alive=False)
    model.layer(0).set_symbolic({(0, 0): ("sin", (1.5, 0.1, 0.8, 0.0))})
    fit(model, data, grids=(4, 8), starts=3, progress=False)
    assert model.layer(0).symbolic_table().keys() == {(0, 0)}
    assert not model.layer(0).mask[1, 0]
    assert rmse(model, data, "test") < 0.05


def test_a_fitted_model_goes_on_from_where_it_was() -> None:
    data, model = table(), KAN([2, 2, 1], seed=0)
    fit(model, data, grids=(5,), progress=False)
    before, scaling = rmse(model, data, "train"), model.output_scale.clone()
    shifted = Dataset.from_arrays(data.x, 3 * data.y)
    history = fit(model, data, progress=False, steps=5)
    assert history.train_rmse <= before * (1 + 1e-6)
    fit(model, shifted, progress=False, steps=5)
    assert torch.equal(model.output_scale, scaling)


def test_pairs_of_arrays_and_tables_without_validation_rows_will_do() -> None:
    data = table()
    history = fit(KAN([2, 1], seed=0), (data.x.numpy(), data.y.numpy()), grids=(5,), progress=False)
    assert math.isfinite(history.validation_rmse)
    whole = Dataset.from_arrays(data.x, data.y, validation=0.0, test=0.0)
    history = fit(KAN([2, 1], seed=0), whole, grids=(5,), progress=False)
    assert history.validation_rmse == history.train_rmse


# -- early stopping


@pytest.mark.parametrize("optimizer", ["lm", "adamw"])
def test_noise_is_not_learned_by_heart(optimizer: str) -> None:
    # Complaint 12: a network that could learn every noisy row keeps the state that predicts best instead.
    data, truth = table(200, noise=0.3), table(400, seed=9)
    options: dict[str, Any] = {"grids": (3, 10, 40)} if optimizer == "lm" else {"grids": (40,), "steps": 500}
    model = KAN([2, 2, 1], grid_size=3, seed=0)
    history = fit(model, data, optimizer=optimizer, progress=False, **options)
    losses = [record.validation_loss for record in history.records]
    x, y = data.rows("validation")
    with torch.no_grad():
        kept = float((((model(x) - y) / model.output_scale).square().mean()).sqrt())
    assert kept == pytest.approx(min(losses), rel=1e-9)
    # It did over-fit on the way, and came back.
    assert losses[-1] > 1.05 * min(losses)
    assert rmse(model, truth, "all") < 0.4


# -- ways to stop


def test_the_time_limit_stops_says_so_and_keeps_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    # One second passes with each record.
    records: list[Record] = []
    monkeypatch.setattr("time.monotonic", lambda: float(len(records)))

    data, model = table(), KAN([2, 2, 1], seed=0)
    history = fit(model, data, grids=(3, 6, 12, 24), steps=50, time_limit=10.5, listener=records.append, progress=False)
    assert history.stop is StopReason.TIME_LIMIT and "time limit" in history.reason and is_one_sentence(history.reason)
    assert len(history.records) == 11
    assert rmse(model, data, "validation") == pytest.approx(history.validation_rmse, rel=1e-9)
    best = min(record.validation_loss for record in history.records)
    assert history.validation_rmse == pytest.approx(best * float(model.output_scale), rel=1e-9)


def test_an_interruption_keeps_the_best_so_far() -> None:
    data, model = table(), KAN([2, 2, 1], seed=0)

    def interrupt(record: Record) -> None:
        if record.step == 9:
            raise KeyboardInterrupt

    history = fit(model, data, grids=(3, 6), listener=interrupt, progress=False)
    assert history.interrupted and "interrupted" in history.reason
    assert len(history.records) == 10
    best = min(record.validation_loss for record in history.records)
    assert history.validation_rmse == pytest.approx(best * float(model.output_scale), rel=1e-9)


@pytest.mark.parametrize("optimizer", ["lbfgs", "adamw"])
def test_nan_stops_with_a_sentence_and_the_best_state(optimizer: str) -> None:
    calls = 0

    def loss(prediction: Tensor, target: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return (prediction - target).square().mean() * (math.nan if calls > 30 else 1.0)

    data, model = table(), KAN([2, 1], seed=0)
    history = fit(model, data, optimizer=optimizer, loss=loss, progress=False)
    assert history.stop is StopReason.NAN_LOSS
    assert "became NaN at step" in history.reason and "lower learning_rate" in history.reason
    assert is_one_sentence(history.reason)
    assert all(bool(torch.isfinite(value).all()) for value in model.state_dict().values())
    assert math.isfinite(history.validation_rmse)


def test_a_learning_rate_that_blows_up_leaves_a_finite_model() -> None:
    data, model = table(), KAN([2, 2, 1], seed=0)
    history = fit(model, data, optimizer="adamw", learning_rate=1e150, steps=60, progress=False)
    assert history.reason and math.isfinite(history.validation_rmse)
    assert bool(torch.isfinite(model(data.x)).all())


# -- wrong options


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"optimizer": "adam"}, "did you mean 'adamw'"),
        ({"optimizer": 3}, "optimizer must be one of lm, lbfgs, adamw"),
        ({"optimizer": "lm", "loss": torch.nn.functional.l1_loss}, "use 'lbfgs' or 'adamw'"),
        ({"step": 5}, "did you mean 'steps'"),
        ({"lamb": 0.1}, "fit has no option 'lamb'"),
        ({"steps": 0}, "steps must be a whole number of at least 1, or None, not 0"),
        ({"steps": 2.5}, "steps must be"),
        ({"steps": True}, "steps must be"),
        ({"starts": -1}, "starts must be"),
        ({"batch_size": 0}, "batch_size must be"),
        ({"patience": 0}, "patience must be"),
        ({"sparsity": -0.1}, "sparsity must be a finite number that is not negative"),
        ({"sparsity": math.nan}, "sparsity must be"),
        ({"sparsity": "much"}, "sparsity must be"),
        ({"roughness": math.inf}, "roughness must be"),
        ({"learning_rate": 0.0}, "learning_rate must be a positive finite number"),
        ({"learning_rate": "fast"}, "learning_rate must be"),
        ({"time_limit": -3}, "time_limit must be"),
        ({"time_limit": math.nan}, "time_limit must be"),
        ({"blend": 1.5}, "blend must lie between 0"),
        ({"blend": None}, "blend must"),
        ({"grids": ()}, "grids must be growing whole numbers"),
        ({"grids": (5, 5)}, "grids must be"),
        ({"grids": (10, 5)}, "grids must be"),
        ({"grids": (0, 5)}, "grids must be"),
        ({"grids": (2.5,)}, "grids must be"),
        ({"grids": 5}, "grids must be"),
        ({"grids": ("3", 6)}, "grids must be"),
        ({"seed": "x"}, "seed must be"),
        ({"seed": 1.5}, "seed must be"),
        ({"seed": 2**70}, "seed must be"),
        ({"loss": "mse", "optimizer": "adamw"}, "loss must be"),
    ],
)
def test_wrong_options_are_refused_in_one_sentence_and_change_nothing(options: dict[str, Any], named: str) -> None:
    model = KAN([2, 1], seed=0)
    before = model.copy()
    with pytest.raises(OptionError) as caught:
        fit(model, table(40), progress=False, **options)
    assert named in str(caught.value) and is_one_sentence(str(caught.value))
    assert same_state(model, before)


@pytest.mark.parametrize("data", [3, None, "knots.csv", torch.zeros(5, 3), (torch.zeros(5, 2),)])
def test_data_that_are_no_data_are_refused(data: Any) -> None:
    with pytest.raises(DataError, match="a Dataset or a pair of arrays") as caught:
        fit(KAN([2, 1], seed=0), data, progress=False)
    assert is_one_sentence(str(caught.value))


@pytest.mark.parametrize(("widths", "named"), [([3, 1], "takes 3 features"), ([2, 2], "gives 2 targets")])
def test_models_that_do_not_match_the_data_are_refused(widths: list[int], named: str) -> None:
    with pytest.raises(ShapeError) as caught:
        fit(KAN(widths, seed=0), table(40), progress=False)
    assert named in str(caught.value) and "KAN([2, ..., 1])" in str(caught.value)
    assert is_one_sentence(str(caught.value))


def test_lbfgs_takes_over_where_the_matrix_would_be_too_large() -> None:
    model = KAN([2, 40, 40, 1], seed=0)
    history = fit(model, table(40), starts=1, grids=(5,), steps=5, progress=False)
    assert history.optimizer == "lm, then lbfgs"
    assert any("15480 x 15480" in note and is_one_sentence(note) for note in history.notes)
    assert history.records[-1].train_loss < history.records[0].train_loss


def test_nothing_is_written_to_a_pipe(capfd: pytest.CaptureFixture[str]) -> None:
    fit(KAN([2, 1], seed=0), table(40), grids=(3,), steps=2)
    assert capfd.readouterr() == ("", "")


@torch.no_grad()
def test_hidden_grids_reach_into_the_corners_of_the_data() -> None:
    model = KAN([2, [1, [2, 3]], 1], seed=0, dtype=DOUBLE)
    layer, hidden = model.kan_layers()
    seen = random(2000, 2)
    hidden_grids.adapt(model, seen)
    before = model(seen)
    hidden_grids.widen(model, seen)
    assert torch.allclose(model(seen), before, atol=1e-12)
    points = grid.breakpoints(hidden.knots, hidden.degree)
    fresh = layer(random(20000, 2, seed=1))
    assert (points[:, 0] < fresh.amin(0)).all() and (points[:, -1] > fresh.amax(0)).all()
    # No further than what nodes could be if inputs met in any combination, and a little more.
    low, high = hidden_grids.corners(layer, seen)
    meeting = layer(torch.cartesian_prod(seen[:, 0], seen[:, 1]))
    assert (low <= meeting.amin(0) + 1e-12).all() and (high >= meeting.amax(0) - 1e-12).all()
    assert low[0] == pytest.approx(meeting[:, 0].amin().item())
    assert high[0] == pytest.approx(meeting[:, 0].amax().item())
    little = 0.031 * (layer(seen).amax(0) - layer(seen).amin(0))
    assert (points[:, 0] >= low - little).all() and (points[:, -1] <= high + little).all()


def test_hidden_grids_leave_more_room_where_activations_thin_out() -> None:
    x = random(2000, 30)
    # Sums of many inputs thin out, single inputs end.
    h = torch.stack([x[:, 0], x.sum(1), -5 * x.sum(1)], 1)
    width, far = h.amax(0) - h.amin(0), torch.tensor([h[:, 0].max(), 1e3, 1e3], dtype=DOUBLE)
    share, other = room(h, far) / width, room(-h, far) / width
    assert share[0] == pytest.approx(0.03) and 0.05 < share[1] <= 0.25
    assert share[1] == pytest.approx(other[2].item()) and other[1] == pytest.approx(share[2].item())
    fresh = random(20000, 30, seed=1).sum(1)
    assert fresh.max() < h[:, 1].max() + room(h, far)[1] and fresh.min() > h[:, 1].min() - room(-h, far)[1]
    assert (room(h, h.amax(0)) / width).tolist() == pytest.approx([0.03] * 3)
    assert room(h[:1], far).tolist() == [0.0, 0.0, 0.0]
