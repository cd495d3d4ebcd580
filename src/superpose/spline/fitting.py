"""Curves to coefficients and back: least squares, and moving a curve to other knots."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from superpose.spline import grid, reference

# Least-squares systems are solved for so many elements at a time (float64: 128 MiB).
_BLOCK_ELEMENTS = 1 << 24


def sites(points: Tensor, degree: int, per_interval: int | None = None) -> Tensor:
    """Places ``[I, G * n + 1]`` at which a spline on breakpoints ``[I, G + 1]`` is determined well.

    ``per_interval`` points in each interval, more than the degree unless told otherwise, and the right end.
    """
    count = per_interval or degree + 2
    shares = torch.arange(count, dtype=points.dtype, device=points.device) / count
    inner = points[:, :-1, None] + points.diff(dim=-1)[..., None] * shares
    return torch.cat([inner.flatten(1), points[:, -1:]], -1)


def powers(knots: Tensor, degree: int, most: int) -> Tensor:
    """Spline coefficients ``[I, R, most]`` of ``x, x^2, ..., x^most``, on knots ``[I, G + 2k + 1]``; ``most <= k``.

    Exact, without solving for anything: the coefficient of ``x^j`` is the mean of the products of ``j`` different
    ones of its ``k`` inner knots (L. Ramshaw, *Blossoming*, 1987).
    """
    inner = knots[:, 1:-1].unfold(-1, degree, 1)
    sums = [torch.ones_like(inner[..., 0])] + [torch.zeros_like(inner[..., 0])] * most
    for knot in inner.unbind(-1):
        sums = [sums[0], *(sums[j] + knot * sums[j - 1] for j in range(1, most + 1))]
    return torch.stack([sums[j] / math.comb(degree, j) for j in range(1, most + 1)], -1)


def fit_curves(knots: Tensor, degree: int, x: Tensor, y: Tensor) -> Tensor:
    """Spline coefficients ``[I, R, O]`` that come nearest to ``y [S, I, O]`` at ``x [S, I]`` in least squares.

    A curve that the data leave free (an interval without samples) gets the solution of least norm.
    """
    basis = reference.dense_basis(knots, degree, "none", x).transpose(0, 1)
    target = y.transpose(0, 1)
    # Not full rank when an interval holds no sample: the driver must allow for it, and it runs on the CPU only.
    step = max(1, _BLOCK_ELEMENTS // max(1, basis.shape[1] * basis.shape[2]))
    parts = [
        torch.linalg.lstsq(basis[i : i + step].cpu(), target[i : i + step].cpu(), driver="gelsd").solution
        for i in range(0, basis.shape[0], step)
    ]
    return torch.cat(parts).to(knots.device)


def move_curves(old: Tensor, coefficients: Tensor, new: Tensor, degree: int) -> Tensor:
    """Coefficients ``[I, R_new, O]`` on knots ``new`` of the curves that ``coefficients [I, R, O]`` give on ``old``.

    Exact by knot insertion where the new breakpoints contain the old ones; else the nearest in least squares over
    the new domain, which is exact too for every curve that both sets of knots can represent.
    """
    try:
        return grid.insertion_matrix(old, new, degree).to(coefficients.dtype) @ coefficients
    except ValueError:
        pass
    places = sites(grid.breakpoints(new, degree), degree, 2 * degree + 4).T
    basis = reference.dense_basis(old, degree, "none", places).transpose(0, 1)
    curves = (basis @ coefficients).transpose(0, 1)
    return fit_curves(new, degree, places, curves)
