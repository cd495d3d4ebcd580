"""A dictionary of terms: functions of one column, their products, and functions of two columns, from simple on.

The values of a term are kept beside its factors, so that thousands are compared and few are written as expressions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from superpose.deadline import charge

if TYPE_CHECKING:
    import sympy


# Seconds of a product of two terms on one core of a server.
_PRODUCT = 3e-5


@dataclass(frozen=True)
class _Costs:
    """What each kind of factor costs. A dictionary takes terms by their total cost until it is full.

    The order was chosen on the AI Feynman equations, so that factors of physical laws come early; a further factor
    costs a little by itself, so that a square comes before a product of three. Not sensitive: dictionaries are full of
    terms of little use either way.

    Attributes:
        powers: ``(numerator, denominator, cost)`` of each exponent.
        wave, double_wave: of sine and cosine, and of the same of twice the column.
        function: of logarithm and exponential.
        falling: what a negative sign in an exponential costs more.
        absolute: of an absolute value.
        pair_wave, pair_exponential: what a function of two columns costs more than of one.
    """

    powers: tuple[tuple[int, int, float], ...] = (
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
    wave: float = 2.3
    double_wave: float = 3.0
    function: float = 3.0
    falling: float = 0.3
    absolute: float = 2.6
    pair_wave: float = 1.4
    pair_exponential: float = 1.2


@dataclass(frozen=True)
class _Domains:
    """Where a function of a column is worth a term. Round numbers.

    Attributes:
        zero: a column with values nearer to zero than this share of its largest has no negative powers.
        pair_zero: the same for a column that another one is divided by.
        exponent: largest argument of an exponential: beyond, one row outweighs all others.
        pair_exponent: the same for products and quotients, which vary more.
        angle, turn: largest argument of a wave, some six periods, and the least range: within less it is a line.
        narrow: the least range of a column whose exponential is no line.
        far: a column is far from zero if its middle is this many ranges away. Then it and its square are all but the
            same, and the square about the middle is not.
        largest: a term with larger values overflows when it is squared.
    """

    zero: float = 1e-6
    pair_zero: float = 1e-3
    exponent: float = 20.0
    pair_exponent: float = 12.0
    angle: float = 40.0
    turn: float = 0.5
    narrow: float = 0.1
    far: float = 1.0
    largest: float = 1e150


_COSTS, _DOMAINS = _Costs(), _Domains()
# Functions of two columns are tried among so few columns, times powers of at most this cost, to this total cost.
# Set by hand, so that dictionaries stay small; nothing was measured.
_PAIR_COLUMNS, _PAIR_POWERS, _PAIR_COST = 3, 3.2, 6.6
# With more columns than this, products are of powers only: there are too many others. A round number.
_FUNCTION_COLUMNS = 5


@dataclass(frozen=True, eq=False)
class Term:
    """A product of functions of the columns.

    Attributes:
        values: ``[N]`` on the rows.
        factors: the expressions whose product it is; none for the constant 1.
        cost: what it costs in a dictionary.
        columns: the numbers of the columns in it.
        kind: ``"x^2"``, ``"log(x)"`` and so on for one column, else ``"product"``, ``"pair"`` or ``"sum"``.
        power: whether it holds powers only.
    """

    values: Tensor
    factors: tuple[sympy.Expr, ...]
    cost: float = 0.0
    columns: frozenset[int] = frozenset()
    kind: str = "product"
    power: bool = False

    @property
    def expression(self) -> sympy.Expr:
        """The term in the columns' symbols; made anew at each call."""
        import sympy

        return sympy.Mul(*self.factors)

    def times(self, other: Term, kind: str = "product") -> Term:
        """The product of two terms."""
        cost, power = self.cost + other.cost, self.power and other.power
        factors, columns = self.factors + other.factors, self.columns | other.columns
        return Term(self.values * other.values, factors, cost, columns, kind, power)

    def over(self, other: Term, kind: str = "product") -> Term:
        """The quotient of two terms."""
        factors = (*self.factors, 1 / other.expression)
        return Term(self.values / other.values, factors, self.cost + other.cost, self.columns | other.columns, kind)


class Dictionary:
    """Terms side by side.

    Args:
        terms: of the same rows, at least one.

    Attributes:
        values: ``[N, D]``.
    """

    def __init__(self, terms: Sequence[Term]) -> None:
        self.terms = terms
        self.values = torch.stack([term.values for term in terms], -1)

    def __len__(self) -> int:
        return len(self.terms)

    def cost(self, index: int) -> float:
        """What a term costs."""
        return self.terms[index].cost

    def expression(self, index: int) -> sympy.Expr:
        """A term in the columns' symbols."""
        return self.terms[index].expression

    def combination(self, places: Sequence[int], coefficients: Sequence[float]) -> sympy.Expr:
        """The sum of some terms with these coefficients."""
        import sympy

        return sympy.Add(*(sympy.Float(c) * self.expression(k) for k, c in zip(places, coefficients, strict=True)))


