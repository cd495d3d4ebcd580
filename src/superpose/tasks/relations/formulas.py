"""Formulas of relations that were found: the whole search of ``discover`` on the few columns of each."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy
import torch
from torch import Tensor

from superpose.data import Dataset
from superpose.data.sampling import evenly
from superpose.errors import SuperposeError
from superpose.formulas import selection
from superpose.formulas.candidates import fit_curve
from superpose.formulas.expressions.formula import Formula
from superpose.nn.symbolic_functions import library
from superpose.tasks.regression.search import DiscoverOptions, discover
from superpose.tasks.relations.columns import Columns
from superpose.tasks.relations.result import Inner

Listener = Callable[[str], None]

_MOST_ROWS = 20_000
_CURVE_POINTS = 200
_EXACT = selection.FLOORS.relation
# An exact formula of so few nodes for each column is taken at once.
_SHORT = 2.5
# What a function of a target may be where no column is a function of the others: x^2 on a circle.
_POWERS = {"x^2": 2, "x^3": 3, "x^4": 4}
_MIDDLE_ROWS = 5000


@dataclass(frozen=True, eq=False)
class Found:
    """A formula for a function of one column.

    Attributes:
        formula: of the other columns.
        target: the column's number.
        error: on held-out rows, in units of the standard deviation of what the formula is for.
        text: the equation.
    """

    formula: Formula
    target: int
    error: float
    text: str

    @property
    def score(self) -> float:
        """Error and complexity together; less is better. See :mod:`superpose.formulas.selection`."""
        weight = selection.WEIGHTS.across_targets
        return selection.score(self.error, self.formula.complexity, floor=_EXACT, weight=weight)


def explicit(
    columns: Columns, group: Sequence[int], targets: Sequence[int], *, seed: int, seconds: float, listener: Listener
) -> Found | None:
    """The simplest formula for one of the targets by the other columns of a group.

    Raises:
        KeyboardInterrupt: if a person interrupts.
    """
    found: list[Found] = []
    until = time.monotonic() + seconds
    for n, target in enumerate(targets):
        left = until - time.monotonic()
        if left < 1:
            break
        features = [j for j in group if j != target]
        data = _dataset(columns.values, columns.named(features), features, columns.values[:, target],
                        columns.names[target], columns, seed)  # fmt: skip
        one = _discovered(data, target, columns.names[target], left / (len(targets) - n), seed, listener)
        if one is not None:
            found.append(one)
            if one.error < _EXACT and one.formula.complexity <= _SHORT * len(group):
                break
    return min(found, key=lambda one: one.score, default=None)


def implicit(
    columns: Columns,
    group: Sequence[int],
    inner: Sequence[Inner],
    functions: Callable[[Tensor, int], Tensor],
    *,
    most: float,
    seed: int,
    seconds: float,
    listener: Listener,
) -> Found | None:
    """A formula for a power of a column, or a square about its middle, where no column is a function of the others.

    ``functions`` gives spline functions of a column at rows of all columns; ``most`` is the largest error of a formula,
    and its square the largest part of an inner function that a power may leave.
    """
    until = time.monotonic() + seconds
    likely = [
        (power, -one.r2, j)
        for j, one in zip(group, inner, strict=True)
        if (power := _POWERS.get(one.name)) is not None and one.r2 > 1 - most**2
    ]
    found: list[Found] = []
    for n, (power, _, target) in enumerate(sorted(likely)):
        left = until - time.monotonic()
        if left < 1:
            break
        features = [j for j in group if j != target]
        shift = _middle(columns, target, features, functions, seed) if power == 2 else 0.0
        name = (
            columns.names[target]
            if shift == 0
            else f"({columns.names[target]} {'-' if shift > 0 else '+'} {abs(shift):.9g})"
        )
        raised = (columns.values[:, target] - shift) ** power
        data = _dataset(columns.values, columns.named(features), features, raised, f"{name}**{power}", columns, seed)
        made = _discovered(data, target, f"{name}**{power}", left / (len(likely) - n), seed, listener)
        if made is not None and made.error < most:
            found.append(made)
            if made.error < _EXACT:
                break
    return min(found, key=lambda one: one.score, default=None)


def _middle(
    columns: Columns, target: int, features: Sequence[int], functions: Callable[[Tensor, int], Tensor], seed: int
) -> float:
    """The ``m`` for which ``(x - m)^2`` is best a sum of functions of the others: ``x^2`` is ``2*m*x`` and that sum."""
    values = columns.values[columns.sample(_MIDDLE_ROWS, seed)]
    x = values[:, target]
    unit = float(x.abs().max())
    scaled = x / unit
    ones = torch.ones_like(scaled)
    basis = torch.cat([scaled[:, None], ones[:, None], *(functions(values, j) for j in features)], 1)
    solved = torch.linalg.lstsq(basis, scaled.square()[:, None], driver="gelsd").solution[0, 0]
    middle = float(solved) / 2 * unit
    # What is nothing beside the column's spread is rounding.
    return 0.0 if abs(middle) < 1e-6 * float(x.std()) else float(f"{middle:.9g}")


def _dataset(
    values: Tensor, names: Sequence[str], features: Sequence[int], y: Tensor, name: str, columns: Columns, seed: int
) -> Dataset:
    rows = columns.sample(_MOST_ROWS, seed)
    return Dataset.from_arrays(
        values[rows][:, list(features)],
        y[rows],
        feature_names=names,
        target_names=[name],
        seed=seed,
        source=columns.source,
    )


def _discovered(data: Dataset, target: int, name: str, seconds: float, seed: int, listener: Listener) -> Found | None:
    try:
        result = discover(data, DiscoverOptions(time_limit=seconds, seed=seed), listener=listener)
    except SuperposeError:
        # A formula is a gift: columns that the search cannot take are still a relation.
        return None
    if result.metrics.get("interrupted"):
        raise KeyboardInterrupt
    formula = result.formula
    if formula is None or formula.splines:
        return None
    error = formula.rmse(data, "test") / data.target_std
    if not math.isfinite(error):
        return None
    return Found(formula, target, error, f"{name} = {formula}")


def inner_functions(columns: Columns, group: Sequence[int], curves: Callable[[Tensor], Tensor]) -> tuple[Inner, ...]:
    """The functions of a sum, and what they look like; ``curves`` gives them at rows of all columns."""
    made = []
    for place, j in enumerate(group):
        distinct = torch.from_numpy(numpy.unique(columns.values[:, j].numpy()))
        distinct = distinct[evenly(len(distinct), _CURVE_POINTS)]
        rows = columns.values[:1].expand(len(distinct), -1).clone()
        rows[:, j] = distinct
        values = curves(rows)[:, place]
        best = fit_curve(distinct, values, library()) if len(distinct) > 2 else []
        name, r2 = (best[0].name, best[0].r2) if best else ("x", 1.0)
        made.append(Inner(columns.names[j], distinct, values, name, r2))
    return tuple(made)
