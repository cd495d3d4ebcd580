"""Methods of regression by name: superpose and its peers fit the same points in the same time."""

from __future__ import annotations

import importlib

from benchmarks.methods import REGRESSION_PEERS, SUPERPOSE
from benchmarks.methods.fitted import Fitted
from benchmarks.problems import KnownFunction
from benchmarks.problems.known_function import FloatArray


def fit(
    name: str,
    problem: KnownFunction,
    x: FloatArray,
    y: FloatArray,
    *,
    time_limit: float,
    seed: int,
    parameters: int | None = None,
) -> Fitted:
    """Let a method learn from points ``x`` [N, n] and values ``y`` [N].

    Args:
        name: ``"superpose"`` or a peer's.
        problem: for its published shape; no method evaluates the function.
        x, y: the training points.
        time_limit: seconds.
        seed: of the validation rows and of every start.
        parameters: of superpose's network on this problem, for a peer whose size can be chosen.
    """
    # Imported when its turn comes: each peer needs a package that the others do not.
    module = "superpose_network" if name == SUPERPOSE else REGRESSION_PEERS[name].module
    method = importlib.import_module(f"benchmarks.methods.{module}")
    fitted: Fitted = method.fit(problem, x, y, time_limit=time_limit, seed=seed, parameters=parameters)
    return fitted
