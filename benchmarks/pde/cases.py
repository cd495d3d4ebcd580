"""Problems with known solutions, and how well a KAN solves them.

>>> sorted(CASES)
['burgers', 'disc', 'heat', 'helmholtz', 'lshape', 'poisson', 'poisson-tutorial']
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.pde.burgers_reference import burgers_solution
from superpose.errors import OptionError
from superpose.messages import nearest
from superpose.nn.model import KAN
from superpose.tasks.pde.problem import Field, Problem, Residual
from superpose.tasks.pde.regions import Box, Image, Part, Region, Union
from superpose.tasks.pde.settings import SolveRecord
from superpose.tasks.pde.solve import solve

PI = math.pi
Exact = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class EquationCase:
    """A problem, its solution, and a network that suits it.

    Attributes:
        name, title: for the command line and for pictures.
        problem: see :class:`~superpose.tasks.pde.Problem`.
        exact: the solution ``[B]`` at points ``[B, n]``.
        test: ``[M, n]``, where errors are measured, spread evenly.
        size: area of the domain: the squared L2 error is this times the mean squared error.
        widths, degree, grid_size, base: of the network.
        options: of :func:`~superpose.tasks.pde.solve`.
        easier: problems to solve first, each from the solution of the one before.
        easier_options: of :func:`~superpose.tasks.pde.solve` there.
    """

    name: str
    title: str
    problem: Problem
    exact: Exact
    test: Tensor
    size: float
    widths: tuple[int, ...]
    degree: int = 5
    grid_size: int | tuple[int, ...] = 5
    base: str = "none"
    options: dict[str, Any] = field(default_factory=dict)
    easier: tuple[Problem, ...] = ()
    easier_options: dict[str, Any] = field(default_factory=dict)

    @functools.cached_property
    def truth(self) -> tuple[Tensor, Tensor]:
        """The solution ``[M]`` and its slopes ``[M, n]`` at the test points."""
        with torch.enable_grad():
            x = self.test.clone().requires_grad_()
            values = self.exact(x)
            (slopes,) = torch.autograd.grad(values.sum(), x)
        return values.detach(), slopes

    def model(self, seed: int = 0) -> KAN:
        """A fresh network."""
        sizes = self.grid_size if isinstance(self.grid_size, int) else list(self.grid_size)
        return KAN(self.widths, grid_size=sizes, degree=self.degree, base=self.base, seed=seed)


def _given(exact: Exact, where: Region, weight: float, count: int, name: str = "boundary") -> Residual:
    return Residual(lambda u: u.value - exact(u.points), where, weight=weight, count=count, name=name)


def _sourced(exact: Exact, factor: float, where: Region, count: int) -> Residual:
    """``Laplacian u + factor * u`` equals what it is for the exact solution."""

    def source(points: Tensor) -> Tensor:
        with torch.enable_grad():
            x = points.detach().requires_grad_()
            value = exact(x)
            (slope,) = torch.autograd.grad(value.sum(), x, create_graph=True)
            bends = [torch.autograd.grad(slope[:, i].sum(), x, retain_graph=True)[0][:, i] for i in range(x.shape[1])]
        return (sum(bends) + factor * value).detach()

    def residual(u: Field) -> Tensor:
        found = u.laplacian() - source(u.points)
        return found + factor * u.value if factor else found

    return Residual(residual, where, count=count, name="equation")


_SQUARE = Box((-1, -1), (1, 1))


def _elliptic(
    name: str, title: str, exact: Exact, widths: tuple[int, ...], factor: float = 0.0, **more: Any
) -> EquationCase:
    region = more.pop("region", _SQUARE)
    edge = more.pop("edge", _SQUARE.boundary())
    test = more.pop("test", _SQUARE.mesh(101))
    residuals = [_sourced(exact, factor, region, 1000), _given(exact, edge, more.pop("weight", 100.0), 200)]
    return EquationCase(name, title, Problem(residuals, variables=("x", "y")), exact, test, region.size, widths, **more)


def poisson() -> EquationCase:
    """``Laplacian u = f`` on [-1, 1]^2 with ``u = sin(pi x) sin(pi y^2)`` (Liu et al. 2024, section 3.4)."""
    return _elliptic(
        "poisson",
        "Poisson, sin(πx) sin(πy²)",
        lambda p: torch.sin(PI * p[:, 0]) * torch.sin(PI * p[:, 1] ** 2),
        (2, 10, 1),
        options={"grids": (5, 10, 20), "points": 6.0, "starts": 2},
    )


def poisson_tutorial() -> EquationCase:
    """``Laplacian u = f`` on [-1, 1]^2 with ``u = sin(pi x) sin(pi y)``, pykan's tutorial, its shape [2, 2, 1]."""
    return _elliptic(
        "poisson-tutorial",
        "Poisson, sin(πx) sin(πy)",
        lambda p: torch.sin(PI * p[:, 0]) * torch.sin(PI * p[:, 1]),
        (2, 2, 1),
        options={"grids": (5, 10, 20, 40), "starts": 12},
    )


