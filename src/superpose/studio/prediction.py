"""Predictions of a state for values that a person chooses, and how each input moves them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from superpose.checks import is_finite
from superpose.data import Dataset
from superpose.data.sampling import evenly
from superpose.errors import DataError, OptionError
from superpose.messages import nearest
from superpose.nn.model import KAN
from superpose.plot.dependence import mean_predictions, places_of
from superpose.studio.network_numbers import rounded
from superpose.studio.raw_inputs import outcomes, raw_inputs, row_of
from superpose.tasks.regression import calibrate


@dataclass(frozen=True)
class PredictionRules:
    """Sizes of what is computed at once; round numbers.

    Attributes:
        level: of the interval.
        rows: over which partial dependence is a mean.
        inputs: of which no more have curves.
    """

    level: float = 0.9
    rows: int = 200
    inputs: int = 40


RULES = PredictionRules()


def calibrated(model: KAN, data: Dataset) -> tuple[KAN, str]:
    """The model with prediction intervals, and a sentence where it has none."""
    if model.head is not None:
        return model, ""
    if model.uncertainty is not None and model.uncertainty.describes(model):
        return model, ""
    try:
        return calibrate(model, data), ""
    except (DataError, OptionError):
        return model, "There is no interval, since no validation rows show how far the network errs on new rows."


def values_of(given: Mapping[str, Any], model: KAN, data: Dataset, notes: list[str]) -> Tensor:
    """The row ``[n_in]`` that a person chose; what training rows usually have for inputs that are not given.

    Raises:
        SuperposeError: for a column that the model does not have, or a value that it cannot have.
    """
    if not isinstance(given, Mapping):
        raise OptionError("inputs are values by the names of the columns, such as {'x': 0.5}")
    row, read = row_of(given, model, data, notes)
    names = list(model.feature_names)
    for name, value in given.items():
        if name in read:
            continue
        if name not in names:
            known = [*names, *(one.column.name for one in raw_inputs(model))]
            raise OptionError(f"the model has no input {name!r}{nearest(str(name), known)}")
        if not is_finite(value):
            raise OptionError(f"the value of {name!r} is a finite number, not {value!r}")
        row[names.index(name)] = float(value)
    return row


@torch.no_grad()
def prediction(model: KAN, data: Dataset, given: Mapping[str, Any], without: str) -> dict[str, Any]:
    """All that is shown of one prediction.

    Args:
        model: as :func:`calibrated` gave it.
        data: the table of the session.
        given: values by the names of the inputs.
        without: why there is no interval; empty if there may be one.
    """
    notes: list[str] = []
    row = values_of(given, model, data, notes)
    rows = data.features(data.train[evenly(len(data.train), RULES.rows)])
    low, high = data.features(data.train).min(0).values, data.features(data.train).max(0).values

    def predict(x: Tensor) -> Tensor:
        return torch.from_numpy(model.values(x))

    used = {i for n, i, _ in model.active_edges() if n == 0}
    inputs: list[dict[str, Any]] = []
    for i, name in enumerate(model.feature_names):
        places, few = places_of(rows[:, i])
        one: dict[str, Any] = {
            "name": name,
            "value": float(row[i]),
            "low": float(low[i]),
            "high": float(high[i]),
            "values": places if few else None,
            "used": i in used,
            "outside": not float(low[i]) <= float(row[i]) <= float(high[i]),
            "curve": None,
        }
        if i in used and len(inputs) < RULES.inputs:
            along = row.repeat(len(places), 1)
            along[:, i] = places
            mean = mean_predictions(predict, rows, i, places)
            one["curve"] = {"x": places, "y": predict(along).T, "mean": mean.T}
        inputs.append(one)
    warnings = [
        f"{one['name']} = {one['value']:.6g} lies beyond the table's {one['low']:.6g} to {one['high']:.6g}: "
        "the prediction is an extrapolation."
        for one in inputs
        if one["outside"] and one["used"]
    ]
    raw = raw_inputs(model)
    columns = []
    for one_of in raw:
        shown = one_of.shown(row, low, high)
        choices = [(name, one_of.numbers(name, [])) for name in one_of.choices]
        shown["outcomes"] = outcomes(model, row, choices, one_of.places) if choices else None
        columns.append(shown)
    outputs, more = _outputs(model, row)
    return rounded(
        {
            "inputs": inputs,
            "columns": columns,
            "outputs": outputs,
            "classes": _classes(model, row),
            "level": RULES.level,
            "warnings": [*warnings, *notes, *([more] if more and not warnings else [])],
            "note": without,
        }
    )


def _outputs(model: KAN, row: Tensor) -> tuple[list[dict[str, Any]], str]:
    """Each output with its interval, and a warning where the row is unusual though no column is beyond its range."""
    values = model.values(row[None])[0].tolist()
    low = high = [math.nan] * len(values)
    warning = ""
    if model.head is None and model.uncertainty is not None:
        found = model.intervals(row[None], RULES.level)
        low, high = found.low[0].tolist(), found.high[0].tolist()
        if bool(found.outside[0]) and not bool(found.beyond[0].any()):
            warning = "No row of the table has a combination of values like this one."
    names = model.target_names
    return [
        {"name": name, "value": value, "low": a, "high": b}
        for name, value, a, b in zip(names, values, low, high, strict=True)
    ], warning


def _classes(model: KAN, row: Tensor) -> list[dict[str, Any]] | None:
    if model.head is None:
        return None
    shares = model.head.probabilities(torch.from_numpy(model.values(row[None])))[0].tolist()
    return [{"name": name, "probability": share} for name, share in zip(model.head.classes, shares, strict=True)]
