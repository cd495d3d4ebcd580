"""Levenberg-Marquardt on residuals: its normal equations are those of autograd's Jacobian, its steps go down."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from test_operators import network
from torch import Tensor

from superpose import KAN
from superpose.optim.parameters import Parameters
from superpose.spline import backend
from superpose.tasks.pde import Box, Field, Problem, Residual
from superpose.tasks.pde.equations import ResidualSteps, Term, normal_equations

SQUARE = Box((-1, -1), (1, 1))


def nonlinear(u: Field) -> Tensor:
    return u.value * u.d("x") + u.d("x", "y") * u["y"] - u.d("y", "y") + u.d("x", "x").sin() * u.d("x", "x", "x")


def joined(u: Field) -> Tensor:
    other = u.at(u.points.flip(1))
    return torch.stack([u.value - other.d("y"), other.value * u.d("x")], 1)


def constant(u: Field) -> Tensor:
    return torch.ones_like(u.points[:, 0])


def terms_of(problem: Problem) -> list[Term]:
    return [Term(one, problem.points(one, 0), one.weight) for one in problem.residuals]


def by_autograd(problem: Problem, model: KAN, terms: list[Term]) -> tuple[Tensor, Tensor]:
    """The same from one backward pass for each residual."""
    size = Parameters(model).size
    normal, gradient = torch.zeros(size, size, dtype=torch.float64), torch.zeros(size, dtype=torch.float64)
    for term in terms:
        value, _ = problem.evaluate(term.residual, model, term.points)
        for one in value.flatten():
            slopes = [torch.zeros_like(p) for p in model.parameters()]
            if one.requires_grad:
                found = torch.autograd.grad(one, list(model.parameters()), retain_graph=True, allow_unused=True)
                slopes = [old if new is None else new for old, new in zip(slopes, found, strict=True)]
            other = model.copy()
            with torch.no_grad():
                for parameter, slope in zip(other.parameters(), slopes, strict=True):
                    parameter.copy_(slope)
            row = Parameters(other).get()
            normal += term.weight / len(value) * torch.outer(row, row)
            gradient += term.weight / len(value) * row * float(one.detach())
    return normal, gradient


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize(
    ("widths", "degree", "base", "symbolic"),
    [([2, 1], 3, "silu", False), ([2, 3, 1], 5, "silu", False), ([2, 2, 3, 1], 4, "none", False),
     ([2, 3, 1], 5, "silu", True), ([2, [1, [3, 2]], [0, [2]]], 5, "silu", False), ([2, [1, 1], 1], 5, "silu", True)],
)  # fmt: skip
def test_normal_equations_are_those_of_the_jacobian(
    widths: list[Any], degree: int, base: str, symbolic: bool, compiled: bool
) -> None:
    model = network(widths, degree, base, symbolic)
    problem = Problem(
        [
            Residual(nonlinear, SQUARE, weight=2.0, count=15),
            Residual(joined, SQUARE.boundary(), weight=3.0, count=8),
            Residual(constant, SQUARE, count=3),
        ],
        variables=("x", "y"),
    )
    terms = terms_of(problem)
    wanted = by_autograd(problem, model, terms)
    if compiled:
        # As the steps call it, without gradients.
        with torch.no_grad():
            found = normal_equations(problem, model, Parameters(model), terms)
    else:
        with backend.use("reference"):
            found = normal_equations(problem, model, Parameters(model), terms)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11 * float(other.abs().max()))


def test_systems_with_several_unknowns_have_a_jacobian_too() -> None:
    model = network([2, 3, 2])
    problem = Problem(
        [Residual(lambda u: torch.stack([u.d("x", of="u") + u.d("y", of="v"), u.value[:, 0] * u.d("x", of=1)], 1),
                  SQUARE, count=12)],
        variables=("x", "y"), outputs=("u", "v"),
    )  # fmt: skip
    terms = terms_of(problem)
    found, wanted = normal_equations(problem, model, Parameters(model), terms), by_autograd(problem, model, terms)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11 * float(other.abs().max()))


def test_the_loss_never_rises_and_is_that_of_the_model() -> None:
    model = network([2, 3, 1])
    problem = Problem([Residual(nonlinear, SQUARE, count=80)], variables=("x", "y"))
    stepper = ResidualSteps(model, problem, terms_of(problem))
    before = stepper.loss
    for _ in range(10):
        result = stepper.step()
        assert result.loss <= before and stepper._loss() == result.loss
        before = result.loss
