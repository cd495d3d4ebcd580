"""find_laws: expressions for the targets of a table, from simple to accurate."""

from __future__ import annotations

import functools
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from superpose.data import Dataset
from superpose.deadline import Deadline
from superpose.errors import OptionError
from superpose.formulas import selection
from superpose.formulas.dictionary import simplest_products
from superpose.formulas.expressions import rewrite
from superpose.formulas.expressions.constants import Sensible
from superpose.formulas.expressions.functions import linear_in, resolve_names, uses_only
from superpose.formulas.expressions.splines import SplineEdge
from superpose.formulas.from_table.law_pool import Demands, Law, LawPool, Listener
from superpose.formulas.from_table.law_ranking import Ranking
from superpose.formulas.from_table.law_search import INTERRUPTED, NOTHING_LEFT, LawSearch
from superpose.formulas.from_table.residual_search import search_residuals
from superpose.formulas.from_table.subproblem import Guess
from superpose.formulas.subsets import best_subsets
from superpose.messages import nearest
from superpose.partial import Failures
from superpose.short_repr import brief
from superpose.stopping import StopReason

if TYPE_CHECKING:
    import sympy


@dataclass(frozen=True)
class _Settings:
    """Chosen on the AI Feynman equations with a time limit of 60 s on one core.

    Attributes:
        search: share of the time for searching; the rest is for simplifying.
        residuals: share of the rest for laws of residuals, if the search took all of its time.
        postponed: how many of the guesses that waited are fitted where nothing better was found.
        rows, terms, summed: where functions are restricted, sums of up to so many terms of a dictionary of this size
            are tried in the end on the first rows: terms that are not allowed no longer stand in their way.
        clearly: a longer sum must leave less than this share of what a shorter one leaves.
        decades: columns and targets within so many powers of ten of 1 keep their units.
    """

    search: float = 0.75
    residuals: float = 0.5
    postponed: int = 4
    rows: int = 1500
    terms: int = 600
    summed: int = 5
    clearly: float = 0.7
    decades: int = 3


_SETTINGS = _Settings()


@dataclass(frozen=True)
class LawSearchResult:
    """What :func:`find_laws` returns for one target.

    Attributes:
        laws: none of which is surpassed by a simpler one, from simple to accurate.
        best: the recommended one; None if there is no law at all.
        complete: whether it leaves nothing to explain: rounding, or residuals that no polynomial predicts.
        reason: why the search ended, and why this law is recommended.
        floor: the least error of a surrogate, in units of the target's spread: what can be explained at least.
        stop: why the search ended.
        splines: the functions in the laws that no symbol was found for, by their names.
        failures: parts of the search that failed.
    """

    __repr__ = brief

    laws: tuple[Law, ...]
    best: Law | None
    complete: bool
    reason: str
    floor: float = math.inf
    stop: StopReason = StopReason.NOT_RUN
    splines: Mapping[str, SplineEdge] = field(default_factory=dict)
    failures: Failures = field(default_factory=Failures, repr=False, compare=False)

    @property
    def interrupted(self) -> bool:
        """Whether a user interrupted the search."""
        return self.stop is StopReason.INTERRUPTED


def find_laws(
    data: Dataset,
    *,
    time_limit: float = 60.0,  # a minute; a round number
    seed: int = 0,
    target: int = 0,
    functions: Sequence[str] | None = None,
    linear: Sequence[str] = (),
    listener: Listener | None = None,
    sensible: Sensible | None = None,
) -> LawSearchResult:
    """Search for expressions that give a target from the features, by structure first.

    A surrogate for the table shows which columns matter, which enter together and which are units; the table is
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
        sensible: whether an expression makes sense; of one that does no constant is replaced by a simple value with
            which it does not. Of columns and targets far from 1 it is asked in other units, by powers of ten.

    >>> x = torch.linspace(1, 2, 200, dtype=torch.float64)
    >>> data = Dataset.from_arrays(torch.stack([x, x.flip(0) ** 2], -1), 3 * x / x.flip(0) ** 2)
    >>> find_laws(data, time_limit=20).best.expression
    3*x1/x2
    """
    import sympy

    deadline, search_deadline = Deadline(time_limit), Deadline(_SETTINGS.search * time_limit)
    rows = torch.cat([data.train, data.validation])
    symbols = tuple(sympy.Symbol(name, real=True) for name in data.feature_names)
    x, y, units = _measured(data.features(rows), data.y[rows, target], symbols)
    allowed = None
    if functions is not None or linear:
        allowed = _Allowed(symbols, None if functions is None else resolve_names(functions), tuple(linear))
    demands = Demands(allowed, sensible)
    pool = LawPool(x, y, symbols, deadline=deadline, seed=seed, demands=demands, listener=listener)
    search = LawSearch(pool, search_deadline)
    reason = search.run()
    if search.stop is not StopReason.INTERRUPTED:
        left = max(search_deadline.left(), _SETTINGS.residuals * deadline.left())
        stop, failures = search_residuals(pool, deadline.sub(left))
        search.failures.extend(failures)
        if stop is StopReason.INTERRUPTED:
            search.stop, reason = stop, INTERRUPTED
        elif pool.found():
            search.stop, reason = StopReason.CONVERGED, NOTHING_LEFT
    if search.stop is not StopReason.INTERRUPTED and not pool.found():
        if allowed is not None:
            pool.consider(_allowed_sums(pool), 0.0, deadline)
        if allowed is None or not pool.found():
            pool.fit_postponed(_SETTINGS.postponed)
    if not pool.laws:
        return LawSearchResult((), None, False, reason, pool.floor, search.stop, failures=search.failures)
    ranking = Ranking(pool, time_limit)
    best = ranking.recommended()
    front = ranking.front(best)
    of = f"{data.target_names[target]}_" if data.n_targets > 1 else ""
    names = {name: f"spline_{of}{n}" for n, name in enumerate(sorted(set().union(*(law.splines for law in front))), 1)}
    laws = tuple(
        replace(law, expression=rewrite.rename_functions(units.restored(law.expression), names)) for law in front
    )
    recommended = laws[next(n for n, law in enumerate(front) if law is best)]
    why = f"{reason}; {_why(best, ranking.complete)}"
    used = {new: replace(pool.splines[old], name=new) for old, new in names.items()}
    return LawSearchResult(laws, recommended, ranking.complete, why, pool.floor, search.stop, used, search.failures)


