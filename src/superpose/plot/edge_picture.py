"""One edge close up: its curve, its samples, its knots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from superpose.errors import OptionError
from superpose.messages import counted
from superpose.nn import KAN
from superpose.nn.model import Edge, Trace
from superpose.plot import canvas
from superpose.plot.canvas import typeset
from superpose.plot.samples import ends, traced

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CURVE_POINTS, _BINS = 401, 40


def edge(model: KAN, x: Tensor | Any, layer: int, i: int, o: int) -> Figure:
    """Draw one edge: its curve over the samples' activations, these as a histogram, and the knots.

    Inputs are in the user's units on the first layer, outputs on the last; what lies between is in
    the network's own.

    Args:
        model: any model.
        x: samples in the user's units, as for :func:`network`.
        layer, i, o: which edge.

    Raises:
        OptionError: if the model has no such edge, or it was removed.
    """
    return close_up(model, traced(model, x), (layer, i, o))


def close_up(model: KAN, trace: Trace, which: Edge) -> Figure:
    """:func:`edge` for activations that are at hand."""
    n, i, o = which
    if which not in set(model.active_edges()):
        raise OptionError(
            f"there is no edge {i} -> {o} in layer {n} to draw; model.active_edges() lists those that there are"
        )
    layer = model.layer(n)
    into, out = _units(model, which)
    inputs = trace.layers[n].inputs
    low, high = (end[i].item() for end in ends(inputs))
    around = 0.03 * (high - low)
    places = torch.linspace(low - around, high + around, _CURVE_POINTS, dtype=torch.float64)
    with torch.no_grad():
        curve = layer.edge_function(i, o, places.to(layer.knots)).cpu()
    symbol = None if layer.symbolic is None else layer.symbolic.names.get((i, o))
    color = canvas.ACCENT if symbol else canvas.INK
    with canvas.settings():
        figure = canvas.figure(4.4, 3.7)
        axes = figure.add_axes((0.15, 0.325, 0.815, 0.48))
        strip = figure.add_axes((0.15, 0.16, 0.815, 0.13), sharex=axes)
        for part in (axes, strip):
            canvas.plain_axes(part)
        axes.plot(into(places), _trimmed(out(curve)), color=color, linewidth=2, zorder=3, gid="curve")
        _draw_histogram(strip, into(inputs[:, i]))
        strip.set(yticks=[])
        strip.spines["left"].set_visible(False)
        axes.tick_params(labelbottom=False)
        axes.set_xlim(*into(places[[0, -1]]))
        if symbol is None:
            _draw_knots(axes, into(layer.knots[i, layer.degree : layer.knots.shape[1] - layer.degree].cpu()))
        from_name, to_name = ends_of(model, which)
        strip.set_xlabel(canvas.shortened(from_name, 40), size=10, color=canvas.INK, parse_math=False)
        title = f"{canvas.shortened(from_name)} → {canvas.shortened(to_name)}"
        canvas.heading(axes, title, *described(model, which))
        return figure


def described(model: KAN, which: Edge) -> list[str]:
    """What stands on an edge, in words: a symbolic function with its constants, or a spline.

    The constants are those of the picture: in the user's units where its axes are.

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


def ends_of(model: KAN, which: Edge) -> tuple[str, str]:
    """What an edge comes from and what it goes to, in words.

    >>> ends_of(KAN([2, 3, 1]), (0, 1, 2))
    ('x2', 'node 3 of layer 1')
    >>> ends_of(KAN([2, [0, [2]]]), (0, 1, 1))
    ('x2', 'y')
    """
    n, i, o = which
    last = n == len(model.layers) - 1
    start = model.feature_names[i] if n == 0 else f"node {i + 1} of layer {n}"
    # Edges lead to sums, of which several may belong to one product.
    node = model.layer(n).owners[o]
    return start, model.target_names[node] if last else f"node {node + 1} of layer {n + 1}"


def _units(model: KAN, which: Edge) -> tuple[Any, Any]:
    """From scaled inputs and outputs of an edge to what is drawn, in float64, which has digits for an offset too."""
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


def _trimmed(values: np.ndarray) -> np.ndarray:
    """A curve without what shoots far out of the rest, as 1/x does at its pole."""
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
    axes.stairs(counts, edges, fill=True, color=canvas.LIGHT, gid="histogram")
    axes.set_ylim(bottom=0)


def _draw_knots(axes: Axes, knots: np.ndarray) -> None:
    """Where the pieces of the spline meet, as ticks on the lower edge."""
    low, high = axes.get_xlim()
    seen = knots[(knots >= low) & (knots <= high)]
    axes.plot(
        seen,
        np.zeros_like(seen),
        "|",
        transform=axes.get_xaxis_transform(),
        color=canvas.SECOND,
        markersize=9,
        markeredgewidth=1.2,
        clip_on=False,
        zorder=4,
        gid="knots",
    )
