"""What each column does to the prediction: its effect in the target's units, with bands, and its importance."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from superpose.data.sampling import evenly
from superpose.deadline import Deadline
from superpose.plot import canvas, column_charts
from superpose.plot.dependence import RULES as dependence
from superpose.plot.dependence import centred, mean_predictions, places_of
from superpose.report.models import both_models, ordinary
from superpose.report.numbers import number
from superpose.report.pictures import Picture, as_picture, drawn
from superpose.tasks.result import TaskResult
from superpose.train.anova.dependence import effect_of


@dataclass(frozen=True)
class EffectRules:
    """Constants of the effects; round numbers.

    Attributes:
        columns: that are drawn; the others are named.
        always: of these, whatever the time.
        targets: that have effects.
        rows: over which predictions are averaged, and which are permuted, at most.
        work: rows times points times edges for one column at most, a tenth of a second; of larger networks fewer rows
            are taken.
        ticks: rows drawn below a curve.
    """

    columns: int = 12
    always: int = 4
    targets: int = 3
    rows: int = 500
    work: float = 4e6
    ticks: int = 150


RULES = EffectRules()


@dataclass(frozen=True)
class Effect:
    """The effect of one column.

    Attributes:
        column: by number.
        places: ``[G]``, values of the column.
        values: ``[G, n_out]``, mean predictions less their mean over the rows, in the targets' units; for classes of
            the probabilities.
        errors: ``[G]``, standard errors for a single output; None where there are none.
        beside: ``[G, n_out]``, the effect by the other model; None where there is none.
        deviation: ``[n_out]``, of the effect over the rows.
        increase: by which the error grows if the column is permuted: RMSE, or cross-entropy for classes.
        discrete: whether ``places`` are all values of the column.
    """

    column: int
    places: Tensor
    values: Tensor
    errors: Tensor | None
    beside: Tensor | None
    deviation: Tensor
    increase: float
    discrete: bool


@torch.no_grad()
def effects(result: TaskResult, deadline: Deadline) -> tuple[list[Effect], list[int]]:
    """The effects of the columns that matter most, the largest first, and the columns that have none computed."""
    data, head = result.data, result.network.head
    (what, scores), other = both_models(result)
    x = data.features(evenly(data.n_rows, RULES.rows))
    x = x[scores(x).isfinite().all(1)]
    if len(x) < 2:
        return [], list(range(data.n_features))
    predict: Callable[[Tensor], Tensor] = scores if head is None else lambda rows: head.probabilities(scores(rows))
    increases = _increases(result, scores)
    order = sorted(range(data.n_features), key=lambda i: -increases[i])
    edges = sum(layer.mask.numel() for layer in result.network.kan_layers())
    rows = x[evenly(len(x), max(20, int(RULES.work / (dependence.points * edges))))]
    base, found = predict(x), list[Effect]()
    for i in order[: RULES.columns]:
        # Without a fit of smooth functions each takes many predictions.
        if len(found) >= RULES.always and deadline.passed():
            break
        places, discrete = places_of(x[:, i])
        if len(places) < 2:
            continue
        errors, values = None, None
        if what == "network" and result.smooth is not None:
            value, errors = effect_of(result.smooth, i, places, x)
            values = value[:, None]
        else:
            values = mean_predictions(predict, rows, i, places)
        values, deviation = centred(x[:, i], places, values)
        if not bool(values.isfinite().all()):
            continue
        beside = None
        if other is not None:
            beside, _ = centred(x[:, i], places, mean_predictions(other[1], rows, i, places))
        found.append(Effect(i, places, values, errors, beside, deviation, increases[i], discrete))
    scale = base.std(0, correction=0).clamp(min=1e-300)
    found.sort(key=lambda one: -float((one.deviation / scale).square().sum()))
    drawn_columns = {one.column for one in found}
    return found, [i for i in order if i not in drawn_columns]


def _increases(result: TaskResult, scores: Callable[[Tensor], Tensor]) -> list[float]:
    """By how much the error on evaluation rows grows if one column is permuted among them."""
    data, head = result.data, result.network.head
    index = ordinary(result, data.index(data.evaluation_split))
    index = index[evenly(len(index), RULES.rows)]
    x, y = data.features(index), data.y[index]
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))

    def error(rows: Tensor) -> float:
        values = scores(rows)
        if head is not None:
            return float(head(values, y))
        return float((values - y).square().mean().sqrt())

    before, found = error(x), []
    for i in range(data.n_features):
        moved = x.clone()
        moved[:, i] = x[order, i]
        increase = error(moved) - before
        found.append(increase if math.isfinite(increase) else math.inf)
    return found


@dataclass(frozen=True)
class EffectCard:
    """The effect of one column, as the page shows it."""

    name: str
    deviation: str
    increase: str
    picture: Picture


@dataclass(frozen=True)
class EffectGroup:
    """The effects on one target, or on the probabilities of all classes.

    Attributes:
        title: the target's name, if there are several.
        cards: one for each column.
        banded: whether the pictures have bands.
    """

    title: str
    cards: Sequence[EffectCard]
    banded: bool


@dataclass(frozen=True)
class Effects:
    """The part of the page on effects.

    Attributes:
        model: its name.
        beside: the name of the other model, if there is one.
        groups: one for each target.
        others: columns that are not drawn.
        targets_left_out: how many targets have no effects here.
    """

    model: str
    beside: str | None
    groups: Sequence[EffectGroup]
    others: Sequence[str]
    targets_left_out: int


def effects_of(result: TaskResult, deadline: Deadline) -> Effects | None:
    """The effects as the page shows them; None where no column has one."""
    found, left = effects(result, deadline)
    if not found:
        return None
    head, names = result.network.head, [canvas.clean(name) for name in result.data.feature_names]
    outputs = found[0].values.shape[1]
    classes = [] if head is None else [canvas.clean(name) for name in head.classes]
    lines = [list(range(outputs))] if head is not None else [[k] for k in range(min(outputs, RULES.targets))]
    if head is not None and outputs == 2:
        # The other is one minus it.
        lines, classes = [[1]], classes[1:]
    groups = []
    for some in lines:
        title = canvas.clean(result.network.target_names[some[0]]) if len(lines) > 1 else ""
        ordered = sorted(found, key=lambda one: -float(one.deviation[some].square().sum()))
        limits = _limits(ordered, some, 1.0 if head is not None else _most(result, some[0]))
        cards = [_card(result, one, some, names, limits, classes) for one in ordered]
        groups.append(EffectGroup(title, cards, any(one.errors is not None for one in ordered)))
    left_out = 0 if head is not None else outputs - len(lines)
    (model, _), other = both_models(result)
    return Effects(model, other[0] if other else None, groups, [names[i] for i in left], left_out)


def _limits(found: Sequence[Effect], some: Sequence[int], most: float) -> tuple[float, float]:
    """The same axis for all columns, so that they can be compared; wide bands leave it, and poles beyond ``most``."""
    values = torch.cat([one.values[:, some].flatten() for one in found])
    low, high = max(float(values.min()), -most), min(float(values.max()), most)
    room = 0.5 * (high - low)
    ends = [one.values[:, 0] + sign * 2 * one.errors for one in found if one.errors is not None for sign in (-1, 1)]
    if ends:
        band = torch.cat(ends)
        low, high = max(low - room, min(low, float(band.min()))), min(high + room, max(high, float(band.max())))
    around = 0.08 * (high - low) or 1.0
    return low - around, high + around


def _most(result: TaskResult, target: int) -> float:
    """The largest effect that fits on the axis: no more than the target's range, unless the model has poles."""
    y = result.data.y[:, target]
    return float(y.max() - y.min()) or 1.0


def _card(
    result: TaskResult,
    one: Effect,
    some: Sequence[int],
    names: Sequence[str],
    limits: tuple[float, float],
    classes: Sequence[str],
) -> EffectCard:
    values = result.data.features(evenly(result.data.n_rows, RULES.ticks))[:, one.column]
    kept = values[(values >= one.places[0]) & (values <= one.places[-1])]
    name = names[one.column]
    curves = column_charts.Curves(
        one.places.numpy(),
        one.values[:, some].numpy(),
        errors=None if one.errors is None else one.errors.numpy(),
        beside=None if one.beside is None else one.beside[:, some[0]].numpy(),
        discrete=one.discrete,
    )
    labels = classes if len(some) > 1 else ()
    draw = functools.partial(column_charts.effect, name, curves, rows=kept.numpy(), limits=limits, labels=labels)
    first, last = (number(float(one.values[place, some[0]])) for place in (0, -1))
    picture = as_picture(
        drawn(result, draw, name, what="of an effect"), f"The effect of {name}, from {first} to {last}"
    )
    deviation = float(one.deviation[some].square().mean().sqrt())
    return EffectCard(name, number(deviation), number(one.increase), picture)
