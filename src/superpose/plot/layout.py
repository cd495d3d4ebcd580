"""Where the nodes and the boxes of a network diagram stand: geometry only, in inches, y upwards."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby

from superpose.nn.model import Edge

Node = tuple[int, int]
Point = tuple[float, float]

# Length of a row in boxes; a layer that needs more has several rows.
_MOST_LENGTH = 42.0
_TOTAL_WIDTH = 10.5
_BOX_SIDES = (0.42, 0.95)
# From the middle of one box to the next, in boxes: in a single row, and in several, where lines
# have to pass between them.
_PITCHES = (1.22, 1.45)
# Added between two inputs of which one has several boxes side by side, in pitches.
_GROUP_GAP = 0.5
# How far the boxes of one input may move apart where there is room, in pitches.
_STRETCH = 1.6
_NODE_PITCH = 0.42
_LEAST_WIDTH = 2.4
# Factors of a product stand below it: how far, and how far from one another, where there is room.
_FACTOR_DROP, _FACTOR_PITCH = 0.28, 0.3
# Height of the space that lines cross, as a share of how far they go sideways, and its limits.
_SLOPE = 0.28
_GAPS = (0.38, 1.7)


@dataclass(frozen=True)
class Layout:
    """A diagram's geometry.

    Attributes:
        box: side of the boxes.
        tag: height of the strip under the box of a symbolic edge.
        width, height: of nodes and boxes together, labels not included.
        nodes: the middle of each node, ``(level, index)``; the inputs are level 0.
        boxes: the middle of each edge's box.
        lines: of each edge, the corners of the line from its input to its box and of the line on
            to its output. No line crosses a box.
        factors: the middle of each product's factors, ``(level, sum)``, where their lines end.
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
        """From one node of a level to the next."""
        return self.width / max(1, sum(n == level for n, _ in self.nodes))


def arrange(
    levels: Sequence[Sequence[int]],
    edges: Collection[Edge],
    *,
    tagged: Collection[Edge] = (),
    owners: Sequence[Sequence[int]] | None = None,
    least_width: float = _LEAST_WIDTH,
) -> Layout:
    """Place nodes and boxes.

    Args:
        levels: the indices of the nodes of each level.
        edges: those between them, ``(layer, input, output)``.
        tagged: edges whose boxes have a strip with a name.
        owners: for each layer the node of each sum, where these differ; edges end at sums.
        least_width: what the labels need.

    >>> layout = arrange([[0, 1], [0]], [(0, 0, 0), (0, 1, 0)])
    >>> sorted(layout.nodes), sorted(layout.boxes)
    ([(0, 0), (0, 1), (1, 0)], [(0, 0, 0), (0, 1, 0)])
    """
    layers = [
        [list(group) for _, group in groupby((e for e in sorted(edges) if e[0] == n), lambda e: e[1])]
        for n in range(len(levels) - 1)
    ]
    rows = [_rows(groups) for groups in layers]
    lengths = [_length(groups, r) for groups, r in zip(layers, rows, strict=True)]
    longest = max(lengths)
    box = min(max(_TOTAL_WIDTH / longest, _BOX_SIDES[0]), _BOX_SIDES[1])
    most = max(map(len, levels))
    # Room for a box above each node, where that is not too wide.
    above = min(most * _PITCHES[0] * box, _TOTAL_WIDTH)
    width = max(longest * box, most * _NODE_PITCH, above, least_width)
    tag = max(0.15, 0.2 * box)

    if owners is None:
        owners = [range(max(level, default=0) + 1) for level in levels[1:]]
    places = [{i: (k + 0.5) * width / len(level) for k, i in enumerate(level)} for level in levels]
    nodes: dict[Node, Point] = {(0, i): (x, 0.0) for i, x in places[0].items()}
    boxes: dict[Edge, Point] = {}
    lines: dict[Edge, tuple[list[Point], list[Point]]] = {}
    factors: dict[Node, Point] = {}
    y = 0.0
    for n, groups in enumerate(layers):
        pitch = _pitch(rows[n]) * box
        columns = _columns(groups, rows[n], places[n], box, width)
        strip = tag if any(edge[0] == n for edge in tagged) else 0.0
        floor = y + _gap([abs(x - places[n][column[0][1]]) for column, x in columns])
        space = pitch - box
        ceiling = floor + rows[n] * (strip + box + space) - space
        beside = _factors(owners[n], places[n + 1], width)
        end = {o: places[n + 1][node] + beside.get(o, 0.0) for o, node in enumerate(owners[n]) if node in places[n + 1]}
        y = ceiling + _gap([abs(x - end[edge[2]]) for column, x in columns for edge in column])
        factors.update(((n + 1, o), (end[o], y)) for o in beside)
        ends = {o: (x, y) if o in beside else (x, y + _FACTOR_DROP * bool(beside)) for o, x in end.items()}
        y += _FACTOR_DROP * bool(beside)
        nodes.update(((n + 1, node), (x, y)) for node, x in places[n + 1].items())
        for column, x in columns:
            for k, edge in enumerate(column):
                base = floor + k * (strip + box + space)
                top = base + strip + box
                # Lines to and from a row behind others pass between two columns.
                lane = pitch / 2 - space * (k + 1) / (2 * rows[n] + 2)
                up, down = [(x, base)], [(x, top)]
                if k > 0:
                    up = [(x - lane, floor), (x - lane, base - space / 2), (x, base)]
                if strip and edge not in tagged:
                    up.append((x, base + strip))
                if k + 1 < len(column):
                    down += [(x + lane, top + space / 2), (x + lane, ceiling)]
                elif top < ceiling:
                    down.append((x, ceiling))
                boxes[edge] = (x, top - box / 2)
                lines[edge] = [nodes[n, edge[1]], *up], [*down, ends[edge[2]]]
    return Layout(box, tag, width, y, nodes, boxes, lines, factors)


