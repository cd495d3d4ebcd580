"""remember: earlier data stay in force, exactly for one layer; what would break a memory is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from helpers import HELD_OUT, is_one_sentence
from superpose.data import Affine, Dataset
from superpose.errors import DataError, OptionError, ShapeError
from superpose.nn import KAN
from superpose.optim.levenberg_marquardt import LevenbergMarquardt
from superpose.optim.parameters import Parameters
from superpose.train import Memory, fit, remember

DOUBLE = torch.float64


def plain(widths: Sequence[int], *, dtype: torch.dtype = DOUBLE, **options: Any) -> KAN:
    """A model that takes the data as they are."""
    model = KAN(widths, seed=0, dtype=dtype, **options)
    zeros, ones = torch.zeros(max(widths)), torch.ones(max(widths))
    inputs, outputs = widths[0], widths[-1]
    model.set_scaling(Affine(zeros[:inputs], ones[:inputs]), Affine(zeros[:outputs], ones[:outputs]))
    return model


def phase(low: float, high: float, *, count: int = 60, inputs: int = 1, noise: float = 0.1, seed: int = 0) -> Dataset:
    generator = torch.Generator().manual_seed(seed)
    x = low + (high - low) * torch.rand(count, inputs, generator=generator, dtype=DOUBLE)
    y = torch.sin(4 * x).sum(1, keepdim=True) + noise * torch.randn(count, 1, generator=generator, dtype=DOUBLE)
    return Dataset.from_arrays(x, y, validation=0.0, test=0.0)


def show(model: KAN, data: Dataset, memory: Memory | None = None, **options: Any) -> Memory:
    """One phase."""
    options = {"adapt": False, "roughness": 0.0, "starts": 1, "progress": False} | options
    if memory is None:
        fit(model, data, grids=(model.layer(0).grid_size,), **options)
    else:
        fit(model, data, memory=memory, **options)
    return remember(model, data, memory)


def minimise(model: KAN, data: Dataset, memory: Memory | None = None) -> None:
    """To the last digit, where fit stops once the error hardly falls any more."""
    penalties = () if memory is None else (memory.quadratic(data.n_rows),)
    stepper = LevenbergMarquardt(model, data.x, data.y, penalties=penalties)
    for _ in range(16):
        stepper.step()


def rounding(normal: Tensor, constants: Tensor) -> float:
    """How far, in the Euclidean norm over samples, predictions may be from those of the least squared error."""
    epsilon = torch.finfo(normal.dtype).eps
    return float((epsilon * len(normal) * torch.linalg.matrix_norm(normal, 2)).sqrt() * constants.norm())


def joined(*parts: Dataset) -> Dataset:
    x, y = (torch.cat([part.rows("train")[n] for part in parts]) for n in range(2))
    return Dataset.from_arrays(x, y, validation=0.0, test=0.0)


# -- what a memory does


@settings(max_examples=8, derandomize=True)
@example(base="silu", inputs=2, seed=1, counts=(27, 20, 20))
@given(
    base=st.sampled_from(["none", "silu", "identity"]),
    inputs=st.integers(1, 3),
    seed=st.integers(0, 100),
    counts=st.tuples(*[st.integers(20, 80)] * 3),
)
def test_one_layer_with_a_memory_is_least_squares_over_all_phases(
    base: str, inputs: int, seed: int, counts: tuple[int, ...]
) -> None:
    parts = [phase(-1, 1, count=count, inputs=inputs, seed=seed + n) for n, count in enumerate(counts)]
    model, together = (plain([inputs, 1], grid_size=3, base=base) for _ in range(2))
    memory = None
    for part in parts:
        minimise(model, part, memory)
        memory = remember(model, part, memory)
    everything = joined(*parts)
    minimise(together, everything)
    with torch.no_grad():
        error = float((model(everything.x) - together(everything.x)).norm())
    assert memory is not None and memory.samples == sum(counts)
    # Normal equations of P constants are known to P roundings of their norm, and see of a direction the square of what
    # it does to the predictions: those are known to the root of that, once for each of the four minima.
    assert error < 4 * rounding(memory.matrix, Parameters(together).get())


@pytest.mark.parametrize("widths", [[1, 1], [2, 3, 1], [2, 2, 2]])
def test_what_is_forgotten_is_how_far_predictions_moved(widths: list[int]) -> None:
    model = plain(widths, grid_size=4)
    x = 2 * torch.rand(50, widths[0], generator=torch.Generator().manual_seed(0), dtype=DOUBLE) - 1
    memory = remember(model, x)
    assert float(memory.forgotten(model).detach()) == 0.0
    with torch.no_grad():
        before = model(x)
        for layer in model.kan_layers():
            layer.coefficients += 1e-6 * torch.randn(
                layer.coefficients.shape, generator=torch.Generator().manual_seed(1), dtype=DOUBLE
            )
        moved = float((model(x) - before).square().sum())
    forgotten = memory.forgotten(model)
    assert float(forgotten.detach()) == pytest.approx(moved, rel=1e-3)
    forgotten.backward()
    assert all(layer.coefficients.grad is not None for layer in model.kan_layers())


def test_what_is_forgotten_is_measured_in_scaled_units() -> None:
    # Inputs from 5 to 9 lie far outside the grid, and predictions are 300 times as large, unless both are scaled.
    x = torch.linspace(5, 9, 80, dtype=DOUBLE)[:, None]
    data = Dataset.from_arrays(x, 300 * torch.sin(x), validation=0.0, test=0.0)
    model = KAN([1, 1], seed=0)
    fit(model, data, steps=3, progress=False)
    memory = remember(model, data)
    with torch.no_grad():
        before = model(x)
        layer = model.layer(0)
        shift = torch.randn(layer.coefficients.shape, generator=torch.Generator().manual_seed(1), dtype=DOUBLE)
        layer.coefficients += 0.1 * shift
        moved = float(((model(x) - before) / model.output_scale).square().sum())
        # One layer is linear in its constants: nothing but rounding is lost.
        assert float(memory.forgotten(model)) == pytest.approx(moved, rel=1e-9)


def test_strength_counts_samples_again() -> None:
    model, data = plain([1, 1], grid_size=4), phase(-1, 1)
    once = remember(model, data)
    twice = remember(model, data, once)
    assert torch.allclose(remember(model, data, strength=2).matrix, twice.matrix)
    assert (once.samples, twice.samples) == (60, 120)


PEAKS = torch.linspace(-0.8, 0.8, 5, dtype=DOUBLE)


def peaks(x: Tensor) -> Tensor:
    return torch.exp(-300 * (x - PEAKS).square()).sum(1, keepdim=True)


def five_peaks(base: str, protect: bool, **options: Any) -> tuple[list[list[float]], float]:
    """RMSE by phase and peak, and the largest change of an earlier peak's."""
    model, memory, rmse = plain([1, 1], grid_size=200, base=base), None, []
    fresh = [torch.linspace(-0.2, 0.2, 333, dtype=DOUBLE)[:, None] + center for center in PEAKS]
    for center in PEAKS:
        x = torch.linspace(-0.2, 0.2, 100, dtype=DOUBLE)[:, None] + center
        shown = show(model, Dataset.from_arrays(x, peaks(x), validation=0.0, test=0.0), memory, **options)
        memory = shown if protect else None
        with torch.no_grad():
            rmse.append([float((model(x) - peaks(x)).square().mean().sqrt()) for x in fresh])
    change = max(abs(rmse[later][peak] - rmse[peak][peak]) for later in range(5) for peak in range(later))
    return rmse, change


