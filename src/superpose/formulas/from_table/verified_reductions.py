"""Reductions found by trying, where a function oscillates too fast for its derivatives to be known.

A surrogate for the smaller table verifies each: it can only be as good as that for the larger one if nothing was lost.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from superpose.deadline import Deadline
from superpose.formulas.from_table.subproblem import Subproblem
from superpose.formulas.from_table.surrogate import Surrogate
from superpose.formulas.from_table.symmetries import Reduction

if TYPE_CHECKING:
    import sympy


@dataclass(frozen=True)
class _Tests:
    """Which reductions are tested. Chosen on the AI Feynman equations; not compared one by one.

    Attributes:
        exponents: of a column that may be a factor of the target.
        equal: a surrogate of the smaller table may err this many times as much.
        clear: no pairs are tried where a table without a column errs less than this share.
        violation: of a symmetry that such a reduction counts as, where the errors are equal.
        leading: columns that are tried as a leading set, at most.
        tested: reductions of one table that are tested, the simplest first: all of those of five columns, which take
            some 8 s. A number and not seconds, so that slow machines find the same.
    """

    exponents: tuple[int, ...] = (0, 1, -1, 2, -2)
    equal: float = 1.1
    clear: float = 0.3
    violation: float = 0.05
    leading: int = 9
    tested: int = 75


_TESTS = _Tests()


def verified_reductions(
    problem: Subproblem, surrogate: Surrogate, deadline: Deadline, *, pairs: bool = True
) -> list[Reduction]:
    """Columns that scale the target or do not matter, and pairs that enter as one, the best first.

    Args:
        surrogate: for the problem itself.
        pairs: whether pairs are tried.
    """
    found: list[tuple[float, Reduction]] = []
    error = surrogate.error
    # Smaller tables have the same target; all functions of it would take two to four times as long.
    kinds = {"x", surrogate.kind}
    alone = len(list(_without(problem)))
    tried = itertools.chain(_without(problem), _pairs(problem)) if pairs else _without(problem)
    for number, reduction in enumerate(itertools.islice(tried, _TESTS.tested)):
        # Where a column less makes the surrogate much better, pairs are seen in that smaller table.
        clear = number >= alone and any(reached < _TESTS.clear * error for reached, _ in found)
        if deadline.passed() or clear:
            break
        if not bool(torch.isfinite(reduction.columns).all()):
            continue
        child = problem.reduced(reduction)
        if not bool(torch.isfinite(child.y).all()):
            continue
        reached = child.surrogate(kinds).error
        if reached < _TESTS.equal * error:
            found.append((reached, reduction))
    found.sort(key=lambda item: item[0])
    return [replace(reduction, violation=_TESTS.violation * reached / error) for reached, reduction in found]


def leading_columns(problem: Subproblem, error: float, reach: torch.Tensor, deadline: Deadline) -> list[Reduction]:
    """The fewest of a table's columns that hold as much as all of them, those that move the target most first.

    Args:
        error: of the surrogate for all columns.
        reach: ``[n]`` how much each column moves it.
    """
    import sympy

    count = problem.x.shape[1]
    order = reach.argsort(descending=True).tolist()
    for size in range(1, min(count, _TESTS.leading + 1)):
        if deadline.passed():
            break
        kept = sorted(order[:size])
        symbols, note = [problem.symbols[k] for k in kept], f"{size} of the columns alone"
        reduction = Reduction(0.0, problem.x[:, kept], symbols, None, sympy.Integer(1), note)
        # Below 1e-9 surrogates err by rounding. A round number.
        if problem.reduced(reduction).surrogate().error <= max(_TESTS.equal * error, 1e-9):
            return [reduction]
    return []


def _without(problem: Subproblem) -> Iterator[Reduction]:
    """``y = x_i^p g(the others)``."""
    count = problem.x.shape[1]
    for i in range(count if count > 1 else 0):
        rest = [j for j in range(count) if j != i]
        column, symbol = problem.x[:, i], problem.symbols[i]
        # A column next to 0 is no divisor; so for pairs. A round number.
        away = float(column.abs().min()) > 1e-3 * float(column.abs().max())
        for exponent in _TESTS.exponents:
            if exponent and not away:
                continue
            factor = column**exponent if exponent else None
            yield Reduction(
                0.0,
                problem.x[:, rest],
                [problem.symbols[j] for j in rest],
                factor,
                symbol**exponent,
                f"without {symbol}" if not exponent else f"{symbol} as a unit",
            )


def _pairs(problem: Subproblem) -> Iterator[Reduction]:
    """``y = g(x_i o x_j, the others)`` with ``o`` a difference, a sum, a product, a quotient or a sum of squares."""
    import sympy

    count = problem.x.shape[1]
    for i, j in itertools.combinations(range(count if count > 2 else 0), 2):
        rest = [k for k in range(count) if k not in (i, j)]
        p, q, s, t = problem.x[:, i], problem.x[:, j], problem.symbols[i], problem.symbols[j]
        pairs: list[tuple[torch.Tensor, sympy.Expr]] = [(p - q, s - t), (p + q, s + t), (p * q, s * t)]
        pairs.append((p**2 + q**2, s**2 + t**2))
        if float(q.abs().min()) > 1e-3 * float(q.abs().max()):  # as in ``_without``
            pairs.append((p / q, s / t))
        for column, expression in pairs:
            columns = torch.cat([column[:, None], problem.x[:, rest]], -1)
            others = [problem.symbols[k] for k in rest]
            yield Reduction(0.0, columns, [expression, *others], None, sympy.Integer(1), f"{expression} as one")
