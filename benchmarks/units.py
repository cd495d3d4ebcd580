"""How often the right form is recommended with units of the columns and without, on fifteen Feynman equations.

    OMP_NUM_THREADS=1 python -m benchmarks units --rows 20 --noise 0.01
    OMP_NUM_THREADS=1 python -m benchmarks units --rows 200 --noise 0.1

The tables are those of ``python -m benchmarks discovery``, where the constants of nature are columns. Normal errors are
added, a share of the target's spread. A recommended formula has the right form if its numbers, but for exponents and
for 1, can be chosen so that it has the law's values without errors on other rows, and if it is at most twice as long
and ten nodes more.
With the mode ``numbers`` all columns are said to be numbers: what that gives more than without units is due to the
search among small expressions, and not to the units.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmarks.discovery.suite import table
from benchmarks.problems import equations
from benchmarks.problems.known_laws import KnownLaw
from superpose import DiscoverOptions, discover
from superpose.data import Dataset
from superpose.formulas.expressions.constants import ConstantFit
from superpose.formulas.expressions.formula import Formula
from superpose.formulas.expressions.rewrite import complexity

if TYPE_CHECKING:
    import sympy

# Chosen before anything was measured: sums, differences, roots, exponentials and products of powers.
UNITS: dict[str, dict[str, str]] = {
    "I.6.2": {"sigma": "m", "theta": "m", "f": "1/m"},
    "I.8.14": {"x1": "m", "x2": "m", "y1": "m", "y2": "m", "d": "m"},
    "I.10.7": {"m_0": "kg", "v": "m/s", "c": "m/s", "m": "kg"},
    "I.13.12": {"G": "m^3/(kg s^2)", "m1": "kg", "m2": "kg", "r1": "m", "r2": "m", "U": "J"},
    "I.15.3x": {"x": "m", "u": "m/s", "c": "m/s", "t": "s", "x1": "m"},
    "I.16.6": {"c": "m/s", "v": "m/s", "u": "m/s", "v1": "m/s"},
    "I.18.4": {"m1": "kg", "m2": "kg", "r1": "m", "r2": "m", "r": "m"},
    "I.24.6": {"m": "kg", "omega": "1/s", "omega_0": "1/s", "x": "m", "E_n": "J"},
    "I.32.5": {"q": "C", "a": "m/s^2", "epsilon": "F/m", "c": "m/s", "Pwr": "W"},
    "I.40.1": {"n_0": "1/m^3", "m": "kg", "x": "m", "T": "K", "g": "m/s^2", "kb": "J/K", "n": "1/m^3"},
    "I.48.2": {"m": "kg", "v": "m/s", "c": "m/s", "E_n": "J"},
    "II.6.15a": {"epsilon": "F/m", "p_d": "C m", "r": "m", "x": "m", "y": "m", "z": "m", "Ef": "V/m"},
    "II.11.3": {"q": "C", "Ef": "V/m", "m": "kg", "omega_0": "1/s", "omega": "1/s", "x": "m"},
    "II.24.17": {"omega": "1/s", "c": "m/s", "d": "m", "k": "1/m"},
    "III.4.33": {"h": "J s", "omega": "1/s", "kb": "J/K", "T": "K", "E_n": "J"},
}
# Not looked at while the search was made.
HELD_OUT: dict[str, dict[str, str]] = {
    "I.12.11": {"q": "C", "Ef": "V/m", "B": "T", "v": "m/s", "theta": "1", "F": "N"},
    "I.27.6": {"d1": "m", "d2": "m", "n": "1", "foc": "m"},
    "I.34.14": {"c": "m/s", "v": "m/s", "omega_0": "1/s", "omega": "1/s"},
    "I.39.11": {"Gamma": "1", "pr": "Pa", "V": "m^3", "E_n": "J"},
    "I.44.4": {"n": "1", "kb": "J/K", "T": "K", "V1": "m^3", "V2": "m^3", "E_n": "J"},
    "I.47.23": {"Gamma": "1", "pr": "Pa", "rho": "kg/m^3", "c": "m/s"},
    "II.2.42": {"kappa": "W/(m K)", "T1": "K", "T2": "K", "A": "m^2", "d": "m", "Pwr": "W"},
    "II.11.17": {"n_0": "1/m^3", "kb": "J/K", "T": "K", "theta": "1", "p_d": "C m", "Ef": "V/m", "n": "1/m^3"},
    "II.35.21": {"n_rho": "1/m^3", "mom": "J/T", "B": "T", "kb": "J/K", "T": "K", "M": "A/m"},
    "III.14.14": {"I_0": "A", "q": "C", "Volt": "V", "kb": "J/K", "T": "K", "I": "A"},
}
MODES = {"without": "without units", "with": "with units", "numbers": "with all units given as 1"}
# Relative error on rows without noise, at most twice the nodes and ten more: as in ``discovery/recovery.py``.
_EXACT, _FACTOR, _MORE = 1e-6, 2, 10
# Rows without noise to which the numbers of a formula are fitted, and steps. Round numbers.
_ROWS, _STEPS = 400, 200


def has_right_form(law: KnownLaw, formula: Formula | None) -> bool:
    """Whether a formula is the law for some values of its numbers."""
    if formula is None:
        return False
    if formula.splines or formula.complexity > _FACTOR * complexity(law.expression) + _MORE:
        return False
    formula = replace(formula, expressions=(_freed(formula.expression),))
    x, y = (torch.as_tensor(part) for part in law.sample(_ROWS, (77, 5)))
    fitted = ConstantFit(formula.symbols, x, y, {}).fit(formula.expression, steps=_STEPS)
    return fitted.error < _EXACT**2


def _freed(expression: sympy.Expr) -> sympy.Expr:
    """The expression with decimal numbers in place of factors and terms that are numbers, but for 1 and -1."""

    def walk(node: sympy.Expr) -> sympy.Expr:
        if node.is_Pow:
            return node.func(walk(node.base), node.exp if not node.exp.free_symbols else walk(node.exp))
        if not (node.is_Mul or node.is_Add):
            return node.func(*map(walk, node.args)) if node.args else node
        number = node.func(*(part for part in node.args if not part.free_symbols))
        rest = [walk(part) for part in node.args if part.free_symbols]
        return node.func(number if number in (-1, 0, 1) else number.evalf(), *rest)

    return walk(expression)


def main(arguments: Sequence[str]) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks units", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=20)
    parser.add_argument("--noise", type=float, default=0.01, help="share of the target's standard deviation")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--time-limit", type=float, default=15.0, help="seconds of each discover")
    parser.add_argument("--modes", nargs="*", choices=tuple(MODES), default=list(MODES), help="see the text")
    parser.add_argument("--held-out", action="store_true", help="ten others, not looked at while the search was made")
    parser.add_argument("--shuffled", action="store_true", help="the target in random order: no formula is right")
    parser.add_argument("--only", nargs="*", choices=(*UNITS, *HELD_OUT), help="some of the equations")
    given = parser.parse_args(arguments)
    counts = dict.fromkeys(given.modes, 0)
    names = given.only or list(HELD_OUT if given.held_out else UNITS)
    every = UNITS | HELD_OUT
    for name in names:
        law = equations()[name]
        x, y = table(law, given.rows, given.noise, given.seed)
        if given.shuffled:
            y = np.random.default_rng(given.seed).permutation(y)
        data = Dataset.from_arrays(
            x, y, feature_names=[symbol.name for symbol in law.symbols], target_names=[law.output], test=0.0
        )
        for mode in counts:
            units = {"without": None, "with": every[name], "numbers": dict.fromkeys(every[name], "1")}[mode]
            options = DiscoverOptions(time_limit=given.time_limit, seed=given.seed, units=units)
            began = time.monotonic()
            result = discover(data, options)
            right = has_right_form(law, result.formula)
            listed = any(has_right_form(law, one.formula) for one in result.findings)
            counts[mode] += result.formula is not None if given.shuffled else right
            row = {
                "equation": name,
                "rows": given.rows,
                "noise": given.noise,
                "seed": given.seed,
                "units": mode,
                "right": right,
                "among the found": listed,
                "formula": None if result.formula is None else result.formula.short()[0],
                "agree": result.metrics.get("units", {}).get("sentence"),
                "seconds": round(time.monotonic() - began, 1),
            }
            print(json.dumps(row), flush=True)
    text = ", ".join(f"{count} of {len(names)} {MODES[mode]}" for mode, count in counts.items())
    what = "a formula of shuffled targets" if given.shuffled else "right form"
    print(f"{given.rows} rows, noise {given.noise:g}, seed {given.seed}: {what} recommended in {text}", flush=True)
    return 0
