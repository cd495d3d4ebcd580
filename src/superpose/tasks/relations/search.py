"""relations: which columns of a table depend on one another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from superpose.checks import check_positive, check_seed, check_whole
from superpose.errors import OptionError
from superpose.stopping import StopReason
from superpose.tasks.relations.acceptance import Acceptance
from superpose.tasks.relations.additive import NEEDED, AdditiveRelation, SplineCovariance, additive_relations
from superpose.tasks.relations.candidates import RULES as CANDIDATE_RULES
from superpose.tasks.relations.candidates import CandidateRelation
from superpose.tasks.relations.columns import Columns, read_columns
from superpose.tasks.relations.formula_stage import FormulaStage
from superpose.tasks.relations.function_stage import FunctionStage
from superpose.tasks.relations.result import Relation, Relations
from superpose.tasks.relations.settings import RULES, Listener, SearchClock, SearchSettings


def relations(
    table: Any,
    *,
    columns: Sequence[str] | None = None,
    threshold: float = 0.5,
    seeds: int = 3,
    time_limit: float = 180.0,
    formulas: bool = True,
    seed: int = 0,
    listener: Listener | None = None,
) -> Relations:
    """Find which columns of a table depend on one another, and by which formulas.

    A relation is a smallest set of columns that are not independent: each column is needed, and the relation does not
    follow from stronger relations. No target has to be named.

    Args:
        table: a path, a data frame, a :class:`~superpose.Dataset`, or an array ``[N, n]``; at least 30 rows.
        columns: names of the columns to examine; by default all columns of numbers that vary.
        threshold: the smallest share of a column's variance on held-out rows that a relation must explain.
        seeds: number of divisions into training and held-out rows on which each relation is tested.
        time_limit: seconds for everything.
        formulas: whether to look for formulas.
        seed: of every random choice.
        listener: called with a short sentence whenever something was found.

    Returns:
        :class:`Relations`, the exact ones first. If a person interrupts, those found so far.

    Raises:
        FileError: if a file cannot be read.
        DataError: if the table cannot be used.
        OptionError: for options that make no sense.
        KeyboardInterrupt: if a person interrupts before anything was found.

    >>> import torch
    >>> x = torch.rand(300, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    >>> found = relations(torch.cat([x, x[:, :1] + x[:, 1:2]], 1), formulas=False)
    >>> [relation.columns for relation in found], found.unrelated
    ([('x1', 'x2', 'x4')], ('x3',))
    """
    check_positive("threshold", threshold)
    check_positive("time_limit", time_limit, unit="seconds")
    if threshold >= 1:
        raise OptionError(f"threshold is a share of the variance and must be below 1, not {threshold!r}")
    check_whole("seeds", seeds, most=100)
    # Further splits are drawn with seeds derived from this one.
    check_seed(seed, reserved=1000)
    settings = SearchSettings(float(threshold), int(seeds), float(time_limit), formulas, int(seed))
    return RelationSearch(read_columns(table, columns), settings, listener or (lambda event: None)).run()


class RelationSearch:
    """The stages of :func:`relations`, from exact relations to weak ones, then their formulas."""

    def __init__(self, columns: Columns, settings: SearchSettings, listener: Listener) -> None:
        self.columns, self.settings, self.tell = columns, settings, listener
        self.clock = SearchClock(settings)
        self.acceptance = Acceptance(columns, settings, self.clock, listener)
        self.pool: list[CandidateRelation] = []

    def run(self) -> Relations:
        """All stages. After an interruption the candidates so far are judged, and nothing more is learnt."""
        stop, reason = StopReason.CANDIDATES_EXHAUSTED, "every column was looked at"
        try:
            self._stages()
        except KeyboardInterrupt:
            stop, reason = StopReason.INTERRUPTED, "interrupted; what was found so far was kept"
            self.clock.end_search()
            self.acceptance.accept_strongest_first(self.pool)
            if not self.acceptance.accepted:
                raise
        made = [self._relation(one) for one in self.acceptance.accepted if self.acceptance.holds(one)]
        made.sort(key=lambda one: (not one.exact, 0.0 if one.exact else one.unexplained, len(one.columns)))
        if stop is not StopReason.INTERRUPTED and self.clock.time_is_over():
            stop, reason = StopReason.TIME_LIMIT, "the time was over"
        return Relations(
            found=tuple(made),
            columns=self.columns.names,
            left_out=self.columns.left_out,
            rows=self.columns.n_rows,
            threshold=self.settings.threshold,
            reason=reason,
            stop=stop,
            seconds=self.clock.deadline.elapsed(),
            source=self.columns.source,
            failures=self.acceptance.failures,
        )

    def _stages(self) -> None:
        covariances = [SplineCovariance(self.columns, seed) for seed in self.settings.splits()]
        self.acceptance.covariances = covariances
        every = range(len(self.columns))
        deadline = self.clock.search_deadline
        sums: Sequence[AdditiveRelation] = []
        part = self.acceptance.failures.part
        with part("sums of single columns could not be searched", "functions of several columns are"):
            sums = additive_relations(covariances[0], every, self._min_explained(), deadline=deadline)
        self.tell(f"{len(sums)} sums of single columns hardly vary")
        functions = FunctionStage(self.acceptance, self.pool)
        kept = "what was found elsewhere is kept"
        with part("not all exact sums of single columns could be examined", kept):
            self._accept_exact_sums(sums, functions)
        with part("not all columns could be examined as functions of others", kept):
            functions.run({one.columns: one for one in sums})
        with part("not all sums of single columns could be examined", kept):
            self._add_inexact_sums(sums, functions)
        self.acceptance.accept_strongest_first(self.pool)
        self.pool = []
        FormulaStage(self.acceptance).run(self.acceptance.accepted)

    def _min_explained(self) -> float:
        """The share that a sum has to explain: the threshold, or more if sums of permuted columns come near it."""
        permuted = SplineCovariance(self.columns, self.settings.seed, permuted=True)
        every = range(len(self.columns))
        by_chance = additive_relations(permuted, every, 0.0, deadline=self.clock.search_deadline)
        best = max((1 - one.unexplained for one in by_chance), default=0.0)
        wanted = min(self.settings.threshold, CANDIDATE_RULES.implicit)
        return max(wanted, min(RULES.chance_factor * best, RULES.max_chance))

    def _accept_exact_sums(self, sums: Sequence[AdditiveRelation], functions: FunctionStage) -> None:
        """Accept sums that are constant to the accuracy of the splines, the smallest and most linear first."""
        exact = [one for one in sums if one.unexplained < NEEDED.exact]
        for one in sorted(exact, key=lambda one: (len(one.columns), round(one.nonlinearity, 3), one.unexplained)):
            if self.clock.late():
                return
            if not self.acceptance.is_redundant(one.columns):
                self.acceptance.offer(functions.candidate_of(one))

    def _add_inexact_sums(self, sums: Sequence[AdditiveRelation], functions: FunctionStage) -> None:
        """Add the strongest sums that are not exact to the pool."""
        known = {one.columns for one in (*self.pool, *self.acceptance.accepted)}
        undetermined = set(self.acceptance.undetermined)
        chosen = [
            one
            for one in sorted(sums, key=lambda one: one.unexplained)
            if one.columns not in known
            and set(one.columns) <= undetermined
            and not self.acceptance.is_redundant(one.columns)
        ]
        for one in chosen[: RULES.max_inexact]:
            if self.clock.late():
                return
            self.pool.append(functions.candidate_of(one))

    def _relation(self, one: CandidateRelation) -> Relation:
        FormulaStage(self.acceptance).describe(one)
        assert one.confirmed is not None
        unexplained = one.confirmed.unexplained
        if one.formula is not None:
            unexplained = min(unexplained, one.formula.error**2)
        return Relation(
            columns=self.columns.named(one.columns),
            target=self.columns.names[one.target],
            implicit=one.implicit,
            strength=1 - unexplained,
            unexplained=unexplained,
            formula=None if one.formula is None else one.formula.formula,
            error=None if one.formula is None else one.formula.error,
            equation=None if one.formula is None else one.formula.equation,
            separation=one.confirmed.separation,
            seeds_agreeing=one.confirmed.agreeing,
            seeds=one.confirmed.seeds,
            inner=one.inner,
        )
