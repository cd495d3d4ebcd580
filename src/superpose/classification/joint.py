"""Formulas of several scores at once: sums of terms, put together by the score test of the multinomial model.

The scores of a softmax mean something only beside one another, and where a class is far away its own score means
nothing at all. So terms are added to one score at a time with all of them in view, the most usual class's score being
zero, and all constants are fitted together.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from superpose.classification import terms
from superpose.classification.formulas import ScoreFormula, normalised, spread, weight
from superpose.classification.problem import ScoreProblem, against
from superpose.classification.terms import Term
from superpose.interpret import rewrite
from superpose.nn.head import Head

if TYPE_CHECKING:
    import sympy

_SCREENED, _FITTED = 1500, 8192
# So many combinations go on to another term, in so many ways each; terms of all scores together.
_BEAM, _WAYS, _MOST_TERMS = 3, 4, 16
_PRODUCTS = 4
_NEWTON = 12
_RIDGE = 1e-6
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
    search = _Pursuit(symbols, x, y, smooth - smooth[:, usual, None], usual, deadline)
    # A product may be in the way of a sum that needs two terms at once.
    found = [search.run(count) for count in dict.fromkeys((search.plain, len(search.terms)))]
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
    ) -> None:
        self.symbols, self.usual, self.deadline, self.count = symbols, usual, deadline, len(x)
        few, many = spread(len(x), _SCREENED), spread(len(x), _FITTED)
        self.y, self.fitted_x, self.fitted_y = y[few], x[many], y[many]
        self.head = Head("softmax", tuple(str(k) for k in range(y.shape[1])))
        self.others = [k for k in range(y.shape[1]) if k != usual]
        singles = terms.single(x[few], symbols)
        doubles = terms.pairs(singles)
        self.terms: list[Term] = singles + doubles
        self.plain = len(self.terms)
        for k in self.others:
            p = smooth[few].softmax(-1)[:, k]
            weights = (p * (1 - p)).clamp(min=1e-3)
            self.terms += terms.best_products(singles, doubles, smooth[few, k], weights, _PRODUCTS)
        values = torch.stack([term.values for term in self.terms], 1)
        self.centers, self.scales = values.mean(0), values.std(0)
        self.values = (values - self.centers) / self.scales
        # A term costs a node for itself, one for its factor and those it is made of.
        self.costs = [math.log(self.count) * (2 + weight(term.build())) for term in self.terms]

    def late(self) -> bool:
        return time.monotonic() > self.deadline

    def run(self, count: int) -> _Fit:
        """The best combination of the first ``count`` terms."""
        best = self.fit(tuple(() for _ in range(self.y.shape[1])))
        beam = [best]
        for _ in range(_MOST_TERMS):
            grown: dict[Chosen, _Fit] = {}
            for one in beam:
                for k, term in self.promising(one, count):
                    chosen = tuple(
                        tuple(sorted((*own, term))) if place == k else own for place, own in enumerate(one.chosen)
                    )
                    if chosen not in grown and not self.late():
                        grown[chosen] = self.fit(chosen)
            if not grown:
                break
            beam = sorted(grown.values(), key=lambda one: one.price)[:_BEAM]
            if beam[0].price < best.price:
                best = beam[0]
            elif beam[0].price > best.price + 4 * math.log(self.count):
                break
        return self.pruned(best)

    def pruned(self, best: _Fit) -> _Fit:
        """Without the terms that later ones made idle."""
        while not self.late():
            trials = []
            for k, own in enumerate(best.chosen):
                for term in own:
                    rest = tuple(t for t in own if t != term)
                    trials.append(self.fit((*best.chosen[:k], rest, *best.chosen[k + 1 :])))
            better = min(trials, key=lambda one: one.price, default=best)
            if better.price >= best.price:
                break
            best = better
        return best

    def jacobian(self, chosen: Chosen) -> Tensor:
        """``[S, K, P]``: how each score moves with the constant and the factors of its terms."""
        blocks = []
        for k in self.others:
            own = torch.cat([torch.ones(len(self.y), 1, dtype=self.y.dtype), self.values[:, list(chosen[k])]], 1)
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
            rooted = (self.head.roots(scores, self.y) @ jacobian).flatten(0, 1)
            normal = rooted.T @ rooted / len(self.y)
            normal += _RIDGE * torch.eye(len(theta), dtype=theta.dtype)
            pull = torch.einsum("skp,sk->p", jacobian, self.head.slopes(scores, self.y)) / len(self.y)
            theta = theta - torch.linalg.solve(normal, pull)
        price = best * self.count + sum(self.costs[term] for own in chosen for term in own)
        return _Fit(chosen, best, price, kept, jacobian @ kept)

    def promising(self, one: _Fit, count: int) -> list[tuple[int, int]]:
        """``(score, term)`` along which the likelihood rises most for its cost."""
        slopes = self.head.slopes(one.scores, self.y)
        p = one.scores.softmax(-1)
        found: list[tuple[float, int, int]] = []
        for k in self.others:
            curvature = (p[:, k] * (1 - p[:, k])).clamp(min=1e-12)
            root = curvature.sqrt()[:, None]
            basis = torch.cat([torch.ones_like(root), self.values[:, list(one.chosen[k])]], 1) * root
            q, _ = torch.linalg.qr(basis)
            rest = self.values * root
            rest = rest - q @ (q.T @ rest)
            least = 1e-6 * len(self.y) * float(curvature.mean())
            gain = (self.values.T @ slopes[:, k]).square() / rest.square().sum(0).clamp(min=least)
            gain = gain * (self.count / len(self.y)) - torch.tensor(self.costs)
            gain[list(one.chosen[k])] = -math.inf
            gain = gain[:count]
            top = gain.nan_to_num(-math.inf).topk(min(_WAYS, len(gain)))
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
            own = list(one.chosen[k])
            theta = one.theta[place : place + 1 + len(own)]
            place += 1 + len(own)
            factors = theta[1:] / self.scales[own]
            constant = float(theta[0] - (factors * self.centers[own]).sum())
            parts = [sympy.Float(c) * self.terms[t].build() for c, t in zip(factors.tolist(), own, strict=True)]
            made[k] = sympy.Add(*parts, sympy.Float(constant)), 1.0
            scores[:, k] = self._problem(k, scores).values(made[k][0])
        found: list[list[ScoreFormula]] = [[] for _ in made]
        for turn in range(_ROUNDS):
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
                complexity = rewrite.complexity(fitted.expression)
                price = self.count * fitted.error + math.log(self.count) * weight(fitted.expression)
                found[k] = [ScoreFormula(fitted.expression, factor, fitted.error, complexity, price)]
        return found

    def _problem(self, k: int, scores: Tensor) -> ScoreProblem:
        two = Head("sigmoid", ("others", "this"))
        offset = against(scores, k)
        return ScoreProblem(
            self.symbols, self.fitted_x, self.fitted_y[:, k, None], two, {}, self.deadline, offset=offset
        )
