"""oriented: the same network, with hidden nodes turned so that its pictures do not mislead.

A hidden node may count backwards: then the curve on an edge to it falls where the output rises. A network for pictures
has such nodes negated, on both sides, and straight edges of slope 1 to the output.
"""

from __future__ import annotations

import torch
from torch import Tensor

from superpose.data import Dataset
from superpose.data.sampling import evenly
from superpose.errors import DataError
from superpose.nn.layer import KANLayer
from superpose.nn.model import KAN
from superpose.nn.surgery import scale_sum
from superpose.plot.samples import traced

# Correlation of an edge's values with its inputs below which it falls. A round number.
_FALLS = -0.9
# That tell a direction. A round number.
_ROWS = 1000
_STRAIGHT = "x"


@torch.no_grad()
def oriented(model: KAN, data: Dataset) -> KAN:
    """A network of the same function, up to rounding, whose hidden nodes rise with the output where they can.

    A node is negated if its edges fall, those that matter most for the nodes above, and all of them are splines or
    straight lines; nodes from which only factors of products are reached have no direction. Then straight edges to the
    output give their slopes to the sums below them.

    >>> model = KAN([1, 1, 1], seed=0)
    >>> model.layer(1).set_symbolic({(0, 0): ("x", (1.0, 0.0, -2.0, 0.5))})
    >>> x = torch.linspace(-1, 1, 50, dtype=torch.float64)[:, None]
    >>> turned = oriented(model, Dataset.from_arrays(x, x))
    >>> turned.layer(1).symbolic_table()[0, 0], bool(torch.allclose(turned(x), model(x)))
    (('x', (1.0, 0.0, 1.0, 0.5)), True)
    """
    try:
        trace = traced(model, data.features(evenly(data.n_rows, _ROWS)))
    except DataError:
        # There is no row to tell a direction from; the picture of the network says so.
        return model
    made = model.copy()
    layers = made.kan_layers()
    # Of the sums of the layer above: whether they are negated.
    signs = [1.0] * layers[-1].sum_count
    for n in range(len(layers) - 1, 0, -1):
        layer, below = layers[n], layers[n - 1]
        negated, values = [1.0] * below.sum_count, trace.layers[n]
        for i in range(layer.in_features):
            if _falls(layer, i, values.inputs[:, i], values.edges[:, i], signs):
                _mirror(layer, i)
                # A product is negated by its first factor.
                o = below.sums_of(i)[0]
                scale_sum(below, o, -1.0)
                negated[o] = -1.0
        signs = negated
    if len(layers) > 1:
        _give_slopes(layers[-2], layers[-1])
    return made


def _falls(layer: KANLayer, i: int, inputs: Tensor, edges: Tensor, signs: list[float]) -> bool:
    """Whether the edges from an input fall with it, on balance.

    Args:
        inputs: ``[B]``, of the node.
        edges: ``[B, O]``, from it.
        signs: of the sums where the edges end: -1 for those that were negated.
    """
    sums = [o for o in layer.mask[i].nonzero()[:, 0].tolist() if layer.owners[o] < layer.plain_count]
    names = {} if layer.symbolic is None else layer.symbolic.names
    everywhere = layer.mask[i].nonzero()[:, 0].tolist()
    if not sums or any(names.get((i, o), _STRAIGHT) != _STRAIGHT for o in everywhere) or not _can_mirror(layer, i):
        return False
    centred = inputs - inputs.mean()
    deviations = edges.std(0, correction=0)
    o = max(sums, key=lambda one: float(deviations[one]))
    covariance = float((centred * (edges[:, o] - edges[:, o].mean())).mean()) * signs[o]
    return bool(covariance < _FALLS * float(centred.square().mean().sqrt() * deviations[o]))


def _can_mirror(layer: KANLayer, i: int) -> bool:
    """Whether the splines from an input can be mirrored: for SiLU's mirror image they must hold a straight line."""
    return layer.base != "silu" or layer.degree > 0 or not bool(layer.spline_mask()[i].any())


def _mirror(layer: KANLayer, i: int) -> None:
    """Replace the functions ``f(z)`` from an input by ``f(-z)``, in place."""
    if layer.symbolic is not None:
        for place, edge in enumerate(layer.symbolic.edges):
            if edge[0] == i:
                layer.symbolic.constants[place, 0] *= -1
    knots, degree = layer.knots.clone(), layer.degree
    knots[i] = -knots[i].flip(0)
    layer.knots = knots
    rows = layer.spline_coefficients[i]
    rows.copy_(rows.flip(0).clone())
    if layer.base == "none":
        return
    weights = layer.coefficients[i, -1]
    if layer.base == "silu":
        # silu(-z) = silu(z) - z, and splines with these coefficients are the identity.
        identity = knots[i].unfold(0, max(degree, 1), 1)[1 : len(rows) + 1].mean(1)
        rows -= identity[:, None] * weights
    else:
        weights *= -1


def _give_slopes(below: KANLayer, last: KANLayer) -> None:
    """Multiply sums by the slopes of the straight edges from them to the output, which then have slope 1."""
    table, frozen = last.symbolic_table(), last.frozen_table()
    for (i, o), (name, (a, b, c, d)) in list(table.items()):
        alone = int(last.mask[i].sum()) == 1 and bool(last.mask[i, o])
        if name == _STRAIGHT and alone and i < below.plain_count and a * c > 0:
            scale_sum(below, below.sums_of(i)[0], a * c)
            table[i, o] = (name, (1.0, 0.0, 1.0, c * b + d))
    last.set_symbolic(table, frozen)
