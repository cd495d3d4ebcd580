"""Laws of the catalogue of textbook laws that a table follows, as formulas beside the others, and their names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from superpose.data import Dataset
from superpose.formulas import selection
from superpose.formulas.catalogue.all import LAWS
from superpose.formulas.catalogue.law import TextbookLaw
from superpose.formulas.catalogue.trial import RULES, Recognised, recognise
from superpose.formulas.forms.parsing import parse_form
from superpose.formulas.recommendation import EXACT, Finding
from superpose.tasks.regression import findings
from superpose.tasks.regression.context import Context
from superpose.tasks.regression.reference import Reference

# Share of the time left that laws may take. Of a table of one column and 20 rows they take 1.5 s of one slow core.
_TIME = 0.5
# Nats of -2 ln L that it takes to name one law of all.
NAME = 2 * math.log(len(LAWS))
# The recommended formula is the law if their values are apart by less than this share of what the law leaves.
_SAME = 0.2
# Errors are relative only where the logarithm was favoured and the target varies by this factor. A round number.
_DECADE = 10.0
# Laws that stand beside the other formulas. A round number.
_MOST = 4


@dataclass(frozen=True)
class NamedLaw:
    """A law that the rows may follow, as a formula.

    Attributes:
        found: the law, its constants and the columns in its roles.
        finding: the formula.
        relative: whether errors are relative to the target.
        near: whether it stands among the formulas of the run; another one is only compared with them.
    """

    found: Recognised
    finding: Finding
    relative: bool
    near: bool = True


def textbook_laws(context: Context, reference: Reference) -> list[NamedLaw]:
    """The most probable laws as formulas; those near the best one may be recommended."""
    data = context.sample
    if data.n_targets != 1 or context.options.functions is not None:
        return []
    deadline = context.deadline.share(_TIME)
    relative = reference.log and _spans(data)
    recognised = recognise(data, relative=relative, deadline=deadline, seed=context.options.seed)
    laws: list[NamedLaw] = []
    for one in recognised:
        # Leave-one-out decides among those that may be the best one, a plain law's advance left aside.
        near = not laws or (len(laws) < _MOST and one.length <= laws[0].found.length + NAME)
        finding = None
        with context.failures.part(f"the law {one.law.name} could not be written as a formula", "it is left out"):
            finding = findings.from_expressions(context, [one.fit.formula.expression], {})
        if finding is not None:
            laws.append(NamedLaw(one, replace(finding, form_size=_form_size(one.law)), relative, near))
    if laws:
        context.tell(f"textbook law: {laws[0].found.law.name}")
    return laws


def _form_size(law: TextbookLaw) -> float:
    """Nodes that the form of a law counts: what it takes to name it, and less than one for each of its operations."""
    operations = len(parse_form(law.form, list(law.columns)).operations)
    return (NAME + RULES.node * operations) / selection.WEIGHTS.noise_node


def _spans(data: Dataset) -> bool:
    """Whether the target's 95th percentile is many times its 5th: of others errors in its own units say as much."""
    low, high = data.y[:, 0].quantile(torch.tensor([0.05, 0.95], dtype=data.y.dtype)).tolist()
    return bool(low > 0 and high > _DECADE * low)


def law_facts(context: Context, laws: Sequence[NamedLaw], recommended: Finding | None) -> dict[str, Any]:
    """What the metrics say of the law that the recommended formula is, ready for JSON; nothing if it is none."""
    if recommended is None:
        return {}
    same = [law for law in laws if _agrees(context, law, recommended)]
    if not same:
        return {}
    own = same[0].found
    limit = own.length + RULES.alternatives
    others = [law.found.law.name for law in laws if law is not same[0] and law.found.length <= limit]
    constants = {
        name: {
            "value": one.value,
            "standard_error": one.standard_error,
            "meaning": own.law.constants[name].meaning,
        }
        for name, one in own.fit.constants.items()
    }
    law = {
        "name": own.law.name,
        "also": list(own.law.also),
        "form": own.law.form,
        "columns": own.columns,
        "constants": constants,
        "source": own.law.source,
        "not_told_from": others,
    }
    return {"law": law | {"sentence": sentence(own, others)}}


def sentence(found: Recognised, others: Sequence[str]) -> str:
    """The name of a law with its constants, and the laws that the rows do not tell it from."""
    from superpose.formulas.forms.fit import FittedConstant

    def written(one: FittedConstant) -> str:
        return f"{one.name} = {one.value:.4g} ± {one.standard_error:.2g}"

    constants = ", ".join(written(one) for one in found.fit.constants.values())
    text = f"{found.law.name}, {found.law.form}: {constants}"
    return text + (f"; the rows do not tell it from {' and '.join(others)}" if others else "")


def _agrees(context: Context, law: NamedLaw, recommended: Finding) -> bool:
    """Whether a formula has the values of a law on the rows, but for a small share of what the law leaves."""
    if recommended is law.finding:
        return True
    data = context.sample
    rows = torch.cat([data.train, data.validation])
    x, y = data.features(rows), data.y[rows, 0]
    with torch.no_grad():
        own, other = law.finding.formula.torch(x)[:, 0], recommended.formula.torch(x)[:, 0]
    if law.relative:
        own, other, y = own.log(), other.log(), y.log()
    apart, left = (float((one - own).square().mean().sqrt()) for one in (other, y))
    return apart < max(_SAME * left, EXACT * data.target_std)