def column_terms(x: Tensor, symbol: sympy.Expr, column: int) -> list[Term]:
    """Functions of one column ``x [N]`` that have finite values and are no straight line on its rows.

    Args:
        column: its number.
    """
    import sympy

    low, high = float(x.min()), float(x.max())
    size, middle = max(-low, high), low / 2 + high / 2
    near_zero = not float(x.abs().min()) > _DOMAINS.zero * size
    found = []

    def add(kind: str, cost: float, values: Tensor, expression: sympy.Expr, power: bool = False) -> None:
        found.append(Term(values, (expression,), cost, frozenset((column,)), kind, power))

    for numerator, denominator, cost in _COSTS.powers:
        if not ((numerator < 0 and near_zero) or (denominator == 2 and low < 0)):
            exponent = sympy.Rational(numerator, denominator)
            kind = {1: "x", -1: "1/x", sympy.S.Half: "sqrt(x)"}.get(exponent, f"x^{exponent}")
            add(kind, cost, x ** (numerator / denominator), symbol**exponent, True)
    if low > 0:
        add("log(x)", _COSTS.function, x.log(), sympy.log(symbol))
    if size < _DOMAINS.exponent and high - low > _DOMAINS.narrow:
        add("exp(x)", _COSTS.function, x.exp(), sympy.exp(symbol))
        add("exp(-x)", _COSTS.function + _COSTS.falling, (-x).exp(), sympy.exp(-symbol))
    if size < _DOMAINS.angle and high - low > _DOMAINS.turn:
        for k, cost, of in ((1, _COSTS.wave, "x"), (2, _COSTS.double_wave, "2*x")):
            add(f"sin({of})", cost, (k * x).sin(), sympy.sin(k * symbol))
            add(f"cos({of})", cost, (k * x).cos(), sympy.cos(k * symbol))
    if low < 0 < high:
        add("abs(x)", _COSTS.absolute, x.abs(), sympy.Abs(symbol))
    if abs(middle) > _DOMAINS.far * (high - low):
        add("(x-c)^2", _COSTS.function, (x - middle).square(), (symbol - sympy.Float(middle)) ** 2)
    return found


# Functions of one column that are no factors of products: with the first, larger and smaller of two are sums of terms.
_ALONE = frozenset({"abs(x)", "(x-c)^2"})


def _pair_terms(x: Tensor, symbols: Sequence[sympy.Expr]) -> list[Term]:
    """Waves and exponentials of a product, a quotient, a sum or a difference of two columns, and its absolute value."""
    import sympy

    found = []
    for i in range(len(symbols)):
        for j in range(len(symbols)):
            p, q, s, t = x[:, i], x[:, j], symbols[i], symbols[j]
            inner: list[tuple[Tensor, sympy.Expr]] = []
            if i < j:
                inner += [(p * q, s * t), (p - q, s - t), (p + q, s + t)]
            if i != j and float(q.abs().min()) > _DOMAINS.pair_zero * float(q.abs().max()):
                inner.append((p / q, s / t))
            for values, expression in inner:
                low, high = float(values.min()), float(values.max())
                size = max(-low, high)
                made: list[tuple[float, Tensor, sympy.Expr]] = []
                if size < _DOMAINS.angle and high - low > _DOMAINS.turn:
                    cost = _COSTS.wave + _COSTS.pair_wave
                    made += [(cost, values.sin(), sympy.sin(expression)), (cost, values.cos(), sympy.cos(expression))]
                if low < 0 < high and expression.is_Add:
                    # With it the larger and the smaller of two columns are sums of terms.
                    made.append((_COSTS.absolute, values.abs(), sympy.Abs(expression)))
                if size < _DOMAINS.pair_exponent and expression.is_Mul:
                    cost = _COSTS.function + _COSTS.pair_exponential
                    made.append((cost, values.exp(), sympy.exp(expression)))
                    made.append((cost + _COSTS.falling, (-values).exp(), sympy.exp(-expression)))
                found += [Term(v, (e,), cost, frozenset((i, j))) for cost, v, e in made]
    return found


def simplest_products(
    x: Tensor, symbols: Sequence[sympy.Expr], *, most: int = 600, functions: bool = True
) -> Dictionary:
    """The ``most`` cheapest products of functions of the columns ``x [N, n]``, the constant 1 first.

    Args:
        most: by default as many as a search among allowed functions compares; a round number.
        functions: whether waves, exponentials and logarithms are factors too, not powers only.
    """
    products = [Term(torch.ones_like(x[:, 0]), (), power=True)]
    for n, (column, symbol) in enumerate(zip(x.unbind(-1), symbols, strict=True)):
        factors = [term for term in column_terms(column, symbol, n) if term.kind not in _ALONE]
        if not functions or len(symbols) > _FUNCTION_COLUMNS:
            factors = [term for term in factors if term.power]
        # Four times as many as are kept, since some are dropped below. A round number.
        products = _cheapest(products, factors, 4 * most)
    if functions and 2 <= len(symbols) <= _PAIR_COLUMNS:
        powers = [term for term in products if term.power and term.cost <= _PAIR_POWERS]
        pairs = _pair_terms(x, symbols)
        products += [p.times(f) for f in pairs for p in powers if p.cost + f.cost < _PAIR_COST]
    products.sort(key=lambda term: term.cost)
    kept: list[Term] = []
    for term in products:
        largest = float(term.values.abs().max())
        if math.isfinite(largest) and 0 < largest < _DOMAINS.largest:
            kept.append(term)
        if len(kept) == most:
            break
    return Dictionary(kept)


def _cheapest(left: list[Term], right: list[Term], most: int) -> list[Term]:
    """The cheapest products of a left term and a right one, or none."""
    if not right:
        return left[:most]
    own, other = (torch.tensor([term.cost for term in terms], dtype=torch.float64) for terms in (left, right))
    order = (own[:, None] + other).flatten().sort(stable=True).indices[:most].tolist()
    charge(_PRODUCT * len(order))
    made = left + [left[place // len(right)].times(right[place % len(right)]) for place in order]
    made.sort(key=lambda term: term.cost)
    return made[:most]


__all__ = ["Dictionary", "Term", "column_terms", "simplest_products"]
