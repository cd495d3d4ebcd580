"""Layers and models with some of their nodes, and edges scaled or shifted."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from superpose.errors import OptionError
from superpose.nn.layer import KANLayer
from superpose.nn.model import KAN


def slice_layer(layer: KANLayer, inputs: Sequence[int], outputs: Sequence[int]) -> KANLayer:
    """A new layer of the edges between some of the inputs and some of the nodes, in this order.

    >>> slice_layer(KANLayer(3, 4), [2, 0], [1])
    KANLayer(2, 1, grid_size=5, degree=3, base='silu')
    """
    made = copy.deepcopy(layer)
    rows = torch.tensor(inputs, dtype=torch.long, device=layer.knots.device)
    made.in_features, made.knots = len(inputs), layer.knots[rows]
    made.mask = layer.mask[rows]
    made.coefficients = nn.Parameter(layer.coefficients.detach()[rows], requires_grad=layer.coefficients.requires_grad)
    table = layer.symbolic_table()
    kept = {(i, o): (old, o) for i, old in enumerate(inputs) for o in range(layer.sum_count) if (old, o) in table}
    _set_symbolic(made, layer, kept)
    sums = [o for node in outputs for o in layer.sums_of(node)]
    cut_sums(made, sums, [len(layer.sums_of(node)) for node in outputs])
    return made


def cut_sums(layer: KANLayer, sums: Sequence[int], arities: Sequence[int]) -> None:
    """Keep these sums only, in place and in this order, as factors of nodes of these arities (1: a sum)."""
    columns = torch.tensor(sums, dtype=torch.long, device=layer.knots.device)
    table = layer.symbolic_table()
    kept = {(i, o): (i, old) for o, old in enumerate(sums) for i in range(layer.in_features) if (i, old) in table}
    layer.mask = layer.mask[:, columns]
    layer.coefficients = nn.Parameter(
        layer.coefficients.detach()[..., columns], requires_grad=layer.coefficients.requires_grad
    )
    _set_symbolic(layer, layer, dict(sorted(kept.items())))
    layer.set_nodes(len(arities), arities)


def _set_symbolic(layer: KANLayer, like: KANLayer, edges: Mapping[tuple[int, int], tuple[int, int]]) -> None:
    """Give a layer the symbolic edges of another, by their places in it; they are trained, or not, as those are."""
    before, table, frozen = like.symbolic, like.symbolic_table(), like.frozen_table()
    layer.set_symbolic(
        {edge: table[old] for edge, old in edges.items()},
        {edge: frozen[old] for edge, old in edges.items() if old in frozen},
    )
    if before is not None and layer.symbolic is not None:
        layer.symbolic.constants.requires_grad_(before.constants.requires_grad)
        layer.symbolic.train(before.training)


@torch.no_grad()
def scale_sum(layer: KANLayer, o: int, factor: float) -> None:
    """Multiply sum ``o`` of a layer by a number, in place; exact everywhere."""
    layer.coefficients[..., o] *= factor
    if layer.symbolic is not None:
        for place, edge in enumerate(layer.symbolic.edges):
            if edge[1] == o:
                layer.symbolic.constants[place, 2:] *= factor


@torch.no_grad()
def add_constant(layer: KANLayer, i: int, o: int, constant: float) -> None:
    """Add a constant to one edge function, in place; exact everywhere, outside the grid too.

    The B-splines sum to one, so all coefficients of a spline grow by the constant.
    """
    if layer.symbolic is not None and (i, o) in layer.symbolic.names:
        layer.symbolic.constants[layer.symbolic.edges.index((i, o)), 3] += constant
        return
    layer.spline_coefficients[i, :, o] += constant


def slice_model(model: KAN, keep: Sequence[Sequence[int]]) -> KAN:
    """A new model of some of the hidden nodes; the edges of the others are gone.

    Args:
        model: any model.
        keep: for each hidden layer the indices of the nodes that stay, at least one.

    Raises:
        OptionError: if ``keep`` does not list nodes of every hidden layer.

    >>> slice_model(KAN([2, 5, 3, 1]), [[0, 4], [1]]).widths
    [2, 2, 1, 1]
    """
    hidden = model.widths[1:-1]
    if len(keep) != len(hidden):
        raise OptionError(f"keep lists nodes for {len(keep)} layers, but the model has {len(hidden)} hidden ones")
    for n, (nodes, width) in enumerate(zip(keep, hidden, strict=True), start=1):
        if len(nodes) == 0 or len(set(nodes)) != len(nodes) or not all(0 <= i < width for i in nodes):
            raise OptionError(
                f"keep must list different nodes of layer {n}, from 0 to {width - 1} and at least "
                f"one, not {list(nodes)!r}"
            )
    nodes_of = [range(model.widths[0]), *keep, range(model.widths[-1])]
    made = model.copy()
    made.layers = nn.ModuleList(
        slice_layer(layer, nodes_of[n], nodes_of[n + 1]) for n, layer in enumerate(model.kan_layers())
    )
    made.layers.train(model.layers.training)
    return made
