"""Layers one after another as the compiled kernels take them: one call for all of them, forwards and backwards.

A small network's time is mostly what surrounds its arithmetic, so what was checked once (:func:`look`) is taken as it
is while the tensors are the same ones in the same place. Like :mod:`superpose.spline.backend`, this knows nothing of
autograd.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from superpose.spline import backend

# What the curves of one layer are, but for their coefficients: ``knots, degree, base``.
Spline = tuple[Tensor, int, str]
# ``center, scale`` of the outputs, or None for zeros and ones.
Scaling = tuple[Tensor, Tensor] | None

PLAIN = frozenset((Tensor, torch.nn.Parameter))
# A private name of torch, older than the oldest torch that is supported; there is no public one. What
# torch.autograd.grad(is_grads_batched=True) hands out, which is no transform of functorch.
is_batched: Callable[[Tensor], bool] = torch._C._functorch.is_legacy_batchedtensor


class Links(NamedTuple):
    """Layers one after another that the kernels can compute.

    Attributes:
        coefficients: ``[I, rows, O]`` of each layer.
        splines: the rest of each layer's curves.
        scaling: of the last layer's outputs, ``[O]`` each.
        kernels: of the native module.
        dtype, kind: of all tensors, and the number by which the kernels know it.
        inputs, hidden, outputs: nodes of the first layer, of all layers but the last, and of the last.
        sizes: of each layer its inputs, outputs, intervals, degree and the number of its base.
        curves: addresses of each layer's coefficients and knots.
        center, scale: addresses, 0 for none.
    """

    coefficients: tuple[Tensor, ...]
    splines: tuple[Spline, ...]
    scaling: Scaling
    kernels: Any
    dtype: torch.dtype
    kind: int
    inputs: int
    hidden: int
    outputs: int
    sizes: tuple[int, ...]
    curves: tuple[int, ...]
    center: int
    scale: int


def look(coefficients: Sequence[Tensor], splines: Sequence[Spline], scaling: Scaling = None) -> Links | None:
    """The layers as the compiled kernels take them, or None if these do not compute them.

    Args:
        coefficients: ``[I, rows, O]`` of each layer.
        splines: ``knots, degree, base`` of each layer.
        scaling: ``center, scale`` of the outputs, ``[O]`` each; None for zeros and ones.
    """
    kernels = backend.compiled()
    first = coefficients[0]
    dtype, kind = first.dtype, backend.KINDS.get(first.dtype)
    if kernels is None or kind is None:
        return None
    sizes: list[int] = []
    curves: list[int] = []
    hidden, before = 0, -1
    for one, (knots, degree, base) in zip(coefficients, splines, strict=True):
        code, shape, ends = backend.BASES.get(base), one.shape, knots.shape
        if (
            code is None
            or not 1 <= degree <= 5
            or len(shape) != 3
            or len(ends) != 2
            or ends[0] != shape[0]
            or before not in (-1, shape[0])
        ):
            return None
        intervals = ends[1] - 2 * degree - 1
        if intervals < 1 or shape[1] != intervals + degree + (code != 0):
            return None
        if not _is_array(one, dtype) or not _is_array(knots, dtype):
            return None
        sizes += shape[0], shape[2], intervals, degree, code
        curves += one.data_ptr(), knots.data_ptr()
        hidden += max(before, 0)
        before = shape[2]
    center = scale = 0
    if scaling is not None:
        for one in scaling:
            if not _is_array(one, dtype) or one.shape != (before,):
                return None
        center, scale = scaling[0].data_ptr(), scaling[1].data_ptr()
    tensors = tuple(coefficients), tuple(splines), scaling
    nodes = sizes[0], hidden, before
    return Links(*tensors, kernels, dtype, kind, *nodes, tuple(sizes), tuple(curves), center, scale)


def are_in_use(links: Links) -> bool:
    """Whether it is still these kernels that compute."""
    return links.kernels is backend.compiled()


def are_same(links: Links, coefficients: Sequence[Tensor]) -> bool:
    """Whether all tensors are where they were, with these coefficients."""
    curves, n = links.curves, 0
    for one, kept, spline in zip(coefficients, links.coefficients, links.splines, strict=True):
        if one is not kept or one.data_ptr() != curves[n] or spline[0].data_ptr() != curves[n + 1]:
            return False
        n += 2
    scaling = links.scaling
    return scaling is None or scaling[1].data_ptr() == links.scale


def is_for(links: Links, x: Tensor) -> bool:
    """Whether ``x`` are samples that the layers can take: plain, ``[B, I]``, on the CPU, of their dtype."""
    points = x.shape
    return type(x) in PLAIN and x.dtype is links.dtype and len(points) == 2 and points[1] == links.inputs and x.is_cpu


def values(links: Links, x: Tensor) -> tuple[Tensor, Tensor]:
    """``center + scale * h`` for samples ``x [B, I]``, with ``h [B, O]`` the last layer's outputs.

    Returns:
        ``[B, O]``, and the outputs of all layers but the last one after another, flat.
    """
    x = x.contiguous()
    batch = x.shape[0]
    y, hidden = x.new_empty(batch, links.outputs), x.new_empty(batch * links.hidden)
    links.kernels.chain(
        links.kind,
        batch,
        backend.get_threads(),
        links.sizes,
        links.curves,
        x.data_ptr(),
        links.center,
        links.scale,
        hidden.data_ptr(),
        y.data_ptr(),
    )
    return y, hidden


def pulls(links: Links, g: Tensor, x: Tensor, hidden: Tensor, wanted: Sequence[bool]) -> list[Tensor | None] | None:
    """The gradients of ``<g, y>``, with ``y, hidden`` from :func:`values`.

    Args:
        links: of the same tensors.
        g: ``[B, O]``.
        x: ``[B, I]``.
        hidden: as :func:`values` made it.
        wanted: of which there are gradients: ``x``, then each layer's coefficients.

    Returns:
        One for each of ``wanted``, None for what is not; or None if the kernels cannot take these tensors.
    """
    batch, dtype = x.shape[0], links.dtype
    if (
        type(g) not in PLAIN
        or g.dtype is not dtype
        or g.shape != (batch, links.outputs)
        or not g.is_cpu
        or is_batched(g)
    ):
        return None
    x, g = x.contiguous(), g.contiguous()
    made = [x.new_empty(x.shape) if wanted[0] else None]
    places = []
    for one, want in zip(links.coefficients, wanted[1:], strict=True):
        if want:
            gradient = torch.empty_like(one)
            made.append(gradient)
            places.append(gradient.data_ptr())
        else:
            made.append(None)
            places.append(0)
    slope = made[0]
    links.kernels.chain_pulls(
        links.kind,
        batch,
        backend.get_threads(),
        links.sizes,
        links.curves,
        places,
        x.data_ptr(),
        hidden.data_ptr(),
        g.data_ptr(),
        links.scale,
        0 if slope is None else slope.data_ptr(),
    )
    return made


def _is_array(one: Tensor, dtype: torch.dtype) -> bool:
    return type(one) in PLAIN and one.dtype is dtype and one.is_cpu and one.is_contiguous()
