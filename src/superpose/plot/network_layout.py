"""Positions of the nodes and boxes of a network diagram, in inches, y upwards. Nothing is drawn here."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, groupby

from superpose.nn.model import Edge

Node = tuple[int, int]
Point = tuple[float, float]


@dataclass(frozen=True)
class Geometry:
    """Sizes of a diagram. All are design choices, judged by eye on the networks of the documentation.

    A box is the square that shows an edge's function. Lengths "in boxes" are multiples of its side, the others are
    inches. A row is a line of boxes side by side; a layer with many edges has several rows above one another.

    Attributes:
        max_row_length: in boxes; a longer layer is divided into several rows.
        total_width: to which boxes are scaled, within the limits of their sides.
        box_sides: the smallest and the largest side of a box.
        pitches: distance between the centres of neighbouring boxes, in boxes: in a layer of one row, and in a layer
            of several, where lines pass between the boxes.
        group_gap: extra distance between the boxes of two inputs, in pitches, if one of them has several columns.
        stretch: factor by which the boxes of one input may be moved apart where there is space.
        node_pitch: smallest distance between two nodes.
        min_width: of a diagram.
        factor_drop: vertical distance from a product node to its factors.
        factor_pitch: largest horizontal distance between two factors.
        slope: height of the space that lines cross, as a share of their largest horizontal distance: steep lines can
            be told apart where they cross.
        gaps: the limits of that height.
    """

    max_row_length: float = 42.0
    total_width: float = 10.5
    box_sides: tuple[float, float] = (0.42, 0.95)
    pitches: tuple[float, float] = (1.22, 1.45)
    group_gap: float = 0.5
    stretch: float = 1.6
    node_pitch: float = 0.42
    min_width: float = 2.4
    factor_drop: float = 0.28
    factor_pitch: float = 0.3
    slope: float = 0.28
    gaps: tuple[float, float] = (0.38, 1.7)

    def box(self, length: float) -> float:
        """The side of the boxes if the longest row is ``length`` boxes long."""
        return min(max(self.total_width / length, self.box_sides[0]), self.box_sides[1])

    def pitch(self, rows: int) -> float:
        """From one box to the next in a layer of so many rows, in boxes."""
        return self.pitches[rows > 1]

    def gap(self, sideways: Sequence[float]) -> float:
        """Height of the space for lines that go sideways this far."""
        return min(max(self.slope * max(sideways, default=0.0), self.gaps[0]), self.gaps[1])


_GEOMETRY = Geometry()


@dataclass(frozen=True)
class Layout:
    """A diagram's geometry.

    Attributes:
        box: side of the boxes.
        tag: height of the strip under the box of a symbolic edge.
        width, height: of nodes and boxes together, without labels.
        nodes: the centre of each node, ``(level, index)``; the inputs are level 0.
        boxes: the centre of each edge's box.
        lines: for each edge, the corners of the line from its input to its box and of the line from its box to its
            output. No line crosses a box.
        factors: the centre of each factor of a product node, ``(level, sum)``, where its lines end.
    """

    box: float
    tag: float
    width: float
    height: float
    nodes: dict[Node, Point]
    boxes: dict[Edge, Point]
    lines: dict[Edge, tuple[list[Point], list[Point]]]
    factors: dict[Node, Point]

    def spacing(self, level: int) -> float:
        """Distance between two neighbouring nodes of a level."""
        return self.width / max(1, sum(n == level for n, _ in self.nodes))


def arrange(
    levels: Sequence[Sequence[int]],
    edges: Collection[Edge],
    *,
    tagged: Collection[Edge] = (),
    owners: Sequence[Sequence[int]] | None = None,
    min_width: float = _GEOMETRY.min_width,
) -> Layout:
    """Place nodes and boxes.

    Args:
        levels: the indices of the nodes of each level.
        edges: edges between these nodes, ``(layer, input, output)``.
        tagged: edges whose boxes have a strip with a name.
        owners: for each layer the node of each sum, where a node has several; edges end at sums.
        min_width: the width that the labels need.

    >>> layout = arrange([[0, 1], [0]], [(0, 0, 0), (0, 1, 0)])
    >>> sorted(layout.nodes), sorted(layout.boxes)
    ([(0, 0), (0, 1), (1, 0)], [(0, 0, 0), (0, 1, 0)])
    """
    layers = [
        [list(group) for _, group in groupby((e for e in sorted(edges) if e[0] == n), lambda e: e[1])]
        for n in range(len(levels) - 1)
    ]
    longest = max(_length(groups, _rows(groups)) for groups in layers)
    box = _GEOMETRY.box(longest)
    most = max(map(len, levels))
    # Each node gets room for a box above it, unless the diagram would become too wide.
    above = min(most * _GEOMETRY.pitches[0] * box, _GEOMETRY.total_width)
    width = max(longest * box, most * _GEOMETRY.node_pitch, above, min_width)
    tag = max(0.15, 0.2 * box)
    if owners is None:
        owners = [range(max(level, default=0) + 1) for level in levels[1:]]
    places = [{i: (k + 0.5) * width / len(level) for k, i in enumerate(level)} for level in levels]
    layout = Layout(box, tag, width, 0.0, {(0, i): (x, 0.0) for i, x in places[0].items()}, {}, {}, {})
    for n, groups in enumerate(layers):
        strip = tag if any(edge[0] == n for edge in tagged) else 0.0
        top = _place_layer(layout, n, groups, (places[n], places[n + 1]), owners[n], strip, tagged)
        layout = replace(layout, height=top)
    return layout


def _place_layer(
    layout: Layout,
    n: int,
    groups: Sequence[Sequence[Edge]],
    places: tuple[dict[int, float], dict[int, float]],
    owners: Sequence[int],
    strip: float,
    tagged: Collection[Edge],
) -> float:
    """Add the boxes of layer ``n`` above the layout so far, and the nodes above them; return the new height.

    Args:
        layout: its dictionaries are filled.
        n: the layer's number.
        groups: the layer's edges by input.
        places: horizontal positions of the nodes below and above.
        owners: the node of each sum.
        strip: height of the strips under the boxes.
        tagged: the edges whose strip holds a name.
    """
    rows, box, width = _rows(groups), layout.box, layout.width
    below, above = places
    pitch = _GEOMETRY.pitch(rows) * box
    columns = _columns(groups, rows, below, box, width)
    floor = layout.height + _GEOMETRY.gap([abs(x - below[column[0][1]]) for column, x in columns])
    space = pitch - box
    ceiling = floor + rows * (strip + box + space) - space
    offsets = _factor_offsets(owners, above, width)
    targets = {o: above[node] + offsets.get(o, 0.0) for o, node in enumerate(owners) if node in above}
    y = ceiling + _GEOMETRY.gap([abs(x - targets[edge[2]]) for column, x in columns for edge in column])
    layout.factors.update(((n + 1, o), (targets[o], y)) for o in offsets)
    drop = _GEOMETRY.factor_drop * bool(offsets)
    line_ends = {o: (x, y) if o in offsets else (x, y + drop) for o, x in targets.items()}
    layout.nodes.update(((n + 1, node), (x, y + drop)) for node, x in above.items())
    for column, x in columns:
        for k, edge in enumerate(column):
            base = floor + k * (strip + box + space)
            top = base + strip + box
            # Lines to and from a row behind others pass between two columns.
            lane = pitch / 2 - space * (k + 1) / (2 * rows + 2)
            up, down = [(x, base)], [(x, top)]
            if k > 0:
                up = [(x - lane, floor), (x - lane, base - space / 2), (x, base)]
            if strip and edge not in tagged:
                up.append((x, base + strip))
            if k + 1 < len(column):
                down += [(x + lane, top + space / 2), (x + lane, ceiling)]
            elif top < ceiling:
                down.append((x, ceiling))
            layout.boxes[edge] = (x, top - box / 2)
            layout.lines[edge] = [layout.nodes[n, edge[1]], *up], [*down, line_ends[edge[2]]]
    return y + drop


def _factor_offsets(owners: Sequence[int], places: dict[int, float], width: float) -> dict[int, float]:
    """Horizontal offset of each factor from its product node."""
    beside: dict[int, float] = {}
    for node in places:
        sums = [o for o, owner in enumerate(owners) if owner == node]
        pitch = min(_GEOMETRY.factor_pitch, 0.8 * width / (len(places) * len(sums)))
        if len(sums) > 1:
            beside.update((o, (j - (len(sums) - 1) / 2) * pitch) for j, o in enumerate(sums))
    return beside


def _rows(groups: Sequence[Sequence[Edge]]) -> int:
    """Number of rows of a layer's boxes; the boxes of one input stay together."""
    most = max(map(len, groups), default=1)
    return next((r for r in range(1, most) if _length(groups, r) <= _GEOMETRY.max_row_length), most)


