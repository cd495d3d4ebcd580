"""One edge in detail: its function, its knots, and a histogram of its inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from superpose.data import Dataset
from superpose.errors import OptionError
from superpose.messages import counted
from superpose.nn import KAN
from superpose.nn.model import Edge
from superpose.nn.trace import Trace
from superpose.plot import canvas, style
from superpose.plot.canvas import typeset
from superpose.plot.curve_errors import CurveErrors, curve_errors
from superpose.plot.numbers import View, attach
from superpose.plot.samples import input_ranges, traced

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BINS = 40
# Enough for a smooth line on 3.6 inches at 160 dots per inch.
_CURVE_POINTS = 401


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
    n, i, o = which
    if which not in set(model.active_edges()):
        raise OptionError(f"there is no edge {i} -> {o} in layer {n} to draw; model.active_edges() lists the edges")
    layer = model.layer(n)
    into, out = units(model, which)
    inputs = trace.layers[n].inputs
    low, high = (bound[i].item() for bound in input_ranges(inputs))
    around = 0.03 * (high - low)
    places = torch.linspace(low - around, high + around, _CURVE_POINTS, dtype=torch.float64)
    with torch.no_grad():
        curve = layer.edge_function(i, o, places.to(layer.knots)).cpu()
    error = None if errors is None else errors.at(which, places)
    symbol = None if layer.symbolic is None else layer.symbolic.names.get((i, o))
    color = style.SYMBOLIC_EDGE if symbol else style.SPLINE_EDGE
    with canvas.default_style():
        figure = canvas.figure(4.4, 3.7)
        axes = figure.add_axes((0.15, 0.325, 0.815, 0.48))
        strip = figure.add_axes((0.15, 0.16, 0.815, 0.13), sharex=axes)
        for part in (axes, strip):
            canvas.plain_axes(part)
        axes.plot(into(places), _without_poles(out(curve)), color=color, linewidth=2, zorder=3, gid="curve")
        if error is not None:
            low, high = (out(curve.double() + sign * error) for sign in (-2, 2))
            axes.fill_between(into(places), low, high, color=color, alpha=0.2, linewidth=0, zorder=2, gid="band")
            height = float(np.ptp(out(curve))) or 1.0
            if float((high - low).max()) > 4 * height:
                # A band that is far wider than the curve must not flatten it.
                axes.set_ylim(float(out(curve).min()) - height, float(out(curve).max()) + height)
        _draw_histogram(strip, into(inputs[:, i]))
        strip.set(yticks=[])
        strip.spines["left"].set_visible(False)
        axes.tick_params(labelbottom=False)
        axes.set_xlim(*into(places[[0, -1]]))
        if symbol is None:
            _draw_knots(axes, into(layer.knots[i, layer.degree : layer.knots.shape[1] - layer.degree].cpu()))
        from_name, to_name = node_names(model, which)
        strip.set_xlabel(canvas.shortened(from_name, 40), size=10, color=style.TEXT, parse_math=False)
        title = f"{canvas.shortened(from_name)} → {canvas.shortened(to_name)}"
        band = [] if error is None else ["band: two standard errors"]
        canvas.heading(axes, title, *described(model, which), *band)
        unknown = np.full(len(places), np.nan)
        # As lengths: the units of the axis have no offset.
        numbers = {
            "x": into(places),
            "y": out(curve),
            "standard_error": unknown if error is None else out(error),
        }
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


def units(model: KAN, which: Edge) -> tuple[Any, Any]:
    """Maps from an edge's scaled inputs and outputs to the units of the axes.

    In float64: float32 has too few digits for a small range about a large offset.
    """
    n, i, o = which

    def into(values: Tensor) -> np.ndarray:
        values = values.double()
        if n == 0:
            values = values * model.input_scale[i].item() + model.input_center[i].item()
        return values.detach().numpy()

    def out(values: Tensor) -> np.ndarray:
        if n == len(model.layers) - 1:
            values = values * model.output_scale[model.layer(n).owners[o]].item()
        return values.detach().numpy()

    return into, out


def _without_poles(values: np.ndarray) -> np.ndarray:
    """The curve with NaN where it leaves the range of its central 96% by more than half that range, as at a pole.

    A design choice; otherwise the pole of 1/x would flatten the rest of the curve.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return values
    low, high = np.quantile(finite, [0.02, 0.98])
    around = 0.5 * (high - low)
    return np.where((values >= low - around) & (values <= high + around), values, np.nan)


def _draw_histogram(axes: Axes, values: np.ndarray) -> None:
    """How many samples lie where; a single bar where they are too near one another to be told apart in bins."""
    low, high = float(values.min()), float(values.max())
    edges = np.linspace(low, high, _BINS + 1)
    if not (np.diff(edges) > 0).all():
        around = 0.5 * max(abs(low), abs(high)) or 0.5
        edges = np.array([low - 0.02 * around, high + 0.02 * around])
    counts, _ = np.histogram(values, edges)
    axes.stairs(counts, edges, fill=True, color=style.HISTOGRAM, gid="histogram")
    axes.set_ylim(bottom=0)


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
