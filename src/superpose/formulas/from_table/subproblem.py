"""A subproblem: a table made of the original one by reductions, and the way back to the original columns."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torch import Tensor

from superpose.formulas import selection
from superpose.formulas.expressions.splines import SplineEdge
from superpose.formulas.from_table.surrogate import KINDS, Surrogate, fit_surrogate
from superpose.formulas.from_table.symmetries import Reduction

if TYPE_CHECKING:
    import sympy


@dataclass(frozen=True)
class Guess:
    """An expression for the original target in the original columns, its constants only roughly known.

    Attributes:
        make: makes the expression; most guesses are never used, and making them all would take most of the time.
        error: estimated root mean squared error, in units of the original target's standard deviation.
        note: how it was found.
        size: about as many nodes as the expression has beside those that all guesses of its table share.
        splines: the splines in it, by their names.
    """

    make: Callable[[], sympy.Expr] = field(repr=False)
    error: float
    note: str
    size: float
    splines: Mapping[str, SplineEdge] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """Error and complexity together, as far as they are known; less is better."""
        return selection.score(self.error, self.size)

    @functools.cached_property
    def expression(self) -> sympy.Expr:
        """Of the original symbols."""
        return self.make()


def best_guesses(found: list[Guess], count: int = 8) -> list[Guess]:  # a round number
    """The guesses with the best scores, each expression once."""
    kept: list[Guess] = []
    for guess in sorted(found, key=lambda guess: guess.score):
        if all(guess.expression != other.expression for other in kept):
            kept.append(guess)
        if len(kept) == count:
            break
    return kept


@dataclass(frozen=True)
class Subproblem:
    """A table, and how its target makes up the original one.

    Attributes:
        x: ``[N, n]`` columns.
        y: ``[N]`` target.
        weight: ``[N]`` how the original target moves with this one.
        symbols: of the columns.
        spread: standard deviation of the original target: errors are measured by it.
        lift: from an expression of the symbols for this target to one of the original symbols for the original.
        notes: the reductions that led here.
    """

    x: Tensor
    y: Tensor
    weight: Tensor
    symbols: list[sympy.Symbol]
    spread: float
    lift: Callable[[sympy.Expr], sympy.Expr]
    notes: tuple[str, ...] = ()

    def surrogate(self, kinds: Collection[str] = KINDS) -> Surrogate:
        """A surrogate for the table, a polynomial of one of some functions of the target."""
        return fit_surrogate(self.x, self.y, self.weight, self.spread, kinds=kinds)

    def reduced(self, reduction: Reduction) -> Subproblem:
        """The smaller table of a reduction."""
        import sympy

        depth = len(self.notes) + 1
        symbols = [sympy.Symbol(f"_{depth}_{n}", real=True) for n in range(len(reduction.expressions))]
        back = dict(zip(symbols, reduction.expressions, strict=True))
        y, weight = self.y, self.weight
        if reduction.term is not None:
            y = y - reduction.term
        if reduction.factor is not None:
            y, weight = y / reduction.factor, weight * reduction.factor.abs()

        def lift(expression: sympy.Expr) -> sympy.Expr:
            made = reduction.factor_expression * expression.xreplace(back)
            return self.lift(made if reduction.term_expression is None else reduction.term_expression + made)

        notes = (*self.notes, reduction.note)
        return Subproblem(reduction.columns, y, weight, symbols, self.spread, lift, notes)
