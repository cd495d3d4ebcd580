"""Laws of the catalogue of textbook laws that a table follows, as formulas beside the others, and their names."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from superpose.data import Dataset
from superpose.formulas import selection
from superpose.formulas.catalogue.all import LAWS
from superpose.formulas.catalogue.groups import DIFFERENCE, GROUP
from superpose.formulas.catalogue.law import TextbookLaw
from superpose.formulas.catalogue.trial import RULES, Recognised, naming_cost, not_told_from, recognise
from superpose.formulas.forms.parsing import parse_form
from superpose.formulas.recommendation import EXACT, Finding
from superpose.formulas.units.unit import Unit
from superpose.tasks.regression import findings
from superpose.tasks.regression.column_units import units_of_named
from superpose.tasks.regression.context import Context
from superpose.tasks.regression.reference import Reference

if TYPE_CHECKING:
    import sympy

# Share of the time left after which no further law is tried. What is tried is a number of starts: on one slow core
# that takes 2 s for a table of one column and 20 rows, and 3 s for three columns and 200 rows.
_TIME = 0.9
# Nats of -2 ln L that it takes to name one law of all.
NAME = 2 * math.log(len(LAWS))
# The recommended formula is the law if their values are apart by less than this share of what the law leaves.
_SAME = 0.2
# Errors are relative only where the logarithm was favoured and the target varies by this factor. A round number.
_DECADE = 10.0
# Laws that stand beside the other formulas, and names that a sentence lists. Round numbers.
_MOST, _LISTED = 4, 4


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


@dataclass(frozen=True)
class NamedLaws:
    """The laws of a run.

    Attributes:
        formulas: the most probable ones.
        recognised: all that the rows may follow, the most probable first.
    """

    formulas: tuple[NamedLaw, ...] = ()
    recognised: tuple[Recognised, ...] = ()


def textbook_laws(context: Context, reference: Reference) -> NamedLaws:
    """All laws that were recognised, also as formulas; those near the best one may be recommended."""
    data = context.sample
    if data.n_targets != 1 or context.options.functions is not None:
        return NamedLaws()
    deadline = context.deadline.share(_TIME)
    relative = reference.log and _spans(data)
    recognised = recognise(data, relative=relative, deadline=deadline, seed=context.options.seed)
    laws: list[NamedLaw] = []
    for one in recognised:
        # Leave-one-out decides among those that may be the best one, a plain law's advance left aside.
        near = not laws or (len(laws) < _MOST and one.length <= laws[0].found.length + NAME)
        finding = _written(context, one)
        if finding is not None:
            laws.append(NamedLaw(one, replace(finding, form_size=_form_size(one.law)), relative, near))
    if laws and laws[0].found.supported:
        context.tell(f"textbook law: {laws[0].found.law.name}")
    return NamedLaws(tuple(laws), tuple(recognised))


def exact_laws(context: Context, exact: Finding) -> NamedLaws:
    """The laws that give every row as an exact formula does; those of other functions or columns are not tried."""
    data, expression = context.sample, exact.formula.expressions[0]
    if data.n_targets != 1 or context.options.functions is not None or exact.formula.splines:
        return NamedLaws()
    kinds, count = _kinds(expression), len(expression.free_symbols)
    laws = [law for law in LAWS if len(law.columns) == count and _kinds_of(law.form, tuple(law.columns)) == kinds]
    recognised = recognise(data, laws=laws, deadline=context.deadline.share(_TIME), seed=context.options.seed)
    same = [one for one in recognised if one.fit.rmse < EXACT * data.target_std]
    return NamedLaws(tuple(NamedLaw(one, exact, False) for one in same), tuple(same))


def _written(context: Context, found: Recognised) -> Finding | None:
    with context.failures.part(f"the law {found.law.name} could not be written as a formula", "it is left out"):
        return findings.from_expressions(context, [found.fit.formula.expression], {})
    return None


# Functions that are written in one another. Roots and absolute values stand in any formula.
_EXPONENTIAL, _CIRCULAR, _PLAIN = {"exp", "sinh", "cosh", "tanh"}, {"sin", "cos", "tan"}, {"Abs", "sign"}


def _kinds(expression: sympy.Expr) -> frozenset[str]:
    """Names of the functions in an expression, those that are written in one another by one name."""
    import sympy

    names = {type(one).__name__ for one in expression.atoms(sympy.Function)}
    if any(one.exp.free_symbols for one in expression.atoms(sympy.Pow)):
        names.add("exp")
    families = ((_EXPONENTIAL, {"exp"}), (_CIRCULAR, {"sin"}), (_PLAIN, set[str]()))
    for family, instead in families:
        if names & family:
            names = names - family | instead
    return frozenset(names)


@functools.cache
def _kinds_of(text: str, columns: tuple[str, ...]) -> frozenset[str]:
    form = parse_form(text, list(columns))
    # Values that no simplification takes away.
    return _kinds(form.expression([1.1 + 0.37 * n for n in range(len(form.constants))]))


def _form_size(law: TextbookLaw) -> float:
    """Nodes that the form of a law counts: what it takes to name it, and less than one for each of its operations."""
    operations = len(parse_form(law.form, list(law.columns)).operations)
    return (naming_cost(law) + RULES.node * operations) / selection.WEIGHTS.noise_node


def _spans(data: Dataset) -> bool:
    """Whether the target's 95th percentile is many times its 5th: of others errors in its own units say as much."""
    low, high = data.y[:, 0].quantile(torch.tensor([0.05, 0.95], dtype=data.y.dtype)).tolist()
    return bool(low > 0 and high > _DECADE * low)


