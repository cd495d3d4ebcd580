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

# The arguments in which T is linear, by their places. Each number also names the derivative of T by that argument,
# which does not contain the argument.
V, G, C = 0, 1, 2

# A contraction: ``by, degree, base, order``, with ``by`` one of V, G and C. A plain tuple, because it is made at every
# call of a layer, and a NamedTuple takes several times as long to make.
Contraction = tuple[int, int, str, int]

_is_dynamo_compiling = torch.compiler.is_dynamo_compiling
_is_grad_enabled = torch.is_grad_enabled
# Private names of torch, older than the oldest torch that is supported. Public ones are missing or slower.
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
    return contract((G, degree, base, order), v, None, coefficients, x, knots)


def grad_input(
    g: Tensor,
    coefficients: Tensor,
    x: Tensor,
    knots: Tensor,
    degree: int,
    base: str = "none",
    order: int = 0,
) -> Tensor:
    """``sum_o g[b, o] phi_io^(order)(x[b, i])``, ``[B, I]``: dT/dv. See :func:`edge_sum` for the arguments.

    At order 1 it is the gradient of ``sum(g * y)`` by ``x``, with ``y`` the layer's outputs ``edge_sum(None, ...)``.
    """
    return contract((V, degree, base, order), None, g, coefficients, x, knots)


def grad_coefficients(
    v: Tensor | None,
    g: Tensor,
    x: Tensor,
    knots: Tensor,
    degree: int,
    base: str = "none",
    order: int = 0,
) -> Tensor:
    """``sum_b v[b, i] g[b, o] beta_r^(order)(x[b, i])``, ``[I, rows, O]``: dT/dC. See :func:`edge_sum`.

    At order 0 it is the gradient of ``sum(g * y)`` by the coefficients, with ``y = edge_sum(v, ...)``.
    """
    return contract((C, degree, base, order), v, g, None, x, knots)


def contract(
    spec: Contraction, v: Tensor | None, g: Tensor | None, c: Tensor | None, x: Tensor, knots: Tensor
) -> Tensor:
    """The derivative of T by the argument that ``spec`` names and that is None here, recorded in the cheapest way."""
    if _is_dynamo_compiling() or _is_traced(v, g, c, x):
        return _call_operator(spec, v, g, c, x, knots)
    if _transforms_active():
        return ContractionFunction.apply(v, g, c, x, knots, spec)  # type: ignore[no-any-return,no-untyped-call]
    if (
        _is_grad_enabled()
        and (
            x.requires_grad
            or (c is not None and c.requires_grad)
            or (v is not None and v.requires_grad)
            or (g is not None and g.requires_grad)
        )
    ) or forward_ad._current_level >= 0:
        return _apply(v, g, c, x, knots, spec)
    return evaluate(spec, v, g, c, x, knots)


def is_plain_eager() -> bool:
    """Whether torch neither traces nor transforms operations: no torch.func, no dispatch mode, no forward mode."""
    return not (_transforms_active() or forward_ad._current_level >= 0 or _modes_active() > 0 or _is_tracing())


