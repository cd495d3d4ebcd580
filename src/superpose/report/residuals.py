"""What the model leaves against every column: residuals and their running means."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from superpose.data.sampling import evenly
from superpose.deadline import Deadline
from superpose.nn.rows import values_at
from superpose.plot import canvas, column_charts
from superpose.report.models import ordinary, predictor
from superpose.report.pictures import Picture, as_picture, drawn
from superpose.tasks.result import TaskResult


@dataclass(frozen=True)
class ResidualRules:
    """Constants of the pictures of residuals; round numbers.

    Attributes:
        columns: that are drawn: those on which the residuals depend most.
        always: of these, whatever the time.
        enough: with fewer held-out rows all rows are drawn, since few show no structure.
        rows: for means at most.
        points: rows drawn at most.
        groups: of rows with neighbouring values, whose means tell how much the residuals depend on a column.
        window: share of the rows in a running mean,
        least: and rows at least.
        places: at which running means are drawn.
        rounding: of the target's deviation: smaller residuals are none.
    """

    columns: int = 12
    always: int = 4
    enough: int = 100
    rows: int = 4000
    points: int = 300
    groups: int = 8
    window: float = 0.15
    least: int = 8
    places: int = 60
    rounding: float = 1e-9


RULES = ResidualRules()


@dataclass(frozen=True)
class Residuals:
    """The part of the page on residuals.

    Attributes:
        model: its name.
        rows: which rows are drawn, in words.
        pictures: of the columns on which the residuals depend most, the strongest first.
        others: columns that are not drawn.
    """

    model: str
    rows: str
    pictures: Sequence[Picture]
    others: Sequence[str]


def residuals_of(result: TaskResult, deadline: Deadline) -> Residuals | None:
    """The residuals as the page shows them, of the first target; None for classes, or without rows."""
    data = result.data
    if result.network.head is not None:
        return None
    model, predict = predictor(result)
    held = data.test if len(data.test) >= RULES.enough else torch.arange(data.n_rows)
    index = ordinary(result, held[evenly(len(held), RULES.rows)])
    left = (data.y[index, 0] - values_at(predict, data, index)[:, 0]).double()
    finite = left.isfinite()
    index, left = index[finite], left[finite]
    if len(left) < 2 or float(left.square().mean().sqrt()) <= RULES.rounding * float(data.y[:, 0].std()):
        return None
    x = data.features(index)
    order = sorted(
        (i for i in range(data.n_features) if bool((x[:, i] != x[0, i]).any())),
        key=lambda i: -dependence(x[:, i], left),
    )
    names = [canvas.clean(name) for name in data.feature_names]
    some = evenly(len(left), RULES.points)
    made = list[Picture]()
    for i in order[: RULES.columns]:
        if len(made) >= RULES.always and deadline.passed():
            break
        draw = functools.partial(
            column_charts.residual, names[i], x[some, i].numpy(), left[some].numpy(), running_mean(x[:, i], left)
        )
        text = f"Residuals against {names[i]}"
        made.append(as_picture(drawn(result, draw, names[i], what="of residuals"), text))
    what = "test rows" if held is data.test else "all rows"
    if result.metrics.get("suspicious_rows"):
        what += " without gross errors"
    return Residuals(model, what, made, [names[i] for i in order[len(made) :]])


def dependence(values: Tensor, residuals: Tensor) -> float:
    """How much the residuals ``[N]`` differ among groups of rows with neighbouring values ``[N]`` of a column.

    The variance of the groups' means over what it would be by chance: about 1 for residuals that do not depend on it.

    >>> x = torch.linspace(-1, 1, 160, dtype=torch.float64)
    >>> round(dependence(x, x**2 - 1 / 3)) > 10
    True
    """
    ordered = residuals[values.argsort(stable=True)]
    groups = [part for part in torch.tensor_split(ordered, RULES.groups) if len(part)]
    if len(groups) < 2 or len(ordered) <= len(groups):
        return 0.0
    between = sum(len(part) * float(part.mean() - ordered.mean()) ** 2 for part in groups) / (len(groups) - 1)
    within = sum(float((part - part.mean()).square().sum()) for part in groups) / (len(ordered) - len(groups))
    return between / within if within > 0 else between


def running_mean(values: Tensor, residuals: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Places and means of the residuals ``[N]`` in windows of rows with neighbouring values ``[N]``.

    Of a column with few values the means at each.
    """
    different, inverse, counts = torch.unique(values, return_inverse=True, return_counts=True)
    if len(different) <= RULES.groups:
        sums = torch.zeros(len(different), dtype=residuals.dtype).index_add_(0, inverse, residuals)
        return different.numpy(), (sums / counts).numpy()
    order = values.argsort(stable=True)
    window = min(len(order), max(RULES.least, round(RULES.window * len(order))))
    starts = evenly(len(order) - window + 1, RULES.places)
    means = []
    for ordered in (values[order], residuals[order]):
        sums = torch.cat([ordered.new_zeros(1), ordered.cumsum(0)])
        means.append(((sums[starts + window] - sums[starts]) / window).numpy())
    return means[0], means[1]
