"""Chebyshev polynomials ``T_n`` on [-1, 1]: values, derivatives and integrals (J. Mason and D. Handscomb, 2003)."""

from __future__ import annotations

import torch
from torch import Tensor


def polynomials(x: Tensor, degree: int) -> Tensor:
    """``T_0 .. T_degree`` at points ``x [N]`` as ``[N, degree + 1]``, by ``T_(n+1) = 2 x T_n - T_(n-1)``.

    >>> polynomials(torch.tensor([0.5]), 2)
    tensor([[ 1.0000,  0.5000, -0.5000]])
    """
    columns = [torch.ones_like(x), x]
    for _ in range(degree - 1):
        columns.append(2 * x * columns[-1] - columns[-2])
    return torch.stack(columns[: degree + 1], -1)


def derivatives(x: Tensor, degree: int) -> Tensor:
    """Their derivatives ``[N, degree + 1]``: ``T_n' = n U_(n-1)``, with the polynomials ``U_n`` of the second kind.

    >>> derivatives(torch.tensor([0.5]), 2)
    tensor([[0., 1., 2.]])
    """
    second = [torch.ones_like(x), 2 * x]
    for _ in range(degree):
        second.append(2 * x * second[-1] - second[-2])
    return torch.stack([torch.zeros_like(x)] + [n * second[n - 1] for n in range(1, degree + 1)], -1)


def integral(coefficients: Tensor, x: Tensor) -> Tensor:
    """Values ``[N]`` at ``x [N]`` of an integral of ``sum_n coefficients[n] T_n``; its constant is arbitrary.

    The integral of ``T_n`` is ``T_(n+1) / 2(n+1) - T_(n-1) / 2(n-1)`` for ``n`` of 2 or more.

    >>> integral(torch.tensor([0.0, 1.0]), torch.tensor([0.0, 1.0])).diff()  # of x: x^2 / 2
    tensor([0.5000])
    """
    count = len(coefficients)
    integrated = coefficients.new_zeros(count + 1)
    for n, value in enumerate(coefficients.tolist()):
        if n == 0:
            integrated[1] += value
        elif n == 1:
            # T_1 = x, and x^2 / 2 = T_2 / 4 + 1/4
            integrated[2] += value / 4
        else:
            integrated[n + 1] += value / (2 * (n + 1))
            integrated[n - 1] -= value / (2 * (n - 1))
    # T_n(cos t) = cos(n t).
    angle = torch.arccos(x.clamp(-1, 1))
    return (angle[:, None] * torch.arange(count + 1, dtype=coefficients.dtype)).cos() @ integrated
