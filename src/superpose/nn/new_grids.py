"""New grids for the layers of a model: finer ones (grid extension), and ones that follow activations."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from superpose.checks import check_whole
from superpose.errors import DataError, OptionError
from superpose.nn.layer import KANLayer
from superpose.nn.wide_buffers import wide
from superpose.spline import grid


@torch.no_grad()
def refine(layers: Sequence[KANLayer], sizes: Sequence[int], h: Tensor | None) -> None:
    """Insert knots, in place, until each layer has so many intervals; the functions stay the same.

    Args:
        layers: of a model, in order.
        sizes: grid intervals of each; layers with as many or more stay as they are.
        h: ``[B, I]`` samples in the first layer's units, or None. Intervals of hidden layers that hold few of their
            activations are split last. The grid of the first layer does not depend on them.
    """
    for n, (layer, size) in enumerate(zip(layers, sizes, strict=True)):
        outputs = None if h is None else layer(h)
        if size > layer.grid_size:
            samples = None if n == 0 or h is None else wide(h)
            points = grid.split_breakpoints(grid.breakpoints(layer.knots, layer.degree), size, samples)
            layer.set_knots(grid.extended_knots(points, layer.degree))
        h = outputs


@torch.no_grad()
def adapt(layers: Sequence[KANLayer], sizes: Sequence[int], h: Tensor, blend: float, margin: float) -> None:
    """Fit each layer's grid to its activations, in place, and refit the coefficients.

    Args:
        layers: of a model, in order.
        sizes: grid intervals of each.
        h: ``[B, I]`` samples in the first layer's units.
        blend, margin: as for :func:`superpose.spline.adapted_breakpoints`.

    Raises:
        DataError: if there are no samples, or a layer's activations are not finite.
    """
    shape = tuple(h.shape)
    for layer, size in zip(layers, sizes, strict=True):
        if h.dim() != 2 or not h.shape[0] or not bool(h.isfinite().all()):
            raise DataError(
                f"grids follow finite activations of samples [B, {layers[0].in_features}], but samples of shape "
                f"{shape} give others; leave out those with NaN or infinite values"
            )
        # Computed before the grid changes: all grids follow the activations of the model as it was.
        outputs = layer(h)
        points = grid.adapted_breakpoints(wide(h), size, blend=blend, margin=margin)
        layer.set_knots(grid.extended_knots(points, layer.degree))
        h = outputs


def per_layer(name: str, value: int | Sequence[int], depth: int) -> list[int]:
    """One number for each of ``depth`` layers.

    Raises:
        OptionError: if a list has another length.
    """
    if isinstance(value, Sequence):
        if len(value) != depth:
            raise OptionError(
                f"{name} lists {len(value)} numbers for {depth} layers; give one number or one for each layer"
            )
        return list(value)
    return [value] * depth


def grid_sizes(grid_size: int | Sequence[int], depth: int) -> list[int]:
    """The option ``grid_size`` as a whole number of at least 1 for each layer.

    Raises:
        OptionError: for another length or another number.
    """
    sizes = per_layer("grid_size", grid_size, depth)
    for size in sizes:
        check_whole("grid_size", size)
    return [int(size) for size in sizes]
