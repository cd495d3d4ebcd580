"""Several layers in one call of the compiled kernels, forward and backward.

A small network spends most of its time outside its arithmetic. So :func:`make_plan` checks the layers once, and the
plan is used as long as the tensors and their addresses stay the same. Like :mod:`superpose.spline.backend`, this module
knows nothing of autograd; :mod:`superpose.spline.ops` records a chain as one autograd node.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from superpose.spline import backend

# The curves of one layer without their coefficients: ``knots, degree, base``.
Spline = tuple[Tensor, int, str]
# ``center, scale`` of the outputs, or None for zeros and ones.
Scaling = tuple[Tensor, Tensor] | None

# Subclasses of tensors may do anything in their operations, so they take the way through torch's dispatcher.
PLAIN = frozenset((Tensor, torch.nn.Parameter))
# Whether a tensor stands for a batch in torch.autograd.grad(is_grads_batched=True), which is no functorch transform.
# A private name of torch, older than the oldest torch that is supported; there is no public one.
is_batched: Callable[[Tensor], bool] = torch._C._functorch.is_legacy_batchedtensor


class ChainPlan(NamedTuple):
    """Consecutive layers that the kernels can compute in one call, with the arguments of that call.

    Attributes:
        coefficients: ``[I, rows, O]`` of each layer.
        splines: knots, degree and base of each layer.
        scaling: center and scale of the last layer's outputs, ``[O]`` each, or None.
        kernels: ``Kernels`` of the native module.
        dtype: of all tensors.
        kind: the number of that dtype in the native module.
        inputs: number of inputs of the first layer.
        hidden: number of outputs of all layers but the last, summed.
        outputs: number of outputs of the last layer.
        sizes: for each layer its inputs, outputs, intervals, degree and the number of its base, flat.
        addresses: for each layer the addresses of its coefficients and knots, flat.
        center_address: 0 without scaling.
        scale_address: 0 without scaling.
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
    addresses: tuple[int, ...]
    center_address: int
    scale_address: int


def make_plan(coefficients: Sequence[Tensor], splines: Sequence[Spline], scaling: Scaling = None) -> ChainPlan | None:
    """Check consecutive layers and prepare their call, or return None if the compiled kernels do not support them.

    Args:
        coefficients: ``[I, rows, O]`` of each layer.
        splines: ``knots, degree, base`` of each layer.
        scaling: ``center, scale`` of the outputs, ``[O]`` each; None for zeros and ones.
    """
    kernels = backend.compiled()
    dtype = coefficients[0].dtype
    kind = backend.KINDS.get(dtype)
    if kernels is None or kind is None:
        return None
    sizes: list[int] = []
    addresses: list[int] = []
    hidden, width = 0, None
    for rows, spline in zip(coefficients, splines, strict=True):
        layer_sizes = _layer_sizes(rows, spline)
        if layer_sizes is None or width not in (None, layer_sizes[0]):
            return None
        if not _is_readable(rows, dtype) or not _is_readable(spline[0], dtype):
            return None
        sizes += layer_sizes
        addresses += rows.data_ptr(), spline[0].data_ptr()
        hidden += width or 0
        width = layer_sizes[1]
    assert width is not None
    center_address = scale_address = 0
    if scaling is not None:
        if not all(_is_readable(tensor, dtype) and tensor.shape == (width,) for tensor in scaling):
            return None
        center_address, scale_address = scaling[0].data_ptr(), scaling[1].data_ptr()
    return ChainPlan(
        tuple(coefficients),
        tuple(splines),
        scaling,
        kernels,
        dtype,
        kind,
        sizes[0],
        hidden,
        width,
        tuple(sizes),
        tuple(addresses),
        center_address,
        scale_address,
    )


def _layer_sizes(coefficients: Tensor, spline: Spline) -> tuple[int, int, int, int, int] | None:
    """Inputs, outputs, intervals, degree and the number of the base; None if the shapes do not fit together."""
    knots, degree, base = spline
    base_code, shape, knots_shape = backend.BASES.get(base), coefficients.shape, knots.shape
    if base_code is None or not backend.MIN_DEGREE <= degree <= backend.MAX_DEGREE:
        return None
    if len(shape) != 3 or len(knots_shape) != 2 or knots_shape[0] != shape[0]:
        return None
    intervals = knots_shape[1] - 2 * degree - 1
    if intervals < 1 or shape[1] != intervals + degree + (base_code != 0):
        return None
    return shape[0], shape[2], intervals, degree, base_code