def forward_chain(x: Tensor, plan: ChainPlan) -> Tensor:
    """Consecutive layers, ``x [B, I] -> center + scale * h``, with ``h [B, O]`` the last layer's outputs.

    The result equals :func:`edge_sum` layer by layer. All layers are recorded as one autograd node, because a small
    network spends most of its time in recording operations.

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
        for coefficients in plan.coefficients:
            if coefficients.requires_grad:
                return _apply_chain(plan, x, *plan.coefficients)
    return chain.forward(plan, x)[0]


def _layer_by_layer(x: Tensor, coefficients: Sequence[Tensor], plan: ChainPlan) -> Tensor:
    for c, (knots, degree, base) in zip(coefficients, plan.splines, strict=True):
        x = contract((G, degree, base, 0), None, None, c, x, knots)
    return x if plan.scaling is None else torch.addcmul(plan.scaling[0], x, plan.scaling[1])


class _ChainFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, plan: ChainPlan, x: Tensor, *coefficients: Tensor) -> Tensor:
        y, hidden = chain.forward(plan, x)
        # Each tensor argument of an autograd function costs time. Knots and scaling need no gradient, so they come in
        # the plan.
        ctx.plan = plan
        ctx.save_for_backward(x, hidden, *coefficients)
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        plan, needed = ctx.plan, ctx.needs_input_grad[1:]
        x, hidden, *coefficients = ctx.saved_tensors
        # Hooks for saved tensors (torch.autograd.graph) may return other tensors than were saved.
        if not _is_grad_enabled() and chain.has_same_tensors(plan, coefficients) and chain.accepts(plan, x):
            gradients = chain.vjp(plan, g, x, hidden, needed)
            if gradients is not None:
                return None, *gradients
        # With create_graph=True the gradients need derivatives, which chain.vjp lacks and the contractions have.
        with torch.enable_grad():
            y = _layer_by_layer(x, coefficients, plan)
        arguments = [tensor for tensor, need in zip((x, *coefficients), needed, strict=True) if need]
        made = iter(torch.autograd.grad(y, arguments, g, create_graph=_is_grad_enabled()))
        return None, *(next(made) if need else None for need in needed)


# As _ChainFunction.apply, without its inspection of default arguments, which takes longer than a small layer.
_apply_chain: Callable[..., Tensor] = super(torch.autograd.Function, _ChainFunction).apply


def evaluate(spec: Contraction, v: Any, g: Any, c: Any, x: Tensor, knots: Tensor) -> Tensor:
    """As :func:`contract`, without derivatives."""
    by, degree, base, order = spec
    if by == G:
        return backend.edge_sum(v, c, x, knots, degree, base, order)
    grad_v, _, grad_c = backend.vjp(v, g, c, x, knots, spec[1:], (by == V, False, by == C))
    return grad_v if by == V else grad_c  # type: ignore[return-value]


def _call_operator(spec: Contraction, v: Any, g: Any, c: Any, x: Tensor, knots: Tensor) -> Tensor:
    """As :func:`contract`, as a node of a graph; see :mod:`superpose.spline.operators`."""
    by, *form = spec
    if by == G:
        return torch.ops.superpose.edge_sum(v, c, x, knots, *form)  # type: ignore[no-any-return]
    if by == V:
        return torch.ops.superpose.grad_input(g, c, x, knots, *form)  # type: ignore[no-any-return]
    return torch.ops.superpose.grad_coefficients(v, g, x, knots, *form)  # type: ignore[no-any-return]


def _is_traced(v: Any, g: Any, c: Any, x: Tensor) -> bool:
    """Whether torch traces operations on these tensors, so that they must be operators that the dispatcher knows."""
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


class ContractionFunction(torch.autograd.Function):
    """:func:`contract` as an autograd node, differentiable in ``v``, ``g``, ``c`` and ``x``, not in the knots."""

    @staticmethod
    def forward(
        v: Tensor | None, g: Tensor | None, c: Tensor | None, x: Tensor, knots: Tensor, spec: Contraction
    ) -> Tensor:
        return evaluate(spec, v, g, c, x, knots)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        v, g, c, x, knots, ctx.spec = inputs
        ctx.save_for_backward(v, g, c, x, knots)
        if forward_ad._current_level >= 0:
            ctx.save_for_forward(v, g, c, x, knots)
            ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, h: Tensor | None) -> tuple[Tensor | None, ...]:
        return *contraction_vjp(ctx.spec, h, ctx.saved_tensors, ctx.needs_input_grad[:4]), None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor | None:
        # torch disables forward mode in here, because this level's derivative is computed here. Outer levels of
        # torch.func need the derivatives of the result: so enable forward mode, and drop this level's tangents.
        tensors = [None if t is None else _unpack_dual(t, level=0).primal for t in ctx.saved_tensors]
        with forward_ad._set_fwd_grad_enabled(True):
            return contraction_jvp(ctx.spec, tensors, tangents)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *inputs: Any) -> tuple[Tensor, int]:
        return contraction_vmap(inputs[5], inputs[:5], in_dims[:5], info.batch_size), 0


# As ContractionFunction.apply, without its inspection of default arguments, which takes longer than a small layer.
_apply: Callable[..., Tensor] = super(torch.autograd.Function, ContractionFunction).apply


def contraction_vjp(
    spec: Contraction, h: Tensor | None, tensors: Sequence[Any], needed: Sequence[bool]
) -> tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None]:
    """Vector-Jacobian products: the gradients of ``sum(h * contract(spec, ...))`` by ``v, g, c, x``.

    They are derivatives of T with ``h`` in the empty place. One call computes them where no derivatives of them are
    needed; else they are contractions again.

    Args:
        spec: the contraction.
        h: as its result; None for zeros.
        tensors: ``v, g, c, x, knots``, with None in the empty place.
        needed: whether the gradient by ``v, g, c, x`` is needed.
    """
    if h is None:
        return None, None, None, None
    by, degree, base, order = spec
    v, g, c, x, knots = tensors
    need_v, need_g, need_c, need_x = needed
    if by == G:
        g = h
    elif by == V:
        v = h
    else:
        c = h
    grad_v = grad_g = grad_c = grad_x = None
    if need_g:
        grad_g = contract((G, degree, base, order), v, None, c, x, knots)
    if need_v or need_c or need_x:
        if _is_grad_enabled() or _transforms_active():
            if need_v:
                grad_v = contract((V, degree, base, order), None, g, c, x, knots)
            if need_c:
                grad_c = contract((C, degree, base, order), v, g, None, x, knots)
            if need_x:
                grad_x = contract((V, degree, base, order + 1), None, g, c, x, knots)
                grad_x = grad_x if v is None else v * grad_x
        elif _is_dynamo_compiling() or _is_traced(v, g, c, x):
            needs = need_v, need_x, need_c
            made = torch.ops.superpose.vjp(v, g, c, x, knots, degree, base, order, *needs)
            grad_v, grad_x, grad_c = (one if need else None for one, need in zip(made, needs, strict=True))
        else:
            grad_v, grad_x, grad_c = backend.vjp(v, g, c, x, knots, spec[1:], (need_v, need_x, need_c))
    return grad_v, grad_g, grad_c, grad_x


def contraction_jvp(spec: Contraction, tensors: Sequence[Any], tangents: Sequence[Any]) -> Tensor | None:
    """Jacobian-vector product: the derivative of ``contract(spec, *tensors)`` along ``tangents`` (each may be None).

    T is linear in ``v``, ``g`` and ``c``. Along ``x`` the derivative is the next order, weighted by the tangent.
    """
    by, degree, base, order = spec
    terms = []
    for place in (V, G, C):
        if tangents[place] is not None:
            moved = list(tensors)
            moved[place] = tangents[place]
            terms.append(contract(spec, *moved))
    along = tangents[3]
    if along is not None:
        v, g, c, x, knots = tensors
        next_order = (by, degree, base, order + 1)
        if by == V:
            terms.append(along * contract(next_order, None, g, c, x, knots))
        else:
            terms.append(contract(next_order, along if v is None else v * along, g, c, x, knots))
    return sum(terms[1:], terms[0]) if terms else None


def contraction_vmap(spec: Contraction, tensors: Sequence[Any], in_dims: Sequence[int | None], count: int) -> Tensor:
    """``count`` contractions, stacked along a new first dimension.

    Args:
        spec: the contraction.
        tensors: ``v, g, c, x, knots``.
        in_dims: for each of them the dimension along which it is stacked, or None where all share one tensor.
        count: length of the stacks.
    """
    by = spec[0]
    many_v, many_g, many_c, many_x, many_knots = many = [dim is not None for dim in in_dims]
    v, g, c, x, knots = stacks = [
        tensor if dim is None else tensor.movedim(dim, 0) for tensor, dim in zip(tensors, in_dims, strict=True)
    ]
    if by != C and not many_c and not many_knots:
        # All share the curves: one contraction over the samples of all.
        def samples(tensor: Any, each: bool) -> Any:
            return None if tensor is None else (tensor if each else tensor.expand(count, *tensor.shape)).flatten(0, 1)

        whole = contract(spec, samples(v, many_v), samples(g, many_g), c, samples(x, many_x), knots)
        return whole.view(count, x.shape[-2], whole.shape[-1])
    if by != V and not (many_v or many_x or many_knots):
        # All share the points: one contraction with the outputs of all.
        g = None if g is None else g.movedim(0, -2).flatten(-2)
        c = None if c is None else c.movedim(0, -2).flatten(-2)
        whole = contract(spec, v, g, c, x, knots)
        return whole.view(*whole.shape[:-1], count, whole.shape[-1] // count).movedim(-2, 0)
    alone = [[tensor[n] if each else tensor for tensor, each in zip(stacks, many, strict=True)] for n in range(count)]
    return torch.stack([contract(spec, *arguments) for arguments in alone])
