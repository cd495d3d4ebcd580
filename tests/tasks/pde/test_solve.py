"""Solving: small problems are solved, time and seeds are kept, and what stops it is said."""

from __future__ import annotations

import dataclasses
import math
import re

import pytest
import torch
from torch import Tensor

from benchmarks.pde.burgers_reference import burgers_solution
from benchmarks.pde.cases import CASES, case, errors, solve_case
from helpers import CountingClock
from superpose import KAN
from superpose.errors import DataError, OptionError
from superpose.stopping import StopReason
from superpose.tasks.pde import Box, Problem, Residual, SolveRecord, derivative, hidden_grids, solve

LINE = Box([0], [2])


def oscillator() -> Problem:
    """u'' + u = 0 with u(0) = 0 and u'(0) = 1: the sine."""
    return Problem(
        [
            Residual(lambda u: u.d("t", "t") + u.value, LINE, count=60),
            Residual(lambda u: torch.stack([u.value, u.d("t") - 1], 1), LINE.face(0, "low"), count=1),
        ],
        variables=("t",),
    )


def error(model: KAN) -> float:
    t = LINE.mesh(200)
    with torch.no_grad():
        return float((model(t)[:, 0] - t[:, 0].sin()).abs().max())


def test_a_line_is_solved_to_the_last_digits() -> None:
    model = KAN([1, 1], degree=5, base="none", seed=0)
    found = solve(model, oscillator(), grids=(5, 10, 20, 40))
    assert error(model) < 1e-8
    assert found.loss < 1e-14 and found.reason == "the schedule of grids ended at 40 intervals"
    assert not found.interrupted and set(found.losses) == {"residual 1", "residual 2"}
    assert model.feature_names == ("t",) and model.target_names == ("u",)
    assert [record.step for record in found.records] == list(range(len(found.records)))


def test_poisson_through_a_hidden_layer() -> None:
    square = Box((0, 0), (1, 1))
    exact = lambda p: torch.exp(p[:, 0] - p[:, 1])  # noqa: E731
    problem = Problem(
        [
            Residual(lambda u: u.laplacian() - 2 * exact(u.points), square, count=300),
            Residual(lambda u: u.value - exact(u.points), square.boundary(), weight=10.0, count=100),
        ],
        variables=("x", "y"),
    )
    model = KAN([2, 1, 1], degree=5, base="none", seed=0)
    solve(model, problem, grids=(4, 8), points=1.0)
    points = square.mesh(15)
    with torch.no_grad():
        assert float((model(points)[:, 0] - exact(points)).abs().max()) < 1e-5


def test_periodic_conditions_join_two_ends() -> None:
    # u'' - u = -2 sin t: the sine is its only periodic solution.
    line = Box([0], [2 * math.pi])
    problem = Problem(
        [
            Residual(lambda u: u.d("t", "t") - u.value + 2 * u["t"].sin(), line, count=80),
            Residual(lambda u: u.value - u.at(u.points + 2 * math.pi).value, line.face(0, "low"), count=1),
            Residual(lambda u: u.d("t") - u.at(u.points + 2 * math.pi).d("t"), line.face(0, "low"), count=1),
        ],
        variables=("t",),
    )
    model = KAN([1, 1], degree=5, base="none", seed=0)
    solve(model, problem, grids=(10, 20))
    t = line.mesh(50)
    with torch.no_grad():
        assert float((model(t)[:, 0] - t[:, 0].sin()).abs().max()) < 1e-6


@pytest.mark.parametrize(("optimizer", "steps"), [("lbfgs", 60), ("adamw", 200)])
def test_first_order_optimisers_go_down_too(optimizer: str, steps: int) -> None:
    model = KAN([1, 1], degree=4, base="none", seed=0)
    found = solve(model, oscillator(), optimizer=optimizer, grids=(5,), steps=steps)
    assert found.records[-1].loss < 0.1 * found.records[0].loss
    assert found.optimizer == optimizer


