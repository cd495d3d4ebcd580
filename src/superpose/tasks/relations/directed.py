"""Relations in which one column is a function of others: small networks of as few columns as possible."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from superpose.data import Dataset
from superpose.deadline import Deadline
from superpose.nn.model import KAN
from superpose.tasks.relations import additive
from superpose.tasks.relations.columns import Columns
from superpose.train.candidate_shapes import SHAPES, in_order
from superpose.train.fit import fit


@dataclass(frozen=True)
class NetworkRules:
    """The networks that learn a column from others.

    Attributes:
        few_features: at most so many features have the shapes ``column``, more have ``column_from_many``.
        grid_size, small_grid_size: intervals of the first grid, from 200 training rows on and below.
        steps, starts: of the training; a network without hidden nodes has no random start. Round numbers.
        gain: a network with two or more hidden nodes must lower the error by this factor, or no larger one is trained.
            Not compared with other values.
        rows_per_parameter: a network with hidden nodes needs so many training rows for each parameter. A round number.
        margin: predictions may leave the range of the training targets by this share of it. Without a limit a few
            held-out rows of the knots decided: 90% of ``crossings`` was left, and 60% by a sum.
        max_rows: of the sample; 60% of it is for training. A round number.
        max_judged: further rows on which errors are measured. With 600 held-out rows one relation of the knots left
            6.1%, 9.1% and 7.2% on three divisions; with up to 8,000 rows more it left 6.6%, 7.1% and 7.1%
            (docs/lab/relations.md).
        exact: a network with a smaller squared error, in units of the target's variance, has learnt an exact law.
    """

    few_features: int = 3
    grid_size: int = 4
    small_grid_size: int = 2
    steps: int = 30
    starts: int = 2
    gain: float = 0.97
    rows_per_parameter: int = 2
    margin: float = 0.1
    max_rows: int = 3000
    max_judged: int = 8000
    exact: float = 1e-6

    def hidden(self, n_features: int) -> Sequence[tuple[int, ...]]:
        """Hidden layers for so many features. For one feature a single edge represents every function."""
        if n_features == 1:
            return ((),)
        return SHAPES.column if n_features <= self.few_features else SHAPES.column_from_many

    def grids(self, n_features: int, first: int) -> tuple[int, ...]:
        """Grid sizes from the first one on. Fewer features leave more rows for each interval."""
        count = 3 if n_features == 1 else 2 if n_features <= self.few_features else 1
        return tuple(first * 2**n for n in range(count))


@dataclass(frozen=True)
class SubsetRules:
    """The search for the columns that a function needs. Each trial trains networks, so the counts are small.

    Attributes:
        max_removed: features whose removal is tried in one round, those of least permutation importance.
        max_added: further columns that are tried in one round, those of largest permutation importance. With one, the
            order of the importances decided: the volume came before meridian_im and left 6.9% of the signature of the
            knots, instead of 6.1% (docs/lab/relations.md).
        max_features: functions of more columns are not reported.
        pair_powers, pair_rows: powers of ranks, and rows, for :func:`pairwise_gains`. Round numbers.
    """

    max_removed: int = 2
    max_added: int = 4
    max_features: int = 6
    pair_powers: int = 4
    pair_rows: int = 1500


_NETWORKS, _SUBSETS = NetworkRules(), SubsetRules()


@dataclass(frozen=True)
class Function:
    """One column as a function of others, and how well.

    Attributes:
        target: the column's number.
        features: the others' numbers, ascending.
        model: the network.
        unexplained: mean squared error on held-out rows, as a share of the target's variance there.
        residuals: sum of squared errors, the target's sum of squares about its mean, and number of held-out rows.
        importances: for each feature the unexplained share when its values are permuted.
        data: the data set that the network was trained on.
        held_out: the held-out rows: features ``[N, n]`` and target ``[N]``.
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
        """Target and features, ascending."""
        return tuple(sorted((self.target, *self.features)))


def predictions(model: KAN, x: Tensor, data: Dataset) -> Tensor:
    """Predictions ``[B]``, clipped near the range of the training targets: a spline does not extrapolate."""
    y = data.y[data.train]
    with torch.no_grad():
        predicted: Tensor = model(x)[:, 0]
    low, high = float(y.min()), float(y.max())
    margin = _NETWORKS.margin * (high - low)
    return predicted.nan_to_num(float(y.mean())).clamp(low - margin, high + margin)


def learn(columns: Columns, target: int, features: Sequence[int], *, seed: int, deadline: Deadline) -> Function | None:
    """The best of a few small networks for a column; None if none was finished."""
    features = tuple(sorted(features))
    rows = columns.sample(_NETWORKS.max_rows, seed)
    data = columns.dataset(target, features, rows, seed)
    first = _NETWORKS.grid_size if len(data.train) >= 200 else _NETWORKS.small_grid_size

    def train(hidden: tuple[int, ...]) -> tuple[float, tuple[int, ...], KAN] | None:
        model = KAN([len(features), *hidden, 1], grid_size=first, seed=seed)
        if hidden and model.parameter_count() * _NETWORKS.rows_per_parameter > len(data.train):
            return None
        history = fit(
            model,
            data,
            grids=_NETWORKS.grids(len(features), first),
            steps=_NETWORKS.steps,
            starts=_NETWORKS.starts if hidden else 1,
            seed=seed,
            time_limit=max(deadline.left(), 0.5),
            progress=False,
        )
        if history.interrupted:
            raise KeyboardInterrupt
        x, y = data.rows("validation")
        # In units of the target's standard deviation: the squares of 1e300 would overflow.
        error = float(((predictions(model, x, data) - y[:, 0]) / data.y_scale.scale[0]).square().mean())
        return (error, hidden, model) if math.isfinite(error) else None

    best, least = None, math.inf
    for error, hidden, model in in_order(_NETWORKS.hidden(len(features)), train, deadline.passed):
        small_gain = hidden not in ((), (1,)) and error > _NETWORKS.gain * least
        if error < least:
            best, least = model, error
        if least < _NETWORKS.exact or small_gain:
            break
    if best is None:
        return None
    x, y = data.rows("test")
    unseen = columns.others(rows, _NETWORKS.max_judged)
    held_out = torch.cat([x, unseen[:, list(features)]]), torch.cat([y[:, 0], unseen[:, target]])
    return _judged(best, target, features, data, held_out, seed)


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


