"""suggest, fix, release, refit: new models, the old one as it was."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from helpers import HELD_OUT, is_one_sentence
from superpose.data import Dataset
from superpose.data.sampling import training_sample
from superpose.edit import fix, refit, release, suggest
from superpose.edit.edge_curves import edge_samples
from superpose.errors import OptionError
from superpose.nn import KAN

DOUBLE = torch.float64


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(*shape, generator=generator, dtype=DOUBLE) - 1


def table() -> Dataset:
    x = random(200, 2)
    return Dataset.from_arrays(x, torch.exp(torch.sin(2 * x[:, :1]) + x[:, 1:] ** 2), **HELD_OUT)


def network(seed: int = 0) -> KAN:
    """A spline network on a wide grid whose first edge is nearly a sine."""
    model = KAN([2, 2, 1], grid_size=8, grid_range=(-2.0, 2.0), seed=seed)
    data = table()
    model.set_scaling(data.x_scale, data.y_scale)
    points = torch.linspace(-2, 2, 100, dtype=DOUBLE)
    from superpose.spline import fitting

    layer = model.layer(0)
    curve = fitting.fit_curves(layer.knots[:1], 3, points[:, None], torch.sin(2 * points)[:, None, None])
    with torch.no_grad():
        layer.spline_coefficients[0, :, 0] = curve[0, :, 0]
        layer.base_weight[0, 0] = 0.0
    return model


def frozen(model: KAN) -> tuple[object, ...]:
    tables = [layer.symbolic_table() for layer in model.kan_layers()]
    return {name: value.clone() for name, value in model.state_dict().items()}, tables


def same(one: tuple[object, ...], other: tuple[object, ...]) -> bool:
    (a, tables), (b, others) = one, other
    assert isinstance(a, dict) and isinstance(b, dict)
    return tables == others and a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_suggest_ranks_what_an_edge_looks_like() -> None:
    model, data = network(), table()
    before = frozen(model)
    found = suggest(model, data, (0, 0, 0), top=3)
    assert len(found) == 3 and found[0].name in ("sin", "cos") and found[0].r2 > 0.9999
    assert [c.score for c in found] == sorted(c.score for c in found)
    only = suggest(model, data.x, (0, 0, 0), functions=["x^2", "exp"])
    assert {c.name for c in only} == {"x^2", "exp"}
    assert same(frozen(model), before)


def test_fix_gives_a_new_model_and_leaves_the_old() -> None:
    model, data = network(), table()
    before = frozen(model)
    fixed = fix(model, data, (0, 0, 0), "sin")
    assert same(frozen(model), before)
    assert fixed.layer(0).symbolic_table().keys() == {(0, 0)}
    with torch.no_grad():
        assert float((fixed(data.x) - model(data.x)).abs().max()) < 2e-2
    # Editing the new one does not reach the old one.
    with torch.no_grad():
        for parameter in fixed.parameters():
            parameter += 1.0
    assert same(frozen(model), before)
    twice = fix(fix(model, data, (0, 0, 0), "sin"), data, (1, 1, 0), "x", constants=[2.0, 0.5, 1.0, -0.5])
    assert twice.layer(0).symbolic_table().keys() == {(0, 0)}
    assert twice.layer(1).symbolic_table() == {(1, 0): ("x", (2.0, 0.5, 1.0, -0.5))}
    # Fixing a symbolic edge again puts another function there.
    again = fix(twice, data, (1, 1, 0), "x^2", constants=[1.0, 0.0, 1.0, 0.0])
    assert again.layer(1).symbolic_table() == {(1, 0): ("x^2", (1.0, 0.0, 1.0, 0.0))}


@pytest.mark.parametrize("name", ["sin", "exp", "gaussian", "x^3"])
def test_release_gives_a_spline_of_the_same_shape(name: str) -> None:
    model, data = network(), table()
    fixed = fix(model, data, (0, 1, 1), name, constants=[1.3, 0.2, 0.7, -0.1])
    before = frozen(fixed)
    freed = release(fixed, data, (0, 1, 1))
    assert same(frozen(fixed), before)
    assert freed.layer(0).symbolic_table() == {}
    x, wanted = edge_samples(fixed, data, (0, 1, 1))
    with torch.no_grad():
        assert float((freed.layer(0).edge_function(1, 1, x) - wanted).abs().max()) < 1e-2
        assert float((freed(data.x) - fixed(data.x)).abs().max()) < 5e-2
    # The neighbours are as they were.
    others = freed.layer(0).coefficients.clone()
    others[1, :, 1] = fixed.layer(0).coefficients[1, :, 1]
    assert torch.equal(others, fixed.layer(0).coefficients)


def test_release_of_one_symbolic_edge_keeps_the_others() -> None:
    model, data = network(), table()
    fixed = fix(fix(model, data, (0, 0, 0), "sin"), data, (0, 1, 0), "x^2")
    kept = fixed.layer(0).symbolic_table()[1, 0]
    assert release(fixed, data, (0, 0, 0)).layer(0).symbolic_table() == {(1, 0): kept}


def test_refit_lowers_the_error_of_a_new_model() -> None:
    data = table()
    model = fix(network(), data, (0, 0, 0), "sin", constants=[1.7, 0.1, 1.0, 0.0])
    before = frozen(model)
    fitted = refit(model, data)
    assert same(frozen(model), before)
    x, y = data.rows("train")
    with torch.no_grad():
        errors = [float((m(x) - y).square().mean()) for m in (model, fitted)]
    assert errors[1] < 1e-2 * errors[0]
    assert fitted.layer(0).symbolic_table()[0, 0][1] != model.layer(0).symbolic_table()[0, 0][1]


def test_refit_brings_a_right_form_to_machine_precision() -> None:
    data = table()
    model = KAN([2, 1, 1], seed=0)
    model.set_scaling(data.x_scale, data.y_scale)
    model = fix(model, data, (0, 0, 0), "sin", constants=[1.8, 0.05, 0.9, 0.0])
    model = fix(model, data, (0, 1, 0), "x^2", constants=[0.9, 0.0, 1.0, 0.1])
    model = fix(model, data, (1, 0, 0), "exp", constants=[1.0, 0.0, 1.0, -0.8])
    fitted = refit(model, data, steps=200)
    x, y = data.rows("test")
    with torch.no_grad():
        assert float((fitted(x) - y).square().mean().sqrt()) < 1e-12 * float(y.std()) + 1e-13


@pytest.mark.parametrize(
    ("edge", "named"),
    [
        ((0, 0, 5), "is not an edge"),
        ((2, 0, 0), "is not an edge"),
        ((-1, 0, 0), "is not an edge"),
        ((0, 0), "is not an edge"),
        ((0, 0, 0, 0), "is not an edge"),
        (("a", 0, 0), "is not an edge"),
        (3, "is not an edge"),
        ((0, 1, 0), "was removed"),
    ],
)
def test_edges_that_are_not_there_are_named(edge: tuple[int, int, int], named: str) -> None:
    model, data = network().with_mask([(0, 1, 0)], alive=False), table()
    for call in (
        lambda: suggest(model, data, edge),
        lambda: fix(model, data, edge, "sin"),
        lambda: release(model, data, edge),
    ):
        with pytest.raises(OptionError) as caught:
            call()
        assert named in str(caught.value) and is_one_sentence(str(caught.value))


def test_functions_that_are_not_there_are_named() -> None:
    model, data = network(), table()
    with pytest.raises(OptionError, match="did you mean 'sin'"):
        fix(model, data, (0, 0, 0), "sinn")
    with pytest.raises(OptionError, match="did you mean 'sin'"):
        suggest(model, data, (0, 0, 0), functions=["sinn"])
    with pytest.raises(OptionError, match="four numbers"):
        fix(model, data, (0, 0, 0), "sin", constants=[1.0, 2.0])
    with pytest.raises(OptionError, match="is a spline already"):
        release(model, data, (0, 0, 0))


def test_samples_are_spread_over_the_table_and_few() -> None:
    rows = torch.arange(100_000, dtype=DOUBLE)[:, None]
    picked = training_sample(rows, 1000)[:, 0]
    assert len(picked) == 1000 and picked[0] == 0 and picked[-1] == 99_999
    assert float(picked.diff().max()) < 110
    assert torch.equal(training_sample(rows[:10], 1000), rows[:10])
