"""The formula of one score: sums of terms, products and quotients, and what the network's own score looks like.

Sums are put together term by term, each time the one along which the likelihood rises most (the score test of
generalised linear models), several at a time. Quotients and products of sums are compared with the network's score,
which is smooth where labels are not. All constants are then fitted so that the classes seen are most probable, and a
node of the expression must raise the likelihood as the Bayesian information criterion asks of a constant.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from superpose.data.sampling import evenly
from superpose.formulas import selection
from superpose.formulas.dictionary import Term
from superpose.formulas.expressions import rewrite
from superpose.formulas.expressions.constants import Fitted
from superpose.formulas.from_scores import terms
from superpose.formulas.from_scores.label_noise import Noisy
from superpose.formulas.from_scores.problem import ScoreProblem
from superpose.formulas.from_scores.terms import StandardizedTerms, expression_size
from superpose.formulas.subsets import backward_elimination, forward_selection
from superpose.nn.head import Head

if TYPE_CHECKING:
    import sympy

# Terms are compared on at most so many rows, constants fitted on at most so many.
_SCREENED, _FITTED = 2048, 8192
# Sums of at most so many terms; so many of them go on to another term, in so many ways each.
_MOST_TERMS, _BEAM, _WAYS = 5, 4, 6
_PRODUCTS = 12
# The plane in so many columns is one of the candidates.
_MOST_LINES = 8
# So many candidates have their constants made simple.
_SIMPLIFIED = 6
_NEWTON = 15
# Of what is left of a term beside others: less is rounding.
_LEAST_LEFT = 1e-9


@dataclass(frozen=True)
class ScoreFormula:
    """A formula of one score.

    Attributes:
        expression: the score is ``factor`` times it.
        factor: one where the score is in the labels' units.
        deviance: twice the mean cross-entropy on the rows that were fitted.
        complexity: nodes of the expression's tree.
        price: what is minimised, the sum of the deviances and the logarithm of the rows for every node.
    """

    expression: sympy.Expr
    factor: float
    deviance: float
    complexity: int
    price: float

    @property
    def score(self) -> sympy.Expr:
        """The score itself."""
        import sympy

        return self.expression if self.factor == 1 else sympy.Float(self.factor) * self.expression


def score_formulas(
    symbols: tuple[sympy.Symbol, ...],
    x: Tensor,
    y: Tensor,
    smooth: Tensor,
    head: Head,
    *,
    deadline: float,
) -> list[ScoreFormula]:
    """Formulas of one score, the cheapest first.

    Args:
        symbols: of the columns.
        x: ``[N, n]`` columns.
        y: ``[N, 1]`` what was seen, for ``head``.
        smooth: ``[N]`` the network's score.
        head: of one score.
        deadline: a time of :func:`time.monotonic`.
    """
    found = _Search(symbols, x, y, smooth, head, deadline).run()
    noisy = Noisy.of(head, smooth) if head.kind == "sigmoid" else None
    if noisy is None:
        return found
    search = _Search(symbols, x, y, smooth, noisy, deadline)
    again = [search.calibrated(one, head, y) for one in search.run()]
    # Two further constants, the shares.
    if not again or (found and again[0].price + 2 * math.log(len(x)) > found[0].price):
        return found
    return [*again, *found]


def formula(fitted: Fitted, factor: float, count: int) -> ScoreFormula:
    """What was fitted as a formula of a score, for a table of so many rows."""
    price = selection.class_description_length(count * fitted.error, expression_size(fitted.expression), count)
    return ScoreFormula(fitted.expression, factor, fitted.error, rewrite.complexity(fitted.expression), price)


class _Search:
    def __init__(
        self,
        symbols: tuple[sympy.Symbol, ...],
        x: Tensor,
        y: Tensor,
        smooth: Tensor,
        head: Head,
        deadline: float,
    ) -> None:
        self.symbols, self.head, self.deadline = symbols, head, deadline
        self.count = len(x)
        few = evenly(self.count, _SCREENED)
        self.x, self.y, self.smooth = x[few], y[few], smooth[few]
        many = evenly(self.count, _FITTED)
        self.problem = ScoreProblem(symbols, x[many], y[many], head, {}, deadline)

    def late(self) -> bool:
        return time.monotonic() > self.deadline

    def run(self) -> list[ScoreFormula]:
        weights = self.head.hessian_root(self.smooth[:, None], self.y)[:, 0, 0].square()
        # Where the class is sure the network's score says little, but a little.
        weights = weights.clamp(min=1e-3 * float(weights.max()))
        singles = terms.single(self.x, self.symbols)
        if not singles:
            # Columns of 1e300 have no variance that a number could hold.
            return []
        strong = terms.of_strongest(singles, self.smooth[:, None])
        doubles = terms.pairs(strong)
        products = terms.best_products(strong, doubles, self.smooth, weights, _PRODUCTS, deadline=self.deadline)
        found: dict[sympy.Expr, ScoreFormula] = {}
        lines = [term for term in singles if term.kind == "x"]
        proposals = [
            self.sum_of(lines[:_MOST_LINES]),
            *self.sums(singles + doubles, weights),
            *(self.sum_of([one]) for one in products),
        ]
        proposals += self.sums(singles + doubles + products, weights)
        for expression in dict.fromkeys(proposals):
            if self.late() and found:
                break
            self.note(found, expression, simplify=False)
        ranked = sorted(found.values(), key=lambda one: one.price)
        simplified: dict[sympy.Expr, ScoreFormula] = {}
        for one in ranked[:_SIMPLIFIED]:
            if self.late() and simplified:
                break
            self.note(simplified, one.expression, simplify=True, factor=one.factor)
        nothing = self.nothing()
        kept = [one for one in [*simplified.values(), *ranked[_SIMPLIFIED:]] if one.price < nothing]
        return sorted(kept, key=lambda one: one.price)

    def nothing(self) -> float:
        """The price of a constant: what costs as much says nothing."""
        deviance, _ = self.linear(self.x[:, :0], torch.ones_like(self.smooth))
        return selection.class_description_length(self.count * deviance, 1, self.count)

    def note(
        self, found: dict[sympy.Expr, ScoreFormula], expression: sympy.Expr, *, simplify: bool, factor: float = 1.0
    ) -> None:
        """Fit an expression's constants and keep it, unless it has no values on the rows."""
        problem = self.problem
        if problem.free_factor:
            expression, size = normalised(expression, problem)
            factor *= size
        problem.factor = factor
        made = self.priced(problem.snapped(expression) if simplify else problem.fit(expression))
        if made is not None and simplify:
            made = self.shortened(made)
        if made is not None:
            found[made.expression] = made

    def priced(self, fitted: Fitted) -> ScoreFormula | None:
        """What was fitted last as a formula; None where it has no values on the rows."""
        if not math.isfinite(fitted.error) or not fitted.expression.free_symbols:
            return None
        return formula(fitted, self.problem.factor_of(fitted), self.count)

    def shortened(self, made: ScoreFormula) -> ScoreFormula:
        """The formula without those of its terms that are not worth their nodes."""
        import sympy

        def shorter(one: ScoreFormula) -> Iterator[ScoreFormula]:
            parts = sympy.Add.make_args(one.expression)
            for part in parts if len(parts) > 1 and not self.late() else ():
                expression = sympy.Add(*(other for other in parts if other != part))
                if expression.free_symbols:
                    self.problem.factor = one.factor
                    found = self.priced(self.problem.snapped(expression))
                    if found is not None:
                        yield found

        return backward_elimination(made, shorter, lambda one: one.price)

    def calibrated(self, one: ScoreFormula, head: Head, y: Tensor) -> ScoreFormula:
        """The formula with the factor under which its probabilities without shares of wrong labels are the best."""
        rows = evenly(self.count, _FITTED)
        values = self.problem.values(one.expression) * math.copysign(1.0, one.factor)
        sizes = torch.logspace(-3, 3, 61, dtype=torch.float64) / values.std().clamp(min=1e-300)
        losses = [float(head(size * values[:, None], y[rows])) for size in sizes]
        best = min(range(len(sizes)), key=lambda n: losses[n])
        return replace(one, factor=math.copysign(float(sizes[best]), one.factor))

    # -- sums of terms

    def sums(self, known: Sequence[Term], weights: Tensor) -> Iterator[sympy.Expr]:
        """Sums of one term, two terms and so on: the best few of each length."""
        dictionary = StandardizedTerms(known, self.count)

        def grown(beam: Sequence[tuple[int, ...]]) -> dict[tuple[int, ...], float]:
            costs: dict[tuple[int, ...], float] = {}
            for chosen in beam:
                for index in self.promising(dictionary, chosen, weights):
                    longer = tuple(sorted((*chosen, index)))
                    if longer not in costs and not self.late():
                        deviance, _ = self.linear(dictionary.values[:, longer], weights)
                        costs[longer] = deviance * self.count + dictionary.price(longer)
            return costs

        empty: tuple[int, ...] = ()
        patience = 4 * math.log(self.count)
        for level in forward_selection([empty], grown, beam=_BEAM, most=_MOST_TERMS, patience=patience):
            yield from (self.sum_of([known[index] for index in chosen]) for chosen in level)

    def promising(self, dictionary: StandardizedTerms, chosen: tuple[int, ...], weights: Tensor) -> list[int]:
        """The terms along which the likelihood rises most for their cost, beside those that are chosen."""
        _, scores = self.linear(dictionary.values[:, chosen], weights)
        if self.head.kind == "gaussian":
            # Not convex: the network's score shows the way.
            pull, curvature = weights * (scores - self.smooth), weights
        else:
            pull = self.head.gradient(scores[:, None], self.y)[:, 0]
            curvature = self.head.hessian_root(scores[:, None], self.y)[:, 0, 0].square()
        gain = dictionary.gains(chosen, pull, curvature, _LEAST_LEFT)
        best: list[int] = gain.topk(min(_WAYS, len(gain))).indices.tolist()
        return best

    def linear(self, columns: Tensor, weights: Tensor) -> tuple[float, Tensor]:
        """The deviance and the scores of the best combination of columns ``[S, k]`` and a constant."""
        matrix = torch.cat([torch.ones(len(columns), 1, dtype=columns.dtype), columns], 1)
        if self.head.kind == "gaussian":
            root = weights.sqrt()[:, None]
            theta = torch.linalg.lstsq(matrix * root, self.smooth[:, None] * root).solution[:, 0]
        else:
            theta = matrix.new_zeros(matrix.shape[1])
            theta[0] = float(self.smooth.mean()) if self.head.kind == "ordinal" else 0.0
        head, best = self.head.rescaled((matrix @ theta)[:, None], self.y), math.inf
        for _ in range(_NEWTON):
            scores = (matrix @ theta)[:, None]
            deviance = 2 * float(head(scores, self.y))
            if not deviance < best - 1e-6:
                break
            best, kept = deviance, theta
            rooted = head.hessian_root(scores, self.y)[:, 0] * matrix
            normal = rooted.T @ rooted / len(matrix)
            normal += 1e-6 * torch.eye(len(theta), dtype=matrix.dtype) * float(normal.diagonal().mean())
            theta = theta - torch.linalg.solve(normal, matrix.T @ head.gradient(scores, self.y)[:, 0] / len(matrix))
        return best, matrix @ (kept if best < math.inf else theta)

    def sum_of(self, chosen: Sequence[Term]) -> sympy.Expr:
        """The sum of these terms and a constant, with the constants that are best on the rows of the screening."""
        dictionary = StandardizedTerms(chosen, self.count)
        # The network's score is no place to begin: where classes are far apart it is anything.
        _, scores = self.linear(dictionary.values, torch.ones_like(self.smooth))
        matrix = torch.cat([torch.ones_like(scores[:, None]), dictionary.values], 1)
        theta = torch.linalg.lstsq(matrix, scores[:, None]).solution[:, 0]
        return dictionary.written(range(len(chosen)), theta)


def normalised(expression: sympy.Expr, problem: ScoreProblem) -> tuple[sympy.Expr, float]:
    """The expression divided by the factor of its largest term, and that factor."""
    import sympy

    expression = sympy.expand_mul(expression)
    sizes = []
    for part in sympy.Add.make_args(expression):
        if part.free_symbols:
            factor, rest = part.as_coeff_Mul()
            spread = float(problem.values(part).std())
            sizes.append((spread, float(factor), rest))
    size = max(sizes, key=lambda item: item[0], default=(0.0, 1.0, expression))[1]
    if not math.isfinite(size) or size == 0:
        return expression, 1.0
    parts = []
    for part in sympy.Add.make_args(expression):
        factor, rest = part.as_coeff_Mul()
        share = float(factor) / size
        # The one that was divided by itself is no longer a constant to be fitted.
        parts.append(rest if share == 1.0 and part.free_symbols else sympy.Float(share) * rest)
    return sympy.Add(*parts), size
