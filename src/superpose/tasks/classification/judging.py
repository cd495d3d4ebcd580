"""Which formulas of scores come near the reference: their losses on rows that their constants were not fitted to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from superpose.data import Dataset
from superpose.formulas import selection
from superpose.formulas.expressions import rewrite
from superpose.formulas.expressions.constants import ConstantFit, jacobian_of
from superpose.formulas.expressions.formula import Formula
from superpose.formulas.from_scores.label_noise import LabelNoiseHead
from superpose.formulas.from_scores.one_score import ScoreFormula
from superpose.formulas.from_scores.terms import expression_size
from superpose.nn.likelihood import Head
from superpose.tasks.classification.networks import TrainedClassifier, comparison_split, observed_classes
from superpose.tasks.classification.reference import Reference, losses_alone, right_rows, standard_error
from superpose.train.anova.class_selection import log_probabilities
from superpose.train.anova.classes import newton
from superpose.train.anova.evidence import System

if TYPE_CHECKING:
    import sympy


@dataclass(frozen=True)
class JudgingRules:
    """When a formula comes near. Round numbers, looked at on the tables of docs/lab/classification.md.

    Attributes:
        near: standard errors of the paired difference that its losses may be higher by, since it can be read,
        lost: or this share of what the reference explains.
        accuracy: by how much the share of right rows may be lower, or one row.
        node: nats that a node of a formula counts against it, summed over the rows: it was chosen among many by the
            same rows.
        better: standard errors by which it must be better than frequencies alone.
        largest: prior standard deviation of the logits that a term of a formula adds: larger than in the reference,
            since a formula has few constants.
        steps: of Newton's method, for constants.
        most: formulas that are judged.
        negligible: terms of straight lines whose logits vary less are left out.
    """

    near: float = 1.0
    lost: float = 0.05
    accuracy: float = 0.01
    node: float = 0.25
    better: float = 1.5
    largest: float = 30.0
    steps: int = 20
    most: int = 8
    negligible: float = 0.02


RULES = JudgingRules()

# One formula for each score; none for the reference class of a softmax head.
FormulaSet = Sequence[Sequence[ScoreFormula]]


@dataclass(frozen=True)
class Judged:
    """Formulas of all scores, judged together.

    Attributes:
        formulas: for each score one, or none where it is zero.
        logs: ``[n, K]``, logarithms of the probabilities at the rows of the reference, by constants fitted to others.
        near: whether they predict about as well as the reference.
    """

    formulas: FormulaSet
    logs: Tensor
    near: bool


@dataclass(frozen=True)
class LinearScores:
    """The mean loss of scores that are linear in their coefficients.

    Attributes:
        columns: ``[N, P]``: what each coefficient is multiplied by.
        owner: ``[P]``: the number of the score that it belongs to, in ascending order.
        y: the head's targets ``[N, S]``.
        head: the likelihood of the scores.
    """

    columns: Tensor
    owner: Tensor
    y: Tensor
    head: Head

    def scores(self, theta: Tensor) -> Tensor:
        """``[N, S]``."""
        return torch.zeros_like(self.y).index_add_(1, self.owner, self.columns * theta)

    def loss(self, theta: Tensor, precision: Tensor) -> float:
        """The mean loss with the penalties."""
        found = float(self.head(self.scores(theta), self.y)) + 0.5 * float((precision * theta.square()).sum())
        return found if math.isfinite(found) else math.inf

    def linearised(self, theta: Tensor, precision: Tensor) -> tuple[Tensor, System]:
        """The gradient ``[P]`` and the Hessian of the loss."""
        scores, count = self.scores(theta), len(self.y)
        gradient = (self.columns * self.head.gradient(scores, self.y)[:, self.owner]).sum(0) / count
        roots = self.head.hessian_root(scores, self.y)
        weights = roots.mT @ roots / count
        sizes = torch.bincount(self.owner, minlength=self.y.shape[1]).tolist()
        blocks = torch.split(self.columns, sizes, 1)
        normal = torch.cat(
            [
                torch.cat([left.T @ (weights[:, s, t, None] * right) for t, right in enumerate(blocks)], 1)
                for s, left in enumerate(blocks)
            ]
        )
        return gradient + precision * theta, System(normal, normal, precision)


def cross_validated(formula: Formula, data: Dataset, head: Head, reference: Reference) -> Tensor | None:
    """``[n, K]``: logarithms of the probabilities at the rows of the reference, by constants fitted to other folds.

    The form of the formula is given. In its constants it is taken to first order, and exact where it is linear.

    Args:
        data: with the columns of the formula, and the targets of the head.
        head: that reads its scores.

    Returns:
        None if the formula or its derivatives are not finite.
    """
    x, y = data.x, data.y
    unit = float(y.std()) if head.kind == "ordinal" else 1.0
    linear, start = _linearised(formula, x, y, head, unit)
    if not bool(linear.columns.isfinite().all() and start.isfinite().all()):
        return None
    scores = linear.scores(start)
    sums = torch.zeros((len(x), len(head.classes)), dtype=x.dtype)
    for train, test in reference.parts:
        precision = torch.full_like(start, 1 / (RULES.largest**2 * len(train)))
        scaled = head.rescaled(scores[train], y[train])
        problem = LinearScores(linear.columns[train], linear.owner, y[train], scaled)
        theta, _ = newton(problem, start, precision, RULES.steps)
        found = linear.scores(theta)
        sums[test] += log_probabilities(head.rescaled(found[train], y[train]), found[test])
    rounds = torch.zeros(len(x), dtype=x.dtype)
    for _, test in reference.parts:
        rounds[test] += 1
    return (sums[reference.rows] / rounds[reference.rows, None]).log_softmax(-1)


def _linearised(formula: Formula, x: Tensor, y: Tensor, head: Head, unit: float) -> tuple[LinearScores, Tensor]:
    """The scores to first order in their constants and in a factor of each, and the coefficients ``[P]`` that give the
    formula itself; each column in a unit in which its root mean square is ``unit``."""
    columns, owner, start = [], [], []
    problem = ConstantFit(formula.symbols, x, x[:, 0], formula.splines)
    for s, expression in enumerate(formula.expressions):
        if not expression.free_symbols:
            continue
        _, slots, values, model = problem.parameterised(expression)
        found = [problem.values(expression)]
        found += list(jacobian_of(model, values).unbind(1)) if slots else []
        for number, column in enumerate(found):
            size = float(column.square().mean().sqrt()) / unit
            if number and not size > 0:
                continue
            columns.append(column / (size or 1.0))
            owner.append(s)
            start.append(size if not number else 0.0)
    return LinearScores(torch.stack(columns, 1), torch.tensor(owner), y, head), x.new_tensor(start)


def comes_near(logs: Tensor, others: Tensor, shares: Tensor, handicap: float = 0.0) -> bool:
    """Whether log-probabilities of a formula are about as good as those of a network.

    Args:
        logs, others: ``[n, K]``, of the formula and of the network.
        shares: ``[n, K]``, the rows' classes as probabilities.
        handicap: added to each loss of the formula, since its form was chosen among many.
    """
    losses = handicap - (shares * logs).sum(1)
    own, alone = -(shares * others).sum(1), losses_alone(shares)
    rise = losses - own
    explained = max(float((alone - own).mean()), 0.0)
    if float(rise.mean()) > max(RULES.near * standard_error(rise), RULES.lost * explained):
        return False
    lost = right_rows(others, shares) - right_rows(logs, shares)
    return float(lost.sum()) <= max(1.0, RULES.accuracy * len(lost))


def says_something(logs: Tensor, shares: Tensor) -> bool:
    """Whether log-probabilities ``[n, K]`` are better than frequencies alone, by more than chance, and name two classes
    at least."""
    gain = losses_alone(shares) + (shares * logs).sum(1)
    return float(gain.mean()) > RULES.better * standard_error(gain) and len(torch.unique(logs.argmax(1))) > 1


def recommended(
    found: FormulaSet, lines: FormulaSet | None, chosen: TrainedClassifier, reference: Reference
) -> tuple[Judged | None, list[list[ScoreFormula]]]:
    """The formulas that come near with the shortest description, and the formulas of each score, these first.

    None, and no formulas, if none come near; the arguments are those of :func:`judged`.
    """
    made = judged(found, lines, chosen, reference)
    best = next((one for one in made if one.near), None)
    if best is None:
        return None, []
    if len(found) > 1:
        return best, [list(one) for one in best.formulas]
    return best, [[one.formulas[0][0] for one in sorted(made, key=lambda one: one is not best)]]


def judged(
    found: FormulaSet, lines: FormulaSet | None, chosen: TrainedClassifier, reference: Reference
) -> list[Judged]:
    """The formulas that were found, and straight lines, the shortest description first.

    Args:
        found: for each score those that were found. Those of one score are alternatives.
        lines: formulas that are straight lines; None if there are none.
        chosen: the network that was chosen, which the formulas have to come near too.
    """
    sets: list[FormulaSet] = [[[one]] for one in found[0][: RULES.most]]
    if len(found) > 1:
        sets = [[one[:1] for one in found]]
    sets = [one for one in sets if any(one)] + ([lines] if lines is not None else [])
    sets.sort(key=lambda one: sum(formula.description_length for score in one for formula in score))
    made: list[Judged] = []
    for one in sets:
        formula = formula_of(one, chosen.data)
        if formula is None:
            continue
        logs = _best_logs(formula, chosen, reference)
        if logs is None:
            continue
        size = 0.0 if one is lines else sum(expression_size(expression) for expression in formula.expressions)
        near = says_something(logs, reference.shares) and not reference.choice.fit.settings.constant
        handicap = RULES.node * size / len(reference.rows)
        near = near and comes_near(logs, reference.logs, reference.shares, handicap)
        near = near and (chosen.model is reference.model or _near_network(logs, chosen, reference, handicap))
        made.append(Judged(one, logs, near))
    return made


@torch.no_grad()
def _best_logs(formula: Formula, chosen: TrainedClassifier, reference: Reference) -> Tensor | None:
    """Log-probabilities ``[n, K]`` of a formula by the chosen head, or by one that allows for wrong labels if that is
    more probable."""
    heads = [chosen.head]
    if chosen.head.kind == "sigmoid":
        noisy = LabelNoiseHead.from_scores(chosen.head, chosen.model(chosen.data.x[reference.rows])[:, 0])
        heads += [] if noisy is None else [noisy]
    found = [cross_validated(formula, chosen.data, head, reference) for head in heads]
    finite = [logs for logs in found if logs is not None]
    return max(finite, key=lambda logs: float((reference.shares * logs).sum()), default=None)


@torch.no_grad()
def _near_network(logs: Tensor, chosen: TrainedClassifier, reference: Reference, handicap: float) -> bool:
    """Whether a formula is about as good as a trained network on the rows where networks are compared."""
    held_out = torch.isin(reference.rows, chosen.data.validation)
    if int(held_out.sum()) < 2:
        return True
    others = log_probabilities(chosen.head, chosen.model(chosen.data.x[reference.rows[held_out]]))
    return comes_near(logs[held_out], others, reference.shares[held_out], handicap)


def formula_of(formulas: FormulaSet, data: Dataset) -> Formula | None:
    """The formulas of all scores as one; None if a score has none, or all are constant.

    Args:
        data: with the columns, and the scores as its targets.
    """
    import sympy

    softmax = len(formulas) > 1
    if not any(formulas) or sum(not one for one in formulas) > softmax:
        return None
    scores = tuple(one[0].score if one else sympy.Integer(0) for one in formulas)
    if not any(score.free_symbols for score in scores):
        return None
    symbols = tuple(sympy.Symbol(name, real=True) for name in data.feature_names)
    return Formula(scores, symbols, data.feature_names, data.target_names, preparation=data.preparation)


def lines_of(straight: Reference, base: int) -> FormulaSet:
    """The straight lines of a reference as formulas: logistic regression, written out.

    Args:
        base: the class whose score is zero, with a softmax head.
    """
    head, data, rows = straight.head, straight.data, straight.rows
    expressions = _expressions(straight, base)
    deviance = 2 * float(head(straight.choice.fit.scores(data.x[rows]), data.y[rows]))
    found: list[list[ScoreFormula]] = []
    for expression in expressions:
        if not expression.free_symbols:
            found.append([])
            continue
        size = expression_size(expression)
        # The deviance is that of all scores together.
        share = len(rows) * deviance / sum(bool(one.free_symbols) for one in expressions)
        length = selection.class_description_length(share, size, len(rows))
        found.append([ScoreFormula(expression, 1.0, deviance, rewrite.complexity(expression), length)])
    return found


def _expressions(straight: Reference, base: int) -> list[sympy.Expr]:
    import sympy

    fit, names = straight.choice.fit, straight.data.feature_names
    scores, softmax = fit.coefficients(), straight.head.kind == "softmax"
    least = RULES.negligible * straight.head.scale
    found = []
    for s, one in enumerate(scores):
        constant = one.constant - (scores[base].constant if softmax else 0.0)
        terms = []
        for i, (name, basis) in enumerate(zip(names, fit.bases, strict=True)):
            coefficient = float(one.mains[i][0]) - (float(scores[base].mains[i][0]) if softmax else 0.0)
            slope, offset = basis.line_of(coefficient)
            slope, offset = slope / basis.scale, offset - slope * basis.center / basis.scale
            constant += offset
            column = sympy.Symbol(name, real=True)
            # A function of the basis has variance 1 over the rows.
            if abs(coefficient) >= least:
                terms.append(sympy.Float(slope) * (sympy.log(column) if basis.log else column))
            else:
                x = straight.data.x[straight.rows, i]
                constant += slope * float((x.log() if basis.log else x).mean())
        if softmax and s == base:
            found.append(sympy.Integer(0))
        else:
            found.append(sympy.Add(*terms, sympy.Float(constant)))
    return found


@torch.no_grad()
def reached(trained: TrainedClassifier, formulas: FormulaSet) -> float:
    """The accuracy of the first formulas on the rows where networks are compared; 0 without formulas."""
    formula = formula_of(formulas, trained.data)
    if formula is None:
        return 0.0
    x, y = trained.data.rows(comparison_split(trained.data))
    predicted = trained.head.indices(formula.torch(x))
    return float((predicted == observed_classes(trained.head, y)).double().mean())
