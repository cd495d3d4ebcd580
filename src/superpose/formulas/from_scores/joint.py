"""Formulas of several scores at once: sums of terms, put together by the score test of the multinomial model.

The scores of a softmax mean something only beside one another, and where a class is far away its own score means
nothing at all. So terms are added to one score at a time with all of them in view, the most usual class's score being
zero, and all constants are fitted together.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from superpose.data.sampling import evenly
from superpose.formulas.dictionary import Term
from superpose.formulas.from_scores import terms
from superpose.formulas.from_scores.problem import ScoreProblem, against
from superpose.formulas.from_scores.search import ScoreFormula, formula, normalised
from superpose.formulas.from_scores.terms import StandardizedTerms
from superpose.formulas.subsets import backward_elimination, forward_selection
from superpose.nn.head import Head

if TYPE_CHECKING:
    import sympy

_SCREENED, _FITTED = 1500, 8192
# So many combinations go on to another term, in so many ways each; terms of all scores together.
_BEAM, _WAYS, _MOST_TERMS = 3, 4, 16
_PRODUCTS = 4
_NEWTON = 12
_RIDGE = 1e-6
# Of what is left of a term beside others: less is rounding.
_LEAST_LEFT = 1e-6
# Rounds in which each score's constants are made simple and fitted beside the others'.
_ROUNDS = 3

# For each score the numbers of its terms.
Chosen = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, eq=False)
class _Fit:
    chosen: Chosen
    deviance: float
    price: float
    theta: Tensor
    scores: Tensor


def joint_formulas(
    symbols: tuple[sympy.Symbol, ...],
    x: Tensor,
    y: Tensor,
    smooth: Tensor,
    usual: int,
    *,
    deadline: float,
) -> list[list[ScoreFormula]]:
    """A formula for each score but the usual class's, which is zero.

    Args:
        symbols: of the columns.
        x: ``[N, n]`` columns.
        y: ``[N, K]`` ones where the class was seen.
        smooth: ``[N, K]`` the network's scores.
        usual: the class that others are compared with.
        deadline: a time of :func:`time.monotonic`.
    """
    singles = terms.single(x[evenly(len(x), _SCREENED)], symbols)
    if not singles:
        # Columns of 1e300 have no variance that a number could hold.
        return [[] for _ in range(y.shape[1])]
    search = _Pursuit(symbols, x, y, smooth - smooth[:, usual, None], usual, deadline, singles)
    # A product may be in the way of a sum that needs two terms at once.
    found = [search.run(search.plain)]
    if len(search.dictionary) > search.plain and not search.late():
        found.append(search.run(len(search.dictionary)))
    return search.written(min(found, key=lambda one: one.price))


class _Pursuit:
    def __init__(
        self,
        symbols: tuple[sympy.Symbol, ...],
        x: Tensor,
        y: Tensor,
        smooth: Tensor,
        usual: int,
        deadline: float,
        singles: list[Term],
    ) -> None:
        self.symbols, self.usual, self.deadline, self.count = symbols, usual, deadline, len(x)
        few, many = evenly(len(x), _SCREENED), evenly(len(x), _FITTED)
        self.y, self.fitted_x, self.fitted_y = y[few], x[many], y[many]
        self.head = Head("softmax", tuple(str(k) for k in range(y.shape[1])))
        self.others = [k for k in range(y.shape[1]) if k != usual]
        strong = terms.of_strongest(singles, smooth[few][:, self.others])
        doubles = terms.pairs(strong)
        every = singles + doubles
        self.plain = len(every)
        for k in self.others:
            p = smooth[few].softmax(-1)[:, k]
            weights = (p * (1 - p)).clamp(min=1e-3)
            every += terms.best_products(strong, doubles, smooth[few, k], weights, _PRODUCTS, deadline=deadline)
        self.dictionary = StandardizedTerms(every, self.count)

    def late(self) -> bool:
        return time.monotonic() > self.deadline

    def run(self, count: int) -> _Fit:
        """The best combination of the first ``count`` terms."""
        nothing: Chosen = tuple(() for _ in range(self.y.shape[1]))
        fits = {nothing: self.fit(nothing)}

        def grown(beam: Sequence[Chosen]) -> dict[Chosen, float]:
            found: dict[Chosen, float] = {}
            for chosen in beam:
                for k, term in self.promising(fits[chosen], count):
                    longer = (*chosen[:k], tuple(sorted((*chosen[k], term))), *chosen[k + 1 :])
                    if longer not in found and not self.late():
                        fits[longer] = self.fit(longer)
                        found[longer] = fits[longer].price
            return found

        best = fits[nothing]
        patience = 4 * math.log(self.count)
        for level in forward_selection([nothing], grown, beam=_BEAM, most=_MOST_TERMS, patience=patience):
            best = min(best, fits[level[0]], key=lambda one: one.price)
        return backward_elimination(best, self.shorter, lambda one: one.price)

    def shorter(self, one: _Fit) -> Iterator[_Fit]:
        """The combination without each one of its terms."""
        for k, own in enumerate(one.chosen):
            for term in own:
                if self.late():
                    return
                yield self.fit((*one.chosen[:k], tuple(t for t in own if t != term), *one.chosen[k + 1 :]))

    def jacobian(self, chosen: Chosen) -> Tensor:
        """``[S, K, P]``: how each score moves with the constant and the factors of its terms."""
        blocks = []
        for k in self.others:
            values = self.dictionary.values[:, list(chosen[k])]
            own = torch.cat([torch.ones(len(self.y), 1, dtype=self.y.dtype), values], 1)
            block = self.y.new_zeros((len(self.y), self.y.shape[1], own.shape[1]))
            block[:, k] = own
            blocks.append(block)
        return torch.cat(blocks, 2)

    def fit(self, chosen: Chosen) -> _Fit:
        jacobian = self.jacobian(chosen)
        theta = jacobian.new_zeros(jacobian.shape[2])
        best, kept = math.inf, theta
        for _ in range(_NEWTON):
            scores = jacobian @ theta
            deviance = 2 * float(self.head(scores, self.y))
            if not deviance < best - 1e-6:
                break
            best, kept = deviance, theta
            rooted = (self.head.hessian_root(scores, self.y) @ jacobian).flatten(0, 1)
            normal = rooted.T @ rooted / len(self.y)
            normal += _RIDGE * torch.eye(len(theta), dtype=theta.dtype)
            pull = torch.einsum("skp,sk->p", jacobian, self.head.gradient(scores, self.y)) / len(self.y)
            theta = theta - torch.linalg.solve(normal, pull)
        price = best * self.count + self.dictionary.price([term for own in chosen for term in own])
        return _Fit(chosen, best, price, kept, jacobian @ kept)

    def promising(self, one: _Fit, count: int) -> list[tuple[int, int]]:
        """``(score, term)`` along which the likelihood rises most for its cost."""
        slopes = self.head.gradient(one.scores, self.y)
        p = one.scores.softmax(-1)
        found: list[tuple[float, int, int]] = []
        for k in self.others:
            curvature = (p[:, k] * (1 - p[:, k])).clamp(min=1e-12)
            gain = self.dictionary.gains(one.chosen[k], slopes[:, k], curvature, _LEAST_LEFT)[:count]
            top = gain.topk(min(_WAYS, len(gain)))
            found += [(value, k, term) for value, term in zip(top.values.tolist(), top.indices.tolist(), strict=True)]
        found.sort(key=lambda item: -item[0])
        return [(k, term) for _, k, term in found[: 2 * _WAYS]]

    # -- the expressions

    def written(self, one: _Fit) -> list[list[ScoreFormula]]:
        """The scores as expressions, their constants fitted to more rows and made simple."""
        import sympy

        scores = torch.zeros_like(self.fitted_y)
        made: list[tuple[sympy.Expr, float]] = [(sympy.Integer(0), 1.0)] * self.y.shape[1]
        place = 0
        for k in self.others:
            end = place + 1 + len(one.chosen[k])
            made[k] = self.dictionary.written(one.chosen[k], one.theta[place:end]), 1.0
            place = end
            scores[:, k] = self._problem(k, scores).values(made[k][0])
        found: list[list[ScoreFormula]] = [[] for _ in made]
        for turn in range(_ROUNDS):
            if turn and self.late():
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
        offset = against(scores, k)
        return ScoreProblem(
            self.symbols, self.fitted_x, self.fitted_y[:, k, None], two, {}, self.deadline, offset=offset
        )
