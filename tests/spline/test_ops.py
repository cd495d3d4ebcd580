"""The differentiable contractions: gradients of gradients, to any order, in all inputs."""

from __future__ import annotations

import pytest
import torch
from spline_cases import make_knots, points_inside, points_outside
from torch import Tensor

from superpose.spline import coef_pull, edge_sum, fitting, input_pull, reference

INPUTS, OUTPUTS, GRID = 2, 2, 2


def problem(base: str, degree: int, weighted: bool) -> tuple[Tensor, dict[str, Tensor | None]]:
    """Knots and small random arguments; points inside and outside the grid, none on a knot."""
    knots = make_knots("uneven", degree, GRID, INPUTS)
    x = torch.cat([points_inside(knots, degree, 2)[:2], points_outside(knots, degree, 1)])
    generator = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()

    return knots, {
        "v": draw(len(x), INPUTS) if weighted else None,
        "g": draw(len(x), OUTPUTS),
        "coefficients": draw(INPUTS, reference.row_count(knots, degree, base), OUTPUTS),
        "x": x.requires_grad_(),
    }


CASES = [
    *((edge_sum, ("v", "coefficients", "x"), weighted) for weighted in (True, False)),
    (input_pull, ("g", "coefficients", "x"), False),
    *((coef_pull, ("v", "g", "x"), weighted) for weighted in (True, False)),
]
each_operation = pytest.mark.parametrize(
    ("operation", "names", "weighted"),
    CASES,
    ids=["edge_sum-v", "edge_sum", "input_pull", "coef_pull-v", "coef_pull"],
)


@each_operation
@pytest.mark.parametrize("base", reference.BASES)
@pytest.mark.parametrize("order", [0, 1, 2])
def test_gradients_and_their_gradients_are_exact(operation, names, weighted, base, order) -> None:
    knots, arguments = problem(base, 4, weighted)
    values = [arguments[name] for name in names]

    def call(*given: Tensor | None) -> Tensor:
        return operation(*given, knots, 4, base, order)

    assert torch.autograd.gradcheck(call, values, rtol=1e-5, atol=1e-6)
    # Fast: along random directions instead of one coordinate after another.
    assert torch.autograd.gradgradcheck(call, values, rtol=1e-5, atol=1e-5, fast_mode=True)


@each_operation
@pytest.mark.parametrize("degree", [0, 1, 2])
def test_low_degrees_have_exact_gradients_too(operation, names, weighted, degree) -> None:
    knots, arguments = problem("silu", degree, weighted)
    values = [arguments[name] for name in names]
    assert torch.autograd.gradcheck(lambda *given: operation(*given, knots, degree, "silu"), values)


def test_no_work_is_done_for_gradients_that_nobody_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    knots, arguments = problem("silu", 3, False)
    rows, x = arguments["coefficients"], arguments["x"]
    y = edge_sum(None, rows.detach(), x, knots, 3, "silu")
    with monkeypatch.context() as patch:
        patch.delattr(reference, "coef_pull")
        y.sum().backward()
    y = edge_sum(None, rows, x.detach(), knots, 3, "silu")
    with monkeypatch.context() as patch:
        patch.delattr(reference, "input_pull")
        y.sum().backward()
    assert x.grad is not None and rows.grad is not None


@pytest.mark.parametrize("degree", [2, 3, 5])
def test_autograd_follows_a_polynomial_through_all_of_its_derivatives(degree: int) -> None:
    knots = make_knots("adapted", degree, inputs=1)
    places = points_inside(knots, degree, 80)
    rows = fitting.fit_curves(knots, degree, places, (places**degree)[..., None])
    x = points_inside(knots, degree, 10, seed=9)[:10].requires_grad_()
    y = edge_sum(None, rows, x, knots, degree)
    factor = 1.0
    for order in range(1, degree + 2):
        (y,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        factor *= degree - order + 1
        expected = factor * x.detach() ** max(0, degree - order)
        torch.testing.assert_close(y.detach(), expected, rtol=1e-6, atol=1e-6)
        direct = edge_sum(None, rows, x, knots, degree, "none", order)
        torch.testing.assert_close(y, direct, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_results_and_gradients_keep_the_dtype(dtype: torch.dtype) -> None:
    knots, arguments = problem("silu", 3, True)
    v, g, rows, x = (value.detach().to(dtype).requires_grad_() for value in arguments.values() if value is not None)
    form = (knots.to(dtype), 3, "silu")
    y = edge_sum(v, rows, x, *form)
    z = input_pull(g, rows, x, *form)
    c = coef_pull(v, g, x, *form)
    assert y.dtype == z.dtype == c.dtype == dtype
    (y.sum() + z.sum() + c.sum()).backward()
    assert {value.grad.dtype for value in (v, g, rows, x)} == {dtype}


def test_forward_mode_derivatives_follow_from_the_weights() -> None:
    """Along x + t d: y' = edge_sum_1(d), y'' = edge_sum_2(d^2), the Taylor rule of the layer."""
    knots, arguments = problem("silu", 4, False)
    rows, x = arguments["coefficients"], arguments["x"]
    d = torch.ones_like(x) * torch.tensor([1.0, -0.5])
    t = torch.zeros((), dtype=torch.float64, requires_grad=True)
    y = edge_sum(None, rows, x + t * d, knots, 4, "silu")
    for o in range(OUTPUTS):
        for b in range(len(x)):
            (first,) = torch.autograd.grad(y[b, o], t, create_graph=True)
            (second,) = torch.autograd.grad(first, t, retain_graph=True)
            ours = edge_sum(d, rows, x, knots, 4, "silu", 1)[b, o]
            torch.testing.assert_close(first, ours)
            torch.testing.assert_close(second, edge_sum(d**2, rows, x, knots, 4, "silu", 2)[b, o])
