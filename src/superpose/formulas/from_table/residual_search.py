"""Laws of what the best law leaves: a sum of two laws of which structure shows the larger one only."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from superpose.deadline import Deadline
from superpose.formulas.expressions import rewrite
from superpose.formulas.from_table.curve import curves
from superpose.formulas.from_table.law_pool import Law, LawPool
from superpose.formulas.from_table.law_search import LawSearch
from superpose.formulas.from_table.subproblem import Guess, Subproblem
from superpose.nn.symbolic_functions import torch_function
from superpose.pareto import pareto_front
from superpose.partial import Failures
from superpose.stopping import StopReason

if TYPE_CHECKING:
    import sympy


@dataclass(frozen=True)
class _Settings:
    """How far laws of residuals are searched. Round numbers; not compared with others.

    Attributes:
        rounds: laws that are added one after another.
        error, search_error: a law that leaves more than this, in units of the target's spread, is no part of one; the
            second for laws of several columns, which take long, and
        structure: for these the share of the squared residuals that must be predictable; 120 rows of noise gave .04.
        clearly: a law of the residuals must leave less than this share of them.
        share: of the time left for each round.
        blurred: a curve that leaves less than this share of the residuals is followed no further.
        guesses: sums of which the constants are fitted.
        degree: of the polynomials of single columns by which these are ordered.
        columns: first of these of which curves are searched.
    """

    rounds: int = 3
    error: float = 0.5
    search_error: float = 0.3
    structure: float = 0.1
    clearly: float = 0.5
    share: float = 0.6
    blurred: float = 0.1
    guesses: int = 6
    degree: int = 8
    columns: int = 2


_SETTINGS = _Settings()


def search_residuals(pool: LawPool, deadline: Deadline) -> tuple[StopReason, Failures]:
    """Search for laws of what the best law of a pool leaves, and let the sums join the pool.

    Returns:
        Why the last search ended, and its failures.
    """
    stop, failures = StopReason.CONVERGED, Failures()
    for _ in range(_SETTINGS.rounds):
        if pool.found() or deadline.passed() or not pool.laws:
            break
        best = pool.best()
        if best.splines or not _SETTINGS.error > best.error > pool.enough:
            break
        values = torch_function(best.expression, pool.symbols, pool.splines)(*pool.x.unbind(-1))
        residual = pool.y - values.expand_as(pool.y)
        _fit(pool, _curves(pool, best, residual, deadline.share(_SETTINGS.share)), deadline)
        searched = best.error < _SETTINGS.search_error and pool.structure(best) > _SETTINGS.structure
        if searched and not pool.found():
            stop = _search(pool, best, residual, deadline, failures)
        if stop is StopReason.INTERRUPTED or pool.best() is best:
            break
    return stop, failures


def _curves(pool: LawPool, best: Law, residual: Tensor, deadline: Deadline) -> list[Guess]:
    """The law and a curve of one column."""
    spread = float(residual.std(correction=0)) or 1.0
    found: list[Guess] = []
    for k in _ordered(pool.x, residual)[: _SETTINGS.columns]:
        lift = functools.partial(_added, best.expression)
        symbols, ones = [pool.symbols[k]], torch.ones_like(residual)
        problem = Subproblem(pool.x[:, [k]], residual, ones, symbols, pool.spread, lift, (best.note,))
        for guess in curves(problem, deadline, enough=_SETTINGS.blurred * best.error):
            if guess.error * pool.spread < _SETTINGS.clearly * spread:
                found.append(replace(guess, note=f"{best.note}, and of what it leaves {guess.note}"))
        if deadline.passed():
            break
    return found


def _fit(pool: LawPool, guesses: list[Guess], deadline: Deadline) -> None:
    """Fit the constants of both laws together, in the simplest sums first.

    Those of the first law are a little wrong as long as the second is missing: how well a curve fits says little.
    """
    front = pareto_front(guesses, size=lambda guess: guess.size, error=lambda guess: guess.error)
    for guess in sorted(front, key=lambda guess: guess.size)[: _SETTINGS.guesses]:
        law = None if deadline.passed() else pool.fitted(guess, deadline)
        if law is not None:
            pool.laws.append(law)
            if law.error < pool.enough:
                return


def _ordered(x: Tensor, residual: Tensor) -> list[int]:
    """The columns, first those of which polynomials explain most of the residuals."""
    left = []
    most = min(_SETTINGS.degree, len(residual) // 10)
    for column in x.unbind(1):
        low, high = float(column.min()), float(column.max())
        place = 2 * (column - low) / (high - low) - 1 if high > low else torch.zeros_like(column)
        basis = torch.linalg.qr(torch.stack([place**power for power in range(most + 1)], 1))[0]
        left.append(float((residual - basis @ (basis.T @ residual)).square().sum()))
    return sorted(range(len(left)), key=lambda k: left[k])


def _search(pool: LawPool, best: Law, residual: Tensor, deadline: Deadline, failures: Failures) -> StopReason:
    """The law and one of several columns; why the search ended."""
    until = deadline.share(_SETTINGS.share)
    rest = LawPool(pool.x, residual, pool.symbols, deadline=until, demands=pool.demands, listener=pool.tell)
    search = LawSearch(rest, until)
    search.run()
    failures.extend(search.failures)
    laws = [law for law in rest.laws if law.error < _SETTINGS.clearly and not law.splines]
    share = rest.spread / pool.spread
    _fit(pool, [_sum(best, law, share) for law in laws], deadline)
    return search.stop


def _sum(first: Law, second: Law, share: float) -> Guess:
    """The sum of two laws; ``share`` is the spread of the second's target in units of the first's."""
    size = rewrite.complexity(first.expression) + rewrite.complexity(second.expression) + 1
    make = functools.partial(_added, first.expression, second.expression)
    return Guess(make, second.error * share, f"{first.note}, and of what it leaves {second.note}", size)


def _added(first: sympy.Expr, second: sympy.Expr) -> sympy.Expr:
    return first + second
