"""relations: which columns of a table depend on one another."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from superpose.checks import check_positive, check_seed, check_whole
from superpose.errors import OptionError
from superpose.stopping import StopReason
from superpose.tasks.relations import confirm, directed, formulas
from superpose.tasks.relations.additive import FINE, Additive, Group, Sum, adds, candidates
from superpose.tasks.relations.candidates import IMPLICIT, KNOWN, Tie
from superpose.tasks.relations.columns import Columns, read_columns
from superpose.tasks.relations.directed import Function
from superpose.tasks.relations.redundant import implied
from superpose.tasks.relations.result import EXACT, Relation, Relations

Listener = Callable[[str], None]

# A power may leave so much of an inner function, or twice what the relation leaves.
_LIKE_A_POWER = 0.01
# With more columns than this, a network reads those that tell most about its target.
_MOST_FEATURES = 12
# So many sums of single columns are learnt as functions, the strongest first.
_MOST_WEAK = 20
# Share of the time for finding relations; the rest is for formulas.
_SEARCH = 0.6
_MOST_SECONDS, _LEAST_SECONDS = 40.0, 4.0
# Where more is left unexplained there may be no formula to be found: half of that time then.
_NOISY = 0.02


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

    Nothing is told which column is an effect and which a cause. A relation is a smallest set of columns that are not
    independent: each of them is needed, and none follows from relations that are stronger.

    Args:
        table: a path, a data frame, a :class:`~superpose.Dataset`, or an array ``[N, n]``; at least 30 rows.
        columns: names of the columns to look at; all that hold numbers which vary if left out.
        threshold: the least share of a column's variance, on rows held out, that a relation explains.
        seeds: on how many divisions into training and held-out rows each relation is tried.
        time_limit: seconds for everything.
        formulas: whether to look for formulas.
        seed: of every random choice.
        listener: called with a short sentence whenever something was reached.

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
    >>> [relation.columns for relation in found], found.free
    ([('x1', 'x2', 'x4')], ('x3',))
    """
    check_positive("threshold", threshold)
    check_positive("time_limit", time_limit, unit="seconds")
    if threshold >= 1:
        raise OptionError(f"threshold is a share of the variance and must be below 1, not {threshold!r}")
    check_whole("seeds", seeds, most=100)
    # Further splits are drawn with seeds derived from this one.
    check_seed(seed, reserved=1000)
    settings = _Settings(float(threshold), int(seeds), float(time_limit), formulas, int(seed))
    return _Search(read_columns(table, columns), settings, listener or (lambda event: None)).run()


@dataclass(frozen=True)
class _Settings:
    threshold: float
    seeds: int
    time_limit: float
    formulas: bool
    seed: int

    def splits(self) -> list[int]:
        return [self.seed + n for n in range(self.seeds)]


