"""superpose's own networks: a search for the shape within the time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from benchmarks.methods.fitted import Fitted, as_dataset
from benchmarks.problems import KnownFunction
from benchmarks.problems.known_function import FloatArray
from superpose import train
from superpose.data import Dataset
from superpose.nn import KAN

# Of the splines, where the search may choose.
_DEGREES = (5, 3)
# Constants of an edge in the publication: 200 intervals, cubics, and the base function's weight.
_PUBLISHED_ROWS = 204


def fit(
    problem: KnownFunction,
    x: FloatArray,
    y: FloatArray,
    *,
    time_limit: float,
    seed: int,
    parameters: int | None = None,
) -> Fitted:
    """Fit a KAN to points ``x`` [N, n] and values ``y`` [N] within ``time_limit`` seconds.

    The search finds the shape, with no more constants than the published network has at its finest grid. Problems that
    come with a shape and no published error are learnt in that shape or one that is part of it, of cubic or quintic
    splines.
    """
    data = as_dataset(x, y, seed)
    if problem.best_published is None:
        shapes = parts(problem.shape[1:-1])
        found = train.search(data, shapes=shapes, degree=_DEGREES, time_limit=time_limit, seed=seed)
        return _finished(found.model, found.history)
    edges = sum(a * b for a, b in itertools.pairwise(problem.shape))
    found = train.search(data, parameters=edges * _PUBLISHED_ROWS, time_limit=time_limit, seed=seed)
    return _finished(found.model, found.history)


def parts(hidden: Sequence[int]) -> list[tuple[int, ...]]:
    """Hidden layers, and then those of as many layers that are part of them, from small to large.

    >>> parts((3, 2))
    [(3, 2), (1, 1), (1, 2), (2, 1), (3, 1), (2, 2)]
    """
    whole = tuple(hidden)
    smaller = sorted(itertools.product(*(range(1, width + 1) for width in whole)), key=lambda shape: math.prod(shape))
    return [whole, *(shape for shape in smaller if shape != whole)]


def continued(
    model: KAN,
    data: Dataset,
    *,
    grids: tuple[int, ...] | None,
    time_limit: float,
    seed: int,
) -> Fitted:
    """Fit, or go on fitting, a model.

    Raises:
        KeyboardInterrupt: if a person stopped it; ``fit`` keeps its best state, but a benchmark wants whole runs.
    """
    history = train.fit(model, data, grids=grids, time_limit=time_limit, seed=seed, progress=False)
    return _finished(model, history)


def _finished(model: KAN, history: train.History) -> Fitted:
    if history.interrupted:
        raise KeyboardInterrupt
    return Fitted.of(model, tuple(history.grids))