def _factors(owners: Sequence[int], places: dict[int, float], width: float) -> dict[int, float]:
    """How far beside its node each factor of the products that are drawn stands."""
    beside: dict[int, float] = {}
    for node in places:
        sums = [o for o, owner in enumerate(owners) if owner == node]
        pitch = min(_FACTOR_PITCH, 0.8 * width / (len(places) * len(sums)))
        if len(sums) > 1:
            beside.update((o, (j - (len(sums) - 1) / 2) * pitch) for j, o in enumerate(sums))
    return beside


def _rows(groups: Sequence[Sequence[Edge]]) -> int:
    """In how many rows the boxes of a layer stand; those of one input stay together."""
    most = max(map(len, groups), default=1)
    return next((r for r in range(1, most) if _length(groups, r) <= _MOST_LENGTH), most)


def _pitch(rows: int) -> float:
    return _PITCHES[rows > 1]


def _steps(groups: Sequence[Sequence[Edge]], rows: int) -> list[list[float]]:
    """For each input, how far each of its columns stays from the one before, in boxes."""
    counts = [math.ceil(len(group) / rows) for group in groups]
    gaps = [_GROUP_GAP * (a > 1 or b > 1) for a, b in zip([1, *counts], counts, strict=False)]
    one = _pitch(rows)
    return [[one + one * gap] + [one] * (count - 1) for gap, count in zip(gaps, counts, strict=True)]


def _length(groups: Sequence[Sequence[Edge]], rows: int) -> float:
    """How long a layer's boxes are, in boxes."""
    steps = [step for group in _steps(groups, rows) for step in group]
    return sum(steps[1:]) + _pitch(rows)


def _columns(
    groups: Sequence[Sequence[Edge]], rows: int, places: dict[int, float], box: float, width: float
) -> list[tuple[Sequence[Edge], float]]:
    """The boxes of a layer, those that stand on one another together, with their x."""
    columns: list[Sequence[Edge]] = []
    wanted: list[float] = []
    pitch = _pitch(rows) * box
    apart = pitch * min(width / (_length(groups, rows) * box), _STRETCH)
    for group in groups:
        stacks = [group[k : k + rows] for k in range(0, len(group), rows)]
        columns += stacks
        first = places[group[0][1]] - (len(stacks) - 1) / 2 * apart
        wanted += [first + k * apart for k in range(len(stacks))]
    steps = [box * step for group_steps in _steps(groups, rows) for step in group_steps]
    return list(zip(columns, spread(wanted, steps[1:], pitch / 2, width - pitch / 2), strict=True))


def spread(wanted: Sequence[float], steps: Sequence[float], low: float, high: float) -> list[float]:
    """The places nearest to those wanted that are ``steps`` or more apart, between two ends.

    Nearest in the sense of least squares: what remains after the steps are taken off has to be in
    ascending order, and pooling neighbours that are not is the solution of that (isotonic
    regression).

    >>> spread([1.0, 1.0, 5.0], [1.0, 1.0], 0.0, 10.0)
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


def _gap(sideways: Sequence[float]) -> float:
    return min(max(_SLOPE * max(sideways, default=0.0), _GAPS[0]), _GAPS[1])
