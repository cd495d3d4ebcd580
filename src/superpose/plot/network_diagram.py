"""The network diagram: nodes, and on every edge a box with the curve of its function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from superpose.checks import check_positive
from superpose.edit.attribution import AttributionScores
from superpose.messages import counted
from superpose.nn import KAN
from superpose.nn.model import Edge
from superpose.plot import canvas, node_labels, style
from superpose.plot.diagram_numbers import CURVE_POINTS, DrawnEdge, drawn_edges, edge_strengths, levels_of, strongest
from superpose.plot.network_layout import Layout, arrange
from superpose.plot.numbers import View, attach
from superpose.plot.samples import magnitudes, traced

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PADDING = 0.18


@dataclass(frozen=True)
class _Faintest:
    """The share of its full colour that an edge of strength 0 keeps, for each part of it.

    Chosen by eye: the lines of weak edges recede, while their curves and names can still be read.
    """

    line: float = 0.08
    frame: float = 0.22
    curve: float = 0.3
    tag: float = 0.55
    node: float = 0.2


_FAINTEST = _Faintest()


def network(
    model: KAN,
    x: Tensor | Any,
    *,
    beta: float = 3.0,
    scores: AttributionScores | Sequence[Tensor] | None = None,
    title: str | None = None,
) -> Figure:
    """Draw a network: inputs below, outputs above, and on every edge a box with its function.

    The function is drawn over the range of the edge's inputs. The strength of an edge's colour is tanh(beta * score),
    as in Liu et al. 2024, "KAN: Kolmogorov-Arnold Networks", section 2.5.1. Symbolic edges have another colour, and
    the name of the function under the box. A product node is a circle with a cross above its factors, at which edges
    end. Pruned edges and hidden nodes without edges are left out; an input without edges is faint.

    Args:
        model: any model.
        x: samples in the user's units: an array or tensor ``[B, n_in]``, a :class:`~superpose.Dataset`, a data frame
            or the path of a table, whose columns are taken by name; of more than 10,000 rows an evenly spaced
            selection is taken.
        beta: with a larger value, weaker edges are drawn in full colour.
        scores: what :func:`superpose.edit.attribution_scores` returns, or for each layer a tensor ``[I, O]``; by
            default the standard deviation of each edge in units of its node's.
        title: text above the diagram.

    Raises:
        OptionError: if ``beta`` is not positive, or the scores do not belong to the model.
        DataError, ShapeError: if the samples do not belong to the model.

    >>> import torch
    >>> picture = network(KAN([2, 5, 1]), torch.zeros(1, 2))
    >>> type(picture).__mro__[1].__name__
    'Figure'
    """
    check_positive("beta", beta)
    trace = traced(model, x)
    if scores is None:
        scores = magnitudes(trace)
    strengths = edge_strengths(model, scores.edges if isinstance(scores, AttributionScores) else scores, beta)
    edges, hidden_edges = strongest(model, strengths)
    levels, hidden_inputs = levels_of(model, edges)
    drawn = drawn_edges(model, trace, edges, strengths)
    with canvas.default_style():
        layout = arrange(
            levels,
            edges,
            tagged={edge for edge in edges if drawn[edge].symbol},
            owners=[layer.owners for layer in model.kan_layers()],
            min_width=node_labels.preferred_width(model, levels),
        )
        picture = _draw(model, layout, drawn, title, _remarks(drawn, hidden_edges, hidden_inputs))
        return attach(picture, _columns(drawn), View("lines", "x", ("y",), ("layer", "input", "output")))


def _columns(drawn: Mapping[Edge, DrawnEdge]) -> dict[str, np.ndarray]:
    """Of each edge its curve, point by point."""
    edges = np.repeat(np.array(list(drawn), dtype=int).reshape(-1, 3), CURVE_POINTS, 0)
    listed = list(drawn.values())
    empty = [np.empty(0)]
    return {
        "layer": edges[:, 0],
        "input": edges[:, 1],
        "output": edges[:, 2],
        "x": np.concatenate([one.inputs for one in listed] or empty),
        "y": np.concatenate([one.outputs for one in listed] or empty),
        "strength": np.repeat([one.strength for one in listed], CURVE_POINTS),
        "function": np.repeat(np.array([one.symbol or "spline" for one in listed], dtype=object), CURVE_POINTS),
    }


def _remarks(drawn: Mapping[Edge, DrawnEdge], edges: int, inputs: int) -> list[str]:
    remarks = []
    if edges:
        remarks.append(f"{counted(edges, 'weaker edge')} not drawn")
    if inputs:
        remarks.append(f"{counted(inputs, 'input')} without edges not drawn")
    return remarks


def _draw(model: KAN, layout: Layout, drawn: Mapping[Edge, DrawnEdge], title: str | None, remarks: list[str]) -> Figure:
    owners = [layer.owners for layer in model.kan_layers()]
    labels = node_labels.arrange(
        model, layout, {(n, i) for n, i, _ in drawn} | {(n + 1, owners[n][o]) for n, _, o in drawn}
    )
    left = min(0.0, *(label.corners[0][0] for label in labels)) - _PADDING
    right = max(layout.width, *(label.corners[1][0] for label in labels)) + _PADDING
    bottom = min(label.corners[0][1] for label in labels) - _PADDING
    top = max(label.corners[1][1] for label in labels) + _PADDING
    legend = bool({d.symbol is None for d in drawn.values()} == {True, False}) or bool(remarks)
    bottom -= 0.3 * legend
    if title:
        title = canvas.shortened(title, 80)
        title_width, title_height = canvas.text_size(title, 13, weight="bold")
        top += title_height + 0.15
        lacking = max(0.0, title_width + 2 * _PADDING - (right - left))
        left, right = left - lacking / 2, right + lacking / 2
    figure = canvas.figure(right - left, top - bottom)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(left, right), ylim=(bottom, top))
    if title:
        canvas.write_text(axes, left + _PADDING, top - 0.12, title, size=13, weight="bold", va="top", color=style.TEXT)
    for edge in sorted(drawn, key=lambda edge: drawn[edge].strength):
        _draw_edge(axes, layout, edge, drawn[edge])
    _draw_nodes(axes, layout, drawn, owners)
    for label in labels:
        node_labels.draw(axes, label)
    if legend:
        _draw_legend(axes, left + _PADDING, bottom + 0.2, drawn, remarks)
    return figure


def _faded(color: str, strength: float, least: float) -> tuple[float, float, float]:
    """A colour mixed with white. Not transparent: crossing lines would add up to a stronger colour."""
    from matplotlib.colors import to_rgb

    share = least + (1 - least) * min(max(strength, 0.0), 1.0)
    red, green, blue = (1 - share * (1 - part) for part in to_rgb(color))
    return red, green, blue


def _draw_edge(axes: Axes, layout: Layout, edge: Edge, drawn: DrawnEdge) -> None:
    from matplotlib.patches import Rectangle

    n, i, o = edge
    name = f"{n}-{i}-{o}"
    color = style.SYMBOLIC_EDGE if drawn.symbol else style.SPLINE_EDGE
    x, y = layout.boxes[edge]
    half = layout.box / 2
    foot = y - half - (layout.tag if drawn.symbol else 0.0)
    for corners in layout.lines[edge]:
        axes.plot(
            *zip(*corners, strict=True),
            color=_faded(color, drawn.strength, _FAINTEST.line),
            linewidth=0.6 + 0.8 * drawn.strength,
            zorder=1 + drawn.strength / 2,
            solid_capstyle="round",
            solid_joinstyle="round",
        )
    frame = _faded(color, drawn.strength, _FAINTEST.frame)
    axes.add_patch(
        Rectangle(
            (x - half, y - half),
            layout.box,
            layout.box,
            facecolor="white",
            edgecolor=frame,
            linewidth=0.9,
            zorder=2,
            gid=f"edge-{name}",
        )
    )
    reach = 0.8 * half
    axes.plot(
        x + reach * drawn.x,
        y + reach * drawn.y,
        color=_faded(color, drawn.strength, _FAINTEST.curve),
        linewidth=max(1.0, min(1.8, 2.2 * layout.box)),
        zorder=3,
        solid_capstyle="round",
        gid=f"curve-{name}",
    )
    if drawn.symbol:
        fill = _faded(color, drawn.strength, _FAINTEST.tag)
        axes.add_patch(
            Rectangle((x - half, foot), layout.box, layout.tag, facecolor=fill, edgecolor=fill, linewidth=0.9, zorder=2)
        )
        _draw_symbol(axes, x, foot + layout.tag / 2, layout, drawn.symbol)


def _draw_symbol(axes: Axes, x: float, y: float, layout: Layout, symbol: str) -> None:
    """Write a function's name in the strip under its box, in the largest size that fits."""
    text = canvas.shortened(canvas.typeset(symbol))
    size = min(10.0, 72 * layout.tag * 0.68)
    width = canvas.text_size(text, size)[0]
    room = 0.92 * layout.box
    if width > room:
        size = max(5.0, size * room / width)
    while (width := canvas.text_size(text, size)[0]) > room and len(text) > 3:
        text = canvas.shortened(text, len(text) - 1)
    canvas.write_text(axes, x, y, text, size=size, color="white", ha="center", va="center_baseline", zorder=4)


