"""The splines of a layer as ONNX operators, by the lookup of intervals in an even grid.

With ``q = (x - low) / width - 1/2``, in units of cells, the cell of a value is ``round(q)`` and its place in the cell
``q - round(q)``, from -1/2 to 1/2. The polynomials of a cell are gathered: as single numbers for each curve, evaluated
by Horner's rule, where the layer has few curves; else as a row for each input, multiplied by the powers of the place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from superpose.export.onnx_graph import Graph
from superpose.export.tables import LayerTable, PolynomialTable

# Input, the sums of its curves, and their table.
Curves = tuple[int, tuple[int, ...], PolynomialTable]
# Cells of the even grid in which uneven intervals are looked up, at most. A round number.
_MOST_CELLS = 4096
# Relative difference between widths of intervals that are taken for even.
_SAME_WIDTH = 1e-6


def even_cells(tables: Sequence[PolynomialTable]) -> int:
    """Cells of an even grid of which none holds more than one end of an interval; 0 if they would be too many."""
    counts = {len(table.ends) - 1 for table in tables}
    if len(counts) == 1 and all(_is_even(table) for table in tables):
        return counts.pop()
    # A little more than the smallest interval needs, so that rounding puts no second end into a cell.
    most = max(1.01 * float(np.ptp(table.ends) / np.diff(table.ends).min()) for table in tables)
    return int(np.ceil(most)) if most <= _MOST_CELLS else 0


def _is_even(table: PolynomialTable) -> bool:
    widths = np.diff(table.ends)
    return bool(np.ptp(widths) <= _SAME_WIDTH * widths.mean())


@dataclass(frozen=True)
class _Places:
    """Where values stand: the row of the table of each, from -1 for the line left of the grid, and ``t`` in its piece.

    Attributes:
        piece: ``[N, I]``, as numbers of float32: the place of the piece among those of its input, -1 for the first.
        t: ``[N, I]``.
    """

    piece: str
    t: str


def looked_up(graph: Graph, layer: LayerTable, x: str, found: Sequence[Curves], cells: int, by_curve: bool) -> str:
    """The sums ``[N, S]`` at ``x [N, I]`` by the lookup in an even grid of so many cells.

    Args:
        by_curve: whether numbers are gathered for each curve, else rows of them for each input.
    """
    tables = [table for _, _, table in found]
    if len(found) < layer.inputs:
        x = graph.columns(x, [i for i, _, _ in found])
    pieces, terms = max(len(table.centres) for table in tables), max(table.coefficients.shape[2] for table in tables)
    # The line left of the grid stands last, where the index -1 finds it.
    numbers = np.zeros((pieces, len(found), layer.sums, terms))
    even = cells == pieces - 2 and all(_is_even(table) for table in tables)
    for n, (_, sums, table) in enumerate(found):
        rows = _in_cells(table) if even else table.coefficients
        numbers[: len(rows) - 1, n, list(sums), : rows.shape[2]] = rows[1:]
        numbers[-1, n, list(sums), : rows.shape[2]] = rows[0]
    places = _even(graph, x, tables, cells) if even else _uneven(graph, x, tables, cells, pieces)
    return _by_curve(graph, places, numbers) if by_curve else _by_input(graph, places, numbers)


def _in_cells(table: PolynomialTable) -> np.ndarray:
    """The coefficients of an even table in the variable that runs from -1/2 to 1/2, also of the lines outside."""
    scaled: np.ndarray = table.coefficients * 2.0 ** np.arange(table.coefficients.shape[2])
    # The lines have their zero at the ends of the grid, which are half a cell from the middles of the cells outside.
    scaled[0, :, 0] -= scaled[0, :, 1] / 2
    scaled[-1, :, 0] += scaled[-1, :, 1] / 2
    return scaled


def _cell(graph: Graph, x: str, tables: Sequence[PolynomialTable], cells: int) -> tuple[str, str]:
    """The place ``q [N, I]`` and the cell, as a number of float32: -1 left of the grid, ``cells`` right of it."""
    low, width = np.array([table.ends[0] for table in tables]), np.array([np.ptp(table.ends) for table in tables])
    q = graph.affine(x, low + width / (2 * cells), width / cells, near=cells)
    return q, graph.add("Clip", graph.add("Round", q), graph.constant(-1.0), graph.constant(cells))


def _even(graph: Graph, x: str, tables: Sequence[PolynomialTable], cells: int) -> _Places:
    q, cell = _cell(graph, x, tables, cells)
    # Halves are rounded to even cells, so the middles of the lines outside are as far as those inside.
    return _Places(cell, graph.add("Sub", q, cell))


def _uneven(graph: Graph, x: str, tables: Sequence[PolynomialTable], cells: int, pieces: int) -> _Places:
    """As :func:`_even`, where a cell may hold the end of an interval."""
    count = len(tables)
    first, end = np.zeros((cells + 2, count)), np.full((cells + 2, count), np.inf)
    centre, scale = np.zeros((pieces, count)), np.zeros((pieces, count))
    for n, table in enumerate(tables):
        edges = np.linspace(table.ends[0], table.ends[-1], cells + 1)
        begins = np.searchsorted(table.ends[:-1], edges[:-1], side="right")
        following = np.append(table.ends, np.inf)[begins]
        # In the order of the tables of numbers: the line left of the grid is -1.
        first[:-1, n], first[-1, n] = [*(begins - 1), len(table.centres) - 2], -1
        end[:-2, n] = np.where(following < edges[1:], following, np.inf)
        for rows, values in ((centre, table.centres), (scale, table.scales)):
            rows[: len(values) - 1, n], rows[-1, n] = values[1:], values[0]
    _, cell = _cell(graph, x, tables, cells)
    index = _whole(graph, cell, cells)
    later = graph.add("GreaterOrEqual", x, graph.add("GatherElements", graph.constant(end), index, axis=0))
    piece = graph.add("GatherElements", graph.constant(first), index, axis=0)
    piece = graph.add("Add", piece, graph.add("Cast", later, to=1))
    index = _whole(graph, piece, pieces - 2)
    t = graph.add("Sub", x, graph.add("GatherElements", graph.constant(centre), index, axis=0))
    return _Places(piece, graph.add("Mul", t, graph.add("GatherElements", graph.constant(scale), index, axis=0)))


def _whole(graph: Graph, value: str, most: int, least: int = -1) -> str:
    """Numbers as indices: a NaN may become any whole number, and its index must exist."""
    return graph.add(
        "Clip", graph.add("Cast", value, to=6), graph.constant(least, np.int32), graph.constant(most, np.int32)
    )


def _by_curve(graph: Graph, places: _Places, numbers: np.ndarray) -> str:
    """The sums by Horner's rule for each curve, of numbers ``[pieces, I, S, terms]``."""
    pieces, count, sums, terms = numbers.shape
    piece, t = places.piece, places.t
    if sums > 1:
        # A product of matrices, which is faster than operators that repeat.
        repeated = np.kron(np.eye(count), np.ones((1, sums)))
        piece, t = graph.product(piece, repeated, None), graph.product(t, repeated, None)
    index = _whole(graph, piece, pieces - 2)
    flat = numbers.reshape(pieces, count * sums, terms)
    chosen = [graph.add("GatherElements", graph.constant(flat[:, :, n]), index, axis=0) for n in range(terms)]
    total = chosen[-1]
    for below in reversed(chosen[:-1]):
        # Straight lines have zeros for higher powers, so that none overflows far outside.
        total = graph.add("Add", graph.add("Mul", total, t), below)
    return graph.product(total, np.tile(np.eye(sums), (count, 1)), None)


