"""The last test of a relation: other divisions of the rows, and real rows against rows of permuted columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from superpose.deadline import Deadline
from superpose.tasks.relations.additive import Group, SplineCovariance, is_needed
from superpose.tasks.relations.columns import Columns
from superpose.tasks.relations.directed import Function, learn, predictions

# Rows on which residuals of a sum are compared with those of permuted rows. The share of nearer pairs has a standard
# error of 0.65% then.
_MAX_ROWS = 4000
# Standard errors above one half. By chance one of 30,000 candidates passes; a table of many columns has thousands.
_SIGNIFICANT = 4.0


@dataclass(frozen=True)
class Confirmed:
    """The strength of a relation on all divisions of the rows together.

    Attributes:
        unexplained: share of the target's variance, over the held-out rows of all divisions.
        separation: probability that a real row comes nearer to the relation than a row of permuted columns: the area
            under the ROC curve of the absolute residuals.
        agreeing: divisions on which the relation reaches the threshold, is significant, and needs every column.
        seeds: number of divisions.
    """

    unexplained: float
    separation: float
    agreeing: int
    seeds: int


def of_function(
    columns: Columns, first: Function, seeds: Sequence[int], threshold: float, deadline: Deadline
) -> Confirmed:
    """Learn a function again on every division; ``first`` is the function of the first division."""
    errors = total = 0.0
    separations, agreeing, done = [], 0, 0
    for n, seed in enumerate(seeds):
        if n and deadline.passed():
            break
        found = first if n == 0 else learn(columns, first.target, first.features, seed=seed, deadline=deadline)
        if found is None:
            break
        separation, significant = _of_residuals(found, seed)
        needed = all(is_needed(found.unexplained, without) for without in found.importances)
        agreeing += significant and needed and 1 - found.unexplained >= threshold
        errors, total, done = errors + found.residuals[0], total + found.residuals[1], done + 1
        separations.append(separation)
    return Confirmed(errors / total, sum(separations) / done, agreeing, done)


def of_sum(columns: Columns, sums: Sequence[SplineCovariance], group: Group, threshold: float) -> Confirmed:
    """Compute the sum of the same columns on every division."""
    unexplained, separations, agreeing = 0.0, [], 0
    for seed, one in enumerate(sums):
        (found,) = one.evaluate([group])
        rows = columns.values[columns.sample(_MAX_ROWS, seed)]
        separation, significant = _nearer(
            one.curves(group, rows).sum(-1), one.curves(group, _permuted(rows, seed)).sum(-1)
        )
        unexplained += found.unexplained / len(sums)
        agreeing += significant and 1 - found.unexplained >= threshold
        separations.append(separation)
    return Confirmed(unexplained, sum(separations) / len(sums), agreeing, len(sums))


def _of_residuals(found: Function, seed: int) -> tuple[float, bool]:
    x, y = found.held_out
    joined = _permuted(torch.cat([x, y[:, None]], 1), seed)
    real = y - predictions(found.model, x, found.data)
    permuted = joined[:, -1] - predictions(found.model, joined[:, :-1], found.data)
    return _nearer(real, permuted)


def _permuted(rows: Tensor, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([column[torch.randperm(len(rows), generator=generator)] for column in rows.T], -1)


def _nearer(real: Tensor, permuted: Tensor) -> tuple[float, bool]:
    """The share of pairs in which the real row has the smaller residual, and whether the share is significant."""
    real, permuted = real.abs(), permuted.abs().sort().values
    larger = len(permuted) - torch.searchsorted(permuted, real, right=True)
    equal = torch.searchsorted(permuted, real, right=True) - torch.searchsorted(permuted, real)
    share = float((larger + equal / 2).double().mean()) / len(permuted)
    # The variance of the rank-sum statistic under the null hypothesis (Mann and Whitney, 1947).
    deviation = ((2 * len(real) + 1) / (12 * len(real) ** 2)) ** 0.5
    return share, share - 0.5 > _SIGNIFICANT * deviation
