"""Pruning changes the function by what went, and never cuts an output off."""

from __future__ import annotations

import pytest
import torch
from editing_cases import rough, some_x
from hypothesis import given, settings
from hypothesis import strategies as st

from superpose.data import Dataset
from superpose.edit.pruning import prune
from superpose.errors import DataError, OptionError
from superpose.nn import KAN
from superpose.nn.surgery import slice_model

FIXED = settings(derandomize=True, deadline=None, max_examples=60, database=None)
STRAIGHT = ("x", (1.0, 0.0, 1.0, 0.0))


def reachable(model: KAN) -> list[bool]:
    reached = torch.ones(model.widths[0], dtype=torch.bool)
    for layer in model.kan_layers():
        reached = (layer.mask & reached[:, None]).any(0)
    return reached.tolist()


# -- one edge


@pytest.mark.parametrize("kind", ["spline", "symbolic", "base alone"])
@pytest.mark.parametrize("base", ["silu", "none"])
def test_an_edge_is_replaced_by_its_mean_everywhere(kind: str, base: str) -> None:
    model, x = rough(KAN([2, 1], base=base)), some_x(100, 2)
    layer = model.layer(0)
    if kind == "symbolic":
        layer.set_symbolic({(0, 0): ("sin", (2.0, 0.3, 1.5, 0.1))})
    if kind == "base alone":
        layer.spline_coefficients.data[0, :, 0] = 0.0
    gone = layer.edge_function(1, 0, x[:, 1]).detach()
    pruned = prune(model, x, edges=[(0, 1, 0)])
    far = 5 * some_x(50, 2, seed=1)
    expected = layer.edge_function(0, 0, far[:, 0]) + gone.mean()
    torch.testing.assert_close(pruned(far)[:, 0], expected, rtol=1e-12, atol=1e-12)
    assert pruned.active_edges() == [(0, 0, 0)]
    assert model.active_edges() == [(0, 0, 0), (0, 1, 0)]


def test_a_spline_takes_up_the_constant_before_a_symbol_does() -> None:
    model, x = rough(KAN([3, 1])), some_x(50, 3)
    model.layer(0).set_symbolic({(0, 0): ("exp", (1.0, 0.0, 9.0, 0.25))})
    pruned = prune(model, x, edges=[(0, 2, 0)])
    assert pruned.layer(0).symbolic_table() == model.layer(0).symbolic_table()


def test_a_constant_node_is_taken_up_downstream() -> None:
    model, x = rough(KAN([2, 3, 2])), some_x(80, 2)
    before = model(x)
    trace = model.trace(x)
    pruned = prune(model, x, edges=[(0, 0, 1), (0, 1, 1)])
    assert pruned.widths == [2, 2, 2]
    out = trace.layers[1].edges[:, 1]
    torch.testing.assert_close(pruned(x), before - out + out.mean(0), rtol=1e-12, atol=1e-12)


def test_a_node_that_nothing_reads_goes_with_its_edges_and_changes_nothing() -> None:
    model = rough(KAN([2, 3, 2, 1])).with_mask([(1, 1, 0), (1, 1, 1)], alive=False)
    x = some_x(50, 2)
    pruned = prune(model, x, threshold=0.0)
    assert pruned.widths == [2, 2, 2, 1]
    torch.testing.assert_close(pruned(x), model(x), rtol=1e-13, atol=1e-13)


# -- by name


def test_inputs_go_by_name_or_index_and_columns_keep_their_places() -> None:
    model, x = rough(KAN([3, 2, 1], feature_names=["a", "b", "c"])), some_x(50, 3)
    pruned = prune(model, x, inputs=["b"])
    assert pruned.widths[0] == 3 and pruned.feature_names == ("a", "b", "c")
    moved = x.clone()
    moved[:, 1] = 0.7
    assert torch.equal(pruned(x), pruned(moved))
    assert not torch.equal(pruned(x), pruned(x.flip(-1)))
    assert prune(model, x, inputs=[1]).active_edges() == pruned.active_edges()


def test_only_what_is_named_goes_unless_a_threshold_is_given_too() -> None:
    model, x = rough(KAN([3, 2, 1])), some_x(50, 3)
    model.layer(0).set_symbolic({(0, 0): ("x", (1.0, 0.0, 1e-9, 0.0))})
    assert (0, 0, 0) in prune(model, x, edges=[(0, 1, 1)]).active_edges()
    both = prune(model, x, edges=[(0, 1, 1)], threshold=1e-2).active_edges()
    assert (0, 0, 0) not in both and (0, 1, 1) not in both


