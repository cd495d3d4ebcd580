"""KAN: layers of learnable one-variable functions, one after another."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Unpack

import torch
from torch import Tensor, nn

from superpose.checks import check_seed
from superpose.data import Affine
from superpose.errors import OptionError, ShapeError
from superpose.nn import new_grids
from superpose.nn.curves_html import layers_html
from superpose.nn.fused import FusedForward
from superpose.nn.layer import KANLayer, TensorOptions
from superpose.nn.new_grids import per_layer
from superpose.nn.products import Width, read_widths
from superpose.nn.table_model import TableModel
from superpose.nn.trace import LayerTrace, Trace
from superpose.notebook_html import html_paragraph
from superpose.spline import ops

Edge = tuple[int, int, int]


class KAN(TableModel):
    """A Kolmogorov-Arnold network.

    It takes and returns values in the user's units: the affine scaling of inputs and outputs is part of the model
    (identity until :func:`superpose.fit` or :meth:`set_scaling` sets it).

    Args:
        widths: nodes of each layer, inputs first, outputs last. A number is a number of sum nodes; ``[3, [2, 4]]`` is
            3 sum nodes, a product of 2 factors and one of 4; ``[3, 2]`` is 3 sum nodes and two products of 2 factors.
        grid_size: intervals of the grid, one number or one for each layer.
        degree: spline degree, one number or one for each layer.
        grid_range: first and last breakpoint of every grid at the start.
        base: ``"silu"``, ``"identity"`` or ``"none"``.
        seed: of the random start; no global generator is read or changed.
        feature_names: names of the inputs; ``x1, x2, ...`` if left out.
        target_names: names of the outputs; ``y``, or ``y1, y2, ...``, if left out.
        options: ``device`` as for torch layers, and ``dtype``, by default ``torch.float64``, because second-order
            training reaches relative errors of 1e-8 and below, which float32 cannot represent.

    Raises:
        OptionError: for widths, sizes or names that are not allowed.

    >>> model = KAN([2, 5, 1], grid_size=5, degree=3, seed=0)
    >>> model(torch.zeros(10, 2)).shape
    torch.Size([10, 1])
    >>> KAN([2, [0, [2]], 1]).parameter_count()                    # two factors of two edges each, and one edge
    45
    """

    def __init__(
        self,
        widths: Sequence[Width],
        *,
        grid_size: int | Sequence[int] = 5,
        degree: int | Sequence[int] = 3,
        grid_range: tuple[float, float] = (-1.0, 1.0),
        base: str = "silu",
        seed: int = 0,
        feature_names: Sequence[str] | None = None,
        target_names: Sequence[str] | None = None,
        **options: Unpack[TensorOptions],
    ) -> None:
        super().__init__()
        device, dtype = _tensor_options(**options)
        nodes = read_widths(widths)
        counts, depth = [count for count, _ in nodes], len(nodes) - 1
        sizes, degrees = per_layer("grid_size", grid_size, depth), per_layer("degree", degree, depth)
        generator = torch.Generator(device=device or "cpu").manual_seed(check_seed(seed))
        self.layers = nn.ModuleList(
            KANLayer(
                counts[n],
                counts[n + 1],
                products=nodes[n + 1][1],
                grid_size=sizes[n],
                degree=degrees[n],
                grid_range=grid_range,
                base=base,
                generator=generator,
                device=device,
                dtype=dtype,
            )
            for n in range(depth)
        )
        self._register_scaling(counts[0], counts[-1], device, dtype)
        self._fused = FusedForward()
        self.feature_names = _names("feature_names", feature_names, counts[0], "x")
        self.target_names = _names("target_names", target_names, counts[-1], "y")

    # -- what the model is

    @property
    def widths(self) -> list[int]:
        """Nodes of each layer, inputs first."""
        return [self.layer(0).in_features, *(layer.out_features for layer in self.kan_layers())]

    @property
    def shape(self) -> list[int | list[Any]]:
        """As ``widths``, with sum and product nodes listed separately, in the form that :class:`KAN` takes.

        >>> KAN([2, [1, 2], 1]).shape
        [2, [1, [2, 2]], 1]
        """
        return [self.layer(0).in_features, *(layer.width for layer in self.kan_layers())]

    @property
    def dtype(self) -> torch.dtype:
        """Of parameters and outputs."""
        return self.layer(0).dtype

    def layer(self, index: int) -> KANLayer:
        """The layer of that index."""
        found = self.layers[index]
        assert isinstance(found, KANLayer)
        return found

    def kan_layers(self) -> list[KANLayer]:
        """The layers, typed."""
        return [self.layer(index) for index in range(len(self.layers))]

    def active_edges(self) -> list[Edge]:
        """``(layer, input, sum)`` of every edge that was not removed; the factors of products are sums of their own."""
        return [(n, i, o) for n, layer in enumerate(self.kan_layers()) for i, o in torch.nonzero(layer.mask).tolist()]

    def check_edge(self, n: int, i: int, o: int) -> None:
        """Raise :class:`OptionError` unless there is an edge from input ``i`` to sum ``o`` in layer ``n``."""
        if not (0 <= n < len(self.layers) and 0 <= i < self.layer(n).in_features and 0 <= o < self.layer(n).sum_count):
            raise OptionError(f"the model has no edge {(n, i, o)}; its widths are {self.shape}")

    def parameter_count(self) -> int:
        """Number of constants that can be trained: the rows of each spline edge, and the constants of each symbolic
        edge (four) that are not frozen. Removed edges have none."""
        total = 0
        for layer in self.kan_layers():
            total += int(layer.spline_mask().sum()) * layer.coefficients.shape[1]
            total += 0 if layer.symbolic is None else int((~layer.symbolic.held).sum())
        return total

    def output_scaling(self, outputs: Affine) -> Affine:
        """The output scaling for training: that of ``outputs``, but without a shift for outputs that are products.

        A product of factors cannot represent the product of others plus a constant.
        """
        last, center = self.layer(-1), outputs.center.clone()
        for node, arity in enumerate(last.products, start=last.plain_count):
            if arity > 1:
                center[node] = 0.0
        return Affine(center, outputs.scale)

    # -- what it computes

    def forward(self, x: Tensor) -> Tensor:
        """``[..., n_in] -> [..., n_out]``, both in the user's units, the latter in the model's dtype.

        Inputs may have any real dtype, whole numbers included, and are converted to the model's.

        Raises:
            ShapeError: if the last dimension is not the number of inputs.
            DataError: if the inputs are complex.
        """
        # A compiled graph must stay right when the model changes later, so it does not depend on a plan.
        found = None if torch.compiler.is_compiling() else self._fused.plan(self)
        if found is not None:
            plan, unscaled = found
            shape = x.shape
            if not (unscaled and len(shape) == 2 and shape[1] == plan.inputs and x.dtype is plan.dtype):
                x = self.scale_inputs(x)
            if x.dim() == 2:
                return ops.forward_chain(x, plan)
        else:
            x = self.scale_inputs(x)
        for layer in self.layers:
            x = layer(x)
        y = torch.addcmul(self.output_center, x, self.output_scale)
        return y if y.dtype is x.dtype else y.to(x.dtype)

    def trace(self, x: Tensor) -> Trace:
        """Every activation on samples ``x [B, n_in]`` in the user's units. Nothing is stored in the model."""
        return self.trace_scaled(self.scale_inputs(x))

    def trace_scaled(self, h: Tensor) -> Trace:
        """As :meth:`trace`, for samples ``[B, n_in]`` in the first layer's units."""
        if h.dim() != 2:
            raise ShapeError(f"trace takes samples of shape [B, {h.shape[-1]}], not {tuple(h.shape)}")
        layers = []
        for layer in self.kan_layers():
            edges = layer.edges(h)
            sums = edges.sum(1)
            names = {} if layer.symbolic is None else dict(layer.symbolic.names)
            layers.append(LayerTrace(h, edges, layer.nodes(sums), sums, names, layer.frozen_table()))
            h = layers[-1].outputs
        return Trace(tuple(layers), torch.addcmul(self.output_center, h, self.output_scale))

    # -- other models of the same function

    def copy(self) -> KAN:
        """An independent copy."""
        return copy.deepcopy(self)

    def refine(self, grid_size: int | Sequence[int], samples: Tensor | None = None) -> KAN:
        """A new model of the same function with more grid intervals: grid extension, exact by knot insertion.

        Args:
            grid_size: intervals of the new grids, one number or one for each layer; layers that have as many or
                more keep theirs.
            samples: ``[B, n_in]`` in the user's units; intervals of hidden layers that hold few of their activations
                are split last.

        Raises:
            OptionError: if a ``grid_size`` is not a whole number of at least 1, or their number is wrong.
        """
        model = self.copy()
        h = None if samples is None else model.scale_inputs(samples)
        new_grids.refine(model.kan_layers(), new_grids.grid_sizes(grid_size, len(self.layers)), h)
        return model

    def adapt(
        self,
        x: Tensor,
        *,
        blend: float = 0.5,
        margin: float = 0.0,
        grid_size: int | Sequence[int] | None = None,
    ) -> KAN:
        """A new model of the same function whose grids follow the activations on samples ``x [B, n_in]``.

        The coefficients are refitted by least squares over the new grid. That is exact for functions that both grids
        can represent (polynomials up to the degree always), and else gives the nearest curve.

        Args:
            x: samples in the user's units.
            blend: 0 for evenly spaced knots, 1 for quantiles of the activations.
            margin: share of the activations' range added on either side.
            grid_size: intervals of the new grids; as many as before if left out.

        Raises:
            OptionError: if ``blend`` is outside 0 to 1, ``margin`` is negative or a ``grid_size`` is not allowed.
            DataError: if there are no samples, or the model is not finite on them.
        """
        if not 0 <= blend <= 1:
            raise OptionError(f"blend must lie between 0 (uniform) and 1 (quantiles), not {blend!r}")
        if not margin >= 0:
            raise OptionError(f"margin must not be negative, and is {margin!r}")
        model = self.copy()
        layers = model.kan_layers()
        sizes = [layer.grid_size for layer in layers]
        if grid_size is not None:
            sizes = new_grids.grid_sizes(grid_size, len(sizes))
        new_grids.adapt(layers, sizes, model.scale_inputs(x), blend, margin)
        return model

    def with_mask(self, edges: Sequence[Edge], alive: bool) -> KAN:
        """A new model in which these edges are removed (``alive`` False) or restored.

        Raises:
            OptionError: if the model has no such edge.
        """
        model = self.copy()
        for n, i, o in edges:
            self.check_edge(n, i, o)
            layer = model.layer(n)
            layer.mask[i, o] = alive
            table = layer.symbolic_table()
            if not alive and table.pop((i, o), None) is not None:
                layer.set_symbolic(table)
        return model

    def _repr_html_(self) -> str:
        """What a notebook shows: the curve of each edge, layer by layer."""
        title = html_paragraph(f"KAN of shape {self.shape}, {self.parameter_count()} free constants")
        return title + layers_html(self.kan_layers(), self.feature_names, self.target_names)

    def extra_repr(self) -> str:
        return f"widths={self.shape}"


def _tensor_options(
    device: torch.device | str | None = None, dtype: torch.dtype | None = None
) -> tuple[torch.device | str | None, torch.dtype]:
    """The options with their defaults; Python reports a keyword that does not exist."""
    return device, dtype or torch.float64


def _names(option: str, names: Sequence[str] | None, count: int, letter: str) -> tuple[str, ...]:
    if names is None:
        return (letter,) if count == 1 and letter == "y" else tuple(f"{letter}{n + 1}" for n in range(count))
    if isinstance(names, str) or len(names) != count or len(set(names)) != count:
        raise OptionError(f"{option} must be {count} different names, not {names!r}")
    return tuple(names)
