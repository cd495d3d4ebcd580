"""Sums of functions of one column each, under a known outer function: a Kolmogorov-Arnold layer, one linear problem.

Also products of functions of one column each, by their logarithm, the inverse of one of those outer functions.
"""

from __future__ import annotations

import functools
import itertools
import time
from dataclasses import replace

import torch
from torch import Tensor

from superpose.discovery.curve import curves
from superpose.discovery.expansions import chosen
from superpose.discovery.node import Guess, Node
from superpose.discovery.outer import Outer, outers
from superpose.spline import grid, reference

_ROWS = 4000
_DEGREE = 3
_GRIDS = (16, 40)
_POINTS = 300
_MOST_COMBINATIONS = 12


def additive(node: Node, good: float, deadline: float) -> list[Guess]:
    """Guesses of the form ``f(sum phi_i(x_i))`` with known ``f``, if a spline of that form is good enough.

    Args:
        good: error, in units of the spread, that the splines must reach.
    """
    count = node.x.shape[1]
    ranked = []
    for outer in outers(node.y):
        size = min(_GRIDS[0], len(node.y) // (4 * count) - _DEGREE)
        if size >= 4:
            ranked.append((_fit(node, outer, size)[0], outer))
    # Of outer functions that serve equally well the plainest is the true one.
    ranked.sort(key=lambda item: (max(item[0], good), item[1].complexity))
    found: list[Guess] = []
    for coarse, outer in ranked[:3]:
        if time.monotonic() > deadline or coarse > max(30 * good, 0.1):
            break
        size = min(_GRIDS[1], max(_GRIDS[0], len(node.y) // (8 * count)))
        error, parts = _fit(node, outer, size)
        if error <= good:
            found += _read(node, outer, parts, error, deadline)
    return found


def _fit(node: Node, outer: Outer, size: int) -> tuple[float, list[tuple[Tensor, Tensor]]]:
    """The held-out error of the splines' sum, and each curve as points ``[P]`` and values ``[P]``."""
    rows = torch.arange(len(node.y)) if outer.rows is None else outer.rows
    rows = rows[:_ROWS]
    x, goal = node.x[rows], outer.values[:_ROWS]
    weight = node.weight[rows] * outer.weights[:_ROWS]
    weight = weight.clamp(max=1e3 * float(weight.median()))
    low, high = x.amin(0), x.amax(0)
    knots = grid.uniform_knots(low, high, size, _DEGREE)
    basis = reference.dense_basis(knots, _DEGREE, "none", x)
    matrix = basis.flatten(1) * weight[:, None]
    held = len(x) // 5
    # The constant can stand in any of the curves: a little weight on the coefficients decides.
    scale = matrix[held:].square().sum(0).max().sqrt()
    ridge = 1e-9 * scale * torch.eye(matrix.shape[1], dtype=matrix.dtype)
    stacked = torch.cat([matrix[held:], ridge])
    wanted = torch.cat([(goal * weight)[held:], ridge.new_zeros(len(ridge))])
    if not bool(torch.isfinite(stacked).all()):
        return float("inf"), []
    solution = torch.linalg.lstsq(stacked, wanted[:, None], driver="gelsy").solution[:, 0]
    residual = (matrix @ solution - goal * weight)[:held]
    error = float(residual.square().mean().sqrt()) / node.spread
    shares = torch.linspace(0, 1, _POINTS, dtype=x.dtype)
    points = low + (high - low) * shares[:, None]
    values = torch.einsum(
        "pir,ir->pi", reference.dense_basis(knots, _DEGREE, "none", points), solution.view(x.shape[1], -1)
    )
    return error, list(zip(points.unbind(-1), values.unbind(-1), strict=True))


def _read(node: Node, outer: Outer, parts: list[tuple[Tensor, Tensor]], error: float, deadline: float) -> list[Guess]:
    """The curves recognised, one by one, and put together in the most promising ways."""
    import sympy

    # Under an exponential the curves are logarithms of factors: these can be read as well.
    product = outer.name == "exp"
    spread = max(float(values.std(correction=0)) for _, values in parts)
    choices: list[list[Guess]] = []
    for (points, values), symbol in zip(parts, node.symbols, strict=True):
        centred = values - values.mean()
        if float(centred.std(correction=0)) < 1e-6 * spread:
            continue
        order = torch.randperm(len(points), generator=torch.Generator().manual_seed(0))
        points, centred = points[order], centred[order]
        own = Node(points[:, None], centred, torch.ones_like(centred), [symbol], spread, lambda inner: inner)
        # A curve of the splines is only as good as they are.
        enough = max(3 * error * node.spread / spread, 1e-12)
        guesses = curves(own, deadline, enough=enough)
        if product and not (guesses and guesses[0].error < enough and guesses[0].size < 18):
            factor = centred.exp()
            own = Node(points[:, None], factor, 1 / factor, [symbol], spread, sympy.log)
            guesses = chosen([*guesses, *curves(own, deadline, enough=enough)])
        guesses = [replace(guess, error=max(guess.error, 0.1 * enough)) for guess in guesses]
        if not guesses:
            return []
        choices.append(guesses[:3])
    offset = sum(float(values.mean()) for _, values in parts)
    found = []
    for combination in itertools.islice(itertools.product(*choices), _MOST_COMBINATIONS):
        inside = sympy.Add(*(g.expression for g in combination), sympy.Float(offset or 1e-9))
        whole = outer.outside(inside)
        total = sum(g.error**2 for g in combination) ** 0.5
        size = outer.complexity + sum(g.size for g in combination)
        found.append(Guess(functools.partial(node.lift, whole), total, f"sum of curves, {outer.name}", size))
    return found