def test_the_same_seed_gives_the_same_solution() -> None:
    results = []
    for seed in (0, 0, 1):
        model = KAN([1, 2, 1], degree=5, seed=seed)
        results.append(solve(model, oscillator(), grids=(3, 5), steps=5, starts=2, resample=0.5, seed=seed))
    losses = [[record.loss for record in result.records] for result in results]
    assert losses[0] == losses[1] != losses[2]


def test_the_time_limit_is_kept_and_said(counted_time: CountingClock) -> None:
    model = KAN([1, 6, 1], degree=5, seed=0)
    found = solve(model, oscillator(), grids=(5, 10, 20, 40, 80), time_limit=0.8)
    assert counted_time.now < 2 and found.stop is StopReason.TIME_LIMIT
    assert found.reason == "the time limit of 0.8 seconds was reached; the best model so far was kept"
    assert math.isfinite(error(model))


def test_a_trained_model_goes_on_from_where_it_is() -> None:
    model = KAN([1, 1], degree=5, base="none", seed=0)
    first = solve(model, oscillator(), grids=(5,))
    again = solve(model, oscillator(), grids=(5, 10))
    assert again.records[0].loss <= 10 * first.records[-1].loss
    assert again.records[-1].loss < 0.1 * first.records[-1].loss


def test_every_step_is_heard_and_results_cannot_be_changed() -> None:
    heard: list[SolveRecord] = []
    found = solve(KAN([1, 1], degree=5, seed=0), oscillator(), grids=(4,), listener=heard.append)
    assert tuple(heard) == found.records
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.loss = 0.0  # type: ignore[misc]


def test_points_gather_where_residuals_are_large() -> None:
    # A source that is felt on a hundredth of the line only.
    line = Box([0], [1])
    problem = Problem(
        [Residual(lambda u: u.value - torch.exp(-(((u["x"] - 0.3) / 0.01) ** 2)), line, count=400)], variables=("x",)
    )
    seen: list[Tensor] = []
    watched = Problem(
        [Residual(lambda u: (seen.append(u.points), problem.residuals[0].function(u))[1], line, count=400)],
        variables=("x",),
    )
    solve(KAN([1, 1], degree=3, seed=0), watched, grids=(2, 3), steps=2, starts=1, resample=0.5, points=0.0)
    near = [int(((points - 0.3).abs() < 0.05).sum()) for points in seen if len(points) == 400]
    assert near[0] == pytest.approx(40, abs=3) and max(near) > 60


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimiser": "lm"}, "solve has no option 'optimiser'; did you mean 'optimizer'?"),
        ({"optimizer": "lbgfs"}, "optimizer must be one of lm, lbfgs, adamw, not 'lbgfs'; did you mean 'lbfgs'?"),
        ({"grids": (10, 5)}, "grids must be growing whole numbers"),
        ({"steps": 0}, "steps must be a whole number of at least 1"),
        ({"time_limit": -1.0}, "time_limit must be a positive finite number"),
        ({"resample": 2}, "resample must be a number from 0 to 1, not 2"),
        ({"roughness": -1}, "roughness must be a finite number that is not negative"),
        ({"seed": 2**31}, "seed must be a whole number from 0 to 2**31 - 1"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=re.escape(message)):
        solve(KAN([1, 1]), oscillator(), **options)


def test_a_model_too_large_for_lm_says_what_to_do() -> None:
    with pytest.raises(OptionError, match="use optimizer 'lbfgs' or 'adamw', or a smaller grid"):
        solve(KAN([1, 100, 1], grid_size=50, degree=5), oscillator(), starts=1, points=0.1)


def test_nan_residuals_are_told_before_any_work() -> None:
    problem = Problem([Residual(lambda u: u.value + (u["t"] - 1).log(), LINE, name="equation")], variables=("t",))
    with pytest.raises(DataError, match="equation is not a finite number at t = "):
        solve(KAN([1, 1]), problem)


