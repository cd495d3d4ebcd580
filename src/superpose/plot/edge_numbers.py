"""One edge close up, as numbers: its curve, slope and errors, its knots, and where its inputs lie; drawn elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from superpose.errors import OptionError
from superpose.nn import KAN
from superpose.nn.model import Edge
from superpose.nn.trace import Trace
from superpose.plot.curve_errors import CurveErrors
from superpose.plot.samples import input_ranges

_BINS = 40
# Enough for a smooth line on 3.6 inches at 160 dots per inch.
_CURVE_POINTS = 401


@dataclass(frozen=True)
class EdgeNumbers:
    """What a picture of one edge shows, in the units of its axes (see :func:`units`).

    Attributes:
        places: ``[G]``, the scaled inputs that belong to ``x``.
        x, y: ``[G]``, the curve, a little beyond the range of the edge's inputs.
        slope: ``[G]``, the derivative of ``y`` by ``x``.
        standard_error: ``[G]``, of ``y``; None where it is not known.
        knots: ``[G + 1]``, the breakpoints of the grid.
        counts, bins: how many inputs lie between neighbouring ones of ``bins``.
        symbol: the name of a symbolic function; None for a spline.
    """

    places: Tensor
    x: np.ndarray
    y: np.ndarray
    slope: np.ndarray
    standard_error: np.ndarray | None
    knots: np.ndarray
    counts: np.ndarray
    bins: np.ndarray
    symbol: str | None


def edge_numbers(
    model: KAN, trace: Trace, which: Edge, errors: CurveErrors | None = None, points: int = _CURVE_POINTS
) -> EdgeNumbers:
    """The numbers of one edge at so many points, for activations and errors that are known.

    Raises:
        OptionError: if the model has no such edge, or the edge was pruned.
    """
    n, i, o = which
    if which not in set(model.active_edges()):
        raise OptionError(f"there is no edge {i} -> {o} in layer {n} to draw; model.active_edges() lists the edges")
    layer = model.layer(n)
    into, out = units(model, which)
    inputs = trace.layers[n].inputs
    low, high = (bound[i].item() for bound in input_ranges(inputs))
    around = 0.03 * (high - low)
    places = torch.linspace(low - around, high + around, points, dtype=torch.float64)
    moving = places.to(layer.knots).requires_grad_()
    curve = layer.edge_function(i, o, moving)
    (slope,) = torch.autograd.grad(curve.sum(), moving)
    error = None if errors is None else errors.at(which, places)
    symbol = None if layer.symbolic is None else layer.symbolic.names.get((i, o))
    counts, bins = histogram(into(inputs[:, i]))
    # As lengths: the units of the axis have no offset.
    widths = float(into(torch.tensor(1.0)) - into(torch.tensor(0.0)))
    return EdgeNumbers(
        places=places,
        x=into(places),
        y=out(curve.detach().cpu()),
        slope=out(slope.cpu()) / widths,
        standard_error=None if error is None else out(error),
        knots=into(layer.knots[i, layer.degree : layer.knots.shape[1] - layer.degree].cpu()),
        counts=counts,
        bins=bins,
        symbol=symbol,
    )


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


def without_poles(values: np.ndarray) -> np.ndarray:
    """The curve with NaN where it leaves the range of its central 96% by more than half that range, as at a pole.

    A design choice; otherwise the pole of 1/x would flatten the rest of the curve.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return values
    low, high = np.quantile(finite, [0.02, 0.98])
    around = 0.5 * (high - low)
    return np.where((values >= low - around) & (values <= high + around), values, np.nan)


def histogram(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many samples lie where; a single bin where they are too near one another to be told apart in several."""
    low, high = float(values.min()), float(values.max())
    edges = np.linspace(low, high, _BINS + 1)
    if not (np.diff(edges) > 0).all():
        around = 0.5 * max(abs(low), abs(high)) or 0.5
        edges = np.array([low - 0.02 * around, high + 0.02 * around])
    counts, _ = np.histogram(values, edges)
    return counts, edges
