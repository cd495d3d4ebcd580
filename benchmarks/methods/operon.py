"""Operon: genetic programming whose constants are fitted by Levenberg-Marquardt, in C++."""

from __future__ import annotations

import contextlib
import io
import warnings
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.methods.proposals import NothingFound, with_refitted_constants
from benchmarks.problems import expressions
from benchmarks.problems.known_function import FloatArray
from superpose.errors import DataError

if TYPE_CHECKING:
    import sympy

# All that the equations are made of.
_SYMBOLS = "add,sub,mul,div,sqrt,square,exp,log,sin,cos,tanh,asin,constant,variable"
_DIGITS = 17
# More generations on fewer rows: in 30 s it found I.13.12 and I.12.11 on 1,000 rows and neither on 10,000, and came 30
# times nearer to I.6.2.
_ROWS = 1000
# Its own criterion is the description length, which does not fit every noise; here it has three choices.
_ALSO = ("bayesian_information_criterion", "mean_squared_error")
# Its description length needs the noise, which no method is given: a small share of the spread stands in.
_NOISE = 1e-3
_MAX_SEED = 2**32


def propose(
    symbols: tuple[sympy.Symbol, ...], x: FloatArray, y: FloatArray, *, time_limit: float, seed: int
) -> tuple[sympy.Expr, ...]:
    """Its own choice from its front and those by two other criteria, each also with its constants refitted.

    The settings are those that its authors use for benchmarks: two objectives, accuracy and length, up to 50 nodes, and
    a few steps of Levenberg-Marquardt for every formula. It is given the first thousand rows; constants are refitted to
    all of them. It ends by its time limit.
    """
    from pyoperon.sklearn import SymbolicRegressor

    regressor: Any = SymbolicRegressor(
        allowed_symbols=_SYMBOLS,
        objectives=["r2", "length"],
        optimizer_iterations=5,
        max_length=50,
        population_size=1000,
        pool_size=1000,
        generations=10**6,
        max_evaluations=10**9,
        epsilon=1e-12,
        uncertainty=[_NOISE * float(np.std(y[:_ROWS]))],
        n_threads=1,
        max_time=max(1, int(time_limit)),
        random_state=seed % _MAX_SEED,
    )
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        regressor.fit(x[:_ROWS], y[:_ROWS])
        trees = [regressor.model_, *(min(regressor.pareto_front_, key=itemgetter(one))["tree"] for one in _ALSO)]
        # Names of its own, since a column may be called pi or exp.
        names = [f"v{n}" for n in range(len(symbols))]
        texts = [regressor.get_model_string(tree, _DIGITS, names) for tree in trees]
    found: list[sympy.Expr] = []
    for text in dict.fromkeys(texts):
        # A constant that is not finite cannot be read.
        with contextlib.suppress(DataError):
            found += with_refitted_constants(
                expressions.symbolic(text, dict(zip(names, symbols, strict=True))), symbols, x, y
            )
    if not found:
        raise NothingFound(f"its formula cannot be read: {texts[0][:200]}")
    return tuple(found)
