"""Penalties: L1, entropy and smoothness of a network's edges.

For first-order optimisers they are functions of a :class:`~superpose.nn.Trace`; for Levenberg-Marquardt they become
quadratic terms, reweighted so that their gradient is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from superpose.nn.layer import KANLayer
from superpose.nn.trace import Trace
from superpose.optim.gauss_newton import Quadratic
from superpose.optim.parameters import Parameters
from superpose.spline import reference

# Below this share of a layer's largest edge an edge counts as removed, and its weight grows no further: the reweighted
# norm would be singular at zero. A round number; nothing was measured.
_MIN_SHARE = 1e-3


def magnitudes(trace: Trace) -> list[Tensor]:
    """Mean magnitude ``[I, O]`` of each layer's edges over the samples (Liu et al. 2024, equation 2.17).

    Taken about the mean: a constant is free, since any other edge of the node can take it over.
    """
    return [(layer.edges - layer.edges.mean(0)).abs().mean(0) for layer in trace.layers]


def sparsity(trace: Trace) -> Tensor:
    """L1 plus entropy of the edges' magnitudes, summed over the layers (Liu et al. 2024, equation 2.20)."""
    total = trace.output.new_zeros(())
    for size in magnitudes(trace):
        norm = size.sum()
        # Edges that do nothing add nothing; the entropy's slope at zero is infinite and would make every gradient NaN.
        share = size[size > 0] / norm.clamp(min=torch.finfo(size.dtype).tiny)
        total = total + norm - (share * share.log()).sum()
    return total


def edges(parameters: Parameters) -> Iterator[tuple[int, KANLayer, int, int, slice]]:
    """``layer number, layer, input, output, place in the parameter vector`` of every spline edge."""
    start = 0
    for n, (layer, plan) in enumerate(zip(parameters.layers, parameters.plans, strict=True)):
        for index, (i, o) in enumerate(zip(plan.inputs.tolist(), plan.outputs.tolist(), strict=True)):
            yield n, layer, i, o, slice(start + index * plan.rows, start + (index + 1) * plan.rows)
        start += plan.size


@torch.no_grad()
def layer_inputs(parameters: Parameters, x: Tensor) -> list[Tensor]:
    """What each layer is given at scaled samples ``x [B, n_in]``."""
    inputs = [x]
    for layer in parameters.layers[:-1]:
        inputs.append(layer(inputs[-1]))
    return inputs


Gram = Callable[[KANLayer, Tensor, int], Tensor]


def _spread(layer: KANLayer, h: Tensor, i: int) -> Tensor:
    basis = reference.dense_basis(layer.knots[i : i + 1], layer.degree, layer.base, h[:, i : i + 1])[:, 0]
    basis = basis - basis.mean(0)
    return basis.T @ basis / len(h)


def _bend(layer: KANLayer, h: Tensor, i: int) -> Tensor:
    """What is left of an edge's variance once the best straight line through it is taken away."""
    point = h[:, i] - h[:, i].mean()
    basis = reference.dense_basis(layer.knots[i : i + 1], layer.degree, layer.base, h[:, i : i + 1])[:, 0]
    basis = basis - basis.mean(0)
    slope = point @ basis / point.square().sum().clamp(min=torch.finfo(h.dtype).tiny)
    basis = basis - point[:, None] * slope
    return basis.T @ basis / len(h)


@torch.no_grad()
def reweighted(parameters: Parameters, x: Tensor, strength: float, *, kind: str = "size") -> list[Quadratic]:
    """Quadratic terms whose gradient at the present point is that of ``strength * sum_edges ||edge||``.

    Each edge's squared spread over the samples is divided by its present spread, so small edges are pulled to zero
    and large ones hardly (iteratively reweighted least squares; E. Candes et al., *Enhancing sparsity by reweighted
    l1 minimization*, 2008).

    Args:
        parameters: of the model that is trained.
        x: ``[B, n_in]`` scaled samples.
        strength: in units of the mean squared residual.
        kind: ``"size"`` pulls edges to zero, ``"bend"`` pulls them to straight lines.
    """
    theta = parameters.get()
    inputs = layer_inputs(parameters, x)
    gram: Gram = _spread if kind == "size" else _bend
    found = [
        (n, part, matrix, float(theta[part] @ matrix @ theta[part]))
        for (n, layer, i, _, part) in edges(parameters)
        for matrix in [gram(layer, inputs[n], i)]
    ]
    # Rounding makes the square of an edge that is a straight line already negative.
    largest = max((square for *_, square in found), default=0.0)
    largest = max(largest, 0.0) ** 0.5
    return [
        Quadratic(
            part.start,
            matrix * (strength / (max(square, 0.0) ** 0.5 + _MIN_SHARE * largest + 1e-30)),
        )
        for _, part, matrix, square in found
    ]


def roughness(parameters: Parameters, strength: float) -> list[Quadratic]:
    """Quadratic terms on differences of the spline coefficients of one order more than the degree.

    Polynomials of the spline's own degree are free. The terms hold coefficients that few samples see to the course of
    their neighbours (P. Eilers and B. Marx, *Flexible smoothing with B-splines and penalties*, 1996).
    """
    terms: list[Quadratic] = []
    made: dict[tuple[int, int], Tensor] = {}
    for _, layer, _, _, part in edges(parameters):
        count = layer.spline_coefficients.shape[1]
        order = min(layer.degree + 1, count - 1)
        if order < 1:
            continue
        if (count, order) not in made:
            identity = torch.eye(count, dtype=layer.knots.dtype, device=layer.knots.device)
            difference = torch.diff(identity, n=order, dim=0)
            made[count, order] = strength * difference.T @ difference
        terms.append(Quadratic(part.start, made[count, order]))
    return terms
