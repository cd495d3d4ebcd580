"""From expressions, or a trained network, to formulas that may be recommended."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from superpose.data.arrays import root_mean_square
from superpose.data.sampling import evenly
from superpose.deadline import Deadline
from superpose.edit.combining import Combined
from superpose.edit.refitting import polish
from superpose.errors import DataError, OptionError
from superpose.formulas.expressions import functions, rewrite
from superpose.formulas.expressions.compiler import build_network
from superpose.formulas.expressions.formula import Formula
from superpose.formulas.expressions.splines import SplineEdge
from superpose.formulas.from_network.recognition import symbolify
from superpose.formulas.recommendation import EXACT, Finding
from superpose.messages import counted
from superpose.nn.model import KAN
from superpose.nn.rows import values_at
from superpose.tasks.regression.column_units import checked, sensible
from superpose.tasks.regression.context import BUDGET, Context

if TYPE_CHECKING:
    import sympy

# Gauss-Newton steps after which the constants of a network have met a formula that the network can represent, and the
# decrease of the error below which they stop earlier. Round numbers; nothing was measured.
_MATCHING_STEPS, _MATCHING_TOLERANCE = 40, 1e-6


def from_expressions(
    context: Context, expressions: Sequence[sympy.Expr], splines: Mapping[str, SplineEdge]
) -> Finding | None:
    """One expression for each target as a formula, with the network that has it on its edges."""
    data = context.data
    model, names = _compiled(context, expressions, splines)
    renamed = [rewrite.rename_functions(expression, names) for expression in expressions]
    own = {names[name]: replace(spline, name=names[name]) for name, spline in splines.items() if name in names}
    return admitted(context, Formula.from_expressions(renamed, data, own), model)


def from_network(context: Context, model: KAN, error: float) -> Finding | None:
    """Read a trained network: straighten, prune, recognise its functions, write them out and simplify.

    Args:
        model: the network.
        error: its root mean squared error in units of the target's spread; what a formula leaves below that is noise.
    """
    left = context.search.left()
    reading = Deadline(max(BUDGET.min_reading, BUDGET.reading * left))
    known = context.options.functions
    names = None if known is None else functions.resolve_names(("0", "x", *known))
    symbolic = symbolify(model, context.sample, functions=names, noise=error, time_limit=reading.left())
    wanted = max(reading.left() + BUDGET.simplifying * left, BUDGET.min_simplifying)
    limit = min(wanted, max(context.deadline.left(), 1.0))
    own = sensible(context.units, context.data.target_names[0]) if context.data.n_targets == 1 else None
    # A formula that was not simplified has the same values: it is what a failure while simplifying leaves.
    with context.failures.part("a formula could not be simplified", "it is kept as it was read"):
        plain = Formula.of(symbolic, context.sample, time_limit=limit, sensible=own)
        return admitted(context, plain, symbolic)
    return admitted(context, Formula.of(symbolic), symbolic)


def admitted(context: Context, formula: Formula, model: KAN) -> Finding | None:
    """A formula with its errors; None if it may not be recommended, and the listener is told why."""
    # The values of the columns alone, of test rows too: a formula must have a value wherever the table has a row.
    every = torch.arange(context.data.n_rows)
    lost = int((~values_at(formula.torch, context.data, every).isfinite().all(-1)).sum())
    if lost:
        context.tell(f"a formula was found, but it has no finite value on {counted(lost, 'row')} of the table")
        return None
    train = formula.rmse(context.sample, "train")
    validation = formula.rmse(context.few, "validation") if len(context.few.validation) else train
    if not _allowed(context, formula):
        context.tell("a formula was found, but not of the form that was asked for")
        return None
    finding = Finding(formula, model, context.relative(max(train, validation)), context.relative(validation))
    if not context.units:
        return finding
    units = checked(formula, context.units)
    return replace(finding, inconsistent=units.reason, dimensional=units.dimensional)


def announce(context: Context, finding: Finding) -> None:
    """Tell the listener of a formula, and show it to the observer."""
    nodes = finding.formula.complexity
    context.tell(f"formula with {nodes} nodes, error {finding.error:.1e} of the target's spread")
    context.observer.finding(finding)


def matched(context: Context, finding: Finding) -> Finding:
    """The finding with a symbolic network that has the values of its formula, which simplifying has changed a little.

    The constants of the network that was read are fitted to the formula. If they cannot represent it, the formula is
    compiled to a network of its own. If there is none, the formula of the network that was read takes its place.
    """
    data = context.data
    model = finding.model.copy()
    rows = evenly(data.n_rows, BUDGET.sample)
    samples = data.features(rows)
    x, y = model.scale_inputs(samples), model.scale_targets(data.y[rows])
    with torch.no_grad():
        values = (finding.formula.torch(samples) - model.output_center) / model.output_scale
        apart = float(((model(samples) - model.output_center) / model.output_scale - values).square().mean())
    if apart < EXACT**2:
        return replace(finding, model=model)
    before = float((values - y).square().mean())
    reached = math.inf
    if math.isfinite(apart):
        reached = polish(model, x, values, steps=_MATCHING_STEPS, tolerance=_MATCHING_TOLERANCE)
    if reached < EXACT**2:
        return replace(finding, model=model)
    # Splines with a base function, or with different grids in one layer, cannot be compiled.
    with contextlib.suppress(OptionError, DataError):
        made, _ = _compiled(context, finding.formula.expressions, finding.formula.splines)
        if finding.formula.difference(made, samples) < EXACT * root_mean_square(data.y_scale.scale):
            return replace(finding, model=made)
    model = model if reached <= before else finding.model
    return admitted(context, Formula.of(model), model) or replace(finding, model=model)


def _compiled(
    context: Context, expressions: Sequence[sympy.Expr], splines: Mapping[str, SplineEdge]
) -> tuple[KAN, dict[str, str]]:
    data = context.sample
    return build_network(list(expressions), data.feature_names, data.target_names, data=data, splines=splines)


def _allowed(context: Context, formula: Formula) -> bool:
    """Whether a formula has only the functions that were allowed, and is linear in the columns that must be."""
    known, linear = context.options.functions, context.options.linear
    if known is not None:
        names = functions.resolve_names(known)
        if not all(functions.uses_only(one, names, beside=formula.splines) for one in formula.expressions):
            return False
    columns = [symbol for symbol in formula.symbols if symbol.name in linear]
    return all(functions.linear_in(one, column) for one in formula.expressions for column in columns)


def in_columns_of(combined: Combined | None, context: Context, finding: Finding) -> Finding | None:
    """The finding in the columns of the table, where some were combined; None if it cannot be written in them."""
    if combined is None:
        return finding
    with context.failures.part("a formula of combined columns could not be written in the columns of the table"):
        return replace(finding, formula=combined.formula(finding.formula), model=combined.model(finding.model))
    return None