def _is_readable(tensor: Tensor, dtype: torch.dtype) -> bool:
    """Whether the kernels can read the tensor at its address."""
    return type(tensor) in PLAIN and tensor.dtype is dtype and tensor.is_cpu and tensor.is_contiguous()


def is_current(plan: ChainPlan) -> bool:
    """Whether the plan's kernels are still those in use."""
    return plan.kernels is backend.compiled()


def has_same_tensors(plan: ChainPlan, coefficients: Sequence[Tensor]) -> bool:
    """Whether these are the plan's coefficients, and all tensors of the plan are still at their addresses."""
    addresses, n = plan.addresses, 0
    for given, known, spline in zip(coefficients, plan.coefficients, plan.splines, strict=True):
        if given is not known or given.data_ptr() != addresses[n] or spline[0].data_ptr() != addresses[n + 1]:
            return False
        n += 2
    scaling = plan.scaling
    return scaling is None or scaling[1].data_ptr() == plan.scale_address


def accepts(plan: ChainPlan, x: Tensor) -> bool:
    """Whether ``x`` is a plain tensor ``[B, I]`` on the CPU with the plan's dtype and number of inputs."""
    shape = x.shape
    return type(x) in PLAIN and x.dtype is plan.dtype and len(shape) == 2 and shape[1] == plan.inputs and x.is_cpu


def forward(plan: ChainPlan, x: Tensor) -> tuple[Tensor, Tensor]:
    """``y = center + scale * h`` for samples ``x [B, I]``, with ``h [B, O]`` the last layer's outputs.

    Returns:
        ``y [B, O]``, and the outputs of all layers but the last, layer after layer, flat. :func:`vjp` needs the latter.
    """
    x = x.contiguous()
    batch = x.shape[0]
    y, hidden = x.new_empty(batch, plan.outputs), x.new_empty(batch * plan.hidden)
    plan.kernels.chain(
        plan.kind,
        batch,
        backend.get_threads(),
        plan.sizes,
        plan.addresses,
        x.data_ptr(),
        plan.center_address,
        plan.scale_address,
        hidden.data_ptr(),
        y.data_ptr(),
    )
    return y, hidden


def vjp(plan: ChainPlan, g: Tensor, x: Tensor, hidden: Tensor, needed: Sequence[bool]) -> list[Tensor | None] | None:
    """Vector-Jacobian products of :func:`forward`: the gradients of ``sum(g * y)``.

    Args:
        plan: the plan of the forward pass.
        g: ``[B, O]``.
        x: ``[B, I]``.
        hidden: second result of :func:`forward`.
        needed: whether the gradient is needed by ``x``, then by the coefficients of each layer.

    Returns:
        A gradient for each entry of ``needed``, None where it is False. None for all if the kernels cannot read ``g``.
    """
    batch, dtype = x.shape[0], plan.dtype
    if (
        type(g) not in PLAIN
        or g.dtype is not dtype
        or g.shape != (batch, plan.outputs)
        or not g.is_cpu
        or is_batched(g)
    ):
        return None
    x, g = x.contiguous(), g.contiguous()
    grad_x = x.new_empty(x.shape) if needed[0] else None
    gradients = [grad_x]
    addresses = []
    for coefficients, need in zip(plan.coefficients, needed[1:], strict=True):
        if need:
            gradient = torch.empty_like(coefficients)
            gradients.append(gradient)
            addresses.append(gradient.data_ptr())
        else:
            gradients.append(None)
            addresses.append(0)
    plan.kernels.chain_vjp(
        plan.kind,
        batch,
        backend.get_threads(),
        plan.sizes,
        plan.addresses,
        addresses,
        x.data_ptr(),
        hidden.data_ptr(),
        g.data_ptr(),
        plan.scale_address,
        0 if grad_x is None else grad_x.data_ptr(),
    )
    return gradients
