"""The contractions as operators of torch, ``torch.ops.superpose``: what graphs hold.

``torch.compile`` and ``torch.export`` see a KAN layer as one of these; a saved graph names them, so whoever loads one
imports :mod:`superpose.spline` first. ``vjp`` is the backward pass in one go and has no derivatives itself: it is
used where none can be asked for.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch._functorch.utils import enable_single_level_autograd_function
from torch.autograd import forward_ad

from superpose.spline import backend, ops, reference

_FORM = "Tensor x, Tensor knots, int degree, str base, int order"
_SCHEMAS = {
    "edge_sum": f"(Tensor? v, Tensor coefficients, {_FORM}) -> Tensor",
    "grad_input": f"(Tensor g, Tensor coefficients, {_FORM}) -> Tensor",
    "grad_coefficients": f"(Tensor? v, Tensor g, {_FORM}) -> Tensor",
    "vjp": f"(Tensor? v, Tensor g, Tensor coefficients, {_FORM}, bool value, bool slope, bool coefficient)"
    " -> (Tensor, Tensor, Tensor)",
}
# For each operator the derivative of the trilinear form that it is, and which arguments of the form it takes.
_PARTS = {
    "edge_sum": (ops.G, (ops.V, ops.C)),
    "grad_input": (ops.V, (ops.G, ops.C)),
    "grad_coefficients": (ops.C, (ops.V, ops.G)),
}


def _register(library: torch.library.Library) -> None:
    for name, schema in _SCHEMAS.items():
        torch.library.define(f"superpose::{name}", schema, lib=library, tags=torch.Tag.pt2_compliant_tag)
    for name, (part, places) in _PARTS.items():
        _register_part(library, f"superpose::{name}", part, places)
    torch.library.impl("superpose::vjp", "CompositeExplicitAutograd", _vjp, lib=library)
    torch.library.register_fake("superpose::vjp", _vjp_shapes, lib=library)


def _register_part(library: torch.library.Library, name: str, part: int, places: tuple[int, int]) -> None:
    """Register one derivative of the form: its numbers, its shape, its derivatives, its stacks."""

    overload = getattr(torch.ops.superpose, name.partition("::")[2]).default

    def whole(first: Any, second: Any) -> list[Any]:
        """``v, g, c`` with these two in their places."""
        arguments: list[Any] = [None] * 3
        arguments[places[0]], arguments[places[1]] = first, second
        return arguments

    def numbers(first: Any, second: Any, *rest: Any) -> Tensor:
        # As the shape below promises, whatever the strides of the arguments.
        return ops.numbers((part, *rest[2:]), *whole(first, second), *rest[:2]).contiguous()

    def shape(first: Any, second: Any, x: Tensor, knots: Tensor, degree: int, base: str, order: int) -> Tensor:
        if part == ops.G:
            return x.new_empty((x.shape[0], second.shape[2]))
        if part == ops.V:
            return x.new_empty(x.shape)
        return x.new_empty((x.shape[1], reference.row_count(knots, degree, base), second.shape[1]))

    def autograd(keyset: Any, first: Any, second: Any, x: Tensor, knots: Tensor, *rest: Any) -> Tensor:
        redispatch = functools.partial(overload.redispatch, keyset & torch._C._after_autograd_keyset)
        modes = torch.is_grad_enabled(), torch._C._is_fwd_grad_enabled()
        # Inside a transform of torch.func the dispatcher is at the transform's level here, where a node is allowed.
        with enable_single_level_autograd_function():
            return _apply(*whole(first, second), x, knots, (part, *rest), redispatch, modes)

    def vmap(info: Any, in_dims: tuple[Any, ...], first: Any, second: Any, *rest: Any) -> tuple[Tensor, int]:
        tensors, dims = (*whole(first, second), *rest[:2]), (*whole(*in_dims[:2]), *in_dims[2:4])
        return ops.stacked((part, *rest[2:]), tensors, dims, info.batch_size), 0

    torch.library.impl(name, "CompositeExplicitAutograd", numbers, lib=library)
    torch.library.register_fake(name, shape, lib=library)
    library.impl(name, autograd, "Autograd", with_keyset=True)  # type: ignore[no-untyped-call]
    torch.library.register_vmap(name, vmap, lib=library)


class _Node(ops.Partial):
    """As :class:`superpose.spline.ops.Partial`, but the numbers come from the dispatcher's next floor.

    torch.library.register_autograd would make such a class too; but its own drops forward-mode derivatives without a
    word, and does not run inside ``torch.func.grad``.
    """

    @staticmethod
    def forward(  # type: ignore[override]
        v: Any, g: Any, c: Any, x: Tensor, knots: Tensor, form: ops.Form, redispatch: Any, modes: tuple[bool, bool]
    ) -> Tensor:
        given = [tensor for place, tensor in enumerate((v, g, c)) if place != form[0]]
        # torch turns derivatives off inside a node. The levels of torch.func below this one want theirs.
        with (
            torch._C._AutoDispatchBelowAutograd(),
            torch.set_grad_enabled(modes[0]),
            forward_ad._set_fwd_grad_enabled(modes[1]),
        ):
            return redispatch(*given, x, knots, *form[1:])  # type: ignore[no-any-return]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        *tensors, ctx.form, _, _ = inputs
        ctx.save_for_backward(*tensors)
        # Always: graphs enter forward mode without a trace in torch.autograd.forward_ad.
        ctx.save_for_forward(*tensors)
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, h: Tensor | None) -> tuple[Tensor | None, ...]:
        return *ops.Partial.backward(ctx, h), None, None


_apply: Callable[..., Tensor] = super(torch.autograd.Function, _Node).apply


def _vjp(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    x = arguments[3]
    value, slope, coefficient = (
        x.new_empty(0) if made is None else made.contiguous() for made in backend.vjp(*arguments)
    )
    return value, slope, coefficient


def _vjp_shapes(
    v: Tensor | None,
    g: Tensor,
    coefficients: Tensor,
    x: Tensor,
    knots: Tensor,
    degree: int,
    base: str,
    order: int,
    value: bool,
    slope: bool,
    coefficient: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    return (
        x.new_empty(x.shape if value else (0,)),
        x.new_empty(x.shape if slope else (0,)),
        x.new_empty(coefficients.shape if coefficient else (0,)),
    )


# Operators belong to the process: a second copy of this module finds them made.
if not hasattr(torch.ops.superpose, "vjp"):
    _library = torch.library.Library("superpose", "FRAGMENT")  # type: ignore[no-untyped-call]
    _register(_library)
