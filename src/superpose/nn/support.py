"""Support: where the rows lie that a model was fitted to."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from superpose.short_repr import brief


@dataclass(frozen=True)
class SupportRules:
    """Constants of what counts as outside.

    Attributes:
        margin: share of a column's range beyond it that still counts as inside. In 60 rows of 10 columns without it
            every third new row of the same kind would be outside in some column.
        level: share of the rows that are nearer to the others than the limit of distances.
        parts: in which the distances of rows from the others are computed.
        columns: with more of them only ranges are compared: the file would hold the squared number of columns.
        rows: that distances are computed from at most.
    """

    margin: float = 0.05
    level: float = 0.999
    parts: int = 10
    columns: int = 100
    rows: int = 20_000


RULES = SupportRules()


@dataclass(frozen=True)
class Support:
    """The ranges of the columns, and the ellipsoid about the rows.

    Attributes:
        low, high: ``[d]``, of each column.
        center: ``[d]``, means of the columns.
        precision: ``[d, d]``, inverse of their covariance, shrunk towards independent columns; ``[0, 0]`` where there
            are too many columns.
        limit: Mahalanobis distance from the center beyond which a combination of values is unusual: 99.9% of the rows
            are nearer, each judged by the others.
    """

    __repr__ = brief

    low: Tensor
    high: Tensor
    center: Tensor
    precision: Tensor
    limit: float

    @classmethod
    def of(cls, x: Tensor, ranges: tuple[Tensor, Tensor] | None = None) -> Support:
        """The support of rows ``x [N, d]``.

        Args:
            ranges: least and largest value ``[d]`` of each column, where ``x`` are some of the rows only.

        >>> support = Support.of(torch.rand(200, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))
        >>> support.beyond(torch.tensor([[0.5, 0.5], [0.5, 3.0]])).tolist()
        [[False, False], [False, True]]
        """
        low, high = (end.double() for end in (ranges or (x.amin(0), x.amax(0))))
        some = x[:: math.ceil(len(x) / RULES.rows)].double()
        if x.shape[1] > RULES.columns or len(some) < RULES.parts:
            return cls(low, high, some.mean(0), some.new_empty(0, 0), math.inf)
        part = torch.randperm(len(some), generator=torch.Generator().manual_seed(0)) % RULES.parts
        judged = [
            _distance(some[part == k], *_ellipsoid(some[part != k], high - low)) for k in range(int(part.max()) + 1)
        ]
        distances = torch.cat(judged).sort().values
        place = min(len(distances), math.ceil((len(distances) + 1) * RULES.level))
        center, precision = _ellipsoid(some, high - low)
        limit = float(distances[place - 1])
        if not (math.isfinite(limit) and bool(precision.isfinite().all())):
            # Values whose squares are no doubles: ranges alone.
            return cls(low, high, center, some.new_empty(0, 0), math.inf)
        return cls(low, high, center, precision, limit)

    def beyond(self, x: Tensor) -> Tensor:
        """``[N, d]``: whether values of rows ``x [N, d]`` lie farther than 5% of the range beyond a column's range."""
        room = RULES.margin * (self.high - self.low)
        return (x < self.low - room) | (x > self.high + room)

    def unusual(self, x: Tensor) -> Tensor:
        """``[N]``: whether the combination of a row's values is farther from the rows than 99.9% of them."""
        if not len(self.precision):
            return torch.zeros(len(x), dtype=torch.bool)
        return _distance(x, self.center, self.precision) > self.limit

    def points(self, count: int) -> Tensor:
        """``[count, d]`` points within the ranges, always the same ones."""
        steps = torch.arange(1, len(self.low) + 1, dtype=torch.float64) * _GOLDEN % 1
        places = torch.arange(1, count + 1, dtype=torch.float64)[:, None] * steps % 1
        return self.low + places * (self.high - self.low)


# Multiples of it modulo 1 fill an interval evenly.
_GOLDEN = (math.sqrt(5) - 1) / 2


def _ellipsoid(x: Tensor, extent: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and shrunk inverse covariance of rows ``[N, d]``."""
    rows, columns = x.shape
    center = x.mean(0)
    spread = (x - center).square().mean(0).sqrt()
    # A column that is constant in a part has no deviation of its own there.
    spread = torch.where(spread > 0, spread, torch.where(extent > 0, extent, torch.ones_like(extent)))
    scaled = (x - center) / spread
    # As many rows of independent columns are added as there are columns: the inverse exists with few rows too.
    matrix = scaled.T @ scaled + columns * torch.eye(columns, dtype=x.dtype)
    inverse = torch.linalg.inv(matrix / (rows + columns)) / spread[:, None] / spread
    return center, (inverse + inverse.T) / 2


def _distance(x: Tensor, center: Tensor, precision: Tensor) -> Tensor:
    apart = x.double() - center
    return ((apart @ precision) * apart).sum(1).clamp(min=0).sqrt()
