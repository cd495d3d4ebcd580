"""Functions of one product of powers, or of one sum, of all columns, however fast they oscillate.

Where a function oscillates too fast for a surrogate, rows are sorted: if the target depends on ``u`` alone,
neighbours in the order of ``u`` have nearly the same value (J. von Neumann's ratio of successive differences).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from superpose.deadline import charge
from superpose.formulas.from_table.symmetries import Reduction

if TYPE_CHECKING:
    import sympy


@dataclass(frozen=True)
class _Sorting:
    """Which products and sums of all columns are tried. Chosen on the AI Feynman equations; not compared one by one.

    Attributes:
        rows: first rows that are sorted.
        products: number of products of powers, the simplest first.
        good: largest share of the variance that neighbours may leave open.
        columns: of a table at most; there are 3^7 = 2187 products of powers -1, 0 and 1.
    """

    rows: int = 3000
    products: int = 3000
    good: float = 0.5
    columns: int = 7


_SORTING = _Sorting()
# Seconds of sorting some rows by one product or sum, on one core of a server.
_LOOK = 3e-5


def ridges(x: Tensor, y: Tensor, symbols: list[sympy.Expr]) -> Iterator[Reduction]:
    """Reductions to a single column, the best three."""
    import sympy

    some, goal = x[: _SORTING.rows], y[: _SORTING.rows]
    variance = float(goal.var()) or 1.0
    found = []
    if x.shape[1] > _SORTING.columns:
        return
    for exponents in _exponents(x.shape[1]):
        u = _monomial(some, exponents)
        found.append((_roughness(u, goal) / variance, exponents, "product"))
    for signs in itertools.product((1, -1), repeat=x.shape[1] - 1):
        for power in (1, 2):
            found.append((_roughness(_sum(some, (1, *signs), power), goal) / variance, (1, *signs, power), "sum"))
    charge(_LOOK * len(found))
    found.sort(key=lambda item: item[0])
    for ratio, numbers, kind in found[:3]:  # each is a table to search; a round number
        if ratio > _SORTING.good:
            return
        if kind == "product":
            column = _monomial(x, numbers)
            expression = sympy.Mul(*(s**n for s, n in zip(symbols, numbers, strict=True)))
        else:
            signs, power = numbers[:-1], numbers[-1]
            column = _sum(x, signs, power)
            expression = sympy.Add(*(n * s**power for s, n in zip(symbols, signs, strict=True)))
        yield Reduction(
            math.sqrt(ratio) / 10, column[:, None], [expression], None, sympy.Integer(1), f"one {kind} of all columns"
        )


def _exponents(count: int) -> list[tuple[int, ...]]:
    largest = 2 if count <= 5 else 1  # 5^5 = 3125 products with powers up to 2; six columns would have 5^6 = 15625
    every = itertools.product(range(-largest, largest + 1), repeat=count)
    kept = []
    for exponents in every:
        first = next((n for n in exponents if n), 0)
        if first > 0 and math.gcd(*exponents) == 1:
            kept.append(exponents)
    kept.sort(key=lambda e: sum(map(abs, e)))
    return kept[: _SORTING.products]


def _monomial(x: Tensor, exponents: tuple[int, ...]) -> Tensor:
    value = torch.ones_like(x[:, 0])
    for column, exponent in zip(x.unbind(-1), exponents, strict=True):
        if exponent:
            value = value * column**exponent
    return value


def _sum(x: Tensor, signs: tuple[int, ...], power: int) -> Tensor:
    value = torch.zeros_like(x[:, 0])
    for column, sign in zip(x.unbind(-1), signs, strict=True):
        value = value + sign * column**power
    return value


def _roughness(u: Tensor, y: Tensor) -> float:
    """Mean squared difference of neighbours in the order of ``u``, halved: the variance of what ``u`` leaves open."""
    steps = y[u.argsort()].diff()
    return float(steps.square().mean()) / 2
