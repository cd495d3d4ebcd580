"""The stage that finds formulas for the accepted relations."""

from __future__ import annotations

from collections.abc import Sequence

from superpose.tasks.relations.acceptance import Acceptance
from superpose.tasks.relations.additive import NEEDED
from superpose.tasks.relations.candidates import CandidateRelation
from superpose.tasks.relations.formulas import FormulaSearch, RelationFormula, inner_functions
from superpose.tasks.relations.settings import RULES

_KEPT = "the relation itself is complete"


class FormulaStage:
    """Finds formulas, and the inner functions of additive relations."""

    def __init__(self, acceptance: Acceptance) -> None:
        self.acceptance = acceptance
        self.columns, self.settings, self.tell = acceptance.columns, acceptance.settings, acceptance.tell

    def run(self, relations: Sequence[CandidateRelation]) -> None:
        """Give each relation an equal share of the time that is left when its turn comes."""
        for n, one in enumerate(relations):
            if one.formula is None:
                names = ", ".join(self.columns.named(one.columns))
                with self.acceptance.failures.part(f"no formula could be found for {names}", _KEPT):
                    self._find(one, 1 / (len(relations) - n))

    def describe(self, one: CandidateRelation) -> None:
        """Add the inner functions if the sum explains about as much as the relation."""
        if one.inner or one.sum is None or one.sum.unexplained > max(2 * one.unexplained, NEEDED.exact):
            return
        covariance, group = self.acceptance.covariances[0], one.columns
        names = ", ".join(self.columns.named(group))
        with self.acceptance.failures.part(f"the functions in the sum of {names} could not be named", _KEPT):
            one.inner = inner_functions(self.columns, group, lambda rows: covariance.curves(group, rows))

    def _find(self, one: CandidateRelation, share: float) -> None:
        left = self.acceptance.clock.deadline.left()
        most = RULES.max_formula_seconds * (1.0 if one.unexplained < RULES.noisy else 0.5)
        seconds = min(most, share * left)
        if not self.settings.formulas or seconds < RULES.min_formula_seconds:
            return
        names = ", ".join(self.columns.named(one.columns))
        search = FormulaSearch(
            self.columns,
            one.columns,
            self.settings.seed,
            seconds,
            lambda event: self.tell(f"{names}: {event}"),
            self.acceptance.failures,
        )
        if one.implicit:
            self.describe(one)
            max_error = max(2 * one.unexplained, RULES.power_error) ** 0.5
            found = search.implicit(one.inner, self.acceptance.covariances[0].functions, max_error)
            if found is None:
                found = self._explicit_after_all(one, search)
        else:
            found = search.explicit(one.targets())
        if found is not None and 1 - found.error**2 >= self.settings.threshold:
            one.formula = found

    def _explicit_after_all(self, one: CandidateRelation, search: FormulaSearch) -> RelationFormula | None:
        """A formula for a column that networks learn badly, as with long tails, if it is as good as the sum."""
        ordered = sorted(one.functions, key=lambda function: function.unexplained)
        targets = [f.target for f in ordered if 1 - f.unexplained >= self.settings.threshold]
        found = search.explicit(targets) if targets else None
        if found is None or found.error**2 > one.unexplained:
            return None
        one.has_function = True
        return found