def _steps(groups: Sequence[Sequence[Edge]], rows: int) -> list[list[float]]:
    """For each input, the distance of each of its columns from the column before, in boxes."""
    counts = [math.ceil(len(group) / rows) for group in groups]
    gaps = [_GEOMETRY.group_gap * (a > 1 or b > 1) for a, b in zip([1, *counts], counts, strict=False)]
    pitch = _GEOMETRY.pitch(rows)
    return [[pitch + pitch * gap] + [pitch] * (count - 1) for gap, count in zip(gaps, counts, strict=True)]


def _length(groups: Sequence[Sequence[Edge]], rows: int) -> float:
    """Length of a layer's rows, in boxes."""
    steps = [step for group in _steps(groups, rows) for step in group]
    return sum(steps[1:]) + _GEOMETRY.pitch(rows)


def _columns(
    groups: Sequence[Sequence[Edge]], rows: int, places: dict[int, float], box: float, width: float
) -> list[tuple[Sequence[Edge], float]]:
    """The columns of a layer, each the edges whose boxes stand above one another, with their horizontal positions."""
    columns: list[Sequence[Edge]] = []
    wanted: list[float] = []
    pitch = _GEOMETRY.pitch(rows) * box
    apart = pitch * min(width / (_length(groups, rows) * box), _GEOMETRY.stretch)
    for group in groups:
        stacks = [group[k : k + rows] for k in range(0, len(group), rows)]
        columns += stacks
        first = places[group[0][1]] - (len(stacks) - 1) / 2 * apart
        wanted += [first + k * apart for k in range(len(stacks))]
    steps = [box * step for group_steps in _steps(groups, rows) for step in group_steps]
    return list(zip(columns, separated(wanted, steps[1:], pitch / 2, width - pitch / 2), strict=True))


def separated(wanted: Sequence[float], steps: Sequence[float], low: float, high: float) -> list[float]:
    """The places nearest to ``wanted``, in the sense of least squares, at distances of at least ``steps``.

    All lie between ``low`` and ``high``. Without the steps the places have to ascend, which is isotonic regression;
    pooling adjacent violators solves it (Ayer et al. 1955).

    >>> separated([1.0, 1.0, 5.0], [1.0, 1.0], 0.0, 10.0)
    [0.5, 1.5, 5.0]
    """
    offsets = list(accumulate(steps, initial=0.0)) if wanted else []
    pools: list[tuple[float, int]] = []
    for place, offset in zip(wanted, offsets, strict=True):
        total, count = place - offset, 1
        while pools and pools[-1][0] / pools[-1][1] >= total / count:
            total, count = total + pools[-1][0], count + pools[-1][1]
            pools.pop()
        pools.append((total, count))
    freed = [total / count for total, count in pools for _ in range(count)]
    return [max(low, min(place, high - offsets[-1])) + offset for place, offset in zip(freed, offsets, strict=True)]
