"""The basis of one column's functions: a straight line, and splines in the order of how much they bend."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

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
        """The basis for the values ``x [N]`` of a column.

        Args:
            grid_size: intervals of the splines.
            log: take the logarithm of the column first; all values must be positive.
        """
        values = x.log() if log else x
        low, high = float(values.min()), float(values.max())
        center, scale = (low + high) / 2, (high - low) / 2 or 1.0
        z = ((values - center) / scale)[:, None]
        # Half way between even knots and quantiles, as elsewhere where rows are few; a margin against rounding.
        points = grid.adapted_breakpoints(z, grid_size, blend=0.5, margin=0.01)
        knots = grid.extended_knots(points, DEGREE)
        values_at = reference.dense_basis(knots, DEGREE, "none", z)[:, 0]
        mean = values_at.mean(0)
        line = greville(knots[0])
        centred = values_at - mean
        columns = [_unit(line - float(mean @ line), centred)]
        roughness = [0.0]
        for vector, rough in zip(*_curves(centred, curvature(knots)[0]), strict=True):
            # The B-splines sum to one: subtracting the mean from every coefficient subtracts it from the function.
            columns.append(vector - float(mean @ vector))
            roughness.append(rough)
        return cls(log, center, scale, knots[0], torch.stack(columns, 1), torch.tensor(roughness, dtype=x.dtype))

    def line(self) -> ColumnBasis:
        """The straight line alone."""
        return replace(self, coefficients=self.coefficients[:, :1], roughness=self.roughness[:1])

    def line_of(self, coefficient: float) -> tuple[float, float]:
        """Slope and offset in ``z`` of a multiple of the first function."""
        identity, rows = greville(self.knots), self.coefficients[:, 0] * coefficient
        slope = float((rows[-1] - rows[0]) / (identity[-1] - identity[0]))
        return slope, float(rows[0]) - slope * float(identity[0])

    def variable(self, x: Tensor) -> Tensor:
        """``z [N]`` for values of the column."""
        return ((x.log() if self.log else x) - self.center) / self.scale

    def __call__(self, x: Tensor) -> Tensor:
        """The basis functions ``[N, K]`` at values ``x [N]`` of the column; straight lines outside the knots."""
        splines = reference.dense_basis(self.knots[None], DEGREE, "none", self.variable(x)[:, None])[:, 0]
        return splines @ self.coefficients


def greville(knots: Tensor) -> Tensor:
    """The coefficients ``[R]`` with which cubic splines are the identity: means of three neighbouring knots."""
    return (knots[1:-3] + knots[2:-2] + knots[3:-1]) / 3


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
# As many as matter: those beyond bend so much that the penalty leaves nothing of them. A round number.
_MOST_CURVES = 20


def _curves(centred: Tensor, bend: Tensor) -> tuple[list[Tensor], list[float]]:
    """Basis functions that bend, by their coefficients, and their roughness, the smoothest first."""
    size = len(bend)
    gram = centred.T @ centred / len(centred)
    floor = _UNSEEN * (gram.diagonal().mean() * torch.eye(size, dtype=bend.dtype) + bend / bend.diagonal().mean())
    root = torch.linalg.cholesky(gram + floor + torch.full_like(gram, 1.0 / size**2))
    inner = torch.linalg.solve_triangular(root, bend, upper=False)
    inner = torch.linalg.solve_triangular(root, inner.mT, upper=False)
    found, vectors = torch.linalg.eigh((inner + inner.mT) / 2)
    vectors = torch.linalg.solve_triangular(root.mT, vectors, upper=True)
    # The first two do not bend: the constant and the straight line.
    curves: list[Tensor] = []
    rough: list[float] = []
    for k in range(2, size):
        seen = float((centred @ vectors[:, k]).square().mean())
        if seen < 0.5 or len(curves) == _MOST_CURVES:
            break
        curves.append(vectors[:, k] / math.sqrt(seen))
        rough.append(float(found[k]) / seen)
    return curves, rough


def _unit(vector: Tensor, centred: Tensor) -> Tensor:
    spread = float((centred @ vector).square().mean().sqrt())
    return vector / spread if spread > 0 else vector
