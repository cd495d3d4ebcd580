"""Expansions: the target, or a function of it, as a sum of few terms, or as a quotient of two such sums."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from superpose.deadline import Deadline
from superpose.formulas import selection
from superpose.formulas.dictionary import Dictionary, simplest_products
from superpose.formulas.from_table.outer_functions import OuterFunction, outer_functions
from superpose.formulas.from_table.subproblem import Guess, Subproblem, best_guesses
from superpose.formulas.subsets import Subset, best_subsets

if TYPE_CHECKING:
    import sympy


@dataclass(frozen=True)
class _Expansions:
    """How many terms are compared. Chosen on the AI Feynman equations; not compared one by one.

    Attributes:
        rows: first rows that terms are compared on, twice as many as the most terms of three columns.
        terms: of the dictionary of one column, of two and so on.
        quick: a quick search takes this fraction of the terms, and finds most laws whose table is small enough.
        triples, quick_triples: number of first terms of which all sets of three are compared.
        quotient_terms: of the dictionary above and below a fraction line.
        summed: terms of a sum.
        nothing: terms smaller than this share of the largest are rounding.
        rounding: error at which longer sums are not tried: a sum of few terms in double precision.
    """

    rows: int = 1200
    terms: tuple[int, ...] = (100, 400, 600, 700, 800, 900)
    quick: int = 3
    triples: int = 250
    quick_triples: int = 100
    quotient_terms: int = 150
    summed: int = 6
    nothing: float = 1e-10
    rounding: float = 1e-13


_EXPANSIONS = _Expansions()
_EXACT = selection.FLOORS.rounding


def expansions(problem: Subproblem, deadline: Deadline, *, quick: bool = False) -> list[Guess]:
    """Guesses for a table of at most six columns, the most promising first."""
    count = problem.x.shape[1]
    if not 1 <= count <= len(_EXPANSIONS.terms):
        return []
    x, y, weight = problem.x[: _EXPANSIONS.rows], problem.y[: _EXPANSIONS.rows], problem.weight[: _EXPANSIONS.rows]
    share = _EXPANSIONS.quick if quick else 1
    triples = _EXPANSIONS.quick_triples if quick else _EXPANSIONS.triples
    dictionary = simplest_products(x, problem.symbols, most=_EXPANSIONS.terms[count - 1] // share)
    quotient_terms = _EXPANSIONS.quotient_terms // share
    plain = simplest_products(x, problem.symbols, most=quotient_terms, functions=count <= 2)
    found: list[Guess] = []
    for outer in outer_functions(y):
        if deadline.passed():
            break
        rows = slice(None) if outer.rows is None else outer.rows
        row_weight = weight[rows] * outer.weights
        # No row may outweigh all others. A round number.
        row_weight = row_weight.clamp(max=1e3 * float(row_weight.median()))
        found += _sums(problem, outer, dictionary, rows, row_weight, triples)
        if min((g.error for g in found), default=1.0) < _EXACT:
            break
        # With 1/y in the place of y, the quotient is turned upside down: nothing new.
        if outer.name in ("x", "sqrt") or (count <= 2 and not outer.name.startswith("1/")):
            found += _quotients(problem, outer, plain, rows, row_weight)
    return best_guesses(found)


def _sums(
    problem: Subproblem,
    outer: OuterFunction,
    dictionary: Dictionary,
    rows: slice | Tensor,
    weight: Tensor,
    triples: int,
) -> list[Guess]:

    matrix = dictionary.values[rows] * weight[:, None]
    subsets = best_subsets(matrix, outer.values * weight, problem.spread, most=_EXPANSIONS.summed, triples=triples)
    made = []
    for subset in _worthwhile(subsets):
        sizes = matrix[:, list(subset.columns)].square().mean(0).sqrt() * subset.coefficients.abs()
        large = (sizes > _EXPANSIONS.nothing * sizes.max()).tolist()
        kept = [
            (k, c) for k, c, stays in zip(subset.columns, subset.coefficients.tolist(), large, strict=True) if stays
        ]
        size = outer.complexity + sum(3 + dictionary.cost(k) for k, _ in kept)  # three nodes: sum, product, coefficient

        def make(kept: list[tuple[int, float]] = kept) -> sympy.Expr:
            return problem.lift(outer.outside(dictionary.combination(*zip(*kept, strict=True))))

        made.append(Guess(make, subset.error, f"sum of terms, {outer.name}", size))
    return made


def _quotients(
    problem: Subproblem, outer: OuterFunction, dictionary: Dictionary, rows: slice | Tensor, weight: Tensor
) -> list[Guess]:
    """``f^-1(y) (1 + sum d_k q_k) = sum c_k p_k``: linear in all coefficients."""

    values = dictionary.values[rows]
    count = values.shape[1]
    matrix = torch.cat([values, -outer.values[:, None] * values[:, 1:]], -1) * weight[:, None]
    # The plainest terms above and below come first.
    order = sorted(range(matrix.shape[1]), key=lambda k: dictionary.cost(k if k < count else k - count + 1))
    # Five terms, those above and below together. A round number.
    mixed = best_subsets(matrix[:, order], outer.values * weight, problem.spread, most=5)
    subsets = [replace(s, columns=tuple(order[k] for k in s.columns)) for s in mixed]
    made = []
    for subset in _worthwhile(subsets):
        chosen_terms = list(zip(subset.columns, subset.coefficients.tolist(), strict=True))
        over = [(k, c) for k, c in chosen_terms if k < count]
        under = [(k - count + 1, c) for k, c in chosen_terms if k >= count]
        bottom = torch.ones_like(outer.values)
        for k, c in under:
            bottom = bottom + c * values[:, k]
        # A pole among the rows; a round number.
        if not over or not under or bool((bottom.abs() < 1e-6 * bottom.abs().mean()).any()):
            continue
        residual = (matrix[:, list(subset.columns)] @ subset.coefficients - outer.values * weight) / bottom
        error = float(residual.square().mean().sqrt()) / problem.spread
        # Four: the nodes of ``1 / (1 + ...)``. Three: sum, product and coefficient of a term.
        size = outer.complexity + 4 + sum(3 + dictionary.cost(k) for k, _ in over + under)

        def make(over: list[tuple[int, float]] = over, under: list[tuple[int, float]] = under) -> sympy.Expr:
            top, below = (dictionary.combination(*zip(*part, strict=True)) for part in (over, under))
            return problem.lift(outer.outside(top / (1 + below)))

        made.append(Guess(make, error, f"quotient of sums, {outer.name}", size))
    return made


def _worthwhile(subsets: list[Subset]) -> list[Subset]:
    """Of each size those near the best, and only sizes that are much better than all smaller ones."""
    kept: list[Subset] = []
    best = float("inf")
    for size in sorted({len(s.columns) for s in subsets}):
        same = [s for s in subsets if len(s.columns) == size]
        least = min(s.error for s in same)
        # As ``clearly`` of law_pool.py; and near the best are 1.5 times its error. Chosen on the AI Feynman equations.
        if least < 0.7 * best or least < _EXACT:
            kept += [s for s in same if s.error <= max(1.5 * least, _EXACT)]  # near the best: see above
        best = min(best, least)
        if best < _EXPANSIONS.rounding:
            break
    return kept
