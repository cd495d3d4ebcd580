"""Candidate relations: what the search knows about a set of columns."""

from __future__ import annotations

from dataclasses import dataclass, field

from superpose.tasks.relations import confirm, formulas
from superpose.tasks.relations.additive import AdditiveRelation, Group
from superpose.tasks.relations.directed import Function
from superpose.tasks.relations.result import InnerFunction


@dataclass(frozen=True)
class CandidateRules:
    """Numbers that decide which kind a relation has, and its target. Chosen on the knot table and the test tables.

    Attributes:
        implicit: a sum must explain this share for an implicit relation, and no column may be explained to this share
            by the others. Before the second condition, ``x5 = x4**3`` with 10% of noise was reported as implicit.
        implicit_factor: the best function of a column leaves this many times more unexplained than an implicit sum.
        target_ratio: a column may be the target if it leaves at most so many times more unexplained than the best one.
        determined: a column with less left unexplained is determined by the others, and adds nothing to the relations
            of further columns.
    """

    implicit: float = 0.9
    implicit_factor: float = 5.0
    target_ratio: float = 1.2
    determined: float = 1e-4


RULES = CandidateRules()


@dataclass
class CandidateRelation:
    """Columns that may be related: by a sum, by functions, or by both.

    Attributes:
        columns: ascending.
        sum: an additive relation of the columns, if there is one.
        functions: some of the columns as functions of the others.
        confirmed: the result of the last test, once it was made.
        formula: if one was found.
        inner: the functions of the sum, for an additive relation.
        has_function: a formula shows that a column is a function of the others, although networks do not.
    """

    columns: Group
    sum: AdditiveRelation | None
    functions: list[Function] = field(default_factory=list)
    confirmed: confirm.Confirmed | None = None
    formula: formulas.RelationFormula | None = None
    inner: tuple[InnerFunction, ...] = ()
    has_function: bool = False

    @property
    def best(self) -> Function | None:
        """The function that leaves the smallest share unexplained."""
        return min(self.functions, key=lambda one: one.unexplained, default=None)

    @property
    def implicit(self) -> bool:
        """Whether no column is a function of the others, as on a circle."""
        if self.has_function or self.sum is None or self.sum.unexplained > 1 - RULES.implicit:
            return False
        best = self.best
        # The functions of a sum may hide the noise of a column; then the column is a function of the others after all.
        return best is None or best.unexplained > max(RULES.implicit_factor * self.sum.unexplained, 1 - RULES.implicit)

    @property
    def unexplained(self) -> float:
        """Share of the target's variance that is left, by the most reliable estimate so far."""
        if self.confirmed is not None:
            return self.confirmed.unexplained
        if self.implicit:
            assert self.sum is not None
            return self.sum.unexplained
        return 1.0 if self.best is None else self.best.unexplained

    @property
    def target(self) -> int:
        """The column that is best written as a function of the others."""
        if self.formula is not None:
            return self.formula.target
        if self.implicit or self.best is None:
            assert self.sum is not None
            return self.sum.target
        return self.targets()[0]

    def targets(self) -> list[int]:
        """Columns that are functions of the others nearly as well as the best one, the likeliest effect first.

        Of two equally likely columns the later one comes first: tables usually begin with the settings of an
        experiment and end with its measurements.
        """
        if self.best is None:
            return []
        least = max(RULES.target_ratio * self.best.unexplained, RULES.determined)
        good = [one for one in self.functions if one.unexplained <= least]
        opposed = None if self.sum is None else self.sum.opposed

        def likely(one: Function) -> tuple[bool, float, int]:
            return one.target != opposed, max(one.unexplained, RULES.determined), -one.target

        return [one.target for one in sorted(good, key=likely)]
