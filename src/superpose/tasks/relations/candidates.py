"""A relation on its way: what is known of a set of columns while the search goes on."""

from __future__ import annotations

from dataclasses import dataclass, field

from superpose.tasks.relations import confirm, formulas
from superpose.tasks.relations.additive import Group, Sum
from superpose.tasks.relations.directed import Function
from superpose.tasks.relations.result import Inner

# Sums that explain at least so much are looked at even where no column is a function of the others.
IMPLICIT = 0.9
# A column on a curve is no function of the others if the network leaves so many times more than the sum does.
_IMPLICIT_FACTOR = 5.0
# A column may be the target if it leaves at most so many times more unexplained than the best one.
_NEARLY = 1.2
# A column with so little left unexplained is known from the others: it says nothing more about further columns.
KNOWN = 1e-4


@dataclass
class Tie:
    """A relation on its way: a sum, functions of its columns, or both."""

    columns: Group
    sum: Sum | None
    functions: list[Function] = field(default_factory=list)
    confirmed: confirm.Confirmed | None = None
    formula: formulas.Found | None = None
    inner: tuple[Inner, ...] = ()
    has_function: bool = False

    @property
    def best(self) -> Function | None:
        return min(self.functions, key=lambda one: one.unexplained, default=None)

    @property
    def implicit(self) -> bool:
        if self.has_function or self.sum is None or self.sum.unexplained > 1 - IMPLICIT:
            return False
        best = self.best
        # The functions of a sum may be such that noise hardly shows in them. What explains most of a column is a
        # function of it all the same.
        return best is None or best.unexplained > max(_IMPLICIT_FACTOR * self.sum.unexplained, 1 - IMPLICIT)

    @property
    def unexplained(self) -> float:
        if self.confirmed is not None:
            return self.confirmed.unexplained
        if self.implicit:
            assert self.sum is not None
            return self.sum.unexplained
        return 1.0 if self.best is None else self.best.unexplained

    @property
    def target(self) -> int:
        if self.formula is not None:
            return self.formula.target
        if self.implicit or self.best is None:
            assert self.sum is not None
            return self.sum.target
        return self.targets()[0]

    def targets(self) -> list[int]:
        """Columns that are functions of the others nearly as well as the best one, the likeliest effect first.

        Of two the later one comes first, since tables begin with what was chosen and end with what was measured.
        """
        if self.best is None:
            return []
        least = max(_NEARLY * self.best.unexplained, KNOWN)
        good = [one for one in self.functions if one.unexplained <= least]
        alone = None if self.sum is None else self.sum.alone

        def likely(one: Function) -> tuple[bool, float, int]:
            return one.target != alone, max(one.unexplained, KNOWN), -one.target

        return [one.target for one in sorted(good, key=likely)]
