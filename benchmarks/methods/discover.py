"""superpose.discover: not a network alone, but the law too where it finds one."""

from __future__ import annotations

from benchmarks.methods.fitted import Fitted, as_dataset
from benchmarks.problems import KnownFunction
from benchmarks.problems.known_function import FloatArray
from superpose.tasks.regression.search import DiscoverOptions, discover


def fit(
    problem: KnownFunction,
    x: FloatArray,
    y: FloatArray,
    *,
    time_limit: float,
    seed: int,
    parameters: int | None = None,
) -> Fitted:
    """Everything superpose has, on points ``x`` [N, n] and values ``y`` [N]: predictions are those of its model.

    Raises:
        KeyboardInterrupt: if a person stopped it.
    """
    result = discover(as_dataset(x, y, seed), DiscoverOptions(time_limit=time_limit, seed=seed))
    if result.metrics["interrupted"]:
        raise KeyboardInterrupt
    return Fitted.of(result.model)