@pytest.mark.parametrize("base", ["none", "silu"])
@pytest.mark.parametrize("roughness", [0.0, 1e-11])
def test_five_peaks_shown_in_turn_stay_with_a_memory(base: str, roughness: float) -> None:
    rmse, change = five_peaks(base, True, roughness=roughness)
    assert change < 1e-9 and max(rmse[-1]) < 1e-5


def test_five_peaks_stay_without_a_memory_if_nothing_reaches_across() -> None:
    rmse, change = five_peaks("none", False)
    assert change < 1e-6 and max(rmse[-1]) < 1e-5
    # A base function reaches over the whole line, and so does a roughness of one strength for all; that which is found
    # from the data leaves alone what no sample sees.
    assert five_peaks("none", False, roughness=None)[1] < 1e-6
    assert five_peaks("silu", False)[1] > 1e-2
    assert five_peaks("none", False, roughness=1e-11)[1] > 1e-2


def test_the_state_is_kept_that_is_best_on_new_data_and_memory_together() -> None:
    first, second = phase(-1, 0.5, noise=0.0), phase(-0.5, 1, noise=0.0, seed=1)
    contrary = Dataset.from_arrays(second.x, second.y + 1, **HELD_OUT)
    model = plain([1, 1], grid_size=8)
    memory = show(model, first)
    count = len(contrary.rows("train")[0])
    states: list[tuple[float, float]] = []

    def value() -> tuple[float, float]:
        x, y = contrary.rows("validation")
        with torch.no_grad():
            error = float((model(x) - y).square().mean())
            return error, error + float(memory.forgotten(model)) / count

    fit(
        model,
        contrary,
        memory=memory,
        adapt=False,
        optimizer="adamw",
        steps=600,
        batch_size=8,
        progress=False,
        listener=lambda _: states.append(value()),
    )
    assert value()[1] == pytest.approx(min(both for _, both in states), rel=1e-9)
    # The data to come alone would have chosen another.
    assert min(states)[1] > 1.001 * value()[1]