def _draw_nodes(axes: Axes, layout: Layout, drawn: Mapping[Edge, DrawnEdge], owners: Sequence[Sequence[int]]) -> None:
    strongest: dict[tuple[int, int], float] = {}
    factors: dict[tuple[int, int], float] = {}
    for (n, i, o), edge in drawn.items():
        for node in ((n, i), (n + 1, owners[n][o])):
            strongest[node] = max(strongest.get(node, 0.0), edge.strength)
        factors[n + 1, o] = max(factors.get((n + 1, o), 0.0), edge.strength)
    products = set()
    for (level, o), (x, y) in layout.factors.items():
        node = level, owners[level - 1][o]
        products.add(node)
        color = _faded(style.SPLINE_EDGE, factors.get((level, o), 0.0), _FAINTEST.node)
        top_x, top_y = layout.nodes[node]
        axes.plot([x, top_x], [y, top_y], color=color, linewidth=1.0, zorder=4.5)
        _draw_dot(axes, x, y, 4.0, color, f"factor-{level}-{o}")
    for node, (x, y) in layout.nodes.items():
        color = _faded(style.SPLINE_EDGE, strongest.get(node, 0.0), _FAINTEST.node)
        gid = f"node-{node[0]}-{node[1]}"
        if node not in products:
            _draw_dot(axes, x, y, 5.5, color, gid)
            continue
        axes.plot([x], [y], "o", markersize=11, color="white", markeredgecolor=color, zorder=5, gid=gid)
        axes.plot([x], [y], "x", markersize=5, color=color, markeredgewidth=1.2, zorder=5)


def _draw_dot(axes: Axes, x: float, y: float, size: float, color: tuple[float, float, float], gid: str) -> None:
    axes.plot([x], [y], "o", markersize=size, color=color, markeredgecolor="white", zorder=5, gid=gid)


def _draw_legend(axes: Axes, x: float, y: float, drawn: Mapping[Edge, DrawnEdge], remarks: Sequence[str]) -> None:
    entries: list[tuple[str | None, str]] = [(None, remark) for remark in remarks]
    if {d.symbol is None for d in drawn.values()} == {True, False}:
        entries = [(style.SPLINE_EDGE, "spline"), (style.SYMBOLIC_EDGE, "symbolic"), *entries]
    for color, text in entries:
        if color is not None:
            axes.plot((x, x + 0.22), (y, y), color=color, linewidth=1.6)
            x += 0.3
        canvas.write_text(axes, x, y, text, size=9, color=style.QUIET_TEXT, va="center")
        x += canvas.text_size(text, 9)[0] + 0.3
