"""KANLayer: a learnable function on every edge, sums and products of sums at the outputs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack, cast

import torch
from torch import Tensor, nn

from superpose.checks import check_whole
from superpose.errors import DataError, OptionError, ShapeError
from superpose.messages import nearest
from superpose.nn import products as product_nodes
from superpose.nn.initial_curves import draw_splines
from superpose.nn.symbolic_edges import SymbolicEdges
from superpose.nn.wide_buffers import HALF, WideBuffers, wide, wide_dtype
from superpose.spline import backend, fitting, grid, ops, reference


class TensorOptions(TypedDict, total=False):
    """Where tensors are made, as for torch layers."""

    device: torch.device | str | None
    dtype: torch.dtype | None


class LayerOptions(TensorOptions, total=False):
    """How a layer's parameters are made: a device, a dtype, and the source of its random start."""

    generator: torch.Generator | None


class KANLayer(product_nodes.NodeStructure, WideBuffers):
    """A Kolmogorov-Arnold layer, a drop-in for :class:`torch.nn.Linear`.

    Output ``o`` is the sum over inputs ``i`` of ``phi_io(x_i)``, and each edge function is
    ``phi(x) = base_weight * base(x) + spline(x)``: a base function plus a B-spline, both learnable (Z. Liu et al.,
    *KAN: Kolmogorov-Arnold Networks*, 2024, section 2.2, without its factor in front of the spline, which the
    spline's own coefficients can take up). Outside ``grid_range`` a spline goes on as a straight line.

    All curves are one parameter, ``coefficients [I, rows, O]``: ``G + k`` rows of spline coefficients and, unless
    the base is ``"none"``, the base weights as the last row. An edge is removed by ``mask[i, o] = False``; a change
    made past torch's own bookkeeping (through ``mask.data`` or NumPy) may go unnoticed.

    The last nodes may be products (Z. Liu et al., *KAN 2.0*, 2024, section 3.1): a product of arity ``m`` multiplies
    ``m`` sums, its factors, each with edges of its own from all inputs. The layer then has more sums than outputs, and
    the ``O`` of coefficients, mask and edges counts sums: first those of the sum nodes, then the factors of each
    product in turn.

    Args:
        in_features: ``I``.
        out_features: the number of nodes, sums and products together.
        grid_size: ``G``, number of grid intervals.
        degree: ``k`` of the splines, 0 to 5.
        grid_range: ends of the grid, the same for every input at first.
        base: ``"silu"``, ``"identity"`` or ``"none"``.
        spline_scale: standard deviation of the sum of the random splines at the start, about.
        products: arities of the last nodes, if these are products.
        options: ``generator``, source of the random start (torch's own when None, as for other torch layers), and
            ``device`` and ``dtype`` as for other torch layers.

    Raises:
        OptionError: for sizes, degrees, ranges, bases or products that are not allowed.

    >>> layer = KANLayer(3, 2)
    >>> layer(torch.zeros(4, 7, 3)).shape
    torch.Size([4, 7, 2])
    >>> layer = KANLayer(3, 2, products=(3,))                      # one sum, and a product of three sums
    >>> layer(torch.zeros(4, 3)).shape, layer.sum_count
    (torch.Size([4, 2]), 4)
    """

    knots: Tensor
    mask: Tensor
    coefficients: nn.Parameter
    wide_buffers = ("knots",)

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        grid_size: int = 5,
        degree: int = 3,
        grid_range: tuple[float, float] = (-1.0, 1.0),
        base: str = "silu",
        spline_scale: float = 0.1,
        products: Sequence[int] = (),
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__()
        device, dtype, generator = _layer_options(**options)
        check_sizes(in_features, out_features, grid_size, degree, grid_range, base)
        in_features, out_features, grid_size, degree = map(int, (in_features, out_features, grid_size, degree))
        self.in_features = in_features
        self.set_nodes(out_features, products)
        sums = self.sum_count
        self.degree, self.base = degree, base
        self.grid_range = (float(grid_range[0]), float(grid_range[1]))
        shape = (in_features, grid_size + 2 * degree + 1)
        self.register_buffer("knots", torch.empty(shape, device=device, dtype=wide_dtype(dtype)))
        self.register_buffer("mask", torch.empty(in_features, sums, dtype=torch.bool, device=device))
        self.reset_buffers()
        rows = reference.row_count(self.knots, degree, base)
        self.coefficients = nn.Parameter(torch.empty(in_features, rows, sums, device=device, dtype=dtype))
        # The last mask that was read, its version, and whether all of it is True; see _has_full_mask.
        self._mask_state: tuple[Tensor | None, int, bool] = (None, 0, False)
        self.symbolic: SymbolicEdges | None = None
        self.spline_scale = spline_scale
        self.reset_parameters(generator)

    @property
    def grid_size(self) -> int:
        """``G``, the number of grid intervals of each input."""
        return self.knots.shape[-1] - 2 * self.degree - 1

    @property
    def spline_coefficients(self) -> Tensor:
        """``[I, G + k, O]``, a view of ``coefficients``."""
        return self.coefficients[:, : self.coefficients.shape[1] - (self.base != "none")]

    @property
    def base_weight(self) -> Tensor | None:
        """``[I, O]``, a view of ``coefficients``; None if the base is ``"none"``."""
        return None if self.base == "none" else self.coefficients[:, -1]

    @torch.no_grad()
    def reset_buffers(self) -> None:
        """Set evenly spaced knots over ``grid_range``, as many as before, and bring removed edges back."""
        low, high = torch.tensor(self.grid_range, device=self.knots.device, dtype=self.knots.dtype)[:, None]
        self.knots.copy_(grid.uniform_knots(low, high, self.grid_size, self.degree))
        self.mask.fill_(True)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw new coefficients: smooth splines (:mod:`superpose.nn.initial_curves`), Xavier-uniform base weights."""
        start = draw_splines(self.knots, self.degree, self.sum_count, self.spline_scale, generator)
        with torch.no_grad():
            # Four inputs at a time: the product for all inputs at once would need as much memory as the coefficients.
            for target, weights in zip(
                torch.split(self.spline_coefficients, 4), torch.split(start.weights, 4), strict=True
            ):
                target.copy_(start.scale * start.polynomials @ weights)
            if self.base_weight is not None:
                # X. Glorot and Y. Bengio, 2010: U(-b, b) with b^2 = 6 / (fan_in + fan_out).
                bound = math.sqrt(6 / (self.in_features + self.out_features))
                made: dict[str, Any] = {"dtype": self.knots.dtype, "device": self.knots.device}
                uniform = torch.rand(self.base_weight.shape, generator=generator, **made)
                self.base_weight.copy_((2 * uniform - 1) * bound)

    def spline_mask(self) -> Tensor:
        """``[I, O]``, True where the edge is alive and a spline (not removed, not symbolic)."""
        if self.symbolic is None:
            return self.mask
        mask = self.mask.clone()
        for i, o in self.symbolic.edges:
            mask[i, o] = False
        return mask

    def _has_full_mask(self) -> bool:
        """Whether every edge is a spline, so that ``coefficients`` can be used as they are.

        False if that cannot be known. Reading the mask costs more than a small layer, so it is read again only when it
        was replaced or its version changed.
        """
        # A compiled graph must stay right when the mask changes later.
        if self.symbolic is not None or torch.compiler.is_compiling():
            return False
        mask = buffer_of(self, "mask")
        known, version, is_full = self._mask_state
        if mask is known and mask._version == version:
            return is_full
        if mask.is_inference():  # inference tensors have no version counter
            return False
        try:
            is_full = bool(mask.all())
        except RuntimeError:
            # Under vmap the masks of several models have no single truth value, and meta tensors have no data.
            return False
        self._mask_state = (mask, mask._version, is_full)
        return is_full

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        _take_grid(self, state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def __getstate__(self) -> dict[str, Any]:
        # A copy's mask counts its versions anew.
        return {**self.__dict__, "_mask_state": (None, 0, False)}

    def rows(self) -> Tensor:
        """The layer's curves ``[I, rows, O]``: ``coefficients``, with zeros on removed and symbolic edges."""
        if self._has_full_mask():
            return self._own_rows()
        return torch.where(self.spline_mask()[:, None, :], self.coefficients, 0.0)

    @property
    def dtype(self) -> torch.dtype:
        """Of inputs, outputs and coefficients. In half precision the layer computes in float32 and rounds."""
        return self._own_rows().dtype

    def _own_rows(self) -> Tensor:
        # Missing where torch.nn.utils.parametrize computes it from another parameter.
        own = self._parameters.get("coefficients")
        return self.coefficients if own is None else own

    def forward(self, x: Tensor) -> Tensor:
        """``[..., I] -> [..., out_features]``: the nodes' values, in the layer's dtype.

        As for :class:`torch.nn.Linear`, the input has to be of that dtype too, except under ``torch.autocast``, where
        any floating-point input is converted to it: layers keep their own precision there.

        Raises:
            ShapeError: if the last dimension is not ``in_features``.
            DataError: if the input has another dtype, such as that of whole numbers.
        """
        shape = x.shape
        if not shape or shape[-1] != self.in_features:
            raise ShapeError(
                f"the layer takes {self.in_features} features in the last dimension, but the input has shape "
                f"{tuple(shape)}"
            )
        rows = self.rows()
        dtype = rows.dtype
        if x.dtype is not dtype:
            if not (x.is_floating_point() and backend.under_autocast(x)):
                raise DataError(
                    f"the layer computes in {dtype}, but the input is of {x.dtype}; convert the input with "
                    f"x.to({dtype}), or the layer with layer.to(...)"
                )
            x = x.to(dtype)
        is_matrix = len(shape) == 2
        y = self._sums(x if is_matrix else x.reshape(-1, self.in_features), rows)
        if self.products:
            y = self.nodes(y)
        return y if is_matrix else y.reshape(*shape[:-1], self.out_features)

    def sums(self, x: Tensor) -> Tensor:
        """The sums of the edges at ``x [B, I]``: ``[B, O]``, factors of products apart."""
        return self._sums(x, self.rows())

    def _sums(self, x: Tensor, rows: Tensor) -> Tensor:
        if rows.dtype in HALF:
            # A basis function is made of differences of knots, which half precision does not have.
            return self._sums(x.float(), rows.float()).to(rows.dtype)
        y = ops.edge_sum(None, rows, x, buffer_of(self, "knots"), self.degree, self.base)
        return y if self.symbolic is None else y + self.symbolic(x, self.sum_count)

    def edges(self, x: Tensor) -> Tensor:
        """Every edge's own output at ``x [B, I]``: ``[B, I, O]``, zero on removed edges."""
        basis = reference.dense_basis(self.knots, self.degree, self.base, wide(x))
        with backend.full_precision(x):
            curves = torch.einsum("bir,iro->bio", basis, wide(self.rows())).to(x.dtype)
        if self.symbolic is None:
            return curves
        curves = curves.clone()
        for index, (i, o) in enumerate(self.symbolic.edges):
            curves[:, i, o] = self.symbolic.curve(index, x[:, i])
        return curves

    def edge_function(self, i: int, o: int, x: Tensor) -> Tensor:
        """Values ``[S]`` of the edge from input ``i`` to output ``o`` at ``x [S]``, removed or not."""
        if self.symbolic is not None and (i, o) in self.symbolic.names:
            return self.symbolic.curve(self.symbolic.edges.index((i, o)), x)
        basis = reference.dense_basis(self.knots[i : i + 1], self.degree, self.base, wide(x)[:, None])[:, 0]
        with backend.full_precision(x):
            return (basis @ wide(self.coefficients[i, :, o])).to(x.dtype)

    @torch.no_grad()
    def widen(self, low: Tensor, high: Tensor) -> None:
        """Extend the grids to ``low`` and ``high`` ``[I]`` where these lie outside.

        Curves inside the old domain stay the same; outside it they continue as the polynomials of the outermost
        intervals.
        """
        points = grid.widened_breakpoints(grid.breakpoints(self.knots, self.degree), low, high)
        knots = grid.extended_knots(points, self.degree)
        matrix = grid.insertion_matrix(self.knots, knots, self.degree, wider=True)
        self._replace_splines(knots, matrix @ self.spline_coefficients.to(matrix.dtype))

    @torch.no_grad()
    def set_knots(self, knots: Tensor) -> None:
        """Move the curves to other knots ``[I, G + 2k + 1]``; see ``superpose.spline.fitting.move_curves``."""
        spline = self.spline_coefficients.to(self.knots.dtype)
        self._replace_splines(knots, fitting.move_curves(self.knots, spline, knots, self.degree))

    def _replace_splines(self, knots: Tensor, spline: Tensor) -> None:
        kept = self.coefficients[:, self.spline_coefficients.shape[1] :]
        rows = torch.cat([spline.to(kept.dtype), kept], 1)
        self.knots = knots
        self.coefficients = nn.Parameter(rows, requires_grad=self.coefficients.requires_grad)

    def set_symbolic(
        self,
        edges: Mapping[tuple[int, int], tuple[str, tuple[float, float, float, float]]],
        frozen: Mapping[tuple[int, int], str] | None = None,
    ) -> None:
        """Make these edges, and no others, symbolic: ``{(i, o): (name, (a, b, c, d))}``.

        Args:
            edges: name and constants of the function on each edge.
            frozen: the constants that are not trained, such as ``{(i, o): "ab"}``; if left out, edges that keep their
                function keep their frozen constants.
        """
        if not edges:
            self.symbolic = None
            return
        if frozen is None:
            before = {} if self.symbolic is None else self.symbolic.names
            kept = self.frozen_table()
            frozen = {edge: kept[edge] for edge in kept if edges.get(edge, ("",))[0] == before[edge]}
        made: dict[str, Any] = {"dtype": self.coefficients.dtype, "device": self.coefficients.device}
        names = {edge: name for edge, (name, _) in edges.items()}
        self.symbolic = SymbolicEdges(names, torch.tensor([list(c) for _, c in edges.values()], **made), frozen)

    def frozen_table(self) -> dict[tuple[int, int], str]:
        """The constants of symbolic edges that are not trained, such as ``{(i, o): "ab"}``."""
        return {} if self.symbolic is None else dict(self.symbolic.frozen)

    def symbolic_table(
        self,
    ) -> dict[tuple[int, int], tuple[str, tuple[float, float, float, float]]]:
        """Name and constants of every symbolic edge, as :meth:`set_symbolic` takes them."""
        if self.symbolic is None:
            return {}
        return {edge: (name, self.symbolic.of(*edge)) for edge, name in self.symbolic.names.items()}

    def extra_repr(self) -> str:
        return (
            f"{self.in_features}, {self.out_features}, grid_size={self.grid_size}, degree={self.degree}, "
            f"base={self.base!r}{f', products={self.products}' if self.products else ''}"
        )


