"""Drawn problems for the compiled kernels, what the definition makes of them, and how exact an answer can be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import hypothesis.strategies as st
import torch
from spline_cases import make_knots, source, uniform_random
from torch import Tensor

from superpose.spline import grid, reference

# Around the widths of vectors, the runs, strips and blocks of csrc/contractions.hpp, and tiles of several vectors.
BATCHES = (0, 1, 2, 3, 5, 15, 16, 17, 33, 127, 128, 129, 511, 512, 513, 1023, 1024, 1025)
INPUTS = (0, 1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 20)
OUTPUTS = (0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 127, 128, 129, 130)
KNOTS = ("uniform", "nearly even", "clamped", "adapted", "uneven", "coincident", "repeated", "coincident at the ends")
# Offset and scale of a domain some three units wide.
DOMAINS = ((0.0, 1.0), (1000.5, 0.25), (1.5e-6, 2.5e-7), (-2e4, 3e4))
LAYOUTS = ("contiguous", "transposed", "sliced", "expanded")
# More coefficients, or products with them, than that take too long.
_MOST_COEFFICIENTS, _MOST_PRODUCTS = 100_000, 1_000_000


@dataclass(frozen=True)
class Plan:
    """What a problem is made from."""

    batch: int
    inputs: int
    outputs: int
    grid_size: int
    degree: int
    base: str
    order: int
    weighted: bool
    knots: str
    domain: tuple[float, float]
    outside: bool
    layout: str
    seed: int


class Problem(NamedTuple):
    v: Tensor | None
    g: Tensor
    coefficients: Tensor
    x: Tensor
    knots: Tensor
    degree: int
    base: str
    order: int

    def double(self) -> Problem:
        """The same numbers in float64."""
        return Problem(*(part.double() if isinstance(part, Tensor) else part for part in self))


@st.composite
def plans(draw: st.DrawFn, smallest: int = 0) -> Plan:
    """Problems of all kinds; with ``smallest = 1`` those that have samples, inputs and outputs."""
    degree = draw(st.integers(1, 5))
    grid_size = draw(st.one_of(st.integers(1, 40), st.sampled_from((100, 257, 1000))))
    inputs = draw(st.sampled_from(INPUTS[smallest:]))
    rows = max(1, inputs * (grid_size + degree + 1))
    outputs = draw(st.sampled_from([outputs for outputs in OUTPUTS[smallest:] if outputs * rows <= _MOST_COEFFICIENTS]))
    each = max(1, outputs) * rows
    batches = [batch for batch in BATCHES if batch * each <= _MOST_PRODUCTS and batch >= smallest]
    return Plan(
        draw(st.sampled_from(batches or [1])),
        inputs,
        outputs,
        grid_size,
        degree,
        draw(st.sampled_from(reference.BASES)),
        draw(st.integers(0, degree + 2)),
        draw(st.booleans()),
        draw(st.sampled_from(KNOTS)),
        draw(st.sampled_from(DOMAINS)),
        draw(st.booleans()),
        draw(st.sampled_from(LAYOUTS)),
        draw(st.integers(0, 1000)),
    )


def knots_of(plan: Plan, dtype: torch.dtype) -> Tensor:
    """``[I, G + 2k + 1]``; no domain is empty, also after rounding."""
    k, G, I = plan.degree, plan.grid_size, plan.inputs  # noqa: E741
    offset, scale = plan.domain
    if plan.knots == "repeated":
        # Runs of equal knots of any length.
        steps = torch.randint(-2, 3, (I, G + 2 * k + 1), generator=source(plan.seed)).clamp(min=0)
        steps[:, k + 1 + plan.seed % G] += 1
        knots = steps.cumsum(-1).double() - steps.sum(-1, keepdim=True) / 2
    elif plan.knots == "nearly even":
        # About as uneven as knots may be and still be taken for even ones.
        knots = make_knots("uniform", k, G, I, plan.seed)
        limit = 2e-6 if dtype is torch.float32 else 1e-13
        off = uniform_random(*knots.shape, seed=plan.seed + 1, low=-limit, high=limit)
        knots = knots + 0.9 * off * (knots[:, 1:2] - knots[:, :1])
    else:
        knots = make_knots(plan.knots, k, G, I, plan.seed)
    return (offset + scale * knots).to(dtype)


def points_of(plan: Plan, knots: Tensor) -> Tensor:
    """``[B, I]``: inside, on breakpoints, next to them, and outside near and far if the plan says so."""
    shape = plan.batch, plan.inputs
    ends = grid.breakpoints(knots, plan.degree)
    low, high = ends[:, 0].double(), ends[:, -1].double()
    share = uniform_random(*shape, seed=plan.seed + 11)
    inside = low + (high - low) * share
    which = torch.randint(ends.shape[1], shape, generator=source(plan.seed + 12))
    on = ends.T.gather(0, which)
    beside = torch.nextafter(on, torch.where(share < 0.5, -torch.inf, torch.inf).to(on))
    beside = torch.minimum(torch.maximum(beside, ends[:, 0]), ends[:, -1])
    distance = (high - low) * torch.where(which % 2 == 0, 0.1, 1000.0) * share
    away = torch.where(which % 3 == 0, low - distance, high + distance)
    kind = torch.randint(10 if plan.outside else 7, shape, generator=source(plan.seed + 13))
    x = inside.to(knots.dtype)
    x = torch.where(kind == 0, on, torch.where(kind == 1, beside, x))
    return torch.where(kind >= 7, away.to(x), x)


def _laid_out(tensor: Tensor, layout: str) -> Tensor:
    if layout == "transposed":
        return tensor.mT.contiguous().mT
    if layout == "sliced":
        return torch.stack([tensor, tensor + 1], -1).flatten(-2)[..., ::2]
    if layout == "expanded":
        return tensor[:1].expand_as(tensor)
    return tensor


def problem_of(plan: Plan, dtype: torch.dtype) -> Problem:
    knots = knots_of(plan, dtype)
    rows = reference.row_count(knots, plan.degree, plan.base)

    def draw(n: int, *shape: int) -> Tensor:
        drawn = torch.randn(*shape, generator=source(plan.seed + n), dtype=torch.float64).to(dtype)
        return _laid_out(drawn, plan.layout)

    return Problem(
        draw(1, plan.batch, plan.inputs) if plan.weighted else None,
        draw(2, plan.batch, plan.outputs),
        draw(3, plan.inputs, rows, plan.outputs),
        _laid_out(points_of(plan, knots), "contiguous" if plan.layout == "expanded" else plan.layout),
        knots,
        plan.degree,
        plan.base,
        plan.order,
    )


# -- how exact an answer can be


def _base_scale(base: str, x: Tensor, order: int) -> Tensor:
    """The sum of the absolute values of the terms of the base function's derivative."""
    if base == "identity":
        return x.abs() if order == 0 else torch.full_like(x, float(order == 1))
    logistic = torch.sigmoid(x)
    if order == 0:
        return x.abs() * logistic
    lower, upper = (
        reference._polynomial([abs(factor) for factor in reference._logistic_derivative(n)], logistic)
        for n in (order - 1, order)
    )
    return x.abs() * upper + order * lower


