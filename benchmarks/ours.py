"""superpose itself, as one of the competitors."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from benchmarks.competitors import Trained, as_dataset
from benchmarks.problems import Problem
from benchmarks.problems.problem import FloatArray
from superpose.data import Dataset
from superpose.nn import KAN
from superpose.train import History, fit, search

# Of the splines, where the search may choose.
_DEGREES = (5, 3)
# Constants of an edge in the publication: 200 intervals, cubics, and the base function's weight.
_PUBLISHED_ROWS = 204


def train(problem: Problem, x: FloatArray, y: FloatArray, *, time_limit: float, seed: int) -> Trained:
    """Fit a KAN to points ``x`` [N, n] and values ``y`` [N] within ``time_limit`` seconds.

    The search finds the shape, with no more constants than the published network has at its finest grid. Problems that
    come with a shape and no published error are learnt in that shape or one that is part of it, of cubic or quintic
    splines.
    """
    data = as_dataset(x, y, seed)
    if problem.best_published is None:
        shapes = parts(problem.shape[1:-1])
        found = search(data, shapes=shapes, degree=_DEGREES, time_limit=time_limit, seed=seed)
        return _trained(found.model, found.history)
    edges = sum(a * b for a, b in itertools.pairwise(problem.shape))
    found = search(data, parameters=edges * _PUBLISHED_ROWS, time_limit=time_limit, seed=seed)
    return _trained(found.model, found.history)


def parts(hidden: Sequence[int]) -> list[tuple[int, ...]]:
    """Hidden layers, and then those of as many layers that are part of them, from small to large.

    >>> parts((3, 2))
    [(3, 2), (1, 1), (1, 2), (2, 1), (3, 1), (2, 2)]
    """
    whole = tuple(hidden)
    smaller = sorted(itertools.product(*(range(1, width + 1) for width in whole)), key=lambda shape: math.prod(shape))
    return [whole, *(shape for shape in smaller if shape != whole)]


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
    return _trained(model, history)


def _trained(model: KAN, history: History) -> Trained:
    if history.interrupted:
        raise KeyboardInterrupt
    return Trained.of(model, tuple(history.grids))
