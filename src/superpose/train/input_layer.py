"""A first layer that computes sums of inputs and roots of their distances from ends, for the others to go on from."""

from __future__ import annotations

import torch

from superpose.nn.layer import KANLayer
from superpose.nn.symbolic_functions import ROOT
from superpose.train.endpoint_singularities import End
from superpose.train.linear_combinations import Sums


def alone(n_features: int) -> Sums:
    """Each input in a sum of its own."""
    return tuple(((i, 1.0),) for i in range(n_features))


def compute(layer: KANLayer, sums: Sums, ends: tuple[End, ...] = ()) -> None:
    """Make a layer compute these, one sum or root at each node, with symbolic edges.

    Training moves the weights of a sum's inputs but for the first, which a scale of the next layer can stand for. Where
    an end is stays for now: see :func:`superpose.train.endpoint_singularities.release`.

    Args:
        layer: with as many outputs as there are sums.
        sums: of inputs.
        ends: of inputs that stand alone, whose nodes are roots.
    """
    steep = {end.feature: end for end in ends}
    edges: dict[tuple[int, int], tuple[str, tuple[float, float, float, float]]] = {}
    frozen: dict[tuple[int, int], str] = {}
    for node, inputs in enumerate(sums):
        for number, (i, weight) in enumerate(inputs):
            end = steep.get(i) if len(inputs) == 1 else None
            edges[i, node] = (
                ("x", (1.0, 0.0, weight, 0.0)) if end is None else (ROOT, (end.side, -end.side * end.at, 1.0, 0.0))
            )
            frozen[i, node] = "abd" if number else "abcd"
    mask = torch.zeros_like(layer.mask)
    for edge in edges:
        mask[edge] = True
    layer.mask = mask
    layer.set_symbolic(edges, frozen)
