"""The splines of a layer as ONNX operators, in one of two ways.

Clipped variables: with ``u_p = clip((x - centre_p) * scale_p, -1, 1)``, which stands still outside the interval ``p``,
a continuous piecewise polynomial is a constant plus the sum over ``p`` of polynomials in ``u_p``. The clipped variables
and their powers are computed for all intervals at once, and matrix products add them up for all curves. In float32 each
polynomial has a variable from -1 to 1 and contributes no more than the change of the curve in its interval, so nothing
large cancels. Jumps, as splines of degree 0 have them, are steps at the ends of the intervals. Two neighbouring
intervals of equal width share one variable, which halves the work: where only the highest derivative jumps between
them, the two polynomials are one plus a multiple of ``|u_p|**degree``.

Lookup (:mod:`superpose.export.onnx_lookup`): the interval of each value is found from its place on an even grid, and
the polynomials there are gathered. The work does not grow with the number of intervals, but with the number of curves,
of which each has its own coefficients.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from superpose.export.onnx_graph import Graph
from superpose.export.onnx_lookup import Curves, even_cells, looked_up
from superpose.export.tables import LayerTable, PolynomialTable


@dataclass(frozen=True)
class Rules:
    """Numbers of the choice between the ways.

    The times are nanoseconds in onnxruntime for one row, rounded from layers of 15 shapes at 1,000 rows on a Xeon with
    AVX-512, one thread, onnxruntime 1.31.1.

    Attributes:
        span, span_sum: of clipped variables, for one of them, and for one and a sum.
        curves, curve: of the lookup with its own elements for each curve, for all and for one.
        row, input, edge: of the lookup with a row of coefficients for each input: for a row of the table, and in it for
            an input and for an input and a sum.
        share: intervals share variables if this leaves at most this share of them, since each then needs five passes
            instead of four.
        rounding: a jump between two intervals below this share of the largest coefficient is rounding, far below
            float32; likewise a difference between their widths.
    """

    span: float = 2.5
    span_sum: float = 0.1
    curves: float = 25.0
    curve: float = 7.0
    row: float = 110.0
    input: float = 15.0
    edge: float = 1.0
    share: float = 0.75
    rounding: float = 1e-9


RULES = Rules()


@dataclass(frozen=True)
class _Spans:
    """Intervals of a table, each alone or with its right neighbour.

    Attributes:
        centres, scales: ``[P]`` of the variables, which run from -1 to 1.
        coefficients: ``[P, S, D]`` of their powers.
        kinks: ``[P, S]`` of the absolute value of the highest power; zero for intervals alone.
    """

    centres: np.ndarray
    scales: np.ndarray
    coefficients: np.ndarray
    kinks: np.ndarray


def curve_sums(graph: Graph, layer: LayerTable, x: str) -> str | None:
    """The sums ``[N, S]`` of the curves of a layer at ``x [N, I]``; None if it has none."""
    found: list[Curves] = [(i, *curve) for i, curve in enumerate(layer.curves) if curve is not None]
    if not found:
        return None
    tables = [table for _, _, table in found]
    spans = _all_spans(tables)
    edges = len(found) * layer.sums
    clipping = sum(len(one.centres) for one in spans) * (RULES.span + RULES.span_sum * layer.sums)
    by_curve = RULES.curves + RULES.curve * edges
    by_input = RULES.row + RULES.input * len(found) + RULES.edge * edges
    has_jumps = any(_jumps(table) for table in tables)
    cells = 0 if has_jumps or clipping < min(by_curve, by_input) else even_cells(tables)
    if cells:
        return looked_up(graph, layer, x, found, cells, by_curve < by_input)
    return _clipped(graph, layer, x, found, spans)


def _all_spans(tables: Sequence[PolynomialTable]) -> list[_Spans]:
    """The spans of all tables: intervals in pairs where that saves enough, else each alone."""
    pairs = [_spans(table, _first_halves(table)) for table in tables]
    alone, fewer = sum(len(table.ends) - 1 for table in tables), sum(len(one.centres) for one in pairs)
    return pairs if fewer <= RULES.share * alone else [_spans(table, []) for table in tables]


def _first_halves(table: PolynomialTable) -> list[int]:
    """The intervals that can share a variable with their right neighbours, none of them twice."""
    inner, widths = table.coefficients[1:-1], np.diff(table.ends)
    degree = inner.shape[2] - 1
    if degree % 2 == 0:
        # The absolute value of an even power has no kink.
        return []
    # Both as polynomials in the variable of the interval left of the end, moved there: below the highest they agree.
    left, right = (inner @ _substitution(degree, 2.0, shift) for shift in (1.0, -1.0))
    limit = RULES.rounding * np.abs(inner).max(initial=1e-300)
    smooth = (np.abs(right[1:] - left[:-1])[:, :, :-1] <= limit).all((1, 2))
    joins = smooth & (np.abs(widths[1:] / widths[:-1] - 1) <= RULES.rounding)
    chosen: list[int] = []
    for n in np.flatnonzero(joins).tolist():
        if not chosen or n > chosen[-1] + 1:
            chosen.append(n)
    return chosen


def _spans(table: PolynomialTable, first_halves: Sequence[int]) -> _Spans:
    """The spans of a table, of which some intervals are joined with their right neighbours."""
    inner, centres, scales = table.coefficients[1:-1], table.centres[1:-1].copy(), table.scales[1:-1].copy()
    halves = np.array(first_halves, dtype=int)
    numbers, kinks = inner.copy(), np.zeros(inner.shape[:2])
    if len(halves):
        # On the left of the common middle w = 0 the own variable is 2 w + 1, on the right 2 w - 1.
        degree = inner.shape[2] - 1
        left = inner[halves] @ _substitution(degree, 2.0, 1.0)
        right = inner[halves + 1] @ _substitution(degree, 2.0, -1.0)
        centres[halves], scales[halves] = table.ends[halves + 1], scales[halves] / 2
        numbers[halves] = (left + right) / 2
        kinks[halves] = (right - left)[:, :, -1] / 2
    kept = np.setdiff1d(np.arange(len(inner)), halves + 1)
    return _Spans(centres[kept], scales[kept], numbers[kept], kinks[kept])


def _substitution(degree: int, factor: float, shift: float) -> np.ndarray:
    """``[D, D]``: times this matrix the coefficients of a polynomial in ``factor * w + shift`` are those of ``w``."""
    return np.array(
        [
            [math.comb(n, m) * factor**m * shift ** (n - m) if m <= n else 0.0 for m in range(degree + 1)]
            for n in range(degree + 1)
        ]
    )


def _jumps(table: PolynomialTable) -> list[tuple[int, np.ndarray]]:
    """Jumps ``[S]`` at the ends of intervals, by the number of the end."""
    inner = table.coefficients[1:-1]
    left, right = inner @ (-1.0) ** np.arange(inner.shape[2]), inner.sum(2)
    jumps = left[1:] - right[:-1]
    limit = RULES.rounding * np.abs(inner).max(initial=1e-300)
    return [(n + 1, jump) for n, jump in enumerate(jumps) if bool((np.abs(jump) > limit).any())]


def _clipped(graph: Graph, layer: LayerTable, x: str, found: Sequence[Curves], spans: Sequence[_Spans]) -> str:
    """The sums by clipped variables."""
    count = sum(len(one.centres) for one in spans)
    degree = max(table.coefficients.shape[2] for _, _, table in found) - 1
    place, shift = np.zeros((layer.inputs, count)), np.zeros(count)
    weights, kinks = np.zeros((degree + 1, count, layer.sums)), np.zeros((count, layer.sums))
    ends, slopes = np.zeros((2, layer.inputs)), np.zeros((2, layer.inputs, layer.sums))
    start = np.zeros(layer.sums)
    at = 0
    for (i, sums, table), one in zip(found, spans, strict=True):
        # Rows of the span's columns, beside the columns of the sums of its curves.
        own, chosen = np.arange(at, at + len(one.centres))[:, None], list(sums)
        at += len(one.centres)
        place[i, own[:, 0]], shift[own[:, 0]] = one.scales, -one.centres * one.scales
        weights[: one.coefficients.shape[2], own, chosen] = np.moveaxis(one.coefficients, 2, 0)
        kinks[own, chosen] = one.kinks
        ends[0, i], ends[1, i] = table.ends[0], -table.ends[-1]
        slopes[0, i, chosen] = -table.coefficients[0, :, 1] * table.scales[0]
        slopes[1, i, chosen] = table.coefficients[-1, :, 1] * table.scales[-1]
        start[chosen] += table.coefficients[0, :, 0]
    total = _polynomials(graph, x, (place, shift), weights[1:], kinks, start)
    # How far a value lies left of the grid, and how far right of it.
    sides = np.concatenate([-np.eye(layer.inputs), np.eye(layer.inputs)], 1)
    beyond = graph.add("Relu", graph.product(x, sides, graph.constant(ends.ravel())))
    total = graph.product(beyond, slopes.reshape(2 * layer.inputs, layer.sums), total)
    if layer.silu is None:
        # Neither clipping nor Relu need keep NaN, which this product does.
        total = graph.product(x, np.zeros((layer.inputs, layer.sums)), total)
    return _with_steps(graph, x, layer.sums, found, total)


def _polynomials(
    graph: Graph,
    x: str,
    places: tuple[np.ndarray, np.ndarray],
    weights: np.ndarray,
    kinks: np.ndarray,
    start: np.ndarray,
) -> str:
    """The sums of polynomials in clipped variables; they are ``start [S]`` left of all grids.

    Args:
        places: of the variables, ``[I, P]`` and ``[P]``: their values are the product with ``x`` plus the second.
        weights: ``[degree, P, S]`` of their powers from the first on.
        kinks: ``[P, S]`` of the absolute value of the highest one.
    """
    u = graph.product(x, places[0], graph.constant(places[1]))
    u = graph.add("Clip", u, graph.constant(-1.0), graph.constant(1.0))
    # At the left end of the grid every variable is -1.
    signs = (-1.0) ** np.arange(1, len(weights) + 1)
    total = graph.constant(start - np.einsum("dps,d->s", weights, signs) - kinks.sum(0))
    powers, matrices = [u], [*weights]
    for _ in weights[1:]:
        powers.append(graph.add("Mul", powers[-1], u))
    if kinks.any():
        powers.append(graph.add("Abs", powers[-1]))
        matrices.append(kinks)
    for power, matrix in zip(powers, matrices, strict=True):
        total = graph.product(power, matrix, total)
    return total


def _with_steps(graph: Graph, x: str, sums: int, found: Sequence[Curves], total: str) -> str:
    """``total [N, S]`` with the jumps of curves at the ends of their intervals."""
    inputs, places, heights = [], [], []
    for i, chosen, table in found:
        for end, jump in _jumps(table):
            inputs.append(i)
            places.append(float(table.ends[end]))
            heights.append(np.zeros(sums))
            heights[-1][list(chosen)] = jump
    if not inputs:
        return total
    passed = graph.add("GreaterOrEqual", graph.columns(x, inputs), graph.constant(places))
    return graph.product(graph.add("Cast", passed, to=1), np.array(heights), total)
