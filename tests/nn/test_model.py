"""KAN: forward and trace, and edits that keep the function."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from superpose.data import Affine, Dataset
from superpose.errors import DataError, OptionError, ShapeError
from superpose.nn import KAN
from superpose.spline import breakpoints

DOUBLE = torch.float64


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(*shape, generator=generator, dtype=DOUBLE) - 1


def rough(model: KAN, size: float = 0.3) -> KAN:
    """The model as if it had been trained: its curves bent away from the smooth start."""
    for n, layer in enumerate(model.kan_layers()):
        bends = random(*layer.coefficients.shape, seed=n).to(layer.coefficients)
        layer.coefficients.data += size * bends
    return model


def scaled(model: KAN) -> KAN:
    count_in, count_out = model.widths[0], model.widths[-1]
    model.set_scaling(
        Affine(3 * random(count_in), 0.5 + random(count_in, seed=1) ** 2),
        Affine(5 * random(count_out), 2 + random(count_out, seed=2)),
    )
    return model


def same_state(first: KAN, second: KAN) -> bool:
    ours, theirs = first.state_dict(), second.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)


# -- what a model is


def test_widths_grids_and_degrees_per_layer() -> None:
    model = KAN([2, 5, 3, 1], grid_size=[3, 4, 6], degree=[1, 2, 5], base="none")
    assert model.widths == [2, 5, 3, 1]
    assert [layer.grid_size for layer in model.kan_layers()] == [3, 4, 6]
    assert [layer.degree for layer in model.kan_layers()] == [1, 2, 5]
    assert model.parameter_count() == 10 * 4 + 15 * 6 + 3 * 11
    assert len(model.active_edges()) == 28 and model.active_edges()[-1] == (2, 2, 0)
    assert model(random(7, 2)).shape == (7, 1)
    assert KAN((4, 1)).widths == [4, 1]
    assert KAN(np.array([4, 1])).widths == [4, 1]


def test_names_are_given_or_numbered() -> None:
    model = KAN([2, 1], feature_names=["volume", "length"], target_names=["area"])
    assert model.feature_names == ("volume", "length") and model.target_names == ("area",)
    assert KAN([2, 1]).feature_names == ("x1", "x2") and KAN([2, 1]).target_names == ("y",)
    assert KAN([1, 2]).feature_names == ("x1",) and KAN([1, 2]).target_names == ("y1", "y2")


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ([[2]], {}, "widths must list at least an input and an output layer"),
        ([[2, 0, 1]], {}, "widths must list at least an input and an output layer, each of at"),
        ([[2, 1.5]], {}, "widths must be a list of whole numbers such as [2, 5, 1], not [2, 1.5]"),
        ([3], {}, "widths must be a list of whole numbers"),
        (["21"], {}, "widths must be a list of whole numbers"),
        ([[2, 3, 1]], {"grid_size": [3]}, "grid_size lists 1 numbers for 2 layers"),
        ([[2, 3, 1]], {"degree": [3, 3, 3]}, "degree lists 3 numbers for 2 layers"),
        ([[2, 3, 1]], {"grid_size": [3, 4.5]}, "grid_size must be a whole number of at least 1, not 4.5"),
        ([[2, 1]], {"seed": -1}, "seed must be a whole number from 0 to 2**63 - 1, not -1"),
        ([[2, 1]], {"seed": 1.5}, "seed must be a whole number"),
        ([[2, 1]], {"grid_range": 3}, "grid_range must be two finite numbers, the lower first, not 3"),
        ([[2, 3, 1]], {"grid_size": [3, 0]}, "grid_size must be a whole number of at least 1"),
        ([[2, 1]], {"feature_names": ["a"]}, "feature_names must be 2 different names"),
        ([[2, 1]], {"feature_names": ["a", "a"]}, "feature_names must be 2 different names"),
        ([[2, 1]], {"feature_names": "ab"}, "feature_names must be 2 different names"),
        ([[2, 1]], {"target_names": ["a", "b"]}, "target_names must be 1 different names"),
    ],
)
def test_what_no_model_can_be_is_refused(arguments: list[object], options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        KAN(*arguments, **options)  # type: ignore[arg-type]
    assert str(caught.value).startswith(message)


# -- seeds (complaint 9: constructors that reseed, runs that do not repeat)


def test_a_model_comes_from_its_seed_and_touches_nothing_else(untouched_globals: None) -> None:
    first = KAN([3, 4, 2], seed=5)
    torch.rand(3, generator=torch.Generator().manual_seed(1))
    assert same_state(first, KAN([3, 4, 2], seed=5))
    assert not same_state(first, KAN([3, 4, 2], seed=6))


def test_what_was_drawn_before_makes_no_difference() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first = KAN([2, 3, 1], seed=1)
        drawn = torch.rand(3)
        torch.manual_seed(0)
        assert torch.equal(drawn, torch.rand(3))
        assert same_state(first, KAN([2, 3, 1], seed=1))


def test_layers_of_one_model_start_differently() -> None:
    first, second = KAN([3, 3, 3], seed=0).kan_layers()
    assert not torch.equal(first.coefficients, second.coefficients)
    assert not torch.equal(first.base_weight, second.base_weight)


# -- forward and trace


def test_a_model_is_its_layers_between_two_scalings() -> None:
    model, x = scaled(rough(KAN([2, 3, 2]))), 4 * random(20, 2)
    h = (x - model.input_center) / model.input_scale
    for layer in model.layers:
        h = layer(h)
    torch.testing.assert_close(model(x), h * model.output_scale + model.output_center)
    assert bool(model.scaled)


@pytest.mark.parametrize("lead", [(), (0,), (5,), (2, 3)])
def test_any_leading_dimensions_and_number_types(lead: tuple[int, ...]) -> None:
    model = KAN([2, 3, 2])
    assert model(random(*lead, 2)).shape == (*lead, 2)
    assert model(random(*lead, 2).float()).dtype == DOUBLE
    assert model(torch.ones(*lead, 2, dtype=torch.int64)).dtype == DOUBLE
    assert KAN([2, 3, 2], dtype=torch.float32)(random(*lead, 2)).dtype == torch.float32


@pytest.mark.parametrize("kind", [DOUBLE, torch.int64])
def test_float32_models_keep_the_digits_of_columns_far_from_zero(kind: torch.dtype) -> None:
    # Float32 has steps of 64 at 1e9: cast before the subtraction, all of these would be a handful of values.
    x = (10**9 + torch.arange(-50, 51).reshape(-1, 1)).to(kind)
    model = KAN([1, 1], dtype=torch.float32)
    model.set_scaling(Affine(torch.tensor([1e9]), torch.tensor([50.0])), Affine(torch.zeros(1), torch.ones(1)))
    scaled = torch.linspace(-1, 1, 101)[:, None]
    torch.testing.assert_close(model.scale_inputs(x), scaled, rtol=0, atol=1e-7)
    torch.testing.assert_close(model(x), model.layer(0)(scaled), rtol=0, atol=1e-6)
    torch.testing.assert_close(model.trace(x).output, model(x), rtol=0, atol=1e-6)
    model.set_scaling(Affine(torch.zeros(1), torch.ones(1)), Affine(torch.tensor([1e9]), torch.tensor([50.0])))
    torch.testing.assert_close(model.scale_targets(x), scaled, rtol=0, atol=1e-7)


def test_gradients_reach_inputs_of_other_dtypes() -> None:
    model, x = scaled(rough(KAN([2, 3, 1], dtype=torch.float32))), random(5, 2).requires_grad_()
    model(x).sum().backward()
    exact, y = model.copy().to(DOUBLE), x.detach().requires_grad_()
    exact(y).sum().backward()
    torch.testing.assert_close(x.grad, y.grad, rtol=1e-4, atol=1e-4)


def test_the_trace_adds_up_to_the_forward_pass() -> None:
    model, x = scaled(rough(KAN([2, 3, 2]))), 4 * random(20, 2)
    model.layer(0).set_symbolic({(1, 2): ("sin", (2.0, 0.5, 3.0, -1.0))})
    model = model.with_mask([(0, 0, 0), (1, 2, 1)], alive=False)
    trace = model.trace(x)
    torch.testing.assert_close(trace.output, model(x))
    assert torch.equal(model.trace_scaled(model.scale_inputs(x)).output, trace.output)
    torch.testing.assert_close(trace.layers[0].inputs, model.scale_inputs(x))
    for n, layer in enumerate(trace.layers):
        assert layer.edges.shape == (20, *model.layer(n).mask.shape)
        torch.testing.assert_close(layer.edges.sum(1), layer.outputs)
        torch.testing.assert_close(model.layer(n)(layer.inputs), layer.outputs)
        assert bool((layer.edges[:, ~model.layer(n).mask] == 0).all())
    assert trace.layers[1].inputs is trace.layers[0].outputs


def test_trace_and_forward_leave_nothing_behind() -> None:
    model, x = KAN([2, 3, 1]), random(5, 2)
    before = {name: set(vars(module)) for name, module in model.named_modules()}
    state = {name: value.clone() for name, value in model.state_dict().items()}
    model.trace(x)
    model(x)
    assert {name: set(vars(module)) for name, module in model.named_modules()} == before
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())


def test_gradients_reach_everything_through_all_layers() -> None:
    model, x = rough(KAN([2, 3, 2, 1])), random(20, 2).requires_grad_()
    model(x).square().sum().backward()
    assert bool((x.grad != 0).all())
    assert all(bool((p.grad != 0).any()) for p in model.parameters())
    assert torch.autograd.gradcheck(model, (0.9 * random(3, 2, seed=4)).requires_grad_())


# -- shapes (complaint 13: labels broadcast to a square, extra columns ignored)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((7,), "has shape (7,) (for one feature use x.reshape(-1, 1))"),
        ((7, 3), "has shape (7, 3)"),
        ((7, 1), "has shape (7, 1)"),
        ((2, 7), "has shape (2, 7)"),
        ((), "has shape ()"),
    ],
)
@pytest.mark.parametrize("call", ["forward", "trace"])
def test_wrong_shapes_get_one_sentence(shape: tuple[int, ...], message: str, call: str) -> None:
    model = KAN([2, 1], feature_names=["volume", "length"])
    with pytest.raises(ShapeError) as caught:
        getattr(model, call)(torch.zeros(shape, dtype=DOUBLE))
    assert str(caught.value) == (
        "the model takes 2 features (volume, length) in the last dimension, but the input " + message
    )


def test_a_single_feature_is_not_guessed_from_a_flat_row() -> None:
    with pytest.raises(ShapeError, match=r"takes 1 feature \(x1\) .* x.reshape\(-1, 1\)"):
        KAN([1, 1])(torch.zeros(5))
    assert KAN([1, 1])(torch.zeros(1)).shape == (1,)


def test_many_features_are_not_all_listed() -> None:
    with pytest.raises(ShapeError) as caught:
        KAN([50, 1])(torch.zeros(3, 49))
    assert "(x1, x2, x3, x4, x5, x6, x7, x8, ...)" in str(caught.value)


def test_trace_takes_samples_only() -> None:
    with pytest.raises(ShapeError, match=r"trace takes samples of shape \[B, 2\], not \(4, 5, 2\)"):
        KAN([2, 1]).trace(torch.zeros(4, 5, 2))


# -- predictions


def test_predictions_take_columns_by_name_from_every_kind_of_table(tmp_path: Path) -> None:
    model = scaled(rough(KAN([2, 3, 1], feature_names=["a", "b"])))
    x = random(20, 2)
    expected = model(x).detach().numpy()
    frame = pd.DataFrame({"other": 0.0, "b": x[:, 1].numpy(), "a": x[:, 0].numpy()})
    path = tmp_path / "table.csv"
    frame.to_csv(path, index=False)
    data = Dataset.from_arrays(x.flip(-1), x.sum(-1), feature_names=["b", "a"])
    same = Dataset.from_arrays(x, x.sum(-1), feature_names=["a", "b"])
    for table in (x, x.numpy(), x.tolist(), frame, path, str(path), data, same):
        found = model.predict(table)
        assert isinstance(found, np.ndarray) and found.dtype == np.float64
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_predictions_name_a_missing_column_and_refuse_extra_ones() -> None:
    model = KAN([2, 1], feature_names=["length", "volume"])
    with pytest.raises(DataError, match="'volume'"):
        model.predict(pd.DataFrame({"length": [1.0], "volum": [2.0]}))
    for columns in (1, 3):
        with pytest.raises(DataError, match=f"has {columns} column"):
            model.predict(np.zeros((5, columns)))


def test_predictions_leave_no_graph_and_come_in_blocks() -> None:
    model, x = KAN([1, 2, 2], grid_size=2, degree=1), random((1 << 16) + 3, 1)
    found = model.predict(x)
    assert found.shape == ((1 << 16) + 3, 2)
    np.testing.assert_allclose(found[-5:], model(x[-5:]).detach().numpy(), rtol=1e-12)


# -- outside the grid (complaint 11)


@pytest.mark.parametrize("base", ["silu", "identity", "none"])
@pytest.mark.parametrize("far", [1.5, 10.0, 1e4])
def test_far_outside_the_grid_values_are_finite_and_gradients_are_not_zero(base: str, far: float) -> None:
    model = rough(KAN([2, 3, 1], base=base))
    x = torch.tensor([[far, 0.0], [-far, 0.0], [far, far]], dtype=DOUBLE, requires_grad=True)
    y = model(x)
    assert bool(y.isfinite().all())
    (slope,) = torch.autograd.grad(y.sum(), x)
    assert bool(slope.isfinite().all()) and bool((slope[:, 0].abs() > 1e-9).all())
    parameters = torch.autograd.grad(model(x).sum(), list(model.parameters()))
    assert all(bool(g.isfinite().all()) for g in parameters)


# -- refine


@given(
    sizes=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    more=st.tuples(st.integers(0, 20), st.integers(0, 20)),
    degree=st.integers(0, 5),
    adapted=st.booleans(),
)
@settings(max_examples=60)
def test_refining_keeps_the_function_exactly(
    sizes: tuple[int, int], more: tuple[int, int], degree: int, adapted: bool
) -> None:
    model = scaled(rough(KAN([2, 3, 2], grid_size=sizes, degree=degree)))
    x = 3 * random(40, 2)
    if adapted:
        model = model.adapt(x, blend=0.6, margin=0.1)
    before = model(x)
    finer = [size + extra for size, extra in zip(sizes, more, strict=True)]
    refined = model.refine(finer)
    assert [layer.grid_size for layer in refined.kan_layers()] == finer
    assert [layer.grid_size for layer in model.kan_layers()] == list(sizes)
    scale = before.abs().max().clamp(min=1)
    assert (refined(x) - before).abs().max() < 1e-11 * scale
    assert torch.equal(model(x), before)


def test_refining_one_number_for_all_layers_keeps_finer_ones() -> None:
    model = KAN([2, 3, 1], grid_size=[4, 20]).refine(10)
    assert [layer.grid_size for layer in model.kan_layers()] == [10, 20]
    with pytest.raises(OptionError, match="grid_size lists 3 numbers for 2 layers"):
        model.refine([10, 10, 10])
    for size in (0, 7.5):
        with pytest.raises(OptionError, match="grid_size must be a whole number of at least 1"):
            model.refine(size)  # type: ignore[arg-type]
    (size,) = np.array([12])
    assert KAN([2, 1], grid_size=size).refine(size + 1).layer(0).grid_size == 13


def test_a_staircase_of_refinements_to_a_fine_grid_stays_finite_and_exact() -> None:
    """Complaint 5: NaN after refining."""
    model, x = rough(KAN([2, 3, 1], grid_size=3)), random(50, 2)
    before = model(x)
    for size in (5, 10, 20, 50, 100, 200, 1000):
        model = model.refine(size)
        assert (model(x) - before).abs().max() < 1e-12
    assert all(bool(p.isfinite().all()) for p in model.parameters())


def test_refined_models_keep_masks_symbols_names_and_scaling() -> None:
    model = scaled(rough(KAN([2, 2, 1], feature_names=["a", "b"])))
    model.layer(0).set_symbolic({(1, 1): ("sin", (2.0, 0.5, 3.0, -1.0))})
    model = model.with_mask([(0, 0, 1)], alive=False)
    x = random(20, 2)
    for other in (model.refine(9), model.adapt(x), model.copy()):
        assert other.active_edges() == model.active_edges()
        assert other.layer(0).symbolic_table() == model.layer(0).symbolic_table()
        assert other.feature_names == ("a", "b")
        assert torch.equal(other.input_center, model.input_center)
        assert other is not model
        assert all(p.requires_grad for p in other.parameters())
    torch.testing.assert_close(model.refine(9)(x), model(x), rtol=1e-12, atol=1e-12)


# -- adapt


@pytest.mark.parametrize("base", ["silu", "none"])
@pytest.mark.parametrize("blend", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("degree", [1, 2, 3, 5])
def test_adapting_a_fresh_model_keeps_the_function(base: str, blend: float, degree: int) -> None:
    """A start is made of smooth polynomials, which every grid inside the first represents."""
    model, x = KAN([2, 3, 1], degree=degree, base=base), random(100, 2)
    moved = model.adapt(x, blend=blend)
    torch.testing.assert_close(moved(x), model(x), rtol=0, atol=1e-10)
    assert not torch.equal(moved.layer(1).knots, model.layer(1).knots)


def test_adapting_a_bent_model_keeps_the_function_nearly() -> None:
    model, x = rough(KAN([2, 3, 1], grid_size=8), size=0.1), random(300, 2)
    before = model(x)
    moved = model.adapt(x, blend=0.3)
    assert (moved(x) - before).std() < 0.05 * before.std()
    # The more intervals, the nearer.
    finer = model.adapt(x, blend=0.3, grid_size=80)
    assert (finer(x) - before).std() < 1e-3 * before.std()
    assert [layer.grid_size for layer in finer.kan_layers()] == [80, 80]


def test_adapted_grids_follow_the_activations() -> None:
    model, x = scaled(KAN([2, 3, 1])), 5 * random(200, 2)
    moved = model.adapt(x, blend=0.5, margin=0.25)
    for layer, trace in zip(moved.kan_layers(), model.trace(x).layers, strict=True):
        ends = breakpoints(layer.knots, layer.degree)[:, [0, -1]]
        low, high = trace.inputs.amin(0), trace.inputs.amax(0)
        torch.testing.assert_close(ends[:, 0], low - 0.25 * (high - low))
        torch.testing.assert_close(ends[:, 1], high + 0.25 * (high - low))
    crowded = x.sign() * x.abs() ** 3
    for blend in (0.0, 1.0):
        moved = model.adapt(crowded, blend=blend)
        widths = breakpoints(moved.layer(0).knots, 3).diff(dim=-1)
        even = bool((widths.amax(1) < 1.01 * widths.amin(1)).all())
        assert even == (blend == 0.0)


@pytest.mark.parametrize("blend", [0.0, 1.0])
def test_adapting_to_samples_that_hardly_vary_stays_finite(blend: float) -> None:
    """Complaint 5: least squares that fail, and NaN, at grid updates."""
    for x in (torch.zeros(10, 2), torch.ones(1, 2), random(3, 2).expand(-1, 2).round()):
        moved = KAN([2, 3, 1], grid_size=20).adapt(x, blend=blend)
        assert all(bool(p.isfinite().all()) for p in moved.parameters())
        assert bool(moved(3 * random(20, 2)).isfinite().all())
    dead = KAN([2, 2, 1]).with_mask([(0, 0, 0), (0, 1, 0)], alive=False)
    assert bool(dead.adapt(random(20, 2), blend=blend)(random(20, 2)).isfinite().all())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blend": 1.5}, "blend must lie between 0 (uniform) and 1 (quantiles), not 1.5"),
        ({"blend": float("nan")}, "blend must lie between 0 (uniform) and 1 (quantiles), not nan"),
        ({"margin": -0.1}, "margin must not be negative, and is -0.1"),
        ({"grid_size": [3]}, "grid_size lists 1 numbers for 2 layers"),
        ({"grid_size": 0}, "grid_size must be a whole number of at least 1, not 0"),
    ],
)
def test_adapting_refuses_what_makes_no_grid(options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        KAN([2, 3, 1]).adapt(random(10, 2), **options)  # type: ignore[arg-type]
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("x", [torch.zeros(0, 2), torch.tensor([[0.0, float("nan")]]), torch.zeros(2, 2, 2)])
def test_adapting_refuses_samples_that_make_no_grid(x: Tensor) -> None:
    with pytest.raises(DataError, match=r"^grids follow finite activations of samples \[B, 2\]"):
        KAN([2, 3, 1]).adapt(x)


# -- masks and copies


def test_edges_are_removed_and_brought_back_in_new_models() -> None:
    model, x = rough(KAN([2, 2, 1])), random(20, 2)
    whole = model.trace(x).layers[0].edges
    without = model.with_mask([(0, 1, 0)], alive=False)
    assert (0, 1, 0) not in without.active_edges() and (0, 1, 0) in model.active_edges()
    torch.testing.assert_close(without.trace(x).layers[0].outputs[:, 0], whole[:, 0, 0])
    again = without.with_mask([(0, 1, 0)], alive=True)
    assert torch.equal(again(x), model(x))
    assert without.parameter_count() == model.parameter_count() - 9


@pytest.mark.parametrize("edge", [(2, 0, 0), (0, 2, 0), (0, 0, 3), (0, -1, 0)])
def test_only_edges_that_the_model_has_can_be_removed(edge: tuple[int, int, int]) -> None:
    with pytest.raises(OptionError) as caught:
        KAN([2, 3, 1]).with_mask([edge], alive=False)
    assert str(caught.value) == f"the model has no edge {edge}; its widths are [2, 3, 1]"


def test_a_removed_edge_is_no_longer_symbolic() -> None:
    model = KAN([2, 1])
    model.layer(0).set_symbolic({(0, 0): ("sin", (2.0, 0.5, 3.0, -1.0))})
    assert model.parameter_count() == 4 + 9
    without = model.with_mask([(0, 0, 0)], alive=False)
    assert without.layer(0).symbolic is None
    assert torch.equal(without.trace(random(5, 2)).layers[0].edges[:, 0], torch.zeros(5, 1).double())
    assert without.parameter_count() == 9


def test_copies_are_independent() -> None:
    model, x = rough(KAN([2, 2, 1])), random(5, 2)
    before = model(x).detach()
    copied = model.copy()
    for parameter in copied.parameters():
        parameter.data += 1
    copied.set_scaling(Affine(random(2), 1 + random(2) ** 2), Affine(random(1), 1 + random(1) ** 2))
    assert torch.equal(model(x), before) and not bool(model.scaled)


def test_the_state_goes_into_a_dict_and_back() -> None:
    model, other, x = scaled(rough(KAN([2, 3, 1]))), KAN([2, 3, 1], seed=9), random(10, 2)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(x), model(x)) and bool(other.scaled)
