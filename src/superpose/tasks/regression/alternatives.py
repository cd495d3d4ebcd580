"""The next best forms, the odds against each beside the recommended one, and the measurement that would decide.

The odds are the exponential of half of the difference of the description lengths of
:mod:`superpose.formulas.selection`, with the likelihood of the rows at the constants that fit best: those of the
Bayesian information criterion (G. Schwarz, 1978), but for constants fitted to few rows, which cost more. What was
measured of them is in docs/trust.md (``python -m benchmarks odds``).

All forms that were looked up, straight lines and power laws among them, are equally probable beforehand, and so are
all others that are no larger; a larger form that was made of symbols is less so by a factor of 7 for each further node.
Two forms whose predictions agree within the rows to a fraction of the noise are one form here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from superpose.data import Dataset
from superpose.data.sampling import evenly
from superpose.deadline import Deadline
from superpose.formulas import selection
from superpose.formulas.discrimination import TellingRow, telling_row
from superpose.formulas.expressions.constants import ConstantFit, jacobian_of
from superpose.formulas.expressions.formula import Formula
from superpose.formulas.recommendation import EXACT, Finding, same_form
from superpose.tasks.regression.context import Context
from superpose.tasks.regression.judging import comes_near, judge
from superpose.tasks.regression.reference import Reference
from superpose.tasks.regression.serial_correlation import structured_column
from superpose.tasks.regression.stability import Competitor


@dataclass(frozen=True)
class AlternativeRules:
    """Constants of the comparison of forms. Round numbers.

    Attributes:
        most: alternatives that are shown.
        beyond: odds against a form from which on it is not shown.
        close: odds below which the rows do not tell two forms apart.
        tells: standard deviations from which on one measurement tells two forms apart.
        nodes: forms of so few nodes are equally probable beforehand: ``a + b*sqrt(x)`` has seven.
        rows: that forms are compared on at most.
        pairs: points between rows at which predictions are compared.
        steps: of Gauss-Newton for each form, whose constants are near their best values.
        share, late, seconds: of the time left for all of it; of the time limit where none is left; at most.
    """

    most: int = 3
    beyond: float = 1000.0
    close: float = 10.0
    tells: float = 2.0
    nodes: int = 7
    rows: int = 4000
    pairs: int = 400
    steps: int = 12
    share: float = 0.05
    late: float = 0.05
    seconds: float = 3.0


RULES = AlternativeRules()


@dataclass(frozen=True)
class Alternative:
    """A form that comes next to the recommended one.

    Attributes:
        formula: with its constants.
        odds: against it, beside the recommended one: 12 means 12 to 1. Below one, the rows favour it.
        rmse: root mean squared error on the training and validation rows, in the target's units; weighted if these are.
        r2: coefficient of determination on the same rows.
        telling: the row whose measurement would tell it from the recommended one best; None if none within a quarter
            of the columns' ranges does.
    """

    formula: Formula
    odds: float
    rmse: float
    r2: float
    telling: TellingRow | None

    def line(self, target: str) -> str:
        """What a person reads."""
        (text,) = self.formula.short()
        if self.odds < 1:
            odds = f"which the rows alone favour by {self._number(1 / self.odds)} to 1"
        else:
            odds = f"odds {self._number(self.odds)} to 1 against"
        line = f"next: {target} = {text}, {odds}"
        if not 1 / RULES.close < self.odds < RULES.close:
            return line
        if self.telling is None:
            return f"{line}; the rows do not tell it from the first, nor would a measurement within or near them"
        would = "would" if self.telling.deviations >= RULES.tells else "would help most"
        return (
            f"{line}; the rows do not tell it from the first, a measurement at {self.telling.place()} {would}: "
            f"{self.telling.values()}"
        )

    @staticmethod
    def _number(odds: float) -> str:
        return f"{min(odds, RULES.beyond):.0f}" if odds >= 9.5 else f"{odds:.1f}".removesuffix(".0")


@dataclass(frozen=True)
class Alternatives:
    """The forms that come next.

    Attributes:
        forms: with the smallest odds against them first.
        noise: standard deviation of what the recommended formula leaves, in the target's units, or of its logarithm.
        relative: whether it is that of the logarithm.
        compared: forms that were found and differ from the recommended one within the rows.
        structured: the column along which what the recommended formula leaves is no noise; empty if there is none.
    """

    forms: tuple[Alternative, ...]
    noise: float
    relative: bool
    compared: int
    structured: str = ""

    def facts(self, target: str) -> dict[str, Any]:
        """Numbers and sentences, ready for JSON."""
        return {
            "forms": [
                {
                    "formula": str(one.formula),
                    "odds": one.odds,
                    "rmse": one.rmse,
                    "r2": one.r2,
                    "telling_row": None if one.telling is None else one.telling.facts(),
                }
                for one in self.forms
            ],
            "noise": self.noise,
            "relative": self.relative,
            "compared": self.compared,
            "structured": self.structured,
            "sentences": self.sentences(target),
        }

    def sentences(self, target: str) -> list[str]:
        """One line for each form, or one that there is none."""
        if self.forms:
            said = [one.line(target) for one in self.forms]
        elif not self.compared:
            said = ["no other form was found that differs from it within the rows"]
        else:
            other = "the other form that was found does not come" if self.compared == 1 else "no other form comes"
            said = [f"{other} within odds of {RULES.beyond:.0f} to 1"]
        if self.structured:
            where = f"shows structure along {self.structured}"
            said.append(
                f"odds take what the formula leaves for noise, and it {where}: the right form may be none of these"
            )
        return said


def alternatives(
    context: Context,
    data: Dataset,
    reference: Reference | None,
    competitors: Sequence[Competitor],
    recommended: Finding | None,
    *,
    deadline: Deadline | None = None,
) -> Alternatives | None:
    """The forms that come next to the recommended one.

    Args:
        context: of the run, which has one target.
        data: the table, in whose columns the formulas of the competitors are.
        reference: that a formula has to come near, if there is one.
        competitors: the formulas of the run, the recommended one among them.
        recommended: None where no formula came near.
        deadline: when it ends; after a share of the time by default.

    Returns:
        None where there is nothing to say: with several targets, no formula, a law that gives every row, as many
        constants as rows, or no time.
    """
    own = next((one for one in competitors if one.finding is recommended), None)
    if own is None or data.n_targets != 1 or own.finding.error < EXACT:
        return None
    table = _Table.of(context, data, reference, deadline or _time(context))
    best = table.evidence(own)
    if best is None or not best.noise > EXACT * data.target_std:
        return None
    points = table.points()
    groups: list[_Group] = [_Group(best, best.values(points))]
    for one in sorted((one for one in competitors if one is not own), key=lambda one: one.finding.score):
        if table.deadline.passed():
            break
        made = table.evidence(one)
        if made is None:
            continue
        values = made.values(points)
        same = [group for group in groups if same_form(values, group.values, best.noise)]
        if not same:
            groups.append(_Group(made, values))
        elif made.length < same[0].length:
            # A function is as probable as its most probable form.
            same[0].length = made.length
            if same[0] is not groups[0]:
                same[0].best = made
    return _described(context, table, reference, groups)


def _described(context: Context, table: _Table, reference: Reference | None, groups: Sequence[_Group]) -> Alternatives:
    """The closest of the forms, with the rows that tell them from the first."""
    own = groups[0]
    found: list[Alternative] = []
    for group in sorted(groups[1:], key=lambda group: group.length):
        odds = math.exp(min((group.length - own.length) / 2, 700.0))
        if len(found) == RULES.most or odds > RULES.beyond:
            break
        one = group.best.competitor
        # A formula that was passed over since it is implausible beside the rows, or errs more, is no alternative.
        judged = judge(context, reference, one.finding) if odds < 1 and reference is not None else None
        if judged and reference and not comes_near(context, reference, judged, chosen=one.chosen):
            continue
        formula, noise = group.best.formula, own.best.noise
        telling = telling_row(own.best.competitor.formula, formula, table.clean, noise, relative=table.log)
        found.append(Alternative(formula, odds, *table.errors(formula), telling))
    left = (table.y.log() if table.log else table.y) - own.best.values(table.x)
    structured = structured_column(table.clean.feature_names, table.x, table.weights.sqrt() * left)
    return Alternatives(tuple(found), own.best.noise, table.log, len(groups) - 1, structured)


def _time(context: Context) -> Deadline:
    seconds = max(RULES.share * context.deadline.left(), RULES.late * context.options.time_limit)
    return Deadline(min(seconds, RULES.seconds), context.deadline.clock)


@dataclass(frozen=True)
class _Evidence:
    """What the rows say of a form.

    Attributes:
        competitor: the form.
        formula: with the constants that make the rows most probable.
        length: twice its description length, in nats.
        noise: standard deviation of what it leaves, with its constants counted; of the logarithm where that is fitted.
        relative: whether it is.
    """

    competitor: Competitor
    formula: Formula
    length: float
    noise: float
    relative: bool

    def values(self, x: Tensor) -> Tensor:
        """``[N]`` predictions, or their logarithms."""
        with torch.no_grad():
            found: Tensor = self.formula.torch(x)[:, 0]
        return found.log() if self.relative else found


@dataclass
class _Group:
    """Forms with about the same values ``[N]``: the best one, and the least length."""

    best: _Evidence
    values: Tensor
    length: float = math.inf

    def __post_init__(self) -> None:
        self.length = min(self.length, self.best.length)


@dataclass(frozen=True)
class _Table:
    """The rows that forms are compared on.

    Attributes:
        clean: the table, without rows with gross errors among those that are fitted.
        x, y, weights: ``[n, d]``, ``[n]``, ``[n]`` of the rows; the weights have mean 1.
        log: whether errors are those of the logarithm.
        deadline: of the comparison.
    """

    clean: Dataset
    x: Tensor
    y: Tensor
    weights: Tensor
    log: bool
    deadline: Deadline

    @classmethod
    def of(cls, context: Context, data: Dataset, reference: Reference | None, deadline: Deadline) -> _Table:
        train, validation = (part[~torch.isin(part, context.gross)] for part in (data.train, data.validation))
        clean = replace(data, train=train, validation=validation)
        rows = torch.cat([train, validation]).sort().values
        rows = rows[evenly(len(rows), RULES.rows)]
        weights = torch.ones(len(rows), dtype=data.y.dtype) if data.weights is None else data.weights[rows]
        log = reference is not None and reference.log
        return cls(clean, data.features(rows), data.y[rows, 0], weights / weights.mean(), log, deadline)

    def evidence(self, competitor: Competitor) -> _Evidence | None:
        """None where a value or a derivative is not finite, or the rows do not determine the constants."""
        formula, y, weights = competitor.formula, self.y, self.weights
        if self.log:
            # About as the logarithm is fitted; the step below does the rest.
            weights = weights / y.square()
            weights = weights / weights.mean()
        problem = ConstantFit(formula.symbols, self.x, y, formula.splines, self.deadline, weights)
        fitted = problem.fit(formula.expression, steps=RULES.steps)
        _, slots, constants, model = problem.parameterised(fitted.expression)
        with torch.no_grad():
            values: Tensor = model(constants)
        jacobian = jacobian_of(model, constants, self.deadline) if slots else y.new_zeros(len(y), 0)
        if self.log:
            jacobian, values, y = jacobian / values[:, None], values.log(), y.log()
        roots = self.weights.sqrt()
        residuals, jacobian = roots * (y - values), roots[:, None] * jacobian
        if not bool(residuals.isfinite().all() and jacobian.isfinite().all()):
            return None
        size = jacobian.square().sum(0).sqrt().clamp(min=1e-300)
        left, singular, _ = torch.linalg.svd(jacobian / size, full_matrices=False)
        # Directions of the constants that change no value count as none.
        basis = left[:, singular > 1e-9 * singular.amax()] if slots else jacobian
        left_over = residuals - basis @ (basis.T @ residuals)
        count, constants_count = len(y), basis.shape[1]
        if count <= constants_count + 1:
            return None
        squares = float(left_over.square().sum())
        spread = math.sqrt(float((self.weights * (y - (self.weights * y).mean()).square()).mean())) or 1.0
        error = math.sqrt(squares / count) / spread
        deviance = selection.gaussian(error, count, floor=EXACT)
        length = selection.description_length(deviance, self._nodes(competitor), 0, count)
        length += selection.constants_cost(constants_count, count)
        noise = math.sqrt(squares / (count - constants_count))
        own = replace(formula, expressions=(fitted.expression,))
        return _Evidence(competitor, own, length, noise, self.log) if math.isfinite(length) else None

    @staticmethod
    def _nodes(competitor: Competitor) -> float:
        """Nodes that make a form less probable beforehand."""
        finding = competitor.finding
        if finding.form_size is not None or not competitor.chosen:
            return 0.0
        return max(0.0, finding.size - RULES.nodes)

    def points(self) -> Tensor:
        """``[N, d]``: the rows, and points between two of them, always the same ones."""
        generator = torch.Generator().manual_seed(0)
        pairs = torch.randint(len(self.x), (2, RULES.pairs), generator=generator)
        share = torch.rand(RULES.pairs, 1, generator=generator, dtype=self.x.dtype)
        return torch.cat([self.x, self.x[pairs[0]] * share + self.x[pairs[1]] * (1 - share)])

    def errors(self, formula: Formula) -> tuple[float, float]:
        """Root mean squared error in the target's units, and R², weighted."""
        with torch.no_grad():
            squares = self.weights * (formula.torch(self.x)[:, 0] - self.y).square()
        mean = float(squares.mean())
        variance = float((self.weights * (self.y - (self.weights * self.y).mean()).square()).mean())
        return math.sqrt(mean), 1 - mean / variance if variance > 0 else 0.0
