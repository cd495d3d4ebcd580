"""telling_row: the measurement that would tell two formulas apart.

Where the rows favour neither of two formulas, a new row does where their predictions are far apart. If the first
formula is right and the second one wrong, measuring the first one's value ``f`` raises the second one's sum of squares,
refitted, by ``(f - g)**2 / (1 + h)`` with ``h`` the leverage of the new row. In units of the noise, the root of that is
the distance of the predictions in standard deviations of a new measurement, of its noise and of what the rows leave
open of the wrong formula's constants (design for discrimination, A. Atkinson and V. Fedorov, 1975). Which of the two is
wrong is not known, so the smaller distance counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from superpose.checks import check_positive
from superpose.data import Dataset
from superpose.data.preparation import CategoryColumn
from superpose.data.sampling import evenly
from superpose.errors import OptionError
from superpose.formulas.expressions.constants import ConstantFit, jacobian_of
from superpose.formulas.expressions.formula import Formula
from superpose.messages import listed
from superpose.nn.support import Support


@dataclass(frozen=True)
class TellingRules:
    """Constants of the search for a row. Round numbers.

    Attributes:
        margin: share of a column's range beyond it that a row may lie.
        steps: of a column's range at least; they are of 1, 10, 100 and so on in some digit.
        decade: columns that are positive and span this factor are also divided evenly in their logarithm,
        logarithmic: in so many steps.
        rows: values of the other columns are those of so many rows at first.
        fitted: rows that standard errors follow from, at most.
        starts, rounds: of them, so many of the best are moved along each column, so many times.
        enough, nearly: a row inside the ranges is taken if it tells the formulas apart by so many standard deviations,
            or by this share of what one beyond them does.
        least: standard deviations below which no row tells them apart.
    """

    margin: float = 0.25
    steps: int = 50
    decade: float = 20.0
    logarithmic: int = 60
    rows: int = 100
    fitted: int = 4000
    starts: int = 4
    rounds: int = 4
    enough: float = 3.0
    nearly: float = 0.8
    least: float = 1.0


RULES = TellingRules()


@dataclass(frozen=True)
class TellingRow:
    """A row whose measurement would tell two formulas apart.

    Attributes:
        row: values of the columns that the formulas have; other columns may have any.
        first, second: what the formulas predict there.
        deviations: between them, in standard deviations of a new measurement.
        beyond: the columns whose value lies beyond the rows.
        levels: likewise of categories, by the names of their raw columns. No cell of a row to be measured is missing.
    """

    row: dict[str, float]
    first: float
    second: float
    deviations: float
    beyond: tuple[str, ...]
    levels: dict[str, str] = field(default_factory=dict)

    def place(self) -> str:
        """Where to measure, in words."""
        numbers = [
            f"{name} = {value:.6g}{' (beyond the rows)' if name in self.beyond else ''}"
            for name, value in self.row.items()
        ]
        return " and ".join([*numbers, *(f"{name} = {level}" for name, level in self.levels.items())])

    def values(self) -> str:
        """Both predictions and how far they are apart, in words."""
        # Three digits, or as many as it takes to see a difference.
        texts = ((f"{self.first:.{digits}g}", f"{self.second:.{digits}g}") for digits in range(3, 12))
        one, other = next((pair for pair in texts if pair[0] != pair[1]), (str(self.first), str(self.second)))
        return f"{one} against {other}, {self.deviations:.2g} standard deviations of a measurement apart"

    def facts(self) -> dict[str, Any]:
        """The same, ready for JSON."""
        return asdict(self) | {"beyond": list(self.beyond)}


def telling_row(
    first: Formula,
    second: Formula,
    data: Dataset,
    noise: float,
    *,
    relative: bool = False,
    margin: float = RULES.margin,
) -> TellingRow | None:
    """The row whose measurement would tell two formulas apart best.

    Values of the columns lie within their ranges, or a margin beyond where that tells much more; a column keeps its
    sign, whole numbers stay whole, and of a column with two values no other is taken. Combinations of values are no
    farther from the rows than these are from each other; a category has one level, and no cell is missing. The result
    depends on nothing random.

    Args:
        first, second: formulas of one target in the columns of the table, their constants fitted to it.
        data: the table, of which the training and validation rows count.
        noise: standard deviation of the noise in the target's units, or of its logarithm.
        relative: whether errors are relative to the target, and ``noise`` is that of the logarithm.
        margin: share of each column's range beyond it that the row may lie.

    Returns:
        None if no row within the margin tells them apart by a standard deviation.

    Raises:
        OptionError: for a noise that is not positive, or formulas of several targets.

    >>> import sympy
    >>> x = torch.linspace(0.5, 2, 16, dtype=torch.float64)
    >>> data = Dataset.from_arrays(x[:, None], 3 * x, feature_names=["x"], target_names=["y"])
    >>> symbol = sympy.Symbol("x", real=True)
    >>> line, curve = (Formula.from_expressions([one], data) for one in (3.0 * symbol, 2.0 * symbol**2))
    >>> found = telling_row(line, curve, data, noise=0.2)
    >>> print(found.place(), "-", found.values())
    x = 2 - 6 against 8, 9 standard deviations of a measurement apart
    """
    check_positive("noise", noise, unit="units of the target")
    if len(first.expressions) != 1 or len(second.expressions) != 1:
        raise OptionError("a row tells formulas of one target apart; these have several, so choose one of them")
    rows = torch.cat([data.train, data.validation]).sort().values
    x = data.features(rows)
    names = {symbol.name for one in (first, second) for symbol in one.expression.free_symbols}
    used = [n for n, name in enumerate(data.feature_names) if name in names]
    if not used:
        return None
    raw = _RawColumns.of(data, used)
    search = _Search(
        x, used, tuple(_Prediction.of(one, data, rows, noise, relative=relative) for one in (first, second)), noise
    )
    best = search.best(raw.grids(x, used, 0.0))
    if best is None or best.deviations < RULES.enough:
        wide = search.best(raw.grids(x, used, margin))
        if wide is not None and (best is None or best.deviations < RULES.nearly * wide.deviations):
            best = wide
    if best is None or best.deviations < RULES.least:
        return None
    numbers = [n for n in used if n not in raw.indicators and n not in raw.levels]
    if not numbers and not raw.levels:
        return None
    row = {data.feature_names[n]: float(best.row[n]) for n in numbers}
    beyond = tuple(
        data.feature_names[n] for n in numbers if not float(x[:, n].min()) <= float(best.row[n]) <= float(x[:, n].max())
    )
    return TellingRow(row, best.first, best.second, best.deviations, beyond, raw.described(best.row))


@dataclass(frozen=True)
class _RawColumns:
    """What the columns of formulas were made of.

    Attributes:
        indicators: places of columns that say which cells were missing.
        together: places of columns that were made of one raw column: levels, or parts of a date. Their values depend on
            each other, and are those of a row.
        levels: the raw column and the level of each place that says whether a row has this level.
    """

    indicators: frozenset[int]
    together: tuple[tuple[int, ...], ...]
    levels: dict[int, tuple[CategoryColumn, str]]

    @classmethod
    def of(cls, data: Dataset, used: Sequence[int]) -> _RawColumns:
        """Those of the places ``used``."""
        indicators: set[int] = set()
        together: list[tuple[int, ...]] = []
        levels: dict[int, tuple[CategoryColumn, str]] = {}
        places = {data.feature_names[n]: n for n in used}
        for column in () if data.preparation is None else data.preparation.columns:
            values = [name for name in column.value_names if name in places]
            indicators |= {places[name] for name in column.names if name in places} - {places[name] for name in values}
            if len(values) > 1:
                together.append(tuple(places[name] for name in values))
            if isinstance(column, CategoryColumn):
                levels |= {places[name]: (column, name.removeprefix(f"{column.name} = ")) for name in values}
        return cls(frozenset(indicators), tuple(together), levels)

    def grids(self, x: Tensor, used: Sequence[int], margin: float) -> dict[int, Tensor]:
        """By their places, the values that a person can set of columns which do not depend on others."""
        bound = {place for group in self.together for place in group}
        return {n: x.new_zeros(1) if n in self.indicators else _grid(x[:, n], margin) for n in used if n not in bound}

    def described(self, row: Tensor) -> dict[str, str]:
        """The level of each category in a row ``[d]``, by the name of its raw column."""
        found: dict[str, str] = {}
        for column in dict.fromkeys(column for column, _ in self.levels.values()):
            own = [(place, level) for place, (other, level) in self.levels.items() if other is column]
            there = [level for place, level in own if float(row[place]) == 1]
            rest = [level for level in column.levels if level not in {level for _, level in own}]
            # With two levels in all the other one has a name.
            absent = rest[0] if len(rest) == 1 and not (column.rare or column.other) else None
            found[column.name] = there[0] if there else absent or f"any but {listed([level for _, level in own])}"
        return found


@dataclass(frozen=True)
class _Prediction:
    """A formula and what the rows leave open of its constants.

    Attributes:
        formula: of one target.
        covariance: ``[P, P]`` of its constants.
        relative: whether predictions are compared by their logarithms.
    """

    formula: Formula
    covariance: Tensor
    relative: bool

    @classmethod
    def of(cls, formula: Formula, data: Dataset, rows: Tensor, noise: float, *, relative: bool) -> _Prediction:
        every, rows = len(rows), rows[evenly(len(rows), RULES.fitted)]
        values, jacobian = _linearised(formula, data.features(rows), relative=relative)
        weights = torch.ones_like(values) if data.weights is None else data.weights[rows] / data.weights[rows].mean()
        # A row at the edge of what a formula is defined for says nothing of its constants.
        jacobian = torch.where(jacobian.isfinite().all(-1, keepdim=True), jacobian, 0.0) * weights.sqrt()[:, None]
        size = jacobian.square().sum(0).sqrt()
        size = torch.where(size > 0, size, 1.0)
        unit = jacobian / size
        inverse = torch.linalg.pinv(unit.T @ unit, hermitian=True, rtol=1e-12) / size / size[:, None]
        return cls(formula, noise**2 * len(rows) / every * inverse, relative)

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Values ``[N]``, or their logarithms, and their variances ``[N]`` at ``x [N, d]``."""
        values, jacobian = _linearised(self.formula, x, relative=self.relative)
        return values, ((jacobian @ self.covariance) * jacobian).sum(-1).clamp(min=0)