@dataclass(frozen=True)
class _Allowed:
    """Which expressions the user allows."""

    symbols: tuple[sympy.Symbol, ...]
    functions: tuple[str, ...] | None
    linear: tuple[str, ...]

    def __post_init__(self) -> None:
        names = [symbol.name for symbol in self.symbols]
        for name in self.linear:
            if name not in names:
                raise OptionError(f"there is no column {name!r} to enter linearly{nearest(name, names)}")

    def __call__(self, expression: sympy.Expr, splines: Collection[str] = ()) -> bool:
        if self.functions is not None and not uses_only(expression, self.functions, beside=splines):
            return False
        return all(linear_in(expression, symbol) for symbol in self.symbols if symbol.name in self.linear)


def _allowed_sums(pool: LawPool) -> list[Guess]:
    """Sums of few allowed terms."""
    x, y = pool.x[: _SETTINGS.rows], pool.y[: _SETTINGS.rows]
    dictionary = simplest_products(x, pool.symbols, most=_SETTINGS.terms)
    kept = [k for k in range(len(dictionary)) if pool.is_allowed(dictionary.expression(k))]
    found: list[Guess] = []
    for subset in best_subsets(dictionary.values[:, kept], y, pool.spread, most=_SETTINGS.summed, keep=1):
        places, coefficients = [kept[k] for k in subset.columns], subset.coefficients.tolist()
        make = functools.partial(dictionary.combination, places, coefficients)
        size = sum(3 + dictionary.cost(k) for k in places)  # three nodes: sum, product, coefficient
        if not found or subset.error < _SETTINGS.clearly * found[-1].error:
            found.append(Guess(make, subset.error, "sum of allowed terms", size))
    return sorted(found, key=lambda guess: guess.error)


class _Units(NamedTuple):
    """The way back from columns and a target in other units.

    Attributes:
        columns: expressions of the symbols that stand for the columns in their own units.
        target: what the target was divided by.
    """

    columns: dict[sympy.Symbol, sympy.Expr]
    target: sympy.Expr

    def restored(self, expression: sympy.Expr) -> sympy.Expr:
        """An expression in the units of the data."""
        return _whole(self.target * expression.xreplace(self.columns))


def _measured(x: Tensor, y: Tensor, symbols: tuple[sympy.Symbol, ...]) -> tuple[Tensor, Tensor, _Units]:
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
    return torch.stack(columns, -1), y / 10.0**power if power else y, _Units(back, unit)


def _whole(expression: sympy.Expr) -> sympy.Expr:
    """Powers of ten that cancel leave floats of small fractions, to rounding: these are written as such."""
    import sympy

    plain = {}
    for number in expression.atoms(sympy.Float):
        # Denominators up to 100 and sizes up to 1000 are written as fractions: round numbers. 4e-16 is two roundings.
        near = sympy.Rational(number).limit_denominator(100)
        if near and abs(float(near) - float(number)) <= 4e-16 * abs(float(number)) and abs(near) < 1000:  # see above
            plain[number] = near
    return expression.xreplace(plain)


def _power_of_ten(values: Tensor) -> int:
    """0 for values of ordinary size, else the power of ten that makes them so."""
    size = float(values.abs().median()) or float(values.abs().max()) or 1.0
    power = round(math.log10(size))
    return 0 if abs(power) <= _SETTINGS.decades else power


def _why(best: Law, complete: bool) -> str:
    if best.error < selection.FLOORS.rounding:
        return "recommended because it gives every row to rounding"
    if best.splines:
        stays = "a curve that no symbol was found for stays a spline"
        return f"{stays}, and nothing else is left to explain" if complete else stays
    if complete:
        return "recommended as the simplest whose residuals show no structure"
    return "recommended for its error and its size together; its residuals still show structure"