def helmholtz() -> EquationCase:
    """``Laplacian u + u = f`` on [-1, 1]^2 with ``u = sin(pi x) sin(4 pi y)``."""
    return _elliptic(
        "helmholtz",
        "Helmholtz, sin(πx) sin(4πy)",
        lambda p: torch.sin(PI * p[:, 0]) * torch.sin(4 * PI * p[:, 1]),
        (2, 8, 1),
        factor=1.0,
        # The source reaches 160.
        weight=1e4,
        options={"grids": (10, 20, 40), "points": 4.0},
        grid_size=10,
    )


def disc() -> EquationCase:
    """``Laplacian u = f`` on the unit disc with ``u = exp(x) sin(2 y) + x^2 y``."""
    region = Part(_SQUARE, lambda p: p.square().sum(1) <= 1)
    return _elliptic(
        "disc",
        "Poisson on a disc, exp(x) sin(2y) + x²y",
        lambda p: torch.exp(p[:, 0]) * torch.sin(2 * p[:, 1]) + p[:, 0] ** 2 * p[:, 1],
        (2, 8, 1),
        region=region,
        edge=Image(Box([0], [2 * PI]), lambda s: torch.cat([s.cos(), s.sin()], 1)),
        test=_SQUARE.mesh(115)[_SQUARE.mesh(115).square().sum(1) <= 1],
        options={"grids": (5, 10, 20), "points": 6.0},
    )


def lshape() -> EquationCase:
    """``Laplacian u = f`` on [-1, 1]^2 without its upper right quarter, with ``u = sin(pi x) sin(pi y)``."""

    def inside(p: Tensor) -> Tensor:
        return (p[:, 0] <= 0) | (p[:, 1] <= 0)

    edge = (
        Box((-1, -1), (1, -1)), Box((1, -1), (1, 0)), Box((0, 0), (1, 0)),
        Box((0, 0), (0, 1)), Box((-1, 1), (0, 1)), Box((-1, -1), (-1, 1)),
    )  # fmt: skip
    return _elliptic(
        "lshape",
        "Poisson on an L, sin(πx) sin(πy)",
        lambda p: torch.sin(PI * p[:, 0]) * torch.sin(PI * p[:, 1]),
        (2, 6, 1),
        region=Part(_SQUARE, inside),
        edge=Union(*edge),
        test=_SQUARE.mesh(101)[inside(_SQUARE.mesh(101))],
        options={"grids": (5, 10, 20, 40), "points": 6.0},
    )


def heat() -> EquationCase:
    """``u_t = 0.1 u_xx`` on 0 <= t, x <= 1 from two sine waves, zero at both ends."""
    box, speed = Box((0, 0), (1, 1)), 0.1

    def exact(p: Tensor) -> Tensor:
        waves = [
            size * torch.exp(-speed * (n * PI) ** 2 * p[:, 0]) * torch.sin(n * PI * p[:, 1])
            for n, size in ((1, 1.0), (3, 0.5))
        ]
        return waves[0] + waves[1]

    residuals = [
        Residual(lambda u: u.d("t") - speed * u.d("x", "x"), box, count=1000, name="equation"),
        _given(exact, box.face(0, "low"), 100.0, 200, "start"),
        _given(exact, box.boundary([1]), 100.0, 200),
    ]
    return EquationCase(
        "heat",
        "Heat, two waves",
        Problem(residuals, variables=("t", "x")),
        exact,
        box.mesh(101),
        1.0,
        (2, 6, 1),
        options={"grids": (5, 10, 20), "points": 6.0},
    )


