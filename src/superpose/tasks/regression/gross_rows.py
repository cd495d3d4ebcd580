"""Rows with gross errors: recognised before laws are searched for, left out of the search, and named afterwards."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from superpose.data import Dataset
from superpose.data.arrays import root_mean_square
from superpose.data.sampling import evenly
from superpose.nn.rows import values_at
from superpose.tasks.regression.context import Context
from superpose.tasks.regression.reference import has_squares
from superpose.train.anova import AnovaSettings, fit_anova


@dataclass(frozen=True)
class GrossRules:
    """Constants; round numbers, looked at on the tables of docs/trust.md.

    Attributes:
        rows, columns: of the quick look at most; more columns take part without interactions.
        suspected: robust deviations of a residual from which on a closer look is worth its time.
        near, apart: a gross error is this many times the median error of so many rows next to it at least.
        gross: beyond which a row is named. One of a million of normal residuals is.
        most: more than this share of rows are no outliers but another distribution.
        rounding: a deviation counts as this share of the spread at least: smaller errors mislead nothing.
        named: rows that are named one by one.
    """

    rows: int = 1000
    columns: int = 8
    suspected: float = 8.0
    near: int = 5
    apart: float = 6.0
    gross: float = 5.0
    most: float = 0.15
    rounding: float = 1e-3
    named: int = 10


RULES = GrossRules()


def suspected(context: Context) -> bool:
    """Whether some rows lie so far from a smooth function of the others that errors may be gross."""
    data = context.data
    if data.n_targets != 1 or len(data.train) < 3 or not has_squares(data):
        return False
    rows = torch.cat([data.train, data.validation]).sort().values
    rows = rows[evenly(len(rows), RULES.rows)]
    x, y = data.features(rows), data.y[rows, 0]
    smooth = AnovaSettings(interactions=1 < data.n_features <= RULES.columns)
    # Of few rows a smooth fit follows a gross one, or takes all the others for noise; a robust line does neither.
    line = AnovaSettings(curves=False, robust=True)
    with context.failures.part("gross errors could not be looked for", "all rows count the same"):
        return any(_has_gross_error(context, x, y, settings) for settings in (smooth, line))
    return False


def _has_gross_error(context: Context, x: Tensor, y: Tensor, settings: AnovaSettings) -> bool:
    # Not by leave-one-out, which extrapolates the rows at the ends.
    error = (fit_anova(x, y, settings).predict(x) - y).abs()
    far = error > RULES.suspected * _deviation(error, context.data)
    return bool((far & (error > RULES.apart * _around(x, error))).any())


def _around(x: Tensor, error: Tensor) -> Tensor:
    """``[N]``: the median error of the rows next to each one. Where a function is steep, its neighbours err as well."""
    scaled = (x - x.mean(0)) / x.std(0).clamp(min=1e-300)
    nearest = torch.cdist(scaled, scaled).fill_diagonal_(math.inf).topk(min(RULES.near, len(x) - 1), largest=False)
    return error[nearest.indices].median(1).values


def without(context: Context, rows: Tensor) -> Context:
    """The context of a search that does not see some rows."""

    def cleaned(data: Dataset) -> Dataset:
        keep = [part[~torch.isin(part, rows)] for part in (data.train, data.validation)]
        return replace(data, train=keep[0], validation=keep[1])

    return replace(
        context, data=cleaned(context.data), few=cleaned(context.few), sample=cleaned(context.sample), gross=rows
    )


def found(data: Dataset, predict: Callable[[Tensor], Tensor]) -> Tensor:
    """The rows ``[n]`` that lie far from a model, in ascending order; none if they are more than outliers are.

    Args:
        predict: values ``[N, targets]`` of the model at rows ``[N, columns]``.
    """
    every = torch.arange(data.n_rows)
    error = (values_at(predict, data, every)[:, 0] - data.y[:, 0]).abs()
    gross = error > RULES.gross * _deviation(error, data)
    return every[gross] if float(gross.double().mean()) <= RULES.most else every[:0]


def _deviation(error: Tensor, data: Dataset) -> float:
    """Of normal residuals with these magnitudes, from their median."""
    return max(1.4826 * float(error.nanmedian()), RULES.rounding * root_mean_square(data.y_scale.scale))


def facts(data: Dataset, rows: Tensor, models: dict[str, Callable[[Tensor], Tensor]]) -> dict[str, Any]:
    """The rows for the metrics, and the errors of the models on the rows of the evaluation that are not among them.

    Args:
        models: by the word that begins their metrics.
    """
    told: dict[str, Any] = {"suspicious_rows": rows.tolist()}
    evaluated = data.index(data.evaluation_split)
    others = evaluated[~torch.isin(evaluated, rows)]
    if len(rows) and len(others) < len(evaluated) and len(others):
        y = data.y[others, 0]
        for name, predict in models.items():
            squares = (values_at(predict, data, others)[:, 0] - y).square()
            told[f"{name}_rmse_without_suspicious_rows"] = float(squares.mean().sqrt())
    return told


def sentence(rows: Tensor, metrics: dict[str, Any]) -> str:
    """What a person should know of them."""
    one = len(rows) == 1
    names = ", ".join(str(row + 1) for row in rows[: RULES.named].tolist())
    if len(rows) > RULES.named:
        names += f" and {len(rows) - RULES.named} more"
    text = (
        f"row{'' if one else 's'} {names} of the table (counting from 1) {'lies' if one else 'lie'} more than "
        f"{RULES.gross:g} deviations from what the others follow, and had little or no weight: check "
        f"{'it' if one else 'them'}"
    )
    errors = [
        f"{metrics[key]:.3g} of the {name}"
        for name in ("formula", "network")
        if (key := f"{name}_rmse_without_suspicious_rows") in metrics
    ]
    return f"{text}; without {'it' if one else 'them'} the error is {' and '.join(errors)}" if errors else text
