"""The way straight through a model: all of its layers as one operation, where nothing on the way forbids it.

A small network's time is mostly what surrounds its arithmetic. So what was looked at is remembered, and all that is
asked at the next call is whether it is still there unchanged.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.module import _has_any_global_hook

from superpose.nn.layer import KANLayer, buffer_of
from superpose.spline import links, ops
from superpose.spline.links import Links, Spline

# Centres, then scales, in turn.
SCALING = ("input_center", "input_scale", "output_center", "output_scale")


class _Layer(NamedTuple):
    """A layer with all edges in place, its tensors, and where and in which version they were."""

    layer: nn.Module
    coefficients: Tensor
    place: int
    knots: Tensor
    knots_place: int
    mask: Tensor
    version: int
    degree: int
    base: str


class _Seen(NamedTuple):
    """What was looked at last. Tensors are kept, so that no others can get their place."""

    layers: tuple[_Layer, ...]
    scaling: tuple[tuple[str, Tensor, int, int], ...]
    links: Links
    unscaled: bool


class Straight:
    """What is remembered of one model. Copies begin anew."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: _Seen | None = None

    def __reduce__(self) -> tuple[type[Straight], tuple[()]]:
        return Straight, ()

    def of(self, model: nn.Module) -> tuple[Links, bool] | None:
        """The layers' curves as the compiled kernels take them, and whether the model scales nothing.

        None if there is more to the layers than curves (symbolic edges, products, hooks), if the kernels do not know
        them, or if operations are followed one by one.
        """
        if not ops.unwatched():
            return None
        seen = self._seen
        if seen is not None and _is_same(model, seen):
            return seen.links, seen.unscaled
        curves = curves_of(model)
        if curves is None:
            return None
        seen = None
        try:
            buffers = [buffer_of(model, name) for name in SCALING]
            scaling = tuple(
                (name, one, one._version, one.data_ptr()) for name, one in zip(SCALING, buffers, strict=True)
            )
            unscaled = not any(bool(torch.ne(one, n % 2).any()) for n, one in enumerate(buffers))
        except RuntimeError:
            # Inference tensors have no versions; those of several models at once (vmap) no one answer.
            scaling, unscaled = (), False
        ends = None if unscaled else (buffer_of(model, "output_center"), buffer_of(model, "output_scale"))
        found = links.look(*curves, ends)
        if found is None:
            return None
        layers = _layers(model, found)
        self._seen = _Seen(layers, scaling, found, unscaled) if layers and scaling else None
        return found, unscaled


def curves_of(model: nn.Module) -> tuple[list[Tensor], list[Spline]] | None:
    """The layers' curves, if these are all there is to the layers: no symbolic edges, products or hooks."""
    rows, splines = [], []
    for layer in _layers_of(model):
        if type(layer) is not KANLayer or layer.symbolic is not None or layer.products or _is_hooked(layer):
            return None
        rows.append(layer.rows())
        splines.append((buffer_of(layer, "knots"), layer.degree, layer.base))
    return None if _has_any_global_hook() else (rows, splines)  # type: ignore[no-untyped-call]


def _layers_of(model: nn.Module) -> list[nn.Module]:
    """The layers of a KAN, one after another; this module stands below that class and does not know it."""
    layers = model.layers
    assert isinstance(layers, nn.ModuleList)
    return list(layers)


def _is_hooked(layer: nn.Module) -> bool:
    return bool(layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks or layer._backward_pre_hooks)


def _layers(model: nn.Module, found: Links) -> tuple[_Layer, ...]:
    """The layers to remember; none if something was computed anew or counts no versions."""
    layers = []
    places = iter(found.curves)
    for layer, one in zip(_layers_of(model), found.coefficients, strict=True):
        assert isinstance(layer, KANLayer)
        mask = buffer_of(layer, "mask")
        if one is not layer._parameters.get("coefficients") or mask.is_inference():
            return ()
        knots = buffer_of(layer, "knots")
        layers.append(
            _Layer(layer, one, next(places), knots, next(places), mask, mask._version, layer.degree, layer.base)
        )
    return tuple(layers)


def _is_same(model: nn.Module, seen: _Seen) -> bool:
    """Whether a look would see the same. As ``curves_of``, written out for speed."""
    buffers = model._buffers
    for name, buffer, version, place in seen.scaling:
        # A tensor may be given other data past torch's bookkeeping, and then the old place is no longer ours to read.
        if buffers[name] is not buffer or buffer._version != version or buffer.data_ptr() != place:
            return False
    layers = model._modules["layers"]._modules  # type: ignore[union-attr]
    if len(layers) != len(seen.layers) or not links.are_in_use(seen.links):
        return False
    for layer, (kept, one, place, knots, knots_place, mask, version, degree, base) in zip(
        layers.values(), seen.layers, strict=True
    ):
        if layer is not kept or type(layer) is not KANLayer:
            return False
        buffers = layer._buffers
        if (
            layer._parameters.get("coefficients") is not one
            or one.data_ptr() != place
            or buffers["knots"] is not knots
            or knots.data_ptr() != knots_place
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
