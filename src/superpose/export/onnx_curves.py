"""The splines of a layer as ONNX operators, in one of two ways.

Clipped variables: with ``u_p = clip((x - centre_p) * scale_p, -1, 1)``, which stands still outside the interval ``p``,
a continuous piecewise polynomial is a constant plus the sum over ``p`` of polynomials in ``u_p``. The clipped variables
and their powers are computed for all intervals at once, and matrix products add them up for all curves. In float32 each
polynomial has a variable from -1 to 1 and contributes no more than the change of the curve in its interval, so nothing
large cancels. Jumps, as splines of degree 0 have them, are steps at the ends of the intervals.

Lookup (:mod:`superpose.export.onnx_lookup`): the interval of each value is found from its place on an even grid, and
the polynomials there are gathered. The work does not grow with the number of intervals, but with the number of curves,
of which each has its own coefficients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from superpose.export.onnx_graph import Graph
from superpose.export.onnx_lookup import Curves, even_cells, looked_up
from superpose.export.tables import LayerTable, PolynomialTable


@dataclass(frozen=True)
class Rules:
    """Numbers of the choice between the ways.

    The times are nanoseconds in onnxruntime for one row, rounded from layers of 12 shapes at 1,000 rows on a Xeon with
    AVX-512, one thread, onnxruntime 1.31.1.

    Attributes:
        interval, interval_sum: of clipped variables, for an interval, and for an interval and a sum.
        curves, curve: of the lookup with its own elements for each curve, for all and for one.
        row, input, edge: of the lookup with a row of coefficients for each input: for a row of the table, and in it for
            an input and for an input and a sum.
        rounding: a jump between two intervals below this share of the largest coefficient is rounding, far below
            float32.
    """

    interval: float = 2.2
    interval_sum: float = 0.05
    curves: float = 20.0
    curve: float = 10.0
    row: float = 130.0
    input: float = 10.0
    edge: float = 2.0
    rounding: float = 1e-9


RULES = Rules()


def curve_sums(graph: Graph, layer: LayerTable, x: str) -> str | None:
    """The sums ``[N, S]`` of the curves of a layer at ``x [N, I]``; None if it has none."""
    found: list[Curves] = [(i, *curve) for i, curve in enumerate(layer.curves) if curve is not None]
    if not found:
        return None
    tables = [table for _, _, table in found]
    edges = len(found) * layer.sums
    clipping = sum(len(table.ends) - 1 for table in tables) * (RULES.interval + RULES.interval_sum * layer.sums)
    by_curve = RULES.curves + RULES.curve * edges
    by_input = RULES.row + RULES.input * len(found) + RULES.edge * edges
    has_jumps = any(_start_and_jumps(table)[1] for table in tables)
    cells = 0 if has_jumps or clipping < min(by_curve, by_input) else even_cells(tables)
    return looked_up(graph, layer, x, found, cells, by_curve < by_input) if cells else _clipped(graph, layer, x, found)


def _clipped(graph: Graph, layer: LayerTable, x: str, found: Sequence[Curves]) -> str:
    """The sums by clipped variables."""
    degree = max(table.coefficients.shape[2] for _, _, table in found) - 1
    pieces = sum(len(table.ends) - 1 for _, _, table in found)
    place, shift = np.zeros((layer.inputs, pieces)), np.zeros(pieces)
    weights = np.zeros((degree, pieces, layer.sums))
    ends, slopes = np.zeros((2, layer.inputs)), np.zeros((2, layer.inputs, layer.sums))
    constant = np.zeros(layer.sums)
    steps: list[tuple[int, float, np.ndarray]] = []
    at = 0
    for i, sums, table in found:
        own, chosen = slice(at, at + len(table.ends) - 1), list(sums)
        place[i, own] = table.scales[1:-1]
        shift[own] = -table.centres[1:-1] * table.scales[1:-1]
        for power in range(1, table.coefficients.shape[2]):
            weights[power - 1][own, chosen] = table.coefficients[1:-1, :, power]
        ends[0, i], ends[1, i] = table.ends[0], -table.ends[-1]
        slopes[0, i, chosen] = -table.coefficients[0, :, 1] * table.scales[0]
        slopes[1, i, chosen] = table.coefficients[-1, :, 1] * table.scales[-1]
        start, jumps = _start_and_jumps(table)
        constant[chosen] += start
        for n, jump in jumps:
            wide = np.zeros(layer.sums)
            wide[chosen] = jump
            steps.append((i, float(table.ends[n]), wide))
        at = own.stop
    u = graph.add("Gemm", x, graph.constant(place), graph.constant(shift))
    u = graph.add("Clip", u, graph.constant(-1.0), graph.constant(1.0))
    total = graph.product(u, weights[0], graph.constant(constant))
    raised = u
    for matrix in weights[1:]:
        raised = graph.add("Mul", raised, u)
        total = graph.product(raised, matrix, total)
    # How far a value lies left of the grid, and how far right of it.
    signs = np.concatenate([-np.eye(layer.inputs), np.eye(layer.inputs)], 1)
    beyond = graph.add("Relu", graph.product(x, signs, graph.constant(ends.ravel())))
    total = graph.product(beyond, slopes.reshape(2 * layer.inputs, layer.sums), total)
    if layer.silu is None:
        # Neither clipping nor Relu need keep NaN, which this product does.
        total = graph.product(x, np.zeros((layer.inputs, layer.sums)), total)
    if steps:
        inputs, places, heights = (list(part) for part in zip(*steps, strict=True))
        passed = graph.add("GreaterOrEqual", graph.columns(x, inputs), graph.constant(places))
        total = graph.product(graph.add("Cast", passed, to=1), np.array(heights), total)
    return total


def _start_and_jumps(table: PolynomialTable) -> tuple[np.ndarray, list[tuple[int, np.ndarray]]]:
    """What the sum over all intervals lacks ``[S]``, and the jumps ``[S]`` at ends, by the number of the end."""
    inner = table.coefficients[1:-1]
    signs = (-1.0) ** np.arange(inner.shape[2])
    left, right = inner @ signs, inner.sum(2)
    # At the left end every clipped variable is -1.
    start = left[0] - (inner[:, :, 1:] @ signs[1:]).sum(0)
    jumps = left[1:] - right[:-1]
    limit = RULES.rounding * np.abs(inner).max(initial=1e-300)
    return start, [(n + 1, jump) for n, jump in enumerate(jumps) if bool((np.abs(jump) > limit).any())]