# -- hidden grids


def test_a_longer_grid_changes_nothing_where_the_old_one_was() -> None:
    model = KAN([2, 3, 1], grid_size=8, degree=5, seed=0)
    x = Box((-1, -1), (1, 1)).mesh(15)
    hidden_grids.adapt(model, x)
    inner = 0.5 * x
    grown = model.copy()
    with torch.no_grad():
        # Activations a little beyond the end: the first layer's curves are stretched and shifted.
        grown.layer(0).coefficients *= 1.15
    stretched = [derivative(grown, inner, index) for index in ((), (0,), (0, 0))]
    sizes = [layer.grid_size for layer in grown.kan_layers()]
    assert hidden_grids.adapt(grown, x)
    assert grown.layer(1).grid_size > sizes[1] and grown.layer(0).grid_size == sizes[0]
    for index, wanted in zip(((), (0,), (0, 0)), stretched, strict=True):
        torch.testing.assert_close(derivative(grown, inner, index), wanted, rtol=1e-8, atol=1e-9)
    assert not hidden_grids.adapt(grown, x)


# -- the cases


def test_burgers_reference_converges_and_fulfils_its_equation() -> None:
    generator = torch.Generator().manual_seed(0)
    t = 0.05 + 0.9 * torch.rand(40, generator=generator, dtype=torch.float64)
    x = (2 * torch.rand(40, generator=generator, dtype=torch.float64) - 1) * 0.9
    x[::2] *= 0.01
    coarse, fine = (burgers_solution(t, x, nodes=nodes) for nodes in (1001, 4001))
    assert float((coarse - fine).abs().max()) < 1e-10
    t, x = t.requires_grad_(), x.requires_grad_()
    u = burgers_solution(t, x)
    u_t, u_x = torch.autograd.grad(u.sum(), (t, x), create_graph=True)
    u_xx = torch.autograd.grad(u_x.sum(), x)[0]
    residual = (u_t + u * u_x - 0.01 / math.pi * u_xx).detach()
    assert float((residual / (1 + u_x.detach().abs())).abs().max()) < 1e-8
    ends = torch.linspace(0, 1, 5, dtype=torch.float64)
    assert float(burgers_solution(ends, torch.ones(5)).abs().max()) < 1e-12
    torch.testing.assert_close(burgers_solution(torch.zeros(5), ends), -torch.sin(math.pi * ends))


class Exactly(torch.nn.Module):
    """A case's own solution as a module."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.exact, self.unused = case(name).exact, torch.nn.Parameter(torch.zeros((), dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return self.exact(x)[:, None] + 0 * self.unused * x.sum(1, keepdim=True)


@pytest.mark.parametrize("name", sorted(CASES))
def test_the_solution_of_each_case_solves_it(name: str) -> None:
    one, model = case(name), Exactly(name)
    for residual in one.problem.residuals:
        points = one.problem.points(residual, 0, 100)
        # The quadrature has no slope by time at time 0.
        points = points[points[:, 0] > 0.01] if name == "burgers" else points
        if len(points):
            value, _ = one.problem.evaluate(residual, model, points)
            assert float(value.detach().abs().max()) < 1e-7, residual.name
    if name != "burgers":
        assert errors(one, model).squared_h1 < 1e-20


def test_a_case_is_solved_within_its_time() -> None:
    heard: list[float] = []
    one = dataclasses.replace(case("heat"), options={"grids": (4,), "steps": 5, "starts": 1})
    model, reason, seconds = solve_case(one, time_limit=20.0, listener=lambda record, now, model: heard.append(now))
    assert errors(one, model).relative_l2 < 0.5 and reason and seconds >= heard[-1] and heard == sorted(heard)


def test_an_unknown_case_is_named() -> None:
    with pytest.raises(OptionError, match=r"there is no case 'poison' among .*; did you mean 'poisson'"):
        case("poison")