def buffer_of(module: nn.Module, name: str) -> Tensor:
    """A buffer without the search of ``nn.Module.__getattr__``, which takes about a microsecond."""
    return cast(Tensor, module._buffers[name])


def set_values(parameter: nn.Parameter, values: Tensor) -> None:
    """Give a parameter values of another shape; it stays the same object, since an optimiser may hold it."""
    parameter.grad = None
    # The node that accumulates its gradients knows the old shape, and lives as long as a graph of an earlier step: a
    # loss that a training loop still holds. torch drops that node where the dtype changes.
    parameter.data = values.new_empty(0, dtype=torch.float32 if values.dtype is torch.float64 else torch.float64)
    parameter.data = values


def _take_grid(layer: KANLayer, state: Mapping[str, Any], prefix: str) -> None:
    """Give a layer the grid size of a state that fits it otherwise: one that was refined in training has another."""
    knots, rows = state.get(prefix + "knots"), state.get(prefix + "coefficients")
    own = layer._parameters.get("coefficients")
    if own is None or not isinstance(knots, Tensor) or not isinstance(rows, Tensor) or knots.dim() != 2:
        return
    if len(knots) != layer.in_features or knots.shape[1] < 2 * layer.degree + 2:
        return
    count = reference.row_count(knots, layer.degree, layer.base)
    if rows.shape == (layer.in_features, count, layer.sum_count) and rows.shape != own.shape:
        layer.knots = layer.knots.new_empty(knots.shape)
        set_values(own, own.data.new_empty(rows.shape))


def _layer_options(
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    generator: torch.Generator | None = None,
) -> tuple[torch.device | str | None, torch.dtype, torch.Generator | None]:
    """The options with their defaults; Python reports a keyword that does not exist."""
    return device, dtype or torch.get_default_dtype(), generator


def check_sizes(
    in_features: int,
    out_features: int,
    grid_size: int,
    degree: int,
    grid_range: tuple[float, float],
    base: str,
) -> None:
    """Raise :class:`OptionError` for sizes, degrees, ranges and bases that a layer cannot have."""
    check_whole("in_features", in_features)
    check_whole("out_features", out_features)
    check_whole("grid_size", grid_size)
    check_whole("degree", degree, least=0, most=backend.MAX_DEGREE)
    if base not in reference.BASES:
        raise OptionError(
            f"base must be one of {', '.join(reference.BASES)}, not {base!r}{nearest(str(base), reference.BASES)}"
        )
    try:
        low, high = (float(end) for end in grid_range)
    except (TypeError, ValueError):
        low = high = math.nan
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise OptionError(f"grid_range must be two finite numbers, the lower first, not {grid_range!r}")
