"""Functions of one variable: the library on an edge, and powers times waves or exponentials of unknown rate."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from superpose.discovery.expansions import chosen, expansions
from superpose.discovery.modes import modes
from superpose.discovery.node import Guess, Node
from superpose.discovery.outer import Outer, kept, outers
from superpose.discovery.subset import best_subsets
from superpose.discovery.symmetry import Reduction
from superpose.interpret.candidates import fit_curve
from superpose.nn.symbolic import library

if TYPE_CHECKING:
    import sympy

_ROWS, _SCANNED = 1500, 400
_EXACT = 1e-12
# Guesses of this size fit no smooth curve by chance.
_PLAIN = 18.0
_CHANCE = 0.3
# Twins of others in the library, but for constants.
_TWINS = frozenset({"0", "cos", "arccos", "sigmoid", "x"})
_OUTERS = ("x", "1/x", "exp", "sqrt", "log", "1/sqrt", "tanh")


def curves(node: Node, deadline: float, *, enough: float = _EXACT) -> list[Guess]:
    """Guesses for a table of one column, the best first.

    Args:
        enough: the error at which the search may stop: a curve that was made of splines is no better than they are.
    """
    found: list[Guess] = []
    for number, batch in enumerate(stages(node, deadline)):
        # Errors below what is enough are chance, and no reason for another term.
        found += [replace(guess, error=max(guess.error, _CHANCE * enough)) for guess in batch]
        # The library is asked in any case: an expansion may be as good, and a function of it plainer.
        if number and any(guess.error < enough and guess.size < _PLAIN for guess in found):
            break
    return chosen(found)


def stages(node: Node, deadline: float) -> Iterator[list[Guess]]:
    """The same guesses batch by batch, from what is quick and likely to what is slow."""
    other = _reciprocal(node)
    makers: list[Callable[[], Iterable[Guess]]] = [
        lambda: expansions(node, deadline, quick=True),
        lambda: _library(node),
        lambda: modes(node, deadline),
        lambda: _library(other) if other else (),
        lambda: _scanned(node, deadline),
        lambda: _scanned(other, deadline) if other else (),
        lambda: expansions(node, deadline),
    ]
    for make in makers:
        found = []
        for guess in make():
            found.append(guess)
            if guess.error < _EXACT and guess.size < _PLAIN:
                break
            if time.monotonic() > deadline:
                break
        yield found
        if time.monotonic() > deadline:
            return


def _reciprocal(node: Node) -> Node | None:
    """The table with one over its column: which of the two is natural is not for the reductions to know."""
    import sympy

    x = node.x
    if float(x.abs().min()) < 1e-4 * float(x.abs().max()):
        return None
    turned = Reduction(0.0, 1 / x, [1 / node.symbols[0]], None, sympy.Integer(1), "reciprocal")
    return node.reduced(turned)


def _library(node: Node) -> Iterator[Guess]:
    """``outer(c * f(a * x + b) + d)`` with every function of the library."""
    import sympy

    functions = {name: f for name, f in library().items() if name not in _TWINS}
    for outer in outers(node.y):
        if outer.name not in _OUTERS:
            continue
        x, y, weight = kept(node.x[:, 0], node.weight, outer, _ROWS)
        if len(x) < 20:
            continue
        for candidate in fit_curve(x, y, functions)[:4]:
            a, b, c, d = candidate.constants
            function = functions[candidate.name]
            inner = function.evaluate(a * x + b)
            matrix = torch.stack([inner, torch.ones_like(inner)], -1) * weight[:, None]
            if not bool(torch.isfinite(matrix).all()):
                continue
            solution = torch.linalg.lstsq(matrix, (y * weight)[:, None]).solution[:, 0]
            residual = matrix @ solution - y * weight
            error = float(residual.square().mean().sqrt()) / node.spread
            if not math.isfinite(error):
                continue
            c, d = solution.tolist()
            argument = sympy.Float(a) * node.symbols[0] + sympy.Float(b)
            expression = outer.outside(sympy.Float(c) * function.at(argument) + sympy.Float(d))
            size = outer.complexity + 8 + candidate.complexity
            yield Guess(functools.partial(node.lift, expression), error, f"{outer.name} of {candidate.name}", size)


def _scanned(node: Node, deadline: float) -> Iterator[Guess]:
    """Few terms ``x^q h(a x)`` with ``h`` a wave or an exponential, its rate ``a`` tried at many values."""
    for outer in outers(node.y):
        if outer.name not in _OUTERS or time.monotonic() > deadline:
            continue
        x, y, weight = kept(node.x[:, 0], node.weight, outer, _SCANNED)
        if len(x) < 50:
            continue
        reach = float(x.max() - x.min())
        for kind, rates in (("wave", _rates(0.3, 70.0, 240)), ("exponential", _rates(0.1, 12.0, 60))):
            yield from _scan(node, outer, (x, y, weight), kind, rates / reach, deadline)


def _rates(low: float, high: float, count: int) -> Tensor:
    return torch.logspace(math.log10(low), math.log10(high), count, dtype=torch.float64)


def _atoms(x: Tensor, symbol: sympy.Expr, kind: str, rate: float) -> tuple[Tensor, list[sympy.Expr]]:
    import sympy

    powers = [0, 1, 2] + ([-1, -2] if float(x.abs().min()) > 1e-3 * float(x.abs().max()) else [])
    a = sympy.Float(rate)
    if kind == "wave":
        functions = [((rate * x).sin(), sympy.sin(a * symbol)), ((rate * x).cos(), sympy.cos(a * symbol))]
    else:
        functions = [((rate * x).exp(), sympy.exp(a * symbol)), ((-rate * x).exp(), sympy.exp(-a * symbol))]
    values, expressions = [], []
    for q in powers:
        values.append(x**q)
        expressions.append(symbol**q)
        for inside, expression in functions:
            values.append(x**q * inside)
            expressions.append(symbol**q * expression)
    return torch.stack(values, -1), expressions


def _scan(
    node: Node, outer: Outer, rows: tuple[Tensor, Tensor, Tensor], kind: str, rates: Tensor, deadline: float
) -> Iterator[Guess]:
    import sympy

    x, y, weight = rows
    symbol = node.symbols[0]
    best: list[tuple[float, float]] = []
    goal = y * weight
    for rate in rates.tolist():
        if time.monotonic() > deadline:
            break
        values, _ = _atoms(x, symbol, kind, rate)
        matrix = values * weight[:, None]
        if bool(torch.isfinite(matrix).all()):
            found = best_subsets(matrix, goal, node.spread, most=3, beam=6, keep=1)
            best.append((min(s.error for s in found), rate))
    best.sort()
    for _, rate in best[:2]:
        rate = _refined(node, rows, kind, rate)
        values, expressions = _atoms(x, symbol, kind, rate)
        for subset in best_subsets(values * weight[:, None], goal, node.spread, most=4, beam=20, keep=2):
            terms = zip(subset.columns, subset.coefficients.tolist(), strict=True)
            inner = outer.outside(sympy.Add(*(sympy.Float(c) * expressions[k] for k, c in terms)))
            size = outer.complexity + 7.0 * len(subset.columns)
            yield Guess(functools.partial(node.lift, inner), subset.error, f"{outer.name} of {kind}s", size)


def _refined(node: Node, rows: tuple[Tensor, Tensor, Tensor], kind: str, rate: float) -> float:
    """The rate near one of the lattice that fits best, by golden section."""
    x, y, weight = rows

    def error(value: float) -> float:
        values, _ = _atoms(x, node.symbols[0], kind, value)
        found = best_subsets(values * weight[:, None], y * weight, node.spread, most=3, beam=6, keep=1)
        return min(s.error for s in found)

    low, high = rate * 0.97, rate * 1.03
    golden = (math.sqrt(5) - 1) / 2
    left, right = high - golden * (high - low), low + golden * (high - low)
    at_left, at_right = error(left), error(right)
    for _ in range(30):
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - golden * (high - low)
            at_left = error(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + golden * (high - low)
            at_right = error(right)
    return (low + high) / 2