def deep(strength: float | None) -> float:
    """How far a network of two layers moves on what it saw first."""
    model = plain([2, 4, 1], grid_size=5)
    first, second = (phase(*ends, inputs=2, count=150, noise=0.0) for ends in ((-1.0, 0.0), (0.0, 1.0)))
    fit(model, first, grids=(5,), starts=1, progress=False)
    with torch.no_grad():
        before = model(first.x)
    if strength is None:
        fit(model, second, grids=(5,), starts=1, adapt=False, progress=False)
    else:
        fit(model, second, memory=remember(model, first, strength=strength), adapt=False, progress=False)
    with torch.no_grad():
        return float((model(first.x) - before).square().mean().sqrt())


def test_deep_networks_forget_less_with_a_memory() -> None:
    # To first order only: hence a matter of degree.
    assert deep(1e6) < 0.02 * deep(None)


@pytest.mark.parametrize("optimizer", ["lbfgs", "adamw"])
def test_first_order_optimisers_keep_to_a_memory_too(optimizer: str) -> None:
    first, second = phase(-1, 0, noise=0.0), phase(0, 1, noise=0.0)
    moved = []
    for protect in (True, False):
        model = plain([1, 1], grid_size=8)
        memory = show(model, first)
        with torch.no_grad():
            before = model(first.x)
        options: dict[str, Any] = {"memory": memory} if protect else {"grids": (8,)}
        fit(model, second, optimizer=optimizer, adapt=False, steps=80, progress=False, **options)
        with torch.no_grad():
            moved.append(float((model(first.x) - before).square().mean().sqrt()))
    # Steps of AdamW that are as large for every constant reach the minimum late.
    assert moved[0] < {"lbfgs": 0.1, "adamw": 0.5}[optimizer] * moved[1]


def test_symbolic_and_removed_edges_are_remembered_as_they_are() -> None:
    model = plain([2, 2, 1], grid_size=4).with_mask([(0, 1, 0)], alive=False)
    model.layer(0).set_symbolic({(0, 0): ("sin", (1.5, 0.1, 0.8, 0.0))})
    first, second = (phase(*ends, inputs=2, count=100, noise=0.0) for ends in ((-1.0, 0.0), (0.0, 1.0)))
    fit(model, first, grids=(4,), starts=1, progress=False)
    memory = remember(model, first, strength=1e8)
    assert memory.center.shape == (model.parameter_count(),)
    moved = []
    for options in ({"memory": memory}, {"grids": (4,)}):
        with torch.no_grad():
            before = model(first.x)
        fit(model, second, adapt=False, progress=False, **options)
        with torch.no_grad():
            moved.append(float((model(first.x) - before).square().mean().sqrt()))
    assert moved[0] < 0.1 * moved[1]
    assert model.layer(0).symbolic_table().keys() == {(0, 0)}


