"""The curves of a network as numbers, few enough to be sent while it trains."""

from __future__ import annotations

from typing import Any

import torch

from superpose.nn.layer import KANLayer
from superpose.nn.model import KAN

Json = dict[str, Any]

# Points of a curve that is a thumb wide, of one decimal in a hundred of its height; round numbers.
_POINTS, _HEIGHT = 25, 100


@torch.no_grad()
def curves(model: KAN) -> Json:
    """Every edge's curve over its grid, and how much it varies.

    Returns:
        ``widths``, ``features``, ``targets`` and ``edges``: ``[layer, input, node, strength, function, heights]``. The
        strength is the share of the strongest edge of that layer, 0 to 1; the function is None for splines; heights
        are from 0 to 100, evenly spaced over the grid.

    >>> model = KAN([1, 1], seed=0)
    >>> model.layer(0).set_symbolic({(0, 0): ("x", (1.0, 0.0, 1.0, 0.0))})
    >>> curves(model)["edges"][0][3:5], curves(model)["edges"][0][5][::12]
    ([1.0, 'x'], [0.0, 50.0, 100.0])
    """
    edges: list[list[Any]] = []
    for number, layer in enumerate(model.kan_layers()):
        low, high = layer.knots[:, layer.degree], layer.knots[:, -1 - layer.degree]
        shares = torch.linspace(0, 1, _POINTS, dtype=low.dtype, device=low.device)[:, None]
        values = layer.edges((low + (high - low) * shares).to(layer.dtype)).double()
        # A pole, or a logarithm at the end of the grid, is no reason to draw nothing.
        values = torch.nan_to_num(values, 0.0, 0.0, 0.0)
        least = values.amin(0)
        spans = values.amax(0) - least
        strongest = max(float(spans.max()), torch.finfo(torch.float64).tiny)
        heights = ((values - least) / spans.clamp_min(strongest * 1e-9) * _HEIGHT).round(decimals=1)
        names = {} if layer.symbolic is None else layer.symbolic.names
        nodes = nodes_of_sums(layer)
        for i, o in torch.nonzero(layer.mask).tolist():
            strength = round(float(spans[i, o]) / strongest, 4)
            edges.append([number, i, nodes[o], strength, names.get((i, o)), heights[:, i, o].tolist()])
    names_in, names_out = list(model.feature_names), list(model.target_names)
    return {"widths": list(model.widths), "features": names_in, "targets": names_out, "edges": edges}


def nodes_of_sums(layer: KANLayer) -> list[int]:
    """The node that each sum of a layer belongs to: its own, or the product of which it is a factor.

    >>> nodes_of_sums(KANLayer(1, 3, products=(2,)))
    [0, 1, 2, 2]
    """
    arities = [1] * (layer.out_features - len(layer.products)) + list(layer.products)
    return [node for node, arity in enumerate(arities) for _ in range(arity)]
