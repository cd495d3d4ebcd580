"""The splines of a layer as ONNX operators, in one of two ways.

Clipped variables: with ``u_p = clip((x - centre_p) * scale_p, -1, 1)``, which stands still outside the interval ``p``,
a continuous piecewise polynomial is a constant plus the sum over ``p`` of polynomials in ``u_p``. The clipped variables
and their powers are computed for all intervals at once, and matrix products add them up for all curves. In float32 each
polynomial has a variable from -1 to 1 and contributes no more than the change of the curve in its interval, so nothing
large cancels. Jumps, as splines of degree 0 have them, are steps at the ends of the intervals.

Lookup: the interval of each value is found from its place on an even grid, and the polynomials there are gathered. The
work does not grow with the number of intervals, but with the number of curves, of which each has its own coefficients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from superpose.export.onnx_graph import Graph
from superpose.export.tables import LayerTable, PolynomialTable

# Input, the sums of its curves, and their table.
_Curves = tuple[int, tuple[int, ...], PolynomialTable]


@dataclass(frozen=True)
class Rules:
    """Numbers of the choice between the two ways.

    Attributes:
        per_interval, per_input, per_coefficient: nanoseconds in onnxruntime for one interval of clipped variables, and
            for one input and one gathered coefficient of the lookup: rounded from seven shapes at 100 and 1,000 rows on
            a Xeon with AVX-512, one thread, onnxruntime 1.31.1.
        most_cells: of the even grid in which uneven intervals are looked up. A round number.
        rounding: a jump between two intervals below this share of the largest coefficient is rounding, far below
            float32.
        same_width: relative difference between widths of intervals that are taken for even.
    """

    per_interval: float = 3.0
    per_input: float = 25.0
    per_coefficient: float = 2.0
    most_cells: int = 4096
    rounding: float = 1e-9
    same_width: float = 1e-6


RULES = Rules()


def curve_sums(graph: Graph, layer: LayerTable, x: str) -> str | None:
    """The sums ``[N, S]`` of the curves of a layer at ``x [N, I]``; None if it has none."""
    found = [(i, *curve) for i, curve in enumerate(layer.curves) if curve is not None]
    if not found:
        return None
    coefficients = sum(table.coefficients.shape[2] for _, _, table in found) * layer.sums
    clipping = RULES.per_interval * sum(len(table.ends) - 1 for _, _, table in found)
    looking_up = RULES.per_input * len(found) + RULES.per_coefficient * coefficients
    has_jumps = any(_start_and_jumps(table)[1] for _, _, table in found)
    cells = 0 if has_jumps or clipping < looking_up else _cells([table for _, _, table in found])
    return _looked_up(graph, layer, x, found, cells) if cells else _clipped(graph, layer, x, found)


def _clipped(graph: Graph, layer: LayerTable, x: str, found: Sequence[_Curves]) -> str:
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


def _cells(tables: Sequence[PolynomialTable]) -> int:
    """Cells of an even grid of which none holds more than one end of an interval; 0 if they would be too many."""
    counts = {len(table.ends) - 1 for table in tables}
    if len(counts) == 1 and all(_is_even(table) for table in tables):
        return counts.pop()
    # A little more than the smallest interval needs, so that rounding puts no second end into a cell.
    most = max(1.01 * float(np.ptp(table.ends) / np.diff(table.ends).min()) for table in tables)
    return int(np.ceil(most)) if most <= RULES.most_cells else 0


def _is_even(table: PolynomialTable) -> bool:
    widths = np.diff(table.ends)
    return bool(np.ptp(widths) <= RULES.same_width * widths.mean())


def _looked_up(graph: Graph, layer: LayerTable, x: str, found: Sequence[_Curves], cells: int) -> str:
    """The sums by the lookup of intervals in an even grid of so many cells."""
    tables = [table for _, _, table in found]
    count, pieces = len(found), max(len(table.centres) for table in tables)
    if count < layer.inputs:
        x = graph.columns(x, [i for i, _, _ in found])
    low, width = np.array([table.ends[0] for table in tables]), np.array([np.ptp(table.ends) for table in tables])
    # The cell of each value: -1 left of the grid, as many as there are cells right of it.
    place = graph.affine(x, low, width / cells)
    floor = graph.add("Floor", place)
    cell = graph.add("Clip", floor, graph.constant(-1.0), graph.constant(cells))
    # Once more as whole numbers: a NaN may become any of them, and its index must exist.
    cell = graph.add("Clip", graph.add("Cast", cell, to=6), *(graph.constant(n, np.int32) for n in (-1, cells)))
    piece = graph.add("Add", cell, graph.constant(1 + (cells + 2) * np.arange(count), np.int32))
    if cells == pieces - 2 and all(_is_even(table) for table in tables):
        middle = graph.add("Clip", floor, graph.constant(-0.5), graph.constant(cells - 0.5))
        t = graph.add("Sub", place, graph.add("Add", middle, graph.constant(0.5)))
        t = graph.add("Mul", t, graph.constant(2.0))
    else:
        first, end = _first_pieces(tables, cells, pieces)
        later = graph.add("GreaterOrEqual", x, graph.add("Gather", graph.constant(end), piece))
        piece = graph.add("Gather", graph.constant(first, np.int32), piece)
        piece = graph.add("Add", piece, graph.add("Cast", later, to=6))
        centre, scale = np.zeros((count, pieces)), np.zeros((count, pieces))
        for n, table in enumerate(tables):
            centre[n, : len(table.centres)], scale[n, : len(table.scales)] = table.centres, table.scales
        t = graph.add("Sub", x, graph.add("Gather", graph.constant(centre.ravel()), piece))
        t = graph.add("Mul", t, graph.add("Gather", graph.constant(scale.ravel()), piece))
    terms = max(table.coefficients.shape[2] for table in tables)
    rows = np.zeros((count, pieces, terms, layer.sums))
    for n, (_, sums, table) in enumerate(found):
        rows[n, : len(table.centres), : table.coefficients.shape[2], list(sums)] = np.moveaxis(table.coefficients, 1, 0)
    chosen = graph.add("Gather", graph.constant(rows.reshape(count * pieces, terms * layer.sums)), piece)
    chosen = graph.add("Reshape", chosen, graph.constant([-1, count * terms, layer.sums], np.int64))
    total = graph.add("MatMul", _powers(graph, t, count, terms), chosen)
    return graph.add("Reshape", total, graph.constant([-1, layer.sums], np.int64))


def _powers(graph: Graph, t: str, count: int, terms: int) -> str:
    """``1, t, t**2, ...`` of each of ``count`` inputs, ``[N, 1, count * terms]``."""
    one = graph.add("Add", graph.add("Mul", t, graph.constant(0.0)), graph.constant(1.0))
    # Straight lines have no higher powers, which would overflow far outside.
    inside = graph.add("Clip", t, graph.constant(-1.0), graph.constant(1.0)) if terms > 2 else t
    powers, raised = [one, t], inside
    for _ in range(2, terms):
        raised = graph.add("Mul", raised, inside)
        powers.append(raised)
    apart = [graph.add("Unsqueeze", power, graph.constant([2], np.int64)) for power in powers]
    joined = graph.add("Concat", *apart, axis=2)
    return graph.add("Reshape", joined, graph.constant([-1, 1, count * terms], np.int64))


def _first_pieces(tables: Sequence[PolynomialTable], cells: int, pieces: int) -> tuple[np.ndarray, np.ndarray]:
    """The piece at the start of each cell, and the end of an interval inside it, beyond which the next piece begins.

    Both for the cells ``-1`` to ``cells`` of each input in turn; an end is infinite where there is none.
    """
    first, ends = np.zeros((len(tables), cells + 2)), np.full((len(tables), cells + 2), np.inf)
    for n, table in enumerate(tables):
        edges = np.linspace(table.ends[0], table.ends[-1], cells + 1)
        piece = np.searchsorted(table.ends[:-1], edges[:-1], side="right")
        first[n] = [0, *piece, len(table.centres) - 1]
        following = np.append(table.ends, np.inf)[piece]
        ends[n, 1:-1] = np.where(following < edges[1:], following, np.inf)
        first[n] += n * pieces
    return first.ravel(), ends.ravel()
