"""gplearn: genetic programming in the way of scikit-learn."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.methods.proposals import with_refitted_constants
from benchmarks.problems.known_function import FloatArray

if TYPE_CHECKING:
    import sympy

# Error relative to the target's standard deviation at which the search stops.
_EXACT = 1e-10
_MAX_SEED = 2**32
# On fewer rows it gets through more generations.
_ROWS = 1000
_OUTSIDE_DOMAIN = 1e6


def propose(
    symbols: tuple[sympy.Symbol, ...], x: FloatArray, y: FloatArray, *, time_limit: float, seed: int
) -> tuple[sympy.Expr, ...]:
    """The best program of all generations that the time allows, and the same with its constants refitted.

    It is given the first thousand rows, and constants are refitted to all. Refitting is a help: gplearn draws its
    constants and changes them at random. Its functions that are defined everywhere are read as what they are: the root
    and the logarithm of an absolute value, a division.
    """
    from gplearn.genetic import SymbolicRegressor

    until = time.monotonic() + time_limit
    spread = float(np.std(y[:_ROWS])) or 1.0
    regressor: Any = SymbolicRegressor(
        population_size=1000,
        function_set=["add", "sub", "mul", "div", "neg", "inv", "sqrt", "log", "sin", "cos", *_more_functions()],
        metric="rmse",
        const_range=(-5.0, 5.0),
        # In the metric's units, for each node.
        parsimony_coefficient=1e-4 * spread,
        p_crossover=0.7,
        p_subtree_mutation=0.1,
        p_hoist_mutation=0.05,
        p_point_mutation=0.1,
        warm_start=True,
        low_memory=True,
        n_jobs=1,
        random_state=seed % _MAX_SEED,
    )
    best: Any = None
    slowest, generation = 0.0, 0
    while generation == 0 or time.monotonic() + slowest < until:
        began, generation = time.monotonic(), generation + 1
        regressor.set_params(generations=generation)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            regressor.fit(x[:_ROWS], y[:_ROWS])
        slowest = max(slowest, time.monotonic() - began)
        program = regressor._program
        if best is None or program.raw_fitness_ < best.raw_fitness_:
            best = program
        if best.raw_fitness_ < _EXACT * spread:
            break
    return with_refitted_constants(_expression(iter(best.program), symbols), symbols, x, y)


def _more_functions() -> list[Any]:
    """Functions of the equations that it lacks, defined everywhere as it demands."""
    from gplearn.functions import make_function

    def exponential(inner: Any) -> Any:
        return np.exp(np.minimum(inner, 50.0))

    def arcsine(inner: Any) -> Any:
        # It demands a value everywhere; this one makes sure that nothing is gained beyond the domain.
        return np.where(np.abs(inner) <= 1.0, np.arcsin(np.clip(inner, -1.0, 1.0)), _OUTSIDE_DOMAIN)

    table = {"exp": exponential, "asin": arcsine, "tanh": np.tanh, "square": np.square}
    return [make_function(function=made, name=name, arity=1, wrap=False) for name, made in table.items()]


def _expression(program: Iterator[Any], symbols: tuple[sympy.Symbol, ...]) -> sympy.Expr:
    """The expression that begins with the next element of a program, which has functions before their arguments."""
    import sympy

    meanings: dict[str, Any] = {
        "add": lambda a, b: a + b,
        "sub": lambda a, b: a - b,
        "mul": lambda a, b: a * b,
        "div": lambda a, b: a / b,
        "neg": lambda a: -a,
        "inv": lambda a: 1 / a,
        "square": lambda a: a**2,
        "sqrt": lambda a: sympy.sqrt(sympy.Abs(a)),
        "log": lambda a: sympy.log(sympy.Abs(a)),
        **{name: getattr(sympy, name) for name in ("sin", "cos", "exp", "asin", "tanh")},
    }
    head = next(program)
    if isinstance(head, int | np.integer):
        return symbols[int(head)]
    if isinstance(head, float | np.floating):
        return sympy.Float(float(head)) if math.isfinite(head) else sympy.nan
    inner = [_expression(program, symbols) for _ in range(head.arity)]
    found: sympy.Expr = meanings[head.name](*inner)
    return found
