"""superpose itself, as one of the competitors."""

from __future__ import annotations

import itertools

import torch

from superpose.bench.competitors import Trained, as_dataset
from superpose.data import Dataset
from superpose.datasets import Problem
from superpose.datasets._problem import FloatArray
from superpose.nn import KAN
from superpose.train import fit

_FIRST_GRID = 5
# Levenberg-Marquardt's normal matrix; fit refuses what is larger.
_MOST_PARAMETERS = 8000


def train(problem: Problem, x: FloatArray, y: FloatArray, *, time_limit: float, seed: int) -> Trained:
    """Fit a KAN of the published shape to points ``x`` [N, n] and values ``y`` [N] within ``time_limit`` seconds."""
    model = KAN(problem.shape, grid_size=_FIRST_GRID, seed=seed)
    return fitted(model, as_dataset(x, y, seed), grids=_grids(problem.shape), time_limit=time_limit, seed=seed)


def fitted(
    model: KAN,
    data: Dataset,
    *,
    grids: tuple[int, ...] | None,
    time_limit: float,
    seed: int,
) -> Trained:
    """Fit, or go on fitting, a model.

    Raises:
        KeyboardInterrupt: if a person stopped it; ``fit`` keeps its best state, but a benchmark wants whole runs.
    """
    history = fit(model, data, grids=grids, time_limit=time_limit, seed=seed, progress=False)
    if history.reason.startswith("interrupted"):
        raise KeyboardInterrupt

    def predict(points: FloatArray) -> FloatArray:
        with torch.no_grad():
            values: FloatArray = model(torch.as_tensor(points, dtype=torch.float64))[:, 0].numpy()
        return values

    return Trained(predict, model.parameter_count(), tuple(model.widths), tuple(history.grids))


def _grids(shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """None, which doubles while it helps; or for wide networks the doublings that their normal matrix allows."""
    edges = sum(a * b for a, b in itertools.pairwise(shape))
    if edges * 210 <= _MOST_PARAMETERS:
        return None
    sizes = [_FIRST_GRID]
    while edges * (2 * sizes[-1] + 4) <= _MOST_PARAMETERS:
        sizes.append(2 * sizes[-1])
    return tuple(sizes)