def test_a_node_goes_with_all_of_its_edges() -> None:
    model, x = rough(KAN([2, 3, 1])), some_x(50, 2)
    out = model.trace(x).layers[1].edges[:, 2]
    pruned = prune(model, x, nodes=[(1, 2)])
    assert pruned.widths == [2, 2, 1]
    torch.testing.assert_close(pruned(x), model(x) - out + out.mean(0), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inputs": ["volum"]}, "the model has no input 'volum'; did you mean 'volume'?"),
        ({"inputs": [2]}, "the model has no input 2"),
        ({"inputs": "volume"}, "inputs is a list of columns; write inputs=['volume']"),
        ({"edges": [(0, 5, 0)]}, "the model has no edge (0, 5, 0); its widths are [2, 2, 1]"),
        ({"edges": [(0, -1, 0)]}, "the model has no edge (0, -1, 0); its widths are [2, 2, 1]"),
        ({"edges": [(0, 0)]}, "edges lists (layer, input, output) in whole numbers, not (0, 0)"),
        ({"edges": (0, 0, 0)}, "edges lists (layer, input, output) in whole numbers, not 0"),
        ({"nodes": [(3, 0)]}, "the model has no node (3, 0); its widths are [2, 2, 1]"),
        ({"nodes": [(2, 0)]}, "node (2, 0) is an output; outputs cannot be removed"),
        ({"threshold": -1.0}, "threshold must be a number of at least 0, not -1.0"),
        ({"threshold": float("nan")}, "threshold must be a number of at least 0, not nan"),
        (
            {"inputs": ["volume", "length"]},
            "without these edges the output 'z' would depend on no input; leave at least one path from an input to it",
        ),
        (
            {"nodes": [(1, 0), (1, 1)]},
            "without these edges the output 'z' would depend on no input; leave at least one path from an input to it",
        ),
    ],
)
def test_a_wrong_name_gets_one_sentence(options: dict[str, object], message: str) -> None:
    model = KAN([2, 2, 1], feature_names=["volume", "length"], target_names=["z"])
    with pytest.raises(OptionError) as caught:
        prune(model, some_x(20, 2), **options)  # type: ignore[arg-type]
    assert str(caught.value) == message


# -- by threshold (complaint 7: a layer cut off, NaN, None)


def test_idle_edges_go_and_the_result_is_another_model() -> None:
    model, x = KAN([3, 2, 1]), some_x(200, 3)
    first, last = model.layer(0), model.layer(1)
    small = ("sin", (1.0, 0.0, 1e-4, 0.0))
    first.set_symbolic(
        {(0, 0): STRAIGHT, (1, 0): STRAIGHT, (2, 0): small, (0, 1): small} | {(1, 1): STRAIGHT, (2, 1): STRAIGHT}
    )
    last.set_symbolic({(0, 0): ("x^2", (1.0, 0.0, 1.0, 0.0)), (1, 0): small})
    pruned = prune(model, x)
    assert isinstance(pruned, KAN) and pruned is not model
    assert pruned.widths == [3, 1, 1]
    assert pruned.active_edges() == [(0, 0, 0), (0, 1, 0), (1, 0, 0)]
    assert (pruned(x) - model(x)).abs().max() < 1e-3
    assert model.widths == [3, 2, 1] and len(model.active_edges()) == 8


@FIXED
@given(
    widths=st.lists(st.integers(1, 4), min_size=2, max_size=5),
    seed=st.integers(0, 1000),
    threshold=st.sampled_from([0.0, 1e-2, 0.3, 1.0, 1e9]),
    density=st.sampled_from([1.0, 0.6, 0.3]),
)
def test_no_output_is_ever_cut_off(widths: list[int], seed: int, threshold: float, density: float) -> None:
    model, x = rough(KAN(widths, seed=seed), seed), some_x(40, widths[0], seed)
    generator = torch.Generator().manual_seed(seed)
    for layer in model.kan_layers():
        layer.mask &= torch.rand(layer.mask.shape, generator=generator) <= density
    before = model(x)
    pruned = prune(model, x, threshold=threshold)
    assert pruned.widths[0] == widths[0] and pruned.widths[-1] == widths[-1]
    assert reachable(pruned) == reachable(model)
    assert bool(pruned(x).isfinite().all())
    if threshold == 0.0:
        torch.testing.assert_close(pruned(x), before, rtol=1e-11, atol=1e-11)
    if threshold == 1e9 and len(widths) == 2:
        assert pruned.layer(0).mask.sum(0).tolist() == [int(r) for r in reachable(model)]


