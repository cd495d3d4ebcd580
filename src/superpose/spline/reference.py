"""B-splines and the three contractions of a KAN layer, as a plain torch definition.

Every compiled kernel is a twin of what stands here and is compared with it. Conventions:

- ``k`` is the degree, ``G`` the number of grid intervals, ``R = G + k`` the number of basis functions.
- ``knots [I, G + 2k + 1]`` is non-decreasing along its last axis, one row for each input. The domain of input
  ``i`` is ``[knots[i, k], knots[i, G + k]]``.
- Outside its domain a spline continues as the straight line through its boundary value and slope. The definition
  holds for every derivative: the first is constant outside, all higher ones are zero.
- ``coefficients [I, rows, O]`` holds a layer's curves: ``R`` rows of spline coefficients and, when the layer has a
  base function, one last row of base weights.

Source of the recurrences: C. de Boor, *A Practical Guide to Splines* (2001), chapters IX and X.
"""

from __future__ import annotations

import torch
from torch import Tensor

BASES = ("silu", "identity", "none")

# A dense basis matrix is built for at most this many elements at a time (float64: 256 MiB).
_BLOCK_ELEMENTS = 1 << 25


def locate(knots: Tensor, degree: int, x: Tensor) -> Tensor:
    """Index ``m`` of the knot interval ``[t_m, t_{m+1})`` that holds each point.

    Points outside the domain belong to the first or last interval that is not empty; the right end of the domain
    belongs to the last one.

    Args:
        knots: ``[I, G + 2k + 1]``.
        degree: ``k``.
        x: ``[B, I]``.

    Returns:
        ``[B, I]`` integers between ``k`` and ``G + k - 1``.
    """
    count = knots.shape[-1] - degree - 1
    inner = knots[:, degree + 1 : count].contiguous()
    # Not below the left end: the intervals that coincide with it are empty.
    places = torch.maximum(x.detach(), knots[:, degree])
    index = torch.searchsorted(inner, places.T.contiguous(), right=True).T + degree
    last = (knots[:, :count] < knots[:, count, None]).sum(-1) - 1
    return torch.minimum(index, last)


def _local_basis(local: Tensor, x: Tensor, degree: int, top: int) -> list[Tensor]:
    """Values of the ``degree + 1`` B-splines of one degree that are not zero in each point's interval.

    ``local[..., top - 1 + j]`` is ``t_{m+j}``; all denominators contain the point's own interval, so none is zero.
    """
    # Not plain ones: a NaN must stay a NaN at degree 0 too.
    values = [1.0 + 0.0 * x]
    for j in range(1, degree + 1):
        carried = torch.zeros_like(x)
        raised = []
        for r in range(j):
            right = local[..., top + r] - x
            left = x - local[..., top - j + r]
            share = values[r] / (right + left)
            raised.append(carried + right * share)
            carried = left * share
        raised.append(carried)
        values = raised
    return values


def _interior_basis(local: Tensor, x: Tensor, degree: int, order: int) -> Tensor:
    """Derivative ``order`` of the ``degree + 1`` active B-splines at points inside the domain, ``[B, I, k + 1]``."""
    if order > degree:
        return (0.0 * x)[..., None].expand(*x.shape, degree + 1)
    values = _local_basis(local, x, degree - order, degree)
    for q in range(degree - order + 1, degree + 1):
        scaled = [q * values[r] / (local[..., degree + r] - local[..., degree - q + r]) for r in range(q)]
        values = [-scaled[0], *(scaled[s - 1] - scaled[s] for s in range(1, q)), scaled[q - 1]]
    return torch.stack(values, -1)


def active_basis(knots: Tensor, degree: int, x: Tensor, order: int = 0) -> tuple[Tensor, Tensor]:
    """The ``k + 1`` basis functions that can be non-zero at each point, or their derivatives.

    Args:
        knots: ``[I, G + 2k + 1]``.
        degree: ``k``, at least 0.
        x: ``[B, I]``.
        order: which derivative, 0 for the values.

    Returns:
        ``(values [B, I, k + 1], first [B, I])``: ``values[b, i, s]`` belongs to basis function ``first[b, i] + s``.

    >>> knots = torch.arange(-3.0, 6.0)[None]                # degree 3 on [0, 2]
    >>> values, first = active_basis(knots, 3, torch.tensor([[0.5]]))
    >>> round(values.sum().item(), 6), first.item()
    (1.0, 0)
    """
    count = knots.shape[-1] - degree - 1
    low, high = knots[:, degree], knots[:, count]
    nearest = torch.minimum(torch.maximum(x, low), high)
    interval = locate(knots, degree, x)
    offsets = torch.arange(1 - degree, degree + 1, device=x.device)
    rows = torch.arange(knots.shape[0], device=x.device)[None, :, None]
    local = knots[rows, interval[..., None] + offsets]
    values = _interior_basis(local, nearest, degree, order)
    beyond = (x < low) | (x > high)
    if order == 0 and degree > 0:
        slope = _interior_basis(local, nearest, degree, 1)
        values = torch.where(beyond[..., None], values + slope * (x - nearest)[..., None], values)
    elif order >= 2:
        values = torch.where(beyond[..., None], torch.zeros_like(values), values)
    return values, interval - degree


