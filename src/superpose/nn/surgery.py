"""Models with fewer nodes."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import nn

from superpose._errors import OptionError
from superpose.nn.layer import KANLayer
from superpose.nn.model import KAN


def slice_layer(layer: KANLayer, inputs: Sequence[int], outputs: Sequence[int]) -> KANLayer:
    """A new layer of the edges between some of the inputs and some of the outputs, in this order.

    >>> slice_layer(KANLayer(3, 4), [2, 0], [1])
    KANLayer(2, 1, grid_size=5, degree=3, base='silu')
    """
    made = copy.deepcopy(layer)
    made.in_features, made.out_features = len(inputs), len(outputs)
    rows = torch.tensor(inputs, dtype=torch.long, device=layer.knots.device)
    columns = torch.tensor(outputs, dtype=torch.long, device=layer.knots.device)
    made.knots = layer.knots[rows]
    made.mask = layer.mask[rows][:, columns]
    kept = layer.coefficients.detach()[rows][..., columns]
    made.coefficients = nn.Parameter(kept, requires_grad=layer.coefficients.requires_grad)
    table = layer.symbolic_table()
    made.set_symbolic(
        {
            (i, o): table[old_i, old_o]
            for i, old_i in enumerate(inputs)
            for o, old_o in enumerate(outputs)
            if (old_i, old_o) in table
        }
    )
    if layer.symbolic is not None and made.symbolic is not None:
        made.symbolic.constants.requires_grad_(layer.symbolic.constants.requires_grad)
        made.symbolic.train(layer.symbolic.training)
    return made


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