def test_the_strongest_path_stays() -> None:
    model, x = KAN([2, 2, 1]), some_x(100, 2)
    scaled = {(i, o): ("x", (1.0, 0.0, 1.0 + i + 2 * o, 0.0)) for i in (0, 1) for o in (0, 1)}
    model.layer(0).set_symbolic(scaled)
    model.layer(1).set_symbolic({(0, 0): STRAIGHT, (1, 0): ("x", (1.0, 0.0, 3.0, 0.0))})
    pruned = prune(model, x, threshold=100.0)
    assert pruned.widths == [2, 1, 1]
    assert pruned.active_edges() == [(0, 1, 0), (1, 0, 0)]
    slopes = pruned.layer(0).symbolic_table()[1, 0][1][2], pruned.layer(1).symbolic_table()[0, 0][1]
    assert slopes[0] == 4.0 and slopes[1][2] == 3.0


def test_a_constant_output_keeps_an_edge_too() -> None:
    model, x = KAN([2, 2, 1], base="none"), some_x(50, 2)
    for layer in model.kan_layers():
        layer.coefficients.data.fill_(0.25)
    pruned = prune(model, x)
    assert reachable(pruned) == [True]
    torch.testing.assert_close(pruned(x), model(x), rtol=1e-12, atol=1e-12)


def test_a_constant_output_keeps_an_edge_from_an_input_not_from_a_dead_node() -> None:
    model = KAN([2, 2, 1]).with_mask([(0, 0, 0), (0, 1, 0)], alive=False)
    model.layer(1).set_symbolic({(i, 0): ("0", (1.0, 0.0, 1.0, 0.25)) for i in (0, 1)})
    assert reachable(prune(model, some_x(50, 2))) == [True]


def test_an_output_that_was_cut_off_before_keeps_its_value() -> None:
    model = rough(KAN([2, 3, 2, 2])).with_mask([(0, 0, 1), (0, 1, 1)], alive=False)
    model = model.with_mask([(1, i, 0) for i in (0, 2)] + [(2, 1, 1)], alive=False)
    assert reachable(model) == [True, False]
    x = some_x(50, 2)
    pruned = prune(model, x, threshold=1e9)
    assert reachable(pruned) == [True, False]
    torch.testing.assert_close(pruned(x)[:, 1], model(x)[:, 1], rtol=1e-12, atol=1e-12)


def test_a_model_that_is_not_finite_is_refused() -> None:
    model = KAN([2, 1])
    model.layer(0).coefficients.data[0, 0, 0] = float("nan")
    with pytest.raises(DataError, match="edge 0 -> 0 of layer 0 is not finite"):
        prune(model, some_x(50, 2))


def test_a_data_set_serves_as_samples_and_pruned_models_train_on() -> None:
    x = some_x(60, 2).numpy()
    data = Dataset.from_arrays(x, x[:, 0], feature_names=["a", "b"])
    model = rough(KAN([2, 2, 1], feature_names=["a", "b"]))
    pruned = prune(model, data, inputs=["b"])
    pruned(data.x).square().mean().backward()
    assert all(p.grad is not None for p in pruned.parameters())
    again = KAN.copy(pruned)
    again.load_state_dict(pruned.state_dict())
    assert torch.equal(again(data.x), pruned(data.x))


# -- fewer nodes


def test_slicing_keeps_the_edges_between_the_nodes_that_stay() -> None:
    x = some_x(20, 2)
    model = rough(KAN([2, 3, 2, 1], grid_size=[3, 4, 5])).adapt(x)
    table = {(2, 1): ("sin", (1.0, 2.0, 3.0, 4.0)), (0, 0): STRAIGHT}
    model.layer(1).set_symbolic(table | {(0, 1): ("exp", (1.0, 0.0, 0.5, 0.0))})
    gone = [(0, i, 1) for i in range(2)] + [(1, 1, o) for o in range(2)]
    sliced = slice_model(model, [[2, 0], [0, 1]])
    assert sliced.widths == [2, 2, 2, 1]
    torch.testing.assert_close(sliced(x), model.with_mask(gone, alive=False)(x))
    assert sliced.layer(1).symbolic_table() == {
        (0, 1): ("sin", (1.0, 2.0, 3.0, 4.0)),
        (1, 0): STRAIGHT,
        (1, 1): ("exp", (1.0, 0.0, 0.5, 0.0)),
    }
    assert [p.shape for p in sliced.parameters()] == [p.shape for p in sliced.copy().parameters()]


@pytest.mark.parametrize("keep", [[[0]], [[], [0]], [[0, 0], [0]], [[3], [0]], [[-1], [0]]])
def test_slicing_refuses_what_it_cannot_keep(keep: list[list[int]]) -> None:
    with pytest.raises(OptionError, match=r"^keep "):
        slice_model(KAN([2, 3, 2, 1]), keep)
