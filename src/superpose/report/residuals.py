"""What the model leaves against every column: residuals and their running means."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from superpose.data.sampling import evenly
from superpose.deadline import Deadline
from superpose.nn.rows import values_at
from superpose.plot import canvas, column_charts
from superpose.plot.dependence import dependence, running_mean
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
        rounding: of the target's deviation: smaller residuals are none.
    """

    columns: int = 12
    always: int = 4
    enough: int = 100
    rows: int = 4000
    points: int = 300
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
