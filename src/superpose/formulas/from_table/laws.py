"""find_laws: expressions for the targets of a table, from simple to accurate."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from superpose.data import Dataset
from superpose.errors import OptionError
from superpose.formulas import selection
from superpose.formulas.dictionary import simplest_products
from superpose.formulas.expressions import constants, rewrite
from superpose.formulas.expressions.functions import linear_in, resolve_names, uses_only
from superpose.formulas.expressions.splines import SplineEdge, absorbed
from superpose.formulas.from_table.engine import Engine, Law
from superpose.formulas.from_table.node import Guess
from superpose.formulas.from_table.simplification import floats, tidied
from superpose.formulas.subsets import best_subsets
from superpose.messages import nearest
from superpose.pareto import pareto_front
from superpose.short_repr import brief
from superpose.stopping import StopReason

if TYPE_CHECKING:
    import sympy

Listener = Callable[[str], None]

# Rows to which constants are fitted while forms are compared, and in the end.
_ROWS, _ALL_ROWS = 1500, 20_000
# Terms that are tried in the end where functions are restricted, and how many of them a sum may have.
_MOST_TERMS, _MOST_SUMMED = 600, 5
# Share of the time for searching; the rest is for simplifying.
_SEARCH = 0.75
_MOST_ON_FRONT = 6
# Guesses that waited are fitted in the end where nothing better was found.
_SETTLED = 4
# A law this near to the best is as good: then the simpler one is taken.
_EXACT = selection.FLOORS.rounding
_SPLINE_MORE = 1.1
# So many laws, whose prices differ by so little, are simplified before one is recommended.
_CONTENDERS, _CLOSE, _CLOSE_IN_NOISE = 4, 0.3, 60.0
# A law must leave less than this share of what a smaller one leaves: 2% is what constants do that are not yet simple.
_FRONT_MARGIN = 0.98
# Columns within so many powers of ten of 1 keep their units.
_ORDINARY = 3


@dataclass(frozen=True)
class Found:
    """What :func:`find_laws` returns for one target.

    Attributes:
        laws: none of which is surpassed by a simpler one, from simple to accurate.
        best: the recommended one; None if there is no law at all.
        complete: whether it leaves nothing to explain: rounding, or residuals that no polynomial predicts.
        reason: why the search ended, and why this law is recommended.
        floor: the least error of a smooth stand-in, in units of the target's spread: what can be explained at least.
        stop: why the search ended.
        splines: the functions in the laws that no symbol was found for, by their names.
    """

    __repr__ = brief

    laws: tuple[Law, ...]
    best: Law | None
    complete: bool
    reason: str
    floor: float = math.inf
    stop: StopReason = StopReason.NOT_RUN
    splines: Mapping[str, SplineEdge] = field(default_factory=dict)

    @property
    def interrupted(self) -> bool:
        """Whether a user interrupted the search."""
        return self.stop is StopReason.INTERRUPTED


def find_laws(
    data: Dataset,
    *,
    time_limit: float = 60.0,
    seed: int = 0,
    target: int = 0,
    functions: Sequence[str] | None = None,
    linear: Sequence[str] = (),
    listener: Listener | None = None,
) -> Found:
    """Search for expressions that give a target from the features, by structure first.

    A smooth stand-in for the table shows which columns matter, which enter together and which are units; the table is
    made smaller by that, again and again, and at each stage the target, or a function of it, is looked for as a sum of
    few terms, a quotient of two sums, a sum of curves or a curve of one column. The constants of what is promising are
    fitted to the table itself, brought to simple values where the rows do not object, and simplified.

    Only training and validation rows are used.

    Args:
        data: the table.
        time_limit: seconds.
        seed: of the order of rows; everything else follows from the data.
        target: which of the targets.
        functions: names of the functions that laws may hold beside sums and products; any if left out.
        linear: columns that enter linearly: laws are of the form ``A + column * B``.
        listener: called with a short sentence whenever something was reached.

    >>> x = torch.linspace(1, 2, 200, dtype=torch.float64)
    >>> data = Dataset.from_arrays(torch.stack([x, x.flip(0) ** 2], -1), 3 * x / x.flip(0) ** 2)
    >>> find_laws(data, time_limit=20).best.expression
    3*x1/x2
    """
    import sympy

    began = time.monotonic()
    rows = torch.cat([data.train, data.validation])
    symbols = tuple(sympy.Symbol(name, real=True) for name in data.feature_names)
    x, y, back, unit = _measured(data.x[rows], data.y[rows, target], symbols)
    allowed = _Allowed(symbols, None if functions is None else resolve_names(functions), tuple(linear))
    engine = _Choosy(x, y, symbols, deadline=began + _SEARCH * time_limit, seed=seed, listener=listener)
    engine.allowed = allowed
    reason = engine.run()
    if not allowed.everything and not engine.found() and engine.stop is not StopReason.INTERRUPTED:
        engine.deadline = began + time_limit
        engine.consider(_sums(engine, symbols))
    deadline = began + time_limit
    engine.deadline = deadline
    if not engine.found() and engine.stop is not StopReason.INTERRUPTED:
        engine.settle(_SETTLED)
    if not engine.laws:
        return Found((), None, False, reason, engine.floor, engine.stop)
    found = engine.found()
    raw = min(engine.laws, key=lambda law: law.score)
    noisy = found and raw.error >= _EXACT

    def rank(law: Law) -> float:
        return _evidence(law, len(engine.y)) if noisy else law.score

    ranked = sorted(engine.laws, key=rank)
    raw = ranked[0]
    # What no symbol was found for may stay a spline if nothing else is left to explain.
    complete = found or (bool(raw.splines) and raw.error <= max(engine.floor, _EXACT))
    near = _CLOSE_IN_NOISE if noisy else _CLOSE
    best = _plainest(engine, [law for law in ranked if rank(law) <= rank(raw) + near], rank, deadline, time_limit)
    laws = [best]
    for law in engine.simpler(best, _MOST_ON_FRONT):
        if time.monotonic() > deadline - 0.05 * time_limit:
            break
        laws.append(_tidied(engine, law, min(deadline, time.monotonic() + 3)))
    front = _front(laws, best)
    of = f"{data.target_names[target]}_" if data.n_targets > 1 else ""
    names = {name: f"spline_{of}{n}" for n, name in enumerate(sorted(set().union(*(law.splines for law in front))), 1)}
    lifted = tuple(
        replace(law, expression=rewrite.renamed(_whole(unit * law.expression.xreplace(back)), names)) for law in front
    )
    recommended = lifted[next(n for n, law in enumerate(front) if law is best)]
    why = f"{reason}; {_why(best, complete)}"
    used = {new: replace(engine.splines[old], name=new) for old, new in names.items()}
    return Found(lifted, recommended, complete, why, engine.floor, engine.stop, used)


@dataclass(frozen=True)
class _Allowed:
    """Which expressions a person allows."""

    symbols: tuple[sympy.Symbol, ...]
    functions: tuple[str, ...] | None
    linear: tuple[str, ...]

    def __post_init__(self) -> None:
        names = [symbol.name for symbol in self.symbols]
        for name in self.linear:
            if name not in names:
                raise OptionError(f"there is no column {name!r} to enter linearly{nearest(name, names)}")

    @property
    def everything(self) -> bool:
        return self.functions is None and not self.linear

    def __call__(self, expression: sympy.Expr, splines: Collection[str] = ()) -> bool:
        if self.functions is not None and not uses_only(expression, self.functions, beside=splines):
            return False
        return all(linear_in(expression, symbol) for symbol in self.symbols if symbol.name in self.linear)


class _Choosy(Engine):
    """A search that keeps only what is allowed."""

    allowed: _Allowed

    def consider(self, guesses: list[Guess], stand_in: float = 0.0) -> None:
        # Most guesses are never written out, and where all are allowed that is not needed either.
        if not self.allowed.everything:
            guesses = [guess for guess in guesses if self.allowed(guess.expression, self.splines)]
        super().consider(guesses, stand_in)

    def fitted(self, guess: Guess) -> Law | None:
        law = super().fitted(guess)
        return law if law is not None and self.allowed(law.expression, self.splines) else None


def _sums(engine: _Choosy, symbols: tuple[sympy.Symbol, ...]) -> list[Guess]:
    """Sums of few terms that are allowed: where all are, those that are best may stand in their way."""

    x, y = engine.x[:_ROWS], engine.y[:_ROWS]
    dictionary = simplest_products(x, symbols, most=_MOST_TERMS)
    kept = [k for k in range(len(dictionary)) if engine.allowed(dictionary.expression(k))]
    found: list[Guess] = []
    for subset in best_subsets(dictionary.values[:, kept], y, engine.spread, most=_MOST_SUMMED, keep=1):
        parts = [(kept[k], c) for k, c in zip(subset.columns, subset.coefficients.tolist(), strict=True)]

        def make(parts: list[tuple[int, float]] = parts) -> sympy.Expr:
            return dictionary.combination(*zip(*parts, strict=True))

        size = sum(3 + dictionary.cost(k) for k, _ in parts)
        if not found or subset.error < 0.7 * found[-1].error:
            found.append(Guess(make, subset.error, "sum of allowed terms", size))
    return sorted(found, key=lambda guess: guess.error)


def _measured(
    x: Tensor, y: Tensor, symbols: tuple[sympy.Symbol, ...]
) -> tuple[Tensor, Tensor, dict[sympy.Symbol, sympy.Expr], sympy.Expr]:
    """Columns and target in units in which they are neither tiny nor huge, and the way back for expressions."""
    import sympy

    back: dict[sympy.Symbol, sympy.Expr] = {}
    columns = []
    for symbol, column in zip(symbols, x.unbind(-1), strict=True):
        power = _power_of_ten(column)
        columns.append(column / 10.0**power if power else column)
        if power:
            back[symbol] = symbol * sympy.Float(10.0**-power)
    power = _power_of_ten(y)
    unit = sympy.Float(10.0**power) if power else sympy.Integer(1)
    return torch.stack(columns, -1), y / 10.0**power if power else y, back, unit


def _whole(expression: sympy.Expr) -> sympy.Expr:
    """Powers of ten that cancel leave floats of small fractions, to rounding: these are written as such."""
    import sympy

    plain = {}
    for number in expression.atoms(sympy.Float):
        near = sympy.Rational(number).limit_denominator(100)
        if near and abs(float(near) - float(number)) <= 4e-16 * abs(float(number)) and abs(near) < 1000:
            plain[number] = near
    return expression.xreplace(plain)


def _power_of_ten(values: Tensor) -> int:
    """0 for values of ordinary size, else the power of ten that makes them so."""
    size = float(values.abs().median()) or float(values.abs().max()) or 1.0
    power = round(math.log10(size))
    return 0 if abs(power) <= _ORDINARY else power


def _tidied(engine: _Choosy, law: Law, deadline: float) -> Law:
    """The law with simple constants where the rows allow them, simplified, the others fitted to all rows."""
    if law.splines:
        expression, made = absorbed(law.expression, engine.splines)
        engine.splines |= made
        law = replace(law, expression=expression)
    problem = constants.ConstantFit(engine.symbols, engine.x[:_ROWS], engine.y[:_ROWS], engine.splines, deadline)
    simple = tidied(law.expression, problem)
    rows = engine.x[:_ALL_ROWS], engine.y[:_ALL_ROWS]
    everything = constants.ConstantFit(engine.symbols, *rows, engine.splines, deadline)
    fitted = everything.fit(simple.expression, steps=8)
    error = math.sqrt(everything.error(fitted.expression))
    # The error of a spline is no noise, and one constant moves it more than another.
    worse = not error <= max((_SPLINE_MORE if law.splines else 1.02) * law.error, _EXACT)
    if worse or not engine.allowed(fitted.expression, engine.splines):
        return law
    return Law(fitted.expression, error, law.note, fitted.errors)


def _plainest(
    engine: _Choosy, laws: list[Law], rank: Callable[[Law], float], deadline: float, time_limit: float
) -> Law:
    """Of laws that are about as good, the first few of which are tidied, the one with the least rank in the end."""
    best = _tidied(engine, laws[0], time.monotonic() + 0.8 * max(1.0, deadline - time.monotonic()))
    for law in laws[1:_CONTENDERS]:
        if best.error < _EXACT or time.monotonic() > deadline - 0.3 * time_limit:
            break
        best = min(best, _tidied(engine, law, time.monotonic() + 3), key=rank)
    return best


def _evidence(law: Law, rows: int) -> float:
    """What speaks against a law that leaves noise: its likelihood, and its size; less is better.

    Of laws that err by about as much, the one with the right form errs by significantly less: 10,000 rows with 0.1% of
    noise tell apart curves that differ by a hundredth of that.
    """
    import sympy

    nodes = selection.size(
        rewrite.complexity(law.expression),
        functions=len(law.expression.atoms(sympy.Function)),
        splines=len(law.splines),
    )
    return selection.description_length(selection.gaussian(law.error, rows), nodes, floats(law.expression), rows)


def _front(laws: list[Law], best: Law) -> list[Law]:
    """The laws that no simpler one surpasses, from simple to accurate, and the best one."""
    return pareto_front(
        laws,
        size=lambda law: rewrite.complexity(law.expression),
        error=lambda law: law.error,
        keep=best,
        margin=_FRONT_MARGIN,
    )


def _why(best: Law, complete: bool) -> str:
    if best.error < _EXACT:
        return "recommended because it gives every row to rounding"
    if best.splines:
        stays = "a curve that no symbol was found for stays a spline"
        return f"{stays}, and nothing else is left to explain" if complete else stays
    if complete:
        return "recommended as the simplest whose residuals show no structure"
    return "recommended for its error and its size together; its residuals still show structure"
