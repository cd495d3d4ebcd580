"""Terms: functions of one column, their products and quotients, from which scores are put together.

Values are kept beside the way each term is written, so that thousands are compared and few are made into expressions.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    import sympy

# A term whose largest value is so many of its standard deviations says nothing but where its pole is.
_MOST_PEAKED = 60.0
_LARGEST_EXPONENT = 20.0
# Factors of products; further functions stand alone.
_FACTORS = ("x", "x^2", "1/x", "sqrt(x)")
# Sums in numerators and denominators are of these.
_SUMMANDS = ("x", "x^2")
_CHUNK = 4096
# A column is far from zero if its middle is so many times its range away.
_FAR = 1.0


@dataclass(frozen=True, eq=False)
class Term:
    """A term's values ``[N]``, a way to write it, and how many nodes that takes."""

    values: Tensor
    build: Callable[[], sympy.Expr]
    columns: frozenset[int]
    kind: str


def single(x: Tensor, symbols: Sequence[sympy.Symbol]) -> list[Term]:
    """Functions of one column each, those that have finite values on all rows ``x [N, n]``."""
    import sympy

    found: list[Term] = []
    for n, symbol in enumerate(symbols):
        column = x[:, n]
        positive = bool((column > 0).all())
        apart = positive or bool((column < 0).all())
        kinds: list[tuple[str, Tensor, sympy.Expr]] = [
            ("x", column, symbol),
            ("x^2", column.square(), symbol**2),
            ("x^3", column**3, symbol**3),
        ]
        low, high = float(column.min()), float(column.max())
        middle = low / 2 + high / 2
        if abs(middle) > _FAR * (high - low):
            # Far from zero a column and its square are all but the same: the square about the middle is not.
            kinds.append(("(x-c)^2", (column - middle).square(), (symbol - sympy.Float(middle)) ** 2))
        if apart:
            kinds.append(("1/x", 1 / column, 1 / symbol))
        else:
            kinds.append(("abs(x)", column.abs(), sympy.Abs(symbol)))
        if positive:
            kinds += [("sqrt(x)", column.sqrt(), sympy.sqrt(symbol)), ("log(x)", column.log(), sympy.log(symbol))]
        if float(column.abs().max()) < _LARGEST_EXPONENT:
            kinds += [
                ("exp(x)", column.exp(), sympy.exp(symbol)),
                ("sin(x)", column.sin(), sympy.sin(symbol)),
                ("cos(x)", column.cos(), sympy.cos(symbol)),
            ]
        for kind, values, expression in kinds:
            if bool(_telling(values[:, None])[0]):
                found.append(Term(values, _constant(expression), frozenset((n,)), kind))
    return found


def pairs(singles: Sequence[Term]) -> list[Term]:
    """Products and quotients of two columns."""
    factors = [term for term in singles if term.kind in _FACTORS]
    found = []
    for left, right in itertools.combinations(factors, 2):
        if left.columns != right.columns:
            values = left.values * right.values
            if bool(_telling(values[:, None])[0]):
                found.append(Term(values, _product(left, right), left.columns | right.columns, "pair"))
    return found


def best_products(
    singles: Sequence[Term], doubles: Sequence[Term], target: Tensor, weights: Tensor, count: int
) -> list[Term]:
    """Of all products and quotients of a term and a sum of two, those that ``target [N]`` follows best.

    Followed best: with the largest correlation under ``weights [N]``.
    """
    sums = _sums([term for term in singles if term.kind in _SUMMANDS])
    heads = [term for term in singles if term.kind in _FACTORS] + list(doubles)
    if not sums or not heads:
        return []
    weights = weights / weights.sum()
    root = weights.sqrt()
    centred = root * (target - weights @ target)
    centred = centred / centred.norm().clamp(min=1e-300)
    tall = torch.stack([term.values for term in heads])
    best: list[tuple[float, int, int, bool]] = []
    for place, one in enumerate(sums):
        for over in (False, True):
            if over and not (bool((one.values > 0).all()) or bool((one.values < 0).all())):
                continue
            by = 1 / one.values if over else one.values
            for start in range(0, len(tall), _CHUNK):
                values = tall[start : start + _CHUNK] * by
                good = _telling(values.T)
                values = values - (values @ weights)[:, None]
                values = values * root
                follows = ((values @ centred) / values.norm(dim=1).clamp(min=1e-300)).abs()
                follows = torch.where(good & torch.isfinite(follows), follows, 0.0)
                top = follows.topk(min(3, len(follows)))
                best += [
                    (share, start + which, place, over)
                    for share, which in zip(top.values.tolist(), top.indices.tolist(), strict=True)
                ]
    best.sort(key=lambda item: -item[0])
    found = []
    for _, which, place, over in best[:count]:
        left, right = heads[which], sums[place]
        values = left.values / right.values if over else left.values * right.values
        found.append(Term(values, _product(left, right, over), left.columns | right.columns, "product"))
    return found


def _sums(parts: Sequence[Term]) -> list[Term]:
    """Sums and differences of two columns, or of their squares, in equal shares."""
    found = []
    for left, right in itertools.combinations(parts, 2):
        if left.columns == right.columns or left.kind != right.kind:
            continue
        for sign in (1, -1):
            found.append(Term(left.values + sign * right.values, _sum(left, right, sign), left.columns, "sum"))
    return found


def _telling(values: Tensor) -> Tensor:
    """``[T]`` which columns of ``values [N, T]`` are finite and more than a few outstanding values."""
    spread = values.std(0)
    peak = (values - values.mean(0)).abs().amax(0)
    return torch.isfinite(values).all(0) & (spread > 0) & (peak < _MOST_PEAKED * spread)


def _constant(expression: sympy.Expr) -> Callable[[], sympy.Expr]:
    return lambda: expression


def _product(left: Term, right: Term, over: bool = False) -> Callable[[], sympy.Expr]:
    return lambda: left.build() / right.build() if over else left.build() * right.build()


def _sum(left: Term, right: Term, sign: int) -> Callable[[], sympy.Expr]:
    import sympy

    # A free constant, to begin with in equal shares.
    return lambda: left.build() + sympy.Float(sign) * right.build()
