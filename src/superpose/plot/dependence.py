"""How predictions depend on columns: mean predictions with columns set, and means of residuals along a column."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from superpose.data.sampling import evenly


@dataclass(frozen=True)
class DependenceRules:
    """Constants of curves along a column; round numbers.

    Attributes:
        points: of a curve, between the 1st and the 99th percentile of the column.
        values: a column of no more different values is drawn at these alone.
        groups: of rows with neighbouring values, whose means tell how much residuals depend on a column.
        window: share of the rows in a running mean,
        least: and rows at least.
        places: at which running means are drawn.
    """

    points: int = 40
    values: int = 8
    groups: int = 8
    window: float = 0.15
    least: int = 8
    places: int = 60


RULES = DependenceRules()


def places_of(values: Tensor, points: int = RULES.points) -> tuple[Tensor, bool]:
    """The values of a column at which its effect is computed, in ascending order, and whether these are all."""
    different = torch.unique(values)
    if len(different) <= RULES.values:
        return different, True
    low, high = (float(values.quantile(share)) for share in (0.01, 0.99))
    if not low < high:
        return different[[0, -1]], False
    return torch.linspace(low, high, points, dtype=values.dtype), False


def mean_predictions(predict: Callable[[Tensor], Tensor], rows: Tensor, column: int, places: Tensor) -> Tensor:
    """Mean predictions ``[G, n_out]`` over rows with a column set to each of its places."""
    many = rows.repeat(len(places), 1)
    many[:, column] = places.repeat_interleave(len(rows))
    return predict(many).view(len(places), len(rows), -1).mean(1)


def centred(column: Tensor, places: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Curves ``[G, n_out]`` less their means over the rows ``[R]``, and their standard deviations ``[n_out]`` there."""
    lines = [np.interp(column.numpy(), places.numpy(), line) for line in values.T.numpy()]
    at_rows = torch.from_numpy(np.stack(lines, 1))
    return values - at_rows.mean(0), at_rows.std(0, correction=0)


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
