"""The search for a law: tables are made smaller by symmetries, and guesses are made for every table on the way.

Guesses are rough. Each promising one is written in the columns of the whole table, where all of its constants are
fitted together; the error there is what counts. Tables wait in a queue, the clearest reduction first.
"""

from __future__ import annotations

import enum
import heapq
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from superpose.deadline import Deadline
from superpose.formulas import selection
from superpose.formulas.from_table.additive import additive
from superpose.formulas.from_table.backfitting import Backfitting
from superpose.formulas.from_table.composition_search import composition_guesses
from superpose.formulas.from_table.curve import stages
from superpose.formulas.from_table.expansions import expansions
from superpose.formulas.from_table.inner_constants import inner_constants
from superpose.formulas.from_table.interaction_groups import group_splits
from superpose.formulas.from_table.latent_sums import latent_sums
from superpose.formulas.from_table.law_pool import LawPool
from superpose.formulas.from_table.relations import relations
from superpose.formulas.from_table.ridges import ridges
from superpose.formulas.from_table.search_rules import LIMITS as _LIMITS
from superpose.formulas.from_table.search_rules import ORDER as _ORDER
from superpose.formulas.from_table.search_rules import SURROGATES as _SURROGATES
from superpose.formulas.from_table.simplification import floats
from superpose.formulas.from_table.splits import part_of, splits, taken_away, without
from superpose.formulas.from_table.subproblem import Guess, Subproblem, best_guesses
from superpose.formulas.from_table.surrogate import Surrogate
from superpose.formulas.from_table.symmetries import Reduction, reductions
from superpose.formulas.from_table.verified_reductions import leading_columns, verified_reductions
from superpose.formulas.from_table.wave_surrogate import WaveSurrogate, fit_wave_surrogate, one_phase
from superpose.partial import Failures
from superpose.stopping import StopReason

if TYPE_CHECKING:
    import sympy


_EXACT = selection.FLOORS.rounding
NOTHING_LEFT = "a formula leaves nothing to explain"
INTERRUPTED = "interrupted; the best found so far was kept"


class Stage(enum.Enum):
    """How thoroughly a table is searched, from what is quick and likely to what is slow."""

    FIRST = "surrogate, simplest terms, symmetries"
    GROUPS = "groups of columns"
    COMPOSITIONS = "compositions by their values"
    RELATIONS = "relations between products"
    CONSTANTS = "constants inside of terms"
    PARTS = "compositions and parts"
    SUMS = "sums of curves"
    TERMS = "all terms"


@dataclass(frozen=True)
class _Task:
    """A table to search.

    Attributes:
        parent_error: error of the surrogate of the table that it was made of.
        surrogate: None before the first stage.
        stage: what is to be done with it.
        waves: whether the surrogate of the table that it was made of has a wave.
    """

    problem: Subproblem
    parent_error: float
    surrogate: Surrogate | WaveSurrogate | None = None
    stage: Stage = Stage.FIRST
    waves: bool = False


# Tasks to be done next, with their priorities.
Following = list[tuple[float, _Task]]


