"""Derivatives by inputs: those of autograd and of differences, for every kind of network."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from superpose import KAN
from superpose.data import Affine
from superpose.errors import OptionError, ShapeError
from superpose.tasks.pde import derivative, divergence, gradient, hessian, laplacian
from superpose.tasks.pde.operators import shares

DOUBLE = torch.float64


def random(*shape: int, seed: int = 0) -> Tensor:
    return 2 * torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE) - 1


def network(widths: list[int], degree: int = 5, base: str = "silu", symbolic: bool = False) -> KAN:
    """A network with lively curves, its own units, and perhaps symbolic and removed edges."""
    model = KAN(widths, grid_size=4, degree=degree, base=base, seed=1)
    for n, layer in enumerate(model.kan_layers()):
        layer.coefficients.data += 0.4 * random(*layer.coefficients.shape, seed=n)
        if symbolic:
            layer.set_symbolic({(0, 0): ("sin", (1.3, 0.2, 0.7, 0.1)), (1, 0): ("x", (0.5, 0.1, 2.0, 0.3))})
            layer.mask[1, -1] = layer.out_features == 1
    model.set_scaling(
        Affine(random(widths[0]), 1.5 + random(widths[0], seed=1)),
        Affine(random(model.widths[-1]), 1.5 + random(model.widths[-1], seed=2)),
    )
    return model


def nested(model: KAN, x: Tensor, index: tuple[int, ...]) -> Tensor:
    """The same derivative by differentiating the network's own output again and again."""
    x = x.clone().requires_grad_()
    columns = []
    for column in model(x).unbind(1):
        for i in index:
            column = torch.autograd.grad(column.sum(), x, create_graph=True)[0][:, i]
        columns.append(column)
    return torch.stack(columns, -1)


@settings(max_examples=40)
@given(
    st.sampled_from([[2, 1], [3, 2, 2], [2, 3, 1], [2, 2, 3, 2]]),
    st.integers(2, 5),
    st.sampled_from(["silu", "identity", "none"]),
    st.booleans(),
    st.lists(st.integers(0, 1), min_size=0, max_size=4),
)
def test_a_derivative_is_that_of_nested_autograd(
    widths: list[int], degree: int, base: str, symbolic: bool, index: list[int]
) -> None:
    model = network(widths, degree, base, symbolic)
    x = random(7, widths[0], seed=5)
    wanted = nested(model, x, tuple(index))
    scale = 1 + float(wanted.detach().abs().max())
    torch.testing.assert_close(derivative(model, x, index), wanted, rtol=1e-9, atol=1e-10 * scale)


@pytest.mark.parametrize("symbolic", [False, True])
def test_second_derivatives_are_those_of_differences(symbolic: bool) -> None:
    model, x, step = network([2, 3, 1], symbolic=symbolic), 0.5 * random(20, 2), 1e-4
    found = hessian(model, x)
    for i, j in itertools.product(range(2), repeat=2):
        e, f = step * torch.eye(2, dtype=DOUBLE)[[i, j]]
        with torch.no_grad():
            difference = model(x + e + f) - model(x + e - f) - model(x - e + f) + model(x - e - f)
        torch.testing.assert_close(found[:, :, i, j], difference / (4 * step**2), rtol=1e-5, atol=1e-5)


def test_operators_are_made_of_derivatives() -> None:
    model, x = network([2, 3, 2]), random(6, 2)
    slopes, bends = gradient(model, x), hessian(model, x)
    assert slopes.shape == (6, 2, 2) and bends.shape == (6, 2, 2, 2)
    torch.testing.assert_close(slopes[:, :, 1], derivative(model, x, "x2"))
    torch.testing.assert_close(laplacian(model, x), bends.diagonal(dim1=2, dim2=3).sum(-1))
    torch.testing.assert_close(laplacian(model, x, "x1"), bends[:, :, 0, 0])
    torch.testing.assert_close(divergence(model, x), slopes.diagonal(dim1=1, dim2=2).sum(-1))


def test_gradients_by_parameters_are_those_of_nested_autograd() -> None:
    model, x = network([2, 3, 1], symbolic=True), random(9, 2)
    parameters = list(model.parameters())
    losses = laplacian(model, x), nested(model, x, (0, 0)) + nested(model, x, (1, 1))
    found, wanted = (
        torch.autograd.grad(loss.square().sum(), parameters, allow_unused=True, materialize_grads=True)
        for loss in losses
    )
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-8)


def test_ways_of_sharing_out_are_as_many_as_there_are() -> None:
    # Bell's numbers count the partitions of a set.
    for count, bell in enumerate((1, 2, 5, 15, 52), 1):
        for index in ((0,) * count, tuple(range(count))):
            assert sum(times for ways in shares(index).values() for times, _ in ways) == bell


@pytest.mark.parametrize(
    ("by", "message"),
    [("xx1", "no variable 'xx1' to differentiate by among x1, x2; did you mean 'x1'"), ((0, 2), "no variable 2")],
)
def test_an_unknown_variable_is_named(by: object, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        derivative(KAN([2, 1]), random(3, 2), by)  # type: ignore[arg-type]


def test_shapes_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ShapeError, match="needs as many outputs as inputs"):
        divergence(KAN([2, 1]), random(3, 2))
    with pytest.raises(ShapeError, match="takes 2 features"):
        laplacian(KAN([2, 1]), random(3, 3))
    with pytest.raises(ShapeError, match="at samples of shape"):
        laplacian(KAN([2, 1]), random(3, 4, 2))
