"""Sums of functions of one column each, under a known outer function: a Kolmogorov-Arnold layer, one linear problem.

Also products of functions of one column each, by their logarithm, the inverse of one of those outer functions.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from superpose.deadline import Deadline
from superpose.formulas.expressions.splines import SplineEdge
from superpose.formulas.from_table.curve import curves
from superpose.formulas.from_table.outer_functions import OuterFunction, kept, outer_functions
from superpose.formulas.from_table.subproblem import Guess, Subproblem, best_guesses
from superpose.formulas.from_table.surrogate import solved
from superpose.formulas.selection import WEIGHTS
from superpose.spline import grid, reference

if TYPE_CHECKING:
    import sympy


@dataclass(frozen=True)
class _Splines:
    """Splines in place of curves. Chosen on the AI Feynman equations; not compared one by one.

    Attributes:
        rows: first rows of the least-squares problem.
        degree: of the splines: curves of laws are smooth.
        coarse: intervals while outer functions are compared.
        finer: intervals of the best ones, one after another, each about twice the last.
        falls: as long as the error falls to this share.
        near: outer functions whose sums err up to this times the best are compared by their size.
        promising: coarse sums that err up to this times the best one are refined, since curves of the right form need
            not be the easiest for splines.
        points: at which a curve is read.
        combinations: of the recognised curves that become guesses.
        seconds: for recognising one curve.
    """

    rows: int = 4000
    degree: int = 5
    coarse: int = 24
    finer: tuple[int, ...] = (48, 96, 160)
    falls: float = 0.5
    near: float = 3.0
    promising: float = 30.0
    points: int = 300
    combinations: int = 12
    seconds: float = 4.0


_SPLINES = _Splines()


@dataclass(frozen=True)
class _Sum:
    """``f^-1(y)`` as a sum of splines.

    Attributes:
        error: on held-out rows, in units of the original target's spread.
        knots, coefficients: ``[n, G + 2k + 1]`` and ``[n, G + k]``.
    """

    error: float
    outer: OuterFunction
    knots: Tensor
    coefficients: Tensor

    def curve(self, i: int) -> tuple[Tensor, Tensor]:
        """Points ``[P]`` over the range of a column, and values there."""
        ends = self.knots[i, _SPLINES.degree], self.knots[i, -_SPLINES.degree - 1]
        points = torch.linspace(float(ends[0]), float(ends[1]), _SPLINES.points, dtype=self.knots.dtype)
        return points, self.spline(i)(points)

    def spline(self, i: int, offset: float = 0.0) -> SplineEdge:
        """The curve of a column plus an offset, as a spline for a formula."""
        return SplineEdge.unnamed(self.knots[i], self.coefficients[i] + offset, _SPLINES.degree)


def additive(problem: Subproblem, good: float, deadline: Deadline) -> list[Guess]:
    """Guesses of the form ``f(sum phi_i(x_i))`` with known ``f``, if a spline of that form is good enough.

    A curve that no symbol gives stays a spline in the last of the guesses.

    Args:
        good: error, in units of the spread, that the splines must reach.
    """
    coarse = []
    for outer in outer_functions(problem.y):
        fitted = _fit(problem, outer, _SPLINES.coarse)
        if fitted is not None:
            coarse.append(fitted)
    least = min((one.error for one in coarse), default=1.0)
    # Sums that err by less than 0.1 of the spread are refined in any case. A round number.
    promising = [one for one in coarse if one.error < max(_SPLINES.promising * min(least, good), 0.1)]
    fine = []
    for one in sorted(promising, key=lambda one: one.error)[:5]:  # five are refined at most; a round number
        if deadline.passed():
            break
        fine.append(_refined(problem, one))
    fine = [one for one in fine if one.error <= good]
    least = min((one.error for one in fine), default=1.0)
    # Of outer functions that serve equally well the plainest is the true one. Errors below 1e-9 are
    # rounding.
    fine = [one for one in fine if one.error <= max(_SPLINES.near * least, 1e-9)]
    found: list[Guess] = []
    for one in sorted(fine, key=lambda one: one.outer.complexity)[:3]:  # the simplest three; a round number
        if deadline.passed():
            break
        found += _read(problem, one, deadline)
    return found


def _refined(problem: Subproblem, fitted: _Sum) -> _Sum:
    for size in _SPLINES.finer:
        finer = _fit(problem, fitted.outer, size)
        if finer is None or finer.error > _SPLINES.falls * fitted.error:
            break
        fitted = finer
    return fitted


def _fit(problem: Subproblem, outer: OuterFunction, size: int) -> _Sum | None:
    """The sum of splines; None if rows are too few or not finite, or a column has one value only on them."""
    rows = torch.arange(len(problem.y)) if outer.rows is None else outer.rows
    # Four rows for each coefficient; a round number.
    size = min(size, len(rows[: _SPLINES.rows]) // (4 * problem.x.shape[1]) - _SPLINES.degree)
    if size < 4:  # fewer intervals show no curve; a round number
        return None
    x, goal, weight = kept(problem.x, problem.weight, outer, _SPLINES.rows)
    low, high = x.amin(0), x.amax(0)
    if bool((low == high).any()):
        # The rows that an outer function leaves need not vary in every column, as those of the table do.
        return None
    knots = grid.uniform_knots(low, high, size, _SPLINES.degree)
    matrix = reference.dense_basis(knots, _SPLINES.degree, "none", x)
    # A constant can stand in any of the curves: it does in the first.
    rest = matrix[:, 1:, 1:].flatten(1)
    matrix = torch.cat([matrix[:, 0], rest], -1) * weight[:, None]
    held = len(x) // 5  # a fifth, as ``held_out`` of surrogates
    goal = goal * weight
    if not bool(torch.isfinite(matrix).all()) or not bool(torch.isfinite(goal).all()):
        return None
    solution = solved(matrix[held:], goal[held:])
    error = float((matrix @ solution - goal)[:held].square().mean().sqrt()) / problem.spread
    if not error < float("inf"):
        return None
    per = size + _SPLINES.degree
    others = solution[per:].view(x.shape[1] - 1, per - 1)
    coefficients = torch.cat([solution[None, :per], torch.nn.functional.pad(others, (1, 0))])
    return _Sum(error, outer, knots, coefficients)


def _read(problem: Subproblem, fitted: _Sum, deadline: Deadline) -> list[Guess]:
    """The curves recognised, one by one, and put together in the most promising ways."""
    import sympy

    outer = fitted.outer
    parts = [fitted.curve(i) for i in range(len(problem.symbols))]
    spread = max(float(values.std(correction=0)) for _, values in parts)
    if not spread > 0:
        # Splines that are all flat have nothing to be read: the best they can say is the mean.
        return []
    # A curve of the splines is only as good as they are; three times their error is a round number.
    enough = max(3 * fitted.error * problem.spread / spread, 1e-12)
    choices: list[list[tuple[int, Guess | None]]] = []
    for i, ((points, values), symbol) in enumerate(zip(parts, problem.symbols, strict=True)):
        centred = values - values.mean()
        # A curve of a millionth of the largest is flat. A round number.
        if float(centred.std(correction=0)) < 1e-6 * spread:
            continue
        until = deadline.sub(_SPLINES.seconds)
        guesses = _recognised((points, centred), symbol, spread, enough, outer.name == "exp", until)
        # Three for each curve, within ``combinations``.
        own: list[tuple[int, Guess | None]] = [(i, guess) for guess in guesses[:3]]
        if not guesses or guesses[0].error > _SPLINES.promising * enough:
            own = [(i, None), *own[:1]]
        choices.append(own)
    offset = sum(float(values.mean()) for _, values in parts)
    found = []
    for combination in itertools.islice(itertools.product(*choices), _SPLINES.combinations):
        terms, splines, rest = [], dict[str, SplineEdge](), offset
        for i, guess in combination:
            if guess is None:
                # The constant goes into the spline, which has a place for it.
                spline = fitted.spline(i, rest - float(parts[i][1].mean()))
                splines[spline.name], rest = spline, 0.0
                terms.append(sympy.Function(spline.name, real=True)(problem.symbols[i]))
            else:
                terms.append(guess.expression)
        # A constant to be fitted: SymPy drops 0.
        inside = sympy.Add(*terms) if splines else sympy.Add(*terms, sympy.Float(rest or 1e-9))
        errors = [enough if guess is None else guess.error for _, guess in combination]
        size = outer.complexity + sum(WEIGHTS.spline if guess is None else guess.size for _, guess in combination)
        total = sum(error**2 for error in errors) ** 0.5
        make = functools.partial(problem.lift, outer.outside(inside))
        found.append(Guess(make, total, f"sum of curves, {outer.name}", size, splines))
    return found


def _recognised(
    curve: tuple[Tensor, Tensor], symbol: sympy.Symbol, spread: float, enough: float, product: bool, deadline: Deadline
) -> list[Guess]:
    """What a curve may be; under an exponential it is the logarithm of a factor, which can be read as well."""
    import sympy

    points, values = curve
    order = torch.randperm(len(points), generator=torch.Generator().manual_seed(0))
    points, values = points[order], values[order]
    own = Subproblem(points[:, None], values, torch.ones_like(values), [symbol], spread, lambda inner: inner)
    guesses = curves(own, deadline, enough=enough)
    # 18 is ``plain`` of ``curve.py``: smaller guesses are no chance.
    if product and not (guesses and guesses[0].error < enough and guesses[0].size < 18):
        factor = values.exp()
        own = Subproblem(points[:, None], factor, 1 / factor, [symbol], spread, sympy.log)
        guesses = best_guesses([*guesses, *curves(own, deadline, enough=enough)])
    return guesses