def test_a_memory_is_in_the_users_units() -> None:
    x = torch.linspace(5, 9, 80, dtype=DOUBLE)[:, None]
    model = KAN([1, 1], seed=0)
    data = Dataset.from_arrays(x, 300 * torch.sin(x))
    fit(model, data, progress=False)
    from_table, from_array = remember(model, data), remember(model, data.rows("train")[0].numpy())
    assert torch.equal(from_table.matrix, from_array.matrix)
    fit(model, data, memory=from_table, adapt=False, steps=3, progress=False)


def test_float32_models_remember_in_float32() -> None:
    model, data = plain([1, 1], grid_size=8, dtype=torch.float32), phase(-1, 0)
    memory = show(model, data)
    assert memory.matrix.dtype == torch.float32
    show(model, phase(0, 1), memory)


# -- what would break it


def removed(model: KAN) -> KAN:
    return model.with_mask([(0, 0, 0)], alive=False)


def symbolic(model: KAN) -> KAN:
    model = model.copy()
    model.layer(0).set_symbolic({(0, 0): ("sin", (1.0, 0.0, 1.0, 0.0))})
    return model


def rescaled(model: KAN) -> KAN:
    model = model.copy()
    one = torch.ones(1, dtype=DOUBLE)
    model.set_scaling(Affine(one, one), Affine(one, one))
    return model


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda model: model.refine(12), "grids moved or were refined"),
        (lambda model: model.adapt(torch.rand(50, 1, dtype=DOUBLE)), "grids moved or were refined"),
        (removed, "edges were removed, brought back or made symbolic"),
        (symbolic, "edges were removed, brought back or made symbolic"),
        (rescaled, "scaling changed"),
        (lambda model: plain([1, 3, 1], grid_size=6), "of other layers"),
    ],
)
def test_a_model_that_changed_is_refused_and_left_alone(change: Callable[[KAN], KAN], named: str) -> None:
    model, data = plain([1, 2, 1], grid_size=6), phase(-1, 1)
    memory = remember(model, data)
    other = change(model)
    before = {name: value.clone() for name, value in other.state_dict().items()}
    for use in (lambda: fit(other, data, memory=memory, adapt=False), lambda: remember(other, data, memory)):
        with pytest.raises(OptionError) as caught:
            use()
        assert named in str(caught.value) and is_one_sentence(str(caught.value))
    assert all(torch.equal(value, before[name]) for name, value in other.state_dict().items())


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({}, "pass adapt=False"),
        ({"adapt": False, "grids": (6, 12)}, "leave out grids"),
        ({"adapt": False, "starts": 3}, "leave starts at 1"),
        ({"adapt": False, "memory": 3}, "must come from superpose.train.remember"),
    ],
)
def test_options_that_a_memory_does_not_outlive_are_refused(options: dict[str, Any], named: str) -> None:
    model, data = plain([1, 1], grid_size=6), phase(-1, 1)
    with pytest.raises(OptionError) as caught:
        fit(model, data, **{"memory": remember(model, data)} | options)
    assert named in str(caught.value) and is_one_sentence(str(caught.value))


@pytest.mark.parametrize(
    ("call", "error", "named"),
    [
        (lambda: remember(KAN([1, 1]), phase(-1, 1)), OptionError, "never fitted"),
        (lambda: remember(plain([1, 1]), phase(-1, 1), strength=0), OptionError, "strength must be"),
        (lambda: remember(plain([1, 1]), phase(-1, 1), strength="much"), OptionError, "strength must be"),  # type: ignore[arg-type]
        (lambda: remember(plain([1, 1]), phase(-1, 1, inputs=2)), ShapeError, "takes 1 features"),
        (lambda: remember(plain([1, 1]), "x"), DataError, "data"),
        (lambda: remember(plain([50, 50, 1]), torch.zeros(3, 50)), OptionError, "smaller grid"),
    ],
)
def test_what_cannot_be_remembered_is_said(call: Callable[[], Memory], error: type[Exception], named: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert named in str(caught.value) and is_one_sentence(str(caught.value))
