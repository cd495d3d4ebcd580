"""Numbers and facts on a run, ready for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from superpose.data import Dataset
from superpose.data.arrays import root_mean_square
from superpose.data.rounding import step_of
from superpose.formulas import recommendation
from superpose.formulas.expressions.formula import Formula
from superpose.formulas.recommendation import Finding
from superpose.formulas.units.unit import Unit
from superpose.messages import counted
from superpose.nn.model import KAN
from superpose.nn.rows import values_at
from superpose.partial import Failures
from superpose.stopping import StopReason
from superpose.tasks.regression.column_units import with_units
from superpose.tasks.regression.context import Context
from superpose.tasks.regression.judging import loo_predictions
from superpose.tasks.regression.reference import Reference, errors_of
from superpose.train.history import History


def of_network(data: Dataset, network: KAN, history: History) -> dict[str, Any]:
    """What the metrics contain of the spline network and its training."""
    split = data.evaluation_split
    predicted = values_at(network, data, data.index(split))
    return {
        "target": list(data.target_names),
        "features": list(data.feature_names),
        "network_rmse": data.rmse(predicted, split),
        "network_r2": data.r2(predicted, split),
        "network_shape": network.shape,
        "network_parameters": network.parameter_count(),
        "target_std": data.target_std,
        "target_step": step_of(data.y[:, 0]) if data.n_targets == 1 else None,
        "grids": history.grids,
        "rows": {name: len(getattr(data, name)) for name in ("train", "validation", "test")},
        "training": history.reason,
    }


def of_formulas(
    data: Dataset,
    found: Sequence[Finding],
    chosen: Finding | None,
    *,
    complete: bool,
    law: str | None = None,
    failures: Failures | None = None,
    units: Mapping[str, Unit] | None = None,
) -> dict[str, Any]:
    """What the metrics contain of the formulas.

    Args:
        data: the table.
        found: all formulas.
        chosen: the recommended one.
        complete: whether it leaves nothing to explain.
        law: the name of the textbook law that it is.
        failures: of the run; numbers that cannot be computed are left out, and said there.
        units: of columns, by name; constants have units then.
    """
    failures = failures or Failures()
    formula = None if chosen is None else chosen.formula
    front = recommendation.front(found, chosen, data)
    split = data.evaluation_split
    why = None
    if chosen is not None:
        why = recommendation.reason(
            [(one.formula.complexity, one.error) for one in front],
            next(n for n, one in enumerate(front) if one is chosen),
            complete=complete,
            test_error=test_error(data, chosen),
            splines=tuple(chosen.formula.splines),
            law=law,
        )
    return {
        "formula": None if formula is None else str(formula),
        "formula_rmse": None if formula is None else formula.rmse(data, split),
        "formula_r2": None if formula is None else formula.r2(data, split),
        "formula_complexity": None if formula is None else formula.complexity,
        "splines_in_formula": 0 if formula is None else len(formula.splines),
        "constants": [] if formula is None else _constants(data, formula, units or {}, failures),
        "formulas": [_described(one) for one in sorted(found, key=lambda one: one.formula.complexity)],
        "front": [
            _described(one)
            | {
                "rmse": one.formula.rmse(data, split),
                "r2": one.formula.r2(data, split),
                "recommended": one is chosen,
            }
            for one in front
        ],
        "recommendation": why,
    }


def of_cross_validation(
    context: Context, reference: Reference | None, network: KAN, chosen: Finding | None
) -> dict[str, object]:
    """Errors on rows that were not fitted, where the table has no test rows, and those of the reference."""
    if reference is None:
        return {}
    facts: dict[str, object] = {"cross_validation": reference.facts(context.data)}
    if len(context.data.test):
        return facts
    data, rows = context.data, reference.rows
    errors = {"network": reference.predictions} if network is reference.model else {}
    if chosen is not None:
        with context.failures.part("the error of the formula by leave-one-out could not be computed"):
            errors["formula"] = loo_predictions(chosen.formula, data, rows, log=reference.log)
            if network is chosen.model:
                errors["network"] = errors["formula"]
    judged = {name: errors_of(data, rows, predictions) for name, predictions in errors.items()}
    # Rows with gross errors were not seen either, and count where all errors do.
    left_out = torch.cat([context.few.validation, context.gross])
    if "network" not in judged and not len(data.validation) and len(left_out) > 1:
        with torch.no_grad():
            judged["network"] = errors_of(data, left_out, network(data.features(left_out))[:, 0])
        facts["network_judged"] = f"{counted(len(left_out), 'row')} left out of its training"
    for name, own in judged.items():
        facts |= {f"{name}_{what}": own[what] for what in ("rmse", "r2", "standard_error")}
    return facts


def of_run(context: Context, model: KAN, reason: str, stop: StopReason) -> dict[str, object]:
    """What the metrics contain of a run as a whole."""
    return {
        "shape": model.shape,
        "parameters": model.parameter_count(),
        "seed": context.options.seed,
        "reason": reason,
        "stop": stop.value,
        "interrupted": stop is StopReason.INTERRUPTED,
        "seconds": context.deadline.elapsed(),
        "warnings": list(context.failures.sentences),
    }


def _constants(data: Dataset, formula: Formula, units: Mapping[str, Unit], failures: Failures) -> list[dict[str, Any]]:
    with failures.part("the standard errors of the constants could not be computed"):
        return with_units(formula.constants(data), formula, units)
    return []


def test_error(data: Dataset, chosen: Finding) -> float:
    """The error of a formula on the test rows in units of the target's spread; 0 without such rows."""
    spread = root_mean_square(data.y_scale.scale)
    return chosen.formula.rmse(data, "test") / spread if len(data.test) else 0.0


def held_out_error(data: Dataset, formula: Formula) -> float:
    """The root mean squared error of a formula on the test rows; without such rows, by leave-one-out."""
    if len(data.test):
        return formula.rmse(data, "test")
    rows = torch.arange(data.n_rows)
    return float((loo_predictions(formula, data, rows) - data.y[:, 0]).square().mean().sqrt())


def _described(finding: Finding) -> dict[str, Any]:
    return {
        "formula": str(finding.formula),
        "complexity": finding.formula.complexity,
        "relative_error": finding.error,
        **({"inconsistent": finding.inconsistent} if finding.inconsistent else {}),
    }
