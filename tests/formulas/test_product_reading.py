"""Reading networks with product nodes: scores, pruning, merging, symbols, formulas, pictures."""

from __future__ import annotations

import math
from typing import Any

import pytest
import sympy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import superpose
from superpose import KAN, Dataset, Formula, OptionError, fit, prune, symbolify
from superpose.edit import attribution_scores, merge, straighten
from superpose.nn.surgery import scale_sum
from superpose.plot import network

DOUBLE = torch.float64
LINE = ("x", (1.0, 0.0, 1.0, 0.0))


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(*shape, generator=generator, dtype=DOUBLE) - 1


def symbolic(shape: Any, *tables: dict[tuple[int, int], tuple[str, tuple[float, float, float, float]]]) -> KAN:
    """A network of these edges only."""
    model = KAN(shape, seed=0)
    for layer, table in zip(model.kan_layers(), tables, strict=True):
        layer.mask[:] = False
        for edge in table:
            layer.mask[edge] = True
        layer.set_symbolic(table)
    return model


def product(*functions: tuple[str, tuple[float, float, float, float]], last: Any = LINE) -> KAN:
    """One factor for each function, of one column each."""
    count = len(functions)
    first = {(i, i): function for i, function in enumerate(functions)}
    return symbolic([count, [0, [count]], 1], first, {(0, 0): last})


def test_a_product_hands_its_score_to_its_factors_by_what_it_would_lose() -> None:
    x = random(4000, 3)
    model = product(LINE, ("x", (1.0, 0.0, 1.0, 3.0)), ("x", (1.0, 0.0, 0.01, 1.0)))
    found = attribution_scores(model, x)
    node = model.trace(x).layers[0].outputs[:, 0].detach()
    values = [x[:, 0], x[:, 1] + 3, 0.01 * x[:, 2] + 1]
    for o, value in enumerate(values):
        others = math.prod(values[:o] + values[o + 1 :])
        lost = ((value - value.mean()) * others).square().mean().sqrt()
        assert float(found.edges[0][o, o]) == pytest.approx(float(lost / node.std(correction=0)), rel=1e-9)
        assert float(found.factors[0][o]) == pytest.approx(float(lost), rel=1e-9)
    # The second factor hardly varies beside its mean, the third hardly at all: they matter less than the first.
    first, second, third = found.inputs.tolist()
    assert 0.9 < first < 1.1 and 0.1 < second < 0.3 and 0 < third < 0.01
    assert found.nodes[1].tolist() == [1.0]


def test_a_constant_factor_scores_nothing_and_a_constant_product_neither() -> None:
    x = random(100, 2)
    model = product(LINE, ("0", (1.0, 0.0, 1.0, 2.5)))
    assert attribution_scores(model, x).inputs.tolist() == pytest.approx([1.0, 0.0])
    still = product(("0", (1.0, 0.0, 1.0, 0.1)), ("0", (1.0, 0.0, 1.0, 2.5)))
    assert attribution_scores(still, x).inputs.tolist() == [0.0, 0.0]


def test_a_factor_that_goes_is_its_mean_and_never_zero() -> None:
    x = random(500, 3)
    model = product(("sin", (1.0, 0.2, 1.0, 0.0)), ("x", (1.0, 0.0, 0.001, 3.0)), ("x^2", (1.0, 0.5, 1.0, 0.0)))
    small = prune(model, x)
    assert small.shape == [3, [0, [2]], 1]
    wanted = torch.sin(x[:, 0] + 0.2) * (3 + 0.001 * x[:, 1].mean()) * (x[:, 2] + 0.5) ** 2
    torch.testing.assert_close(small(x)[:, 0].detach(), wanted)
    # One factor is a sum, and the layer is an ordinary one again.
    smaller = prune(small, x, edges=[(0, 0, 0)])
    assert smaller.shape == [3, 1, 1]
    wanted = torch.sin(x[:, 0] + 0.2).mean() * wanted / torch.sin(x[:, 0] + 0.2)
    torch.testing.assert_close(smaller(x)[:, 0].detach(), wanted)


def test_outputs_that_are_products_are_not_cut_off() -> None:
    x = random(300, 2)
    model = KAN([2, [1, [2, 3]]], seed=1)
    for threshold in (0.0, 0.3, 1e9):
        small = prune(model, x, threshold=threshold)
        y = small(x).detach()
        assert y.shape == (300, 3) and bool(y.isfinite().all()) and bool((y.std(0) > 1e-6).all())
    assert small.shape == [2, 3]
    with pytest.raises(OptionError, match="would depend on no input"):
        prune(model, x, edges=[(0, i, o) for i in range(2) for o in (1, 2)])
    # Gone from the middle, a product leaves the others where they are.
    one = prune(model, x, edges=[(0, i, 1) for i in range(2)])
    assert one.shape == [2, [2, [3]]]
    other = prune(model, x, edges=[(0, i, o) for i in range(2) for o in (4, 5)])
    assert other.shape == [2, [1, [2, 1]]]
    torch.testing.assert_close(other(x)[:, :2], model(x)[:, :2])


widths = st.one_of(st.integers(1, 3), st.tuples(st.integers(0, 2), st.lists(st.integers(2, 4), min_size=1, max_size=2)))


