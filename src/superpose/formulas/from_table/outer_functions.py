"""OuterFunction functions: what may have been done last, and how to undo it.

If ``y = f(g(x))`` with a known ``f``, then ``f^-1(y) = g(x)`` may be a sum of few terms where ``y`` itself is not.
Errors are measured in the units of ``y`` all the same: a row of ``f^-1(y)`` weighs as much as one over its slope.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    import sympy

# Rows on which a function cannot be undone may be left out if the target is below this share of its largest value.
# A round number; nothing was measured.
_NEGLIGIBLE = 0.02
# Noise may carry a hyperbolic tangent so far. A round number; nothing was measured.
_OVER = 1.1


@dataclass(frozen=True)
class OuterFunction:
    """A function ``f`` of which ``f^-1`` was taken of the target.

    Attributes:
        name: of ``f``.
        complexity: nodes that ``f`` adds to an expression.
        values: ``f^-1(y) [R]`` on the rows that are kept.
        weights: ``[R]``, one over the slope of ``f^-1`` there.
        rows: ``[R]`` which rows are kept; None for all.
        outside: the expression ``f(inner)``.
    """

    name: str
    complexity: int
    values: Tensor
    weights: Tensor
    rows: Tensor | None
    outside: Callable[[sympy.Expr], sympy.Expr]


def outer_functions(y: Tensor) -> Iterator[OuterFunction]:
    """Every outer function that can be undone on a target ``y [N]``, the identity first.

    Where rows have to be left out, those that stay must have different values: of a target of zeros and ones only the
    ones may stay, and a constant is explained by anything.
    """
    for outer in _undone(y):
        if outer.rows is None or bool((outer.values != outer.values[0]).any()):
            yield outer


def _undone(y: Tensor) -> Iterator[OuterFunction]:
    import sympy

    yield OuterFunction("x", 0, y, torch.ones_like(y), None, lambda inner: inner)
    sign = 1 if float(y.mean()) > 0 else -1
    size = float(y.abs().max())
    one_sided = sign * y
    # A thousandth of what is negligible is zero. A round number.
    positive = one_sided > 1e-3 * _NEGLIGIBLE * size
    if bool((one_sided > 0).all()):
        positive = one_sided > 0
    # The function must show on three rows of ten at least, here and for tanh below. A round number.
    if float(one_sided.min()) > -_NEGLIGIBLE * size and float(positive.double().mean()) > 0.3:
        rows = None if bool(positive.all()) else torch.nonzero(positive)[:, 0]
        z = one_sided if rows is None else one_sided[rows]

        def made(name: str, cost: int, values: Tensor, slope: Tensor, f: Callable[..., sympy.Expr]) -> OuterFunction:
            return OuterFunction(name, cost, values, 1 / slope, rows, lambda inner: sign * f(inner))

        yield made("1/x", 2, 1 / z, z**-2, lambda u: 1 / u)
        yield made("sqrt", 2, z**2, 2 * z, sympy.sqrt)
        yield made("exp", 1, z.log(), 1 / z, sympy.exp)
        # Numbers are nodes, then exponents: d z^-2 / dz = -2 z^-3, without its sign; so below.
        yield made("1/sqrt", 2, z**-2, 2 * z**-3, lambda u: 1 / sympy.sqrt(u))
        yield made("x^2", 2, z.sqrt(), 0.5 / z.sqrt(), lambda u: u**2)
        yield made("1/x^2", 2, z**-0.5, 0.5 * z**-1.5, lambda u: u**-2)  # d z^-1/2 / dz
    low, high = float(y.min()), float(y.max())
    # exp(40) = 2e17: the small values would be below the rounding of the large ones. exp(200) leaves room for powers.
    if high - low < 40 and max(-low, high) < 200:
        yield OuterFunction("log", 1, y.exp(), (-y).exp(), None, sympy.log)
    inside = 1 - 1e-12  # atanh(1) is infinite; rounding alone moves y by less than 1e-12
    if -math.pi / 2 <= low and high <= math.pi / 2:
        # No weight above 100 where the slope of arcsin is infinite; so for arccos. A round number.
        yield OuterFunction("arcsin", 1, y.sin(), 1 / y.cos().clamp(min=1e-2), None, sympy.asin)
        if max(-low, high) < 1.5:  # tan(1.5) = 14; beyond that errors grow towards the pole at pi / 2
            yield OuterFunction("arctan", 1, y.tan(), y.cos() ** 2, None, sympy.atan)
    if low >= 0 and high <= math.pi:
        yield OuterFunction("arccos", 1, y.cos(), 1 / y.sin().clamp(min=1e-2), None, sympy.acos)  # as for arcsin
    if max(-low, high) < _OVER and low < 0.98:  # 0.98: not all rows are saturated. A round number.
        # Saturated rows tell nothing about the argument, and their noise would weigh heavily. Round numbers.
        steep, slanted = (torch.nonzero(y.abs() < most)[:, 0] for most in (0.95, 1 - 1e-7))
        rows = steep if len(steep) > 0.3 * len(y) else slanted  # three rows of ten, as above
        if len(rows) > 0.3 * len(y):  # three rows of ten, as above
            z = y[rows]
            # 1e-12 as for ``inside``.
            yield OuterFunction("tanh", 1, torch.atanh(z * inside), (1 - z**2).clamp(min=1e-12), rows, sympy.tanh)
    if low >= -1 and high <= 1:
        # At the crests the slope is 0: such rows keep a weight of 1e-3, which counts little. A round number.
        yield OuterFunction("sin", 1, torch.asin(y * inside), (1 - y**2).clamp(min=1e-6).sqrt(), None, sympy.sin)
        # As for sin.
        yield OuterFunction("cos", 1, torch.acos(y * inside), (1 - y**2).clamp(min=1e-6).sqrt(), None, sympy.cos)


def kept(x: Tensor, weight: Tensor, outer: OuterFunction, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """The first rows of a column that an outer function leaves: the column, ``f^-1`` of the target, and weights.

    Args:
        x, weight: ``[N]`` column, or ``[N, n]`` columns, and how the original target moves with that of its table.
        count: how many rows.
    """
    if outer.rows is not None:
        x, weight = x[outer.rows], weight[outer.rows]
    row_weight = weight * outer.weights
    # No row may outweigh all others. A round number.
    row_weight = row_weight.clamp(max=1e3 * float(row_weight.median()))
    return x[:count], outer.values[:count], row_weight[:count]


__all__ = ["OuterFunction", "kept", "outer_functions"]
