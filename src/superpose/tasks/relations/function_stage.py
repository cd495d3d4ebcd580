"""The stage that finds columns which are functions of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from superpose.tasks.relations import directed
from superpose.tasks.relations.acceptance import Acceptance
from superpose.tasks.relations.additive import AdditiveRelation, Group, is_needed
from superpose.tasks.relations.candidates import RULES as CANDIDATE_RULES
from superpose.tasks.relations.candidates import CandidateRelation
from superpose.tasks.relations.directed import Function
from superpose.tasks.relations.result import EXACT
from superpose.tasks.relations.settings import RULES


class FunctionStage:
    """Learns columns from others.

    Args:
        acceptance: what is known so far; exact relations are added to it.
        pool: candidates that are not exact are appended to this list, for a later choice among all of them.
    """

    def __init__(self, acceptance: Acceptance, pool: list[CandidateRelation]) -> None:
        self.acceptance, self.pool = acceptance, pool
        self.columns, self.settings, self.clock = acceptance.columns, acceptance.settings, acceptance.clock

    def run(self, sums: Mapping[Group, AdditiveRelation]) -> None:
        """Find the columns that are functions of others; those that are determined best come first."""
        gains: Tensor | None = None
        targets = list(self.acceptance.undetermined)
        if len(self.columns) > RULES.max_features + 1:
            gains = directed.pairwise_gains(self.columns, self.settings.seed, self.clock.search_deadline)
            explained = {t: max(float(gains[j, t]) for j in targets if j != t) for t in targets}
            targets.sort(key=lambda t: -explained[t])
        wholes: dict[int, Function] = {}
        for target in targets:
            if self.clock.late():
                break
            whole = self.learn(target, self._features(target, gains))
            if whole is not None and 1 - whole.unexplained >= self.settings.threshold:
                wholes[target] = whole
        for target in sorted(wholes, key=lambda t: wholes[t].unexplained):
            if target not in self.acceptance.undetermined:
                continue
            if self.clock.late():
                return
            name = self.columns.names[target]
            with self.acceptance.failures.part(f"the fewest columns that explain {name} could not be found"):
                self._reduce(wholes[target], self._features(target, gains), sums)

    def _reduce(self, whole: Function, features: Sequence[int], sums: Mapping[Group, AdditiveRelation]) -> None:
        """Accept the function of the fewest columns if it is exact; otherwise add it to the pool."""
        found = directed.fewest(
            self.columns,
            whole.target,
            features,
            whole=whole if set(whole.features) == set(features) else None,
            min_explained=self.settings.threshold,
            seed=self.settings.seed,
            deadline=self.clock.search_deadline,
        )
        if found is None:
            return
        found = self._with_determined_columns(found)
        candidate = CandidateRelation(found.columns, sums.get(found.columns), [found])
        if found.unexplained < CANDIDATE_RULES.determined and not self.acceptance.is_redundant(found.columns):
            self.add_other_targets(candidate)
            self.acceptance.offer(candidate)
        else:
            self.pool.append(candidate)

    def _with_determined_columns(self, found: Function) -> Function:
        """The function with a determined column in place of another column of the same exact relation, if better.

        Better is to leave less unexplained, or to need fewer columns for the same.
        """
        for group, determined in self.acceptance.determined:
            for j in found.features:
                if j not in group or self.clock.late():
                    continue
                features = sorted({*found.features, determined} - {j})
                other = None if found.target in group else self.learn(found.target, features)
                # Unexplained shares below the accuracy of a small network are equal.
                if other is None or is_needed(max(found.unexplained, EXACT), max(other.unexplained, EXACT)):
                    continue
                fewer = directed.without_redundant_features(
                    self.columns,
                    other,
                    min_explained=self.settings.threshold,
                    seed=self.settings.seed,
                    deadline=self.clock.search_deadline,
                )
                if len(fewer.features) < len(found.features) or is_needed(fewer.unexplained, found.unexplained):
                    found = fewer
                    break
        return found

    def _features(self, target: int, gains: Tensor | None) -> list[int]:
        """The undetermined columns but the target; of many those that explain most of it."""
        features = [j for j in self.acceptance.undetermined if j != target]
        if gains is None or len(features) <= RULES.max_features:
            return features
        return sorted(sorted(features, key=lambda j: -float(gains[j, target]))[: RULES.max_features])

    def learn(self, target: int, features: Sequence[int]) -> Function | None:
        """A column as a function of these features; None without features, or if no network was finished."""
        if not features:
            return None
        deadline = self.clock.search_deadline
        name = self.columns.names[target]
        with self.acceptance.failures.part(f"no network could be trained for {name}", "other columns are learnt"):
            return directed.learn(self.columns, target, features, seed=self.settings.seed, deadline=deadline)
        return None

    def candidate_of(self, one: AdditiveRelation) -> CandidateRelation:
        """A sum as a candidate, with each of its columns as a function of the others."""
        candidate = CandidateRelation(one.columns, one)
        self.add_other_targets(candidate)
        return candidate

    def add_other_targets(self, candidate: CandidateRelation) -> None:
        """Learn the columns of the candidate that were not learnt yet."""
        known = {one.target for one in candidate.functions}
        for target in candidate.columns:
            if target not in known and not (candidate.functions and self.clock.late()):
                found = self.learn(target, [j for j in candidate.columns if j != target])
                if found is not None:
                    candidate.functions.append(found)
