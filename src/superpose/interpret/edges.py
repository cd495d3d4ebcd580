"""Stepping in at one edge: suggest, fix, release, refit. Each but ``suggest`` returns a new model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from superpose._errors import OptionError
from superpose.data import Dataset
from superpose.interpret.candidates import SIMPLICITY, Candidate, fit_curve
from superpose.nn.model import KAN, Edge
from superpose.nn.symbolic import SymbolicFunction, find, library
from superpose.optim.levenberg_marquardt import LevenbergMarquardt
from superpose.spline import fitting, grid

# Curves are recognised from at most this many samples, whatever the size of the table.
_MOST_SAMPLES = 4096


def sample(data: Dataset | Tensor, count: int = _MOST_SAMPLES) -> Tensor:
    """At most ``count`` training rows ``[S, n_in]``, spread evenly over the table."""
    x = data.rows("train")[0] if isinstance(data, Dataset) else data
    if len(x) > count:
        x = x[torch.linspace(0, len(x) - 1, count).round().long()]
    return x


def scaled_rows(model: KAN, data: Dataset, split: Any = "train") -> tuple[Tensor, Tensor]:
    """Inputs and targets of a split in the model's scaled units and dtype."""
    x, y = data.rows(split)
    device = model.input_center.device
    return model.scale_inputs(x.to(device)), model.scale_targets(y.to(device))


def check_edge(model: KAN, edge: Sequence[int]) -> Edge:
    """The edge as ``(layer, input, output)`` if the model has it alive; raises :class:`OptionError` otherwise."""
    alive = model.active_edges()
    found = tuple(edge) if isinstance(edge, Sequence) else (edge,)
    if found not in alive:
        whole = len(found) == 3 and all(isinstance(n, int) and n >= 0 for n in found)
        layer = model.layer(found[0]) if whole and found[0] < len(model.layers) else None
        inside = layer is not None and found[1] < layer.in_features and found[2] < layer.sum_count
        why = "was removed" if inside else f"is not an edge (layer, input, output) of a network of widths {model.shape}"
        raise OptionError(f"{edge!r} {why}; model.active_edges() lists those that are alive")
    n, i, o = found
    return n, i, o


@torch.no_grad()
def edge_samples(model: KAN, data: Dataset | Tensor, edge: Edge) -> tuple[Tensor, Tensor]:
    """Activations that reach an edge and what it makes of them, each ``[S]``, in the layer's scaled units."""
    n, i, o = edge
    h = model.scale_inputs(sample(data))
    for layer in model.kan_layers()[:n]:
        h = layer(h)
    return h[:, i], model.layer(n).edge_function(i, o, h[:, i])


def suggest(
    model: KAN,
    data: Dataset | Tensor,
    edge: Sequence[int],
    *,
    top: int = 5,
    simplicity: float = SIMPLICITY,
    functions: Sequence[str] | None = None,
) -> list[Candidate]:
    """The symbolic functions that an edge looks most like, best first.

    Args:
        model, data: where the edge's curve comes from (the training rows, or samples ``[S, n_in]``).
        edge: ``(layer, input, output)``.
        top: how many.
        simplicity: how much a unit of complexity counts against a factor of ten in unexplained variance.
        functions: names to choose from; the whole library if left out.

    Raises:
        OptionError: for an edge that is not there or a function that does not exist.
    """
    known = _chosen(functions)
    x, y = edge_samples(model, data, check_edge(model, edge))
    return fit_curve(x, y, known, simplicity=simplicity)[:top]


def _chosen(functions: Sequence[str] | None) -> Mapping[str, SymbolicFunction]:
    if functions is None:
        return library()
    return {name: find(name) for name in functions}


