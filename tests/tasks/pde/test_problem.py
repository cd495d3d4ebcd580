"""Problems: what residuals see, and what is refused in one sentence."""

from __future__ import annotations

import re

import pytest
import torch
from test_operators import network, random
from torch import Tensor, nn

from superpose import KAN
from superpose.errors import DataError, OptionError, ShapeError
from superpose.tasks.pde import Box, Field, Problem, Residual, derivative

SQUARE = Box((-1, -1), (1, 1))


def field(model: nn.Module, points: Tensor, outputs: tuple[str, ...] = ("u",)) -> Field:
    return Field(model, points, ("x", "y"), outputs)


def test_a_field_gives_values_derivatives_and_coordinates_by_name() -> None:
    model, points = network([2, 3, 1]), random(5, 2)
    u = field(model, points)
    torch.testing.assert_close(u.value, model(points)[:, 0])
    torch.testing.assert_close(u.d("x", "y"), derivative(model, points, (0, 1))[:, 0])
    torch.testing.assert_close(u.d(1), u.d("y"))
    torch.testing.assert_close(u.laplacian(), u.d("x", "x") + u.d("y", "y"))
    torch.testing.assert_close(u.laplacian("y"), u.d("y", "y"))
    assert torch.equal(u["y"], points[:, 1]) and torch.equal(u[0], points[:, 0])
    torch.testing.assert_close(u.at(points + 0.1).value, model(points + 0.1)[:, 0])


def test_several_outputs_are_columns_or_picked_by_name() -> None:
    model, points = network([2, 3, 2]), random(5, 2)
    u = field(model, points, ("u", "v"))
    assert u.d("x").shape == (5, 2)
    assert torch.equal(u.d("x", of="v"), u.d("x")[:, 1]) and torch.equal(u.d(of=0), u.value[:, 0])


def test_any_torch_module_has_the_same_field() -> None:
    model, points = network([2, 3, 1]), random(5, 2)
    known, nested = field(model, points), field(nn.Sequential(model), points)
    with torch.no_grad():
        torch.testing.assert_close(nested.d("x", "y"), known.d("x", "y"), rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(nested.value, known.value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda u: u.d("z"), "there is no variable 'z' to differentiate by among x, y"),
        (lambda u: u["xx"], "there is no variable 'xx' to differentiate by among x, y; did you mean 'x'?"),
        (lambda u: u.d("x", of="w"), "there is no output 'w' among u"),
        (lambda u: u.d("x", of=1), "there is no output 1 among u"),
    ],
)
def test_wrong_names_are_said(call: object, message: str) -> None:
    with pytest.raises(OptionError, match=re.escape(message)):
        call(field(network([2, 1]), random(3, 2)))  # type: ignore[operator]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Residual(3, SQUARE), OptionError, "a residual is a function of the field u, not 3"),
        (lambda: Residual(abs, SQUARE, weight=0.0), OptionError, "weight of a residual must be a positive finite"),
        (lambda: Residual(abs, SQUARE, count=0), OptionError, "count of points must be a whole number"),
        (lambda: Residual(abs, torch.zeros(0, 2)), DataError, "with N at least 1, not shape (0, 2)"),
        (lambda: Residual(abs, [1.0]), DataError, "not list"),
        (lambda: Residual(abs, torch.full((2, 2), torch.nan)), DataError, "must be finite numbers"),
        (lambda: Problem([], variables=("x",)), OptionError, "a problem needs at least one residual"),
        (lambda: Problem([Residual(abs, SQUARE)], variables=("x",)), ShapeError, "residual 1 have 2 coordinates"),
        (lambda: Problem([Residual(abs, SQUARE)], variables=("x", "x")), OptionError, "must be different names"),
    ],
)
def test_problems_that_cannot_be_are_refused(make: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        make()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("residual", "error", "message"),
    [
        (lambda u: u.value.mean(), DataError, "equation must give one value for each of its 10 points, but it gave"),
        (lambda u: 0.0, DataError, "but it gave float"),
        (lambda u: (u["x"] - 5).sqrt() + u.value, DataError, "equation is not a finite number at x = "),
    ],
)
def test_residuals_that_cannot_be_are_refused(residual: object, error: type[Exception], message: str) -> None:
    problem = Problem([Residual(residual, SQUARE, count=10, name="equation")], variables=("x", "y"))  # type: ignore[arg-type]
    with pytest.raises(error, match=message):
        problem.check(KAN([2, 1]))


def test_a_model_of_another_shape_is_refused() -> None:
    problem = Problem([Residual(lambda u: u.value, SQUARE)], variables=("x", "y"))
    with pytest.raises(ShapeError, match=r"3 inputs and 1 outputs.*make it KAN\(\[2, ..., 1\]\)"):
        problem.check(KAN([3, 1]))
