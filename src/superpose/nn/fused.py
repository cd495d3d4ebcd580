"""The fused forward pass: all layers of a model in one call of the compiled kernels and one autograd node.

A small network spends most of its time outside its arithmetic, in Python and in torch's dispatcher. So the checks that
a fused pass needs are made once, and their result is cached as a plan. Later calls only check that the model is
unchanged, by the identities, addresses and version counters of its tensors. On [2, 5, 1] with 1,000 samples the fused
pass saved 7 of 141 µs a step, the cached plan another 7 (docs/lab/kernels.md).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.module import _has_any_global_hook

from superpose.nn.layer import KANLayer, buffer_of
from superpose.spline import chain, ops
from superpose.spline.chain import ChainPlan, Spline

# Names of a model's scaling buffers: the identity is zero for the centres, at even places, and one for the scales.
SCALING = ("input_center", "input_scale", "output_center", "output_scale")


class _LayerState(NamedTuple):
    """What the plan depends on in one layer: its tensors, their addresses, the mask's version, and the curves."""

    layer: nn.Module
    coefficients: Tensor
    coefficients_address: int
    knots: Tensor
    knots_address: int
    mask: Tensor
    mask_version: int
    degree: int
    base: str


class _CachedPlan(NamedTuple):
    """A plan and what it depends on. It holds the tensors, so that no new tensor gets the address of an old one.

    Attributes:
        layers: the state of each layer.
        scaling: ``name, buffer, version, address`` of each scaling buffer.
        plan: of all layers.
        unscaled: whether all scaling buffers are the identity.
    """

    layers: tuple[_LayerState, ...]
    scaling: tuple[tuple[str, Tensor, int, int], ...]
    plan: ChainPlan
    unscaled: bool


class FusedForward:
    """The cached plan of one model. Copies of a model start without one, since their tensors are others."""

    __slots__ = ("_cached",)

    def __init__(self) -> None:
        self._cached: _CachedPlan | None = None

    def __reduce__(self) -> tuple[type[FusedForward], tuple[()]]:
        return FusedForward, ()

    def plan(self, model: nn.Module) -> tuple[ChainPlan, bool] | None:
        """The plan for a :class:`~superpose.KAN`, and whether its scaling is the identity.

        None if layers have symbolic edges, products or hooks, if the compiled kernels do not support the layers, or if
        torch traces or transforms the operations.
        """
        if not ops.is_plain_eager():
            return None
        cached = self._cached
        if cached is not None and _is_unchanged(model, cached):
            return cached.plan, cached.unscaled
        curves = curves_of(model)
        if curves is None:
            return None
        try:
            buffers = [buffer_of(model, name) for name in SCALING]
            scaling = tuple(
                (name, buffer, buffer._version, buffer.data_ptr())
                for name, buffer in zip(SCALING, buffers, strict=True)
            )
            unscaled = not any(bool(torch.ne(buffer, n % 2).any()) for n, buffer in enumerate(buffers))
        except RuntimeError:
            # Inference tensors have no version counter, and under vmap a buffer has no single truth value.
            scaling, unscaled = (), False
        output_scaling = None if unscaled else (buffer_of(model, "output_center"), buffer_of(model, "output_scale"))
        plan = chain.make_plan(*curves, output_scaling)
        if plan is None:
            return None
        states = _layer_states(model, plan)
        self._cached = _CachedPlan(states, scaling, plan, unscaled) if states and scaling else None
        return plan, unscaled


def curves_of(model: nn.Module) -> tuple[list[Tensor], list[Spline]] | None:
    """Coefficients and splines of the layers, or None if a layer has symbolic edges, products or hooks."""
    coefficients, splines = [], []
    for layer in _layers_of(model):
        if type(layer) is not KANLayer or layer.symbolic is not None or layer.products or _is_hooked(layer):
            return None
        coefficients.append(layer.rows())
        splines.append((buffer_of(layer, "knots"), layer.degree, layer.base))
    return None if _has_any_global_hook() else (coefficients, splines)  # type: ignore[no-untyped-call]


def _layers_of(model: nn.Module) -> list[nn.Module]:
    """The layers of a KAN. The class itself is not imported: its module imports this one."""
    layers = model.layers
    assert isinstance(layers, nn.ModuleList)
    return list(layers)


def _is_hooked(layer: nn.Module) -> bool:
    return bool(layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks or layer._backward_pre_hooks)


def _layer_states(model: nn.Module, plan: ChainPlan) -> tuple[_LayerState, ...]:
    """The states that a cached plan needs; empty if the plan cannot be cached.

    It cannot if coefficients were computed for this call (masked, or parametrised by torch.nn.utils), or if a mask is
    an inference tensor, which has no version counter.
    """
    states = []
    addresses = iter(plan.addresses)
    for layer, coefficients in zip(_layers_of(model), plan.coefficients, strict=True):
        assert isinstance(layer, KANLayer)
        mask, knots = buffer_of(layer, "mask"), buffer_of(layer, "knots")
        if coefficients is not layer._parameters.get("coefficients") or mask.is_inference():
            return ()
        states.append(
            _LayerState(
                layer,
                coefficients,
                next(addresses),
                knots,
                next(addresses),
                mask,
                mask._version,
                layer.degree,
                layer.base,
            )
        )
    return tuple(states)


def _is_unchanged(model: nn.Module, cached: _CachedPlan) -> bool:
    """Whether a new plan would equal the cached one.

    The checks are those of :meth:`FusedForward.plan` and :func:`curves_of`, written out without calls and attribute
    searches: this runs at every call of a model.
    """
    buffers = model._buffers
    for name, buffer, version, address in cached.scaling:
        # Assigning to ``tensor.data`` moves a tensor without a new version, and the old address may be free memory.
        if buffers[name] is not buffer or buffer._version != version or buffer.data_ptr() != address:
            return False
    layers = model._modules["layers"]._modules  # type: ignore[union-attr]
    if len(layers) != len(cached.layers) or not chain.is_current(cached.plan):
        return False
    for layer, state in zip(layers.values(), cached.layers, strict=True):
        known, coefficients, address, knots, knots_address, mask, version, degree, base = state
        if layer is not known or type(layer) is not KANLayer:
            return False
        buffers = layer._buffers
        if (
            layer._parameters.get("coefficients") is not coefficients
            or coefficients.data_ptr() != address
            or buffers["knots"] is not knots
            or knots.data_ptr() != knots_address
            or buffers["mask"] is not mask
            or mask._version != version
            or layer.symbolic is not None
            or layer.degree != degree
            or layer.base != base
            or layer.products
            or layer._forward_hooks
            or layer._forward_pre_hooks
            or layer._backward_hooks
            or layer._backward_pre_hooks
        ):
            return False
    return not _has_any_global_hook()  # type: ignore[no-untyped-call]