def fix(
    model: KAN,
    data: Dataset | Tensor,
    edge: Sequence[int],
    name: str,
    constants: Sequence[float] | None = None,
) -> KAN:
    """A new model in which an edge is the symbolic function ``c * f(a * x + b) + d``.

    Args:
        edge: ``(layer, input, output)``.
        name: of the function; see :func:`superpose.library`.
        constants: ``a, b, c, d`` in the layer's scaled units; fitted to the edge's present curve if left out.

    Raises:
        OptionError: if the edge or the function does not exist, or the function cannot be fitted there.
    """
    where = check_edge(model, edge)
    function = find(name)
    if constants is None:
        x, y = edge_samples(model, data, where)
        found = fit_curve(x, y, {name: function})
        if not found:
            raise OptionError(
                f"{name!r} has no finite values on the activations of edge {where}; choose another function"
            )
        constants = found[0].constants
    elif len(constants) != 4:
        raise OptionError(f"constants must be the four numbers a, b, c, d, not {constants!r}")
    a, b, c, d = (float(value) for value in constants)
    return fix_all(model, {where: (name, (a, b, c, d))})


def fix_all(model: KAN, edges: Mapping[Edge, tuple[str, tuple[float, float, float, float]]]) -> KAN:
    """A new model in which all these edges are symbolic; those that were so before stay as they are."""
    fixed = model.copy()
    for n, layer in enumerate(fixed.kan_layers()):
        table = layer.symbolic_table()
        table.update({(i, o): value for (m, i, o), value in edges.items() if m == n})
        layer.set_symbolic(table)
    return fixed


@torch.no_grad()
def release(model: KAN, data: Dataset | Tensor, edge: Sequence[int]) -> KAN:
    """A new model in which a symbolic edge is a spline again, of the same shape over the activations' range.

    Raises:
        OptionError: if the edge is not there or is not symbolic.
    """
    n, i, o = check_edge(model, edge)
    freed = model.copy()
    layer = freed.layer(n)
    table = layer.symbolic_table()
    if (i, o) not in table:
        raise OptionError(f"edge {(n, i, o)} is a spline already; only symbolic edges can be released")
    x, _ = edge_samples(model, data, (n, i, o))
    # The grid belongs to the input and may serve other edges: it moves only if no spline stands on it.
    if not bool(layer.spline_mask()[i].any()):
        points = grid.adapted_breakpoints(x[:, None], layer.grid_size, blend=0.25, margin=0.02)
        knots = layer.knots.clone()
        knots[i] = grid.extended_knots(points, layer.degree)[0]
        layer.knots = knots
    places = fitting.sites(grid.breakpoints(layer.knots[i : i + 1], layer.degree), layer.degree).T
    inside = places[(places[:, 0] >= x.min()) & (places[:, 0] <= x.max())]
    x = torch.cat([x[:, None], inside])
    y = layer.edge_function(i, o, x[:, 0])
    coefficients = fitting.fit_curves(layer.knots[i : i + 1], layer.degree, x, y[:, None, None])
    del table[i, o]
    layer.set_symbolic(table)
    layer.spline_coefficients[i, :, o] = coefficients[0, :, 0]
    if layer.base_weight is not None:
        layer.base_weight[i, o] = 0.0
    return freed


def refit(model: KAN, data: Dataset, *, steps: int = 50, tolerance: float = 1e-3) -> KAN:
    """A new model whose free constants, symbolic and spline, are fitted again through the whole network.

    Levenberg-Marquardt on the training rows; stops when three steps together lower the squared error by less than
    ``tolerance`` of itself.
    """
    fitted = model.copy()
    x, y = scaled_rows(fitted, data)
    polish(fitted, x, y, steps=steps, tolerance=tolerance)
    return fitted


def polish(model: KAN, x: Tensor, y: Tensor, *, steps: int, tolerance: float = 1e-3) -> float:
    """Fit a model's free constants in place on scaled samples; returns the mean squared error."""
    stepper = LevenbergMarquardt(model, x, y, damping=1e-3)
    losses = [stepper.loss]
    for _ in range(steps):
        result = stepper.step()
        losses.append(result.loss)
        if result.stalled or result.loss < 1e-28 or losses[-1] != losses[-1]:
            break
        if len(losses) > 4 and losses[-1] > losses[-4] * (1 - tolerance):
            break
    return losses[-1]