def base_function(name: str, x: Tensor, order: int = 0) -> Tensor:
    """Derivative ``order`` of a base function at ``x``; same shape as ``x``.

    The derivatives of SiLU, ``x * s(x)``, follow from those of the logistic function ``s``, which are polynomials
    in ``s``: with ``s' = s - s^2`` each differentiation maps ``s^n`` to ``n s^n - n s^(n+1)``.
    """
    if name == "identity":
        return x.clone() if order == 0 else (1.0 if order == 1 else 0.0) + 0.0 * x
    if name != "silu":
        raise ValueError(f"unknown base function {name!r}; choose one of {', '.join(BASES)}")
    logistic = torch.sigmoid(x)
    if order == 0:
        return x * logistic
    lower = _polynomial(_logistic_derivative(order - 1), logistic)
    upper = _polynomial(_logistic_derivative(order), logistic)
    return x * upper + order * lower


def _logistic_derivative(order: int) -> list[int]:
    powers = [0, 1]
    for _ in range(order):
        raised = [0] * (len(powers) + 1)
        for n, factor in enumerate(powers):
            raised[n] += n * factor
            raised[n + 1] -= n * factor
        powers = raised
    return powers


def _polynomial(coefficients: list[int], x: Tensor) -> Tensor:
    total = torch.zeros_like(x)
    for factor in reversed(coefficients):
        # As a float: those of high orders are more than torch's integers hold.
        total = total * x + float(factor)
    return total


def row_count(knots: Tensor, degree: int, base: str) -> int:
    """Rows of a layer's coefficient tensor: its spline basis functions and one for its base function."""
    return knots.shape[-1] - degree - 1 + (base != "none")


def dense_basis(knots: Tensor, degree: int, base: str, x: Tensor, order: int = 0) -> Tensor:
    """Every row function at every point, ``[B, I, rows]``: what a layer multiplies its coefficients by.

    Used where all rows are needed (least squares, Levenberg-Marquardt) and by the plain contractions below.
    """
    values, first = active_basis(knots, degree, x, order)
    rows = row_count(knots, degree, base)
    dense = values.new_zeros((*x.shape, rows))
    index = first[..., None] + torch.arange(degree + 1, device=x.device)
    dense.scatter_(-1, index, values)
    if base != "none":
        dense[..., -1] = base_function(base, x, order)
    return dense


def _blocks(x: Tensor, rows: int) -> list[slice]:
    step = max(1, _BLOCK_ELEMENTS // max(1, x.shape[1] * rows))
    return [slice(start, start + step) for start in range(0, x.shape[0], step)]


def edge_sum(
    v: Tensor | None,
    coefficients: Tensor,
    x: Tensor,
    knots: Tensor,
    degree: int,
    base: str,
    order: int = 0,
) -> Tensor:
    """``y[b, o] = sum_i v[b, i] phi_io^(order)(x[b, i])``; ``v`` of None stands for ones. ``[B, O]``."""
    inputs, rows, outputs = coefficients.shape
    result = x.new_zeros((x.shape[0], outputs))
    for block in _blocks(x, rows):
        basis = dense_basis(knots, degree, base, x[block], order)
        if v is not None:
            basis = basis * v[block, :, None]
        result[block] = basis.flatten(1) @ coefficients.reshape(inputs * rows, outputs)
    return result


def grad_input(
    g: Tensor,
    coefficients: Tensor,
    x: Tensor,
    knots: Tensor,
    degree: int,
    base: str,
    order: int = 0,
) -> Tensor:
    """``z[b, i] = sum_o g[b, o] phi_io^(order)(x[b, i])``. ``[B, I]``."""
    inputs, rows, outputs = coefficients.shape
    result = torch.empty_like(x)
    for block in _blocks(x, rows):
        basis = dense_basis(knots, degree, base, x[block], order)
        pulled = (g[block] @ coefficients.reshape(inputs * rows, outputs).T).view(basis.shape)
        result[block] = (basis * pulled).sum(-1)
    return result


def grad_coefficients(
    v: Tensor | None, g: Tensor, x: Tensor, knots: Tensor, degree: int, base: str, order: int = 0
) -> Tensor:
    """``c[i, r, o] = sum_b v[b, i] g[b, o] beta_r^(order)(x[b, i])``. ``[I, rows, O]``."""
    inputs, rows = x.shape[1], row_count(knots, degree, base)
    result = x.new_zeros((inputs * rows, g.shape[1]))
    for block in _blocks(x, rows):
        basis = dense_basis(knots, degree, base, x[block], order)
        if v is not None:
            basis = basis * v[block, :, None]
        result += basis.flatten(1).T @ g[block]
    return result.view(inputs, rows, g.shape[1])
