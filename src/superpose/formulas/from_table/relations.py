"""Algebraic relations: ``y Q`` and ``y^2 S`` beside products of functions of the columns, with any number of terms.

A law that is a long sum, a quotient of two sums, or a root of a quadratic equation fulfils one linear relation between
products. The columns of one matrix are taken in the order of their cost; the first that is a combination of those
before it gives the relation, which is the only one of them. Terms that it needs not are then left out one by one.
Without noise nothing has to be tried: best subsets of more than six terms would be too many.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from superpose.deadline import charge
from superpose.formulas.dictionary import Dictionary, Term, simplest_products
from superpose.formulas.from_table.outer_functions import outer_functions
from superpose.formulas.from_table.subproblem import Guess, Subproblem
from superpose.formulas.from_table.wave_surrogate import Phase
from superpose.nn.symbolic_functions import torch_function

if TYPE_CHECKING:
    import sympy


@dataclass(frozen=True)
class _Relations:
    """How large relations may be. Round numbers, chosen on thirty laws of physics; not compared one by one.

    Attributes:
        rows: first rows that relations are looked for on. Without noise a few more than columns show them.
        spare: rows for each column of the matrix, at least.
        tested: first rows that a relation is tested on.
        terms, with_functions: of the dictionary of one column, of two and so on, of powers alone and with functions.
        with_waves: products of powers, each with a wave too.
        wave: what that costs in the order; as in ``formulas/dictionary.py``, but less, since the phase is known.
        times: what a factor ``y`` costs in the order, as a further factor.
        dependent: shares of a column that are left beside the others, if it is a combination of them. Smooth functions
            of short ranges are so by chance to some digits: the first column for each of the shares is looked at.
        worse, rounding: terms are left out as long as the residual is below this many times the first, or below the
            second: powers within a factor of three are combinations of each other to 1e-11.
        longest, longest_curve: relations of more terms are expansions of something else; of one column, any curve is a
            quotient of ten terms.
        error: of the law that it gives, in units of the target's spread.
        common: outer functions that are tried with functions of the columns.
    """

    rows: int = 780
    spare: float = 1.25
    tested: int = 3000
    terms: tuple[int, ...] = (60, 150, 260, 300, 300)
    with_functions: tuple[int, ...] = (80, 150, 150, 150, 150)
    with_waves: int = 200
    wave: float = 1.5
    times: float = 1.2
    dependent: tuple[float, ...] = (3e-15, 3e-14, 1e-12)
    worse: float = 30.0
    rounding: float = 3e-15
    longest: int = 12
    longest_curve: int = 5
    error: float = 1e-9
    common: tuple[str, ...] = ("x", "sqrt", "exp")


_RELATIONS = _Relations()
# Seconds on one core of a server for each product of two entries in a row of the matrix.
_PRODUCT = 6e-10


class _Kind(NamedTuple):
    """Which function of the target stands in a relation, and how the target follows from it.

    Attributes:
        complexity: nodes that the way back adds.
        values: ``[N]`` of the function ``z``; None where it is not defined.
        powers: of ``z`` that are factors, beside 0.
        back: the target from ``z`` as an expression.
    """

    complexity: int
    values: Tensor
    powers: tuple[int, ...]
    back: Callable[[sympy.Expr], sympy.Expr]


def relations(problem: Subproblem, phase: Phase | None = None) -> list[Guess]:
    """Guesses for a table of at most five columns: of powers alone, and with functions of single columns.

    Args:
        phase: of a wave, whose sine and cosine are factors too.
    """
    count = problem.x.shape[1]
    if not 1 <= count <= len(_RELATIONS.terms):
        return []
    x, y = problem.x[: _RELATIONS.rows], problem.y[: _RELATIONS.rows]
    for functions in (False, True):
        if functions and phase is not None:
            dictionary = _with_waves(x, problem, phase)
        else:
            terms = _RELATIONS.with_functions if functions else _RELATIONS.terms
            dictionary = simplest_products(x, problem.symbols, most=terms[count - 1], functions=functions)
        plain, longest = _independent(dictionary.values), _RELATIONS.longest if count > 1 else _RELATIONS.longest_curve
        for kind in _kinds(y, few=functions):
            guess = _guess(problem, dictionary, plain, kind, longest)
            if guess is not None:
                return [guess]
    return []


def _with_waves(x: Tensor, problem: Subproblem, phase: Phase) -> Dictionary:
    """Products of powers, and these times the sine and the cosine of a phase."""
    import sympy

    powers = simplest_products(x, problem.symbols, most=_RELATIONS.with_waves, functions=False).terms
    angle, inside = phase.values(x), phase.expression(problem.symbols)
    cost, columns = _RELATIONS.wave, frozenset(phase.places())
    waves = (
        Term(angle.sin(), (sympy.sin(inside),), cost, columns),
        Term(angle.cos(), (sympy.cos(inside),), cost, columns),
    )
    every = [*powers, *(term.times(wave) for term in powers for wave in waves)]
    return Dictionary(sorted(every, key=lambda term: term.cost)[: 2 * _RELATIONS.with_waves])


def _kinds(y: Tensor, *, few: bool) -> Iterator[_Kind]:
    """Functions of the target: those that can be undone, but for reciprocals, which are quotients all the same.

    Args:
        few: without those that are rare beside functions of the columns.
    """
    import sympy

    for outer in outer_functions(y):
        if outer.rows is None and not outer.name.startswith("1/") and (not few or outer.name in _RELATIONS.common):
            yield _Kind(outer.complexity, outer.values, (1,), outer.outside)
    if float(y.abs().max()) < 1:
        # A coefficient of reflection of the ratio of two impedances, or indices, that is a root.
        ratio = (1 - y) / (1 + y)
        yield _Kind(9, ratio**2, (1,), lambda inner: (1 - sympy.sqrt(inner)) / (1 + sympy.sqrt(inner)))
    yield _Kind(4, y, (1, 2), lambda inner: inner)
    sign = 1 if float(y.mean()) > 0 else -1
    if bool((sign * y > 0).all()) and not few:
        for power in (sympy.Rational(1, 3), sympy.Rational(2, 3)):
            back = functools.partial(_powered, sign, power)
            yield _Kind(2, (sign * y) ** float(1 / power), (1,), back)


def _powered(sign: int, power: sympy.Rational, inner: sympy.Expr) -> sympy.Expr:
    return sign * inner**power


def _guess(problem: Subproblem, dictionary: Dictionary, plain: list[int], kind: _Kind, longest: int) -> Guess | None:
    relation = _relation(kind, dictionary, plain)
    if relation is not None and len(relation) > longest:
        return None
    expression = None if relation is None else _solved(problem, kind, dictionary, relation)
    if relation is None or expression is None:
        return None
    expression = kind.back(expression)
    some = slice(_RELATIONS.tested)
    values = torch_function(expression, problem.symbols)(*problem.x[some].unbind(-1))
    residual = (values - problem.y[some]) * problem.weight[some]
    error = float(residual.square().mean().sqrt()) / problem.spread
    if not error < _RELATIONS.error:
        return None
    # Three nodes: sum, product and coefficient of a term.
    size = kind.complexity + sum(3 + dictionary.cost(place) for place, _ in relation)
    return Guess(functools.partial(problem.lift, expression), error, "a relation between products", size)


Relation = dict[tuple[int, int], float]


def _relation(kind: _Kind, dictionary: Dictionary, plain: list[int]) -> Relation | None:
    """Coefficients by the number of the product and the power of the target; None if there is no short relation."""
    z = kind.values
    size = float(z.abs().mean())
    if not 0 < size < math.inf:
        return None
    entries = [(k, power) for k in plain for power in (0, *kind.powers)]
    entries.sort(key=lambda e: dictionary.cost(e[0]) + _RELATIONS.times * e[1])
    entries = entries[: int(len(z) / _RELATIONS.spare)]
    columns = torch.stack([dictionary.values[:, k] * (z / size) ** power for k, power in entries], -1)
    sizes = columns.norm(dim=0)
    columns = columns / sizes
    if not bool(torch.isfinite(columns).all()):
        return None
    charge(_PRODUCT * columns.shape[0] * columns.shape[1] ** 2)
    triangle = torch.linalg.qr(columns, mode="r").R
    left = triangle.diagonal().abs()
    ends = [torch.nonzero(left < share)[:1, 0].tolist() for share in _RELATIONS.dependent]
    found = [(end, _needed(columns, end)) for end in dict.fromkeys(end for one in ends for end in one)]
    short = [(end, *kept) for end, kept in found if kept is not None]
    if not short:
        return None
    end, places, coefficients = min(short, key=lambda one: len(one[1]))
    coefficients = torch.cat([-coefficients, coefficients.new_ones(1)]) / sizes[[*places, end]]
    chosen = [entries[place] for place in (*places, end)]
    # One of the coefficients of the highest power of the target is 1.
    unit = coefficients[max(range(len(chosen)), key=lambda n: (chosen[n][1], -n))]
    highest = max(power for _, power in chosen)
    scaled = [float(c / unit) * size ** (highest - power) for c, (_, power) in zip(coefficients, chosen, strict=True)]
    return dict(zip(chosen, scaled, strict=True))


def _independent(values: Tensor) -> list[int]:
    """The places of the columns ``[N, D]`` that are no combination of those before them."""
    triangle = torch.linalg.qr(values / values.norm(dim=0), mode="r").R
    charge(_PRODUCT * values.shape[0] * values.shape[1] ** 2)
    kept: list[int] = torch.nonzero(triangle.diagonal().abs() > max(_RELATIONS.dependent))[:, 0].tolist()
    return kept


def _needed(columns: Tensor, end: int) -> tuple[list[int], Tensor] | None:
    """The few columns before one, of norm 1, that it is a combination of, and their coefficients; None if many."""
    goal = columns[:, end]
    places = torch.arange(end)
    coefficients, growth, left = _combination(columns[:, :end], goal)
    allowed = max(_RELATIONS.worse * left, _RELATIONS.rounding)
    while len(places) > 1:
        order = growth.argsort()
        # How much the residual grows is known for one column; for many it has to be tried.
        idle = int((growth < allowed).sum()) // 2
        found = None
        while idle:
            rest = places[order[idle:].sort().values]
            found = _combination(columns[:, rest], goal)
            if found[2] < allowed:
                break
            idle //= 4
        else:
            rest = places[order[1:].sort().values]
            found = _combination(columns[:, rest], goal)
        if found[2] > allowed:
            break
        places, (coefficients, growth, left) = rest, found
    return (places.tolist(), coefficients) if len(places) < _RELATIONS.longest else None


def _combination(columns: Tensor, goal: Tensor) -> tuple[Tensor, Tensor, float]:
    """Least squares: coefficients, by how much the residual grows without each column, and the residual."""
    q, r = torch.linalg.qr(columns)
    charge(_PRODUCT * columns.shape[0] * columns.shape[1] ** 2)
    inverse = torch.linalg.solve_triangular(r, torch.eye(len(r), dtype=r.dtype), upper=True)
    coefficients = inverse @ (q.T @ goal)
    # A coefficient in units of its standard error.
    growth = coefficients.abs() / inverse.norm(dim=1)
    return coefficients, growth, float((goal - columns @ coefficients).norm())


def _solved(problem: Subproblem, kind: _Kind, dictionary: Dictionary, relation: Relation) -> sympy.Expr | None:
    """``z`` by the relation, with the root that is right on most rows; None if it is not in the relation."""
    import sympy

    def part(power: int) -> sympy.Expr:
        terms = (sympy.Float(c) * dictionary.expression(k) for (k, of), c in relation.items() if of == power)
        return sympy.Add(*terms)

    constant, linear, square = (part(power) for power in (0, 1, 2))
    if square == 0:
        return None if linear == 0 else -constant / linear
    half, rest = -linear / (2 * square), constant / square
    inside = torch_function(half, problem.symbols)(*problem.x[: len(kind.values)].unbind(-1))
    above = float((kind.values > inside).double().mean()) > 0.5  # most rows
    root = sympy.sqrt(half**2 - rest)
    return half + root if above else half - root


__all__ = ["relations"]
