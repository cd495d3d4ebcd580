"""One edge in detail: its function, its knots, and a histogram of its inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from superpose.data import Dataset
from superpose.messages import counted
from superpose.nn import KAN
from superpose.nn.model import Edge
from superpose.nn.trace import Trace
from superpose.plot import canvas, style
from superpose.plot.canvas import typeset
from superpose.plot.curve_errors import CurveErrors, curve_errors
from superpose.plot.edge_numbers import edge_numbers, without_poles
from superpose.plot.numbers import View, attach
from superpose.plot.samples import traced

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def edge(model: KAN, x: Tensor | Any, layer: int, i: int, o: int) -> Figure:
    """Draw the function of one edge over the range of its inputs, its knots, and a histogram of the inputs.

    The inputs of the first layer and the outputs of the last layer are in the user's units; all other values are in
    the network's scaled units.

    Of a data set, whose targets are known, a band shows two standard errors to either side: of the noise in the
    targets, with curves that end elsewhere held fixed and the curve's mean taken as known. Classifiers and networks of
    more than 800 constants have none.

    Args:
        model: any model.
        x: samples in the user's units, as for :func:`network`.
        layer, i, o: layer, input and output of the edge, from zero.

    Returns:
        The picture; its numbers are ``x``, ``y`` and the ``standard_error``, NaN where it is not known.

    Raises:
        OptionError: if the model has no such edge, or the edge was pruned.
    """
    trace = traced(model, x)
    return close_up(model, trace, (layer, i, o), curve_errors(model, x) if isinstance(x, Dataset) else None)


def close_up(model: KAN, trace: Trace, which: Edge, errors: CurveErrors | None = None) -> Figure:
    """:func:`edge` for activations and errors that are known already."""
    found = edge_numbers(model, trace, which, errors)
    color = style.SYMBOLIC_EDGE if found.symbol else style.SPLINE_EDGE
    with canvas.default_style():
        figure = canvas.figure(4.4, 3.7)
        axes = figure.add_axes((0.15, 0.325, 0.815, 0.48))
        strip = figure.add_axes((0.15, 0.16, 0.815, 0.13), sharex=axes)
        for part in (axes, strip):
            canvas.plain_axes(part)
        axes.plot(found.x, without_poles(found.y), color=color, linewidth=2, zorder=3, gid="curve")
        if found.standard_error is not None:
            low, high = (found.y + sign * found.standard_error for sign in (-2, 2))
            axes.fill_between(found.x, low, high, color=color, alpha=0.2, linewidth=0, zorder=2, gid="band")
            height = float(np.ptp(found.y)) or 1.0
            if float((high - low).max()) > 4 * height:
                # A band that is far wider than the curve must not flatten it.
                axes.set_ylim(float(found.y.min()) - height, float(found.y.max()) + height)
        strip.stairs(found.counts, found.bins, fill=True, color=style.HISTOGRAM, gid="histogram")
        strip.set_ylim(bottom=0)
        strip.set(yticks=[])
        strip.spines["left"].set_visible(False)
        axes.tick_params(labelbottom=False)
        axes.set_xlim(*found.x[[0, -1]])
        if found.symbol is None:
            _draw_knots(axes, found.knots)
        from_name, to_name = node_names(model, which)
        strip.set_xlabel(canvas.shortened(from_name, 40), size=10, color=style.TEXT, parse_math=False)
        title = f"{canvas.shortened(from_name)} → {canvas.shortened(to_name)}"
        band = [] if found.standard_error is None else ["band: two standard errors"]
        canvas.heading(axes, title, *described(model, which), *band)
        unknown = np.full(len(found.x), np.nan)
        error = unknown if found.standard_error is None else found.standard_error
        numbers = {"x": found.x, "y": found.y, "standard_error": error}
        return attach(figure, numbers, View("lines", "x", ("y",)))


def described(model: KAN, which: Edge) -> list[str]:
    """The function of an edge in words: a symbolic function with its constants, or a spline.

    The constants are in the units of the picture's axes.

    >>> described(KAN([1, 1], grid_size=5), (0, 0, 0))
    ['spline of degree 3 on 5 intervals']
    """
    n, i, o = which
    layer = model.layer(n)
    if layer.symbolic is None or (i, o) not in layer.symbolic.names:
        return [f"spline of degree {layer.degree} on {counted(layer.grid_size, 'interval')}"]
    a, b, c, d = layer.symbolic.of(i, o)
    if n == 0:
        scale, center = model.input_scale[i].item(), model.input_center[i].item()
        a, b = a / scale, b - a * center / scale
    if n == len(model.layers) - 1:
        c, d = (constant * model.output_scale[model.layer(n).owners[o]].item() for constant in (c, d))
    constants = zip("abcd", (a, b, c, d), strict=True)
    frozen = layer.frozen_table().get((i, o), "")
    return [
        f"c·f(a·x + b) + d, f = {typeset(layer.symbolic.names[i, o])}"
        + (f"; frozen: {', '.join(frozen)}" if frozen else ""),
        ", ".join(f"{letter} = {value:.5g}" for letter, value in constants).replace("-", "−"),
    ]


def node_names(model: KAN, which: Edge) -> tuple[str, str]:
    """The names of the nodes where an edge begins and ends.

    >>> node_names(KAN([2, 3, 1]), (0, 1, 2))
    ('x2', 'node 3 of layer 1')
    >>> node_names(KAN([2, [0, [2]]]), (0, 1, 1))
    ('x2', 'y')
    """
    n, i, o = which
    last = n == len(model.layers) - 1
    start = model.feature_names[i] if n == 0 else f"node {i + 1} of layer {n}"
    # Edges end at sums, and several sums may be factors of one product node.
    node = model.layer(n).owners[o]
    return start, model.target_names[node] if last else f"node {node + 1} of layer {n + 1}"


def _draw_knots(axes: Axes, knots: np.ndarray) -> None:
    """Draw the knots as ticks on the lower edge of the axes."""
    low, high = axes.get_xlim()
    seen = knots[(knots >= low) & (knots <= high)]
    axes.plot(
        seen,
        np.zeros_like(seen),
        "|",
        transform=axes.get_xaxis_transform(),
        color=style.KNOT,
        markersize=9,
        markeredgewidth=1.2,
        clip_on=False,
        zorder=4,
        gid="knots",
    )
