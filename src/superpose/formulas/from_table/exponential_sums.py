"""Sums of exponentials and waves, damped or not, and a polynomial: all solutions of linear differential equations with
constant coefficients, their rates found at once by the matrix pencil (Y. Hua and T. Sarkar, 1990). In the logarithm of
a column they are sums of powers with any exponents, in its square waves that grow ever faster.

A curve of that kind, taken at evenly spaced points, makes a Hankel matrix of low rank, and the eigenvalues of the shift
within its row space are the exponentials of the rates.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from superpose.deadline import Deadline
from superpose.formulas import selection
from superpose.formulas.expressions import constants
from superpose.formulas.from_table.outer_functions import OuterFunction, kept, outer_functions
from superpose.formulas.from_table.subproblem import Guess, Subproblem
from superpose.formulas.from_table.symmetries import Reduction
from superpose.nn.symbolic_functions import torch_function
from superpose.spline import grid, reference

if TYPE_CHECKING:
    import sympy


@dataclass(frozen=True)
class _Pencil:
    """The matrix pencil. Chosen on the AI Feynman equations; not compared one by one.

    Attributes:
        rows: first rows for the spline through the curve, and for the amplitudes.
        fit_rows: first rows that rates are fitted to in the end.
        degree: of that spline.
        intervals: of that spline, at most; ten rows each.
        points: evenly spaced ones on the spline.
        window: columns of their Hankel matrix, a third of the points: from a third to two thirds
            of them the variance of the rates is least (Hua and Sarkar).
        rates: of one sum, at most.
        still: a rate times the length of the curve below this makes a polynomial,
        steepest: and above this an artefact of the endpoints of the spline.
        damped: a damping or frequency times the length below this is not seen on the rows.
        hopeless: sums that err more are not fitted.
        fitted: sums of one outer function whose rates are fitted.
        worth: a longer sum must leave less than this share of the error of all shorter ones.
        outers: outer functions that are tried.
    """

    rows: int = 4000
    fit_rows: int = 800
    degree: int = 5
    intervals: int = 100
    points: int = 240
    window: int = 80
    rates: int = 8
    still: float = 0.7
    steepest: float = 60.0
    damped: float = 1e-3
    hopeless: float = 0.1
    fitted: int = 2
    worth: float = 0.3
    outers: tuple[str, ...] = ("x", "1/x", "exp", "sqrt", "log", "1/sqrt")


_PENCIL = _Pencil()
_EXACT = selection.FLOORS.rounding


def exponential_sums(problem: Subproblem, deadline: Deadline) -> Iterator[Guess]:
    """Guesses for a table of one column: sums of few modes under an outer function, then those of other variables."""
    import sympy

    x, symbol = problem.x[:, 0], problem.symbols[0]
    best = math.inf
    for guess in _modes(problem, deadline):
        best = min(best, guess.error)
        yield guess
    for column, expression, usable in (
        (x.log(), sympy.log(symbol), bool((x > 0).all())),
        (x.square(), symbol**2, bool((x >= 0).all())),
    ):
        if usable and best > _EXACT:
            made = Reduction(0.0, column[:, None], [expression], None, sympy.Integer(1), str(expression))
            yield from _modes(problem.reduced(made), deadline)


def _modes(problem: Subproblem, deadline: Deadline) -> Iterator[Guess]:
    for outer in outer_functions(problem.y):
        if outer.name not in _PENCIL.outers or deadline.passed():
            continue
        x, y, weight = kept(problem.x[:, 0], problem.weight, outer, _PENCIL.rows)
        even = _evenly(x, y, weight)
        if even is None:
            continue
        least = math.inf
        found: list[tuple[float, sympy.Expr, int]] = []
        for rates, powers in _rates(even, float(x.max() - x.min())):
            basis = _basis(x, rates, powers) * weight[:, None]
            goal = y * weight
            if not bool(torch.isfinite(basis).all()):
                continue
            solution = torch.linalg.lstsq(basis, goal[:, None], driver="gelsy").solution[:, 0]
            error = float((basis @ solution - goal).square().mean().sqrt()) / problem.spread
            if error > _PENCIL.worth * least:
                continue
            least = error
            count = len(rates) + powers
            if error < _PENCIL.hopeless:
                found.append((error, _written(problem.symbols[0], rates, powers, solution.tolist()), count))
        for _, inner, count in sorted(found, key=lambda item: item[0] * 2 ** item[2])[: _PENCIL.fitted]:
            yield _fitted(problem, outer, inner, count)


def _evenly(x: Tensor, y: Tensor, weight: Tensor) -> Tensor | None:
    """The curve at evenly spaced points, by a least-squares spline; None if the rows leave it open."""
    count = min(_PENCIL.intervals, len(x) // 10)
    low, high = x.min(), x.max()
    if count < 4 or not bool(high > low):  # fewer than 40 rows; a round number
        return None
    knots = grid.uniform_knots(low[None], high[None], count, _PENCIL.degree)
    matrix = reference.dense_basis(knots, _PENCIL.degree, "none", x[:, None])[:, 0] * weight[:, None]
    # Decides coefficients that no row determines: 1e-18 in the normal equations. A round number.
    matrix = torch.cat([matrix, 1e-9 * matrix.square().sum(0).max().sqrt() * torch.eye(matrix.shape[1]).to(matrix)])
    goal = torch.cat([y * weight, y.new_zeros(matrix.shape[1])])
    if not bool(torch.isfinite(matrix).all()) or not bool(torch.isfinite(goal).all()):
        return None
    solution = torch.linalg.lstsq(matrix, goal[:, None], driver="gelsy").solution[:, 0]
    points = torch.linspace(float(low), float(high), _PENCIL.points, dtype=x.dtype)
    even: Tensor = reference.dense_basis(knots, _PENCIL.degree, "none", points[:, None])[:, 0] @ solution
    return even


def _rates(even: Tensor, length: float) -> Iterator[tuple[list[complex], int]]:
    """Rates, one of each conjugate pair, and how many powers of the variable stand beside them, few first."""
    hankel = even.unfold(0, _PENCIL.window + 1, 1)
    # No division by zero.
    _, _, rows = torch.linalg.svd(hankel / even.abs().max().clamp(min=1e-300), full_matrices=False)
    step = length / (len(even) - 1)
    seen = set()
    for count in range(1, _PENCIL.rates + 1):
        space = rows[:count].T
        shift = torch.linalg.lstsq(space[:-1], space[1:]).solution
        # Finite logarithms: 1e-6 is a fall beyond ``steepest``.
        found = [complex(z) for z in torch.linalg.eigvals(shift).tolist() if abs(z) > 1e-6]
        rates = [complex(math.log(abs(z)), math.atan2(z.imag, z.real)) / step for z in found]
        if len(rates) < count or any(abs(rate.real) * length > _PENCIL.steepest for rate in rates):
            continue
        powers = sum(1 for rate in rates if abs(rate) * length < _PENCIL.still)
        # One rate of each conjugate pair, and real rates, whose imaginary parts are rounding.
        kept_rates = sorted(
            (rate for rate in rates if abs(rate) * length >= _PENCIL.still and rate.imag > -1e-9 / length), key=abs
        )
        # A constant may always stand beside them.
        for still in dict.fromkeys((max(powers, 1), powers)):
            key = (still, *(f"{rate:.6g}" for rate in kept_rates))
            if key not in seen and still + len(kept_rates):
                seen.add(key)
                yield [_plain(rate, length) for rate in kept_rates], still


def _plain(rate: complex, length: float) -> complex:
    """Without a damping or a frequency that the rows do not show."""
    real = 0.0 if abs(rate.real) * length < _PENCIL.damped else rate.real
    return complex(real, 0.0 if abs(rate.imag) * length < _PENCIL.damped else rate.imag)


def _basis(x: Tensor, rates: list[complex], powers: int) -> Tensor:
    columns = [x**power for power in range(powers)]
    for rate in rates:
        size = (rate.real * x).exp()
        if rate.imag:
            columns += [size * (rate.imag * x).cos(), size * (rate.imag * x).sin()]
        else:
            columns.append(size)
    return torch.stack(columns, -1)


def _written(symbol: sympy.Expr, rates: list[complex], powers: int, solution: list[float]) -> sympy.Expr:
    """The sum of modes, each wave with a phase."""
    import sympy

    amounts = iter(solution)
    terms = [sympy.Float(next(amounts)) * symbol**power for power in range(powers)]
    for rate in rates:
        size = sympy.exp(sympy.Float(rate.real) * symbol) if rate.real else sympy.Integer(1)
        if rate.imag:
            even, odd = next(amounts), next(amounts)
            wave = sympy.cos(sympy.Float(rate.imag) * symbol + sympy.Float(math.atan2(-odd, even)))
            terms.append(sympy.Float(math.hypot(even, odd)) * size * wave)
        else:
            terms.append(sympy.Float(next(amounts)) * size)
    return sympy.Add(*terms)


def _fitted(problem: Subproblem, outer: OuterFunction, inner: sympy.Expr, count: int) -> Guess:
    """With the rates fitted to the rows themselves: those of the pencil are as good as the spline."""
    symbol = problem.symbols[0]
    x, y, weight = problem.x[: _PENCIL.fit_rows], problem.y[: _PENCIL.fit_rows], problem.weight[: _PENCIL.fit_rows]
    # Rates begin as near as the spline allows; as many steps as for each guess (``steps`` of law_pool.py).
    whole = constants.ConstantFit((symbol,), x, y, {}).fit(outer.outside(inner), steps=12).expression
    residual = (torch_function(whole, [symbol])(x[:, 0]) - y) * weight
    error = float(residual.square().mean().sqrt()) / problem.spread
    # 7.0: about the nodes of one mode, as for scanned rates in curve.py.
    lifted = functools.partial(problem.lift, whole)
    return Guess(
        lifted, error if math.isfinite(error) else math.inf, f"{outer.name} of modes", outer.complexity + 7.0 * count
    )


__all__ = ["exponential_sums"]
