"""The contractions as operators of torch, ``torch.ops.superpose``, which graphs can hold.

``torch.compile`` and ``torch.export`` represent a KAN layer by one of these. A saved graph names them, so a program
that loads one imports :mod:`superpose.spline` first. The operator ``vjp`` computes all gradients of a backward pass in
one call and has no derivatives itself; it is used where none can be requested.
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
    "vjp": f"(Tensor? v, Tensor g, Tensor coefficients, {_FORM}, bool grad_v, bool grad_x, "
    "bool grad_coefficients)"
    " -> (Tensor, Tensor, Tensor)",
}
# For each operator the argument by which it differentiates the trilinear form, and the two arguments that it takes.
_CONTRACTIONS = {
    "edge_sum": (ops.G, (ops.V, ops.C)),
    "grad_input": (ops.V, (ops.G, ops.C)),
    "grad_coefficients": (ops.C, (ops.V, ops.G)),
}


def _register(library: torch.library.Library) -> None:
    for name, schema in _SCHEMAS.items():
        torch.library.define(f"superpose::{name}", schema, lib=library, tags=torch.Tag.pt2_compliant_tag)
    for name, (by, places) in _CONTRACTIONS.items():
        _register_contraction(library, f"superpose::{name}", by, places)
    torch.library.impl("superpose::vjp", "CompositeExplicitAutograd", _vjp, lib=library)
    torch.library.register_fake("superpose::vjp", _vjp_shapes, lib=library)


def _register_contraction(library: torch.library.Library, name: str, by: int, places: tuple[int, int]) -> None:
    """Register one contraction: its values, the shape of its result, its derivatives and its vmap rule."""

    overload = getattr(torch.ops.superpose, name.partition("::")[2]).default

    def all_three(first: Any, second: Any) -> list[Any]:
        """``v, g, c`` with these two in their places and None in the third."""
        arguments: list[Any] = [None] * 3
        arguments[places[0]], arguments[places[1]] = first, second
        return arguments

    def values(first: Any, second: Any, *rest: Any) -> Tensor:
        # Contiguous, as the shape function below promises, whatever the strides of the arguments.
        return ops.evaluate((by, *rest[2:]), *all_three(first, second), *rest[:2]).contiguous()

    def shape(first: Any, second: Any, x: Tensor, knots: Tensor, degree: int, base: str, order: int) -> Tensor:
        if by == ops.G:
            return x.new_empty((x.shape[0], second.shape[2]))
        if by == ops.V:
            return x.new_empty(x.shape)
        return x.new_empty((x.shape[1], reference.row_count(knots, degree, base), second.shape[1]))

    def autograd(keyset: Any, first: Any, second: Any, x: Tensor, knots: Tensor, *rest: Any) -> Tensor:
        redispatch = functools.partial(overload.redispatch, keyset & torch._C._after_autograd_keyset)
        modes = torch.is_grad_enabled(), torch._C._is_fwd_grad_enabled()
        # Inside a transform of torch.func the dispatcher is at the transform's level here, where a node is allowed.
        with enable_single_level_autograd_function():
            return _apply(*all_three(first, second), x, knots, (by, *rest), redispatch, modes)

    def vmap(info: Any, in_dims: tuple[Any, ...], first: Any, second: Any, *rest: Any) -> tuple[Tensor, int]:
        tensors, dims = (*all_three(first, second), *rest[:2]), (*all_three(*in_dims[:2]), *in_dims[2:4])
        return ops.contraction_vmap((by, *rest[2:]), tensors, dims, info.batch_size), 0

    torch.library.impl(name, "CompositeExplicitAutograd", values, lib=library)
    torch.library.register_fake(name, shape, lib=library)
    library.impl(name, autograd, "Autograd", with_keyset=True)  # type: ignore[no-untyped-call]
    torch.library.register_vmap(name, vmap, lib=library)


class _OperatorFunction(ops.ContractionFunction):
    """As :class:`superpose.spline.ops.ContractionFunction`, but the values come from the dispatcher's next level.

    torch.library.register_autograd would make such a class too, but that one drops forward-mode derivatives silently
    and does not run inside ``torch.func.grad``.
    """

    @staticmethod
    def forward(  # type: ignore[override]
        v: Any,
        g: Any,
        c: Any,
        x: Tensor,
        knots: Tensor,
        spec: ops.Contraction,
        redispatch: Any,
        modes: tuple[bool, bool],
    ) -> Tensor:
        given = [tensor for place, tensor in enumerate((v, g, c)) if place != spec[0]]
        # torch disables derivatives inside a node, but the levels of torch.func below this one need them.
        with (
            torch._C._AutoDispatchBelowAutograd(),
            torch.set_grad_enabled(modes[0]),
            forward_ad._set_fwd_grad_enabled(modes[1]),
        ):
            return redispatch(*given, x, knots, *spec[1:])  # type: ignore[no-any-return]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        *tensors, ctx.spec, _, _ = inputs
        ctx.save_for_backward(*tensors)
        # Always, because graphs enter forward mode without setting torch.autograd.forward_ad._current_level.
        ctx.save_for_forward(*tensors)
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, h: Tensor | None) -> tuple[Tensor | None, ...]:
        return *ops.ContractionFunction.backward(ctx, h), None, None


_apply: Callable[..., Tensor] = super(torch.autograd.Function, _OperatorFunction).apply


def _vjp(v: Any, g: Tensor, c: Tensor, x: Tensor, knots: Tensor, *rest: Any) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients that ``rest = degree, base, order, *needs`` asks for; empty tensors for the others."""
    made = backend.vjp(v, g, c, x, knots, rest[:3], rest[3:])
    grad_v, grad_x, grad_c = (x.new_empty(0) if one is None else one.contiguous() for one in made)
    return grad_v, grad_x, grad_c


def _vjp_shapes(v: Any, g: Tensor, c: Tensor, x: Tensor, knots: Tensor, *rest: Any) -> tuple[Tensor, Tensor, Tensor]:
    need_v, need_x, need_c = rest[3:]
    return (
        x.new_empty(x.shape if need_v else (0,)),
        x.new_empty(x.shape if need_x else (0,)),
        x.new_empty(c.shape if need_c else (0,)),
    )


# Operators belong to the process: when this module is loaded a second time, they exist already.
if not hasattr(torch.ops.superpose, "vjp"):
    _library = torch.library.Library("superpose", "FRAGMENT")  # type: ignore[no-untyped-call]
    _register(_library)
