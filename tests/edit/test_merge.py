"""Merging twin nodes keeps the function, or leaves them apart."""

from __future__ import annotations

import pytest
import torch
from editing_cases import rough, some_x

from superpose.edit.attribution import attribution_scores
from superpose.edit.merging import _joined_breakpoints, merge
from superpose.errors import DataError, OptionError
from superpose.nn import KAN


def with_twin(model: KAN, factor: float, shift: float) -> KAN:
    """Make the second hidden node an affine copy of the first."""
    layer = model.layer(0)
    layer.coefficients.data[..., 1] = factor * layer.coefficients.data[..., 0]
    layer.spline_coefficients.data[0, :, 1] += shift
    return model


@pytest.mark.parametrize("base", ["none", "silu", "identity"])
@pytest.mark.parametrize(("factor", "shift"), [(1.0, 0.0), (-0.5, 0.2), (2.0, -0.1)])
def test_twins_become_one_and_the_function_stays(base: str, factor: float, shift: float) -> None:
    model = with_twin(KAN([2, 3, 2], base=base, seed=3), factor, shift)
    x = some_x(300, 2)
    merged = merge(model, x)
    assert merged.widths == [2, 2, 2]
    before = model(x)
    assert bool(((merged(x) - before).var(0) <= 1e-6 * before.var(0)).all())
    assert model.widths == [2, 3, 2]


def test_an_exact_copy_merges_exactly() -> None:
    model = with_twin(rough(KAN([2, 2, 1], seed=3)), 1.0, 0.0).with_mask([(1, 0, 0)], False)
    x = 0.3 * some_x(300, 2)
    merged = merge(model, x)
    assert merged.widths == [2, 1, 1]
    torch.testing.assert_close(merged(x), model(x), rtol=1e-9, atol=1e-9)


def test_nodes_of_different_functions_stay_apart() -> None:
    model, x = rough(KAN([2, 4, 3, 1], seed=5)), some_x(200, 2)
    assert merge(model, x).widths == [2, 4, 3, 1]


def test_an_idle_edge_does_not_make_two_nodes_twins() -> None:
    model, x = with_twin(rough(KAN([2, 2, 1], base="none", seed=5)), 1.0, 0.0), some_x(200, 2)
    model.layer(0).coefficients.data[0, 2, 1] += 0.1
    model.layer(1).coefficients.data[1] *= 1e-6
    h = model.trace(x).layers[0].outputs.T
    assert 0.9 < torch.corrcoef(h)[0, 1] < 0.999
    assert merge(model, x).widths == [2, 2, 1]


@pytest.mark.parametrize("factor", [0.7, 1.4])
def test_twins_merge_on_a_finer_grid_where_their_own_is_too_coarse(factor: float) -> None:
    model, x = rough(KAN([1, 2, 1], base="none", seed=3)), some_x(300, 1)
    first, last = model.layer(0), model.layer(1)
    first.coefficients.data[..., 1] = factor * first.coefficients.data[..., 0]
    last.coefficients.data *= 0.5
    merged = merge(model, x, tolerance=1e-12)
    assert merged.widths == [1, 1, 1]
    assert merged.layer(0).grid_size == 5 and merged.layer(1).grid_size > 5
    before = model(x)
    assert bool((merged(x) - before).var() <= 1e-12 * before.var())


def test_the_grid_beyond_the_samples_does_not_spoil_the_fit() -> None:
    model, x = rough(KAN([2, 2, 1], base="none", seed=3)), some_x(300, 2)
    model = model.with_mask([(0, 1, 0)], alive=False)
    first = model.layer(0)
    first.coefficients.data[0, :, 0] = 0.4 * first.coefficients.data[0, :, 1]
    first.coefficients.data[1, :, 1] = 0.0
    merged = merge(model, x, tolerance=1e-12)
    assert merged.active_edges() == [(0, 0, 0), (1, 0, 0)]


def test_the_joined_grid_holds_the_breakpoints_of_both_and_none_twice() -> None:
    layer = KAN([3, 1], grid_size=4).layer(0)
    joined = _joined_breakpoints(layer, (1, 2), (2.0, 1e-9))
    expected = torch.tensor([-1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0], dtype=torch.float64)
    torch.testing.assert_close(joined[1], expected, rtol=0, atol=1e-8)
    assert set(torch.linspace(-1, 1, 5).tolist()) <= set(joined[0].tolist())


