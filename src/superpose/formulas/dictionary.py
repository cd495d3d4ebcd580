"""Terms: products of simple functions of the columns, from the plainest on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    import sympy

# What a factor costs. Terms are taken by their total cost until there are as many as are wanted.
_POWERS: tuple[tuple[int, int, float], ...] = (
    (1, 1, 1.0),
    (2, 1, 1.6),
    (-1, 1, 1.3),
    (-2, 1, 2.0),
    (3, 1, 2.4),
    (1, 2, 2.2),
    (-1, 2, 2.6),
    (4, 1, 2.8),
    (-3, 1, 2.8),
    (-4, 1, 3.4),
    (3, 2, 3.4),
    (-3, 2, 3.6),
    (5, 1, 3.6),
    (6, 1, 4.2),
)
_WAVES = 2.3
_FUNCTIONS = 3.0
_SIZE = 2.6
_LARGEST_ANGLE, _LEAST_RANGE = 40.0, 0.5
_MOST_EXPONENT = 12.0


@dataclass(frozen=True)
class Terms:
    """A dictionary of terms.

    Attributes:
        values: ``[N, D]`` on all rows.
        costs: of each.
        factors: the expressions whose product each is.
    """

    values: Tensor
    costs: list[float]
    factors: list[tuple[sympy.Expr, ...]]

    def expression(self, index: int) -> sympy.Expr:
        """A term, in the columns' symbols; made when it is asked for, since few of the terms ever are."""
        import sympy

        return sympy.Mul(*self.factors[index])


@dataclass(frozen=True)
class _Factor:
    cost: float
    values: Tensor
    expressions: tuple[sympy.Expr, ...]
    plain: bool = True


def _factor(cost: float, values: Tensor, expression: sympy.Expr, plain: bool = False) -> _Factor:
    return _Factor(cost, values, (expression,), plain)


def _factors(x: Tensor, symbol: sympy.Expr, *, waves: bool) -> list[_Factor]:
    """Functions of one column ``x [N]``."""
    import sympy

    low, high = float(x.min()), float(x.max())
    size = max(-low, high)
    away = float(x.abs().min()) > 1e-6 * size
    found = []
    for numerator, denominator, cost in _POWERS:
        if (numerator < 0 and not away) or (denominator == 2 and low < 0):
            continue
        power = symbol ** sympy.Rational(numerator, denominator)
        found.append(_factor(cost, x ** (numerator / denominator), power, True))
    if not waves:
        return found
    if low > 0:
        found.append(_factor(_FUNCTIONS, x.log(), sympy.log(symbol)))
    if size < _MOST_EXPONENT and high - low > 0.1:
        found.append(_factor(_FUNCTIONS, x.exp(), sympy.exp(symbol)))
        found.append(_factor(_FUNCTIONS + 0.3, (-x).exp(), sympy.exp(-symbol)))
    if size < _LARGEST_ANGLE and high - low > _LEAST_RANGE:
        for k, more in ((1, 0.0), (2, 0.7)):
            found.append(_factor(_WAVES + more, (k * x).sin(), sympy.sin(k * symbol)))
            found.append(_factor(_WAVES + more, (k * x).cos(), sympy.cos(k * symbol)))
    return found


def _pairs(x: Tensor, symbols: list[sympy.Expr]) -> list[_Factor]:
    """Waves and exponentials of a product, a quotient, a sum or a difference of two columns, and its size."""
    import sympy

    found = []
    for i in range(len(symbols)):
        for j in range(len(symbols)):
            p, q, s, t = x[:, i], x[:, j], symbols[i], symbols[j]
            inner: list[tuple[Tensor, sympy.Expr]] = []
            if i < j:
                inner += [(p * q, s * t), (p - q, s - t), (p + q, s + t)]
            if i != j and float(q.abs().min()) > 1e-3 * float(q.abs().max()):
                inner.append((p / q, s / t))
            for values, expression in inner:
                low, high = float(values.min()), float(values.max())
                size = max(-low, high)
                if size < _LARGEST_ANGLE and high - low > _LEAST_RANGE:
                    found.append(_factor(_WAVES + 1.4, values.sin(), sympy.sin(expression)))
                    found.append(_factor(_WAVES + 1.4, values.cos(), sympy.cos(expression)))
                if low < 0 < high and expression.is_Add:
                    # With it the larger and the smaller of two columns are sums of terms.
                    found.append(_factor(_SIZE, values.abs(), sympy.Abs(expression)))
                if size < _MOST_EXPONENT and expression.is_Mul:
                    found.append(_factor(_FUNCTIONS + 1.2, values.exp(), sympy.exp(expression)))
                    found.append(_factor(_FUNCTIONS + 1.5, (-values).exp(), sympy.exp(-expression)))
    return found


def terms(x: Tensor, symbols: list[sympy.Expr], *, most: int = 600, waves: bool = True) -> Terms:
    """The ``most`` plainest products of functions of the columns ``x [N, n]``, the constant 1 first."""
    one = _Factor(0.0, torch.ones_like(x[:, 0]), ())
    products = [one]
    # A further factor costs a little by itself, so that a square comes before a product of three.
    for column, symbol in zip(x.unbind(-1), symbols, strict=True):
        more = _factors(column, symbol, waves=waves and len(symbols) <= 5)
        products = _product(products, more, 4 * most)
    if waves and 2 <= len(symbols) <= 3:
        powers = [f for f in products if f.cost <= 3.2 and f.plain]
        extra = _pairs(x, symbols)
        products += [_times(p, f) for f in extra for p in powers if p.cost + f.cost < 6.6]
    products.sort(key=lambda f: f.cost)
    kept, values = [], []
    for factor in products:
        largest = float(factor.values.abs().max())
        if math.isfinite(largest) and 0 < largest < 1e150:
            kept.append(factor)
            values.append(factor.values)
        if len(kept) == most:
            break
    return Terms(torch.stack(values, -1), [f.cost for f in kept], [f.expressions for f in kept])


def _times(p: _Factor, q: _Factor) -> _Factor:
    return _Factor(p.cost + q.cost, p.values * q.values, p.expressions + q.expressions, p.plain and q.plain)


def _product(left: list[_Factor], right: list[_Factor], most: int) -> list[_Factor]:
    """All products of one of the left with one (or none) of the right, the cheapest only."""
    pairs = [(p.cost + q.cost, p, q) for p in left for q in right]
    pairs.sort(key=lambda item: item[0])
    made = left + [_times(p, q) for _, p, q in pairs[:most]]
    made.sort(key=lambda f: f.cost)
    return made[:most]


__all__ = ["Terms", "terms"]
