"""Attribution: the importance of each edge, node and input of a model for its outputs."""

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
from superpose.notebook_html import html_bar, html_table
from superpose.short_repr import brief

# Activations of one layer, [B, I, O], are held for this many elements at a time (in float64: 64 MiB).
_BLOCK_ELEMENTS = 1 << 23
# A node whose standard deviation is below this many rounding errors of the terms in it is constant. A round number
# above the few rounding errors of a sum.
_ROUNDING_ERRORS = 16

# Edges that a notebook shows. A round number.
_SHOWN = 12


@dataclass(frozen=True, eq=False)
class AttributionScores:
    """The importance of edges, nodes and inputs of a model for its outputs, on some samples.

    ``edges``, ``nodes`` and ``inputs`` are attribution scores, computed from the outputs backwards (Z. Liu et al.,
    *KAN 2.0*, 2024, section 4.1). Each output scores 1. A node passes its score to its incoming edges in proportion to
    their standard deviations relative to its own. The score of a node is the sum over its outgoing edges. A product
    passes its score to each factor in proportion to the part of its standard deviation that it would lose if that
    factor were constant at its mean.

    So an edge is judged by its effect on the outputs, not by its size: a large edge into a node without outgoing edges
    scores 0. Edges that cancel each other score above 1.
    """

    __repr__ = brief

    def _repr_html_(self) -> str:
        """What a notebook shows: the scores of the inputs and of the strongest edges."""
        most = max(1.0, float(self.inputs.max()))
        inputs = [(f"input {i + 1}", html_bar(score, most)) for i, score in enumerate(self.inputs.tolist())]
        edges = [
            (f"({n}, {i}, {o})", score)
            for n, layer in enumerate(self.edges)
            for i, row in enumerate(layer.tolist())
            for o, score in enumerate(row)
        ]
        edges.sort(key=lambda one: -one[1])
        strongest = [(name, html_bar(score, most)) for name, score in edges[:_SHOWN]]
        return html_table(("input", "score"), inputs) + html_table(("edge (layer, input, output)", "score"), strongest)

    edges: tuple[Tensor, ...]
    """For each layer ``[I, O]``; zero where an edge was removed or is constant."""
    nodes: tuple[Tensor, ...]
    """For each layer of nodes, inputs first, ``[width]``; the last are the outputs, all 1."""
    inputs: Tensor
    """``[n_in]``, the same as ``nodes[0]``."""
    magnitudes: tuple[Tensor, ...]
    """For each layer ``[I, O]``: the size of an edge within its own node, whatever the effect of that node.

    The mean absolute deviation of the edge's output from its mean, relative to that of its node. The first KAN paper
    uses the mean absolute value instead; that is large for a constant edge, which any other edge could absorb.
    """
    deviations: tuple[Tensor, ...]
    """For each layer ``[I, O]``: the standard deviation of each edge's output, in scaled units."""
    means: tuple[Tensor, ...]
    """For each layer ``[I, O]``: the mean of each edge's output, in scaled units."""
    factors: tuple[Tensor, ...]
    """For each layer ``[O]``: the part of its node that depends on each sum, root mean squared, in scaled units. For a
    sum node its standard deviation; for a factor what the product would lose if the factor were its mean."""


