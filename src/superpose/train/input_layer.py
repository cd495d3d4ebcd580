"""A first layer that computes linear combinations of inputs and roots of distances from endpoints."""

from __future__ import annotations

import torch

from superpose.nn.layer import KANLayer
from superpose.nn.symbolic_functions import ROOT
from superpose.train.endpoint_singularities import EndpointSingularity
from superpose.train.linear_combinations import Combinations


def alone(n_features: int) -> Combinations:
    """Each input in a sum of its own."""
    return tuple(((i, 1.0),) for i in range(n_features))


def compute(layer: KANLayer, combinations: Combinations, singularities: tuple[EndpointSingularity, ...] = ()) -> None:
    """Make a layer compute these, one sum or root at each node, with symbolic edges.

    Training moves the weights of a sum's inputs but for the first, which a scale of the next layer can stand for. Where
    an end is stays for now: see :func:`superpose.train.endpoint_singularities.release`.

    Args:
        layer: with as many outputs as there are combinations.
        combinations: one for each output.
        singularities: endpoints of inputs that stand alone; the nodes of these inputs are roots.
    """
    roots = {one.feature: one for one in singularities}
    edges: dict[tuple[int, int], tuple[str, tuple[float, float, float, float]]] = {}
    frozen: dict[tuple[int, int], str] = {}
    for node, inputs in enumerate(combinations):
        for number, (i, weight) in enumerate(inputs):
            end = roots.get(i) if len(inputs) == 1 else None
            edges[i, node] = (
                ("x", (1.0, 0.0, weight, 0.0)) if end is None else (ROOT, (end.side, -end.side * end.at, 1.0, 0.0))
            )
            frozen[i, node] = "abd" if number else "abcd"
    mask = torch.zeros_like(layer.mask)
    for edge in edges:
        mask[edge] = True
    layer.mask = mask
    layer.set_symbolic(edges, frozen)
