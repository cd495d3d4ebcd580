"""Formulas of relations: ``discover`` on the columns of each relation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy
import torch
from torch import Tensor

from superpose.data import Dataset
from superpose.data.sampling import evenly
from superpose.deadline import Deadline
from superpose.errors import SuperposeError
from superpose.formulas import selection
from superpose.formulas.candidates import fit_curve
from superpose.formulas.expressions.formula import Formula
from superpose.nn.symbolic_functions import library
from superpose.partial import Failures
from superpose.tasks.regression.metrics import held_out_error
from superpose.tasks.regression.search import DiscoverOptions, discover
from superpose.tasks.relations.columns import Columns
from superpose.tasks.relations.result import InnerFunction
from superpose.tasks.relations.settings import Listener


@dataclass(frozen=True)
class FormulaRules:
    """Limits of the search for formulas. Round numbers; other values were not compared.

    Attributes:
        max_rows: rows that ``discover`` gets.
        curve_points: values of an inner function.
        short: an exact formula of at most so many nodes for each column ends the search: other columns can hardly give
            a shorter one.
        min_seconds: the shortest time for one target.
        middle_rows: rows for the middle of a square.
        min_middle: in units of a column's standard deviation; a smaller middle is a rounding error.
    """

    max_rows: int = 20_000
    curve_points: int = 200
    short: float = 2.5
    min_seconds: float = 1.0
    middle_rows: int = 5000
    min_middle: float = 1e-6


_RULES = FormulaRules()
_EXACT = selection.FLOORS.relation
# Left-hand sides where no column is a function of the others: x^2 on a circle.
_POWERS = {"x^2": 2, "x^3": 3, "x^4": 4}


@dataclass(frozen=True, eq=False)
class RelationFormula:
    """A formula for a column of a relation, or for a power of a column.

    Attributes:
        formula: of the other columns.
        target: the column's number.
        error: on held-out rows, of few rows by leave-one-out; in units of the left-hand side's standard deviation.
        equation: such as ``"x**2 = 1 - y**2"``.
    """

    formula: Formula
    target: int
    error: float
    equation: str

    @property
    def score(self) -> float:
        """Error and complexity together; less is better. See :mod:`superpose.formulas.selection`."""
        weight = selection.WEIGHTS.across_targets
        return selection.score(self.error, self.formula.complexity, floor=_EXACT, weight=weight)


@dataclass(frozen=True, eq=False)
class FormulaSearch:
    """The search for the formula of one relation.

    Attributes:
        columns: the table.
        group: the relation's columns.
        seed: of ``discover`` and of samples of rows.
        seconds: for all targets together.
        listener: called with a sentence whenever something was found.
        failures: of parts of the searches.
    """

    columns: Columns
    group: Sequence[int]
    seed: int
    seconds: float
    listener: Listener
    failures: Failures = field(default_factory=Failures)

    def explicit(self, targets: Sequence[int]) -> RelationFormula | None:
        """The best formula for one of the targets in terms of the other columns.

        Raises:
            KeyboardInterrupt: if a person interrupts.
        """
        found: list[RelationFormula] = []
        until = Deadline(self.seconds)
        for n, target in enumerate(targets):
            left = until.left()
            if left < _RULES.min_seconds:
                break
            made = self._discovered(target, self.columns.values[:, target], self.columns.names[target],
                                    left / (len(targets) - n))  # fmt: skip
            if made is not None:
                found.append(made)
                if made.error < _EXACT and made.formula.complexity <= _RULES.short * len(self.group):
                    break
        return min(found, key=lambda one: one.score, default=None)

    def implicit(
        self, inner: Sequence[InnerFunction], functions: Callable[[Tensor, int], Tensor], max_error: float
    ) -> RelationFormula | None:
        """A formula for a power of a column, or for a square about a middle, where no column is a function of others.

        Args:
            inner: the functions of the sum, as curves.
            functions: spline functions of one column at rows of all columns.
            max_error: of a formula; its square is the largest share of an inner function that a power may leave.

        Raises:
            KeyboardInterrupt: if a person interrupts.
        """
        until = Deadline(self.seconds)
        likely = [
            (power, -one.r2, j)
            for j, one in zip(self.group, inner, strict=True)
            if (power := _POWERS.get(one.name)) is not None and one.r2 > 1 - max_error**2
        ]
        found: list[RelationFormula] = []
        for n, (power, _, target) in enumerate(sorted(likely)):
            left = until.left()
            if left < _RULES.min_seconds:
                break
            name = self.columns.names[target]
            middle = self._middle(target, functions) if power == 2 else 0.0
            base = name if middle == 0 else f"({name} {'-' if middle > 0 else '+'} {abs(middle):.9g})"
            values = (self.columns.values[:, target] - middle) ** power
            made = self._discovered(target, values, f"{base}**{power}", left / (len(likely) - n))
            if made is not None and made.error < max_error:
                found.append(made)
                if made.error < _EXACT:
                    break
        return min(found, key=lambda one: one.score, default=None)

    def _features(self, target: int) -> list[int]:
        return [j for j in self.group if j != target]

    def _middle(self, target: int, functions: Callable[[Tensor, int], Tensor]) -> float:
        """The ``m`` for which ``(x - m)^2`` is nearest to a sum of functions of the others.

        ``x^2`` is linear in ``x``, with the coefficient ``2*m``, and in these functions: linear least squares gives it.
        """
        values = self.columns.values[self.columns.sample(_RULES.middle_rows, self.seed)]
        x = values[:, target]
        unit = float(x.abs().max())
        scaled = x / unit
        ones = torch.ones_like(scaled)
        others = [functions(values, j) for j in self._features(target)]
        basis = torch.cat([scaled[:, None], ones[:, None], *others], 1)
        solved = torch.linalg.lstsq(basis, scaled.square()[:, None], driver="gelsd").solution[0, 0]
        middle = float(solved) / 2 * unit
        # A middle that is tiny beside the standard deviation is a rounding error of zero.
        return 0.0 if abs(middle) < _RULES.min_middle * float(x.std()) else float(f"{middle:.9g}")

    def _discovered(self, target: int, values: Tensor, name: str, seconds: float) -> RelationFormula | None:
        """The formula that ``discover`` finds for ``values [N]`` of that name in terms of the other columns."""
        features, rows = self._features(target), self.columns.sample(_RULES.max_rows, self.seed)
        data = Dataset.from_arrays(
            self.columns.values[rows][:, features],
            values[rows],
            feature_names=self.columns.named(features),
            target_names=[name],
            seed=self.seed,
            source=self.columns.source,
        )
        try:
            result = discover(data, DiscoverOptions(time_limit=seconds, seed=self.seed), listener=self.listener)
        except SuperposeError:
            # The relation holds even if the search for its formula refuses the columns.
            return None
        self.failures.extend(result.failures)
        if result.metrics.get("interrupted"):
            raise KeyboardInterrupt
        formula = result.formula
        if formula is None or formula.splines:
            return None
        error = held_out_error(data, formula) / data.target_std
        if not math.isfinite(error):
            return None
        return RelationFormula(formula, target, error, f"{name} = {formula}")


def inner_functions(
    columns: Columns, group: Sequence[int], curves: Callable[[Tensor], Tensor]
) -> tuple[InnerFunction, ...]:
    """The functions of a sum, and the library functions nearest to them.

    Args:
        columns, group: the table, and the relation's columns.
        curves: the functions at rows of all columns.
    """
    made = []
    for place, j in enumerate(group):
        distinct = torch.from_numpy(numpy.unique(columns.values[:, j].numpy()))
        distinct = distinct[evenly(len(distinct), _RULES.curve_points)]
        rows = columns.values[:1].expand(len(distinct), -1).clone()
        rows[:, j] = distinct
        values = curves(rows)[:, place]
        best = fit_curve(distinct, values, library()) if len(distinct) > 2 else []
        name, r2 = (best[0].name, best[0].r2) if best else ("x", 1.0)
        made.append(InnerFunction(columns.names[j], distinct, values, name, r2))
    return tuple(made)
