"""Units in which networks compute: changes of units, and those that a table suggests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy
from torch import Tensor

from superpose.data.tables import FloatArray, Table
from superpose.errors import DataError
from superpose.messages import quoted
from superpose.short_repr import brief

# A column whose range is within a few rounding errors of its size carries no information.
_ROUNDING = 8 * numpy.finfo(numpy.float64).eps
_SMALLEST = numpy.finfo(numpy.float64).tiny


@dataclass(frozen=True, eq=False)
class Affine:
    """A change of units, column by column: scaled = (value - center) / scale.

    >>> import torch
    >>> celsius = Affine(center=torch.tensor([32.0]), scale=torch.tensor([1.8]))
    >>> celsius.apply(torch.tensor([[212.0]]))
    tensor([[100.]])
    >>> celsius.undo(torch.tensor([[100.0]]))
    tensor([[212.]])
    """

    __repr__ = brief

    center: Tensor
    """Shape [n]."""
    scale: Tensor
    """Shape [n], positive."""

    def apply(self, values: Tensor) -> Tensor:
        """Return ``values`` [..., n] in scaled units."""
        return (values - self.center) / self.scale

    def undo(self, scaled: Tensor) -> Tensor:
        """Return ``scaled`` [..., n] in the user's units."""
        return scaled * self.scale + self.center


def is_constant(column: FloatArray) -> bool:
    """Whether a column holds a single value, to rounding."""
    low, high = column.min(), column.max()
    # Halves, because the range of large numbers of both signs would overflow.
    half_range = high / 2 - low / 2
    return bool(half_range <= max(_ROUNDING * max(abs(low), abs(high)), _SMALLEST))


def ranges(x: Tensor) -> Affine:
    """Middle and half of the range of each column of ``x [N, n]``."""
    low, high = x.amin(dim=0).double() / 2, x.amax(dim=0).double() / 2
    return Affine(center=low + high, scale=high - low)


def standard_scale(table: Table, names: tuple[str, ...], y: Tensor, weights: Tensor | None = None) -> Affine:
    """Mean and standard deviation of each target over the training rows ``y [N, n]``, weighted by ``weights [N]``.

    Raises:
        DataError: if a target is constant there.
    """
    for position, name in enumerate(names):
        if is_constant(y[:, position].numpy()):
            raise DataError(
                f"{table.label}: the target {quoted(name)} is constant on all {len(y)} training "
                "rows; it varies in too few rows to be learnt, choose another target or add rows"
            )
    return Affine(*mean_and_deviation(y, weights))


def mean_and_deviation(y: Tensor, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return mean and population standard deviation of each column ``y [N, n]``, rows weighted, without overflow.

    A column is measured in units of its largest magnitude, so that squares stay in range.
    """
    unit = y.abs().amax(dim=0).clamp_min(_SMALLEST)
    measured = y / unit
    if weights is None:
        return measured.mean(dim=0) * unit, measured.std(dim=0, correction=0) * unit
    shares = (weights / weights.sum())[:, None]
    mean = (shares * measured).sum(dim=0)
    return mean * unit, (shares * (measured - mean).square()).sum(dim=0).sqrt() * unit
