"""Backfitting: the terms of a law of many columns, one after another (L. Breiman and J. Friedman, 1985).

The columns fall into groups (:mod:`superpose.formulas.from_table.interaction_groups`), each with a term of its own. A
first look at all terms is through polynomials, which blur them. What the terms found so far leave shows which of them
is not right yet, or which two groups are one after all. That term alone is fitted as a polynomial then, while the
others keep their form, so that what they leave are its values, nearly exact: a table of few columns, to be
searched once more.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from superpose.deadline import Deadline
from superpose.formulas import selection
from superpose.formulas.from_table.splits import Part, Solver, Split, part_of
from superpose.formulas.from_table.subproblem import Guess, Subproblem
from superpose.formulas.from_table.surrogate import separate, solved

if TYPE_CHECKING:
    import sympy


@dataclass(frozen=True)
class _Rounds:
    """How long terms are fitted again. Chosen on sums of three and four terms of eight columns and 200 rows.

    Attributes:
        rounds: terms that are searched for once more, at most.
        improves: a term is not right if its polynomial instead leaves less than this share.
        alone: two groups are one if that leaves less than this share of what a term of one of them leaves.
        columns: of a group at most.
        share: of the time left that one term may take.
    """

    rounds: int = 4
    improves: float = 0.7
    alone: float = 0.5
    columns: int = 4
    share: float = 0.3


_ROUNDS = _Rounds()


class Backfitting:
    """The terms of a table, found one after another.

    Args:
        problem: the table.
        splits: its terms, as far as polynomials show them.
        solve: finds an expression for a table of few columns.
        deadline: of the whole.

    Attributes:
        found: the terms found so far, by the columns that they have.
    """

    def __init__(self, problem: Subproblem, splits: Sequence[Split], solve: Solver, deadline: Deadline) -> None:
        self._problem, self._splits, self._solve, self._deadline = problem, splits, solve, deadline
        self.found: dict[tuple[int, ...], Part] = {}

    def run(self) -> Guess | None:
        """The sum of all terms; None if more than one of them is not found."""
        for split in self._splits:
            self._search(split)
        missing = [split.places for split in self._splits if split.places not in self.found]
        if not self.found or len(missing) > 1 or (missing and not self._again(missing, rough=True)):
            return None
        least, expression = self._whole()
        for _ in range(_ROUNDS.rounds):
            if least < selection.FLOORS.rounding or self._deadline.passed():
                break
            doubtful, before = self._doubtful(least), dict(self.found)
            if not doubtful or not self._again(doubtful):
                break
            again, other = self._whole()
            if not again < least:
                self.found = before
                break
            least, expression = again, other
        size = 3.0 * len(self.found)  # a weight, a product and a sum each; the terms themselves have as few as any
        return Guess(lambda: self._problem.lift(expression), least, "sum of terms of groups of columns", size)

    def _search(self, split: Split) -> bool:
        part = part_of(self._problem, split, self._solve, self._deadline.share(_ROUNDS.share))
        if part is not None:
            self.found[split.places] = part
        return part is not None

    def _again(self, groups: Sequence[tuple[int, ...]], *, rough: bool = False) -> bool:
        """Search once more for the term of some columns, those of groups together; whether one is found.

        Args:
            rough: whether other terms may be wrong yet, so that one that errs as a polynomial does is good enough.
        """
        problem, places = self._problem, tuple(sorted(itertools.chain.from_iterable(groups)))
        others = self._values(groups)
        error, parts = self._beside(places, others)
        # What the other terms leave is nearly exact, since they keep their form.
        rest = problem.y if others is None else problem.y - parts[-1]
        if not self._search(Split(error, places, False, error if rough else 0.0, rest)):
            return False
        for group in groups:
            if group != places:
                self.found.pop(group, None)
        return True

    def _doubtful(self, least: float) -> list[tuple[int, ...]]:
        """The group whose term is not right, or the two groups that are one; empty if no polynomial leaves less."""

        def left(*groups: tuple[int, ...]) -> float:
            return self._beside(tuple(sorted(itertools.chain.from_iterable(groups))), self._values(groups))[0]

        found = {(group,): left(group) for group in self.found}
        one = min(found, key=lambda groups: found[groups])
        pairs = itertools.combinations(self.found, 2)
        both = {pair: left(*pair) for pair in pairs if sum(map(len, pair)) <= _ROUNDS.columns}
        two = min(both, key=lambda groups: both[groups], default=None)
        if two is not None and both[two] < _ROUNDS.alone * found[one]:
            return list(two) if both[two] < _ROUNDS.improves * least else []
        return list(one) if found[one] < _ROUNDS.improves * least else []

    def _values(self, without: Sequence[tuple[int, ...]] = ()) -> Tensor | None:
        """``[N, k]`` of all terms but those of some groups; None if there are no others."""
        some = [part.values for places, part in self.found.items() if places not in without]
        return torch.stack(some, -1) if some else None

    def _beside(self, places: tuple[int, ...], others: Tensor | None) -> tuple[float, list[Tensor]]:
        """A polynomial of some columns beside other terms: its error, and the values of both."""
        problem = self._problem
        return separate(problem.x, problem.y, problem.weight, problem.spread, [places], beside=others)

    def _whole(self) -> tuple[float, sympy.Expr]:
        """The error of a weighted sum of the terms, in units of the spread, and the sum."""
        import sympy

        problem, values = self._problem, self._values()
        if values is None:
            return math.inf, sympy.Integer(0)
        matrix = torch.cat([torch.ones_like(values[:, :1]), values], -1)
        weights = solved(matrix * problem.weight[:, None], problem.y * problem.weight)
        rest = (problem.y - matrix @ weights) * problem.weight
        offset, *factors = weights.tolist()
        terms = [factor * part.expression for factor, part in zip(factors, self.found.values(), strict=True)]
        return float(rest.square().mean().sqrt()) / problem.spread, sympy.Add(sympy.Float(offset), *terms)


__all__ = ["Backfitting"]
