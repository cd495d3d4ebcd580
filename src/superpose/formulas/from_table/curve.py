"""Functions of one variable: the library on an edge, and powers times waves or exponentials of unknown rate."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from superpose.deadline import Deadline, charge
from superpose.formulas import selection
from superpose.formulas.candidates import fit_curve
from superpose.formulas.expressions.functions import candidate_functions
from superpose.formulas.from_table.expansions import expansions
from superpose.formulas.from_table.exponential_sums import exponential_sums
from superpose.formulas.from_table.outer_functions import OuterFunction, kept, outer_functions
from superpose.formulas.from_table.subproblem import Guess, Subproblem, best_guesses
from superpose.formulas.from_table.symmetries import Reduction
from superpose.formulas.subsets import Subset, best_subsets
from superpose.nn.symbolic_functions import SymbolicFunction

if TYPE_CHECKING:
    import sympy

# A column, its target and the weights of the rows.
_Rows = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class _Curves:
    """How one curve is recognised. Chosen on the AI Feynman equations; not compared one by one.

    Attributes:
        rows: first rows for the library of functions.
        scanned: first rows while rates are scanned.
        plain: an exact guess of less than this size fits no smooth curve by chance, and ends the search.
        chance: errors below this share of what is enough are chance, and no reason for a further term.
        sure: a curve that is known to this relative error is looked for among single functions of the library first. A
            round number; other values were not compared.
        lattice: rates to each side of the best one, on each of the finer lattices.
        width: of the first lattice, as a share of the rate: two steps of the 240 rates from 0.3 to 70 that are
            scanned.
        finest: width of the last lattice: normal equations see half of the digits.
        ridge: 450 times the rounding of double precision, beside normal equations with a diagonal of 1: terms that are
            nearly the same make them singular.
        solved: share of the squared target below which normal equations see no more, and orthogonal factors are used.
        fast: over the range of the column, the slowest wave that the spectrum is searched for; ``_scanned`` goes to 70.
        periodic: a spectrum of fewer places has a high peak by chance.
        frequencies: of a spectrum at most; so many are those of 5,000 regular steps.
        block: of them at once, 3 MB of waves.
        peak: times what noise gives, for a peak to be followed. Round numbers, all of them.
        outers: outer functions that are tried.
    """

    rows: int = 1500
    scanned: int = 400
    plain: float = 18.0
    chance: float = 0.3
    sure: float = 1e-6
    lattice: int = 12
    width: float = 0.045
    finest: float = 1e-8
    ridge: float = 1e-13
    solved: float = 1e-9
    fast: float = 60.0
    periodic: int = 30
    frequencies: int = 10_000
    block: int = 128
    peak: float = 2.0
    outers: tuple[str, ...] = ("x", "1/x", "exp", "sqrt", "log", "1/sqrt", "tanh")


_CURVES = _Curves()
# Seconds of all sums of a few terms for one rate, on one core of a server.
_RATE = 2e-4
_EXACT = selection.FLOORS.rounding


def curves(problem: Subproblem, deadline: Deadline, *, enough: float = _EXACT) -> list[Guess]:
    """Guesses for a table of one column, the best first.

    Args:
        enough: the error at which the search may stop: a curve that was made of splines is no better than they are.
    """
    found: list[Guess] = []
    # One function of the library that fits to many digits is no chance, and no sum of terms is plainer.
    if enough < _CURVES.sure and (sure := _first_match(problem, enough)):
        return [sure]
    for number, batch in enumerate(stages(problem, deadline)):
        # Errors below what is enough are chance, and no reason for another term.
        found += [replace(guess, error=max(guess.error, _CURVES.chance * enough)) for guess in batch]
        # The library is tried in any case: one of its functions may fit as well as an expansion, with fewer nodes.
        if number and any(guess.error < enough and guess.size < _CURVES.plain for guess in found):
            break
    return best_guesses(found)


def _first_match(problem: Subproblem, enough: float) -> Guess | None:
    """A function of the library, of a line in the column, whose error is below ``enough``; the simplest of them."""
    fitting = [guess for guess in _library(problem, ("x",)) if guess.error < enough and guess.size < _CURVES.plain]
    best = min(fitting, key=lambda guess: guess.size, default=None)
    return None if best is None else replace(best, error=max(best.error, _CURVES.chance * enough))


def stages(problem: Subproblem, deadline: Deadline) -> Iterator[list[Guess]]:
    """The same guesses batch by batch, from what is quick and likely to what is slow."""
    other = _reciprocal(problem)
    makers: list[Callable[[], Iterable[Guess]]] = [
        lambda: expansions(problem, deadline, quick=True),
        lambda: _library(problem),
        lambda: exponential_sums(problem, deadline),
        lambda: _library(other) if other else (),
        lambda: _fast_waves(problem, deadline),
        lambda: _scanned(problem, deadline),
        lambda: _scanned(other, deadline) if other else (),
        lambda: expansions(problem, deadline),
    ]
    for make in makers:
        found = []
        for guess in make():
            found.append(guess)
            if guess.error < _EXACT and guess.size < _CURVES.plain:
                break
            if deadline.passed():
                break
        yield found
        if deadline.passed():
            return


def _reciprocal(problem: Subproblem) -> Subproblem | None:
    """The table with one over its column: which of the two is natural is not for the reductions to know."""
    import sympy

    x = problem.x
    # Next to 0 a reciprocal is huge in few rows. The limit is a round number.
    if float(x.abs().min()) < 1e-4 * float(x.abs().max()):
        return None
    turned = Reduction(0.0, 1 / x, [1 / problem.symbols[0]], None, sympy.Integer(1), "reciprocal")
    return problem.reduced(turned)


def _library(problem: Subproblem, outers: Collection[str] = _CURVES.outers) -> Iterator[Guess]:
    """``outer(c * f(a * x + b) + d)`` with every function of the library."""
    # A straight line is among the expansions.
    functions = {name: f for name, f in candidate_functions().items() if name != "x"}
    for outer in outer_functions(problem.y):
        if outer.name not in outers:
            continue
        x, y, weight = kept(problem.x[:, 0], problem.weight, outer, _CURVES.rows)
        if len(x) < 20:  # five rows for each of the constants a, b, c, d
            continue
        for candidate in fit_curve(x, y, functions)[:4]:  # the best four; a round number
            a, b, c, d = candidate.constants
            function = functions[candidate.name]
            inner = function.evaluate(a * x + b)
            matrix = torch.stack([inner, torch.ones_like(inner)], -1) * weight[:, None]
            if not bool(torch.isfinite(matrix).all()):
                continue
            solution = torch.linalg.lstsq(matrix, (y * weight)[:, None]).solution[:, 0]
            residual = matrix @ solution - y * weight
            error = float(residual.square().mean().sqrt()) / problem.spread
            if not math.isfinite(error):
                continue
            c, d = solution.tolist()
            make = functools.partial(_of_library, problem, outer, function, (a, b, c, d))
            # Eight: about the nodes of a, b, c, d, products and sums.
            size = outer.complexity + 8 + candidate.complexity
            yield Guess(make, error, f"{outer.name} of {candidate.name}", size)


def _of_library(
    problem: Subproblem, outer: OuterFunction, function: SymbolicFunction, constants: tuple[float, ...]
) -> sympy.Expr:
    import sympy

    a, b, c, d = (sympy.Float(value) for value in constants)
    return problem.lift(outer.outside(c * function.at(a * problem.symbols[0] + b) + d))


def _scanned(problem: Subproblem, deadline: Deadline) -> Iterator[Guess]:
    """Few terms ``x^q h(a x)`` with ``h`` a wave or an exponential, its rate ``a`` tried at many values."""
    for outer in outer_functions(problem.y):
        if outer.name not in _CURVES.outers or deadline.passed():
            continue
        x, y, weight = kept(problem.x[:, 0], problem.weight, outer, _CURVES.scanned)
        # Fewer rows do not tell hundreds of rates apart. A round number.
        if len(x) < 50:
            continue
        reach = float(x.max() - x.min())
        # Over the range of the column: 1/20 to 11 periods, and factors from 1.1 to exp(12) = 2e5. Neighbours differ by
        # 2.3% and 8.5%, which ``_refined`` closes. Chosen on the AI Feynman equations.
        for kind, rates in (("wave", _rates(0.3, 70.0, 240)), ("exponential", _rates(0.1, 12.0, 60))):
            yield from _scan(problem, outer, (x, y, weight), kind, rates / reach, deadline)


def _rates(low: float, high: float, count: int) -> Tensor:
    return torch.logspace(math.log10(low), math.log10(high), count, dtype=torch.float64)


def _at(x: Tensor, kind: str, rate: float) -> Tensor:
    """The values ``[N, K]`` of all terms for one rate."""
    return _values(x, kind, torch.tensor([rate], dtype=x.dtype))[0]


def _sum_of_terms(
    problem: Subproblem, outer: OuterFunction, kind: str, rate: float, powers: list[int], subset: Subset
) -> sympy.Expr:
    """The expression of some of the terms whose values :func:`_at` gives."""
    import sympy

    symbol, a = problem.symbols[0], sympy.Float(rate)
    terms = []
    for column, coefficient in zip(subset.columns, subset.coefficients.tolist(), strict=True):
        power, place = divmod(column, 3)
        inside: sympy.Expr = sympy.Integer(1)
        if place and kind == "wave":
            inside = (sympy.sin, sympy.cos)[place - 1](a * symbol)
        elif place:
            inside = sympy.exp((a, -a)[place - 1] * symbol)
        terms.append(sympy.Float(coefficient) * (symbol ** powers[power] * inside))
    return problem.lift(outer.outside(sympy.Add(*terms)))


def _powers(x: Tensor) -> list[int]:
    # The limit next to 0 is that of ``_reciprocal``. Powers up to 2: 15 terms for each rate at most.
    return [0, 1, 2, -1, -2] if float(x.abs().min()) > 1e-4 * float(x.abs().max()) else [0, 1, 2]


def _values(x: Tensor, kind: str, rates: Tensor) -> Tensor:
    """The values ``[R, N, K]`` of all terms for each of the rates."""
    inner = rates[:, None] * x
    pair = (inner.sin(), inner.cos()) if kind == "wave" else (inner.exp(), (-inner).exp())
    inside = torch.stack([torch.ones_like(inner), *pair], -1)
    powers = torch.stack([x**q for q in _powers(x)], -1)
    return (powers[None, :, :, None] * inside[:, :, None, :]).flatten(2)


def _errors(x: Tensor, goal: Tensor, weight: Tensor, kind: str, rates: Tensor, count: int) -> Tensor:
    """For each rate the least squared error of ``count`` terms, as a share of the goal; infinite without values.

    All choices are solved at once by their normal equations: good enough to choose a rate.
    """
    charge(_RATE * len(rates))
    matrix = _values(x, kind, rates) * weight[:, None]
    usable = torch.isfinite(matrix).all(-1).all(-1)
    matrix = torch.where(usable[:, None, None], matrix, 1.0)
    matrix = matrix / matrix.norm(dim=1, keepdim=True).clamp(min=1e-300)  # no division by zero
    goal = goal / goal.norm().clamp(min=1e-300)  # no division by zero
    choices = torch.combinations(torch.arange(matrix.shape[-1]), count)
    gram, right = matrix.mT @ matrix, matrix.mT @ goal
    some = gram[:, choices[:, :, None], choices[:, None, :]] + _CURVES.ridge * torch.eye(count, dtype=gram.dtype)
    pull = right[:, choices]
    explained = (pull * torch.linalg.solve(some, pull)).sum(-1)
    return torch.where(usable, (1 - explained.amax(-1)).clamp(min=0.0), math.inf)


def _scan(
    problem: Subproblem,
    outer: OuterFunction,
    rows: _Rows,
    kind: str,
    rates: Tensor,
    deadline: Deadline,
) -> Iterator[Guess]:
    x, y, weight = rows
    goal, powers = y * weight, _powers(x)
    starts: list[tuple[int, float]] = []
    # In noise three terms fit at many rates, and two at the right one.
    for count in (2, 3):
        errors = _errors(x, goal, weight, kind, rates, count)
        wall = errors.new_full((1,), math.inf)
        valley = (errors <= torch.cat([wall, errors[:-1]])) & (errors <= torch.cat([errors[1:], wall]))
        errors = torch.where(valley, errors, math.inf)
        starts += [(count, float(rates[k])) for k in errors.argsort()[:2].tolist() if math.isfinite(errors[k])]
    for count, start in starts:
        if deadline.passed():
            break
        rate = _refined(problem, rows, kind, start, count, _CURVES.width)
        yield from _of_rate(problem, outer, rows, kind, rate, powers)


def _of_rate(
    problem: Subproblem, outer: OuterFunction, rows: _Rows, kind: str, rate: float, powers: list[int]
) -> Iterator[Guess]:
    x, y, weight = rows
    values = _at(x, kind, rate) * weight[:, None]
    # There are 15 terms at most, so that a small beam meets most sets. Round numbers; nothing was measured.
    for subset in best_subsets(values, y * weight, problem.spread, most=4, beam=20, keep=2):
        make = functools.partial(_sum_of_terms, problem, outer, kind, rate, powers, subset)
        size = outer.complexity + 7.0 * len(subset.columns)  # seven: about the nodes of ``c * x**q * sin(a * x)``
        yield Guess(make, subset.error, f"{outer.name} of {kind}s", size)


def _fast_waves(problem: Subproblem, deadline: Deadline) -> Iterator[Guess]:
    """Waves of more periods than :func:`_scanned` tries: the highest peak of the least-squares spectrum (Lomb, 1976).

    Rows at regular steps show frequencies up to half a period a step.
    """
    plain = next(outer for outer in outer_functions(problem.y) if outer.name == "x")
    x, y, weight = rows = kept(problem.x[:, 0], problem.weight, plain, _CURVES.rows)
    places = torch.unique(x)
    if len(places) < _CURVES.periodic:
        return
    reach = float(places[-1] - places[0])
    # Peaks are 2 pi / reach wide.
    step = math.pi / (2 * reach)
    low, high = _CURVES.fast / reach, math.pi / float(places.diff().median())
    count = int((high - low) / step)
    if not 0 < count <= _CURVES.frequencies:
        return
    rates = low + step * torch.arange(count + 1, dtype=x.dtype)
    explained = _spectrum(x, y, weight, rates, deadline)
    # In noise the highest of so many peaks has about the logarithm of their number.
    if float(explained.max()) * len(x) / 2 < _CURVES.peak * math.log(len(rates)):
        return
    rate = float(rates[explained.argmax()])
    # Two terms of the wave, and two of what it stands on.
    rate = _refined(problem, rows, "wave", rate, 4, step / rate)
    yield from _of_rate(problem, plain, rows, "wave", rate, _powers(x))


def _spectrum(x: Tensor, y: Tensor, weight: Tensor, rates: Tensor, deadline: Deadline) -> Tensor:
    """The share of the target's squared deviation that a wave of each rate explains."""
    squares = weight.square()
    centred = (y - (squares * y).sum() / squares.sum()) * weight
    total = centred.square().sum()
    found = torch.zeros_like(rates)
    if not float(total) > 0:
        return found
    for start in range(0, len(rates), _CURVES.block):
        if deadline.passed():
            break
        inner = rates[start : start + _CURVES.block, None] * x
        pair = torch.stack([inner.sin(), inner.cos()], 1) * weight
        gram = pair @ pair.mT + _CURVES.ridge * len(x) * float(squares.mean()) * torch.eye(2, dtype=x.dtype)
        pull = pair @ centred
        found[start : start + _CURVES.block] = (pull * torch.linalg.solve(gram, pull)).sum(-1) / total
    return found


