"""The three contractions of a KAN layer as differentiable torch operations.

With the curves ``phi_io(x) = sum_r C_iro beta_r(x)`` of a layer, everything it computes is one trilinear form

    T(v, g, C; x) = sum_{b,i,o} v_bi g_bo phi_io^(order)(x_bi)

and its partial derivatives: ``edge_sum`` is dT/dg, ``grad_input`` dT/dv and ``grad_coefficients`` dT/dC. The gradient
of each is made of the other two, at the same order or the next, so derivatives of any order are exact, in forward and
in reverse mode.

There are two ways into autograd. Tensors that hold numbers go through one :class:`torch.autograd.Function`, which costs
the least for each call. What is being traced (``torch.compile``, ``torch.export``, fake tensors, subclasses) goes
through the operators of :mod:`superpose.spline.operators`, which graphs can hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from superpose.spline import backend, chain
from superpose.spline.chain import PLAIN, ChainPlan, is_batched

# The arguments in which T is linear, by their places; a number also names the derivative of T by that argument.
V, G, C = 0, 1, 2

# ``part, degree, base, order``: which derivative of which form.
Form = tuple[int, int, str, int]

_is_dynamo_compiling = torch.compiler.is_dynamo_compiling
_is_grad_enabled = torch.is_grad_enabled
# Private names of torch, older than the oldest torch that is supported. There are no public ones, or slower ones.
_transforms_active: Callable[[], bool] = torch._C._are_functorch_transforms_active
_modes_active: Callable[[], int] = torch._C._len_torch_dispatch_stack
_is_tracing: Callable[[], bool] = torch._C._is_tracing
_unpack_dual: Callable[..., Any] = forward_ad.unpack_dual
_PLAIN_OR_NONE = PLAIN | {type(None)}


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
    return partial((G, degree, base, order), v, None, coefficients, x, knots)


def grad_input(
    g: Tensor,
    coefficients: Tensor,
    x: Tensor,
    knots: Tensor,
    degree: int,
    base: str = "none",
    order: int = 0,
) -> Tensor:
    """Edge functions contracted with output sensitivities ``g [B, O]``; returns ``[B, I]``. See :func:`edge_sum`."""
    return partial((V, degree, base, order), None, g, coefficients, x, knots)


def grad_coefficients(
    v: Tensor | None,
    g: Tensor,
    x: Tensor,
    knots: Tensor,
    degree: int,
    base: str = "none",
    order: int = 0,
) -> Tensor:
    """Gradient of the trilinear form with respect to the coefficients, ``[I, rows, O]``. See :func:`edge_sum`."""
    return partial((C, degree, base, order), v, g, None, x, knots)


def partial(form: Form, v: Tensor | None, g: Tensor | None, c: Tensor | None, x: Tensor, knots: Tensor) -> Tensor:
    """A derivative of T by one of ``v``, ``g`` and ``c``, which is None here, by the cheapest way into autograd."""
    if _is_dynamo_compiling() or _watched(v, g, c, x):
        return operator(form, v, g, c, x, knots)
    if _transforms_active():
        return Partial.apply(v, g, c, x, knots, form)  # type: ignore[no-any-return,no-untyped-call]
    if (
        _is_grad_enabled()
        and (
            x.requires_grad
            or (c is not None and c.requires_grad)
            or (v is not None and v.requires_grad)
            or (g is not None and g.requires_grad)
        )
    ) or forward_ad._current_level >= 0:
        return _apply(v, g, c, x, knots, form)
    return numbers(form, v, g, c, x, knots)


def is_plain_eager() -> bool:
    """Whether nobody follows or changes all operations: no transform of torch.func, no tracing, no forward mode."""
    return not (_transforms_active() or forward_ad._current_level >= 0 or _modes_active() > 0 or _is_tracing())


def forward_chain(x: Tensor, plan: ChainPlan) -> Tensor:
    """Layers one after another, ``x [B, I] -> center + scale * h``, with ``h [B, O]`` the last one's outputs.

    The same as :func:`edge_sum` for each. But a small network's time is mostly what each recorded operation costs, so
    here all are recorded as one.

    Args:
        x: ``[B, I]`` points.
        plan: of the layers, from :func:`superpose.spline.chain.make_plan`. The caller checks that the tensors are still
            at their addresses, and that :func:`is_plain_eager` holds.

    Returns:
        ``[B, O]``, differentiable any number of times in the coefficients and ``x``.
    """
    if not chain.accepts(plan, x):
        return _layer_by_layer(x, plan.coefficients, plan)
    if _is_grad_enabled():
        if x.requires_grad:
            return _apply_chain(plan, x, *plan.coefficients)
        for one in plan.coefficients:
            if one.requires_grad:
                return _apply_chain(plan, x, *plan.coefficients)
    return chain.forward(plan, x)[0]


def _layer_by_layer(x: Tensor, coefficients: Sequence[Tensor], plan: ChainPlan) -> Tensor:
    for one, (knots, degree, base) in zip(coefficients, plan.splines, strict=True):
        x = partial((G, degree, base, 0), None, None, one, x, knots)
    return x if plan.scaling is None else torch.addcmul(plan.scaling[0], x, plan.scaling[1])


class _Chain(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, plan: ChainPlan, x: Tensor, *coefficients: Tensor) -> Tensor:
        y, hidden = chain.forward(plan, x)
        # Knots and scaling are no arguments of autograd, each of which takes its time: nothing flows to them.
        ctx.plan = plan
        ctx.save_for_backward(x, hidden, *coefficients)
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        plan, wanted = ctx.plan, ctx.needs_input_grad[1:]
        x, hidden, *coefficients = ctx.saved_tensors
        # Hooks for saved tensors may have put others in their place.
        if not _is_grad_enabled() and chain.has_same_tensors(plan, coefficients) and chain.accepts(plan, x):
            made = chain.vjp(plan, g, x, hidden, wanted)
            if made is not None:
                return None, *made
        # Derivatives of the gradients may be asked for: they are made from operations that have some themselves.
        with torch.enable_grad():
            y = _layer_by_layer(x, coefficients, plan)
        arguments = [one for one, want in zip((x, *coefficients), wanted, strict=True) if want]
        gradients = iter(torch.autograd.grad(y, arguments, g, create_graph=_is_grad_enabled()))
        return None, *(next(gradients) if want else None for want in wanted)


_apply_chain: Callable[..., Tensor] = super(torch.autograd.Function, _Chain).apply


def numbers(form: Form, v: Any, g: Any, c: Any, x: Tensor, knots: Tensor) -> Tensor:
    """The same without any derivatives."""
    part, degree, base, order = form
    if part == G:
        return backend.edge_sum(v, c, x, knots, degree, base, order)
    value, _, coefficient = backend.vjp(v, g, c, x, knots, degree, base, order, part == V, False, part == C)
    return value if part == V else coefficient  # type: ignore[return-value]


def operator(form: Form, v: Any, g: Any, c: Any, x: Tensor, knots: Tensor) -> Tensor:
    """The same as a node of a graph."""
    part, *rest = form
    if part == G:
        return torch.ops.superpose.edge_sum(v, c, x, knots, *rest)  # type: ignore[no-any-return]
    if part == V:
        return torch.ops.superpose.grad_input(g, c, x, knots, *rest)  # type: ignore[no-any-return]
    return torch.ops.superpose.grad_coefficients(v, g, x, knots, *rest)  # type: ignore[no-any-return]


def _watched(v: Any, g: Any, c: Any, x: Tensor) -> bool:
    """Whether somebody follows the operations on these tensors, so that they must be operators of torch."""
    return (
        type(x) not in _PLAIN_OR_NONE
        or type(c) not in _PLAIN_OR_NONE
        or type(g) not in _PLAIN_OR_NONE
        or type(v) not in _PLAIN_OR_NONE
        or _modes_active() > 0
        or _is_tracing()
        or (v is not None and is_batched(v))
        or (g is not None and is_batched(g))
        or (c is not None and is_batched(c))
    )


class Partial(torch.autograd.Function):
    """A derivative of T by one of ``v``, ``g`` and ``c``, differentiable in everything else but the knots."""

    @staticmethod
    def forward(v: Tensor | None, g: Tensor | None, c: Tensor | None, x: Tensor, knots: Tensor, form: Form) -> Tensor:
        return numbers(form, v, g, c, x, knots)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        v, g, c, x, knots, ctx.form = inputs
        ctx.save_for_backward(v, g, c, x, knots)
        if forward_ad._current_level >= 0:
            ctx.save_for_forward(v, g, c, x, knots)
            ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, h: Tensor | None) -> tuple[Tensor | None, ...]:
        v, g, c, x, knots = ctx.saved_tensors
        by_v, by_g, by_c, by_x = ctx.needs_input_grad[:4]
        in_v, in_g, in_c, in_x = gradients(ctx.form, h, v, g, c, x, knots, by_v, by_g, by_c, by_x)
        return in_v, in_g, in_c, in_x, None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor | None:
        # torch turns forward mode off in here, as the derivative at this level is ours to give; but the levels of
        # torch.func around this one want the derivatives of that. So on with it, and away with this level's tangents.
        tensors = [None if t is None else _unpack_dual(t, level=0).primal for t in ctx.saved_tensors]
        with forward_ad._set_fwd_grad_enabled(True):
            return tangent(ctx.form, tensors, tangents)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *inputs: Any) -> tuple[Tensor, int]:
        return stacked(inputs[5], inputs[:5], in_dims[:5], info.batch_size), 0


# As Partial.apply, without its look at default arguments, which takes longer than a small layer.
_apply: Callable[..., Tensor] = super(torch.autograd.Function, Partial).apply


def gradients(
    form: Form,
    h: Tensor | None,
    v: Any,
    g: Any,
    c: Any,
    x: Tensor,
    knots: Tensor,
    by_v: bool,
    by_g: bool,
    by_c: bool,
    by_x: bool,
) -> tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None]:
    """The gradients of ``<h, partial(form, ...)>`` by ``v, g, c, x``: derivatives of T with ``h`` in the empty place.

    In one go where no derivatives of them can be asked for; else by operations that have some themselves.
    """
    if h is None:
        return None, None, None, None
    part, degree, base, order = form
    if part == G:
        g = h
    elif part == V:
        v = h
    else:
        c = h
    in_v = in_g = in_c = in_x = None
    if by_g:
        in_g = partial((G, degree, base, order), v, None, c, x, knots)
    if by_v or by_c or by_x:
        if _is_grad_enabled() or _transforms_active():
            if by_v:
                in_v = partial((V, degree, base, order), None, g, c, x, knots)
            if by_c:
                in_c = partial((C, degree, base, order), v, g, None, x, knots)
            if by_x:
                in_x = partial((V, degree, base, order + 1), None, g, c, x, knots)
                in_x = in_x if v is None else v * in_x
        elif _is_dynamo_compiling() or _watched(v, g, c, x):
            made = torch.ops.superpose.vjp(v, g, c, x, knots, degree, base, order, by_v, by_x, by_c)
            wanted = (by_v, by_x, by_c)
            in_v, in_x, in_c = (one if want else None for one, want in zip(made, wanted, strict=True))
        else:
            in_v, in_x, in_c = backend.vjp(v, g, c, x, knots, degree, base, order, by_v, by_x, by_c)
    return in_v, in_g, in_c, in_x


def tangent(form: Form, tensors: Sequence[Any], tangents: Sequence[Any]) -> Tensor | None:
    """The forward-mode derivative of ``partial(form, *tensors)`` along ``tangents``, one for each tensor or None.

    T is linear in ``v``, ``g`` and ``c``; along ``x`` it is the next order, weighted by the tangent.
    """
    part, degree, base, order = form
    terms = []
    for place in (V, G, C):
        if tangents[place] is not None:
            moved = list(tensors)
            moved[place] = tangents[place]
            terms.append(partial(form, *moved))
    along = tangents[3]
    if along is not None:
        v, g, c, x, knots = tensors
        steeper = (part, degree, base, order + 1)
        if part == V:
            terms.append(along * partial(steeper, None, g, c, x, knots))
        else:
            terms.append(partial(steeper, along if v is None else v * along, g, c, x, knots))
    return sum(terms[1:], terms[0]) if terms else None


def stacked(form: Form, tensors: Sequence[Any], in_dims: Sequence[int | None], count: int) -> Tensor:
    """``count`` times ``partial(form, *tensors)``, stacked along a new first dimension.

    Args:
        form: which derivative of which form.
        tensors: ``v, g, c, x, knots``.
        in_dims: for each of them the dimension along which it is a stack, or None where it is the same for all.
        count: how many they are.
    """
    part = form[0]
    many_v, many_g, many_c, many_x, many_knots = many = [dim is not None for dim in in_dims]
    v, g, c, x, knots = fronted = [
        tensor if dim is None else tensor.movedim(dim, 0) for tensor, dim in zip(tensors, in_dims, strict=True)
    ]
    if part != C and not many_c and not many_knots:
        # The same curves for all: their samples are the samples of one call.
        def samples(tensor: Any, each: bool) -> Any:
            return None if tensor is None else (tensor if each else tensor.expand(count, *tensor.shape)).flatten(0, 1)

        whole = partial(form, samples(v, many_v), samples(g, many_g), c, samples(x, many_x), knots)
        return whole.view(count, x.shape[-2], whole.shape[-1])
    if part != V and not (many_v or many_x or many_knots):
        # The same points for all: their outputs are the outputs of one call.
        g = None if g is None else g.movedim(0, -2).flatten(-2)
        c = None if c is None else c.movedim(0, -2).flatten(-2)
        whole = partial(form, v, g, c, x, knots)
        return whole.view(*whole.shape[:-1], count, whole.shape[-1] // count).movedim(-2, 0)
    alone = [[tensor[n] if each else tensor for tensor, each in zip(fronted, many, strict=True)] for n in range(count)]
    return torch.stack([partial(form, *arguments) for arguments in alone])
