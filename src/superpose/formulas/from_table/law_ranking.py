"""Which of the laws that were found is recommended, and which stand beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from superpose.deadline import Deadline
from superpose.formulas import selection
from superpose.formulas.expressions import rewrite
from superpose.formulas.expressions.splines import absorb_constants
from superpose.formulas.from_table.law_pool import Law, LawPool
from superpose.formulas.from_table.simplification import simplified
from superpose.pareto import pareto_front

_EXACT = selection.FLOORS.rounding


@dataclass(frozen=True)
class _Contest:
    """How many laws are simplified before one is recommended, and for how long.

    Chosen on the AI Feynman equations with a time limit of 60 s on one core.

    Attributes:
        contenders: number of first laws of the ranking that are simplified, since one of them may overtake.
        near, near_in_noise: only those whose scores, or description lengths, are larger by no more than this.
        first_share: share of the time left in which the first law is simplified.
        seconds: for each further law.
        reserve: share of the time limit that is kept for the laws beside the recommended one.
        last: share of the time limit in which no further law is begun.
        rows, all_rows: first rows that constants are fitted to while forms are compared, and in the end.
        steps: of Gauss-Newton in the end: constants are near their values already.
        worse, worse_spline: a simplified law may err this many times as much. The residuals of a spline are no noise,
            and one constant moves them more than another.
        margin: a law of the front leaves less than this share of what a smaller one leaves: 2% is what constants do
            that are not simple yet.
        front: how many laws may stand beside the recommended one.
    """

    contenders: int = 4
    near: float = 0.3
    near_in_noise: float = 60.0
    first_share: float = 0.8
    seconds: float = 3.0
    reserve: float = 0.3
    last: float = 0.05
    rows: int = 1500
    all_rows: int = 20_000
    steps: int = 8
    worse: float = 1.02
    worse_spline: float = 1.1
    margin: float = 0.98
    front: int = 6


_CONTEST = _Contest()


class Ranking:
    """The laws of a pool in order, simplified where it matters.

    Args:
        pool: with at least one law.
        time_limit: seconds of the whole search, which the pool's deadline ends.

    Attributes:
        complete: whether the best law leaves nothing to explain.
    """

    def __init__(self, pool: LawPool, time_limit: float) -> None:
        self._pool, self._time_limit = pool, time_limit
        found = pool.found()
        # Where residuals are noise the likelihood decides, and as long as something is left to explain the score.
        self._noisy = found and pool.best().error >= _EXACT
        self._laws = sorted(pool.laws, key=self._rank)
        first = self._laws[0]
        # A curve that no symbol was found for may stay a spline if nothing else is left to explain.
        self.complete = found or (bool(first.splines) and first.error <= max(pool.floor, _EXACT))

    def _rank(self, law: Law) -> float:
        return law.description_length(len(self._pool.y)) if self._noisy else law.score

    def recommended(self) -> Law:
        """The best law after the contenders were simplified."""
        near = _CONTEST.near_in_noise if self._noisy else _CONTEST.near
        most = self._rank(self._laws[0]) + near
        contenders = [law for law in self._laws[: _CONTEST.contenders] if self._rank(law) <= most]
        best = self._simplified(contenders[0], _CONTEST.first_share * max(1.0, self._left()))
        for law in contenders[1:]:
            if best.error < _EXACT or self._left() < _CONTEST.reserve * self._time_limit:
                break
            best = min(best, self._simplified(law, _CONTEST.seconds), key=self._rank)
        return best

    def front(self, best: Law) -> list[Law]:
        """The recommended law and simpler ones that no simpler one surpasses, from simple to accurate."""
        laws = [best]
        for law in self._pool.simpler(best, _CONTEST.front):
            if self._left() < _CONTEST.last * self._time_limit:
                break
            laws.append(self._simplified(law, min(self._left(), _CONTEST.seconds)))
        return front(laws, best)

    def _left(self) -> float:
        return self._pool.deadline.left()

    def _simplified(self, law: Law, seconds: float) -> Law:
        """The law with simple constants where the rows allow them, simplified, the others fitted to all rows."""
        pool, deadline = self._pool, Deadline(seconds)
        if law.splines:
            expression, made = absorb_constants(law.expression, pool.splines)
            pool.splines |= made
            law = replace(law, expression=expression)
        simple = simplified(law.expression, pool.constant_fit(_CONTEST.rows, deadline))
        everything = pool.constant_fit(_CONTEST.all_rows, deadline)
        fitted = everything.fit(simple.expression, steps=_CONTEST.steps)
        error = math.sqrt(everything.error(fitted.expression))
        most = (_CONTEST.worse_spline if law.splines else _CONTEST.worse) * law.error
        if not error <= max(most, _EXACT) or not pool.is_allowed(fitted.expression):
            return law
        return Law(fitted.expression, error, law.note, fitted.errors)


def front(laws: list[Law], best: Law) -> list[Law]:
    """The laws that no simpler one surpasses, from simple to accurate, and the best one."""
    return pareto_front(
        laws,
        size=lambda law: rewrite.complexity(law.expression),
        error=lambda law: law.error,
        keep=best,
        margin=_CONTEST.margin,
    )
