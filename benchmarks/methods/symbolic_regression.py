"""Methods of symbolic regression by name: superpose and its peers search the same rows in the same time."""

from __future__ import annotations

import importlib

from benchmarks.methods import FORMULA_PEERS, SUPERPOSE
from benchmarks.methods.proposals import NothingFound, Proposal
from benchmarks.problems import KnownLaw
from benchmarks.problems.known_function import FloatArray
from superpose.data import Dataset
from superpose.tasks.regression.search import DiscoverOptions, discover


def propose(name: str, law: KnownLaw, x: FloatArray, y: FloatArray, *, time_limit: float, seed: int) -> Proposal:
    """Let a method search for the formula of a table.

    Args:
        name: ``"superpose"`` or one of :data:`benchmarks.methods.FORMULA_PEERS`.
        law: for the names of its columns; no method sees its formula.
        x, y: the rows, ``[N, n]`` and ``[N]``.
        time_limit: seconds.
        seed: of every random choice.

    Raises:
        NothingFound: if the search ends without a formula.
    """
    if name == SUPERPOSE:
        return _superpose(law, x, y, time_limit=time_limit, seed=seed)
    module = importlib.import_module(f"benchmarks.methods.{FORMULA_PEERS[name].module}")
    return Proposal(module.propose(law.symbols, x, y, time_limit=time_limit, seed=seed))


def _superpose(law: KnownLaw, x: FloatArray, y: FloatArray, *, time_limit: float, seed: int) -> Proposal:
    names = [variable.name for variable in law.variables]
    data = Dataset.from_arrays(x, y, feature_names=names, target_names=[law.output], seed=seed)
    result = discover(data, DiscoverOptions(time_limit=time_limit, seed=seed))
    if result.metrics["interrupted"]:
        raise KeyboardInterrupt
    if result.formula is None:
        raise NothingFound("it gave a network and no formula")
    return Proposal((result.formula.expression,), result.formula.splines)
