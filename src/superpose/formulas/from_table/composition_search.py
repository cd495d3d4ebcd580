"""Compositions that structure does not show: expressions from small to large, by their values on a few rows.

The compiled enumeration (``csrc/enumeration.hpp``) tries each expression as the last term of thousands of sums: beside
small expressions, for the target, for what outer functions leave of it, for its quotients by small expressions, and for
quotients of sums, ``y*(1 + b e) = c0 + c1 e1 + ...``, which are linear too. What fits its few rows is fitted here to
all rows. Only what leaves rounding there is a guess: among millions of sums the best fits noise by chance.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from superpose.data.rounding import step_of
from superpose.deadline import Deadline, charge
from superpose.errors import OptionError
from superpose.formulas import selection
from superpose.formulas.from_table.outer_functions import OuterFunction, outer_functions
from superpose.formulas.from_table.paired_compositions import PAIRING, Pair, pairs
from superpose.formulas.from_table.subproblem import Guess, Subproblem, best_guesses
from superpose.nn.symbolic_functions import torch_function
from superpose.spline import backend

if TYPE_CHECKING:
    import sympy


@dataclass(frozen=True)
class _Settings:
    """How much is tried. Round numbers, chosen on the public lists of few rows (docs/lab/compositions.md).

    Attributes:
        rows: first rows by whose values expressions are told apart and compared with the target.
        least: rows below which sums of four terms say nothing.
        columns: most columns; among more, few expressions hold the right ones.
        stored: expressions that larger ones are made of; each takes eight bytes for each of the rows.
        first: expressions of the first look.
        tried: expressions in all. About 80,000 a second are tried, each in about 6,000 sums.
        enumeration: share of the time for single expressions; the rest is for pairs of them.
        stride: expressions between two looks at the clock.
        all_rows: first rows that a sum is fitted to.
        exact: error in units of the target's spread below which a sum leaves rounding.
        nothing: share of the target below which a term of such a sum is rounding.
        same: a sum without one of its terms that errs no more than this many times as much needs it not.
        kept: guesses.
    """

    rows: int = 40
    least: int = 12
    columns: int = 8
    stored: int = 200_000
    first: int = 100_000
    tried: int = 800_000
    enumeration: float = 0.75
    stride: int = 20_000
    all_rows: int = 3000
    exact: float = 1e-9
    nothing: float = 1e-10
    same: float = 10.0
    kept: int = 6


_SETTINGS = _Settings()
# Seconds of an expression on one core of a server.
_EXPRESSION = 1e-5
# The operations of csrc/enumeration.hpp in their order: the name of each with one argument, the sign of each with two.
_UNARY = (
    *("column", "shift", "scale", "square", "cube", "sqrt", "exp", "log"),
    *("sin", "cos", "tanh", "1/x", "x+1", "x-1", "1-x"),
)
_BINARY = "+-*/"
# Kinds of targets there.
_QUOTIENT = 1


def composition_guesses(problem: Subproblem, deadline: Deadline, share: float) -> Iterator[list[Guess]]:
    """Guesses that leave rounding on every row, the best first; none without compiled kernels.

    They come twice: of the first expressions, which take a second, and of all.

    Args:
        problem: the table.
        deadline: of the search of laws.
        share: of the time left that either may take.
    """
    made, count = backend.enumeration(), problem.x.shape[1]
    if made is None or len(problem.y) < _SETTINGS.least or not 1 <= count <= _SETTINGS.columns:
        return
    if step_of(problem.y) is not None:
        # Of a target with few digits no law leaves less than these; that takes no search of seconds.
        return
    rows = min(_SETTINGS.rows, len(problem.y))
    outers = [outer for outer in outer_functions(problem.y) if outer.rows is None]
    columns = problem.x[:rows].T.contiguous()
    targets = torch.stack([outer.values[:rows] for outer in outers]).contiguous()
    search = made(columns.data_ptr(), rows, count, targets.data_ptr(), len(outers), _SETTINGS.stored)
    found: dict[Any, Guess] = {}
    tried, level, exhausted = 0, search.level, False
    for most in (_SETTINGS.first, _SETTINGS.tried):
        whole = deadline.share(share)
        own = whole.share(_SETTINGS.enumeration)
        reader = _Reader(problem, outers, search, own)
        while tried < most and not exhausted and not own.passed():
            step = search.advance(_SETTINGS.stride)
            charge(_EXPRESSION * step)
            tried, exhausted = tried + step, step == 0
            if search.level > level:
                # What a level found is looked at before the next one, which takes ten times as long.
                level = search.level
                found |= reader.guesses(set(found))
                if _exact(found):
                    break
        if not _exact(found):
            found |= reader.guesses(set(found))
        if most == _SETTINGS.tried and not _exact(found):
            found |= _Reader(problem, outers, search, whole).paired(rows)
        yield best_guesses(list(found.values()), _SETTINGS.kept)
        if _exact(found):
            return


def _exact(found: Mapping[Any, Guess]) -> bool:
    """Whether one is right: smooth functions come within 1e-10 of each other on short ranges, and it leaves less."""
    return any(guess.error < selection.FLOORS.rounding for guess in found.values())


class _Reader:
    """The sums that an enumeration found, fitted to all rows."""

    def __init__(self, problem: Subproblem, outers: list[OuterFunction], search: Any, deadline: Deadline) -> None:
        self._problem, self._outers, self._search, self._deadline = problem, outers, search, deadline
        self._x, self._y = problem.x[: _SETTINGS.all_rows], problem.y[: _SETTINGS.all_rows]

    def guesses(self, known: set[Any]) -> dict[Any, Guess]:
        """Guesses by their expressions, but for those that are known."""
        found: dict[Any, Guess] = {}
        for hit in sorted(self._search.results(), key=lambda hit: float(hit[-1])):
            if hit[-1] > _SETTINGS.exact**2 or self._deadline.passed():
                break
            made = self._fitted(hit)
            if made is not None and made[0] not in known:
                found[made[0]] = made[1]
        return found

    def paired(self, rows: int) -> dict[Any, Guess]:
        """Guesses that are made of two of the stored expressions, by their expressions.

        Args:
            rows: first rows, by whose values expressions are told apart.
        """
        count = min(PAIRING.stored, self._search.stored)
        values = torch.empty(count, rows, dtype=torch.float64)
        self._search.copy_values(values.data_ptr(), count)
        found: dict[Any, Guess] = {}
        for pair in pairs(values, self._y[:rows], self._deadline):
            expression = self._joined(pair)
            left = self._values(expression) - self._y
            error = float((self._problem.weight[: len(left)] * left).square().mean().sqrt()) / self._problem.spread
            if error < _SETTINGS.exact:
                lifted = functools.partial(self._problem.lift, expression)
                note = f"two of {count} compositions"
                found[expression] = Guess(lifted, error, note, float(_nodes(expression)))
            if len(found) == _SETTINGS.kept:
                break
        return found

    def _joined(self, pair: Pair) -> sympy.Expr:
        import sympy

        first, second = self._expression(pair.first), self._expression(pair.second)
        constant = sympy.Float(pair.constant)
        if pair.sign in "+-":
            made = constant + first + (second if pair.sign == "+" else -second)
        else:
            made = sympy.Float(pair.taken) + constant * first * (second if pair.sign == "*" else 1 / second)
        return made if pair.divisor is None else self._expression(pair.divisor) * made

    def _fitted(self, hit: tuple[Any, ...]) -> tuple[Any, Guess] | None:
        kind, target, divisor, bases, products, candidate, _ = hit
        outer = self._outers[target]
        aim = outer.values[: _SETTINGS.all_rows]
        factor = self._expression(divisor) if kind == _QUOTIENT else None
        parts = [(self._expression(base), bool(product)) for base, product in zip(bases, products, strict=True)]
        parts = [(None, False), *parts, (self._expression(candidate), False)]
        scale = torch.ones_like(aim) if factor is None else self._values(factor)
        columns = []
        for part, product in parts:
            column = torch.ones_like(aim) if part is None else self._values(part)
            columns.append(column * (aim if product else scale))
        values = torch.stack(columns, -1)
        if not bool(torch.isfinite(values).all()) or not bool(torch.isfinite(aim).all()):
            return None
        kept = _needed(values, aim)
        if kept is None:
            return None
        coefficients = _coefficients(values[:, kept], aim)
        expression = _sum([parts[k] for k in kept], coefficients.tolist())
        size = float(sum(1 if parts[k][0] is None else 3 + _nodes(parts[k][0]) for k in kept))
        if factor is not None:
            expression, size = factor * expression, size + _nodes(factor) + 1
        expression = outer.outside(expression)
        left = self._values(expression) - self._y
        error = float((self._problem.weight[: len(left)] * left).square().mean().sqrt()) / self._problem.spread
        if not error < _SETTINGS.exact:
            return None
        note = f"composition, found among {self._search.stored} expressions"
        lifted = functools.partial(self._problem.lift, expression)
        return expression, Guess(lifted, error, note, size + outer.complexity)

    def _expression(self, place: int) -> sympy.Expr:
        return _read(iter(self._search.tree(place)), self._problem.symbols)

    def _values(self, expression: sympy.Expr) -> Tensor:
        try:
            function = torch_function(expression, tuple(self._problem.symbols))
        except OptionError:
            return torch.full_like(self._y, torch.nan)
        return torch.as_tensor(function(*self._x.unbind(-1))).expand_as(self._y)


def _needed(values: Tensor, aim: Tensor) -> list[int] | None:
    """The places of the terms ``[N, k]`` that a sum needs; None if all of them leave more than rounding."""
    spread = float((aim - aim.mean()).square().mean().sqrt())

    def error(places: list[int]) -> float:
        left = values[:, places] @ _coefficients(values[:, places], aim) - aim
        return float(left.square().mean().sqrt()) / spread

    kept = list(range(values.shape[1]))
    least = error(kept)
    # A target that was divided, or of which a function was undone, has errors of its own there.
    if not least < _SETTINGS.exact:
        return None
    for place in list(kept):
        rest = [other for other in kept if other != place]
        if rest and error(rest) <= max(_SETTINGS.same * least, _SETTINGS.nothing):
            kept = rest
    return kept


def _coefficients(values: Tensor, aim: Tensor) -> Tensor:
    norms = values.square().sum(0).sqrt().clamp(min=1e-300)  # no column of zeros divides by 0
    solution: Tensor = torch.linalg.lstsq(values / norms, aim[:, None], driver="gelsd").solution[:, 0]
    return solution / norms


def _sum(parts: list[tuple[sympy.Expr | None, bool]], coefficients: list[float]) -> sympy.Expr:
    """The sum of the terms; those with the target on the right go below a fraction line."""
    import sympy

    above, below = sympy.Integer(0), sympy.Integer(1)
    for (part, product), coefficient in zip(parts, coefficients, strict=True):
        term = sympy.Float(coefficient) * (1 if part is None else part)
        if product:
            below -= term
        else:
            above += term
    return above / below


def _nodes(expression: sympy.Expr) -> int:
    return 1 + sum(_nodes(part) for part in expression.args)


def _read(tree: Iterator[tuple[int, float]], symbols: list[sympy.Symbol]) -> sympy.Expr:
    """An expression from its operations and numbers in Polish notation."""
    import sympy

    operation, number = next(tree)
    if operation == 0:
        return symbols[int(number)]
    if operation < len(_UNARY):
        return _applied(_UNARY[operation], number, _read(tree, symbols))
    left, right = _read(tree, symbols), _read(tree, symbols)
    sign = _BINARY[operation - len(_UNARY)]
    if sign in "+-":
        return sympy.Add(left, right if sign == "+" else -right)
    return sympy.Mul(left, right if sign == "*" else 1 / right)


def _applied(name: str, number: float, inner: sympy.Expr) -> sympy.Expr:
    import sympy

    if name == "scale":
        whole = sympy.Rational(number).limit_denominator(2)
        return inner * (whole if float(whole) == number else sympy.pi * round(number / float(sympy.pi)))
    return {
        "shift": lambda: inner + sympy.Integer(int(number)),
        "square": lambda: inner**2,
        "cube": lambda: inner**3,
        "1/x": lambda: 1 / inner,
        "x+1": lambda: inner + 1,
        "x-1": lambda: inner - 1,
        "1-x": lambda: 1 - inner,
    }.get(name, lambda: getattr(sympy, name)(inner))()


__all__ = ["composition_guesses"]