def _linearised(formula: Formula, x: Tensor, *, relative: bool) -> tuple[Tensor, Tensor]:
    """Values ``[N]`` of a formula, or their logarithms, and their derivatives ``[N, P]`` by its constants."""
    problem = ConstantFit(formula.symbols, x, x.new_zeros(len(x)), formula.splines)
    _, slots, constants, model = problem.parameterised(formula.expression)
    with torch.no_grad():
        values: Tensor = model(constants)
    jacobian = jacobian_of(model, constants) if slots else values.new_zeros(len(x), 0)
    return (values.log(), jacobian / values[:, None]) if relative else (values, jacobian)


@dataclass(frozen=True)
class _Point:
    """A row ``[d]``, both predictions, and the standard deviations between them."""

    row: Tensor
    first: float
    second: float
    deviations: float


class _Search:
    """The search for the best row of a grid: coordinate ascent from the rows of the table."""

    def __init__(self, x: Tensor, used: Sequence[int], predictions: tuple[_Prediction, ...], noise: float) -> None:
        self.x, self.used, self.predictions, self.noise = x, list(used), predictions, noise
        # Of one column each value is usual.
        self.support = Support.of(x[:, self.used]) if len(used) > 1 else None

    def apart(self, x: Tensor) -> Tensor:
        """``[N]``: standard deviations between the predictions at ``x [N, d]``; below zero where there are none."""
        (first, own), (second, other) = (prediction(x) for prediction in self.predictions)
        ratio = (first - second).abs() / (self.noise**2 + torch.maximum(own, other)).sqrt()
        found: Tensor = torch.where(ratio.isfinite(), ratio, -1.0)
        if self.support is not None:
            found = torch.where(self.support.unusual(x[:, self.used]), -1.0, found)
        return found

    def best(self, grids: Mapping[int, Tensor]) -> _Point | None:
        """The best row of a grid; None if the formulas have no values on it."""
        points = self.x[evenly(len(self.x), max(1, RULES.rows // len(self.used)))].clone()
        for n, grid in grids.items():
            points[:, n] = grid[(points[:, n, None] - grid).abs().argmin(-1)]
        reached = -1.0
        for _ in range(RULES.rounds):
            moved = [points]
            for n, grid in grids.items():
                along = points.repeat_interleave(len(grid), 0)
                along[:, n] = grid.repeat(len(points))
                moved.append(along)
            every = torch.cat(moved)
            apart = self.apart(every)
            points = every[apart.argsort(descending=True, stable=True)[: RULES.starts]]
            if float(apart.max()) <= reached:
                break
            reached = float(apart.max())
        if reached < 0:
            return None
        row = points[:1]
        with torch.no_grad():
            first, second = (float(prediction.formula.torch(row)[0, 0]) for prediction in self.predictions)
        return _Point(row[0], first, second, reached)


def _grid(values: Tensor, margin: float) -> Tensor:
    """Values of a column that a person can set, in ascending order: of three digits within its range."""
    low, high = float(values.min()), float(values.max())
    distinct: Tensor = torch.unique(values)
    if len(distinct) <= 2:
        return distinct
    room = margin * (high - low)
    least, most = low - room, high + room
    if low >= 0:
        least = max(least, low / 2 if low > 0 else 0.0)
    if high <= 0:
        most = min(most, high / 2)
    digits = -math.floor(math.log10((high - low) / RULES.steps))
    if bool((values == values.round()).all()):
        digits = min(digits, 0)
    step = 10.0**-digits
    found = {round(n * step, max(digits, 0)) for n in range(math.ceil(least / step), math.floor(most / step) + 1)}
    if low > 0 and high > RULES.decade * low and digits > 0:
        ratio = (most / least) ** (1 / RULES.logarithmic)
        found |= {float(f"{least * ratio**n:.1e}") for n in range(RULES.logarithmic + 1)}
    inside = sorted(value for value in found if least <= value <= most)
    return torch.tensor(inside, dtype=values.dtype) if inside else distinct
