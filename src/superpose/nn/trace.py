"""Traces: every activation of a model on some samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from superpose.short_repr import brief


@dataclass(frozen=True)
class LayerTrace:
    """The activations of one layer.

    Attributes:
        inputs: ``[B, I]``.
        edges: ``[B, I, O]``, the output of each edge; zero where an edge was removed.
        outputs: ``[B, out_features]``, the nodes' values.
        sums: ``[B, O]``, the edges summed over the inputs; equal to ``outputs`` except for the factors of products.
        symbolic: the functions of symbolic edges, by ``(input, output)``.
        frozen: their constants among ``a, b, c, d`` that are not trained, such as ``"ab"``.
    """

    __repr__ = brief

    inputs: Tensor
    edges: Tensor
    outputs: Tensor
    sums: Tensor
    symbolic: Mapping[tuple[int, int], str] = field(default_factory=dict)
    frozen: Mapping[tuple[int, int], str] = field(default_factory=dict)


@dataclass(frozen=True)
class Trace:
    """Every activation of a model on some samples.

    Attributes:
        layers: one :class:`LayerTrace` for each layer, in scaled units.
        output: ``[B, n_out]`` in the user's units.
    """

    __repr__ = brief

    layers: tuple[LayerTrace, ...]
    output: Tensor
