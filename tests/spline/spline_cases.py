"""Knots of every kind, and points to try splines at."""

from __future__ import annotations

import torch
from torch import Tensor

from superpose.spline import grid

DEGREES = range(6)
KINDS = ("uniform", "clamped", "adapted", "uneven", "coincident", "coincident at the ends")


def source(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def uniform_random(*shape: int, seed: int, low: float = 0.0, high: float = 1.0) -> Tensor:
    return low + (high - low) * torch.rand(*shape, generator=source(seed), dtype=torch.float64)


def make_knots(kind: str, degree: int, grid_size: int = 7, inputs: int = 3, seed: int = 0) -> Tensor:
    """Knots ``[inputs, grid_size + 2 * degree + 1]`` in float64."""
    low = uniform_random(inputs, seed=seed, low=-2, high=0)
    high = low + uniform_random(inputs, seed=seed + 1, low=0.5, high=3)
    even = grid.breakpoints(grid.uniform_knots(low, high, grid_size, degree), degree)
    if kind == "uniform":
        return grid.uniform_knots(low, high, grid_size, degree)
    if kind == "clamped":
        return grid.clamped_knots(even, degree)
    if kind == "adapted":
        samples = low + (high - low) * uniform_random(200, inputs, seed=seed + 2) ** 2
        return grid.extended_knots(grid.adapted_breakpoints(samples, grid_size, blend=0.7, margin=0.1), degree)
    uneven = uniform_random(inputs, grid_size + 2 * degree + 1, seed=seed + 3, low=0.05)
    knots = low[:, None] + uneven.cumsum(-1)
    if kind == "coincident" and grid_size > 3:
        # The one before and after it stay, so the domain does not become empty.
        knots[:, degree + 2] = knots[:, degree + 1]
    if kind == "coincident at the ends":
        last = grid_size + degree
        knots[:, : degree + 1] = knots[:, degree : degree + 1]
        knots[:, last:] = knots[:, last : last + 1]
        if grid_size > 3:
            knots[:, degree + 1] = knots[:, degree]
            knots[:, last - 1] = knots[:, last]
    return knots


def points_inside(knots: Tensor, degree: int, count: int = 50, seed: int = 5) -> Tensor:
    """Points ``[count, inputs]`` inside the domains, the breakpoints among them."""
    ends = grid.breakpoints(knots, degree)
    low, high = ends[:, 0], ends[:, -1]
    drawn = low + (high - low) * uniform_random(count, knots.shape[0], seed=seed)
    return torch.cat([drawn.to(knots.dtype), ends.T])


def points_outside(knots: Tensor, degree: int, count: int = 20, seed: int = 6) -> Tensor:
    """Points ``[2 * count, inputs]`` up to three domain widths away from the domains."""
    ends = grid.breakpoints(knots, degree)
    low, high = ends[:, 0], ends[:, -1]
    away = (high - low) * uniform_random(count, knots.shape[0], seed=seed, low=1e-3, high=3)
    return torch.cat([low - away, high + away])