class LawSearch:
    """One search, which leaves what it finds in a pool.

    Args:
        pool: of the table.
        deadline: of the search.

    Attributes:
        stop: why the search ended.
        failures: of the search of single tables; the others are searched all the same.
    """

    def __init__(self, pool: LawPool, deadline: Deadline) -> None:
        self.pool, self.deadline = pool, deadline
        self.stop = StopReason.NOT_RUN
        self.failures = Failures()
        # When the search ends if nothing simpler was found, once a law leaves noise.
        self._patience = Deadline()
        # Tables whose forms have been fitted.
        self._with_constants = 0
        # Tables of which groups of columns were taken away.
        self._grouped = 0
        # The table of fewest columns, but more than one, on the way to which nothing was lost.
        self._smallest: Subproblem | None = None
        self._smallest_columns, self._root_error = math.inf, math.inf
        # Tables of which relations were looked for.
        self._related = 0
        # Of compositions, once they were begun.
        self._expressions: Iterator[list[Guess]] | None = None

    def run(self) -> str:
        """Search until a law explains all that can be explained, or nothing is left to try; returns why it ended."""
        try:
            return self._run()
        except KeyboardInterrupt:
            self.stop = StopReason.INTERRUPTED
            return INTERRUPTED

    def _run(self) -> str:
        x, y = self.pool.x[: _LIMITS.rows], self.pool.y[: _LIMITS.rows]
        root = Subproblem(x, y, torch.ones_like(y), list(self.pool.symbols), self.pool.spread, lambda inner: inner)
        queue: list[tuple[float, int, _Task]] = [(0.0, 0, _Task(root, math.inf))]
        counter = itertools.count(1)
        done = False
        while queue and not done and not self.deadline.passed():
            priority, _, task = heapq.heappop(queue)
            for more, following in self._without_failure(task):
                if task.problem is following.problem:
                    more += max(priority, _ORDER.first)
                heapq.heappush(queue, (more, next(counter), following))
            done = self._done()
        if done or self.pool.found():
            self.stop = StopReason.CONVERGED
            return NOTHING_LEFT
        self.stop = StopReason.TIME_LIMIT if self.deadline.passed() else StopReason.CANDIDATES_EXHAUSTED
        return "the time was over" if self.deadline.passed() else "every reduction was tried"

    def _done(self) -> bool:
        """Whether a law leaves nothing to explain, and the time for finding a simpler one is over."""
        if self.pool.exact():
            return True
        if self.pool.found():
            # In noise a simpler law may do as well. One with many constants is likely to be an expansion of it.
            patience = _LIMITS.patience if floats(self.pool.best().expression) > _LIMITS.floats else 1.0
            self._patience = self._patience.sub(patience * max(_LIMITS.again, self.deadline.elapsed()))
        return self._patience.passed()

    def _consider(self, guesses: list[Guess], surrogate_error: float) -> None:
        self.pool.consider(guesses, surrogate_error, self.deadline)

    def _without_failure(self, task: _Task) -> Following:
        with self.failures.part(f"a part of the search by structure failed at the stage {task.stage.value!r}"):
            return self._searched(task)
        following = {Stage.PARTS: Stage.SUMS, Stage.SUMS: Stage.TERMS}.get(task.stage)
        return [] if following is None else [(_ORDER.later, replace(task, stage=following))]

    def _searched(self, task: _Task) -> Following:
        """Make guesses for a table; returns what is to be done next."""
        problem, surrogate = task.problem, task.surrogate
        if task.stage is Stage.COMPOSITIONS:
            # What is left beside noise is no composition that leaves nothing; few rows do not tell noise from that.
            if len(self.pool.y) > _LIMITS.few_rows and self.pool.found():
                return []
            return self._composed(task)
        if task.stage is Stage.CONSTANTS:
            self._constants(problem)
            return []
        if task.stage is Stage.RELATIONS and surrogate is not None:
            self._relations(problem, surrogate)
            return []
        if task.stage is Stage.GROUPS and surrogate is not None:
            return self._children(problem, surrogate, self._groups(problem, surrogate))
        if surrogate is None:
            following = self._first_stage(task)
            if following and problem.x.shape[1] <= _LIMITS.many:
                following.append((_ORDER.constants, replace(task, stage=Stage.CONSTANTS)))
            return following if problem.notes else [*following, self._compositions(task, following)]
        if problem.x.shape[1] == 1:
            for batch in stages(problem, self.deadline):
                self._consider(best_guesses(batch), surrogate.error)
                # In noise any smooth curve fits: the right one has to be among those that are compared.
                if self.pool.exact():
                    break
            return []
        if task.stage is Stage.PARTS:
            return [*self._parts(problem, surrogate), (_ORDER.next_stage, replace(task, stage=Stage.SUMS))]
        if task.stage is Stage.SUMS:
            wanted = _SURROGATES.splines * surrogate.error
            good = min(max(wanted, _SURROGATES.splines_least), _SURROGATES.splines_most)
            self._consider(additive(problem, good, self.deadline), max(surrogate.error, good))
            return [(_ORDER.later, replace(task, stage=Stage.TERMS))]
        self._consider(expansions(problem, self.deadline), surrogate.error)
        return []

    def _first_stage(self, task: _Task) -> Following:
        """Fit a surrogate, try the simplest terms, and find the symmetries."""
        problem, count = task.problem, task.problem.x.shape[1]
        if count == 0:
            self._consider([_constant(problem)], 1.0)
            return []
        loss = _SURROGATES.loss if task.parent_error > _SURROGATES.smooth else _SURROGATES.smooth_loss
        most = max(loss * task.parent_error, _SURROGATES.least_loss)
        surrogate = self._surrogate(task, most)
        if surrogate.error > most:
            # It holds less than the table that it was made of: no symmetry after all.
            return []
        if not problem.notes:
            self._root_error = surrogate.error
        elif 1 < count < self._smallest_columns and surrogate.error <= max(self._root_error, _SURROGATES.least_loss):
            self._smallest, self._smallest_columns = problem, count
        self.pool.floor = min(self.pool.floor, max(surrogate.error, _EXACT))
        note = " -> ".join(problem.notes) or "the table"
        self.pool.tell(f"{note}: {count} columns, a surrogate errs by {surrogate.error:.1e}")
        self._consider(expansions(problem, self.deadline, quick=True), surrogate.error)
        if problem.notes or count == 1:
            self._relations(problem, surrogate)
        # Nothing was lost on the way to a table that can be explained as well as any: it comes before doubtful ones.
        explained = surrogate.error <= max(_SURROGATES.as_good * self.pool.floor, _SURROGATES.rounding)
        first = _ORDER.sure_first if problem.notes and explained and count == 1 else _ORDER.later
        later = replace(task, surrogate=surrogate, stage=Stage.SUMS)
        if count == 1 or self._done() or self.deadline.passed():
            return [(first, later)]
        found = self._symmetries(problem, surrogate)
        if surrogate.error < _SURROGATES.smooth and all(one.violation > _LIMITS.sure for one in found):
            later = replace(later, stage=Stage.PARTS)
        if isinstance(surrogate, WaveSurrogate):
            # What polynomials say of smaller tables is no measure here.
            pass
        elif surrogate.error > _SURROGATES.oscillating:
            found += verified_reductions(problem, surrogate, self.deadline)
            found += ridges(problem.x, problem.y, problem.symbols)
        elif surrogate.error > _SURROGATES.smooth and not any(one.violation < _LIMITS.sure for one in found):
            # Derivatives say little yet. A column that scales the target is the most common of what they miss; of few
            # columns pairs are few too, and products such as those of (a d - b c)^3 show in no ratio of slopes.
            found += verified_reductions(problem, surrogate, self.deadline, pairs=count <= _LIMITS.many)
        following = [(first, later), *self._children(problem, surrogate, found)]
        if not problem.notes:
            # Of the whole table they take a second or two: after its compositions, which find short laws sooner.
            following.append((_ORDER.relations, replace(task, surrogate=surrogate, stage=Stage.RELATIONS)))
        if count > 2 and surrogate.error > _SURROGATES.smooth:
            following.append((_ORDER.groups, replace(task, surrogate=surrogate, stage=Stage.GROUPS)))
        return following

    def _relations(self, problem: Subproblem, surrogate: Surrogate | WaveSurrogate) -> None:
        """Guesses that fulfil one linear relation between products, for the first tables that come to it."""
        if self._done() or self._related >= _LIMITS.relations or self.pool.found():
            return
        # Of one column they take no time.
        self._related += problem.x.shape[1] > 1
        phase = surrogate.phase if isinstance(surrogate, WaveSurrogate) else None
        self._consider(relations(problem, phase), math.inf)

    def _surrogate(self, task: _Task, most: float) -> Surrogate | WaveSurrogate:
        """A polynomial, or one with a wave where polynomials fail."""
        problem, surrogate = task.problem, task.problem.surrogate()
        # Of few rows a wave may explain terms that are none, and hide that they stand apart.
        missed = surrogate.error > _SURROGATES.oscillating and len(problem.y) > _LIMITS.few_rows
        if not missed or (problem.notes and not (task.waves and surrogate.error > most)):
            return surrogate
        waves = fit_wave_surrogate(problem.x, problem.y, problem.weight, problem.spread, self.deadline)
        return surrogate if waves is None or waves.error > _SURROGATES.waves * surrogate.error else waves

    def _constants(self, problem: Subproblem) -> None:
        """Guesses with constants inside their terms, for the first tables that come to it."""
        # As with compositions.
        if len(self.pool.y) > _LIMITS.few_rows and self.pool.found():
            return
        if self._with_constants < _LIMITS.constants:
            self._with_constants += 1
            share = self.deadline.share(_LIMITS.constants_share)
            self._consider(inner_constants(problem, share), math.inf)

    def _composed(self, task: _Task) -> Following:
        """Compositions: of few rows the first, and all others behind the reductions; of many all at once."""
        few = len(self.pool.y) <= _LIMITS.few_rows
        if self._expressions is None:
            # Of fewer columns the expressions of the same size are far fewer.
            problem = task.problem if few or self._smallest is None else self._smallest
            self._expressions = composition_guesses(problem, self.deadline, _LIMITS.compositions)
        for guesses in self._expressions:
            self._consider(guesses, math.inf)
            if few and not self.pool.exact():
                return [(_ORDER.other_compositions - _ORDER.first, task)]
        return []

    def _compositions(self, task: _Task, following: Following) -> tuple[float, _Task]:
        few = len(self.pool.y) <= _LIMITS.few_rows
        # Where the surrogate shows little, its reductions are many and doubtful.
        clear = any(one.surrogate is None and priority < _ORDER.doubtful for priority, one in following)
        priority = _ORDER.few_rows if few else _ORDER.compositions if clear else _ORDER.doubtful
        return priority, replace(task, stage=Stage.COMPOSITIONS)

    def _symmetries(self, problem: Subproblem, surrogate: Surrogate | WaveSurrogate) -> list[Reduction]:
        """The reductions that a surrogate's derivatives suggest."""
        if surrogate.error >= _SURROGATES.rough:
            return []
        points, value, gradient, weight = self._derivatives(problem, surrogate)
        value, gradient = value * weight, gradient * weight[:, None]
        found: list[Reduction] = []
        if problem.x.shape[1] > _LIMITS.many and isinstance(surrogate, Surrogate):
            reach = points.std(0) * gradient.square().mean(0).sqrt()
            found += leading_columns(problem, surrogate.error, reach, self.deadline)
        if isinstance(surrogate, WaveSurrogate):
            found += one_phase(problem.x, problem.symbols, points, gradient, surrogate.phase)
        return [*found, *reductions(problem.x, problem.symbols, points, value, gradient)]

    def _derivatives(
        self, problem: Subproblem, surrogate: Surrogate | WaveSurrogate
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Rows ``[S, n]``, and the surrogate's values, its derivatives by every column, and the weights there."""
        points = problem.x[: _LIMITS.points]
        value, gradient = surrogate.gradient(points)
        usable = torch.isfinite(value) & torch.isfinite(gradient).all(-1)
        return points[usable], value[usable], gradient[usable], problem.weight[: _LIMITS.points][usable]

    def _parts(self, problem: Subproblem, surrogate: Surrogate | WaveSurrogate) -> Following:
        """Smaller tables for which curves, or laws of some of the columns, have to be found first."""
        points, _, gradient, _ = self._derivatives(problem, surrogate)
        found = latent_sums(problem, points, gradient, self.deadline)
        return self._children(problem, surrogate, [*found, *self._split(problem, surrogate)])

    def _children(self, problem: Subproblem, surrogate: Surrogate | WaveSurrogate, found: list[Reduction]) -> Following:
        """The tables of the clearest reductions."""
        following: Following = []
        least = max(_ORDER.rough * surrogate.error, _SURROGATES.rounding)

        def priority(one: Reduction) -> float:
            more = _ORDER.column * one.columns.shape[1] + _ORDER.factor * (one.factor is not None)
            more += _ORDER.alternative * one.alternative
            return math.log10(max(one.violation, least)) + more

        sure = any(one.violation < _LIMITS.sure for one in found)
        for one in sorted(found, key=priority)[: _LIMITS.children if sure else _LIMITS.noisy_children]:
            if not (one.violation < _LIMITS.violation and bool(torch.isfinite(one.columns).all())):
                continue
            child = problem.reduced(one)
            if bool(torch.isfinite(child.y).all()) and len(child.notes) <= _LIMITS.depth:
                waves = isinstance(surrogate, WaveSurrogate)
                following.append((priority(one), _Task(child, max(surrogate.error, one.rough), waves=waves)))
        return following

    def _groups(self, problem: Subproblem, surrogate: Surrogate | WaveSurrogate) -> list[Reduction]:
        """Sums of terms of groups of columns, and the tables that are left without the terms, or factors, found."""
        made: list[Reduction | None] = []
        one_sided = bool((problem.y > 0).all()) or bool((problem.y < 0).all())
        for product in (False, True) if one_sided else (False,):
            found = [] if self._grouped == _LIMITS.groups else group_splits(problem, surrogate.error, product=product)
            self._grouped += bool(found)
            share = self.deadline.share(_LIMITS.group_share)
            if found and not product:
                terms = Backfitting(problem, found, _part_found, share)
                whole = terms.run()
                self._consider([] if whole is None else [whole], surrogate.error)
                made += [taken_away(problem, terms.found, found[0])] if whole is None and terms.found else []
            elif found:
                parts = {one.places: part_of(problem, one, _part_found, share) for one in found[:-1]}
                known = {places: part for places, part in parts.items() if part is not None}
                made += [taken_away(problem, known, found[0])] if known else []
        return [one for one in made if one is not None]

    def _split(self, problem: Subproblem, surrogate: Surrogate | WaveSurrogate) -> Iterator[Reduction]:
        """Reductions by a term or a factor of some of the columns, found by a search of its own."""
        for split in itertools.islice(splits(problem, surrogate), _LIMITS.splits):
            made = without(problem, split, _part_found, self.deadline.share(_LIMITS.split_share))
            if made is not None:
                yield made


def _part_found(
    x: Tensor, y: Tensor, symbols: list[sympy.Symbol], enough: float, deadline: Deadline
) -> tuple[sympy.Expr, float] | None:
    """The best law of some of the columns and its error, found by a search of its own; None if there is none."""
    pool = LawPool(x, y, tuple(symbols), deadline=deadline, enough=enough)
    search = LawSearch(pool, deadline)
    search.run()
    if search.stop is StopReason.INTERRUPTED:
        raise KeyboardInterrupt
    # Errors below what is enough are those of the values themselves.
    usable = [law for law in pool.laws if not law.splines]
    best = min(usable, key=lambda law: replace(law, error=max(law.error, enough)).score, default=None)
    return None if best is None else (best.expression, best.error)


def _constant(problem: Subproblem) -> Guess:
    """The guess for a table without columns: the original target is a product of powers."""
    import sympy

    return Guess(lambda: problem.lift(sympy.Float(float(problem.y.mean()))), 0.0, "product of powers", 1.0)
