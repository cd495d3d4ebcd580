"""A network as tables of piecewise polynomials: what every exporter of networks writes.

A spline is, on each of its intervals and on the two straight lines outside, a polynomial in
``t = (x - centre) * scale``, where ``centre`` is the middle of the interval and ``scale`` one over half its width, so
that ``t`` runs from -1 to 1. Near its middle a polynomial keeps its digits in float32 too. The base function
``"identity"`` is part of the polynomials; SiLU stands beside them as a weight for each edge.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from superpose.errors import OptionError
from superpose.nn.likelihood import Head
from superpose.nn.model import KAN
from superpose.spline import reference

if TYPE_CHECKING:
    from superpose.formulas.expressions.splines import SplineEdge
    from superpose.nn.layer import KANLayer
    from superpose.nn.symbolic_functions import SymbolicFunction

Array = np.ndarray


@dataclass(frozen=True)
class PolynomialTable:
    """Curves of one variable on one grid: ``P`` intervals that are not empty, and a straight line on either side.

    Attributes:
        ends: ``[P + 1]`` ends of the intervals, ascending. A point on one belongs to the interval right of it; the last
            one belongs to the last interval.
        centres, scales: ``[P + 2]`` of ``t``, the lines outside included.
        coefficients: ``[P + 2, S, D]`` of ``1, t, t**2, ...`` for ``S`` curves; zero from ``t**2`` on for the lines.
    """

    ends: Array
    centres: Array
    scales: Array
    coefficients: Array

    def __call__(self, x: Array) -> Array:
        """Values ``[N, S]`` at ``x [N]``: what exported code computes, as NumPy."""
        piece = np.searchsorted(self.ends[:-1], x, side="right") + (x > self.ends[-1])
        t = (x - self.centres[piece]) * self.scales[piece]
        value: Array = np.zeros((len(x), self.coefficients.shape[1]))
        for power in range(self.coefficients.shape[2] - 1, -1, -1):
            value = value * t[:, None] + self.coefficients[piece, :, power]
        return value


@dataclass(frozen=True)
class SymbolicEntry:
    """An edge ``c * f(a * x + b) + d`` from an input to a sum of its layer."""

    source: int
    sum: int
    function: SymbolicFunction
    constants: tuple[float, float, float, float]


@dataclass(frozen=True)
class LayerTable:
    """One layer.

    Attributes:
        inputs: their number ``I``.
        sums: number ``S`` of sums, the factors of products one by one.
        curves: for each input the sums that splines lead to, and the table of these; None for an input without splines.
        silu: ``[I, S]`` weights of ``x / (1 + exp(-x))``; None if all are zero.
        symbolic: the symbolic edges.
        arities: of the nodes: 1 for a sum, else how many sums in turn the node multiplies.
    """

    inputs: int
    sums: int
    curves: tuple[tuple[tuple[int, ...], PolynomialTable] | None, ...]
    silu: Array | None
    symbolic: tuple[SymbolicEntry, ...]
    arities: tuple[int, ...]


@dataclass(frozen=True)
class NetworkTable:
    """A network: ``y = output_center + output_scale * layers((x - input_center) / input_scale)``."""

    feature_names: tuple[str, ...]
    target_names: tuple[str, ...]
    input_center: Array
    input_scale: Array
    layers: tuple[LayerTable, ...]
    output_center: Array
    output_scale: Array
    head: Head | None


def network_table(model: KAN) -> NetworkTable:
    """The tables of a network, in float64.

    Raises:
        OptionError: if the model is no KAN, or holds a number that is not finite.

    >>> table = network_table(KAN([2, [1, [2]], 1], grid_size=5, degree=3))
    >>> [layer.arities for layer in table.layers], table.layers[0].curves[0][1].coefficients.shape
    ([(1, 2), (1,)], (7, 3, 4))
    """
    if not isinstance(model, KAN):
        raise OptionError(f"a superpose.KAN can be exported, not a {type(model).__name__}")
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise OptionError(f"the model holds a NaN or an infinity in {name!r}; train it again before it is exported")

    def numbers(name: str) -> Array:
        found: Array = getattr(model, name).detach().double().cpu().numpy()
        return found

    return NetworkTable(
        model.feature_names,
        model.target_names,
        numbers("input_center"),
        numbers("input_scale"),
        tuple(_layer_table(layer) for layer in model.kan_layers()),
        numbers("output_center"),
        numbers("output_scale"),
        model.head,
    )


def edge_table(edge: SplineEdge) -> tuple[PolynomialTable, float]:
    """The table of a spline in a formula, and the weight of its SiLU."""
    rows = edge.rows.detach().double().cpu()[:, None]
    knots = edge.knots.detach().double().cpu()
    return _polynomials(knots, rows, edge.degree, edge.base), float(rows[-1, 0]) if edge.base == "silu" else 0.0


def cut_points(head: Head) -> Array:
    """Midpoints between neighbouring classes of an ordinal head."""
    levels = head.levels.numpy()
    middles: Array = (levels[1:] + levels[:-1]) / 2
    return middles


def _layer_table(layer: KANLayer) -> LayerTable:
    knots, rows = layer.knots.detach().double().cpu(), layer.rows().detach().double().cpu()
    alive = layer.spline_mask().cpu()
    curves = []
    for i in range(layer.in_features):
        sums = torch.nonzero(alive[i])[:, 0]
        table = _polynomials(knots[i], rows[i][:, sums], layer.degree, layer.base) if len(sums) else None
        curves.append(None if table is None else (tuple(sums.tolist()), table))
    silu = rows[:, -1].numpy() if layer.base == "silu" and bool((rows[:, -1] != 0).any()) else None
    functions: Mapping[tuple[int, int], SymbolicFunction] = (
        {} if layer.symbolic is None else dict(zip(layer.symbolic.edges, layer.symbolic.functions, strict=True))
    )
    entries = tuple(
        SymbolicEntry(i, o, functions[i, o], constants) for (i, o), (_, constants) in layer.symbolic_table().items()
    )
    arities = (*(1 for _ in range(layer.plain_count)), *layer.products)
    return LayerTable(layer.in_features, layer.sum_count, tuple(curves), silu, entries, arities)


def _polynomials(knots: torch.Tensor, rows: torch.Tensor, degree: int, base: str) -> PolynomialTable:
    """The table of curves with coefficients ``rows [rows, S]`` on ``knots``, from their derivatives at the centres."""
    ends = torch.unique(knots[degree : len(knots) - degree])
    middles, halves = (ends[1:] + ends[:-1]) / 2, (ends[1:] - ends[:-1]) / 2
    count = rows.shape[1]
    spline = rows[: len(knots) - degree - 1]
    width = max(degree, 1) + 1
    coefficients = torch.zeros(len(middles) + 2, count, width, dtype=torch.float64)
    for order in range(degree + 1):
        basis = reference.dense_basis(knots[None], degree, "none", middles[:, None], order)[:, 0]
        scaled = (halves**order / math.factorial(order))[:, None]
        coefficients[1:-1, :, order] = (basis @ spline) * scaled
    for place, piece, t in ((0, 1, -1.0), (-1, -2, 1.0)):
        powers = torch.tensor([t**n for n in range(width)], dtype=torch.float64)
        slopes = torch.tensor([n * t ** (n - 1) if n else 0.0 for n in range(width)], dtype=torch.float64)
        coefficients[place, :, 0] = coefficients[piece] @ powers
        # The line goes on in the units of the interval beside it.
        coefficients[place, :, 1] = coefficients[piece] @ slopes if degree else 0.0
    centres = torch.cat([ends[:1], middles, ends[-1:]])
    scales = 1 / torch.cat([halves[:1], halves, halves[-1:]])
    if base == "identity":
        coefficients[:, :, 0] += centres[:, None] * rows[-1]
        coefficients[:, :, 1] += rows[-1] / scales[:, None]
    return PolynomialTable(ends.numpy(), centres.numpy(), scales.numpy(), coefficients.numpy())