def test_merging_on_few_samples_holds_between_them() -> None:
    model, x = rough(KAN([1, 2, 1], base="none", seed=3)), some_x(8, 1)
    first = model.layer(0)
    first.coefficients.data[..., 1] = 0.7 * first.coefficients.data[..., 0]
    merged = merge(model, x)
    assert merged.widths == [1, 1, 1]
    fresh = torch.linspace(float(x.min()), float(x.max()), 200, dtype=torch.float64)[:, None]
    before = model(fresh)
    assert bool((merged(fresh) - before).var() <= 1e-6 * before.var())


def test_twins_that_no_grid_can_join_stay_apart() -> None:
    """The node with one edge would be kept, but all of its samples lie in one grid interval."""
    model, x = rough(KAN([2, 2, 1], base="none", seed=3)), some_x(300, 2)
    model = model.with_mask([(0, 1, 0)], alive=False)
    first = model.layer(0)
    first.coefficients.data[0, :, 0] = 1e-4 * first.coefficients.data[0, :, 1]
    first.coefficients.data[1, :, 1] = 0.0
    assert merge(model, x).widths == [2, 2, 1]


def test_of_two_twins_the_one_with_fewer_edges_stays() -> None:
    x = some_x(100, 2)
    model = with_twin(KAN([2, 2, 1], base="none", seed=1), 1.0, 0.0)
    first = model.layer(0)
    first.coefficients.data[1] *= 1e-6
    merged = merge(model.with_mask([(0, 1, 1)], alive=False), x)
    assert merged.active_edges() == [(0, 0, 0), (1, 0, 0)]


def test_symbolic_edges_stay_symbolic() -> None:
    model, x = KAN([1, 2, 2]), some_x(100, 1)
    model.layer(0).set_symbolic({(0, 0): ("x", (1, 0, 1, 0)), (0, 1): ("x", (1, 0, 2, 0.5))})
    last = model.layer(1)
    last.set_symbolic(
        {
            (0, 0): ("sin", (4.0, 1.0, 1.0, 0.5)),
            (1, 0): ("sin", (2.0, 0.0, 0.5, 0.25)),
            (0, 1): ("exp", (2.0, 1.0, 1.0, 1.0)),
        }
    )
    model = model.with_mask([(1, 1, 1)], alive=False)
    merged = merge(model, x)
    assert merged.widths == [1, 1, 2]
    table = merged.layer(1).symbolic_table()
    assert table[0, 0][0] == "sin" and table[0, 0][1] == pytest.approx((2.0, 0.0, 1.5, 0.75))
    assert table[0, 1][0] == "exp" and table[0, 1][1] == pytest.approx((1.0, 0.5, 1.0, 1.0))
    torch.testing.assert_close(merged(x), model(x), rtol=1e-12, atol=1e-12)


def test_different_symbols_are_not_merged() -> None:
    model, x = KAN([1, 2, 1]), some_x(100, 1)
    model.layer(0).set_symbolic({(0, 0): ("x", (1, 0, 1, 0)), (0, 1): ("x", (1, 0, 2, 0.5))})
    model.layer(1).set_symbolic({(0, 0): ("sin", (1, 0, 1, 0)), (1, 0): ("exp", (1, 0, 1, 0))})
    assert merge(model, x).widths == [1, 2, 1]


def test_merging_refuses_a_model_that_is_not_finite() -> None:
    model = KAN([2, 1])
    model.layer(0).coefficients.data[0, 0, 0] = float("nan")
    with pytest.raises(DataError, match="edge 0 -> 0 of layer 0 is not finite"):
        merge(model, some_x(50, 2))


def test_merging_refuses_a_negative_tolerance() -> None:
    with pytest.raises(OptionError, match="tolerance must be a number of at least 0"):
        merge(KAN([2, 2, 1]), some_x(10, 2), tolerance=-1.0)


def test_merged_models_score_as_one_node() -> None:
    model, x = with_twin(KAN([2, 2, 1], base="none", seed=1), 1.0, 0.0), some_x(100, 2)
    merged = merge(model, x)
    torch.testing.assert_close(attribution_scores(merged, x).nodes[1], torch.ones(1, dtype=torch.float64))
