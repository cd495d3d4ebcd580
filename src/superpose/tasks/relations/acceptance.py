"""Acceptance of candidate relations: the strongest first, each confirmed and not redundant."""

from __future__ import annotations

from collections.abc import Sequence

from superpose.partial import Failures
from superpose.tasks.relations import confirm
from superpose.tasks.relations.additive import Group, SplineCovariance, is_needed
from superpose.tasks.relations.candidates import RULES, CandidateRelation
from superpose.tasks.relations.columns import Columns
from superpose.tasks.relations.redundancy import is_redundant
from superpose.tasks.relations.settings import Listener, SearchClock, SearchSettings


class Acceptance:
    """The relations that were accepted so far.

    Args:
        columns, settings, clock: of the search.
        listener: called with a sentence for each relation.

    Attributes:
        accepted: in the order of their acceptance.
        covariances: one for each division of the rows.
        undetermined: columns that no exact relation determines.
        determined: exact relations with the column that each determines. Further relations are searched among the
            other columns, since with a determined column they would be found several times.
        failures: of parts of the search.
    """

    def __init__(self, columns: Columns, settings: SearchSettings, clock: SearchClock, listener: Listener) -> None:
        self.columns, self.settings, self.clock, self.tell = columns, settings, clock, listener
        self.accepted: list[CandidateRelation] = []
        self.covariances: list[SplineCovariance] = []
        self.undetermined = list(range(len(columns)))
        self.determined: list[tuple[Group, int]] = []
        self.failures = Failures()

    def is_redundant(self, columns: Group) -> bool:
        """Whether a relation among these columns follows from the accepted relations, or is a part of one.

        A cause and its effect are related even if a second cause is left out. Two causes are not related because of
        that, so a subset without the target may be a relation of its own.
        """
        for one in self.accepted:
            inside = set(columns) <= set(one.columns)
            if inside and (one.implicit or one.target in columns or len(columns) == len(one.columns)):
                return True
        return is_redundant(columns, [one.columns for one in self.accepted])

    def accept_strongest_first(self, candidates: Sequence[CandidateRelation]) -> None:
        """Offer all candidates; a subset of a candidate goes first if the further columns are not needed."""
        waiting = sorted(candidates, key=lambda one: (one.unexplained, len(one.columns)))
        while waiting:
            best = waiting[0]
            smaller = (
                one
                for one in waiting
                if set(one.columns) < set(best.columns) and not is_needed(best.unexplained, one.unexplained)
            )
            best = next(smaller, best)
            waiting = [one for one in waiting if one is not best]
            names = ", ".join(self.columns.named(best.columns))
            with self.failures.part(f"a relation of {names} could not be confirmed", "it is left out"):
                self.offer(best)

    def offer(self, candidate: CandidateRelation) -> None:
        """Accept a candidate if it reaches the threshold, is not redundant, and is confirmed on other divisions."""
        settings = self.settings
        if 1 - candidate.unexplained < settings.threshold or self.is_redundant(candidate.columns):
            return
        if candidate.implicit:
            candidate.confirmed = confirm.of_sum(self.columns, self.covariances, candidate.columns, settings.threshold)
        elif candidate.best is not None:
            candidate.confirmed = confirm.of_function(
                self.columns, candidate.best, settings.splits(), settings.threshold, self.clock.search_deadline
            )
        if not self.holds(candidate):
            return
        self.accepted.append(candidate)
        names = ", ".join(self.columns.named(candidate.columns))
        self.tell(f"{names}: {100 * (1 - candidate.unexplained):.4g}% explained")
        if candidate.unexplained < RULES.determined and not candidate.implicit:
            self._exclude_determined(candidate)

    def holds(self, candidate: CandidateRelation) -> bool:
        """Whether a candidate was confirmed on more than half of the divisions."""
        done = candidate.confirmed
        return done is not None and 1 - done.unexplained >= self.settings.threshold and 2 * done.agreeing > done.seeds

    def _exclude_determined(self, candidate: CandidateRelation) -> None:
        for target in (candidate.target, *candidate.targets()):
            if target in self.undetermined:
                self.undetermined.remove(target)
                self.determined.append((candidate.columns, target))
                return
