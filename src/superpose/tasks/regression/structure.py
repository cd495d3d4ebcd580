"""First stage: formulas that follow from the structure of the table, without a network."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

from superpose.formulas import selection
from superpose.formulas.expressions.splines import SplineEdge
from superpose.formulas.from_table.laws import LawSearchResult, find_laws
from superpose.formulas.from_table.simplification import floats
from superpose.formulas.recommendation import Finding
from superpose.stopping import StopReason
from superpose.tasks.regression import findings
from superpose.tasks.regression.column_units import sensible
from superpose.tasks.regression.context import BUDGET, Context
from superpose.tasks.regression.groups import GroupLaws, group_laws

if TYPE_CHECKING:
    import sympy


@dataclass(frozen=True)
class Structure:
    """What the search by structure found.

    Attributes:
        laws: of each target that was searched, up to the first one without any.
        found: formulas of all targets.
        law: that of the best law of each target; None if there is none, or none that may be recommended.
        grouped: whether that law was found among dimensionless groups, and leaves nothing to explain.
        stop: why the searches ended: of the targets the first reason other than that a law explains everything.
    """

    laws: tuple[LawSearchResult, ...] = ()
    found: tuple[Finding, ...] = ()
    law: Finding | None = None
    grouped: bool = False
    stop: StopReason = StopReason.NOT_RUN

    @property
    def complete(self) -> bool:
        """Whether the law leaves nothing to explain, for every target."""
        return self.law is not None and (self.grouped or all(law.complete for law in self.laws))

    @property
    def reason(self) -> str:
        """Why the searches ended."""
        return "; ".join(dict.fromkeys(law.reason for law in self.laws))


def search_structure(context: Context) -> Structure:
    """Search the laws of every target."""
    laws: list[LawSearchResult] = []
    found: list[Finding] = []
    law = grouped = None
    try:
        with context.failures.part("the search by structure failed", "networks are trained all the same"):
            grouped = _search_groups(context, found)
            law = _search(context, laws, found)
    except KeyboardInterrupt:
        return Structure(tuple(laws), tuple(found), stop=StopReason.INTERRUPTED)
    stop = next((one.stop for one in laws if one.stop is not StopReason.CONVERGED), StopReason.CONVERGED)
    if grouped is not None:
        complete = law is not None and all(one.complete for one in laws)
        rivals = [grouped, *([law] if complete and law is not None else [])]
        best = min(rivals, key=lambda one: length(context, one))
        return Structure(tuple(laws), tuple(found), best, best is grouped, stop)
    return Structure(tuple(laws), tuple(found), law, stop=stop)


def first_choice(context: Context, structure: Structure, found: Sequence[Finding]) -> Finding:
    """The formula that is judged first of those that were found."""
    if not structure.complete or structure.law is None:
        return min(found, key=lambda finding: finding.score)
    # Of laws that leave noise only, the search by structure has chosen the most probable, its units left aside.
    rivals = [one for one in found if not one.inconsistent] if context.units else []
    return min([structure.law, *rivals], key=lambda finding: length(context, finding))


def length(context: Context, finding: Finding) -> float:
    """The description length of a formula whose residuals are noise, its units counted; less is better."""
    import sympy

    rows = len(context.sample.train) + len(context.sample.validation)
    functions = sum(len(one.atoms(sympy.Function)) for one in finding.formula.expressions)
    constants = sum(floats(one) for one in finding.formula.expressions)
    nodes = finding.size + (selection.WEIGHTS.function * functions if finding.group_size is None else 0)
    return selection.description_length(selection.gaussian(finding.error, rows), nodes, constants, rows)


def _keep(
    context: Context,
    found: list[Finding],
    expressions: Sequence[sympy.Expr],
    splines: Mapping[str, SplineEdge],
    group_size: float | None = None,
) -> Finding | None:
    """An expression of each target as a formula, which joins the others; None if it may not be recommended."""
    finding = None
    with context.failures.part("a formula found by structure could not be completed", "it is left out"):
        finding = findings.from_expressions(context, expressions, splines)
    if finding is not None:
        finding = replace(finding, group_size=group_size)
        found.append(finding)
        findings.announce(context, finding)
    return finding


def _search_groups(context: Context, found: list[Finding]) -> Finding | None:
    """Search among dimensionless groups; the best law there, if it leaves nothing to explain."""
    limit = BUDGET.structure * context.deadline.left()
    laws = GroupLaws()
    with context.failures.part("laws of dimensionless groups could not be searched for"):
        laws = group_laws(context, limit)
    made = [_keep(context, found, [law.expression], {}, law.size) for law in laws.laws]
    return made[0] if made and laws.complete else None


def _search(context: Context, laws: list[LawSearchResult], found: list[Finding]) -> Finding | None:
    data, options = context.data, context.options
    keep = functools.partial(_keep, context, found)

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
                sensible=sensible(context.units, data.target_names[target]),
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
