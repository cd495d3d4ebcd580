"""Formulas and networks judged by leave-one-out, beside the sum of smooth functions that all are compared with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from superpose.data import Dataset
from superpose.formulas import selection
from superpose.formulas.expressions.constants import ConstantFit, jacobian_of, with_slots
from superpose.formulas.expressions.formula import Formula
from superpose.formulas.recommendation import Finding
from superpose.nn.model import KAN
from superpose.tasks.regression.context import Context
from superpose.tasks.regression.reference import RULES, Reference, is_plausible


def loo_predictions(formula: Formula, data: Dataset, rows: Tensor, *, log: bool = False) -> Tensor:
    """Leave-one-out predictions ``[n]`` of a formula's constants, its form being given.

    To first order in the constants, a row's residual by the others is its own divided by one minus its leverage.

    Args:
        log: whether the logarithm of the target is fitted; NaN where the formula is not positive.

    Returns:
        NaN if there are as many constants as rows: the others do not determine them.
    """
    x, y = data.features(rows), data.y[rows, 0]
    problem = ConstantFit(formula.symbols, x, y, formula.splines)
    _, slots, values, model = problem.parameterised(formula.expressions[0])
    fitted: Tensor = model(values)
    if not slots:
        return fitted
    if len(slots) >= len(rows):
        return torch.full_like(y, math.nan)
    jacobian = jacobian_of(model, values)
    target = y
    if log:
        jacobian, fitted, target = jacobian / fitted[:, None], fitted.log(), y.log()
    if not bool(jacobian.isfinite().all()):
        return torch.full_like(y, math.nan)
    q: Tensor = torch.linalg.qr(jacobian / jacobian.square().sum(0).sqrt().clamp(min=1e-300))[0]
    leverage = q.square().sum(1).clamp(max=MOST_LEVERAGE)
    predicted = target - (target - fitted) / (1 - leverage)
    return predicted.exp() if log else predicted


# A row that alone determines a constant has no leave-one-out residual; this keeps it finite.
MOST_LEVERAGE = 0.99


@dataclass(frozen=True)
class Judged:
    """A formula, judged by leave-one-out.

    Attributes:
        finding: the formula.
        losses: ``[n]`` of the rows of the reference.
        length: description length; less is better.
    """

    finding: Finding
    losses: Tensor
    length: float


def judge(context: Context, reference: Reference, finding: Finding) -> Judged:
    """How a formula does on the rows of the reference, each predicted by the others."""
    data, rows = context.data, reference.rows
    y = data.y[rows, 0]
    losses = reference.losses(data, rows, loo_predictions(finding.formula, data, rows, log=reference.log))
    scale = float((y.log() if reference.log else y).var(correction=0))
    floor = selection.FLOORS.exact**2
    deviance = len(rows) * math.log(max(float(losses.mean()) / scale, floor)) if scale > 0 else 0.0
    # Leave-one-out has counted the constants already, but for what the choice among forms adds on few rows.
    constants = len({abs(value) for value in with_slots(finding.formula.expression)[2]})
    deviance += selection.beyond_leave_one_out(constants, len(rows))
    length = selection.description_length(deviance, finding.size, 0, len(rows))
    return Judged(finding, losses, length if math.isfinite(length) else math.inf)


def comes_near(context: Context, reference: Reference, judged: Judged, *, chosen: bool = True) -> bool:
    """Whether a formula predicts about as well as the reference, and plausibly beside the rows.

    Args:
        chosen: whether its form was chosen among many by the same rows; that of a straight line was not.
    """
    formula, count = judged.finding.formula, len(reference.rows)
    # A form that was looked up may end beside the rows, as a logarithm does; it was not made for the rows. Nor was a
    # small one of dimensionless groups.
    finding = judged.finding
    known = finding.form_size is not None or finding.group_size is not None
    # What leaves next to nothing of left-out rows is believed further on: steep laws leave the target's range soon.
    spread = float(context.data.y[reference.rows, 0].var(correction=0))
    believed = float(judged.losses.mean()) < RULES.believed * spread
    margins = 1 if believed else None
    if not known and not is_plausible(context.data, lambda x: formula.torch(x)[:, 0], margins):
        return False
    own = reference.losses(context.data, reference.rows, reference.predictions)
    nodes = selection.size(formula.complexity, splines=len(formula.splines)) if chosen else 0
    nodes = nodes if finding.group_size is None else min(nodes, finding.group_size)
    # A form of more symbols than there are rows says nothing: rows without a law have one too.
    if nodes > count:
        return False
    # Nor did chance choose a form of few symbols that leaves so little.
    paid = 0 if believed and 2 * nodes <= count else max(0, nodes - RULES.free)
    losses = judged.losses * math.exp(min(RULES.node * paid / count, 50.0))
    if not bool((losses - own).isfinite().all()):
        return False
    near = _within(losses, own, RULES.near, RULES.more, RULES.most)
    line = reference.line_losses(context.data)
    return near and (line is None or _within(losses, line, RULES.line_near, RULES.line, RULES.line_most))


def nearly_exact(context: Context, reference: Reference, known: Sequence[Finding]) -> Finding | None:
    """Of forms that were not made for the rows, the best one that leaves next to nothing; None if none does.

    A power law or a textbook law with an R² of 0.999 says more than no formula, though smooth functions leave less.
    """
    judged: list[Judged] = []
    for one in known:
        with context.failures.part("a formula could not be judged by leave-one-out", "it is not recommended"):
            judged.append(judge(context, reference, one))
    line = reference.line_losses(context.data)
    for candidate in sorted(judged, key=lambda one: one.length):
        formula = candidate.finding.formula
        known_law = candidate.finding.form_size is not None
        if not known_law and not is_plausible(context.data, lambda x, formula=formula: formula.torch(x)[:, 0]):
            continue
        y = context.data.y[reference.rows, 0]
        spread = float((y.log() if reference.log else y).var(correction=0))
        worse = line is not None and float(candidate.losses.mean()) > float(line.mean())
        if not worse and float(candidate.losses.mean()) <= RULES.enough * spread:
            return candidate.finding
    return None


def _within(losses: Tensor, others: Tensor, errors: float, share: float, most: float) -> bool:
    """Whether losses ``[n]`` exceed others by so many standard errors of the difference, or so large a share, at most.

    Args:
        most: share that standard errors do not allow to exceed.
    """
    difference, mean = losses - others, float(others.mean())
    error = float(difference.std()) / math.sqrt(len(difference))
    return float(difference.mean()) <= max(share * mean, min(errors * error, most * mean))


def surpasses(context: Context, reference: Reference, model: KAN) -> bool:
    """Whether a network predicts the validation rows better than the reference, by more than chance."""
    data = context.sample if len(context.data.validation) else context.few
    held = data.validation
    if len(held) < 2 or not is_plausible(data, lambda x: model(x)[:, 0]):
        return False
    x = data.features(held)
    place = torch.searchsorted(reference.rows, held).clamp(max=len(reference.rows) - 1)
    known = reference.rows[place] == held
    with torch.no_grad():
        losses = reference.losses(data, held, model(x)[:, 0])
        # Of a large table the reference has not seen most rows: there its own predictions are those by others.
        own = torch.where(known, reference.predictions[place], reference.model(x)[:, 0])
    known_losses = reference.losses(data, held, own)
    difference = losses - known_losses
    if not bool(difference.isfinite().all()):
        return False
    error = float(difference.std()) / math.sqrt(len(held))
    # Of few rows the best of several networks predicts some well by luck.
    least, before = max(float(losses.mean()), 1e-300), max(float(known_losses.mean()), 1e-300)
    gained = len(held) / 2 * math.log(before / least)
    return gained > RULES.gained and float(difference.mean()) < -RULES.sure * error
