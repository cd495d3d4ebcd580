"""fit_anova_classes: scores of classes as sums of functions of one column and of products of two.

The functions and penalties are those of :func:`~superpose.train.anova.fit_anova`, the likelihood is that of a head. The
scores are fitted by Newton's method, which ends at the one optimum since the penalised losses are convex, and the
strengths of the penalties by the fixed point of Fellner and Schall on Laplace's approximation of the marginal
likelihood. Classes that are divided without error do no harm: a floor of the penalties bounds the scores.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from torch import Tensor

from superpose.deadline import charge
from superpose.nn.likelihood import Head
from superpose.train.anova.basis import ColumnBasis
from superpose.train.anova.evidence import RULES as EVIDENCE
from superpose.train.anova.evidence import Penalised, Strengths, System, step_seconds
from superpose.train.anova.fit import (
    AnovaSettings,
    Coefficients,
    Mixture,
    column_bases,
    design,
    penalised,
    telling_pairs,
)


@dataclass(frozen=True)
class ClassRules:
    """Constants of the fit.

    Attributes:
        largest: prior standard deviation of the logits that a function of variance 1 may add, at most. Classes that are
            divided without error would make it infinite; of 3, 10 and 30, 10 predicted best.
        intercept: precision of the constants, relative to the rows: none to speak of.
        first, again: Newton steps with the first strengths, and after each change of them.
        refit: changes of the strengths where they begin with those of a fit to similar rows, at most.
        halvings: of a step at most.
        still: relative change of the number of constants that the data determine below which the strengths have
            settled: those that go on changing have no influence.
        converged: expected decrease of the mean loss below which Newton's method ends.
        sufficient: share of the expected decrease that a step must bring.
    """

    largest: float = 10.0
    intercept: float = 1e-6
    first: int = 10
    again: int = 2
    refit: int = 12
    halvings: int = 20
    still: float = 0.003
    converged: float = 1e-9
    sufficient: float = 1e-4


RULES = ClassRules()


@dataclass(frozen=True)
class ClassFit:
    """Fitted scores of classes.

    Attributes:
        settings: which functions were fitted.
        bases: of the columns.
        pairs: the columns of each interaction.
        mean: ``[P]``, means of the design's columns, which are subtracted.
        head: the likelihood of the scores.
        intercepts: ``[S]`` of the scores.
        theta: ``[P, S]`` coefficients of the scores.
        strengths: ``[2, 2]``, logarithms of those of the penalties.
        effective: number of constants that the data determine.
        inner: the coefficients ``[C, P + 1]`` as they were fitted, for another fit to begin with.
        precision: ``[C, P + 1]``, their penalties.
    """

    settings: AnovaSettings
    bases: tuple[ColumnBasis, ...]
    pairs: tuple[tuple[int, int], ...]
    mean: Tensor
    head: Head
    intercepts: Tensor
    theta: Tensor
    strengths: Tensor
    effective: float
    inner: Tensor = field(repr=False)
    precision: Tensor = field(repr=False)

    def scores(self, x: Tensor) -> Tensor:
        """The scores ``[N, S]`` at rows ``x [N, d]``."""
        values = design(self.bases, self.pairs, self.settings, x) - self.mean
        return self.intercepts + values @ self.theta

    def coefficients(self) -> list[Coefficients]:
        """Of all functions, for each score."""
        constants = self.intercepts - self.mean @ self.theta
        return [
            Coefficients.of(self.bases, self.pairs, self.settings.order, self.theta[:, s], float(constants[s]))
            for s in range(len(constants))
        ]


@dataclass(frozen=True)
class ClassMixture(Mixture[ClassFit]):
    """A mixture of the scores of fits of classes."""

    @property
    def head(self) -> Head:
        """The likelihood of the scores."""
        return replace(self.main.head, scale=sum(weight * fit.head.scale for weight, fit in self.parts))

    @property
    def noise(self) -> float:
        """Standard deviation in scores below which differences say nothing of a class: one logit."""
        return self.head.scale

    def scores(self, x: Tensor) -> Tensor:
        """The scores ``[N, S]`` at rows ``x [N, d]``."""
        return torch.stack([weight * fit.scores(x) for weight, fit in self.parts]).sum(0)

    def coefficients(self) -> list[Coefficients]:
        """Of all functions, for each score."""
        each = [(weight, fit.coefficients()) for weight, fit in self.parts]
        return [
            Coefficients.mean(self.bases, [(weight, scores[s]) for weight, scores in each])
            for s in range(self.head.n_scores)
        ]


def fit_anova_classes(
    x: Tensor,
    y: Tensor,
    head: Head,
    settings: AnovaSettings | None = None,
    *,
    weights: Tensor | None = None,
    bases: Sequence[ColumnBasis] | None = None,
    start: ClassFit | None = None,
    late: Callable[[], bool] = lambda: False,
) -> ClassFit:
    """Fit scores to rows ``x [N, d]`` and the targets ``y [N, S]`` of a head; see :meth:`superpose.nn.Head.targets`.

    Args:
        head: sigmoid, softmax or ordinal, whose losses are convex. The scale of an ordinal head is fitted too.
        settings: which functions; main effects if left out.
        weights: ``[N]``, how often each row counts, up to a factor.
        bases: from :func:`~superpose.train.anova.fit.column_bases` for these rows and settings, where they were made
            already.
        start: a fit with the same settings to similar rows, with whose strengths and coefficients this one begins.
        late: whether the time is over: then the strengths stay as they are.

    >>> x = torch.linspace(-1, 1, 60, dtype=torch.float64)[:, None]
    >>> head = Head("sigmoid", ("out", "in"))
    >>> found = fit_anova_classes(x, (x.abs() < 0.5).double(), head)
    >>> head.labels(found.scores(torch.tensor([[-0.8], [0.1], [0.8]], dtype=torch.float64)))
    ['out', 'in', 'out']
    """
    settings = settings or AnovaSettings()
    used = tuple(column_bases(x, settings) if bases is None else bases)
    pairs = list(itertools.combinations(range(len(used)), 2)) if settings.interactions else []
    if len(pairs) > settings.most_pairs:
        main = _fitted(used, (), (x, y, weights), head, settings, start, late)
        pairs = telling_pairs(pairs, used, x, main.head.gradient(main.scores(x), y), settings.most_pairs)
    return _fitted(used, tuple(pairs), (x, y, weights), head, settings, start, late)


class _Likelihood:
    """The mean loss of ``C`` combinations of functions, and its derivatives by their coefficients ``[C, P + 1]``."""

    def __init__(self, values: Tensor, y: Tensor, head: Head, weights: Tensor | None) -> None:
        """``values`` are the design ``[N, P]``."""
        self.columns = torch.cat([torch.ones_like(values[:, :1]), values], 1)
        self.y, self.head = y, head
        self.share = torch.full_like(y[:, 0], 1 / len(y)) if weights is None else weights / weights.sum()
        self.weights = None if weights is None else len(y) * self.share
        self.contrasts, self.center = _contrasts(head, y)

    @property
    def count(self) -> int:
        """``C``."""
        return self.contrasts.shape[1]

    def start(self) -> Tensor:
        """Coefficients of the scores that are best without any function."""
        theta = self.columns.new_zeros((self.count, self.columns.shape[1]))
        mean = (self.share @ self.y).clamp(_RARE, 1 - _RARE)
        if self.head.kind == "softmax":
            theta[:, 0] = self.contrasts.T @ mean.log()
        elif self.head.kind == "sigmoid":
            theta[:, 0] = mean.logit()
        return theta

    def scores(self, theta: Tensor) -> Tensor:
        """``[N, S]``."""
        return self.center + self.columns @ theta.T @ self.contrasts.T

    def loss(self, theta: Tensor, precision: Tensor) -> float:
        """The mean loss with the penalties."""
        losses = self.head.losses(self.scores(theta), self.y)
        return float(self.share @ losses) + 0.5 * float((precision * theta.square()).sum())

    def linearised(self, theta: Tensor, precision: Tensor) -> tuple[Tensor, System]:
        """The gradient ``[C, P + 1]`` and the Hessian of the loss."""
        charge(step_seconds(*sorted((self.y.numel(), theta.numel()))))
        scores = self.scores(theta)
        slopes = self.head.gradient(scores, self.y) @ self.contrasts * self.share[:, None]
        gradient = slopes.T @ self.columns + precision * theta
        roots = self.head.hessian_root(scores, self.y) @ self.contrasts * self.share.sqrt()[:, None, None]
        rows, size = roots.shape[0] * roots.shape[1], theta.numel()
        if rows < size:
            rooted = (roots[:, :, :, None] * self.columns[:, None, None, :]).reshape(rows, size)
            return gradient, System(rooted, None, precision.flatten())
        normal = theta.new_zeros((self.count, theta.shape[1], self.count, theta.shape[1]))
        weights = roots.mT @ roots
        for i in range(self.count):
            for j in range(i + 1):
                block = self.columns.T @ (weights[:, i, j, None] * self.columns)
                normal[i, :, j], normal[j, :, i] = block, block.T
        return gradient, System(normal, normal.reshape(size, size), precision.flatten())

    def rescale(self, theta: Tensor, effective: float) -> None:
        """The scale of an ordinal head that is most probable, as far as the rows are free of the fit."""
        if self.head.kind == "ordinal":
            free = max(1 - effective / len(self.y), EVIDENCE.least_free)
            found = self.head.rescaled(self.scores(theta), self.y, self.weights)
            self.head = replace(found, scale=found.scale / math.sqrt(free))


# Frequencies of classes are kept this far from 0 and 1. A round number.
_RARE = 1e-4


def _contrasts(head: Head, y: Tensor) -> tuple[Tensor, float]:
    """``[S, C]``: the scores of ``C`` functions of size 1, and what they are about.

    Of the scores of a softmax head only differences count: orthonormal contrasts give every class the same prior.
    """
    if head.kind == "ordinal":
        return (y.std(dim=0, keepdim=True) if len(y) > 1 else torch.ones_like(y[:1])), float(y.mean())
    if head.kind == "sigmoid":
        return torch.ones_like(y[:1]), 0.0
    centred = torch.eye(y.shape[1], dtype=y.dtype) - 1 / y.shape[1]
    q: Tensor = torch.linalg.qr(centred[:, :-1])[0]
    return q, 0.0


class PenalisedLoss(Protocol):
    """A convex loss of coefficients with quadratic penalties of these precisions."""

    def loss(self, theta: Tensor, precision: Tensor) -> float:
        """The mean loss with the penalties."""

    def linearised(self, theta: Tensor, precision: Tensor) -> tuple[Tensor, System]:
        """The gradient, in the shape of the coefficients, and the Hessian of the loss."""


# Seconds that a step takes beside its linear algebra. A round number.
_NEWTON_STEP = 5e-4


def newton(problem: PenalisedLoss, theta: Tensor, precision: Tensor, steps: int) -> tuple[Tensor, System]:
    """Minimise a convex loss by Newton's method, with steps halved until the loss falls.

    Returns:
        The coefficients after at most so many steps, and the Hessian before the last.
    """
    before = problem.loss(theta, precision)
    for _ in range(steps):
        charge(_NEWTON_STEP)
        gradient, system = problem.linearised(theta, precision)
        move = system.solve(gradient.flatten()).reshape(theta.shape)
        expected, length = float((gradient * move).sum()), 1.0
        for _ in range(RULES.halvings):
            after = problem.loss(theta - length * move, precision)
            if after <= before - RULES.sufficient * length * expected:
                theta, before = theta - length * move, after
                break
            length /= 2
        else:
            break
        if expected < RULES.converged:
            break
    return theta, system


def _fitted(
    bases: tuple[ColumnBasis, ...],
    pairs: tuple[tuple[int, int], ...],
    table: tuple[Tensor, Tensor, Tensor | None],
    head: Head,
    settings: AnovaSettings,
    start: ClassFit | None,
    late: Callable[[], bool],
) -> ClassFit:
    """A fit to a table of rows, targets and weights."""
    x, y, weights = table
    rows = len(x)
    values = design(bases, pairs, settings, x)
    mean = values.mean(0)
    likelihood = _Likelihood(values - mean, y, head if start is None else start.head, weights)
    one = penalised(bases, pairs, settings)
    repeated = Penalised(
        one.roughness.repeat(likelihood.count),
        one.group.repeat(likelihood.count),
        one.columns.repeat(likelihood.count, 1),
        settings.relevance,
    )
    strengths = Strengths(repeated, None if start is None else start.strengths, 1 / (RULES.largest**2 * rows))
    theta = likelihood.start()
    if start is not None and start.pairs == pairs and start.inner.shape == theta.shape:
        theta = start.inner
    begin = EVIDENCE.begin if start is None else 1
    steps, before = RULES.first, math.inf
    for number in range(EVIDENCE.steps if start is None or settings.relevance else RULES.refit):
        precision = _with_intercepts(strengths.precision, theta)
        known = strengths.log
        theta, system = newton(likelihood, theta, precision, steps)
        steps = RULES.again
        variances = system.variances()
        effective = theta.numel() - float((variances * precision.flatten()).sum())
        likelihood.rescale(theta, effective)
        inner = variances.reshape(theta.shape)[:, 1:].flatten()
        moves = settings.relevance and number >= begin
        change = strengths.update(theta[:, 1:].flatten(), inner, 1 / rows, moves)
        settled = change < EVIDENCE.change or abs(effective - before) < RULES.still * effective
        if (settled and number > begin) or late():
            break
        before = effective
    if settings.constant:
        theta, effective = likelihood.start(), float(likelihood.count)
        likelihood.rescale(theta, effective)
    else:
        theta, _ = newton(likelihood, theta, precision, RULES.first)
    scores = likelihood.contrasts @ theta
    return ClassFit(
        *(settings, bases, pairs, mean, likelihood.head, likelihood.center + scores[:, 0], scores[:, 1:].T, known),
        *(effective, theta, precision),
    )


# A row that alone determines its score has none without it; this keeps it finite, as for numbers.
_LEAST_FREE = 0.01


def leave_one_out(fit: ClassFit, x: Tensor, y: Tensor, weights: Tensor | None = None) -> Tensor:
    """Scores ``[N, S]`` of the rows that were fitted, each by the others at the same strengths.

    One Newton step without the row leads from all rows to the others (K. Rad and A. Maleki, *A scalable estimate of the
    out-of-sample prediction error via approximate leave-one-out cross-validation*, JRSS B 82, 2020).

    Args:
        x, y, weights: as for :func:`fit_anova_classes`.
    """
    values = design(fit.bases, fit.pairs, fit.settings, x)
    likelihood = _Likelihood(values - fit.mean, y, fit.head, weights)
    if fit.settings.constant:
        share = likelihood.share[:, None]
        mean = ((share * y).sum(0) - share * y) / (1 - share)
        mean = mean if fit.head.kind == "ordinal" else mean.clamp(_RARE, 1 - _RARE)
        alone: dict[str, Tensor] = {"softmax": mean.log(), "sigmoid": mean.logit()}
        return alone.get(fit.head.kind, mean)
    theta, count = fit.inner, likelihood.count
    scores = likelihood.scores(theta)
    _, system = likelihood.linearised(theta, fit.precision)
    width = theta.shape[1]

    def spread(which: Sequence[int]) -> Tensor:
        """``[N]``: ``v A^-1 v`` for the row's functions in the places of some combinations."""
        placed = x.new_zeros((len(x), count, width))
        placed[:, list(which)] = likelihood.columns[:, None]
        return system.quadratic(placed.flatten(1))

    single = [spread([c]) for c in range(count)]
    reach = torch.diag_embed(torch.stack(single, 1))
    for c, d in itertools.combinations(range(count), 2):
        reach[:, c, d] = reach[:, d, c] = (spread([c, d]) - single[c] - single[d]) / 2
    root = fit.head.hessian_root(scores, y) @ likelihood.contrasts
    slopes = fit.head.gradient(scores, y) @ likelihood.contrasts * likelihood.share[:, None]
    inner = root @ reach @ root.mT * likelihood.share[:, None, None]
    left = (1 + _LEAST_FREE) * torch.eye(inner.shape[-1], dtype=x.dtype) - inner
    through = torch.linalg.solve(left, (root @ reach @ slopes[:, :, None]) * likelihood.share[:, None, None])
    moved = reach @ (slopes[:, :, None] + root.mT @ through)
    found: Tensor = scores + moved[:, :, 0] @ likelihood.contrasts.T
    return found


def _with_intercepts(precision: Tensor, theta: Tensor) -> Tensor:
    """Precisions in the shape of the coefficients, those of the constants included."""
    return torch.cat([torch.full_like(theta[:, :1], RULES.intercept), precision.reshape(len(theta), -1)], 1)
