"""Which formula of a run is recommended."""

from __future__ import annotations

from dataclasses import dataclass

from superpose.formulas import selection
from superpose.formulas.recommendation import Finding, surprises
from superpose.tasks.regression import findings, metrics
from superpose.tasks.regression.context import Context
from superpose.tasks.regression.final import near_networks
from superpose.tasks.regression.judging import Judged, comes_near, judge, nearly_exact
from superpose.tasks.regression.networks import Networks
from superpose.tasks.regression.reference import Reference
from superpose.tasks.regression.structure import Structure, first_choice


@dataclass(frozen=True)
class Choice:
    """Third stage.

    Attributes:
        found: all formulas.
        place: which of them is recommended; None if there are none.
        complete: whether it leaves nothing to explain, on the test rows too.
        reason: why the search ended.
    """

    found: list[Finding]
    place: int | None
    complete: bool
    reason: str


def choose(
    context: Context,
    structure: Structure,
    state: Networks,
    reference: Reference | None,
    lines: list[Finding],
    *,
    bound: bool = True,
) -> Choice:
    """The recommended formula; ``bound`` is whether it has to come near the reference."""
    if not state.found:
        return Choice([], None, False, state.reason)
    best = first_choice(context, structure, state.found)
    complete, reason = structure.complete, state.reason
    if complete and surprises(metrics.test_error(context.data, best), best.error):
        complete, reason = False, "a formula leaves nothing to explain on the rows it was fitted to"
    if reference is not None:
        near = near_networks(context, state, reference) if bound else state.found
        judged = _judged(context, reference, near, best, lines, bound=bound)
        if judged is None:
            judged, reason = nearly_exact(context, reference, lines), NEARLY_EXACT
        if judged is None:
            return Choice(list(state.found), None, False, NOT_NEAR)
        complete, best = complete and judged is best, judged
    place = next(n for n, one in enumerate(state.found) if one is best)
    found = list(state.found)
    kept = "the constants of both may differ in their last digits"
    with context.failures.part("the network could not be fitted to the simplified formula", kept):
        found[place] = context.stages.run("network of the formula", lambda: findings.matched(context, best))
    return Choice(found, place, complete, reason)


NOT_NEAR = "no formula predicts about as well as the network in cross-validation"
NEARLY_EXACT = "the network predicts better in cross-validation, but the formula leaves less than 0.1% of the variance"


def _judged(
    context: Context,
    reference: Reference,
    found: list[Finding],
    best: Finding,
    lines: list[Finding],
    *,
    bound: bool = True,
) -> Finding | None:
    """The formula that the rows favour if it comes near the reference; None if none does.

    Where the reference contradicts what is known beforehand, it is enough to predict better than the mean does.

    With validation rows the first is the one chosen by errors on them, to which no constant was fitted.
    """
    judged: list[Judged] = []
    for one in found:
        with context.failures.part("a formula could not be judged by leave-one-out", "it is not recommended"):
            judged.append(judge(context, reference, one))
    held_out = len(context.data.validation) > 0
    for candidate in sorted(judged, key=lambda one: (held_out and one.finding is not best, one.length)):
        drawn = not any(candidate.finding is line for line in lines)
        predicts = candidate.length < selection.WEIGHTS.noise_node * candidate.finding.size
        if comes_near(context, reference, candidate, chosen=drawn) or (predicts and not bound):
            return candidate.finding
    return None