def _refined(problem: Subproblem, rows: _Rows, kind: str, rate: float, count: int, width: float) -> float:
    """The rate near one of the lattice that fits best, on finer and finer lattices.

    Args:
        width: of the first lattice to each side, as a share of the rate.
    """
    x, y, weight = rows
    goal = y * weight
    while width > _CURVES.finest:
        rates = rate * torch.linspace(1 - width, 1 + width, 2 * _CURVES.lattice + 1, dtype=x.dtype)
        errors = _errors(x, goal, weight, kind, rates, count)
        rate = float(rates[errors.argmin()])
        if float(errors.min()) < _CURVES.solved:
            # Normal equations see no more; the terms themselves do.
            return _by_sections(problem, rows, kind, rate * (1 - width), rate * (1 + width))
        width *= 2 / _CURVES.lattice
    return rate


def _by_sections(problem: Subproblem, rows: _Rows, kind: str, low: float, high: float) -> float:
    """The rate between two that fits best, by golden section."""
    x, y, weight = rows

    def error(value: float) -> float:
        values = _at(x, kind, value)
        # As many terms as a rate is chosen by, and only the least error counts: a small beam.
        found = best_subsets(values * weight[:, None], y * weight, problem.spread, most=3, beam=6, keep=1)
        return min(s.error for s in found)

    golden = (math.sqrt(5) - 1) / 2  # the golden ratio less 1
    left, right = high - golden * (high - low), low + golden * (high - low)
    at_left, at_right = error(left), error(right)
    for _ in range(30):  # 0.618**30 = 5e-7 of the interval
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - golden * (high - low)
            at_left = error(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + golden * (high - low)
            at_right = error(right)
    return (low + high) / 2
