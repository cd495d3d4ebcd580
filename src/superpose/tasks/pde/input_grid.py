"""Scaling and grid sizes: the range of a problem's points, and the grids that a run visits."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from superpose.data import Affine
from superpose.nn.model import KAN
from superpose.spline import grid
from superpose.tasks.pde.problem import Problem
from superpose.tasks.pde.regions import Region
from superpose.tasks.pde.settings import SolveSettings
from superpose.train.state import State

# Where no grids are given, the model's own grid is doubled up to twice, as long as the model has at most 3,000 free
# constants: a step of Levenberg-Marquardt costs their square times the number of points. Round numbers.
_DOUBLINGS, _MAX_DEFAULT_PARAMETERS = 2, 3000


def finest(model: KAN) -> int:
    """Intervals of the finest layer's grid."""
    return max(layer.grid_size for layer in model.kan_layers())


class LayerSizes:
    """Grid sizes of all layers, which keep the proportions of the model that a run began with."""

    def __init__(self, model: KAN) -> None:
        self.shares = [layer.grid_size / finest(model) for layer in model.kan_layers()]

    def of(self, size: int) -> list[int]:
        """One for each layer, where the finest layer has this size."""
        return [max(1, round(share * size)) for share in self.shares]


def schedule(model: KAN, settings: SolveSettings) -> list[int]:
    """The sizes of the finest layer's grid that a run visits."""
    if settings.grids is not None:
        return list(settings.grids)
    sizes, count = [finest(model)], model.parameter_count()
    if settings.optimizer == "lm":
        while len(sizes) <= _DOUBLINGS and 2 * count <= _MAX_DEFAULT_PARAMETERS:
            sizes.append(2 * sizes[-1])
            count *= 2
    return sizes


def set_units(model: KAN, problem: Problem, settings: SolveSettings) -> None:
    """Map the range of all points to -1..1, lay the first layer's grid there, and take the problem's names."""
    low, high = _range(model, problem, settings.seed)
    half = torch.where(high > low, (high - low) / 2, torch.ones_like(low))
    outputs = torch.zeros_like(model.output_center), torch.ones_like(model.output_scale)
    model.set_scaling(Affine((low + high) / 2, half), Affine(*outputs))
    model.feature_names, model.target_names = problem.variables, problem.outputs
    model.layer(0).set_knots(_input_knots(model, problem, settings, model.layer(0).grid_size))


def begin(model: KAN, problem: Problem, settings: SolveSettings, sizes: Sequence[int], *, untrained: bool) -> None:
    """Bring the grids to their first sizes, one for each layer; grids of a trained model only grow."""
    if untrained:
        first, *hidden = model.kan_layers()
        first.set_knots(_input_knots(model, problem, settings, min(sizes[0], first.grid_size)))
        for layer, size in zip(hidden, sizes[1:], strict=True):
            points = grid.breakpoints(layer.knots, layer.degree)
            smaller = min(size, layer.grid_size)
            layer.set_knots(grid.uniform_knots(points[:, 0], points[:, -1], smaller, layer.degree))
    State.of(model.refine(list(sizes))).restore(model)


def _range(model: KAN, problem: Problem, seed: int) -> tuple[Tensor, Tensor]:
    """The lowest and highest coordinates ``[n]`` of all residuals, those of boxes exactly."""
    points = torch.cat([problem.points(residual, seed) for residual in problem.residuals]).to(model.input_center)
    low, high = points.amin(0), points.amax(0)
    for residual in problem.residuals:
        bounds = residual.where.bounds() if isinstance(residual.where, Region) else None
        if bounds is not None:
            low, high = torch.minimum(low, bounds[0].to(low)), torch.maximum(high, bounds[1].to(high))
    return low, high


def _input_knots(model: KAN, problem: Problem, settings: SolveSettings, size: int) -> Tensor:
    """Knots ``[n_in, K]`` of the first layer on -1..1: even, or at quantiles of the first residual's points."""
    layer = model.layer(0)
    even = torch.linspace(-1, 1, size + 1, dtype=layer.knots.dtype, device=layer.knots.device)
    points = even.repeat(layer.in_features, 1)
    if settings.blend:
        samples = problem.points(problem.residuals[0], settings.seed)
        samples = model.scale_inputs(samples.to(model.input_center))
        quantiles = grid.adapted_breakpoints(samples, size, blend=1.0)
        quantiles[:, 0], quantiles[:, -1] = -1.0, 1.0
        points = torch.lerp(points, quantiles, settings.blend)
    # Rounding must not put points on the boundary outside of the grid.
    return grid.extended_knots(points * (1 + 1e-9), layer.degree)
