"""First stage: formulas that follow from the structure of the table, without a network."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from superpose.formulas.expressions.splines import SplineEdge
from superpose.formulas.from_table.laws import LawSearchResult, find_laws
from superpose.formulas.recommendation import Finding
from superpose.stopping import StopReason
from superpose.tasks.regression import findings
from superpose.tasks.regression.context import BUDGET, Context

if TYPE_CHECKING:
    import sympy


@dataclass(frozen=True)
class Structure:
    """What the search by structure found.

    Attributes:
        laws: of each target that was searched, up to the first one without any.
        found: formulas of all targets.
        law: that of the best law of each target; None if there is none, or none that may be recommended.
        stop: why the searches ended: of the targets the first reason other than that a law explains everything.
    """

    laws: tuple[LawSearchResult, ...] = ()
    found: tuple[Finding, ...] = ()
    law: Finding | None = None
    stop: StopReason = StopReason.NOT_RUN

    @property
    def complete(self) -> bool:
        """Whether the law leaves nothing to explain, for every target."""
        return self.law is not None and all(law.complete for law in self.laws)

    @property
    def reason(self) -> str:
        """Why the searches ended."""
        return "; ".join(dict.fromkeys(law.reason for law in self.laws))


def search_structure(context: Context) -> Structure:
    """Search the laws of every target."""
    laws: list[LawSearchResult] = []
    found: list[Finding] = []
    law = None
    try:
        with context.failures.part("the search by structure failed", "networks are trained all the same"):
            law = _search(context, laws, found)
    except KeyboardInterrupt:
        return Structure(tuple(laws), tuple(found), stop=StopReason.INTERRUPTED)
    stop = next((one.stop for one in laws if one.stop is not StopReason.CONVERGED), StopReason.CONVERGED)
    return Structure(tuple(laws), tuple(found), law, stop)


def _search(context: Context, laws: list[LawSearchResult], found: list[Finding]) -> Finding | None:
    data, options = context.data, context.options

    def keep(expressions: Sequence[sympy.Expr], splines: Mapping[str, SplineEdge]) -> Finding | None:
        finding = None
        with context.failures.part("a formula found by structure could not be completed", "it is left out"):
            finding = findings.from_expressions(context, expressions, splines)
        if finding is not None:
            found.append(finding)
            findings.announce(context, finding)
        return finding

    law: Finding | None = None
    share = BUDGET.structure if data.n_features <= BUDGET.many else BUDGET.structure_of_many
    limit = share * context.deadline.left() / data.n_targets
    for target in range(data.n_targets):
        one = context.stages.run(
            f"laws of target {target}",
            functools.partial(
                find_laws,
                context.sample,
                time_limit=limit,
                seed=options.seed,
                target=target,
                functions=options.functions,
                linear=options.linear,
                listener=context.tell,
            ),
            lambda result: not result.interrupted,
        )
        context.failures.extend(one.failures)
        laws.append(one)
        if one.best is not None and data.n_targets == 1:
            law = keep([one.best.expression], one.splines)
        if one.interrupted:
            raise KeyboardInterrupt
        if one.best is None:
            return None
    if data.n_targets > 1:
        best = [one.best.expression for one in laws if one.best is not None]
        splines = dict(chain.from_iterable(one.splines.items() for one in laws))
        return keep(best, splines)
    for other in laws[0].laws:
        if other is not laws[0].best:
            keep([other.expression], laws[0].splines)
    return law
