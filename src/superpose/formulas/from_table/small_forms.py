"""Small expressions of few columns with one or two constants, compared by their description lengths, also in noise.

All expressions up to some size are tried, in which nothing but whole numbers stands beside the columns; the target is a
factor times ``h(c0 + c1 e)``, with ``h`` one of a few functions. That says little about columns with units, of which
constants must be free; of dimensionless groups, of which there are few, most laws are such expressions. The search of
S.-M. Udrescu and M. Tegmark (AI Feynman, 2020) by brute force is another one like it.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from superpose.data.sampling import evenly
from superpose.deadline import Deadline, OutOfTime, until
from superpose.formulas import selection
from superpose.nn.symbolic_functions import torch_function

if TYPE_CHECKING:
    import sympy


@dataclass(frozen=True)
class _Settings:
    """How much is tried. Round numbers.

    Attributes:
        rows: by whose values expressions are told apart and the promising ones chosen.
        all_rows: by which these are compared.
        promising: forms that are compared by all rows.
        stored: expressions that larger ones are made of.
        tried: expressions in all.
        block: of expressions that are compared at once.
        same: relative difference of a weighted sum of the values below which two expressions are one.
        largest: expressions with values beyond this are left out.
        least: rows below which two constants and a form chosen among many say nothing.
        calls: of functions that SymPy may make to write one form.
        kept: forms.
    """

    rows: int = 60
    all_rows: int = 2000
    promising: int = 100
    stored: int = 4000
    tried: int = 400_000
    block: int = 20_000
    same: float = 1e-11
    largest: float = 1e12
    least: int = 8
    calls: int = 100_000
    kept: int = 30


_SETTINGS = _Settings()

# Symbols that each operation counts: whole numbers are symbols too, and functions are rarer than powers.
_UNARY: dict[str, tuple[int, Callable[[Tensor], Tensor]]] = {
    "square": (1, lambda v: v * v),
    "sqrt": (1, torch.sqrt),
    "1/x": (1, lambda v: 1 / v),
    "1+x": (2, lambda v: 1 + v),
    "1-x": (2, lambda v: 1 - v),
    "x-1": (2, lambda v: v - 1),
    "exp": (3, torch.exp),
    "exp(-x)": (3, lambda v: torch.exp(-v)),
    "log": (4, torch.log),
    # Of groups that are no angles sines and cosines are rare, and look like roots of 1 - x^2.
    "sin": (4, torch.sin),
    "cos": (4, torch.cos),
    "tanh": (4, torch.tanh),
}
_BINARY = "+-*/"
# What is undone on the target: the name, its symbols, its inverse, and the derivative of the inverse by the target.
_OUTER: tuple[tuple[str, int, Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]], ...] = (
    ("x", 0, lambda t: t, torch.ones_like),
    ("sqrt", 1, lambda t: t * t, lambda t: 2 * t),
    ("1/x", 1, lambda t: 1 / t, lambda t: -1 / (t * t)),
    ("exp", 2, torch.log, lambda t: 1 / t),
)


@dataclass(frozen=True)
class SmallForm:
    """An expression of the columns.

    Attributes:
        expression: with its constants as floats.
        length: description length, without the factor; less is better.
        symbols: how many it has.
    """

    expression: sympy.Expr
    length: float
    symbols: int

    @property
    def left(self) -> float:
        """The part of the length that the rows have, and the number of constants: the same for forms that are equal."""
        return self.length - selection.description_length(0.0, self.symbols, 0, 1)


@dataclass(frozen=True)
class _Level:
    """Expressions with the same number of symbols.

    Attributes:
        values: ``[M, N]``.
        made: ``[M, 4]``: the operation, and the places (level, number) of what it is applied to; see :class:`_Tree`.
    """

    values: Tensor
    made: Tensor


def small_forms(
    x: Tensor, y: Tensor, factor: Tensor, symbols: list[sympy.Symbol], deadline: Deadline
) -> list[SmallForm]:
    """The forms with the least description lengths, the best first.

    Args:
        x: ``[N, n]`` columns.
        y: ``[N]`` target, whose errors are normal and of equal size.
        factor: ``[N]``: the target is this times the form.
        symbols: of the columns.
        deadline: after which no further expression is tried.
    """
    if len(y) < _SETTINGS.least:
        return []
    rows = evenly(len(y), _SETTINGS.rows)
    tree, best = _Tree(x[rows]), _Best(y[rows], factor[rows])
    if x.shape[1]:
        for size, level in tree.levels(deadline):
            best.compare(level, size)
            if deadline.passed():
                break
    every = evenly(len(y), _SETTINGS.all_rows)
    x, y, factor = x[every], y[every], factor[every]
    found = [_constant(y, factor)]
    for hit in best.found:
        form = None
        # SymPy takes for ever to write some roots of products: these are passed over.
        with contextlib.suppress(OutOfTime), until(Deadline(), _SETTINGS.calls):
            form = _written(hit, tree, symbols)
        if form is None:
            continue
        left = factor * torch_function(form.expression, tuple(symbols))(*x.unbind(-1)) - y
        length = _lengths(left.square().mean(), y, hit.symbols, hit.free)
        found.append(SmallForm(form.expression, float(length), hit.symbols))
    return sorted((one for one in found if math.isfinite(one.length)), key=lambda one: one.length)[: _SETTINGS.kept]


def _constant(y: Tensor, factor: Tensor) -> SmallForm:
    """A constant times the factor."""
    import sympy

    value = float((factor @ y) / (factor @ factor))
    return SmallForm(sympy.Float(value), float(_lengths((value * factor - y).square().mean(), y, 1, 1)), 1)


class _Tree:
    """Expressions from small to large; each is made of smaller ones."""

    def __init__(self, x: Tensor) -> None:
        self.stored: dict[int, _Level] = {}
        self._x = x.T.contiguous()
        self._weights = torch.rand(len(x), generator=torch.Generator().manual_seed(0), dtype=x.dtype) + 0.5
        self._known = torch.empty(0, dtype=x.dtype)

    def levels(self, deadline: Deadline) -> Iterator[tuple[int, _Level]]:
        """Expressions in blocks, with how many symbols they have."""
        columns = torch.arange(len(self._x))
        zero = torch.zeros_like(columns)
        level = self._new(self._x, torch.stack([zero - 1, columns, zero, zero], -1))
        self.stored[1], count, tried, size = level, len(level.values), len(level.values), 1
        yield size, level
        while tried < _SETTINGS.tried and not deadline.passed():
            size += 1
            parts: list[_Level] = []
            for values, made in self._made(size):
                level = self._new(values, made) if count < _SETTINGS.stored else _usable(values, made)
                if not len(level.values):
                    continue
                tried += len(level.values)
                yield size, level
                if count < _SETTINGS.stored:
                    level = _Level(level.values[: _SETTINGS.stored - count], level.made[: _SETTINGS.stored - count])
                    count += len(level.values)
                    parts.append(level)
                if tried >= _SETTINGS.tried or deadline.passed():
                    return
            if parts:
                self.stored[size] = _Level(torch.cat([p.values for p in parts]), torch.cat([p.made for p in parts]))
            # No expression of the last sizes was stored: nothing larger can be made.
            if all(size - back not in self.stored for back in range(max(self.stored) + 4)):
                return

    def _made(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Values and operations of all expressions with so many symbols, in blocks."""
        for number, (cost, function) in enumerate(_UNARY.values()):
            inner = self.stored.get(size - cost)
            if inner is not None:
                places = torch.arange(len(inner.values))
                row = [torch.full_like(places, number), torch.full_like(places, size - cost), places, places]
                yield function(inner.values), torch.stack(row, -1)
        for left in range(1, size - 1):
            first, second = self.stored.get(left), self.stored.get(size - 1 - left)
            if first is None or second is None:
                continue
            for number, sign in enumerate(_BINARY):
                if sign in "+*" and left > size - 1 - left:
                    continue
                yield from self._pairs(first, second, left, sign, len(_UNARY) + number)

    def _pairs(
        self, first: _Level, second: _Level, left: int, sign: str, operation: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        step = max(1, _SETTINGS.block // len(second.values))
        for begin in range(0, len(first.values), step):
            a, b = first.values[begin : begin + step, None], second.values[None]
            values = _operated(sign, a, b)
            i, j = torch.meshgrid(torch.arange(len(a)) + begin, torch.arange(len(second.values)), indexing="ij")
            i, j = i.flatten(), j.flatten()
            made = torch.stack([torch.full_like(i, operation), torch.full_like(i, left), i, j], -1)
            yield values.flatten(0, 1), made

    def _new(self, values: Tensor, made: Tensor) -> _Level:
        """Those with finite values that are not known yet."""
        level = _usable(values, made)
        values, made = level.values, level.made
        keys, order = (values @ self._weights).sort(stable=True)
        # Of equal ones the first stays, which was made first.
        different = torch.ones_like(keys, dtype=torch.bool)
        different[1:] = (keys[1:] - keys[:-1]).abs() > _SETTINGS.same * keys[1:].abs()
        if len(self._known) and len(keys):
            place = torch.searchsorted(self._known, keys)
            for near in (place.clamp(max=len(self._known) - 1), (place - 1).clamp(min=0)):
                different &= (self._known[near] - keys).abs() > _SETTINGS.same * keys.abs()
        kept = order[different].sort().values
        self._known = torch.cat([self._known, keys[different]]).sort().values
        return _Level(values[kept], made[kept])

    def expression(self, row: Tensor, size: int, symbols: list[sympy.Symbol]) -> sympy.Expr:
        """The expression of a row of ``made``, which has so many symbols."""
        import sympy

        operation, left, first, second = row.tolist()
        if operation < 0:
            return symbols[left]
        level = self.stored[left]
        inner = self.expression(level.made[first], left, symbols)
        names = list(_UNARY)
        if operation < len(names):
            return _applied(names[operation], inner)
        right = size - 1 - left
        other = self.expression(self.stored[right].made[second], right, symbols)
        sign = _BINARY[operation - len(names)]
        if sign in "+-":
            return sympy.Add(inner, other if sign == "+" else -other)
        return sympy.Mul(inner, other if sign == "*" else 1 / other)


def _operated(sign: str, a: Tensor, b: Tensor) -> Tensor:
    if sign in "+-":
        return a + b if sign == "+" else a - b
    return a * b if sign == "*" else a / b


def _usable(values: Tensor, made: Tensor) -> _Level:
    """Those with finite values that vary."""
    low, high = values.aminmax(dim=-1)
    size = torch.maximum(high, -low)
    # A NaN makes both comparisons false.
    usable = (size < _SETTINGS.largest) & (high - low > _SETTINGS.same * size)
    return _Level(values[usable], made[usable])


def _applied(name: str, inner: sympy.Expr) -> sympy.Expr:
    import sympy

    simple: dict[str, Callable[[], sympy.Expr]] = {
        "square": lambda: inner**2,
        "1/x": lambda: 1 / inner,
        "1+x": lambda: 1 + inner,
        "1-x": lambda: 1 - inner,
        "x-1": lambda: inner - 1,
        "exp(-x)": lambda: sympy.exp(-inner),
        "x": lambda: inner,
    }
    return simple.get(name, lambda: getattr(sympy, name)(inner))()


@dataclass(frozen=True)
class _Hit:
    """A form with its constants.

    Attributes:
        length: description length.
        symbols: how many it has.
        outer: number of the outer function.
        constants: ``c0, c1``.
        made: as in :class:`_Level`.
        size: symbols of the expression inside.
    """

    length: float
    symbols: int
    outer: int
    constants: tuple[float, float]
    made: Tensor
    size: int

    @property
    def free(self) -> int:
        """How many constants were fitted."""
        return 2 if self.constants[0] else 1


class _Best:
    """The forms with the least description lengths."""

    def __init__(self, y: Tensor, factor: Tensor) -> None:
        self.y, self.factor = y, factor
        ratio = y / factor
        self._targets: list[tuple[int, int, Tensor, Tensor]] = []
        for number, (_, cost, inverse, slope) in enumerate(_OUTER):
            target, weight = inverse(ratio), factor / slope(ratio)
            # Errors of the target are those of what is undone, times this.
            if bool(target.isfinite().all()) and bool(weight.isfinite().all()) and float(target.std()) > 0:
                self._targets.append((number, cost, target, weight))
        self.found: list[_Hit] = []
        # Lengths from this on are of no use; those of expressions without values are infinite.
        self._worst = math.inf

    def compare(self, level: _Level, size: int) -> None:
        """Each expression of a level, with one constant and with two, inside every outer function."""
        for outer, cost, target, weight in self._targets:
            for constants in (1, 2):
                c0, c1, error = _fitted(level.values, target, weight, constants)
                symbols = size + cost + (2 if constants == 1 else 4)
                lengths = _lengths(error, self.y, symbols, constants)
                best = lengths.topk(min(_SETTINGS.promising, len(lengths)), largest=False)
                for place in best.indices[best.values < self._worst].tolist():
                    both = float(c0[place]), float(c1[place])
                    self.found.append(_Hit(float(lengths[place]), symbols, outer, both, level.made[place], size))
        self.found = sorted(self.found, key=lambda hit: hit.length)[: _SETTINGS.promising]
        if len(self.found) == _SETTINGS.promising:
            self._worst = self.found[-1].length


def _lengths(error: Tensor, y: Tensor, symbols: int, constants: int) -> Tensor:
    """Description lengths for mean squared errors, by the rows of a target ``[N]``."""
    share = (error / y.var(correction=0)).clamp(min=selection.FLOORS.rounding**2)
    return len(y) * share.log() + selection.description_length(0.0, symbols, constants, len(y))


def _fitted(values: Tensor, target: Tensor, weight: Tensor, constants: int) -> tuple[Tensor, Tensor, Tensor]:
    """``c0``, ``c1`` and the mean squared error of ``weight * (c0 + c1 values - target)`` for values ``[M, N]``."""
    square = weight * weight
    v, t = values, target
    if constants == 2:
        total = square.sum()
        mean, own = (values @ square) / total, (target @ square) / total
        v, t = values - mean[:, None], target - own
    power = (v * v) @ square
    c1 = (v * t) @ square / power.clamp(min=1e-300)
    error = (c1[:, None] * v - t).square() @ square / len(target)
    c0 = own - c1 * mean if constants == 2 else torch.zeros_like(c1)
    return c0, c1, torch.where(error.isfinite(), error, torch.inf)


def _written(hit: _Hit, tree: _Tree, symbols: list[sympy.Symbol]) -> SmallForm | None:
    import sympy

    c0, c1 = hit.constants
    inner = sympy.Float(c1) * tree.expression(hit.made, hit.size, symbols)
    if c0:
        inner += sympy.Float(c0)
    expression = _applied(_OUTER[hit.outer][0], inner)
    if expression.has(sympy.nan, sympy.zoo, sympy.oo, sympy.I):
        return None
    return SmallForm(expression, hit.length, hit.symbols)
