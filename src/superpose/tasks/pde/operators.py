"""Derivatives of a KAN's outputs by its inputs, exact and in the user's units, carried forward through the layers.

With ``h_S`` the derivative of a layer's inputs by the variables ``S`` (``S = (0, 0)``: twice by the first), the chain
rule for its outputs ``y = sum_i phi_i(h_i)`` is a sum over the ways ``p`` of sharing ``S`` out (Faa di Bruno):

    y_S = sum over p of  sum_i phi_i^(|p|)(h_i) * product over T in p of h_T

so ``y_x = edge_sum_1(h_x)``, ``y_xt = edge_sum_2(h_x h_t) + edge_sum_1(h_xt)``, and so on: all that share an order are
one call of :func:`superpose.spline.edge_sum`. A product node's derivative is the sum over the ways of sharing ``S`` out
among its factors (Leibniz). Derivatives of a spline above its degree are zero, and the highest but
one is only piecewise smooth: an equation of second order wants a degree of at least 4.
"""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from superpose.errors import OptionError, ShapeError
from superpose.messages import nearest
from superpose.nn.layer import KANLayer
from superpose.nn.model import KAN
from superpose.nn.symbolic_functions import SymbolicFunction
from superpose.spline import ops

Index = tuple[int, ...]
By = int | str | Sequence[int | str]


@functools.cache
def shares(index: Index) -> dict[int, tuple[tuple[int, tuple[Index, ...]], ...]]:
    """The ways of sharing variables out, by their number of parts, each with how often it occurs.

    >>> shares((0, 0))
    {1: ((1, ((0, 0),)),), 2: ((1, ((0,), (0,))),)}
    """
    ways: list[list[Index]] = [[]]
    for one in index:
        ways = [
            [*way[:place], (*way[place], one), *way[place + 1 :]] if place < len(way) else [*way, (one,)]
            for way in ways
            for place in range(len(way) + 1)
        ]
    counted = Counter(tuple(sorted(tuple(sorted(part)) for part in way)) for way in ways)
    return {
        order: tuple((times, way) for way, times in counted.items() if len(way) == order)
        for order in range(1, len(index) + 1)
    }


