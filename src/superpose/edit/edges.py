"""Stepping in at edges: suggest, fix, replace, release, remove, linear, refit.

Each but ``suggest`` returns a new model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from superpose.data import Dataset
from superpose.data.sampling import sample
from superpose.edit.pruning import input_index, prune
from superpose.errors import OptionError, nearest
from superpose.formulas.candidates import SIMPLICITY, Candidate, fit_curve
from superpose.formulas.expressions.functions import chosen, named
from superpose.nn.model import KAN, Edge
from superpose.nn.rows import scaled_rows
from superpose.nn.symbolic import CONSTANTS, SymbolicFunction, find, library
from superpose.optim.levenberg_marquardt import LevenbergMarquardt
from superpose.spline import fitting, grid


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
    return {name: find(name) for name in chosen(functions)}


def fix(
    model: KAN,
    data: Dataset | Tensor,
    edge: Sequence[int],
    function: str | SymbolicFunction | Any,
    constants: Sequence[float] | None = None,
    *,
    frozen: bool | str = False,
    units: Literal["scaled", "table"] = "scaled",
) -> KAN:
    """A new model in which an edge is the symbolic function ``c * f(a * x + b) + d``, as near to its present curve as
    can be.

    Args:
        edge: ``(layer, input, output)``.
        function: its name (see :func:`superpose.library`), or a SymPy function or expression of one symbol.
        constants: ``a, b, c, d``; fitted to the edge's present curve if left out.
        frozen: which constants training and refitting leave alone from now on: all of them, or some such as ``"ab"``.
        units: of ``constants``: ``"scaled"``, the layer's own; or ``"table"``, in which ``a * x + b`` takes the column
            as it stands in the table where the edge comes from a column, and ``c`` and ``d`` are in the target's units
            where it leads to a target that is a sum.

    Raises:
        OptionError: if the edge or the function does not exist, or the function cannot be fitted there.
    """
    where, known, letters = check_edge(model, edge), named(function), _letters(frozen)
    if constants is None:
        x, y = edge_samples(model, data, where)
        found = fit_curve(x, y, {known.name: known})
        if not found:
            raise OptionError(
                f"{known.name!r} has no finite values on the activations of edge {where}; choose another function"
            )
        constants = found[0].constants
    else:
        constants = _given(model, where, constants, units)
    a, b, c, d = (float(value) for value in constants)
    return fix_all(model, {where: (known.name, (a, b, c, d))}, {where: letters})


def replace(
    model: KAN,
    data: Dataset,
    edge: Sequence[int],
    function: str | SymbolicFunction | Any,
    constants: Sequence[float] | None = None,
    *,
    frozen: bool | str = False,
    units: Literal["scaled", "table"] = "scaled",
) -> KAN:
    """A new model in which an edge is another function, whatever its curve was, fitted to the targets.

    As :func:`fix`, but where ``constants`` are left out they are fitted through the whole network to the training
    rows, everything else held as it is: first the edge as a spline, then the function that is nearest to that.

    Args:
        data: its training rows.
        edge, function, constants, frozen, units: as for :func:`fix`.

    Raises:
        OptionError: as :func:`fix`.
    """
    where = check_edge(model, edge)
    if constants is not None:
        return fix(model, data, where, function, constants, frozen=frozen, units=units)
    known, letters = named(function), _letters(frozen)
    x, y = scaled_rows(model, data)
    pick = sample(torch.arange(len(x))[:, None])[:, 0]
    n, i, o = where
    symbolic = (i, o) in model.layer(n).symbolic_table()
    freed = release(model, data, where) if symbolic else model.copy()
    polish(freed, x[pick], y[pick], steps=20, only=where)
    made = fix(freed, data, where, known)
    polish(made, x[pick], y[pick], steps=50, only=where)
    constants = made.layer(n).symbolic_table()[i, o][1]
    return fix(model, data, where, known, constants, frozen=letters)


def remove(model: KAN, data: Dataset | Tensor, edge: Sequence[int]) -> KAN:
    """A new model without an edge, whose mean over the samples another edge of its node takes up.

    Nodes that are left without edges go too; see :func:`~superpose.prune`, which takes out several at once.

    Raises:
        OptionError: if the edge is not there, or without it an output would depend on no input.
    """
    return prune(model, data, edges=[check_edge(model, edge)])


def linear(model: KAN, data: Dataset, column: str | int, *, steps: int = 50) -> KAN:
    """A new model in which every edge from a column is a straight line, refitted.

    A column of a network without hidden nodes then enters linearly; with hidden nodes, each of these sees a multiple
    of it.

    Args:
        data: its training rows.
        column: by name or by index.
        steps: of refitting.

    Raises:
        OptionError: if the model has no such column, or does not read it.
    """
    i = input_index(model, column)
    edges = [edge for edge in model.active_edges() if edge[:2] == (0, i)]
    if not edges:
        raise OptionError(f"the model does not read {model.feature_names[i]!r}: all of its edges were removed")
    lines = {}
    for edge in edges:
        x, y = edge_samples(model, data, edge)
        slope = float((x - x.mean()) @ (y - y.mean()) / (x - x.mean()).square().sum().clamp(min=1e-300))
        lines[edge] = "x", (1.0, 0.0, slope, float(y.mean() - slope * x.mean()))
    return refit(fix_all(model, lines), data, steps=steps)


def _letters(frozen: bool | str) -> str:
    if isinstance(frozen, bool):
        return CONSTANTS if frozen else ""
    if not isinstance(frozen, str) or not set(frozen) <= set(CONSTANTS):
        raise OptionError(f"frozen is True, False or some of the letters a, b, c, d such as 'ab', not {frozen!r}")
    return "".join(letter for letter in CONSTANTS if letter in frozen)


def _given(model: KAN, edge: Edge, constants: Sequence[float], units: str) -> tuple[float, float, float, float]:
    """Constants that a person gave, in the layer's scaled units."""
    if units not in ("scaled", "table"):
        raise OptionError(f"units must be 'scaled' or 'table', not {units!r}{nearest(str(units), ('scaled', 'table'))}")
    try:
        a, b, c, d = (float(value) for value in constants)
    except (TypeError, ValueError):
        raise OptionError(f"constants must be the four numbers a, b, c, d, not {constants!r}") from None
    if not all(math.isfinite(value) for value in (a, b, c, d)):
        raise OptionError(f"constants must be four finite numbers a, b, c, d, not {constants!r}")
    n, i, o = edge
    layer = model.layer(n)
    if units == "table":
        if n == 0:
            a, b = a * float(model.input_scale[i]), b + a * float(model.input_center[i])
        node = layer.owners[o]
        if n == len(model.layers) - 1 and len(layer.sums_of(node)) == 1:
            # The center of the target is no edge's; the sum of the edges is what lies beside it.
            scale = float(model.output_scale[node])
            c, d = c / scale, d / scale
    return a, b, c, d


