"""Forms that a user gives, fitted and judged beside what the search finds.

The form is what the run hands out: its network, its files. Sums of smooth functions and the formulas of the search say
whether the table supports it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from superpose.checkpoint import Checkpoint
from superpose.data import Dataset
from superpose.data.sampling import evenly
from superpose.deadline import Deadline
from superpose.errors import DataError, OptionError
from superpose.formulas.expressions.formula import Formula
from superpose.formulas.forms.fit import FormulaFit, fit_formula
from superpose.formulas.forms.parsing import parse_form
from superpose.formulas.recommendation import Finding
from superpose.formulas.units.unit import Unit
from superpose.messages import listed, nearest, quoted
from superpose.nn.model import KAN
from superpose.stopping import StopReason
from superpose.tasks.regression import findings, gross_rows, metrics
from superpose.tasks.regression.column_units import unit_facts, units_of_named
from superpose.tasks.regression.context import Context, Listener
from superpose.tasks.regression.gross_rows import suspected, without
from superpose.tasks.regression.intervals import Found, attach, of_formula, uncertainty
from superpose.tasks.regression.judging import loo_predictions
from superpose.tasks.regression.knowledge import KnowledgeFilter
from superpose.tasks.regression.options import DiscoverOptions
from superpose.tasks.regression.reference import described, errors_of, fit_reference
from superpose.tasks.regression.result import FormResult, Result
from superpose.tasks.regression.search import discover
from superpose.tasks.regression.serial_correlation import structured_column
from superpose.train.history import History

# A difference of mean squared errors of so many standard errors is no chance.
_SURE = 2.0
# Nats of likelihood between two formulas that are no chance. A round number.
_NATS = 5.0
# Of errors that are compared by themselves, and not row by row, this much more is far. A round number.
_FARTHER = 1.1
# Squared errors that differ by less than this share are equal; as in ``ReferenceRules.line``.
_EQUAL = 0.02
# Rows whose errors prediction intervals follow from, at most. A round number.
_MOST = 4000


@dataclass(frozen=True)
class FormOptions:
    """The forms of a run.

    Attributes:
        forms: texts, such as ``"V*conc/(K + conc)"``; see :func:`superpose.formulas.parse_form`.
        start: values of constants to begin at, by name.
        bounds: least and largest values of constants, by name; None is no limit.
        positive: names of constants that are not below zero.
        search: whether other formulas are searched for as well, to compare with.
    """

    forms: Sequence[str]
    start: Mapping[str, float] = field(default_factory=dict)
    bounds: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    positive: Collection[str] = ()
    search: bool = True


def judge_forms(
    data: Dataset,
    given: FormOptions,
    options: DiscoverOptions | None = None,
    *,
    listener: Listener | None = None,
    on_formula: Callable[[Formula], None] | None = None,
    deadline: Deadline | None = None,
    checkpoint: Checkpoint | None = None,
) -> FormResult:
    """Fit forms that are given to a table, and judge them beside sums of smooth functions and what the search finds.

    Args:
        data: the table, with one target.
        given: the forms; of several, the best by AICc is handed out.
        options: of the search.
        listener: called with a short sentence whenever something was reached.
        on_formula: called with the form as soon as its constants are fitted.
        deadline: when the search ends; after ``options.time_limit`` seconds if left out.
        checkpoint: where finished stages of the search are written, and read if the run goes on.

    Returns:
        As of :func:`superpose.discover`, with the form as the formula. ``metrics["form"]["verdict"]`` is a sentence on
        whether the table supports it.

    Raises:
        OptionError: for text that is no form, or constants that no form has.
        DataError: if a form cannot be fitted.

    >>> x = torch.linspace(0.1, 4, 30, dtype=torch.float64)
    >>> y = 3 * (-1.2 * x).exp() + 0.02 * torch.sin(99 * x)
    >>> data = Dataset.from_arrays(x[:, None], y, feature_names=["t"])
    >>> result = judge_forms(data, FormOptions(["A*exp(-k*t)", "A/(1 + k*t)"], search=False))
    >>> result.fits[0].form.text, round(result.fits[0].values["k"], 1)
    ('A*exp(-k*t)', 1.2)
    """
    # Screening might leave out a column that a form has.
    options = replace(options or DiscoverOptions(), reduce=False).checked(data)
    deadline = deadline or Deadline(options.time_limit)
    fits = _fitted(data, given, options.seed)
    context = Context.start(data, options, listener or (lambda event: None), deadline)
    # With gross errors the constants change once these rows are known.
    early = not suspected(context)
    made = [_finding(context, fit) for fit in fits]
    if early and on_formula is not None:
        on_formula(fits[0].formula)
    if given.search:
        found = discover(data, options, listener=listener, deadline=deadline, checkpoint=checkpoint)
    else:
        found = _without_search(context, made[0])
    gross = torch.tensor(found.metrics.get("suspicious_rows") or [], dtype=torch.long)
    clean = data
    if len(gross):
        # The search has left these rows out, and so do the forms.
        clean = without(context, gross).data
        fits = _fitted(clean, given, options.seed)
        made = [_finding(context, fit) for fit in fits]
    if not early and on_formula is not None:
        on_formula(fits[0].formula)
    return _judged(context, found, clean, fits, made)


def _fitted(data: Dataset, given: FormOptions, seed: int) -> list[FormulaFit]:
    """The forms with their constants, the best by AICc first."""
    if isinstance(given.forms, str) or not given.forms:
        raise OptionError("forms is a list of texts with one at least, such as ['a + b*x']")
    if data.n_targets != 1:
        raise OptionError(f"a form has one target, and the table has {data.n_targets}; choose one of them")
    names, target = data.feature_names, data.target_names[0]
    forms = [parse_form(text, names, target=target, open_parts=True) for text in dict.fromkeys(given.forms)]
    known = [name for form in forms for name in form.constants]
    for name in (*given.start, *given.bounds, *given.positive):
        if name not in known:
            hint = nearest(name, known) or (f"; these are {listed(known)}" if known else "")
            raise OptionError(f"there is no constant {quoted(name)} in a form{hint}")
    fits = [
        fit_formula(
            data,
            form,
            start={name: value for name, value in given.start.items() if name in form.constants},
            bounds={name: value for name, value in given.bounds.items() if name in form.constants},
            positive={name for name in given.positive if name in form.constants},
            seed=seed,
        )
        for form in forms
    ]
    # Not by description length: nobody chose these forms among many.
    return sorted(fits, key=lambda fit: (fit.aicc, fit.leave_one_out))


def _finding(context: Context, fit: FormulaFit) -> Finding:
    """The form with the network that computes it."""
    try:
        made = findings.from_expressions(context, fit.formula.expressions, fit.formula.splines)
    except (OptionError, DataError) as error:
        raise DataError(
            f"the form {quoted(fit.form.text)} with the constants that fit best is no network: {error}; give bounds, "
            "or another form"
        ) from None
    if made is None:
        raise DataError(
            f"the form {quoted(fit.form.text)} has no finite value on a row that was held out, with the constants of "
            "the others; leave out the row, or change the form"
        )
    # The formula as it was fitted, and not as its network orders it.
    return replace(made, formula=fit.formula)


def _without_search(context: Context, finding: Finding) -> Result:
    """A result with sums of smooth functions alone to compare with."""
    data, failures = context.data, context.failures
    reference = None
    with failures.part("no sum of smooth functions could be fitted to compare with"):
        reference = fit_reference(context)
    gross: list[int] = []
    if reference is not None and suspected(context):
        gross = reference.choice.suspicious.tolist()
    network: KAN = finding.model
    history = History(reason="the network was made of the formula")
    fit = None
    if reference is not None:
        network, fit = reference.model, reference.choice.fit
        history = History(reason=f"the best fit of {described(fit)}")
    facts: dict[str, Any] = {
        **metrics.of_network(data, network, history),
        **metrics.of_cross_validation(context, reference, network, None),
        "shape": network.shape,
        "parameters": network.parameter_count(),
        "seed": context.options.seed,
        "reason": "the forms were fitted, and nothing else was searched for",
        "stop": StopReason.CONVERGED.value,
        "interrupted": False,
        "suspicious_rows": gross,
        "seconds": context.deadline.elapsed(),
        "warnings": list(failures.sentences),
    }
    with failures.part("prediction intervals could not be computed", "the models are complete without"):
        attach(data, Found(network, fit is not None), reference, data.validation, fit.deviation if fit else None)
    return Result(network, None, None, history, data, facts, failures=failures, smooth=fit)


def _facts(fit: FormulaFit, units: Mapping[str, Unit]) -> dict[str, Any]:
    """What the metrics say of a form, with the units of its constants where they are known."""
    facts = fit.facts()
    known = units_of_named({name: one.value for name, one in fit.constants.items()}, fit.formula, units)
    for constant in facts["constants"]:
        if constant["name"] in known:
            constant["unit"] = known[constant["name"]]
    return facts


def _judged(
    context: Context, found: Result, clean: Dataset, fits: Sequence[FormulaFit], made: Sequence[Finding]
) -> FormResult:
    """The result with the first form as its formula; ``clean`` is the table without rows with gross errors."""
    data, chosen, others = found.data, made[0], found.findings
    failures = found.failures
    with failures.part("prediction intervals could not be computed", "the model is complete without"):
        rows = torch.cat([data.train, data.validation]).sort().values
        errors = of_formula(data, chosen.formula, rows[evenly(len(rows), _MOST)])
        chosen.model.uncertainty = uncertainty(data, chosen.model, errors)
    every = [*others, *made]
    units = context.units
    facts = found.metrics | metrics.of_formulas(data, every, chosen, complete=False, failures=failures, units=units)
    facts |= unit_facts(units, chosen.formula, facts["constants"])
    if not len(data.test):
        rows = _rows(data)
        own = errors_of(data, rows, loo_predictions(chosen.formula, data, rows))
        facts |= {f"formula_{what}": own[what] for what in ("rmse", "r2", "standard_error")}
        if fits[0].form.splines:
            # Leave-one-out of the constants alone takes the splines as given.
            share = (fits[0].leave_one_out / max(own["rmse"], 1e-300)) ** 2
            facts |= {"formula_rmse": fits[0].leave_one_out, "formula_r2": 1 - share * (1 - own["r2"])}
    for about_the_search in ("stability", "alternatives"):
        facts.pop(about_the_search, None)
    gross = torch.tensor(facts.get("suspicious_rows") or [], dtype=torch.long)
    smooth = facts.get("cross_validation")
    if len(gross):
        models: dict[str, Callable[[Tensor], Tensor]] = {"formula": chosen.formula.torch, "network": found.network}
        with torch.no_grad():
            facts |= gross_rows.facts(data, gross, models)
        data = replace(data, notes=(*context.data.notes, gross_rows.sentence(data.table_rows(gross), facts)))
        # Its errors are those of all rows.
        smooth = None
    sentence = verdict(clean, fits[0], found.formula, smooth)
    contradicted = KnowledgeFilter(context.options.knowledge, clean, lambda finding: finding).why(chosen.formula)
    if contradicted:
        failures.sentences.append(f"the form contradicts what is known beforehand: it {contradicted}")
    facts |= {
        "warnings": list(failures.sentences),
        "shape": chosen.model.shape,
        "parameters": chosen.model.parameter_count(),
        "recommendation": sentence,
        "form": {"verdict": sentence, "fits": [_facts(fit, units) for fit in fits]},
    }
    return FormResult(
        found.network,
        chosen.model,
        chosen.formula,
        found.history,
        data,
        facts,
        every,
        fits=list(fits),
        failures=failures,
        smooth=found.smooth,
    )


def _rows(data: Dataset) -> Tensor:
    """The rows that forms are judged on: those of the test, or all others where there are none."""
    return data.test if len(data.test) else torch.cat([data.train, data.validation]).sort().values


def _losses(data: Dataset, formula: Formula) -> Tensor:
    """Squared errors ``[n]`` of a formula, on the test rows or by leave-one-out, weighted if rows have weights."""
    rows = _rows(data)
    if len(data.test):
        with torch.no_grad():
            predictions = formula.torch(data.features(rows))[:, 0]
    else:
        predictions = loo_predictions(formula, data, rows)
    squares = (predictions - data.y[rows, 0]).square()
    return squares if data.weights is None else squares * data.weights[rows] / data.weights[rows].mean()


def verdict(data: Dataset, fit: FormulaFit, other: Formula | None, smooth: Mapping[str, Any] | None) -> str:
    """Whether the table supports a form, in one sentence.

    Args:
        data: the table.
        fit: the form.
        other: the formula that the search recommends, if there is one.
        smooth: errors of the sum of smooth functions in cross-validation, if they are known.
    """
    own = _losses(data, fit.formula)
    if fit.form.splines and not len(data.test):
        own = own * (fit.leave_one_out**2 / max(float(own.mean()), 1e-300))
    rmse, spread = math.sqrt(float(own.mean())), data.target_std or 1.0
    how = "on the rows held out for the test" if len(data.test) else "by leave-one-out"
    parts = [f"the form errs by {rmse / spread:.2g} of the target's spread {how}"]
    better, worse, compared = False, False, 0
    if other is not None:
        losses = _losses(data, other)
        theirs = float(losses.mean())
        if math.isfinite(theirs):
            compared += 1
            parts.append(f"the formula that the search recommends by {math.sqrt(theirs) / spread:.2g}")
            worse, better = _surely_larger(own, losses), _surely_larger(losses, own)
    if smooth is not None and not len(data.test):
        theirs, error = float(smooth["rmse"]), float(smooth["standard_error"])
        error = math.hypot(error, float(own.std()) / (2 * max(rmse, 1e-300) * math.sqrt(len(own))))
        compared += 1
        parts.append(f"the best sum of smooth functions by {theirs / spread:.2g} in cross-validation")
        surely = rmse > _FARTHER * theirs and len(own) * math.log(rmse / max(theirs, 1e-300)) > _NATS
        worse = worse or surely or rmse - theirs > max(_SURE * error, _EQUAL * theirs)
    where = residual_structure(data, fit)
    if other is not None and _same(data, fit.formula, other):
        says = "the search finds the same law"
    elif worse:
        says = "the table speaks against the form"
    elif where:
        says = "the form leaves something to explain"
    elif compared == 0:
        says = "nothing was found to compare it with"
    else:
        says = "the table supports the form" if better or other is None else "the table does not tell them apart"
    text = f"{', '.join(parts)}: {says}"
    if where:
        text += f", since its residuals still show structure along {where}"
    return text


def _surely_larger(losses: Tensor, others: Tensor) -> bool:
    """Whether losses ``[n]`` are larger than others by more than chance: in the mean, or in nats and in most rows.

    A single row may hold most of the squared error, so that the mean difference is never sure.
    """
    difference, mean, count = losses - others, float(others.mean()), len(losses)
    if count < 2 or float(difference.mean()) <= _EQUAL * mean:
        return False
    if float(difference.mean()) > _SURE * float(difference.std()) / math.sqrt(count):
        return True
    nats = count / 2 * math.log(float(losses.mean()) / max(mean, 1e-300))
    most = (float((difference > 0).double().mean()) - 0.5) * 2 * math.sqrt(count)
    return nats > _NATS and most > _SURE


def _same(data: Dataset, formula: Formula, other: Formula) -> bool:
    """Whether two formulas have the same values, to a thousandth of the target's spread, and are of one size."""
    x = data.features(_rows(data))
    with torch.no_grad():
        apart = (formula.torch(x) - other.torch(x)).abs().max()
    return float(apart) <= 1e-3 * data.target_std and other.complexity >= formula.complexity


def residual_structure(data: Dataset, fit: FormulaFit) -> str:
    """The column along which neighbouring residuals of a form are most alike, if that is no chance; else nothing."""
    rows = torch.cat([data.train, data.validation]).sort().values
    x, y = data.features(rows), data.y[rows, 0]
    with torch.no_grad():
        rest = y - fit.formula.torch(x)[:, 0]
    if data.weights is not None:
        rest = rest * data.weights[rows].sqrt()
    # What is left of an exact law is rounding.
    if not float((rest - rest.mean()).square().sum()) > (1e-10 * data.target_std) ** 2 * len(rest):
        return ""
    return structured_column(data.feature_names, x, rest)
