"""Scores: attribution from the outputs back, and magnitudes."""

from __future__ import annotations

import pytest
import torch

from superpose.data import Dataset
from superpose.edit import attribution
from superpose.edit.attribution import attribution_scores
from superpose.errors import DataError, ShapeError
from superpose.nn import KAN

STRAIGHT = "x"


def some_x(count: int, features: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(count, features, generator=generator, dtype=torch.float64) - 1


def linear(model: KAN, layer: int, slopes: dict[tuple[int, int], float]) -> None:
    model.layer(layer).set_symbolic({e: (STRAIGHT, (1.0, 0.0, c, 0.5)) for e, c in slopes.items()})


def test_attribution_is_the_recurrence_of_the_paper() -> None:
    model, x = KAN([3, 4, 2, 2], seed=1), some_x(200, 3)
    found = attribution_scores(model, x)
    node = torch.ones(2, dtype=torch.float64)
    for n, layer in reversed(list(enumerate(model.trace(x).layers))):
        edge_std = layer.edges.std(0, correction=0)
        expected = node * edge_std / layer.outputs.std(0, correction=0)
        torch.testing.assert_close(found.edges[n], expected, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(found.deviations[n], edge_std, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(found.means[n], layer.edges.mean(0), rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(found.nodes[n + 1], node)
        node = expected.sum(1)
    torch.testing.assert_close(found.inputs, node)
    assert found.inputs is found.nodes[0]


def test_independent_straight_edges_score_by_their_slopes() -> None:
    model = KAN([2, 1])
    linear(model, 0, {(0, 0): 3.0, (1, 0): -4.0})
    x = torch.cartesian_prod(*[torch.linspace(-1, 1, 21, dtype=torch.float64)] * 2)
    found = attribution_scores(model, x)
    torch.testing.assert_close(found.inputs, torch.tensor([0.6, 0.8], dtype=torch.float64))


def test_a_large_edge_that_nothing_reads_scores_zero_but_has_magnitude() -> None:
    model = KAN([2, 2, 1]).with_mask([(1, 1, 0)], alive=False)
    linear(model, 0, {(0, 0): 1.0, (1, 1): 1e6})
    found = attribution_scores(model, some_x(50, 2))
    assert found.edges[0][1, 1] == 0
    assert found.magnitudes[0][1, 1] > 0.5
    assert found.nodes[1][1] == 0


# A float32 network knows its own activations to some 1e-7 of their size only.
@pytest.mark.parametrize(("dtype", "idle"), [(torch.float64, 1e-9), (torch.float32, 5e-3)])
def test_a_constant_edge_is_idle(dtype: torch.dtype, idle: float) -> None:
    model = KAN([2, 2, 1], dtype=dtype)
    model.layer(0).set_symbolic(
        {(i, 1): ("0", (0.0, 0.0, 0.0, 1e3 / 3)) for i in (0, 1)}
        | {(0, 0): ("x", (1.0, 0.0, 1.0, 0.0)), (1, 0): ("0", (0.0, 0.0, 0.0, 77.7))}
    )
    found = attribution_scores(model, some_x(1000, 2))
    assert found.edges[0][:, 1].abs().max() < idle and found.nodes[1][1] < idle
    assert found.edges[0][1, 0] < idle and found.magnitudes[0][1, 0] < idle
    assert found.edges[0][0, 0] == pytest.approx(1, abs=idle)


def test_edges_that_cancel_up_to_rounding_score_zero() -> None:
    model = KAN([2, 2, 1])
    model.layer(0).set_symbolic(
        {(0, 1): ("x", (3.0, 0.1, 7.0 / 3, 0.0)), (1, 1): ("x", (1.0, 0.0, -7.0, 0.2))}
        | {(0, 0): ("x", (1.0, 0.0, 1.0, 0.0))}
    )
    found = attribution_scores(model, some_x(1000, 1).expand(-1, 2))
    assert found.edges[0][:, 1].abs().max() == 0
    assert found.magnitudes[0][:, 1].abs().max() == 0


def test_blocks_of_samples_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = KAN([3, 4, 1], seed=2), some_x(101, 3)
    whole = attribution_scores(model, x)
    monkeypatch.setattr(attribution, "_BLOCK_ELEMENTS", 12 * 7)
    parts = attribution_scores(model, x)
    for ours, theirs in zip([*whole.edges, *whole.magnitudes], [*parts.edges, *parts.magnitudes], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-13)


def test_a_data_set_gives_its_training_rows_by_name() -> None:
    x = some_x(60, 2).numpy()
    data = Dataset.from_arrays(x, x[:, 0] + x[:, 1], feature_names=["a", "b"])
    model = KAN([2, 3, 1], feature_names=["b", "a"])
    found = attribution_scores(model, data)
    direct = attribution_scores(model, data.x[data.train][:, [1, 0]])
    torch.testing.assert_close(found.inputs, direct.inputs, rtol=0, atol=0)


def test_scores_leave_the_model_and_its_gradients_alone() -> None:
    model = KAN([2, 1])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = attribution_scores(model, some_x(10, 2))
    assert not found.inputs.requires_grad
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_what_cannot_be_scored_is_refused_with_a_sentence() -> None:
    model = KAN([2, 1])
    with pytest.raises(DataError, match=r"shape \(1, 2\); pass more rows"):
        attribution_scores(model, some_x(1, 2))
    with pytest.raises(ShapeError, match="the model takes 2 features"):
        attribution_scores(model, some_x(10, 3))
    model.layer(0).set_symbolic({(1, 0): ("log", (1.0, 0.0, 1.0, 0.0))})
    with pytest.raises(DataError, match="edge 1 -> 0 of layer 0 is not finite on the samples"):
        attribution_scores(model, some_x(10, 2))
