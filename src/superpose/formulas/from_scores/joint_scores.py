"""Formulas of several scores together: sums of terms by the score test of the multinomial logistic model.

Softmax probabilities depend on differences of scores only, and far from a class its score is arbitrary. So the score of
a reference class is zero, a term is added to one score at a time, and the coefficients of all scores are fitted
together (multinomial logistic regression with a baseline category).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from superpose.data.sampling import evenly
from superpose.deadline import Deadline
from superpose.formulas.dictionary import Term
from superpose.formulas.from_scores import terms
from superpose.formulas.from_scores.coefficients import fit_coefficients
from superpose.formulas.from_scores.one_score import ScoreFormula, formula, normalised
from superpose.formulas.from_scores.problem import ScoreProblem, competing_offset
from superpose.formulas.from_scores.rules import JOINT
from superpose.formulas.from_scores.terms import StandardizedTerms
from superpose.formulas.subsets import backward_elimination, forward_selection
from superpose.nn.likelihood import Head

if TYPE_CHECKING:
    import sympy

# Constants are fitted score by score; the second round simplifies them, the third adapts each score to the others.
_ROUNDS = 3

# For each score the numbers of its terms.
Chosen = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, eq=False)
class _Fit:
    """Fitted coefficients ``theta`` of the chosen terms, and the ``scores`` ``[S, K]``."""

    chosen: Chosen
    description_length: float
    theta: Tensor
    scores: Tensor


def joint_formulas(
    symbols: tuple[sympy.Symbol, ...],
    x: Tensor,
    y: Tensor,
    network_scores: Tensor,
    reference: int,
    *,
    deadline: Deadline,
) -> list[list[ScoreFormula]]:
    """A formula for each score, except for that of the reference class, which is zero.

    Args:
        symbols: of the columns.
        x: ``[N, n]`` columns.
        y: ``[N, K]`` one-hot classes.
        network_scores: ``[N, K]``.
        reference: the class that the others are compared with.
        deadline: of the search.
    """
    singles = terms.single(x[evenly(len(x), JOINT.screening_rows)], symbols)
    if not singles:
        # The variance of columns of 1e300 overflows.
        return [[] for _ in range(y.shape[1])]
    relative = network_scores - network_scores[:, reference, None]
    search = JointSearch(symbols, x, y, relative, reference, deadline, singles)
    # Without products first: a greedy search may take a product where a sum of two terms is right.
    found = [search.run(search.count_without_products)]
    if len(search.dictionary) > search.count_without_products and not search.deadline.passed():
        found.append(search.run(len(search.dictionary)))
    return search.formulas(min(found, key=lambda one: one.description_length))


class JointSearch:
    """The search of :func:`joint_formulas`; ``network_scores`` relative to the reference class."""

    def __init__(
        self,
        symbols: tuple[sympy.Symbol, ...],
        x: Tensor,
        y: Tensor,
        network_scores: Tensor,
        reference: int,
        deadline: Deadline,
        singles: list[Term],
    ) -> None:
        self.symbols, self.deadline, self.count = symbols, deadline, len(x)
        few, many = evenly(len(x), JOINT.screening_rows), evenly(len(x), JOINT.fitting_rows)
        self.y, self.fitted_x, self.fitted_y = y[few], x[many], y[many]
        self.head = Head("softmax", tuple(str(k) for k in range(y.shape[1])))
        self.others = [k for k in range(y.shape[1]) if k != reference]
        strong = terms.of_strongest(singles, network_scores[few][:, self.others])
        doubles = terms.pairs(strong)
        every = singles + doubles
        self.count_without_products = len(every)
        for k in self.others:
            p = network_scores[few].softmax(-1)[:, k]
            # ``_MIN_WEIGHT`` of one score: rows whose class is certain count a little.
            weights = (p * (1 - p)).clamp(min=1e-3)
            every += terms.best_products(
                strong, doubles, network_scores[few, k], weights, JOINT.products, deadline=deadline
            )
        self.dictionary = StandardizedTerms(every, self.count)

    def run(self, count: int) -> _Fit:
        """The best combination of the first ``count`` terms."""
        nothing: Chosen = tuple(() for _ in range(self.y.shape[1]))
        fits = {nothing: self.fit(nothing)}

        def grown(beam: Sequence[Chosen]) -> dict[Chosen, float]:
            found: dict[Chosen, float] = {}
            for chosen in beam:
                for k, term in self.promising(fits[chosen], count):
                    longer = (*chosen[:k], tuple(sorted((*chosen[k], term))), *chosen[k + 1 :])
                    if longer not in found and not self.deadline.passed():
                        fits[longer] = self.fit(longer)
                        found[longer] = fits[longer].description_length
            return found

        best = fits[nothing]
        # As for one score.
        patience = 4 * math.log(self.count)
        for level in forward_selection([nothing], grown, beam=JOINT.beam, most=JOINT.max_terms, patience=patience):
            best = min(best, fits[level[0]], key=lambda one: one.description_length)
        return backward_elimination(best, self.shorter, lambda one: one.description_length)

    def shorter(self, one: _Fit) -> Iterator[_Fit]:
        """The combinations with one term less."""
        for k, own in enumerate(one.chosen):
            for term in own:
                if self.deadline.passed():
                    return
                yield self.fit((*one.chosen[:k], tuple(t for t in own if t != term), *one.chosen[k + 1 :]))

    def jacobian(self, chosen: Chosen) -> Tensor:
        """``[S, K, P]``: derivatives of the scores by their constants and coefficients."""
        blocks = []
        for k in self.others:
            values = self.dictionary.values[:, list(chosen[k])]
            own = torch.cat([torch.ones(len(self.y), 1, dtype=self.y.dtype), values], 1)
            block = self.y.new_zeros((len(self.y), self.y.shape[1], own.shape[1]))
            block[:, k] = own
            blocks.append(block)
        return torch.cat(blocks, 2)

    def fit(self, chosen: Chosen) -> _Fit:
        """The coefficients of the chosen terms in all scores together."""
        jacobian = self.jacobian(chosen)
        start = jacobian.new_zeros(jacobian.shape[2])
        deviance, theta = fit_coefficients(self.head, jacobian, self.y, start, JOINT)
        length = deviance * self.count + self.dictionary.cost([term for own in chosen for term in own])
        return _Fit(chosen, length, theta, jacobian @ theta)

    def promising(self, one: _Fit, count: int) -> list[tuple[int, int]]:
        """The pairs ``(score, term)`` with the largest gain in likelihood, less the cost of the term."""
        gradient = self.head.gradient(one.scores, self.y)
        p = one.scores.softmax(-1)
        found: list[tuple[float, int, int]] = []
        for k in self.others:
            curvature = (p[:, k] * (1 - p[:, k])).clamp(min=1e-12)  # rows that are certain; a round number
            gain = self.dictionary.gains(one.chosen[k], gradient[:, k], curvature, JOINT.floor)[:count]
            top = gain.topk(min(JOINT.proposals, len(gain)))
            found += [(value, k, term) for value, term in zip(top.values.tolist(), top.indices.tolist(), strict=True)]
        found.sort(key=lambda item: -item[0])
        return [(k, term) for _, k, term in found[: 2 * JOINT.proposals]]

    # -- the expressions

    def formulas(self, one: _Fit) -> list[list[ScoreFormula]]:
        """The scores as expressions, with constants fitted to more rows and simplified."""
        import sympy

        scores = torch.zeros_like(self.fitted_y)
        made: list[tuple[sympy.Expr, float]] = [(sympy.Integer(0), 1.0)] * self.y.shape[1]
        place = 0
        for k in self.others:
            end = place + 1 + len(one.chosen[k])
            made[k] = self.dictionary.sum_of(one.chosen[k], one.theta[place:end]), 1.0
            place = end
            scores[:, k] = self._problem(k, scores).values(made[k][0])
        found: list[list[ScoreFormula]] = [[] for _ in made]
        for turn in range(_ROUNDS):
            if turn and self.deadline.passed():
                break
            for k in self.others:
                problem = self._problem(k, scores)
                expression, factor = made[k]
                if not turn:
                    expression, factor = normalised(expression, problem)
                problem.factor = factor
                fitted = problem.snapped(expression) if turn == 1 else problem.fit(expression)
                if not math.isfinite(fitted.error):
                    continue
                factor = problem.factor_of(fitted)
                made[k] = fitted.expression, factor
                scores[:, k] = factor * problem.values(fitted.expression)
                found[k] = [formula(fitted, factor, self.count)]
        return found

    def _problem(self, k: int, scores: Tensor) -> ScoreProblem:
        two = Head("sigmoid", ("others", "this"))
        offset = competing_offset(scores, k)
        return ScoreProblem(
            self.symbols, self.fitted_x, self.fitted_y[:, k, None], two, {}, self.deadline, offset=offset
        )
