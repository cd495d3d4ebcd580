"""Product nodes: what they compute, in every way that a model is evaluated, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from superpose import KAN, KANLayer, OptionError
from superpose.nn import products
from superpose.nn.fused import curves_of
from superpose.nn.surgery import slice_layer, slice_model
from superpose.spline import grid
from superpose.tasks.pde.operators import Derivatives, NestedDerivatives

DOUBLE = torch.float64
SHAPES = ([2, [0, [2]], 1], [3, [2, [3, 2]], [1, [4]]], [2, [1, [2, 2, 3]], [0, [2]]], [1, [0, [5]], [2, [2, 3]], 2])


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(*shape, generator=generator, dtype=DOUBLE) - 1


def model_of(shape: Any, seed: int = 0, degree: int = 3) -> KAN:
    """A network with curved edges, a symbolic one and a removed one."""
    model = KAN(shape, seed=seed, degree=degree)
    with torch.no_grad():
        for n, layer in enumerate(model.kan_layers()):
            layer.coefficients += 0.4 * random(*layer.coefficients.shape, seed=seed + n)
    first = model.layer(0)
    first.set_symbolic({(0, first.sum_count - 1): ("sin", (1.2, 0.3, 0.8, 0.1))})
    return model.with_mask([(0, 0, 0)], alive=False) if first.in_features > 1 else model


arities = st.lists(st.integers(1, 5), max_size=5)


@given(st.integers(0, 3), arities, st.integers(0, 9))
def test_values_are_products_of_neighbouring_sums(plain: int, several: list[int], seed: int) -> None:
    if plain + len(several) == 0:
        return
    sums = random(4, plain + sum(several), seed=seed)
    values = products.values(sums, plain, several)
    assert values.shape == (4, plain + len(several))
    place = plain
    assert torch.equal(values[:, :plain], sums[:, :plain])
    for node, arity in enumerate(several, start=plain):
        torch.testing.assert_close(values[:, node], sums[:, place : place + arity].prod(1))
        place += arity


@given(st.integers(0, 2), arities, st.sets(st.integers(0, 12), max_size=4))
def test_what_a_factor_moves_is_the_product_of_the_others_also_at_zero(
    plain: int, several: list[int], zeros: set[int]
) -> None:
    if plain + len(several) == 0:
        return
    sums = random(3, plain + sum(several))
    for place in zeros:
        sums[:, place % sums.shape[1]] = 0.0
    sums.requires_grad_()
    (slopes,) = torch.autograd.grad(products.values(sums, plain, several).sum(), sums)
    torch.testing.assert_close(products.derivatives(sums.detach(), plain, several), slopes, rtol=1e-13, atol=0.0)


def test_a_layer_counts_nodes_outside_and_sums_inside() -> None:
    layer = KANLayer(3, 4, products=[2, 3], dtype=DOUBLE, generator=torch.Generator().manual_seed(0))
    assert (layer.out_features, layer.sum_count, layer.plain_count) == (4, 7, 2)
    assert layer.mask.shape == (3, 7) and layer.coefficients.shape == (3, 9, 7)
    assert layer.owners == (0, 1, 2, 2, 3, 3, 3) and layer.sums_of(3) == [4, 5, 6]
    x = random(6, 3)
    sums = layer.edges(x).sum(1)
    expected = torch.stack([sums[:, 0], sums[:, 1], sums[:, 2] * sums[:, 3], sums[:, 4:].prod(1)], 1)
    torch.testing.assert_close(layer(x), expected)
    torch.testing.assert_close(layer(x.reshape(2, 3, 3)), expected.reshape(2, 3, 4))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_way_of_evaluating_a_model_gives_the_same(shape: Any) -> None:
    model = model_of(shape)
    x = random(20, shape[0])
    y = model(x)
    trace = model.trace(x)
    torch.testing.assert_close(trace.output, y, rtol=1e-12, atol=1e-12)
    for n, layer in enumerate(trace.layers):
        torch.testing.assert_close(layer.sums, layer.edges.sum(1))
        torch.testing.assert_close(layer.outputs, model.layer(n)(layer.inputs), rtol=1e-12, atol=1e-12)
    h = x
    for part in model.layers:
        h = part(h)
    torch.testing.assert_close(h, y)
    torch.testing.assert_close(torch.func.vmap(model)(x[:, None])[:, 0], y)
    exported = torch.export.export(model, (x,)).module()
    torch.testing.assert_close(exported(x), y)
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), y)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_gradients_and_second_derivatives_are_right(shape: Any) -> None:
    model = model_of(shape)
    x = (0.7 * random(3, shape[0])).requires_grad_()
    assert torch.autograd.gradcheck(model, (x,))
    assert torch.autograd.gradgradcheck(model, (x,))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_derivatives_by_the_inputs_are_those_of_autograd(shape: Any) -> None:
    model = model_of(shape, degree=5)
    x = 0.8 * random(7, shape[0])
    last = shape[0] - 1
    for index in ((), (0,), (0, last), (0, 0, last)):
        found, wanted = Derivatives(model, x).of(index), NestedDerivatives(model, x).of(index)
        torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_finer_wider_and_adapted_grids_keep_the_function(shape: Any) -> None:
    model, x = model_of(shape), random(50, shape[0])
    with torch.no_grad():
        y = model(x)
        torch.testing.assert_close(model.refine(11)(x), y, rtol=1e-11, atol=1e-11)
        torch.testing.assert_close(model.refine(11, x)(x), y, rtol=1e-11, atol=1e-11)
        fine = model.refine(64)
        assert float((fine.adapt(x, blend=0.0)(x) - y).abs().max()) < 0.1 * float(y.abs().max())
        h = x
        for layer in model.kan_layers():
            layer.widen(*(end + side for end, side in zip(_ends(layer), (-0.5, 0.5), strict=True)))
            h = layer(h)
        inside = model(x)
    assert inside.shape == y.shape and bool(inside.isfinite().all())


def _ends(layer: KANLayer) -> tuple[Tensor, Tensor]:
    points = grid.breakpoints(layer.knots, layer.degree)
    return points[:, 0], points[:, -1]


def test_slices_keep_the_nodes_in_any_order() -> None:
    model = model_of([3, [2, [3, 2]], [1, [4]]])
    layer = model.layer(0)
    x = random(9, 3)
    with torch.no_grad():
        whole = layer(x)
        for nodes in ([0, 2], [3], [2, 0, 3], [3, 1, 2, 0], [1]):
            made = slice_layer(layer, [0, 1, 2], nodes)
            torch.testing.assert_close(made(x), whole[:, nodes])
            assert made.out_features == len(nodes)
    assert slice_model(model, [[3, 0]]).shape == [3, [0, [2, 1]], [1, [4]]]
    assert slice_model(model, [[0, 3]]).shape == [3, [1, [2]], [1, [4]]]


def test_shapes_as_they_are_written() -> None:
    model = KAN([np.int64(2), (1, [2, np.int64(4)]), [0, 2]])
    assert model.widths == [2, 3, 2] and model.shape == [2, [1, [2, 4]], [0, [2, 2]]]
    assert KAN(model.shape).shape == model.shape and model.target_names == ("y1", "y2")
    assert model.parameter_count() == 9 * (2 * 7 + 3 * 4)
    assert str(model.shape) in repr(model)
    assert KAN([2, [3, [1, 1]], 1]).shape == [2, 5, 1]


def test_without_products_nothing_is_different() -> None:
    model, same = KAN([3, 4, 2], seed=3), KAN([3, [4, []], [2, 0]], seed=3)
    assert same.shape == [3, 4, 2]
    x = random(5, 3)
    assert torch.equal(model(x), same(x)) and curves_of(model) is not None and curves_of(same) is not None
    assert curves_of(KAN(SHAPES[0])) is None


@pytest.mark.parametrize(
    ("widths", "message"),
    [
        ([[2, 1], 1], "the first width counts the inputs"),
        ([2, [0, []], 1], "each of at least 1 node"),
        ([2, [-1, 2], 1], "a width cannot have -1 sum nodes"),
        ([2, [1, [0]], 1], "a product node multiplies a whole number of sums"),
        ([2, [1, [2.5]], 1], "a width must be a whole number of sum nodes, or a pair"),
        ([2, [1, 2, 3], 1], "a width must be a whole number of sum nodes, or a pair"),
        ([2, [True, 2], 1], "a width must be a whole number of sum nodes, or a pair"),
        ([2, [1, "2"], 1], "a width must be a whole number of sum nodes, or a pair"),
    ],
)
def test_what_no_width_can_be_is_refused(widths: Any, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        KAN(widths)
    assert str(caught.value).startswith(message) or message in str(caught.value)


def test_what_no_layer_can_be_is_refused() -> None:
    with pytest.raises(OptionError, match="cannot have 2 products"):
        KANLayer(2, 1, products=[2, 2])
    with pytest.raises(OptionError, match="has no edge"):
        KAN([2, [0, 1], 1]).with_mask([(0, 0, 2)], alive=False)
    assert KAN([2, [0, 1], 1]).with_mask([(0, 0, 1)], alive=False).active_edges()[-1] == (1, 0, 0)
