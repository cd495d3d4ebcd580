"""Relations in which one column is a function of others: small networks, and the fewest columns that they need."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from superpose.data import Dataset
from superpose.nn.model import KAN
from superpose.tasks.relations import additive
from superpose.tasks.relations.columns import Columns
from superpose.train.fit import fit

# Hidden layers: a sum; a function of a sum; products of two columns and sums of them; products of three.
_FEW_FEATURES, _MORE_FEATURES = ((), (1,), (2,), (4,)), ((), (2,), (4,))
_FEW = 3
_GRID, _STEPS, _STARTS = 4, 30, 2
# A network with two hidden nodes or more has to gain so much on what came before, or no larger one is learnt.
_GAIN = 0.97
_ROWS_FOR_A_PARAMETER = 2
# Predictions may leave the range of the training targets by this share of it.
_MARGIN = 0.1
# 60% of these are for training.
_MOST_ROWS = 3000
# Networks beyond this error have found the law.
_FOUND = 1e-6
# So many of a function's columns, those that permuting costs least, are tried to be done without.
_MOST_IDLE = 2
# So many of the columns that a function does without, those that permuting cost most, are tried beside its own.
_MOST_FURTHER = 4
# Errors are measured on the rows that are held out and so many that no network of a large table has seen: of the knots'
# columns 600 rows gave shares that differed by a fifth from one division to the next.
_MOST_JUDGED = 8000
# A relation that takes more columns than this says little to a person.
_MOST_KEPT = 6
_PAIRS_BASIS = 4
_PAIR_ROWS = 1500


@dataclass(frozen=True)
class Function:
    """One column as a function of others, and how well.

    Attributes:
        target: the column's number.
        features: the others' numbers, ascending.
        model: the network.
        unexplained: mean squared error on rows held out, as a share of the target's variance there.
        residuals: the squared errors' sum, the target's sum of squares about its mean, and the count, on these rows.
        importances: the unexplained share when a feature's values are permuted, for each.
        data: what the network was trained with.
        held_out: the rows held out, features ``[N, n]`` and target ``[N]``.
    """

    target: int
    features: tuple[int, ...]
    model: KAN
    unexplained: float
    residuals: tuple[float, float, int]
    importances: tuple[float, ...]
    data: Dataset
    held_out: tuple[Tensor, Tensor]

    @property
    def columns(self) -> tuple[int, ...]:
        return tuple(sorted((self.target, *self.features)))


def predictions(model: KAN, x: Tensor, data: Dataset) -> Tensor:
    """Predictions ``[B]`` inside the range of the training targets or near it: beyond it a spline knows nothing."""
    y = data.y[data.train]
    with torch.no_grad():
        predicted: Tensor = model(x)[:, 0]
    low, high = float(y.min()), float(y.max())
    margin = _MARGIN * (high - low)
    return predicted.nan_to_num(float(y.mean())).clamp(low - margin, high + margin)


def learn(
    columns: Columns,
    target: int,
    features: Sequence[int],
    *,
    seed: int,
    deadline: float,
) -> Function | None:
    """The best of a few small networks for a column; None if not one was finished."""
    features = tuple(sorted(features))
    rows = columns.sample(_MOST_ROWS, seed)
    data = columns.dataset(target, features, rows, seed)
    least = _GRID if len(data.train) >= 200 else 2
    few = len(features) <= _FEW
    best: tuple[float, KAN] | None = None
    for hidden in _shapes(len(features)):
        model = KAN([len(features), *hidden, 1], grid_size=least, seed=seed)
        if hidden and model.parameter_count() * _ROWS_FOR_A_PARAMETER > len(data.train):
            continue
        left = deadline - time.monotonic()
        if best is not None and left <= 0:
            break
        history = fit(
            model,
            data,
            grids=(least, 2 * least, 4 * least)[: 3 if len(features) == 1 else 1 + few],
            steps=_STEPS,
            starts=_STARTS if hidden else 1,
            seed=seed,
            time_limit=max(left, 0.5),
            progress=False,
        )
        if history.interrupted:
            raise KeyboardInterrupt
        x, y = data.rows("validation")
        # In units of the target's spread, so that columns of 1e300 have squares.
        error = float(((predictions(model, x, data) - y[:, 0]) / data.y_scale.scale[0]).square().mean())
        before = math.inf if best is None else best[0]
        if math.isfinite(error) and error < before:
            best = error, model
        found = best is not None and best[0] < _FOUND
        if found or (hidden not in ((), (1,)) and error > _GAIN * before):
            break
    if best is None:
        return None
    x, y = data.rows("test")
    unseen = columns.others(rows, _MOST_JUDGED)
    held_out = torch.cat([x, unseen[:, list(features)]]), torch.cat([y[:, 0], unseen[:, target]])
    return _judged(best[1], target, features, data, held_out, seed)


def _shapes(n_features: int) -> Sequence[tuple[int, ...]]:
    # One function of one column is all that there is of it.
    return ((),) if n_features == 1 else _FEW_FEATURES if n_features <= _FEW else _MORE_FEATURES


def _judged(
    model: KAN, target: int, features: tuple[int, ...], data: Dataset, held_out: tuple[Tensor, Tensor], seed: int
) -> Function:
    x, y = held_out
    scale = float(data.y_scale.scale[0])
    y = y / scale
    total = float((y - y.mean()).square().sum())
    errors = float((predictions(model, x, data) / scale - y).square().sum())
    generator = torch.Generator().manual_seed(seed)
    importances = []
    for j in range(len(features)):
        shuffled = x.clone()
        shuffled[:, j] = x[torch.randperm(len(x), generator=generator), j]
        wrong = float((predictions(model, shuffled, data) / scale - y).square().sum())
        importances.append(_share(wrong, total))
    shares = tuple(importances)
    return Function(target, features, model, _share(errors, total), (errors, total, len(y)), shares, data, held_out)


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 1.0


def _adds(left: float, without: float) -> bool:
    """As for sums; below the accuracy of a small network one exact law is as good as another."""
    return additive.adds(max(left, _FOUND), max(without, _FOUND))


def fewest(
    columns: Columns,
    target: int,
    features: Sequence[int],
    *,
    whole: Function | None,
    least: float,
    seed: int,
    deadline: float,
) -> Function | None:
    """A column as a function of the fewest others that do nearly as well as all together; None if that is nothing.

    The columns are ordered by what permuting them costs, the network is learnt anew from the first one, the first two,
    and so on; then each of a few others is tried beside these, since of two columns that tell the same of a target
    permuting may show either. What turns out to add nothing is taken away again. ``whole`` is what all together gave,
    if known.
    """
    whole = whole or learn(columns, target, features, seed=seed, deadline=deadline)
    if whole is None or 1 - whole.unexplained < least:
        return None
    order = [j for _, j in sorted(zip(whole.importances, whole.features, strict=True), reverse=True)]
    best = whole
    for size in range(1, min(len(order), _MOST_KEPT + 1)):
        if time.monotonic() > deadline:
            return None
        few = learn(columns, target, order[:size], seed=seed, deadline=deadline)
        if few is not None and not _adds(whole.unexplained, few.unexplained):
            best = few
            break
    if len(best.features) > _MOST_KEPT:
        return None
    best = _with_further(columns, best, order, seed=seed, deadline=deadline)
    return without_idle(columns, best, least=least, seed=seed, deadline=deadline)


def _with_further(columns: Columns, best: Function, order: Sequence[int], *, seed: int, deadline: float) -> Function:
    """The same with the further feature that adds most, as long as one adds."""
    while best.unexplained > _FOUND and len(best.features) < _MOST_KEPT:
        tried = []
        for further in [j for j in order if j not in best.features][:_MOST_FURTHER]:
            if time.monotonic() > deadline:
                return best
            tried.append(learn(columns, best.target, [*best.features, further], seed=seed, deadline=deadline))
        more = min((one for one in tried if one is not None), key=lambda one: one.unexplained, default=None)
        if more is None or not _adds(more.unexplained, best.unexplained):
            break
        best = more
    return best


def without_idle(columns: Columns, best: Function, *, least: float, seed: int, deadline: float) -> Function:
    """The same without the features that add nothing, the idlest taken away first."""
    for _ in range(len(best.features) - 1):
        order = [j for _, j in sorted(zip(best.importances, best.features, strict=True))]
        for idle in order[:_MOST_IDLE]:
            if time.monotonic() > deadline:
                return best
            rest = [j for j in best.features if j != idle]
            few = learn(columns, best.target, rest, seed=seed, deadline=deadline)
            if few is not None and not _adds(best.unexplained, few.unexplained) and 1 - few.unexplained >= least:
                best = few
                break
        else:
            return best
    return best


def gains(columns: Columns, seed: int, deadline: float) -> Tensor:
    """How much of each column each other tells, beside one further column at best: ``[feature, target]``.

    Every two columns are tried for every target, by products of powers of ranks, so that a product whose factors tell
    nothing alone is seen too.
    """
    rows = columns.sample(_PAIR_ROWS, seed)
    # Ranks, so that long tails do not decide.
    ranks = 2 * columns.values[rows].argsort(0).argsort(0).double() / (len(rows) - 1) - 1
    powers = torch.stack([ranks**k for k in range(_PAIRS_BASIS)], -1)
    alone = torch.stack([_left(powers[:, j], ranks) for j in range(len(columns))])
    gained = 1 - alone
    for i, j in itertools.combinations(range(len(columns)), 2):
        if time.monotonic() > deadline:
            break
        together = _left((powers[:, i, :, None] * powers[:, j, None, :]).flatten(1), ranks)
        gained[i] = torch.maximum(gained[i], alone[j] - together)
        gained[j] = torch.maximum(gained[j], alone[i] - together)
    return gained


def _left(basis: Tensor, y: Tensor) -> Tensor:
    """The share of each column of ``y [B, n]`` that least squares on a basis ``[B, m]`` leaves, ``[n]``."""
    gram = basis.T @ basis
    gram.diagonal().add_(1e-9 * gram.diagonal().mean())
    solved = torch.linalg.solve(gram, basis.T @ y)
    left: Tensor = (y - basis @ solved).square().mean(0) / y.var(0, correction=0)
    return left
