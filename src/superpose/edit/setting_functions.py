"""Symbolic functions set on single edges: fix, replace and linear, each of which returns a new model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from superpose.data import Dataset
from superpose.data.sampling import EDGE_SAMPLES, evenly
from superpose.edit.edge_curves import check_edge, edge_samples
from superpose.edit.pruning import input_index
from superpose.edit.refitting import polish, refit
from superpose.edit.releasing import release
from superpose.errors import OptionError
from superpose.formulas.candidates import fit_curve
from superpose.formulas.expressions.functions import resolve_function
from superpose.messages import nearest
from superpose.nn.model import KAN, Edge
from superpose.nn.rows import scaled_rows
from superpose.nn.symbolic_edges import CONSTANTS
from superpose.nn.symbolic_functions import SymbolicFunction

Constants = tuple[float, float, float, float]


@dataclass(frozen=True)
class _Replacing:
    """Steps of :func:`replace` on one edge with everything else held. Round numbers; nothing was measured.

    Attributes:
        spline_steps: of the edge as a spline, which is linear in its coefficients and needs few.
        symbol_steps: of the constants of the function that is nearest to that spline.
    """

    spline_steps: int = 20
    symbol_steps: int = 50


_REPLACING = _Replacing()


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
    """A new model in which an edge is the symbolic function ``c * f(a * x + b) + d``.

    Without ``constants`` the function is fitted to the edge's present curve. Symbolification as in Z. Liu et al., *KAN:
    Kolmogorov-Arnold Networks*, 2024, section 2.5.

    Args:
        model: it is not changed.
        data: where the curve is sampled: a data set (its training rows), or samples ``[S, n_in]`` in the user's units.
        edge: ``(layer, input, output)``.
        function: its name (see :func:`superpose.library`), or a SymPy function or expression of one symbol.
        constants: ``a, b, c, d``; by default fitted to the edge's present curve.
        frozen: constants that training and refitting must not change from now on: True for all of them, or letters
            such as ``"ab"``.
        units: of ``constants``: ``"scaled"``, the layer's own; or ``"table"``, in which ``a * x + b`` takes a column
            in the units of the table if the edge starts at a column, and ``c`` and ``d`` are in the target's units if
            the edge ends at a target that is a sum.

    Raises:
        OptionError: if the edge or the function does not exist, or the function cannot be fitted there.

    >>> import torch
    >>> x = torch.linspace(-1, 1, 60, dtype=torch.float64)[:, None]
    >>> fixed = fix(KAN([1, 1], seed=0), x, (0, 0, 0), "sin", (3.0, 0.0, 1.0, 0.0), frozen="a")
    >>> fixed.layer(0).symbolic_table(), torch.allclose(fixed(x), torch.sin(3 * x))
    ({(0, 0): ('sin', (3.0, 0.0, 1.0, 0.0))}, True)
    """
    where, known, letters = check_edge(model, edge), resolve_function(function), _frozen_letters(frozen)
    if constants is None:
        x, y = edge_samples(model, data, where)
        found = fit_curve(x, y, {known.name: known})
        if not found:
            raise OptionError(
                f"{known.name!r} has no finite values on the activations of edge {where}; choose another function"
            )
        constants = _unit_scale(known, found[0].constants)
    else:
        constants = _in_scaled_units(model, where, constants, units)
    a, b, c, d = (float(value) for value in constants)
    return set_functions(model, {where: (known.name, (a, b, c, d))}, {where: letters})


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
    """A new model in which an edge is a symbolic function that is fitted to the targets, not to the edge's curve.

    As :func:`fix`, but constants that are not given are fitted through the whole network to the training rows while
    all other edges stay as they are: first the edge is fitted as a spline, then the function nearest to that spline.

    Args:
        model: it is not changed.
        data: its training rows.
        edge, function, constants, frozen, units: as for :func:`fix`.

    Raises:
        OptionError: as :func:`fix`.

    >>> import torch
    >>> x = torch.linspace(-1, 1, 60, dtype=torch.float64)[:, None]
    >>> data = Dataset.from_arrays(x, torch.exp(x))
    >>> model = replace(KAN([1, 1], seed=0), data, (0, 0, 0), "exp")
    >>> torch.allclose(model(x), torch.exp(x))
    True
    """
    where = check_edge(model, edge)
    if constants is not None:
        return fix(model, data, where, function, constants, frozen=frozen, units=units)
    known, letters = resolve_function(function), _frozen_letters(frozen)
    x, y = scaled_rows(model, data)
    pick = evenly(len(x), EDGE_SAMPLES)
    n, i, o = where
    symbolic = (i, o) in model.layer(n).symbolic_table()
    freed = release(model, data, where) if symbolic else model.copy()
    polish(freed, x[pick], y[pick], steps=_REPLACING.spline_steps, only=where, head=model.head)
    made = fix(freed, data, where, known)
    polish(made, x[pick], y[pick], steps=_REPLACING.symbol_steps, only=where, head=model.head)
    constants = made.layer(n).symbolic_table()[i, o][1]
    return fix(model, data, where, known, constants, frozen=letters)


def linear(model: KAN, data: Dataset, column: str | int, *, steps: int = 50) -> KAN:
    """A new model in which every edge from a column is a straight line, refitted.

    In a network without hidden nodes the column then enters linearly; hidden nodes each receive a multiple of it.

    Args:
        model: it is not changed.
        data: its training rows.
        column: by name or by index.
        steps: of refitting, see :func:`refit`.

    Raises:
        OptionError: if the model has no such column, or does not read it.

    >>> import torch
    >>> x = torch.rand(60, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    >>> data = Dataset.from_arrays(x, 2 * x[:, 0] + torch.exp(x[:, 1]))
    >>> linear(KAN([2, 1], seed=0), data, 0).layer(0).symbolic_table()[0, 0][0]
    'x'
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
    return refit(set_functions(model, lines), data, steps=steps)


def _unit_scale(function: SymbolicFunction, constants: Constants) -> Constants:
    """The same curve with ``a`` of 1 or -1 where ``f`` is homogeneous, such as a power: its fit leaves ``a`` open.

    ``f(s u) = s**p f(u)`` for positive ``s`` makes ``c f(a x + b)`` and ``c s**p f((a x + b) / s)`` one curve.

    >>> from superpose.nn.symbolic_functions import find
    >>> _unit_scale(find("x^2"), (-1e-6, 0.0, 3e12, 0.5))
    (-1.0, 0.0, 3.0, 0.5)
    """
    a, b, c, d = constants
    scale = abs(a)
    u = torch.tensor([-1.3, -0.7, 0.6, 1.1], dtype=torch.float64)
    one, two, four = (function.evaluate(s * u) for s in (1.0, 2.0, 4.0))
    there = one.isfinite() & (one != 0)
    ratios = (two / one)[there]
    alike = bool(there.any()) and bool(torch.isclose(ratios, ratios[:1], rtol=1e-12).all())
    if not (alike and scale > 0 and bool(torch.isclose(four / one, (two / one) ** 2, rtol=1e-12)[there].all())):
        return constants
    power = math.log2(float(ratios[0])) if float(ratios[0]) > 0 else 0.0
    # Rounded where it is whole but for rounding, so that powers of 10 stay such.
    power = float(round(power)) if abs(power - round(power)) < 1e-9 else power
    made = a / scale, b / scale, c * scale**power, d
    return made if all(math.isfinite(value) for value in made) else constants


def _frozen_letters(frozen: bool | str) -> str:
    if isinstance(frozen, bool):
        return CONSTANTS if frozen else ""
    if not isinstance(frozen, str) or not set(frozen) <= set(CONSTANTS):
        raise OptionError(f"frozen is True, False or some of the letters a, b, c, d such as 'ab', not {frozen!r}")
    return "".join(letter for letter in CONSTANTS if letter in frozen)


def _in_scaled_units(model: KAN, edge: Edge, constants: Sequence[float], units: str) -> Constants:
    """The constants of a user, checked, in the layer's scaled units."""
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
            # The target is center + scale * sum of edges: an edge takes its share of the scale, none of the center.
            scale = float(model.output_scale[node])
            c, d = c / scale, d / scale
    return a, b, c, d


def table_constants(model: KAN, edge: Edge) -> Constants:
    """The constants of a symbolic edge as :func:`fix` takes them with ``units="table"``.

    >>> x = torch.linspace(0, 4, 60, dtype=torch.float64)[:, None]
    >>> model = KAN([1, 1], seed=0)
    >>> model.set_scaling(Dataset.from_arrays(x, x).x_scale, Dataset.from_arrays(x, 3 * x).y_scale)
    >>> made = fix(model, x, (0, 0, 0), "sin", (2.0, 1.0, 5.0, 0.0), units="table")
    >>> [round(value, 9) for value in table_constants(made, (0, 0, 0))]
    [2.0, 1.0, 5.0, 0.0]
    """
    n, i, o = edge
    layer = model.layer(n)
    a, b, c, d = layer.symbolic_table()[i, o][1]
    if n == 0:
        a, b = a / float(model.input_scale[i]), b - a * float(model.input_center[i]) / float(model.input_scale[i])
    node = layer.owners[o]
    if n == len(model.layers) - 1 and len(layer.sums_of(node)) == 1:
        scale = float(model.output_scale[node])
        c, d = c * scale, d * scale
    return a, b, c, d


def set_functions(
    model: KAN,
    edges: Mapping[Edge, tuple[str, Constants]],
    frozen: Mapping[Edge, str] | None = None,
) -> KAN:
    """A new model in which all these edges are symbolic functions with these constants.

    Args:
        model: it is not changed; its other symbolic edges stay as they are.
        edges: name and constants ``a, b, c, d`` of each edge's function, in the layers' scaled units.
        frozen: letters of the frozen constants of some of these edges; on the others all constants are free.
    """
    fixed = model.copy()
    for n, layer in enumerate(fixed.kan_layers()):
        table, held = layer.symbolic_table(), layer.frozen_table()
        new = {(i, o): value for (m, i, o), value in edges.items() if m == n}
        held = {edge: letters for edge, letters in held.items() if edge not in new}
        held |= {(i, o): letters for (m, i, o), letters in (frozen or {}).items() if m == n}
        layer.set_symbolic(table | new, held)
    return fixed
