"""The formula of one score: a sum of terms, products and quotients.

Sums are built by forward selection with the score test of generalised linear models: the next term is one along which
the likelihood rises most, and a beam of several sums goes on. Products and quotients of a term and a sum are proposed
by their correlation with the network's score, which is smooth where labels are not. The constants are then fitted by
maximum likelihood, and each node of the expression must raise the likelihood by what the Bayesian information criterion
asks of a constant.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from superpose.data.sampling import evenly
from superpose.deadline import Deadline
from superpose.formulas import selection
from superpose.formulas.dictionary import Term
from superpose.formulas.expressions import rewrite
from superpose.formulas.expressions.constants import Fitted
from superpose.formulas.from_scores import terms
from superpose.formulas.from_scores.coefficients import fit_coefficients
from superpose.formulas.from_scores.label_noise import LabelNoiseHead
from superpose.formulas.from_scores.problem import ScoreProblem
from superpose.formulas.from_scores.rules import ONE_SCORE
from superpose.formulas.from_scores.terms import StandardizedTerms, expression_size
from superpose.formulas.subsets import backward_elimination, forward_selection
from superpose.nn.likelihood import Head

if TYPE_CHECKING:
    import sympy

# The linear function of at most so many columns is one of the candidates. A round number.
_MAX_LINEAR = 8
# The best candidates, whose constants are simplified; each takes several fits. A round number.
_SIMPLIFIED = 6
# Least weight of a row, relative to the largest: rows whose class is certain have weights near zero, and would not
# count in the comparison with the network's score at all. A round number.
_MIN_WEIGHT = 1e-3


@dataclass(frozen=True)
class ScoreFormula:
    """A formula of one score.

    Attributes:
        expression: the score divided by ``factor``.
        factor: 1 for a score in the labels' units.
        deviance: twice the mean cross-entropy on the rows that were fitted.
        complexity: nodes of the expression's tree.
        description_length: what is minimised: :func:`~superpose.formulas.selection.class_description_length`.
    """

    expression: sympy.Expr
    factor: float
    deviance: float
    complexity: int
    description_length: float

    @property
    def score(self) -> sympy.Expr:
        """The score as one expression."""
        import sympy

        return self.expression if self.factor == 1 else sympy.Float(self.factor) * self.expression


def score_formulas(
    symbols: tuple[sympy.Symbol, ...], x: Tensor, y: Tensor, network_scores: Tensor, head: Head, *, deadline: Deadline
) -> list[ScoreFormula]:
    """Formulas of one score, the shortest description first.

    Args:
        symbols: of the columns.
        x: ``[N, n]`` columns.
        y: ``[N, 1]`` targets of ``head``.
        network_scores: ``[N]``.
        head: of one score.
        deadline: of the search.
    """
    found = OneScoreSearch(symbols, x, y, network_scores, head, deadline).run()
    noisy_head = LabelNoiseHead.from_scores(head, network_scores) if head.kind == "sigmoid" else None
    if noisy_head is None:
        return found
    search = OneScoreSearch(symbols, x, y, network_scores, noisy_head, deadline)
    again = [search.calibrated(one, head, y) for one in search.run()]
    # The two flip rates are further constants.
    if not again or (found and again[0].description_length + 2 * math.log(len(x)) > found[0].description_length):
        return found
    return [*again, *found]


def formula(fitted: Fitted, factor: float, count: int) -> ScoreFormula:
    """An expression with fitted constants as a formula of a score, for a table of ``count`` rows."""
    length = selection.class_description_length(count * fitted.error, expression_size(fitted.expression), count)
    return ScoreFormula(fitted.expression, factor, fitted.error, rewrite.complexity(fitted.expression), length)


class OneScoreSearch:
    """The search of :func:`score_formulas`; the same arguments."""

    def __init__(
        self,
        symbols: tuple[sympy.Symbol, ...],
        x: Tensor,
        y: Tensor,
        network_scores: Tensor,
        head: Head,
        deadline: Deadline,
    ) -> None:
        self.symbols, self.head, self.deadline = symbols, head, deadline
        self.count = len(x)
        few = evenly(self.count, ONE_SCORE.screening_rows)
        self.x, self.y, self.network_scores = x[few], y[few], network_scores[few]
        many = evenly(self.count, ONE_SCORE.fitting_rows)
        self.problem = ScoreProblem(symbols, x[many], y[many], head, {}, deadline)

    def run(self) -> list[ScoreFormula]:
        """All formulas that are shorter descriptions than a constant, the shortest first."""
        weights = self.head.hessian_root(self.network_scores[:, None], self.y)[:, 0, 0].square()
        weights = weights.clamp(min=_MIN_WEIGHT * float(weights.max()))
        singles = terms.single(self.x, self.symbols)
        if not singles:
            # The variance of columns of 1e300 overflows.
            return []
        strong = terms.of_strongest(singles, self.network_scores[:, None])
        doubles = terms.pairs(strong)
        products = terms.best_products(
            strong, doubles, self.network_scores, weights, ONE_SCORE.products, deadline=self.deadline
        )
        found: dict[sympy.Expr, ScoreFormula] = {}
        lines = [term for term in singles if term.kind == "x"]
        proposals = [
            self.sum_of(lines[:_MAX_LINEAR]),
            *self.sums(singles + doubles, weights),
            *(self.sum_of([one]) for one in products),
        ]
        proposals += self.sums(singles + doubles + products, weights)
        for expression in dict.fromkeys(proposals):
            if self.deadline.passed() and found:
                break
            self.add(found, expression, simplify=False)
        ranked = sorted(found.values(), key=lambda one: one.description_length)
        simplified: dict[sympy.Expr, ScoreFormula] = {}
        for one in ranked[:_SIMPLIFIED]:
            if self.deadline.passed() and simplified:
                break
            self.add(simplified, one.expression, simplify=True, factor=one.factor)
        constant = self.constant_length()
        kept = [one for one in [*simplified.values(), *ranked[_SIMPLIFIED:]] if one.description_length < constant]
        return sorted(kept, key=lambda one: one.description_length)

    def constant_length(self) -> float:
        """The description length of a constant score."""
        deviance, _ = self.linear(self.x[:, :0], torch.ones_like(self.network_scores))
        return selection.class_description_length(self.count * deviance, 1, self.count)

    def add(
        self, found: dict[sympy.Expr, ScoreFormula], expression: sympy.Expr, *, simplify: bool, factor: float = 1.0
    ) -> None:
        """Fit an expression's constants and add it to ``found``, unless it is not finite on the rows."""
        problem = self.problem
        if problem.free_factor:
            expression, size = normalised(expression, problem)
            factor *= size
        problem.factor = factor
        made = self.formula_of(problem.snapped(expression) if simplify else problem.fit(expression))
        if made is not None and simplify:
            made = self.shortened(made)
        if made is not None:
            found[made.expression] = made

    def formula_of(self, fitted: Fitted) -> ScoreFormula | None:
        """The last fit as a formula; None if it is not finite on the rows, or constant."""
        if not math.isfinite(fitted.error) or not fitted.expression.free_symbols:
            return None
        return formula(fitted, self.problem.factor_of(fitted), self.count)

    def shortened(self, made: ScoreFormula) -> ScoreFormula:
        """The formula without the terms whose removal shortens the description."""
        import sympy

        def shorter(one: ScoreFormula) -> Iterator[ScoreFormula]:
            parts = sympy.Add.make_args(one.expression)
            for part in parts if len(parts) > 1 and not self.deadline.passed() else ():
                expression = sympy.Add(*(other for other in parts if other != part))
                if expression.free_symbols:
                    self.problem.factor = one.factor
                    found = self.formula_of(self.problem.snapped(expression))
                    if found is not None:
                        yield found

        return backward_elimination(made, shorter, lambda one: one.description_length)

    def calibrated(self, one: ScoreFormula, head: Head, y: Tensor) -> ScoreFormula:
        """The formula with the factor that maximises the likelihood of a head without label noise."""
        rows = evenly(self.count, ONE_SCORE.fitting_rows)
        values = self.problem.values(one.expression) * math.copysign(1.0, one.factor)
        # Ten factors for each of six decades: the likelihood is flat about its maximum. Round numbers.
        sizes = torch.logspace(-3, 3, 61, dtype=torch.float64) / values.std().clamp(min=1e-300)
        losses = [float(head(size * values[:, None], y[rows])) for size in sizes]
        best = min(range(len(sizes)), key=lambda n: losses[n])
        return replace(one, factor=math.copysign(float(sizes[best]), one.factor))

    # -- sums of terms

    def sums(self, known: Sequence[Term], weights: Tensor) -> Iterator[sympy.Expr]:
        """Sums of one term, of two terms and so on: the best few of each length."""
        dictionary = StandardizedTerms(known, self.count)

        def grown(beam: Sequence[tuple[int, ...]]) -> dict[tuple[int, ...], float]:
            costs: dict[tuple[int, ...], float] = {}
            for chosen in beam:
                for index in self.promising(dictionary, chosen, weights):
                    longer = tuple(sorted((*chosen, index)))
                    if longer not in costs and not self.deadline.passed():
                        deviance, _ = self.linear(dictionary.values[:, longer], weights)
                        costs[longer] = deviance * self.count + dictionary.cost(longer)
            return costs

        empty: tuple[int, ...] = ()
        # Four nodes: two terms together may be needed where neither is worth its own nodes. Not compared.
        patience = 4 * math.log(self.count)
        for level in forward_selection(
            [empty], grown, beam=ONE_SCORE.beam, most=ONE_SCORE.max_terms, patience=patience
        ):
            yield from (self.sum_of([known[index] for index in chosen]) for chosen in level)

    def promising(self, dictionary: StandardizedTerms, chosen: tuple[int, ...], weights: Tensor) -> list[int]:
        """The terms with the largest gain in likelihood, less their cost, beside the chosen ones."""
        _, scores = self.linear(dictionary.values[:, chosen], weights)
        if self.head.kind == "gaussian":
            # The likelihood is not concave; the network's score takes its place.
            gradient, curvature = weights * (scores - self.network_scores), weights
        else:
            gradient = self.head.gradient(scores[:, None], self.y)[:, 0]
            curvature = self.head.hessian_root(scores[:, None], self.y)[:, 0, 0].square()
        gain = dictionary.gains(chosen, gradient, curvature, ONE_SCORE.floor)
        best: list[int] = gain.topk(min(ONE_SCORE.proposals, len(gain))).indices.tolist()
        return best

    def linear(self, columns: Tensor, weights: Tensor) -> tuple[float, Tensor]:
        """The deviance and the scores of the best combination of columns ``[S, k]`` and a constant."""
        matrix = torch.cat([torch.ones(len(columns), 1, dtype=columns.dtype), columns], 1)
        if self.head.kind == "gaussian":
            root = weights.sqrt()[:, None]
            theta = torch.linalg.lstsq(matrix * root, self.network_scores[:, None] * root).solution[:, 0]
        else:
            theta = matrix.new_zeros(matrix.shape[1])
            theta[0] = float(self.network_scores.mean()) if self.head.kind == "ordinal" else 0.0
        head = self.head.rescaled((matrix @ theta)[:, None], self.y)
        deviance, theta = fit_coefficients(head, matrix[:, None], self.y, theta, ONE_SCORE)
        return deviance, matrix @ theta

    def sum_of(self, chosen: Sequence[Term]) -> sympy.Expr:
        """The sum of these terms and a constant, with coefficients fitted to the rows of the screening."""
        dictionary = StandardizedTerms(chosen, self.count)
        # The fit does not begin at the network's score: far from other classes that score is arbitrary.
        _, scores = self.linear(dictionary.values, torch.ones_like(self.network_scores))
        matrix = torch.cat([torch.ones_like(scores[:, None]), dictionary.values], 1)
        theta = torch.linalg.lstsq(matrix, scores[:, None]).solution[:, 0]
        return dictionary.sum_of(range(len(chosen)), theta)


def normalised(expression: sympy.Expr, problem: ScoreProblem) -> tuple[sympy.Expr, float]:
    """The expression divided by the coefficient of its largest term, and that coefficient."""
    import sympy

    expression = sympy.expand_mul(expression)
    sizes = []
    for part in sympy.Add.make_args(expression):
        if part.free_symbols:
            factor, rest = part.as_coeff_Mul()
            sizes.append((float(problem.values(part).std()), float(factor), rest))
    size = max(sizes, key=lambda item: item[0], default=(0.0, 1.0, expression))[1]
    if not math.isfinite(size) or size == 0:
        return expression, 1.0
    parts = []
    for part in sympy.Add.make_args(expression):
        factor, rest = part.as_coeff_Mul()
        share = float(factor) / size
        # The coefficient of the largest term is exactly 1 and is not fitted.
        parts.append(rest if share == 1.0 and part.free_symbols else sympy.Float(share) * rest)
    return sympy.Add(*parts), size
