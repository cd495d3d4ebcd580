"""Networks with product nodes are trained by every optimiser, and learn products exactly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from superpose import KAN, fit
from superpose.optim import normal_equations as equations
from superpose.optim.parameters import Parameters
from superpose.tasks.pde import Box, Problem, Residual, solve
from superpose.train import remember

DOUBLE = torch.float64


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(*shape, generator=generator, dtype=DOUBLE) - 1


products = st.lists(st.integers(2, 4), min_size=1, max_size=2)
widths = st.one_of(st.integers(1, 3), st.tuples(st.integers(0, 2), products))


@st.composite
def networks(draw: st.DrawFn) -> KAN:
    """Any mixture of nodes, splines, symbolic and removed edges; one factor is zero everywhere."""
    shape: list[Any] = [draw(st.integers(1, 3)), *draw(st.lists(widths, min_size=1, max_size=3))]
    model = KAN(shape, seed=draw(st.integers(0, 9)), grid_size=draw(st.integers(1, 4)))
    for n, layer in enumerate(model.kan_layers()):
        layer.coefficients.data += 0.3 * random(*layer.coefficients.shape, seed=n)
        edges = [(i, o) for i in range(layer.in_features) for o in range(layer.sum_count)]
        some = draw(st.lists(st.sampled_from(edges), unique=True, max_size=3))
        layer.set_symbolic({edge: (("sin", "x^2", "x")[k], (1.1, 0.2, 0.9, 0.1)) for k, edge in enumerate(some)})
        gone = draw(st.sampled_from(edges))
        if gone not in some:
            layer.mask[gone] = False
    if draw(st.booleans()):
        model.layer(0).coefficients.data[..., -1] = 0.0
    return model


@settings(max_examples=15)
@given(networks(), st.booleans())
def test_the_jacobian_is_that_of_autograd_and_native_equals_reference(model: KAN, weighted: bool) -> None:
    parameters, x = Parameters(model), 0.9 * random(13, model.widths[0])
    y = random(13, model.widths[-1], seed=1)
    weights = 1 + 0.5 * random(13, seed=2) if weighted else None
    with torch.no_grad():
        found, residual = equations.jacobian_block(parameters, x, y)

    def outputs(vector: Tensor) -> Tensor:
        parameters.set(vector)
        h = x
        for layer in model.layers:
            h = layer(h)
        return h.detach().clone()

    origin, step = parameters.get(), 1e-6
    torch.testing.assert_close(residual, outputs(origin) - y)
    for place in range(0, parameters.size, max(1, parameters.size // 12)):
        nudge = torch.zeros_like(origin)
        nudge[place] = step
        slope = (outputs(origin + nudge) - outputs(origin - nudge)) / (2 * step)
        torch.testing.assert_close(found[..., place], slope, rtol=1e-6, atol=1e-6 * float(found.abs().max()))
    parameters.set(origin)
    dense = equations._dense(parameters, x, y, weights, None)
    whole = equations.normal_equations(parameters, x, y, weights)
    for one, other in zip(dense, whole, strict=True):
        torch.testing.assert_close(one.detach() / y.numel(), other.detach(), rtol=1e-11, atol=1e-12)


Function = Callable[[Tensor], Tensor]


@pytest.mark.parametrize(
    ("shape", "function", "error"),
    [
        ([2, [0, 1], 1], lambda x: x[:, 0] * x[:, 1], 1e-8),
        ([2, [0, 1]], lambda x: x[:, 0] * x[:, 1], 1e-8),
        ([2, [1, 1], 1], lambda x: x[:, 0] * x[:, 1] + torch.sin(x[:, 0]), 1e-5),
        ([6, [0, [3]], 1], lambda x: (x[:, 0] + x[:, 1]) * (x[:, 2] + x[:, 3]) * (x[:, 4] + x[:, 5]), 1e-8),
    ],
)
def test_products_are_learnt(shape: Any, function: Function, error: float) -> None:
    x = random(400, shape[0], seed=0)
    model = KAN(shape, grid_size=3, seed=0)
    history = fit(model, (x, function(x)[:, None]), progress=False)
    assert history.validation_rmse < error
    fresh = random(500, shape[0], seed=7)
    with torch.no_grad():
        assert float((model(fresh)[:, 0] - function(fresh)).square().mean().sqrt()) < 10 * error


def test_a_target_that_is_a_product_keeps_its_zero() -> None:
    x = 3 + random(400, 2)
    y = torch.stack([x.sum(1) + 7, x[:, 0] * x[:, 1]], 1)
    model = KAN([2, [1, 1]], grid_size=3)
    fit(model, (x, y), progress=False)
    assert model.output_center.tolist()[1] == 0.0 and abs(float(model.output_center[0]) - 13) < 0.5
    with torch.no_grad():
        assert float((model(x) - y).abs().max()) < 1e-6


@pytest.mark.parametrize("optimizer", ["lbfgs", "adamw"])
def test_other_optimizers_train_products_too(optimizer: str) -> None:
    x = random(300, 2)
    y = (x[:, 0] * x[:, 1])[:, None]
    model = KAN([2, [1, [2, 3]], 1], grid_size=2)
    options: dict[str, Any] = {"steps": 30 if optimizer == "lbfgs" else 200, "sparsity": 1e-4}
    history = fit(model, (x, y), optimizer=optimizer, progress=False, **options)
    assert history.validation_rmse < 0.1


def test_sparsity_and_memories_take_products() -> None:
    x = random(300, 2)
    y = (x[:, 0] * x[:, 1])[:, None]
    model = KAN([2, [1, 1], 1], grid_size=3)
    assert fit(model, (x, y), sparsity=1e-4, grids=(3, 6), progress=False).validation_rmse < 1e-2
    memory = remember(model, x)
    memory.check(model)
    assert memory.matrix.shape == (Parameters(model).size,) * 2


def test_equations_are_solved_with_product_nodes() -> None:
    """u_xy = 1 with u = 0 on both axes: u = x*y."""
    square = Box([0, 0], [1, 1])
    problem = Problem(
        [
            Residual(lambda u: u.d("x", "y") - 1, square, count=50),
            Residual(lambda u: u.value, square.face(0, "low"), count=20),
            Residual(lambda u: u.value, square.face(1, "low"), count=20),
        ],
        variables=["x", "y"],
    )
    model = KAN([2, [1, 1], 1], degree=4, grid_size=2)
    solve(model, problem, grids=(2, 4))
    x = (random(50, 2) + 1) / 2
    with torch.no_grad():
        assert float((model(x)[:, 0] - x[:, 0] * x[:, 1]).abs().max()) < 1e-4
