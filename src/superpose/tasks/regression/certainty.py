"""How sure the choice of a formula is: on resamples of the rows, and the odds against others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from superpose.data import Dataset
from superpose.edit.combining import Combined
from superpose.formulas.recommendation import Finding
from superpose.stopping import StopReason
from superpose.tasks.regression import findings
from superpose.tasks.regression.alternatives import Alternative, alternatives
from superpose.tasks.regression.choice import Choice
from superpose.tasks.regression.context import Context
from superpose.tasks.regression.final import near_networks
from superpose.tasks.regression.networks import Networks
from superpose.tasks.regression.reference import Reference
from superpose.tasks.regression.stability import Competitor, stability
from superpose.tasks.regression.textbook import NamedLaw


def competitors_of(
    context: Context,
    state: Networks,
    reference: Reference | None,
    lines: list[Finding],
    choice: Choice,
    written: list[Finding | None],
) -> list[Competitor]:
    """The recommended formula, and the others that may win on other rows; none where a user has interrupted."""
    if state.stop is StopReason.INTERRUPTED:
        return []
    recommended = None if choice.place is None else choice.found[choice.place]
    near = state.found if reference is None else near_networks(context, state, reference)
    return [
        Competitor(one, own.formula, not any(before is line for line in lines))
        for before, one, own in zip(state.found, choice.found, written, strict=True)
        if own is not None and (one is recommended or any(before is other for other in near))
    ]


def only_compared(context: Context, combined: Combined | None, laws: Sequence[NamedLaw]) -> list[Competitor]:
    """Textbook laws that are only compared with the formulas of the run."""
    written = [(law.finding, findings.in_columns_of(combined, context, law.finding)) for law in laws if not law.near]
    return [Competitor(finding, own.formula, False) for finding, own in written if own is not None]


def how_sure(
    context: Context,
    data: Dataset,
    reference: Reference | None,
    competitors: list[Competitor],
    known: list[Competitor],
    recommended: Finding | None,
    *,
    complete: bool,
) -> tuple[dict[str, Any], tuple[Alternative, ...]]:
    """How sure the choice of the formula is: on resamples of the rows, and the odds against the next forms.

    Args:
        known: textbook laws that no run would recommend, but may be the truth.
        complete: whether the formula was chosen among laws that leave nothing to explain.
    """
    if not competitors:
        return {}, ()
    facts: dict[str, Any] = {}
    forms: tuple[Alternative, ...] = ()
    with context.failures.part("the choice of the formula could not be tried on resamples of the rows"):
        noise = complete or (reference is not None and not len(context.data.validation))
        stable = stability(context, reference, competitors, recommended, noise=noise)
        facts |= {} if stable is None else {"stability": stable.facts()}
    with context.failures.part("the odds against other forms could not be computed"):
        found = alternatives(context, data, reference, [*competitors, *known], recommended)
        if found is not None:
            forms = found.forms
            facts["alternatives"] = found.facts(data.target_names[0])
    return facts, forms
