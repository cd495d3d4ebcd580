"""Sums and products of two functions of different columns: ``y = g(p) + h(q)`` or ``y = g(p) h(q)``.

In a sum the slopes by the columns of ``p`` do not change with ``q``, in a product those of the logarithm do not: both
are seen by giving rows the ``q`` of other rows. A surrogate of that form must then do as well as one of all columns
together. Its first part is a table for ``g`` alone, and what is left of the target, or its quotient by ``g``, is one
for ``h``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from superpose.deadline import Deadline
from superpose.formulas.from_table.subproblem import Subproblem
from superpose.formulas.from_table.surrogate import Surrogate, separate
from superpose.formulas.from_table.symmetries import Reduction
from superpose.formulas.from_table.wave_surrogate import WaveSurrogate
from superpose.nn.symbolic_functions import torch_function

if TYPE_CHECKING:
    import sympy

# The first function of a split: from columns, its values, their symbols, the error that is enough, and a deadline.
Solver = Callable[[Tensor, Tensor, list["sympy.Symbol"], float, Deadline], "tuple[sympy.Expr, float] | None"]


@dataclass(frozen=True)
class _Apart:
    """When columns are taken to stand apart. Chosen on the AI Feynman equations; not compared one by one.

    Attributes:
        points: rows whose derivatives are compared with those of other rows.
        columns: of a table at most; there are 63 pairs of sets of seven.
        change: of derivatives, as a share of their size, that may be due to the surrogate.
        equal: a surrogate of two parts may err this many times as much as one of all columns.
        tried: sets for which a surrogate of two parts is fitted.
        found: error of the law of a part at most, in units of its standard deviation.
    """

    points: int = 500
    columns: int = 7
    change: float = 0.3
    equal: float = 1.1
    tried: int = 5
    found: float = 1e-2


_APART = _Apart()


class Split(NamedTuple):
    """A set of columns that stand apart from all others.

    Attributes:
        violation: how far the slopes by them change with the others, as a share of their size.
        places: which columns.
        product: whether they stand in a factor, not in a term.
        error: of the surrogate of two parts.
        values: ``[N]`` of its part for these columns, up to a constant term or factor.
    """

    violation: float
    places: tuple[int, ...]
    product: bool
    error: float
    values: Tensor


def splits(problem: Subproblem, surrogate: Surrogate | WaveSurrogate) -> Iterator[Split]:
    """The sets of columns that stand apart, the clearest first; of each pair of sets that with fewer columns."""
    one_sided = bool((problem.y > 0).all()) or bool((problem.y < 0).all())
    for split in _candidates(problem, surrogate, one_sided)[: _APART.tried]:
        rest = [k for k in range(problem.x.shape[1]) if k not in split.places]
        groups = list(split.places), rest
        error, parts = separate(problem.x, problem.y, problem.weight, problem.spread, groups, product=split.product)
        # Below 1e-9 surrogates err by rounding. A round number.
        if error <= max(_APART.equal * surrogate.error, 1e-9):
            yield split._replace(error=error, values=parts[0])


def _candidates(problem: Subproblem, surrogate: Surrogate | WaveSurrogate, one_sided: bool) -> list[Split]:
    """What slopes suggest; factors of targets that change their sign are left out."""
    count = problem.x.shape[1]
    if not 2 < count <= _APART.columns:
        return []
    points = problem.x[: _APART.points]
    others = points.flip(0)
    value, gradient = surrogate.gradient(points)
    found = []
    for size in range(1, count // 2 + 1):
        for places in itertools.combinations(range(count), size):
            if 2 * size == count and 0 not in places:
                continue
            mixed = points.clone()
            rest = [k for k in range(count) if k not in places]
            mixed[:, rest] = others[:, rest]
            other_value, other = surrogate.gradient(mixed)
            for product in (False, True) if one_sided else (False,):
                here, there = gradient[:, places], other[:, places]
                if product:
                    here, there = here / value[:, None], there / other_value[:, None]
                violation = _change(here, there)
                if violation < _APART.change:
                    found.append(Split(violation, places, product, math.inf, value))
    return sorted(found, key=lambda split: split.violation)


def _change(slopes: Tensor, others: Tensor) -> float:
    """The 80% quantile of the change of slopes, as a share of their median size; infinite where they are not known."""
    size = slopes.square().sum(-1)
    change = (slopes - others).square().sum(-1)
    usable = torch.isfinite(size) & torch.isfinite(change)
    # Nine rows of ten must have finite slopes. A round number.
    if float(usable.double().mean()) < 0.9 or not float(size[usable].median()) > 0:
        return math.inf
    # A quantile, since slopes are poor near the boundary; 0.8 was chosen on the AI Feynman equations.
    return math.sqrt(float(change[usable].quantile(0.8)) / float(size[usable].median()))


class Part(NamedTuple):
    """The function of a split, found.

    Attributes:
        values: ``[N]``.
        rough: its error, in units of the spread of the whole table.
    """

    expression: sympy.Expr
    values: Tensor
    rough: float


def without(problem: Subproblem, split: Split, solve: Solver, deadline: Deadline) -> Reduction | None:
    """The table that is left when the function of a split is found and taken away; None if it is not found.

    Args:
        solve: finds an expression for a table, and its error in units of the spread of that.
        deadline: of the search for the function.
    """
    part = part_of(problem, split, solve, deadline)
    return None if part is None else taken_away(problem, {split.places: part}, split)


def taken_away(problem: Subproblem, parts: Mapping[tuple[int, ...], Part], split: Split) -> Reduction | None:
    """The table that is left without some terms, or factors, of different columns; None if a factor is next to 0.

    Args:
        parts: by their columns.
        split: one of them.
    """
    import sympy

    gone = sorted(place for places in parts for place in places)
    rest = [k for k in range(problem.x.shape[1]) if k not in gone]
    columns, left = problem.x[:, rest], [problem.symbols[k] for k in rest]
    names = ", ".join(str(problem.symbols[k]) for k in gone)
    rough = max(part.rough for part in parts.values())
    expressions, values = [one.expression for one in parts.values()], [one.values for one in parts.values()]
    if split.product:
        factor = torch.stack(values).prod(0)
        # Division by a factor next to 0 spoils rows. A round number.
        if bool((factor.abs() < 1e-3 * factor.abs().median()).any()):
            return None
        note = f"without a factor of {names}"
        return Reduction(split.violation, columns, left, factor, sympy.Mul(*expressions), note, rough)
    term, note = torch.stack(values).sum(0), f"without a term of {names}"
    one = sympy.Integer(1)
    return Reduction(split.violation, columns, left, None, one, note, rough, term, sympy.Add(*expressions))


def part_of(problem: Subproblem, split: Split, solve: Solver, deadline: Deadline) -> Part | None:
    """The function of a split, from the values of its part; None if it is not found."""
    places, values = list(split.places), split.values
    spread = float(values.std(correction=0))
    if not spread > 0 or not bool(torch.isfinite(values).all()):
        return None
    # How an error of the part moves the target.
    weight = float((problem.y / values).abs().median()) if split.product else 1.0
    weight *= float(problem.weight.median()) * spread / problem.spread
    # Never below 1e-9: errors of surrogates below that are rounding. A round number.
    enough = max(10 * split.error / weight, 1e-9)
    symbols = [problem.symbols[k] for k in places]
    solved = solve(problem.x[:, places], values, symbols, enough, deadline)
    if solved is None or solved[1] > max(_APART.found, enough):
        return None
    expression, error = solved
    part = torch_function(expression, symbols)(*problem.x[:, places].unbind(-1)).expand_as(problem.y)
    return Part(expression, part, 10 * error * weight)


__all__ = ["Part", "Solver", "Split", "part_of", "splits", "taken_away", "without"]