class _Search:
    def __init__(self, columns: Columns, settings: _Settings, listener: Listener) -> None:
        self.columns, self.settings, self.tell = columns, settings, listener
        self.began = time.monotonic()
        self.deadline = self.began + settings.time_limit
        self.search_ends = self.began + (_SEARCH if settings.formulas else 1.0) * settings.time_limit
        self.sums: list[Additive] = []
        self.ties: list[Tie] = []
        self.pool: list[Tie] = []
        self.kept = list(range(len(columns)))
        self.aside: list[tuple[Group, int]] = []
        self.cut_short = False

    def run(self) -> Relations:
        stop, reason = StopReason.CANDIDATES_EXHAUSTED, "every column was looked at"
        try:
            self._run()
        except KeyboardInterrupt:
            stop, reason = StopReason.INTERRUPTED, "interrupted; what was found so far was kept"
            # What was found is judged by what is known of it: nothing more is learnt.
            self.search_ends = time.monotonic()
            self._accept_pool()
            if not self.ties:
                raise
        made = [self._relation(tie) for tie in self.ties if self._holds(tie)]
        made.sort(key=lambda one: (not one.exact, 0.0 if one.exact else one.unexplained, len(one.columns)))
        if stop is not StopReason.INTERRUPTED and (self.cut_short or time.monotonic() > self.deadline):
            stop, reason = StopReason.TIME_LIMIT, "the time was over"
        return Relations(
            found=tuple(made),
            columns=self.columns.names,
            left_out=self.columns.left_out,
            rows=self.columns.n_rows,
            threshold=self.settings.threshold,
            reason=reason,
            stop=stop,
            seconds=time.monotonic() - self.began,
            source=self.columns.source,
        )

    def _run(self) -> None:
        self.sums = [Additive(self.columns, seed) for seed in self.settings.splits()]
        sums = candidates(self.sums[0], self.kept, self._least_sum(), deadline=self.search_ends)
        self.tell(f"{len(sums)} sums of single columns hardly vary")
        self._exact(sums)
        self._functions({one.columns: one for one in sums})
        self._weak(sums)
        self._accept_pool()
        self._formulas()

    def _least_sum(self) -> float:
        """The share that a sum explains at least: the threshold, or more if chance alone comes near it."""
        chance = Additive(self.columns, self.settings.seed, permuted=True)
        pure = candidates(chance, self.kept, 0.0, deadline=self.search_ends)
        by_chance = max((1 - one.unexplained for one in pure), default=0.0)
        return max(min(self.settings.threshold, IMPLICIT), min(1.5 * by_chance, 0.99))

    def _late(self) -> bool:
        if time.monotonic() > self.search_ends:
            self.cut_short = True
        return self.cut_short

    # -- the three kinds

    def _exact(self, sums: Sequence[Sum]) -> None:
        """Sums that are constant to the accuracy of the splines, the smallest and straightest first."""
        exact = [one for one in sums if one.unexplained < FINE]
        for one in sorted(exact, key=lambda one: (len(one.columns), round(one.bend, 3), one.unexplained)):
            if self._late():
                return
            if not self._implied(one.columns):
                self._accept(self._tie(one))

    def _functions(self, sums: Mapping[Group, Sum]) -> None:
        """Columns that are functions of others, whatever the functions are."""
        gained, targets = None, list(self.kept)
        if len(self.columns) > _MOST_FEATURES + 1:
            gained = directed.gains(self.columns, self.settings.seed, self.search_ends)
            targets.sort(key=lambda t: -float(gained[[j for j in self.kept if j != t], t].max()))
        wholes: dict[int, Function] = {}
        for target in targets:
            if self._late():
                break
            whole = self._learn(target, self._telling(target, gained))
            if whole is not None and 1 - whole.unexplained >= self.settings.threshold:
                wholes[target] = whole
        for target in sorted(wholes, key=lambda t: wholes[t].unexplained):
            if target not in self.kept:
                continue
            if self._late():
                return
            whole = wholes[target]
            features = self._telling(target, gained)
            found = directed.fewest(
                self.columns,
                target,
                features,
                whole=whole if set(whole.features) == set(features) else None,
                least=self.settings.threshold,
                seed=self.settings.seed,
                deadline=self.search_ends,
            )
            if found is None:
                continue
            found = self._swapped(found)
            tie = Tie(found.columns, sums.get(found.columns), [found])
            if found.unexplained < KNOWN and not self._implied(found.columns):
                self._other_targets(tie)
                self._accept(tie)
            else:
                self.pool.append(tie)

    def _swapped(self, found: Function) -> Function:
        """The function with columns that were set aside in place of others of their law, where that is better.

        Better is to leave less unexplained, or to need fewer columns for the same.
        """
        for law, aside in self.aside:
            for j in found.features:
                if j not in law or self._late():
                    continue
                features = sorted({*found.features, aside} - {j})
                other = None if found.target in law else self._learn(found.target, features)
                # Below the accuracy of a small network one exact law is as good as another.
                if other is None or adds(max(found.unexplained, EXACT), max(other.unexplained, EXACT)):
                    continue
                fewer = directed.without_idle(
                    self.columns,
                    other,
                    least=self.settings.threshold,
                    seed=self.settings.seed,
                    deadline=self.search_ends,
                )
                if len(fewer.features) < len(found.features) or adds(fewer.unexplained, found.unexplained):
                    found = fewer
                    break
        return found

    def _telling(self, target: int, gained: Any) -> list[int]:
        features = [j for j in self.kept if j != target]
        if gained is None or len(features) <= _MOST_FEATURES:
            return features
        return sorted(sorted(features, key=lambda j: -float(gained[j, target]))[:_MOST_FEATURES])

    def _weak(self, sums: Sequence[Sum]) -> None:
        """Sums that are not exact, learnt as functions of one of their columns."""
        known = {tie.columns for tie in (*self.pool, *self.ties)}
        chosen = [
            one
            for one in sorted(sums, key=lambda one: one.unexplained)
            if one.columns not in known and set(one.columns) <= set(self.kept) and not self._implied(one.columns)
        ]
        for one in chosen[:_MOST_WEAK]:
            if self._late():
                return
            self.pool.append(self._tie(one))

    # -- one relation

    def _learn(self, target: int, features: Sequence[int]) -> Function | None:
        if not features:
            return None
        return directed.learn(self.columns, target, features, seed=self.settings.seed, deadline=self.search_ends)

    def _tie(self, one: Sum) -> Tie:
        tie = Tie(one.columns, one)
        self._other_targets(tie)
        return tie

    def _other_targets(self, tie: Tie) -> None:
        """Learn each column of the relation from the others."""
        known = {one.target for one in tie.functions}
        for target in tie.columns:
            if target not in known and not (tie.functions and self._late()):
                found = self._learn(target, [j for j in tie.columns if j != target])
                if found is not None:
                    tie.functions.append(found)

    def _implied(self, columns: Group) -> bool:
        """Whether a set follows from the relations accepted so far, or is the shadow of one.

        A cause and its effect are related even if a second cause is left out; two causes are not, unless they are
        related by themselves.
        """
        for tie in self.ties:
            inside = set(columns) <= set(tie.columns)
            if inside and (tie.implicit or tie.target in columns or len(columns) == len(tie.columns)):
                return True
        return implied(columns, [tie.columns for tie in self.ties])

    def _accept_pool(self) -> None:
        waiting = sorted(self.pool, key=lambda tie: (tie.unexplained, len(tie.columns)))
        while waiting:
            tie = waiting[0]
            # One with a column more that adds little follows, once the smaller one is told.
            smaller = (
                one
                for one in waiting
                if set(one.columns) < set(tie.columns) and not adds(tie.unexplained, one.unexplained)
            )
            tie = next(smaller, tie)
            waiting = [one for one in waiting if one is not tie]
            self._accept(tie)
        self.pool = []

    def _accept(self, tie: Tie) -> None:
        if 1 - tie.unexplained < self.settings.threshold or self._implied(tie.columns):
            return
        if tie.implicit:
            tie.confirmed = confirm.of_sum(self.columns, self.sums, tie.columns, self.settings.threshold)
        elif tie.best is not None:
            tie.confirmed = confirm.of_function(
                self.columns, tie.best, self.settings.splits(), self.settings.threshold, self.search_ends
            )
        if not self._holds(tie):
            return
        self.ties.append(tie)
        names = ", ".join(self.columns.named(tie.columns))
        self.tell(f"{names}: {100 * (1 - tie.unexplained):.4g}% explained")
        if tie.unexplained < KNOWN and not tie.implicit:
            self._set_aside(tie)

    def _set_aside(self, tie: Tie) -> None:
        """A column that is known from others says nothing more about further ones."""
        for target in (tie.target, *tie.targets()):
            if target in self.kept:
                self.kept.remove(target)
                self.aside.append((tie.columns, target))
                return

    def _holds(self, tie: Tie) -> bool:
        done = tie.confirmed
        return done is not None and 1 - done.unexplained >= self.settings.threshold and 2 * done.agreeing > done.seeds

    # -- formulas

    def _formulas(self) -> None:
        for n, tie in enumerate(self.ties):
            if tie.formula is None:
                self._formula(tie, 1 / (len(self.ties) - n))

    def _formula(self, tie: Tie, share: float) -> None:
        left = self.deadline - time.monotonic()
        most = _MOST_SECONDS if tie.unexplained < _NOISY else _MOST_SECONDS / 2
        seconds = min(most, share * left)
        if not self.settings.formulas or seconds < _LEAST_SECONDS:
            return
        names = ", ".join(self.columns.named(tie.columns))
        options: dict[str, Any] = {
            "seed": self.settings.seed,
            "seconds": seconds,
            "listener": lambda event: self.tell(f"{names}: {event}"),
        }
        if tie.implicit:
            self._describe(tie)
            most = max(2 * tie.unexplained, _LIKE_A_POWER) ** 0.5
            functions = self.sums[0].functions
            found = formulas.implicit(self.columns, tie.columns, tie.inner, functions, most=most, **options)
            if found is None:
                found = self._explicit_after_all(tie, options)
        else:
            found = formulas.explicit(self.columns, tie.columns, tie.targets(), **options)
        if found is not None and 1 - found.error**2 >= self.settings.threshold:
            tie.formula = found

    def _explicit_after_all(self, tie: Tie, options: dict[str, Any]) -> formulas.Found | None:
        """A formula for a column that networks learn badly, as with long tails, if it does as well as the sum."""
        ordered = sorted(tie.functions, key=lambda one: one.unexplained)
        targets = [one.target for one in ordered if 1 - one.unexplained >= self.settings.threshold]
        found = formulas.explicit(self.columns, tie.columns, targets, **options) if targets else None
        if found is None or found.error**2 > tie.unexplained:
            return None
        tie.has_function = True
        return found

    def _describe(self, tie: Tie) -> None:
        if tie.inner or tie.sum is None or tie.sum.unexplained > max(2 * tie.unexplained, FINE):
            return
        sums = self.sums[0]
        tie.inner = formulas.inner_functions(self.columns, tie.columns, lambda rows: sums.curves(tie.columns, rows))

    def _relation(self, tie: Tie) -> Relation:
        self._describe(tie)
        assert tie.confirmed is not None
        unexplained = tie.confirmed.unexplained
        if tie.formula is not None:
            unexplained = min(unexplained, tie.formula.error**2)
        return Relation(
            columns=self.columns.named(tie.columns),
            target=self.columns.names[tie.target],
            implicit=tie.implicit,
            strength=1 - unexplained,
            unexplained=unexplained,
            formula=None if tie.formula is None else tie.formula.formula,
            error=None if tie.formula is None else tie.formula.error,
            text=None if tie.formula is None else tie.formula.text,
            separation=tie.confirmed.separation,
            seeds_agreeing=tie.confirmed.agreeing,
            seeds=tie.confirmed.seeds,
            inner=tie.inner,
        )