def burgers() -> EquationCase:
    """``u_t + u u_x = nu u_xx`` with ``nu = 0.01 / pi``, ``u(0, x) = -sin(pi x)``, zero at x = -1 and 1.

    The front at x = 0 is 0.006 wide: points and knots are dense there, ``x = s |s|`` for even ``s``. From scratch the
    front settles in a wrong place, so five problems of falling viscosity lead to it.
    """
    box, viscosity = Box((0, -1), (1, 1)), 0.01 / PI

    def dense(p: Tensor) -> Tensor:
        return torch.stack([p[:, 0], p[:, 1] * p[:, 1].abs()], 1)

    def problem(factor: float) -> Problem:
        def equation(u: Field) -> Tensor:
            return u.d("t") + u.value * u.d("x") - factor * viscosity * u.d("x", "x")

        start = Image(box.face(0, "low"), dense)
        residuals = [
            Residual(equation, Image(box, dense), count=3000, name="equation"),
            # What would appear between t = 0 and the first points is seen by no other residual.
            Residual(equation, start, count=300, name="equation at t = 0"),
            Residual(lambda u: u.value + torch.sin(PI * u["x"]), start, weight=100.0, count=300, name="start"),
            Residual(lambda u: u.value, box.boundary([1]), weight=100.0, count=100, name="boundary"),
        ]
        return Problem(residuals, variables=("t", "x"))

    return EquationCase(
        "burgers",
        "Burgers, viscosity 0.01/π",
        problem(1.0),
        lambda p: burgers_solution(p[:, 0], p[:, 1]),
        box.mesh((101, 257)),
        2.0,
        (2, 5, 5, 1),
        grid_size=(16, 8, 8),
        options={"grids": (16, 24, 32, 48, 64), "resample": 0.3, "steps": 100},
        easier=tuple(problem(factor) for factor in (10.0, 5.0, 2.5, 1.5)),
        easier_options={"grids": (16,), "blend": 1.0, "steps": 40, "starts": 1},
    )


CASES: dict[str, Callable[[], EquationCase]] = {
    "poisson": poisson,
    "poisson-tutorial": poisson_tutorial,
    "heat": heat,
    "burgers": burgers,
    "helmholtz": helmholtz,
    "disc": disc,
    "lshape": lshape,
}


def case(name: str) -> EquationCase:
    """The case of that name.

    Raises:
        OptionError: if there is none.
    """
    if name not in CASES:
        raise OptionError(f"there is no case {name!r} among {', '.join(CASES)}{nearest(name, CASES)}")
    return CASES[name]()


@dataclass(frozen=True)
class Errors:
    """How far a model is from the solution: integrals over the domain, and a ratio of norms."""

    squared_l2: float
    squared_h1: float
    relative_l2: float


def errors(one: EquationCase, model: nn.Module) -> Errors:
    """The errors of a model at a case's test points."""
    wanted, slope = one.truth
    with torch.no_grad():
        field_ = Field(model, one.test, one.problem.variables, one.problem.outputs)
        difference = field_.value - wanted
        slopes = torch.stack([field_.d(name) for name in one.problem.variables], 1) - slope
    square = one.size * float(difference.square().mean())
    # Burgers' quadrature has no slope by time at time 0.
    steep = one.size * float(slopes[slopes.isfinite().all(1)].square().sum(1).mean())
    return Errors(square, square + steep, float(difference.norm() / wanted.norm()))


def solve_case(
    one: EquationCase,
    *,
    time_limit: float | None = None,
    seed: int = 0,
    listener: Callable[[SolveRecord, float, KAN], None] | None = None,
) -> tuple[KAN, str, float]:
    """Solve a case: the model, why it stopped, and the seconds it took."""
    began, model, spent = time.monotonic(), one.model(seed), [0.0]

    def hear(record: SolveRecord) -> None:
        if listener is not None:
            now = time.monotonic()
            listener(record, now - began - spent[0], model)
            spent[0] += time.monotonic() - now

    reason = ""
    stages = [*((problem, one.easier_options) for problem in one.easier), (one.problem, one.options)]
    for problem, options in stages:
        left = None if time_limit is None else time_limit - (time.monotonic() - began - spent[0])
        if left is not None and left <= 0:
            break
        reason = solve(model, problem, listener=hear, seed=seed, time_limit=left, **options).reason
    return model, reason, time.monotonic() - began - spent[0]