class Derivatives:
    """Derivatives of a model's outputs at samples, each computed when it is first asked for.

    Args:
        model: its function is differentiated as it stands now.
        x: ``[B, n_in]`` in the user's units.
        leaves: the first layer's sums are made leaves of autograd and its coefficients taken as constants, so that
            gradients by every layer's sums can be asked for; see :mod:`superpose.tasks.pde.equations`.

    >>> model = KAN([2, 3, 1], degree=5, seed=0)
    >>> Derivatives(model, torch.zeros(4, 2)).of((0, 1)).shape
    torch.Size([4, 1])
    """

    def __init__(self, model: KAN, x: Tensor, *, leaves: bool = False) -> None:
        self.model, self.leaves = model, leaves
        self.layers = model.kan_layers()
        self.inputs = model.scale_inputs(x)
        if self.inputs.dim() != 2:
            raise ShapeError(f"derivatives are taken at samples of shape [B, {x.shape[-1]}], not {tuple(x.shape)}")
        self._rows = [layer.rows().detach() if leaves else layer.rows() for layer in self.layers]
        # sums[n][S]: derivative S of layer n's sums; factors[n][S][m]: what stands beside phi^(m) in it.
        self.sums: list[dict[Index, Tensor]] = [{} for _ in self.layers]
        self.factors: list[dict[Index, dict[int, Tensor | None]]] = [{} for _ in self.layers]

    def of(self, index: Index) -> Tensor:
        """The derivative ``[B, n_out]`` by the inputs with these indices, in the user's units; ``()`` for the value."""
        scaled = self._output(len(self.layers) - 1, tuple(sorted(index)))
        if not index:
            return torch.addcmul(self.model.output_center, scaled, self.model.output_scale)
        return scaled * self.model.output_scale

    def layer_input(self, n: int) -> Tensor:
        """``[B, I]``: the inputs of layer ``n``."""
        return self.inputs if n == 0 else self._output(n - 1, ())

    def _output(self, n: int, index: Index) -> Tensor:
        """Derivative ``[B, out_features]`` of layer ``n``'s nodes."""
        layer = self.layers[n]
        if not layer.products:
            return self._sum(n, index)
        plain, start, parts = layer.plain_count, layer.plain_count, []
        if plain:
            parts.append(self._sum(n, index)[:, :plain])
        for arity in layer.products:
            total: Tensor | None = None
            # Each variable goes to one of the factors.
            for way in itertools.product(range(arity), repeat=len(index)):
                shared = [tuple(v for v, to in zip(index, way, strict=True) if to == j) for j in range(arity)]
                term = functools.reduce(torch.mul, [self._sum(n, s)[:, start + j] for j, s in enumerate(shared)])
                total = term if total is None else total + term
            assert total is not None
            parts.append(total[:, None])
            start += arity
        return torch.cat(parts, 1)

    def _sum(self, n: int, index: Index) -> Tensor:
        if index not in self.sums[n]:
            self.factors[n][index] = self._factors(n, index)
            value = _layer_derivative(self.layers[n], self._rows[n], self.layer_input(n), self.factors[n][index])
            if n == 0 and self.leaves:
                value = value.detach().requires_grad_()
            self.sums[n][index] = value
        return self.sums[n][index]

    def _factors(self, n: int, index: Index) -> dict[int, Tensor | None]:
        """What stands beside each derivative of the edges: ``{order: [B, I]}``, None for ones."""
        if not index:
            return {0: None}
        if n == 0:
            # The inputs are straight lines in themselves: only derivatives by one and the same of them are left.
            if len(set(index)) > 1:
                return {}
            column = torch.zeros_like(self.inputs)
            column[:, index[0]] = self.model.input_scale[index[0]] ** -len(index)
            return {len(index): column}
        found: dict[int, Tensor | None] = {}
        for order, ways in shares(index).items():
            total: Tensor | None = None
            for times, way in ways:
                product = functools.reduce(torch.mul, [self._output(n - 1, part) for part in way])
                total = times * product if total is None else total + times * product
            found[order] = total
        return found


class NestedDerivatives:
    """The same for any torch module, by differentiating its output again and again: the yardstick, not the tool."""

    def __init__(self, module: torch.nn.Module, x: Tensor) -> None:
        self.module, self.x = module, x.detach().requires_grad_()

    def of(self, index: Index) -> Tensor:
        """As :class:`Derivatives` gives it."""
        with torch.enable_grad():
            columns = []
            for column in self.module(self.x).unbind(1):
                for i in index:
                    column = torch.autograd.grad(column.sum(), self.x, create_graph=True)[0][:, i]
                columns.append(column)
            return torch.stack(columns, 1)


def _layer_derivative(layer: KANLayer, rows: Tensor, h: Tensor, factors: dict[int, Tensor | None]) -> Tensor:
    """``sum over orders of sum_i factor_i phi_io^(order)(h_i)``, ``[B, O]``."""
    total: Tensor | None = None
    for order, factor in factors.items():
        part = ops.edge_sum(factor, rows, h, layer.knots, layer.degree, layer.base, order)
        total = part if total is None else total + part
    if total is None:
        total = h.new_zeros((len(h), layer.sum_count))
    if layer.symbolic is None or not factors:
        return total
    columns = list(total.unbind(1))
    for place, (i, o) in enumerate(layer.symbolic.edges):
        constants = layer.symbolic.constants[place].expand(len(h), 4)
        columns[o] = columns[o] + symbolic_part(layer.symbolic.functions[place], constants, h[:, i], factors, i)
    return torch.stack(columns, -1)


def symbolic_part(
    function: SymbolicFunction, constants: Tensor, h: Tensor, factors: dict[int, Tensor | None], i: int
) -> Tensor:
    """What a symbolic edge ``c * f(a * h + b) + d`` from input ``i`` adds to a layer's derivative, ``[B]``.

    Args:
        function: ``f``.
        constants: ``[B, 4]``: ``a, b, c, d``, for each sample.
        h: ``[B]``.
        factors: as in :class:`Derivatives`.
        i: which column of the factors.
    """
    a, b, c, d = constants.unbind(1)
    total = torch.zeros_like(h)
    for order, factor in factors.items():
        value = c * a**order * _symbolic_derivative(function, a * h + b, order)
        total = total + (value + d if factor is None else value * factor[:, i])
    return total