def row_scales(problem: Problem, order: int) -> Tensor:
    """``[B, I, rows]``: what rounding in the row functions at ``order`` is measured against.

    For each spline row that can be other than zero it is the largest of them, since their values are as exact as the
    position in the interval, which they share; outside, the boundary values and the slopes times the distance.
    """
    knots, k, x = problem.knots, problem.degree, problem.x
    low, high = knots[:, k], knots[:, -k - 1]
    nearest = torch.minimum(torch.maximum(x, low), high)
    values, first = reference.active_basis(knots, k, nearest, order)
    sizes = values.abs()
    if order == 0:
        slopes, _ = reference.active_basis(knots, k, nearest, 1)
        sizes = sizes + slopes.abs() * (x - nearest).abs()[..., None]
    elif order >= 2:
        sizes = torch.where(((x < low) | (x > high))[..., None], 0.0, sizes)
    scales = x.new_zeros((*x.shape, reference.row_count(knots, k, problem.base)))
    index = first[..., None] + torch.arange(k + 1)
    scales.scatter_(-1, index, sizes.amax(-1, keepdim=True).expand_as(sizes))
    if problem.base != "none":
        scales[..., -1] = _base_scale(problem.base, x, order)
    return scales


class Answer(NamedTuple):
    """What the kernels compute, or the natural scale of it: the same contractions of absolute values."""

    sums: Tensor
    value: Tensor
    slope: Tensor
    coefficient: Tensor


def defined(problem: Problem) -> Answer:
    """By the definition, in float64."""
    v, g, c, x, *form = problem.double()
    *form, order = form
    slope = reference.grad_input(g, c, x, *form, order + 1)
    return Answer(
        reference.edge_sum(v, c, x, *form, order),
        reference.grad_input(g, c, x, *form, order),
        slope if v is None else v * slope,
        reference.grad_coefficients(v, g, x, *form, order),
    )


def natural_scale(problem: Problem) -> Answer:
    problem = problem.double()
    c, g = problem.coefficients.abs(), problem.g.abs()
    v = torch.ones_like(problem.x) if problem.v is None else problem.v.abs()
    here, steeper = (row_scales(problem, order) for order in (problem.order, problem.order + 1))
    pulled = torch.einsum("bo,iro->bir", g, c)
    return Answer(
        torch.einsum("bi,bir,iro->bo", v, here, c),
        (here * pulled).sum(-1),
        v * (steeper * pulled).sum(-1),
        torch.einsum("bi,bir,bo->iro", v, here, g),
    )
