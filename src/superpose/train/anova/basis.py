"""The basis of one column's functions: a straight line, and splines in the order of how much they bend."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from superpose.nn.symbolic_functions import log_or_line
from superpose.spline import grid, reference

DEGREE = 3


@dataclass(frozen=True)
class ColumnBasis:
    """An orthonormal basis of the splines of one column (Demmler and Reinsch 1975).

    Over the rows that it was made from, its functions have mean 0 and variance 1 and are uncorrelated, and the
    integrals of the products of their second derivatives vanish as well. So a penalty on roughness and one on size are
    diagonal, and the first function is the straight line.

    Attributes:
        log: whether the column's logarithm is the splines' variable.
        center, scale: of the column, or of its logarithm: ``z = (x - center) / scale`` lies in [-1, 1].
        knots: ``[G + 7]``, those of the cubic splines in ``z``.
        coefficients: ``[G + 3, K]``, of the basis functions in the splines.
        roughness: ``[K]``, the integral over [-1, 1] of each function's squared second derivative; first 0.
    """

    log: bool
    center: float
    scale: float
    knots: Tensor
    coefficients: Tensor
    roughness: Tensor

    @classmethod
    def of(cls, x: Tensor, grid_size: int, *, log: bool = False) -> ColumnBasis:
        """The basis for the values ``x [N]`` of a column; the arguments are those of :func:`bases_of`."""
        return bases_of(x[:, None], grid_size, (0,) if log else ())[0]

    def line(self) -> ColumnBasis:
        """The straight line alone."""
        return replace(self, coefficients=self.coefficients[:, :1], roughness=self.roughness[:1])

    def line_of(self, coefficient: float) -> tuple[float, float]:
        """Slope and offset in ``z`` of a multiple of the first function."""
        identity, rows = greville(self.knots), self.coefficients[:, 0] * coefficient
        slope = float((rows[-1] - rows[0]) / (identity[-1] - identity[0]))
        return slope, float(rows[0]) - slope * float(identity[0])

    def variable(self, x: Tensor) -> Tensor:
        """``z [N]`` for values of the column; a logarithm goes on as a straight line below 1/e of ``least``."""
        if self.log:
            return log_or_line(x / self.least) / self.scale - 1
        return (x - self.center) / self.scale

    @property
    def least(self) -> float:
        """The least value of the rows of a column whose logarithm is the variable: there ``z`` is -1."""
        return math.exp(self.center - self.scale)

    def __call__(self, x: Tensor) -> Tensor:
        """The basis functions ``[N, K]`` at values ``x [N]`` of the column; straight lines outside the knots."""
        return values_of([self], x[:, None])[0]


# Numbers of splines at a time: 64 MiB.
_BLOCK = 1 << 23


def values_of(bases: Sequence[ColumnBasis], x: Tensor) -> list[Tensor]:
    """The basis functions ``[N, K]`` of each column at rows ``x [N, d]``."""
    found: list[Tensor] = []
    step = max(1, _BLOCK // max(1, len(x) * (len(bases[0].knots) - DEGREE - 1)))
    for start in range(0, len(bases), step):
        some = bases[start : start + step]
        z = torch.stack([basis.variable(x[:, start + i]) for i, basis in enumerate(some)], 1)
        splines = reference.dense_basis(torch.stack([basis.knots for basis in some]), DEGREE, "none", z)
        found += [splines[:, i] @ basis.coefficients for i, basis in enumerate(some)]
    return found


def bases_of(x: Tensor, grid_size: int, logs: Collection[int] = ()) -> list[ColumnBasis]:
    """The bases for the columns of ``x [N, d]``.

    Args:
        grid_size: intervals of the splines.
        logs: the columns whose logarithm is the variable; all their values must be positive.

    >>> basis = bases_of(torch.linspace(0, 9, 10, dtype=torch.float64)[:, None], 4)[0]
    >>> values = basis(torch.linspace(0, 9, 10, dtype=torch.float64))
    >>> bool((values.T @ values / 10 - torch.eye(6)).abs().max() < 1e-5)
    True
    """
    found: list[ColumnBasis] = []
    step = max(1, _BLOCK // max(1, len(x) * (grid_size + DEGREE)))
    for start in range(0, x.shape[1], step):
        some = x[:, start : start + step]
        log = [start + i in logs for i in range(some.shape[1])]
        found += _bases(torch.where(torch.tensor(log), some.log(), some), grid_size, log)
    return found


def _bases(values: Tensor, grid_size: int, log: Sequence[bool]) -> list[ColumnBasis]:
    low, high = values.amin(0), values.amax(0)
    # Halves first: the difference of two large numbers may be none.
    center, scale = low / 2 + high / 2, high / 2 - low / 2
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    z = (values - center) / scale
    # Half way between even knots and quantiles, as elsewhere where rows are few; a margin against rounding.
    points = grid.adapted_breakpoints(z, grid_size, blend=0.5, margin=0.01)
    knots = grid.extended_knots(points, DEGREE)
    splines = reference.dense_basis(knots, DEGREE, "none", z)
    mean = splines.mean(0)
    centred = splines - mean
    gram = torch.einsum("nir,nis->irs", centred, centred) / len(z)
    vectors, rough, counts = _curves(gram, curvature(knots))
    lines = greville(knots)
    variance = torch.einsum("ir,irs,is->i", lines, gram, lines)
    lines = lines / torch.where(variance > _CONSTANT, variance, torch.ones_like(variance)).sqrt()[:, None]
    vectors = torch.cat([lines[:, :, None], vectors], 2)
    # The B-splines sum to one: subtracting the mean from every coefficient subtracts it from the function.
    vectors = vectors - torch.einsum("ir,irk->ik", mean, vectors)[:, None]
    rough = torch.cat([torch.zeros_like(rough[:, :1]), rough], 1)
    return [
        ColumnBasis(log[i], float(center[i]), float(scale[i]), knots[i], vectors[i, :, : 1 + k], rough[i, : 1 + k])
        for i, k in enumerate(counts)
    ]


def greville(knots: Tensor) -> Tensor:
    """The coefficients ``[..., R]`` with which cubic splines are the identity: means of three neighbouring knots."""
    return (knots[..., 1:-3] + knots[..., 2:-2] + knots[..., 3:-1]) / 3


def curvature(knots: Tensor) -> Tensor:
    """``[I, R, R]``: the integrals of the products of the cubic splines' second derivatives, over the grid.

    Two points of Gauss in each interval, which is exact for the squares of straight lines.
    """
    points = grid.breakpoints(knots, DEGREE)
    width, middle = points.diff(dim=1), (points[:, 1:] + points[:, :-1]) / 2
    offset = width / (2 * math.sqrt(3))
    second = reference.dense_basis(knots, DEGREE, "none", torch.cat([middle - offset, middle + offset], 1).T, 2)
    weights = torch.cat([width, width], 1) / 2
    return torch.einsum("nir,in,nis->irs", second, weights, second)


# Directions in which the rows say less than this share of the mean, such as splines between the two values of a binary
# column, are no functions of the basis. Far above rounding and far below one row among a million.
_UNSEEN = 1e-9
# Variance below which a column does not vary: between the squares of rounding and one row among a hundred million.
_CONSTANT = 1e-12
# As many as matter: those beyond bend so much that the penalty leaves nothing of them. A round number.
_MOST_CURVES = 20


def _curves(gram: Tensor, bend: Tensor) -> tuple[Tensor, Tensor, list[int]]:
    """Functions that bend, the smoothest first: by their coefficients ``[I, R, K]``, and their roughness ``[I, K]``.

    The numbers tell how many each column has; those after are nothing.
    """
    size = bend.shape[-1]
    identity = torch.eye(size, dtype=bend.dtype)
    seen_by_rows = gram.diagonal(dim1=1, dim2=2).mean(1)
    # The rows of a constant column tell no functions apart; any scale serves.
    seen_by_rows = torch.where(seen_by_rows > _CONSTANT, seen_by_rows, torch.ones_like(seen_by_rows))
    floor = seen_by_rows[:, None, None] * identity + bend / bend.diagonal(dim1=1, dim2=2).mean(1)[:, None, None]
    root = torch.linalg.cholesky(gram + _UNSEEN * floor + 1.0 / size**2)
    inner = torch.linalg.solve_triangular(root, bend, upper=False)
    inner = torch.linalg.solve_triangular(root, inner.mT, upper=False)
    found, vectors = torch.linalg.eigh((inner + inner.mT) / 2)
    vectors = torch.linalg.solve_triangular(root.mT, vectors, upper=True)
    # The first two do not bend: the constant and the straight line.
    vectors, found = vectors[:, :, 2 : 2 + _MOST_CURVES], found[:, 2 : 2 + _MOST_CURVES]
    seen = torch.einsum("irk,irs,isk->ik", vectors, gram, vectors)
    counts = (seen >= 0.5).long().cumprod(1).sum(1)
    seen = seen.clamp(min=0.5)
    return vectors / seen.sqrt()[:, None], found / seen, [int(one) for one in counts]
