"""Pictures of what columns do to the predictions of any model: dependence, importance, residuals, interactions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from superpose.data.sampling import evenly
from superpose.errors import DataError, OptionError
from superpose.plot import canvas, column_charts, predictors
from superpose.plot.dependence import centred, mean_predictions, places_of, running_mean
from superpose.plot.numbers import View, attach

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class PictureRules:
    """Constants of these pictures; round numbers.

    Attributes:
        rows: over which predictions are averaged.
        errors: rows that are permuted or whose residuals are drawn.
        cells: places of either column of an interaction.
        interaction_rows: over which its predictions are averaged: their number times that of the cells is predicted.
        bars: columns of a picture of importance; the numbers have all.
        classes: lines of a picture of probabilities.
    """

    rows: int = 500
    errors: int = 2000
    cells: int = 21
    interaction_rows: int = 100
    bars: int = 20
    classes: int = 8


RULES = PictureRules()


@torch.no_grad()
def partial_dependence(model: Any, table: Any, column: str) -> Figure:
    """Draw how the mean prediction depends on a column: the prediction with the column set, averaged over the rows.

    The curve is drawn less its mean over the rows, as an effect (J. Friedman, *Greedy function approximation*, 2001,
    section 8.2); of a classifier there is a line for each class's probability. Ticks below are rows.

    Args:
        model: a :class:`~superpose.KAN`, a :class:`~superpose.Formula` or the result of a task.
        table: rows in the user's units: an array or tensor ``[N, n_in]``, a :class:`~superpose.Dataset`, a data frame
            or the path of a table, whose columns are taken by name.
        column: its name.

    Returns:
        The picture; its numbers (``data``) are ``output``, the column's values as ``place``, the mean ``prediction``
        and the ``effect``.

    Raises:
        OptionError: if the model is none, or has no such column.
        DataError, ShapeError: if the table does not belong to the model, or the column is constant.

    >>> from superpose import KAN, plot
    >>> picture = partial_dependence(KAN([2, 1], seed=0), torch.rand(50, 2), "x2")
    >>> list(plot.data(picture).columns)
    ['output', 'place', 'prediction', 'effect']
    """
    predictor = predictors.predictor_of(model)
    i = predictor.column(column)
    x = predictors.features_of(predictor, table, RULES.rows)
    places, discrete = places_of(x[:, i])
    if len(places) < 2:
        raise DataError(f"column {column!r} has one value only in the table; pass rows in which it varies")
    means = mean_predictions(predictor.predict, x, i, places)
    values, _ = centred(x[:, i], places, means)
    shown = list(range(values.shape[1]))[: RULES.classes]
    if predictor.head is not None and len(predictor.outputs) == 2:
        # The other is one minus it.
        shown = [1]
    several = len(predictor.outputs) > 1
    curves = column_charts.Curves(places.numpy(), values[:, shown].numpy(), discrete=discrete)
    labels = [canvas.clean(predictor.outputs[k]) for k in shown] if several else ()
    drawn = values[:, shown]
    low, high = float(drawn.min()), float(drawn.max())
    around = 0.08 * (high - low) or 1.0
    ticks = x[evenly(len(x), 150), i]
    ticks = ticks[(ticks >= places[0]) & (ticks <= places[-1])]
    title = f"effect of {canvas.clean(column)}"
    picture = column_charts.effect(
        title, curves, rows=ticks.numpy(), limits=(low - around, high + around), labels=labels
    )
    count = len(predictor.outputs)
    numbers = {
        "output": np.repeat(predictor.outputs, len(places)),
        "place": np.tile(places.numpy(), count),
        "prediction": means.T.flatten().numpy(),
        "effect": values.T.flatten().numpy(),
    }
    return attach(picture, numbers, View("lines", "place", ("effect",), ("output",)))


@torch.no_grad()
def importance(model: Any, table: Any, y: Any = None) -> Figure:
    """Draw how much each column matters: what a model loses if the column is permuted among the rows.

    With targets it is the increase of the root mean squared error, of classes of the cross-entropy (L. Breiman, *Random
    forests*, 2001, section 10); without targets, the root mean square by which predictions change.

    Args:
        model, table: as for :func:`partial_dependence`; a data set, or a data frame with columns of the targets' names,
            holds the targets.
        y: the targets ``[N]`` or ``[N, n]``, or names of classes, if they are not in the table.

    Returns:
        The picture of the most important columns. Its numbers are of all columns, with ``column``, ``change`` of the
        predictions and ``increase`` of the error, NaN without targets.

    Raises:
        OptionError: if the model is none, or ``y`` holds a class that it does not know.
        DataError, ShapeError: if the table or ``y`` do not belong to the model.
    """
    predictor = predictors.predictor_of(model)
    x = predictors.all_features(predictor, table)
    targets = predictors.targets_of(predictor, table, y, len(x))
    rows = evenly(len(x), RULES.errors)
    rows = rows[predictors.finite_rows(predictor, x[rows])]
    x, targets = x[rows], None if targets is None else targets[rows]
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    base, before = predictor.predict(x), math.nan if targets is None else predictor.error(x, targets)
    changes, increases = [], []
    for i in range(len(predictor.names)):
        moved = x.clone()
        moved[:, i] = x[order, i]
        changes.append(float((predictor.predict(moved) - base).square().mean().sqrt()))
        increases.append(math.nan if targets is None else predictor.error(moved, targets) - before)
    values = np.array(changes if targets is None else increases)
    falling = np.argsort(-np.nan_to_num(values, nan=np.inf), kind="stable")
    what = "change of predictions" if targets is None else "increase of the error"
    shown = falling[: RULES.bars]
    left = len(falling) - len(shown)
    more = f"; {left} columns of less importance are not drawn" if left else ""
    picture = column_charts.bars(
        "Importance", f"{what} if the column is permuted{more}", [predictor.names[i] for i in shown], values[shown]
    )
    names = np.array(predictor.names)[falling]
    numbers = {"column": names, "change": np.array(changes)[falling], "increase": np.array(increases)[falling]}
    return attach(picture, numbers, View("bars", "change" if targets is None else "increase", ("column",)))


@torch.no_grad()
def residuals(model: Any, table: Any, column: str, y: Any = None, *, target: str | None = None) -> Figure:
    """Draw what a model leaves against a column: measured less predicted values, and their running mean.

    Args:
        model, table, y: as for :func:`importance`.
        column: its name.
        target: of several targets the one whose residuals are drawn; the first if left out.

    Returns:
        The picture; its numbers are the column's values as ``place``, ``measured``, ``predicted`` and ``residual``.

    Raises:
        OptionError: if the model is none, is a classifier, has no such column or target, or there are no targets.
        DataError, ShapeError: if the table or ``y`` do not belong to the model.
    """
    predictor = predictors.predictor_of(model)
    i = predictor.column(column)
    if predictor.head is not None:
        raise OptionError("the model is a classifier, which leaves no residuals; draw its importance or dependence")
    if target is not None and target not in predictor.targets:
        raise OptionError(f"the model has no target {target!r}; its targets are {', '.join(predictor.targets[:8])}")
    k = 0 if target is None else predictor.targets.index(target)
    x = predictors.all_features(predictor, table)
    measured = predictors.targets_of(predictor, table, y, len(x))
    if measured is None:
        raise OptionError(
            f"residuals need the measured values; pass them as y, or a table with a column {predictor.targets[k]!r}"
        )
    rows = evenly(len(x), RULES.errors)
    rows = rows[predictors.finite_rows(predictor, x[rows]) & measured[rows, k].isfinite()]
    if len(rows) < 2:
        raise DataError("there is nothing to draw, since fewer than two rows have a measured value; pass more rows")
    places, values = x[rows, i], measured[rows, k].double()
    predicted = predictor.predict(x[rows])[:, k]
    left = values - predicted
    picture = column_charts.residual(
        f"residuals against {canvas.clean(column)}", places.numpy(), left.numpy(), running_mean(places, left)
    )
    numbers = {"place": places, "measured": values, "predicted": predicted, "residual": left}
    return attach(
        picture, {name: value.numpy() for name, value in numbers.items()}, View("points", "place", ("residual",))
    )


@torch.no_grad()
def interaction(model: Any, table: Any, first: str, second: str, *, output: str | None = None) -> Figure:
    """Draw how two columns act together: the effect of both less the effects of each alone.

    The subtitle names Friedman's H, the share of the two columns' joint effect that is interaction (J. Friedman and B.
    Popescu, *Predictive learning via rule ensembles*, 2008, section 8.1), here over the cells of the picture.

    Args:
        model, table: as for :func:`partial_dependence`.
        first, second: names of the columns.
        output: of several targets or classes the one that is drawn; the first, of two classes the second, if left out.

    Returns:
        The picture; its numbers are the ``first`` and ``second`` column's values, the mean ``prediction`` with both
        set, and the ``interaction``.

    Raises:
        OptionError: if the model is none, or has no such columns or output, or the columns are the same.
        DataError, ShapeError: if the table does not belong to the model, or a column is constant.
    """
    predictor = predictors.predictor_of(model)
    i, j = predictor.column(first), predictor.column(second)
    if i == j:
        raise OptionError(f"an interaction is of two different columns, not of {first!r} with itself")
    outputs = predictor.outputs
    if output is not None and output not in outputs:
        raise OptionError(f"the model has no output {output!r}; its outputs are {', '.join(outputs[:8])}")
    k = outputs.index(output) if output is not None else int(predictor.head is not None and len(outputs) == 2)
    x = predictors.features_of(predictor, table, RULES.interaction_rows)
    across, up = (places_of(x[:, n], RULES.cells)[0] for n in (i, j))
    for name, places in ((first, across), (second, up)):
        if len(places) < 2:
            raise DataError(f"column {name!r} has one value only in the table; pass rows in which it varies")
    lines = []
    for place in across:
        moved = x.clone()
        moved[:, i] = place
        lines.append(mean_predictions(predictor.predict, moved, j, up)[:, k])
    joint = torch.stack(lines)
    rest = joint - joint.mean(1, keepdim=True) - joint.mean(0, keepdim=True) + joint.mean()
    whole = (joint - joint.mean()).square().sum()
    strength = float((rest.square().sum() / whole).sqrt()) if float(whole) > 0 else 0.0
    size = float(rest.square().mean().sqrt())
    name = canvas.clean(outputs[k])
    picture = column_charts.cells(
        f"interaction of {canvas.clean(first)} and {canvas.clean(second)}",
        f"{name}: H = {strength:.2f}, root mean square {size:.3g}",
        (canvas.clean(first), canvas.clean(second)),
        (across.numpy(), up.numpy(), rest.numpy()),
    )
    numbers = {
        "first": np.repeat(across.numpy(), len(up)),
        "second": np.tile(up.numpy(), len(across)),
        "prediction": joint.flatten().numpy(),
        "interaction": rest.flatten().numpy(),
    }
    return attach(picture, numbers, View("cells", "first", ("second",), z="interaction"))