def _by_input(graph: Graph, places: _Places, numbers: np.ndarray) -> str:
    """The sums from rows of numbers ``[pieces, I, S, terms]``."""
    pieces, count, sums, terms = numbers.shape
    # From 1 on: the line left of the grid is first here.
    piece = graph.product(places.piece, np.eye(count), graph.constant(1 + pieces * np.arange(count)))
    index = _whole(graph, piece, count * pieces - 1, 0)
    rows = np.moveaxis(np.roll(numbers, 1, 0), (1, 3), (0, 2)).reshape(count * pieces, terms * sums)
    chosen = graph.add("Gather", graph.constant(rows), index)
    chosen = graph.add("Reshape", chosen, graph.constant([-1, count * terms, sums], np.int64))
    total = graph.add("MatMul", _powers(graph, places.t, count, terms), chosen)
    return graph.add("Reshape", total, graph.constant([-1, sums], np.int64))


def _powers(graph: Graph, t: str, count: int, terms: int) -> str:
    """``1, t, t**2, ...`` of each of ``count`` inputs, ``[N, 1, count * terms]``."""
    # One whatever the value is, in one operator.
    one = graph.add("HardSigmoid", t, alpha=0.0, beta=1.0)
    # Straight lines have no higher powers, which would overflow far outside.
    inside = graph.add("Clip", t, graph.constant(-1.0), graph.constant(1.0)) if terms > 2 else t
    powers, raised = [one, t], inside
    for _ in range(2, terms):
        raised = graph.add("Mul", raised, inside)
        powers.append(raised)
    apart = [graph.add("Unsqueeze", power, graph.constant([2], np.int64)) for power in powers]
    joined = graph.add("Concat", *apart, axis=2)
    return graph.add("Reshape", joined, graph.constant([-1, 1, count * terms], np.int64))