def fix_all(
    model: KAN,
    edges: Mapping[Edge, tuple[str, tuple[float, float, float, float]]],
    frozen: Mapping[Edge, str] | None = None,
) -> KAN:
    """A new model in which all these edges are symbolic, with nothing frozen but what is named; those that were so
    before stay as they are."""
    fixed = model.copy()
    for n, layer in enumerate(fixed.kan_layers()):
        table, held = layer.symbolic_table(), layer.frozen_table()
        new = {(i, o): value for (m, i, o), value in edges.items() if m == n}
        held = {edge: letters for edge, letters in held.items() if edge not in new}
        held |= {(i, o): letters for (m, i, o), letters in (frozen or {}).items() if m == n}
        layer.set_symbolic(table | new, held)
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


def polish(model: KAN, x: Tensor, y: Tensor, *, steps: int, tolerance: float = 1e-3, only: Edge | None = None) -> float:
    """Fit a model's free constants, or ``only`` all those of one symbolic edge, in place on scaled samples; returns the
    mean squared error."""
    stepper = LevenbergMarquardt(model, x, y, damping=1e-3)
    if only is not None:
        stepper.parameters.hold_all_but(only)
    losses = [stepper.loss]
    for _ in range(steps):
        result = stepper.step()
        losses.append(result.loss)
        if result.stalled or result.loss < 1e-28 or losses[-1] != losses[-1]:
            break
        if len(losses) > 4 and losses[-1] > losses[-4] * (1 - tolerance):
            break
    return losses[-1]
