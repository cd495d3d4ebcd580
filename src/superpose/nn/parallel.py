"""weighted_sum: networks of the same columns side by side, as one network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from superpose.data.scaling import Affine
from superpose.errors import OptionError
from superpose.nn.model import KAN
from superpose.spline import grid

_IDENTITY = ("x", (1.0, 0.0, 1.0, 0.0), "abcd")
Symbolic = tuple[str, tuple[float, float, float, float], str]


@dataclass
class _Layer:
    """A layer as a list of edges.

    Attributes:
        plain: nodes that are sums.
        products: factors of each node that is a product; these nodes come after the sums.
        symbolic: name, constants and frozen constants by ``(input node, sum)``.
        splines: coefficients ``[R]`` by ``(input node, sum)``.
        knots: of the inputs of spline edges.
        grid: grid size and degree.
    """

    plain: int
    products: tuple[int, ...] = ()
    symbolic: dict[tuple[int, int], Symbolic] = field(default_factory=dict)
    splines: dict[tuple[int, int], Tensor] = field(default_factory=dict)
    knots: dict[int, Tensor] = field(default_factory=dict)
    grid: tuple[int, int] = (1, 3)


@torch.no_grad()
def weighted_sum(models: Sequence[KAN], weights: Sequence[float]) -> KAN:
    """One network whose output is a weighted sum of those of others, exactly.

    Args:
        models: of the same columns and with one output each, without base functions on spline edges.
        weights: one for each.

    Raises:
        OptionError: if two models have different knots for the same column in the first layer, splines of different
            degrees in the same layer, or base functions.

    >>> line = KAN([1, 1], base="none")
    >>> line.layer(0).set_symbolic({(0, 0): ("x", (1.0, 0.0, 2.0, 1.0))})
    >>> wave = KAN([1, 1], base="none")
    >>> wave.layer(0).set_symbolic({(0, 0): ("sin", (1.0, 0.0, 1.0, 0.0))})
    >>> both = weighted_sum([line, wave], [0.25, 2.0])
    >>> x = torch.tensor([[0.5]], dtype=torch.float64)
    >>> bool(((both(x) - (0.25 * line(x) + 2 * wave(x))).abs() < 1e-12).all())
    True
    """
    first = next((one for one in models if bool(one.layer(0).spline_mask().any())), models[0])
    stacks = [_layers(one, first) for one in models]
    # In a single layer all of them would share the edges to the output.
    depth = max(2, *map(len, stacks))
    for stack, model, weight in zip(stacks, models, weights, strict=True):
        while len(stack) < depth:
            stack.append(_Layer(1, symbolic={(0, 0): _IDENTITY}))
        _scale_outputs(stack[-1], weight * float(model.output_scale), weight * float(model.output_center))
    columns = models[0].widths[0]
    inputs = [list(range(columns)) for _ in stacks]
    merged = []
    for n in range(depth):
        layer, inputs = _side_by_side([stack[n] for stack in stacks], inputs, last=n == depth - 1)
        merged.append(layer)
    widths = [columns, *([layer.plain, list(layer.products)] if layer.products else layer.plain for layer in merged)]
    made = KAN(
        widths,
        grid_size=[layer.grid[0] for layer in merged],
        degree=[layer.grid[1] for layer in merged],
        base="none",
        feature_names=models[0].feature_names,
        target_names=models[0].target_names,
        dtype=models[0].layer(0).coefficients.dtype,
    )
    made.preparation = models[0].preparation
    one = torch.ones(1, dtype=torch.float64)
    made.set_scaling(Affine(first.input_center.clone(), first.input_scale.clone()), Affine(0 * one, one))
    for n, layer in enumerate(merged):
        _fill(made, n, layer)
    return made


def _layers(model: KAN, like: KAN) -> list[_Layer]:
    """The layers of a model, for inputs in the scaling of another."""
    # ``z = ratio * z' + shift`` from the other's scaled inputs.
    ratio = like.input_scale / model.input_scale
    shift = (like.input_center - model.input_center) / model.input_scale
    found = []
    for n, layer in enumerate(model.kan_layers()):
        if layer.base != "none":
            raise OptionError("only networks without base functions can be added; make them with base='none'")
        made = _Layer(layer.plain_count, tuple(layer.products), grid=(layer.grid_size, layer.degree))
        frozen = layer.frozen_table()
        for (i, o), (name, (a, b, c, d)) in layer.symbolic_table().items():
            if bool(layer.mask[i, o]):
                if n == 0:
                    a, b = a * float(ratio[i]), a * float(shift[i]) + b
                made.symbolic[i, o] = (name, (a, b, c, d), frozen.get((i, o), ""))
        for i, o in layer.spline_mask().nonzero().tolist():
            made.splines[i, o] = layer.coefficients[i, :, o]
            made.knots[i] = (layer.knots[i] - shift[i]) / ratio[i] if n == 0 else layer.knots[i]
        found.append(made)
    return found


def _scale_outputs(layer: _Layer, factor: float, shift: float) -> None:
    """Scale the output of a last layer, and shift it on one of its edges."""
    for edge, rows in layer.splines.items():
        # B-splines sum to one.
        layer.splines[edge] = rows * factor + shift
        shift = 0.0
    for edge, (name, (a, b, c, d), frozen) in layer.symbolic.items():
        layer.symbolic[edge] = (name, (a, b, c * factor, d * factor + shift), frozen)
        shift = 0.0


def _side_by_side(
    layers: Sequence[_Layer], inputs: Sequence[list[int]], *, last: bool
) -> tuple[_Layer, list[list[int]]]:
    """The layers as one, and where it has the nodes of each of them.

    Args:
        inputs: where the joint network has the nodes before each layer.
        last: whether all of them end in the same node.
    """
    plain = 1 if last else sum(layer.plain for layer in layers)
    made = _Layer(plain, sum((layer.products for layer in layers), ()))
    grids = {layer.grid for layer in layers if layer.splines}
    if len({degree for _, degree in grids}) > 1:
        raise OptionError("networks with splines of different degrees in the same layer cannot be added")
    made.grid = max(grids, default=made.grid)
    layers = [_refined(layer, made.grid) for layer in layers]
    sums, nodes, factors, places = 0, plain, plain, list[list[int]]()
    for layer, before in zip(layers, inputs, strict=True):
        where = [0 if last else sums + k for k in range(layer.plain)]
        factor_places = list(range(factors, factors + sum(layer.products)))
        joint = where + factor_places
        made.symbolic |= {(before[i], joint[o]): edge for (i, o), edge in layer.symbolic.items()}
        made.splines |= {(before[i], joint[o]): rows for (i, o), rows in layer.splines.items()}
        for i, knots in layer.knots.items():
            if not torch.allclose(made.knots.setdefault(before[i], knots), knots):
                raise OptionError("networks with different knots for the same column cannot be added")
        places.append([*where, *range(nodes, nodes + len(layer.products))])
        sums, nodes, factors = sums + layer.plain, nodes + len(layer.products), factors + sum(layer.products)
    return made, places


def _refined(layer: _Layer, size: tuple[int, int]) -> _Layer:
    """The same functions on a finer grid."""
    count, degree = size
    if not layer.splines or layer.grid[0] == count:
        return layer
    knots, matrices = {}, {}
    for i, old in layer.knots.items():
        points = grid.split_breakpoints(grid.breakpoints(old[None], degree), count)
        knots[i] = grid.extended_knots(points, degree)[0]
        matrices[i] = grid.insertion_matrix(old[None], knots[i][None], degree)[0]
    splines = {(i, o): matrices[i].to(rows.dtype) @ rows for (i, o), rows in layer.splines.items()}
    return replace(layer, splines=splines, knots=knots, grid=size)


def _fill(model: KAN, n: int, made: _Layer) -> None:
    layer = model.layer(n)
    if made.knots:
        rows = layer.knots.clone()
        for i, knots in made.knots.items():
            rows[i] = knots
        layer.set_knots(rows)
    layer.coefficients.zero_()
    layer.mask[:] = False
    for (i, o), coefficients in made.splines.items():
        layer.mask[i, o] = True
        layer.coefficients[i, :, o] = coefficients
    for edge in made.symbolic:
        layer.mask[edge] = True
    table = {edge: (name, constants) for edge, (name, constants, _) in made.symbolic.items()}
    layer.set_symbolic(table, {edge: frozen for edge, (_, _, frozen) in made.symbolic.items() if frozen})