@settings(max_examples=40)
@given(st.integers(1, 3), st.lists(widths, min_size=1, max_size=3), st.integers(0, 9), st.floats(0, 2))
def test_pruning_keeps_the_function_when_nothing_goes_and_stays_finite(
    inputs: int, rest: list[Any], seed: int, threshold: float
) -> None:
    model, x = KAN([inputs, *rest], seed=seed), random(60, inputs)
    for n, layer in enumerate(model.kan_layers()):
        layer.mask = random(*layer.mask.shape, seed=seed + n) > -0.8
    with torch.no_grad():
        y = model(x)
        whole, some = prune(model, x, threshold=0.0), prune(model, x, threshold=threshold)
        torch.testing.assert_close(whole(x), y, rtol=1e-9, atol=1e-9)
        assert bool(some(x).isfinite().all())
    assert some.widths[0] == inputs and some.widths[-1] == model.widths[-1]
    assert some.parameter_count() <= model.parameter_count()
    # An output that varied before still does.
    alive = some.trace(x).output.detach().std(0, correction=0) > 0
    assert bool((alive | (y.std(0, correction=0) < 1e-9)).all())


def test_nodes_and_inputs_are_removed_by_name() -> None:
    x = random(200, 3)
    model = KAN([3, [1, [2, 3]], 1], seed=0, feature_names=["a", "b", "c"])
    assert prune(model, x, nodes=[(1, 1)]).shape == [3, [1, [3]], 1]
    small = prune(model, x, inputs=["b"])
    assert small.shape == model.shape and not bool(small.layer(0).mask[1].any())


def test_products_of_the_same_function_are_merged() -> None:
    x = random(200, 2)
    model = KAN([2, [0, [2, 2]], 1], base="none", seed=0)
    layer = model.layer(0)
    layer.coefficients.data[..., 2:] = layer.coefficients.data[..., :2]
    scale_sum(layer, 3, -2.0)
    merged = merge(model, x)
    assert merged.shape == [2, [0, [2]], 1]
    torch.testing.assert_close(merged(x), model(x), rtol=1e-6, atol=1e-6)


def test_scaling_a_sum_scales_all_that_leads_to_it() -> None:
    x = random(50, 2)
    model = KAN([2, [0, [2]]], seed=0)
    model.layer(0).set_symbolic({(0, 1): ("sin", (1.0, 0.1, 0.5, 0.2))})
    before = model(x).detach()
    for o in range(2):
        scale_sum(model.layer(0), o, -3.0)
    torch.testing.assert_close(model(x).detach(), 9 * before)


def test_edges_of_factors_can_be_fixed_released_and_refitted() -> None:
    x = random(400, 2)
    data = Dataset.from_arrays(x, torch.sin(2 * x[:, 0]) * (x[:, 1] + 2), feature_names=["u", "v"])
    model = KAN([2, [0, 1]], grid_size=8, seed=0)
    fit(model, data, grids=(8, 16), progress=False)
    model = prune(model, data, threshold=0.05)
    for n, i, o in model.active_edges():
        best = superpose.edit.suggest(model, data, (n, i, o))[0]
        model = superpose.edit.fix(model, data, (n, i, o), best.name)
    model = superpose.edit.refit(model, data)
    assert model.layer(0).symbolic is not None
    n, i, o = model.active_edges()[-1]
    freed = superpose.edit.release(model, data, (n, i, o))
    assert float((freed(x) - model(x)).detach().abs().max()) < 0.05
    with pytest.raises(OptionError, match="is not an edge"):
        superpose.edit.suggest(model, data, (0, 0, 2))


def test_a_product_is_recognised_from_data() -> None:
    x = random(800, 2)
    data = Dataset.from_arrays(x, x[:, 0] * torch.sin(2 * x[:, 1]), feature_names=["u", "v"])
    model = KAN([2, [0, 1], 1], grid_size=4, seed=0)
    fit(model, data, progress=False)
    straight = straighten(model, data)
    assert straight.shape == model.shape
    found = symbolify(straight, data)
    formula = Formula.of(found, data)
    assert formula.rmse(data) < 1e-8
    a, b = formula.symbols
    assert formula.complexity <= 12, str(formula)
    found_values = formula.torch(x)[:, 0]
    torch.testing.assert_close(found_values, x[:, 0] * torch.sin(2 * x[:, 1]), rtol=1e-7, atol=1e-7)
    assert formula.expression.has(sympy.sin) and {a, b} == formula.expression.free_symbols


def test_the_four_factors_of_a_product_are_all_in_its_formula() -> None:
    names = ["a", "b", "c", "d"]
    model = product(*[("x", (1.0, 0.0, 1.0, float(k))) for k in range(4)], last=("x", (1.0, 0.0, 2.0, 1.0)))
    model.feature_names = tuple(names)
    formula = Formula.of(model)
    a, b, c, d = formula.symbols
    assert sympy.nsimplify(sympy.expand(formula.expression - (2 * a * (b + 1) * (c + 2) * (d + 3) + 1))) == 0
    assert Formula.read(model).complexity < 30


def test_products_are_drawn_apart_from_sums() -> None:
    model, x = KAN([3, [1, [2, 3]], [1, [2]]], seed=0), random(50, 3)
    model.layer(0).mask[:, 4] = False
    figure = network(model, x)
    drawn = {artist.get_gid() for artist in figure.axes[0].get_children() if artist.get_gid()}
    # Of one factor no edge is left: it is drawn all the same, since the product is zero by it.
    assert {f"factor-1-{o}" for o in range(1, 6)} <= drawn and {"factor-2-1", "factor-2-2"} <= drawn
    assert "factor-1-0" not in drawn and "factor-2-0" not in drawn
    assert {f"node-{level}-{node}" for level, count in enumerate((3, 3, 2)) for node in range(count)} <= drawn
    crosses = [line for line in figure.axes[0].lines if line.get_marker() == "x"]
    dots = {line.get_gid(): line.get_markersize() for line in figure.axes[0].lines}
    assert len(crosses) == 3 and dots["node-1-1"] > dots["node-1-0"]
    assert "edge-0-0-4" not in drawn and "edge-0-0-5" in drawn