def attribution_scores(model: KAN, x: Tensor | Dataset) -> AttributionScores:
    """Score every edge, node and input of a model by its effect on the outputs.

    Args:
        model: any model.
        x: samples ``[B, n_in]`` in the user's units, or a data set (its training rows).

    Raises:
        DataError: if there are fewer than two samples, or the model is not finite on them.
        ShapeError: if the samples do not have the model's number of features.

    >>> model = KAN([3, 2, 1], seed=0).with_mask([(0, 2, 0), (0, 2, 1)], alive=False)
    >>> x = 2 * torch.rand(100, 3, generator=torch.Generator().manual_seed(0)) - 1
    >>> found = attribution_scores(model, x)
    >>> [tuple(edges.shape) for edges in found.edges]
    [(3, 2), (2, 1)]
    >>> found.inputs[2].item()
    0.0
    """
    statistics = _statistics(model, samples(model, x))
    for n, moments in enumerate(statistics):
        _check_finite(n, moments.square)
    eps = torch.finfo(model.input_center.dtype).eps
    node = torch.ones_like(statistics[-1].node_square)
    edges, nodes, magnitudes = [], [node], []
    for layer, of in zip(reversed(model.kan_layers()), reversed(statistics), strict=True):
        deviation = of.square.sqrt()
        # Rounding errors of a sum are relative to its terms, not to the sum.
        terms = of.mean.abs().sum(0) + deviation.sum(0)
        constant = of.sum_square.sqrt() <= _ROUNDING_ERRORS * eps * terms
        sums = node
        if layer.products:
            owner, own = list(layer.owners), of.node_square.sqrt()
            still = own <= _ROUNDING_ERRORS * eps * layer.nodes(terms)
            sums = _ratio(node[owner] * of.lost.sqrt(), own[owner], still[owner])
            # A sum node passes on its score exactly, without the rounding of that ratio.
            sums[: layer.plain_count] = node[: layer.plain_count]
        edges.append(_ratio(sums * deviation, of.sum_square.sqrt(), constant))
        magnitudes.append(_ratio(of.size, of.sum_size, constant))
        node = edges[-1].sum(1)
        nodes.append(node)
    return AttributionScores(
        edges=tuple(reversed(edges)),
        nodes=tuple(reversed(nodes)),
        inputs=node,
        magnitudes=tuple(reversed(magnitudes)),
        deviations=tuple(of.square.sqrt() for of in statistics),
        means=tuple(of.mean for of in statistics),
        factors=tuple(of.lost.sqrt() for of in statistics),
    )


@dataclass
class _Moments:
    """Moments of one layer over the samples: of its edges ``[I, O]``, its sums ``[O]`` and its nodes ``[out]``.

    Attributes:
        mean, square, size: of edges: mean, variance, and mean absolute deviation.
        sum_square, sum_size: of sums: variance, and mean absolute deviation.
        lost: mean square of what a sum's node would lose if the sum were its mean.
        node_mean, node_square: of nodes: mean and variance.
    """

    mean: Tensor
    square: Tensor
    size: Tensor
    sum_square: Tensor
    sum_size: Tensor
    lost: Tensor
    node_mean: Tensor
    node_square: Tensor


@torch.no_grad()
def _statistics(model: KAN, x: Tensor) -> list[_Moments]:
    """The moments of each layer, in two passes over blocks of the samples: means first, then deviations from them."""
    count, layers = x.shape[0], model.kan_layers()
    statistics = []
    for layer in layers:
        edges = torch.zeros_like(layer.mask, dtype=model.input_center.dtype)
        sums, nodes = edges.sum(0), edges.new_zeros(layer.out_features)
        statistics.append(
            _Moments(
                mean=edges.clone(),
                square=edges.clone(),
                size=edges.clone(),
                sum_square=sums.clone(),
                sum_size=sums.clone(),
                lost=sums.clone(),
                node_mean=nodes.clone(),
                node_square=nodes.clone(),
            )
        )
    for trace in _traces(model, x):
        for values, of in zip(trace.layers, statistics, strict=True):
            of.mean += values.edges.sum(0) / count
            of.node_mean += values.outputs.sum(0) / count
    for trace in _traces(model, x):
        for layer, values, of in zip(layers, trace.layers, statistics, strict=True):
            deviation = values.edges - of.mean
            of.square += deviation.square().sum(0) / count
            of.size += deviation.abs().sum(0) / count
            together = values.sums - of.mean.sum(0)
            of.sum_square += together.square().sum(0) / count
            of.sum_size += together.abs().sum(0) / count
            of.lost += (together * layer.node_derivatives(values.sums)).square().sum(0) / count
            of.node_square += (values.outputs - of.node_mean).square().sum(0) / count
    return statistics


def _traces(model: KAN, x: Tensor) -> Iterator[Trace]:
    widest = max(layer.in_features * layer.sum_count for layer in model.kan_layers())
    for block in torch.split(x, max(1, _BLOCK_ELEMENTS // widest)):
        yield model.trace(block)


def _ratio(part: Tensor, whole: Tensor, constant: Tensor) -> Tensor:
    return torch.where(constant, torch.zeros_like(part), part / torch.where(constant, 1.0, whole))


def _check_finite(n: int, values: Tensor) -> None:
    bad: Any = torch.nonzero(~values.isfinite()).tolist()
    if bad:
        i, o = bad[0]
        raise DataError(
            f"edge {i} -> {o} of layer {n} is not finite on the samples, so nothing can be "
            "scored; release or refit that edge, or leave out the samples outside its domain"
        )