def is_needed(unexplained: float, without: float) -> bool:
    """As :func:`.additive.is_needed`; errors below the accuracy of a small network are equal."""
    return additive.is_needed(max(unexplained, _NETWORKS.exact), max(without, _NETWORKS.exact))


def fewest(
    columns: Columns,
    target: int,
    features: Sequence[int],
    *,
    whole: Function | None,
    min_explained: float,
    seed: int,
    deadline: Deadline,
) -> Function | None:
    """A column as a function of the fewest features that explain it as well as all features; None if they do not.

    The features are ordered by permutation importance (L. Breiman, 2001). Networks of the first feature, of the first
    two, and so on are trained until one is as good as the network of all. Then further features are tried, because of
    two correlated features either may have the larger importance, and features that are not needed are removed.

    ``whole`` is the function of all features, if it is known, and ``min_explained`` the smallest share of the target's
    variance that is of interest.
    """
    whole = whole or learn(columns, target, features, seed=seed, deadline=deadline)
    if whole is None or 1 - whole.unexplained < min_explained:
        return None
    order = [j for _, j in sorted(zip(whole.importances, whole.features, strict=True), reverse=True)]
    best = whole
    for size in range(1, min(len(order), _SUBSETS.max_features + 1)):
        if deadline.passed():
            return None
        few = learn(columns, target, order[:size], seed=seed, deadline=deadline)
        if few is not None and not is_needed(whole.unexplained, few.unexplained):
            best = few
            break
    if len(best.features) > _SUBSETS.max_features:
        return None
    best = _with_further(columns, best, order, seed=seed, deadline=deadline)
    return without_redundant_features(columns, best, min_explained=min_explained, seed=seed, deadline=deadline)


def _with_further(columns: Columns, best: Function, order: Sequence[int], *, seed: int, deadline: Deadline) -> Function:
    """The function with further features: the best one of a few, as long as it is needed."""
    while best.unexplained > _NETWORKS.exact and len(best.features) < _SUBSETS.max_features:
        tried = []
        for further in [j for j in order if j not in best.features][: _SUBSETS.max_added]:
            if deadline.passed():
                return best
            tried.append(learn(columns, best.target, [*best.features, further], seed=seed, deadline=deadline))
        more = min((one for one in tried if one is not None), key=lambda one: one.unexplained, default=None)
        if more is None or not is_needed(more.unexplained, best.unexplained):
            break
        best = more
    return best


def without_redundant_features(
    columns: Columns, best: Function, *, min_explained: float, seed: int, deadline: Deadline
) -> Function:
    """The function without the features that are not needed, the least important removed first."""
    for _ in range(len(best.features) - 1):
        order = [j for _, j in sorted(zip(best.importances, best.features, strict=True))]
        for candidate in order[: _SUBSETS.max_removed]:
            if deadline.passed():
                return best
            rest = [j for j in best.features if j != candidate]
            few = learn(columns, best.target, rest, seed=seed, deadline=deadline)
            if (
                few is not None
                and not is_needed(best.unexplained, few.unexplained)
                and 1 - few.unexplained >= min_explained
            ):
                best = few
                break
        else:
            return best
    return best


def pairwise_gains(columns: Columns, seed: int, deadline: Deadline) -> Tensor:
    """The largest share of each column's variance that each other column explains, alone or with a third one.

    ``[feature, target]``. The share is that of linear regression on products of powers of the ranks of two columns, so
    that a factor of a product is found even where it explains nothing alone.
    """
    rows = columns.sample(_SUBSETS.pair_rows, seed)
    # Ranks, because the few values of a long tail would dominate the regression.
    ranks = 2 * columns.values[rows].argsort(0).argsort(0).double() / (len(rows) - 1) - 1
    powers = torch.stack([ranks**k for k in range(_SUBSETS.pair_powers)], -1)
    alone = torch.stack([_unexplained(powers[:, j], ranks) for j in range(len(columns))])
    gained = 1 - alone
    for i, j in itertools.combinations(range(len(columns)), 2):
        if deadline.passed():
            break
        together = _unexplained((powers[:, i, :, None] * powers[:, j, None, :]).flatten(1), ranks)
        gained[i] = torch.maximum(gained[i], alone[j] - together)
        gained[j] = torch.maximum(gained[j], alone[i] - together)
    return gained


def _unexplained(basis: Tensor, y: Tensor) -> Tensor:
    """The share ``[n]`` of the variance of ``y [B, n]`` that least squares on a basis ``[B, m]`` leaves."""
    gram = basis.T @ basis
    gram.diagonal().add_(1e-9 * gram.diagonal().mean())
    solved = torch.linalg.solve(gram, basis.T @ y)
    unexplained: Tensor = (y - basis @ solved).square().mean(0) / y.var(0, correction=0)
    return unexplained
