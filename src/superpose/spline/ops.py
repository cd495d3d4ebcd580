"""The three contractions of a KAN layer as differentiable torch operations.

With the curves ``phi_io(x) = sum_r C_iro beta_r(x)`` of a layer, everything it computes is one trilinear form

    T(v, g, C; x) = sum_{b,i,o} v_bi g_bo phi_io^(order)(x_bi)

and its partial derivatives: ``edge_sum`` is dT/dg, ``input_pull`` dT/dv, ``coef_pull`` dT/dC. The gradient of each
is made of the other two, at the same order or the next, so derivatives of any order are exact.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from superpose.spline import reference


class _EdgeSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, v: Tensor | None, coefficients: Tensor, x: Tensor, knots: Tensor, *form: Any) -> Tensor:
        ctx.save_for_backward(v, coefficients, x, knots)
        ctx.form = form
        return reference.edge_sum(v, coefficients, x, knots, *form)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        v, coefficients, x, knots = ctx.saved_tensors
        degree, base, order = ctx.form
        needs = ctx.needs_input_grad
        return (
            input_pull(g, coefficients, x, knots, degree, base, order) if needs[0] else None,
            coef_pull(v, g, x, knots, degree, base, order) if needs[1] else None,
            _times(v, input_pull(g, coefficients, x, knots, degree, base, order + 1)) if needs[2] else None,
            *(None,) * 4,
        )


class _InputPull(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, g: Tensor, coefficients: Tensor, x: Tensor, knots: Tensor, *form: Any) -> Tensor:
        ctx.save_for_backward(g, coefficients, x, knots)
        ctx.form = form
        return reference.input_pull(g, coefficients, x, knots, *form)

    @staticmethod
    def backward(ctx: Any, h: Tensor) -> tuple[Tensor | None, ...]:
        g, coefficients, x, knots = ctx.saved_tensors
        degree, base, order = ctx.form
        needs = ctx.needs_input_grad
        return (
            edge_sum(h, coefficients, x, knots, degree, base, order) if needs[0] else None,
            coef_pull(h, g, x, knots, degree, base, order) if needs[1] else None,
            h * input_pull(g, coefficients, x, knots, degree, base, order + 1) if needs[2] else None,
            *(None,) * 4,
        )


class _CoefPull(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, v: Tensor | None, g: Tensor, x: Tensor, knots: Tensor, *form: Any) -> Tensor:
        ctx.save_for_backward(v, g, x, knots)
        ctx.form = form
        return reference.coef_pull(v, g, x, knots, *form)

    @staticmethod
    def backward(ctx: Any, h: Tensor) -> tuple[Tensor | None, ...]:
        v, g, x, knots = ctx.saved_tensors
        degree, base, order = ctx.form
        needs = ctx.needs_input_grad
        return (
            input_pull(g, h, x, knots, degree, base, order) if needs[0] else None,
            edge_sum(v, h, x, knots, degree, base, order) if needs[1] else None,
            _times(v, input_pull(g, h, x, knots, degree, base, order + 1)) if needs[2] else None,
            *(None,) * 4,
        )


def _times(v: Tensor | None, z: Tensor) -> Tensor:
    return z if v is None else v * z


def edge_sum(
    v: Tensor | None,
    coefficients: Tensor,
    x: Tensor,
    knots: Tensor,
    degree: int,
    base: str = "none",
    order: int = 0,
) -> Tensor:
    """Sum of the edges into each output, weighted by ``v``: the forward pass of a layer at order 0.

    Args:
        v: ``[B, I]`` weights, or None for ones.
        coefficients: ``[I, rows, O]``; see :mod:`superpose.spline.reference`.
        x: ``[B, I]`` points.
        knots: ``[I, G + 2k + 1]``; no gradient flows to them.
        degree: ``k``.
        base: ``"silu"``, ``"identity"`` or ``"none"``.
        order: which derivative of the edge functions.

    Returns:
        ``[B, O]``, differentiable any number of times in ``v``, ``coefficients`` and ``x``.
    """
    result: Tensor = _EdgeSum.apply(v, coefficients, x, knots, degree, base, order)  # type: ignore[no-untyped-call]
    return result


def input_pull(
    g: Tensor,
    coefficients: Tensor,
    x: Tensor,
    knots: Tensor,
    degree: int,
    base: str = "none",
    order: int = 0,
) -> Tensor:
    """Edge functions contracted with output sensitivities ``g [B, O]``; returns ``[B, I]``. See :func:`edge_sum`."""
    result: Tensor = _InputPull.apply(g, coefficients, x, knots, degree, base, order)  # type: ignore[no-untyped-call]
    return result


def coef_pull(
    v: Tensor | None,
    g: Tensor,
    x: Tensor,
    knots: Tensor,
    degree: int,
    base: str = "none",
    order: int = 0,
) -> Tensor:
    """Gradient of the trilinear form with respect to the coefficients, ``[I, rows, O]``. See :func:`edge_sum`."""
    result: Tensor = _CoefPull.apply(v, g, x, knots, degree, base, order)  # type: ignore[no-untyped-call]
    return result
