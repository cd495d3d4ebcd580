"""How much each edge, node and input of a model matters to its outputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from superpose.data import Dataset
from superpose.errors import DataError
from superpose.nn.model import KAN
from superpose.nn.rows import samples
from superpose.nn.trace import Trace
from superpose.short_repr import brief

# Activations of one layer, [B, I, O], are held for so many elements at a time (float64: 64 MiB).
_BLOCK_ELEMENTS = 1 << 23
# A node whose spread is below this many rounding errors of what is summed in it is a constant.
_ROUNDING_ERRORS = 16


@dataclass(frozen=True, eq=False)
class Scores:
    """How much the parts of a model matter, on some samples.

    ``edges``, ``nodes`` and ``inputs`` are attributions from the outputs back (Z. Liu et al.,
    *KAN 2.0*, 2024, section 4.1). Each output scores 1. A node hands its score on to its incoming
    edges in the ratio of their standard deviation to its own, and a node's score is the sum over
    its outgoing edges. A product hands its score to each factor in the ratio of what the product
    would lose, were the factor its mean, to its own standard deviation; the factor hands it on like
    a node. So an edge is judged by what reaches the outputs, not by its size: a large
    edge into a node that nothing reads scores 0. Edges that cancel one another score above 1.
    """

    __repr__ = brief

    edges: tuple[Tensor, ...]
    """For each layer ``[I, O]``; zero where an edge was removed or is constant."""
    nodes: tuple[Tensor, ...]
    """For each layer of nodes, inputs first, ``[width]``; the last are the outputs, all 1."""
    inputs: Tensor
    """``[n_in]``, the same as ``nodes[0]``."""
    magnitudes: tuple[Tensor, ...]
    """For each layer ``[I, O]``: the edge's size within its own node, whatever becomes of that.

    The mean absolute deviation of the edge's output from its mean, in units of the same for its
    node. (The mean absolute value, the magnitude of the first KAN paper, would call a constant
    edge busy, though a constant can stand on any other edge of the node.)
    """
    spreads: tuple[Tensor, ...]
    """For each layer ``[I, O]``: the standard deviation of each edge's output, in scaled units."""
    means: tuple[Tensor, ...]
    """For each layer ``[I, O]``: the mean of each edge's output, in scaled units."""
    factors: tuple[Tensor, ...]
    """For each layer ``[O]``: how much of its node each sum makes up, root mean squared, in scaled
    units: the standard deviation of a sum node; for a product's factor what the product would lose,
    were the factor its mean."""


@torch.no_grad()
def scores(model: KAN, x: Tensor | Dataset) -> Scores:
    """Score every edge, node and input of a model.

    Args:
        model: any model.
        x: samples ``[B, n_in]`` in the user's units, or a data set, of which the training rows
            are taken.

    Raises:
        DataError: if there are fewer than two samples, or the model is not finite on them.
        ShapeError: if the samples do not have the model's number of features.

    >>> model = KAN([3, 2, 1], seed=0).with_mask([(0, 2, 0), (0, 2, 1)], alive=False)
    >>> x = 2 * torch.rand(100, 3, generator=torch.Generator().manual_seed(0)) - 1
    >>> found = scores(model, x)
    >>> [tuple(edges.shape) for edges in found.edges]
    [(3, 2), (2, 1)]
    >>> found.inputs[2].item()
    0.0
    """
    x = samples(model, x)
    count, dtype = x.shape[0], model.input_center.dtype
    layers, eps = model.kan_layers(), torch.finfo(dtype).eps
    means = [torch.zeros_like(layer.mask, dtype=dtype) for layer in layers]
    node_means = [mean.new_zeros(layer.out_features) for mean, layer in zip(means, layers, strict=True)]
    for trace in _traces(model, x):
        for n, layer in enumerate(trace.layers):
            means[n] += layer.edges.sum(0) / count
            node_means[n] += layer.outputs.sum(0) / count
    squares, sizes = [torch.zeros_like(m) for m in means], [torch.zeros_like(m) for m in means]
    sum_squares, sum_sizes = [m.sum(0) * 0 for m in means], [m.sum(0) * 0 for m in means]
    parts, node_squares = [m.sum(0) * 0 for m in means], [torch.zeros_like(m) for m in node_means]
    for trace in _traces(model, x):
        for n, layer in enumerate(trace.layers):
            deviation = layer.edges - means[n]
            squares[n] += deviation.square().sum(0) / count
            sizes[n] += deviation.abs().sum(0) / count
            together = layer.sums - means[n].sum(0)
            sum_squares[n] += together.square().sum(0) / count
            sum_sizes[n] += together.abs().sum(0) / count
            parts[n] += (together * layers[n].node_derivatives(layer.sums)).square().sum(0) / count
            node_squares[n] += (layer.outputs - node_means[n]).square().sum(0) / count
    _check_finite(squares)
    spreads, factors = [square.sqrt() for square in squares], [part.sqrt() for part in parts]
    node = torch.ones_like(node_means[-1])
    edges, nodes, magnitudes = [], [node], []
    for n in reversed(range(len(spreads))):
        summed = means[n].abs().sum(0) + spreads[n].sum(0)
        noise = _ROUNDING_ERRORS * eps * summed
        constant = sum_squares[n].sqrt() <= noise
        sums = node
        if layers[n].products:
            owner, spread = list(layers[n].owners), node_squares[n].sqrt()
            still = spread <= _ROUNDING_ERRORS * eps * layers[n].nodes(summed)
            sums = _ratio(node[owner] * factors[n], spread[owner], still[owner])
            # A sum node hands on what it has, whatever the rounding.
            sums[: layers[n].plain_count] = node[: layers[n].plain_count]
        edges.append(_ratio(sums * spreads[n], sum_squares[n].sqrt(), constant))
        magnitudes.append(_ratio(sizes[n], sum_sizes[n], constant))
        node = edges[-1].sum(1)
        nodes.append(node)
    return Scores(
        edges=tuple(reversed(edges)),
        nodes=tuple(reversed(nodes)),
        inputs=node,
        magnitudes=tuple(reversed(magnitudes)),
        spreads=tuple(spreads),
        means=tuple(means),
        factors=tuple(factors),
    )


def _traces(model: KAN, x: Tensor) -> Iterator[Trace]:
    widest = max(layer.in_features * layer.sum_count for layer in model.kan_layers())
    for block in torch.split(x, max(1, _BLOCK_ELEMENTS // widest)):
        yield model.trace(block)


def _ratio(part: Tensor, whole: Tensor, constant: Tensor) -> Tensor:
    return torch.where(constant, torch.zeros_like(part), part / torch.where(constant, 1.0, whole))


def _check_finite(statistics: list[Tensor]) -> None:
    for n, values in enumerate(statistics):
        bad: Any = torch.nonzero(~values.isfinite()).tolist()
        if bad:
            i, o = bad[0]
            raise DataError(
                f"edge {i} -> {o} of layer {n} is not finite on the samples, so nothing can be "
                "scored; release or refit that edge, or leave out the samples outside its domain"
            )