def _symbolic_derivative(function: SymbolicFunction, point: Tensor, order: int) -> Tensor:
    if order == 0:
        return function.evaluate(point)
    if order == 1:
        return function.derivative(point)
    with torch.enable_grad():
        seen = point if point.requires_grad else point.detach().requires_grad_()
        value = function.derivative(seen)
        for _ in range(order - 1):
            if not value.requires_grad:
                return torch.zeros_like(point)
            (value,) = torch.autograd.grad(value.sum(), seen, create_graph=True, materialize_grads=True)
    return value if point.requires_grad else value.detach()


def index_of(by: By, names: Sequence[str]) -> Index:
    """The indices of variables given by number or name.

    Raises:
        OptionError: if there is no such variable.
    """
    listed: Sequence[Any] = [by] if isinstance(by, int | str) else by
    found = []
    for one in listed:
        if isinstance(one, str) and one in names:
            found.append(list(names).index(one))
        elif isinstance(one, int) and not isinstance(one, bool) and 0 <= one < len(names):
            found.append(one)
        else:
            hint = nearest(one, names) if isinstance(one, str) else ""
            raise OptionError(f"there is no variable {one!r} to differentiate by among {', '.join(names)}{hint}")
    return tuple(found)


def derivative(model: KAN, x: Tensor, by: By) -> Tensor:
    """A derivative of every output, of any order, ``[B, n_out]``.

    Args:
        model: a KAN; the result is differentiable with respect to its parameters.
        x: ``[B, n_in]`` in the user's units.
        by: numbers or names of inputs: ``(0, 0)`` twice by the first, ``("x", "t")`` once by each, ``()`` the value.

    Raises:
        OptionError: if the model has no such input.
        ShapeError: if ``x`` has another number of columns.

    >>> x = torch.tensor([[0.5, 0.2]], dtype=torch.float64)
    >>> model = KAN([2, 1], base="identity", seed=0)
    >>> bool(derivative(model, x, (0, 1)).abs().max() == 0)            # a single layer is a sum
    True
    """
    return Derivatives(model, x).of(index_of(by, model.feature_names))


def gradient(model: KAN, x: Tensor) -> Tensor:
    """All first derivatives at ``x [B, n_in]``: ``[B, n_out, n_in]``."""
    known = Derivatives(model, x)
    return torch.stack([known.of((i,)) for i in range(model.widths[0])], -1)


def hessian(model: KAN, x: Tensor) -> Tensor:
    """All second derivatives at ``x [B, n_in]``: ``[B, n_out, n_in, n_in]``."""
    known, count = Derivatives(model, x), range(model.widths[0])
    rows = [torch.stack([known.of((min(i, j), max(i, j))) for j in count], -1) for i in count]
    return torch.stack(rows, -2)


def laplacian(model: KAN, x: Tensor, by: By | None = None) -> Tensor:
    """The sum of the unmixed second derivatives at ``x [B, n_in]``: ``[B, n_out]``.

    Args:
        model: a KAN.
        x: ``[B, n_in]`` in the user's units.
        by: the inputs to sum over; all of them if left out.
    """
    known = Derivatives(model, x)
    chosen = range(model.widths[0]) if by is None else index_of(by, model.feature_names)
    return functools.reduce(torch.add, [known.of((i, i)) for i in chosen])


def divergence(model: KAN, x: Tensor) -> Tensor:
    """The divergence of a model that has as many outputs as inputs, at ``x [B, n]``: ``[B]``.

    Raises:
        ShapeError: if it has not.
    """
    if model.widths[0] != model.widths[-1]:
        raise ShapeError(
            f"a divergence needs as many outputs as inputs, but the model has {model.widths[-1]} and {model.widths[0]}"
        )
    known = Derivatives(model, x)
    return functools.reduce(torch.add, [known.of((i,))[:, i] for i in range(model.widths[0])])
