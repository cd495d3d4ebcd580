"""Who looks for a formula: superpose and its peers, given the same rows and the same time."""

from __future__ import annotations

import contextlib
import importlib
import math
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from benchmarks.competitors import OURS
from benchmarks.peers import SEEKERS
from benchmarks.problems import Law
from benchmarks.problems.problem import FloatArray
from superpose.data import Dataset
from superpose.errors import OptionError
from superpose.formulas.expressions.constants import ConstantFit
from superpose.tasks.regression.search import DiscoverOptions, discover

if TYPE_CHECKING:
    import sympy

# A peer's constants are fitted once more after its time; that shall not take long.
_POLISHING = 5.0


class Proposal(NamedTuple):
    """What a search gave.

    Attributes:
        expressions: in the law's symbols, the seeker's own choice first; it is enough if one is the law.
        functions: torch functions of what stands in them besides known functions.
    """

    expressions: tuple[sympy.Expr, ...]
    functions: Mapping[str, Callable[[Tensor], Tensor]] = {}


class NothingFound(Exception):
    """There is no formula; the message says why."""


def seek(name: str, law: Law, x: FloatArray, y: FloatArray, *, time_limit: float, seed: int) -> Proposal:
    """Let a seeker look for the formula of a table.

    Args:
        name: ``"superpose"`` or one of :data:`benchmarks.peers.SEEKERS`.
        law: for the names of its columns; what it says is not looked at.
        x, y: the rows, ``[N, n]`` and ``[N]``.
        time_limit: seconds.
        seed: of every random choice.

    Raises:
        NothingFound: if it ends without one.
    """
    if name == OURS:
        return _ours(law, x, y, time_limit=time_limit, seed=seed)
    module = importlib.import_module(f"benchmarks.peers.{SEEKERS[name].module}")
    found: tuple[sympy.Expr, ...] = module.seek(law.symbols, x, y, time_limit=time_limit, seed=seed)
    return Proposal(found)


def _ours(law: Law, x: FloatArray, y: FloatArray, *, time_limit: float, seed: int) -> Proposal:
    names = [variable.name for variable in law.variables]
    data = Dataset.from_arrays(x, y, feature_names=names, target_names=[law.output], seed=seed)
    result = discover(data, DiscoverOptions(time_limit=time_limit, seed=seed))
    if result.metrics["interrupted"]:
        raise KeyboardInterrupt
    if result.formula is None:
        raise NothingFound("it gave a network and no formula")
    return Proposal((result.formula.expression,), result.formula.splines)


def polished(
    expression: sympy.Expr, symbols: tuple[sympy.Symbol, ...], x: FloatArray, y: FloatArray
) -> tuple[sympy.Expr, ...]:
    """An expression, the same with its constants refitted, and that without the constant added to it.

    A help that peers get for nothing: some compute in single precision, some do not fit constants at all, and some add
    an offset to everything.
    """
    import sympy

    offset, rest = expression.as_coeff_Add()
    found = [expression]
    for form in (expression, rest) if offset else (expression,):
        if isinstance(form, sympy.Expr) and form.free_symbols:
            fitting = ConstantFit(symbols, torch.as_tensor(x), torch.as_tensor(y), {}, time.monotonic() + _POLISHING)
            # SymPy may have simplified it into a function that torch does not have; it stands as it is then.
            with contextlib.suppress(OptionError):
                fitted = fitting.fit(form)
                if math.isfinite(fitted.error):
                    found.append(fitted.expression)
    return tuple(dict.fromkeys(found))