def law_of(context: Context, laws: NamedLaws, recommended: Finding | None) -> NamedLaw | None:
    """The law that the recommended formula is, if the rows support its name; None if it is none.

    Of several laws whose values the formula has it is the nearest: the rows may not tell them apart, but a formula is
    not called by the name of another one.
    """
    if recommended is None:
        return None
    apart = [(_apart(context, law, recommended), law) for law in laws.formulas if law.found.supported]
    share, nearest = min(apart, key=lambda one: one[0], default=(math.inf, None))
    return nearest if share < 1 else None


def law_facts(law: NamedLaw | None, laws: NamedLaws, data: Dataset, units: Mapping[str, Unit]) -> dict[str, Any]:
    """What the metrics say of the law that the recommended formula is, ready for JSON; nothing if it is none."""
    if law is None:
        return {}
    own = law.found
    near = (one.law.name for one in not_told_from(own, laws.recognised) if one.supported)
    # A law may stand there again with other columns in its roles.
    others = [name for name in dict.fromkeys(near) if name != own.law.name]
    values = {name: one.value for name, one in own.fit.constants.items()}
    written = units_of_named(values, law.finding.formula, units)
    constants = {
        name: {
            "value": one.value,
            "standard_error": one.standard_error,
            "meaning": own.law.constants[name].meaning,
            **({"unit": written[name]} if name in written else {}),
        }
        for name, one in own.fit.constants.items()
    }
    facts = {
        "name": own.law.name,
        "also": list(own.law.also),
        "form": own.law.form,
        "columns": own.columns,
        "constants": constants,
        "source": own.law.source,
        "not_told_from": others,
    }
    return {"law": facts | {"sentence": sentence(own, others, written) + _of_groups(own, data)}}


def _of_groups(found: Recognised, data: Dataset) -> str:
    """The values of the constant that differs between two groups of rows, if one does."""
    if GROUP not in found.columns:
        return ""
    name = next(one for one in found.law.constants if f"({one} + {DIFFERENCE}*{GROUP})" in found.law.form)
    column, values = found.columns[GROUP], found.fit.values
    levels = torch.unique(data.x[:, data.feature_names.index(column)]).tolist()
    each = [f"{values[name] + values[DIFFERENCE] * level:.4g} where {column} is {level:g}" for level in levels]
    return f"; {name} is {' and '.join(each)}"


def sentence(found: Recognised, others: Sequence[str], units: Mapping[str, str]) -> str:
    """The name of a law with its constants and their units, and the laws that the rows do not tell it from."""
    from superpose.formulas.forms.fit import FittedConstant

    def written(one: FittedConstant) -> str:
        unit = units.get(one.name, "1")
        after = "" if unit == "1" else f" {unit}"
        if not math.isfinite(one.standard_error):
            return f"{one.name} = {one.value:.4g}{after}"
        return f"{one.name} = {one.value:.4g} ± {one.standard_error:.2g}{after}"

    constants = ", ".join(written(one) for one in found.fit.constants.values())
    # Powers as in the formulas that stand beside it.
    text = f"{found.law.name}, {found.law.form.replace('^', '**')}: {constants}"
    if not others:
        return text
    more = len(others) - _LISTED
    named = [*others[:_LISTED], f"{more} more"] if more > 0 else list(others)
    listing = " and ".join(part for part in (", ".join(named[:-1]), named[-1]) if part)
    return f"{text}; the rows do not tell it from {listing}"


def _apart(context: Context, law: NamedLaw, recommended: Finding) -> float:
    """How far the values of a formula are from those of a law; below 1 for a small share of what the law leaves."""
    if recommended is law.finding:
        return 0.0
    data = context.sample
    rows = torch.cat([data.train, data.validation])
    x, y = data.features(rows), data.y[rows, 0]
    with torch.no_grad():
        own, other = law.finding.formula.torch(x)[:, 0], recommended.formula.torch(x)[:, 0]
    if law.relative:
        own, other, y = own.log(), other.log(), y.log()
    apart, left = (float((one - own).square().mean().sqrt()) for one in (other, y))
    share = apart / max(_SAME * left, EXACT * data.target_std)
    return share if math.isfinite(share) else math.inf
