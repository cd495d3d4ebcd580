"""The terms of scores: functions of one column, products and quotients of two, and products with a sum of two."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from superpose.deadline import Deadline
from superpose.formulas import selection
from superpose.formulas.dictionary import Dictionary, Term, column_terms
from superpose.formulas.expressions import rewrite
from superpose.formulas.subsets import score_test

if TYPE_CHECKING:
    import sympy

# A term with a value beyond so many standard deviations shows little but where its pole is. A round number.
_MAX_PEAK = 60.0
# Functions of one column that scores are put together from.
_SINGLE = frozenset({"x", "x^2", "x^3", "(x-c)^2", "1/x", "abs(x)", "sqrt(x)", "log(x)", "exp(x)", "sin(x)", "cos(x)"})
# Factors of products. Other functions are terms by themselves only, to keep the number of products small.
_FACTORS = ("x", "x^2", "1/x", "sqrt(x)")
# Products are of so many columns, those that correlate most with the scores. A round number.
_MAX_COLUMNS = 12
# Summands of the sums in products and quotients.
_SUMMANDS = ("x", "x^2")
# Terms that are multiplied by a sum at once, for the sake of memory. A round number.
_CHUNK = 4096


def expression_size(expression: sympy.Expr) -> float:
    """Nodes of an expression, and more for each of its functions."""
    import sympy

    calls = sum(isinstance(node, sympy.Function) for node in sympy.preorder_traversal(expression))
    return selection.class_size(rewrite.complexity(expression), calls)


class StandardizedTerms:
    """Terms with mean 0 and variance 1 on the rows, and what each costs against a likelihood.

    Args:
        terms: of the same rows.
        count: rows of the likelihood; the rows of the terms are a sample of them.

    Attributes:
        values: ``[S, T]``.
        costs: ``[T]`` the rise of twice the log-likelihood that a term has to bring.
    """

    def __init__(self, terms: Sequence[Term], count: int) -> None:
        self.dictionary, self.count = Dictionary(terms), count
        values = self.dictionary.values
        self._centers, self._scales = values.mean(0), values.std(0)
        self.values = (values - self._centers) / self._scales
        # A term adds two nodes beside its own: a product with its coefficient, and that number.
        costs = [math.log(count) * (2 + expression_size(term.expression)) for term in terms]
        self.costs = torch.tensor(costs, dtype=values.dtype)

    def __len__(self) -> int:
        return len(self.dictionary)

    def cost(self, chosen: Sequence[int]) -> float:
        """The cost of these terms together."""
        return float(self.costs[list(chosen)].sum())

    def gains(self, chosen: Sequence[int], gradient: Tensor, curvature: Tensor, floor: float) -> Tensor:
        """``[T]``: the rise of twice the log-likelihood with each further term, less its cost, by the score test.

        Args:
            chosen: terms of the sum so far.
            gradient, curvature: ``[S]`` first and second derivatives of the losses by the score.
            floor: see :func:`~superpose.formulas.subsets.score_test`.
        """
        gain = score_test(self.values, chosen, gradient, curvature, floor) * (self.count / len(gradient)) - self.costs
        gain[list(chosen)] = -math.inf
        ranked: Tensor = gain.nan_to_num(-math.inf, neginf=-math.inf)
        return ranked

    def sum_of(self, chosen: Sequence[int], theta: Tensor) -> sympy.Expr:
        """The sum of a constant ``theta[0]`` and terms with coefficients ``theta[1:]`` of the standardised values."""
        import sympy

        own = list(chosen)
        factors = theta[1:] / self._scales[own]
        constant = float(theta[0] - (factors * self._centers[own]).sum())
        return self.dictionary.combination(own, factors.tolist()) + sympy.Float(constant)


def single(x: Tensor, symbols: Sequence[sympy.Symbol]) -> list[Term]:
    """Functions of one column each, of rows ``x [N, n]``, that vary and have no pole between the rows."""
    found: list[Term] = []
    for n, symbol in enumerate(symbols):
        signs = {float(x[:, n].min()) > 0, float(x[:, n].max()) > 0}
        for term in column_terms(x[:, n], symbol, n):
            # The reciprocal of a column of both signs has its pole between the rows.
            usable = term.kind in _SINGLE and (len(signs) == 1 or term.kind != "1/x")
            if usable and bool(_is_usable(term.values[:, None])[0]):
                found.append(term)
    return found


def of_strongest(singles: Sequence[Term], targets: Tensor) -> list[Term]:
    """The terms of the columns with the largest correlation with one of the scores ``targets [N, K]``."""
    columns = sorted({column for term in singles for column in term.columns})
    if len(columns) <= _MAX_COLUMNS:
        return list(singles)
    values = torch.stack([term.values for term in singles], 1)
    values = (values - values.mean(0)) / values.std(0)
    targets = (targets - targets.mean(0)) / targets.std(0).clamp(min=1e-300)  # no division by zero
    correlations = (values.T @ targets).abs().amax(1).tolist()
    best = {column: max(f for f, term in zip(correlations, singles, strict=True) if column in term.columns)
            for column in columns}  # fmt: skip
    kept = set(sorted(columns, key=lambda column: -best[column])[:_MAX_COLUMNS])
    return [term for term in singles if term.columns <= kept]


def pairs(singles: Sequence[Term]) -> list[Term]:
    """Products and quotients of two columns."""
    factors = [term for term in singles if term.kind in _FACTORS]
    found = [
        left.times(right, "pair") for left, right in itertools.combinations(factors, 2) if left.columns != right.columns
    ]
    return [term for term in found if bool(_is_usable(term.values[:, None])[0])]


def best_products(
    singles: Sequence[Term], doubles: Sequence[Term], target: Tensor, weights: Tensor, count: int, *, deadline: Deadline
) -> list[Term]:
    """The products and quotients of a term and a sum of two that correlate most with ``target [N]``.

    The correlation is weighted by ``weights [N]``. After the ``deadline`` no further
    sums are tried.
    """
    sums = _sums([term for term in singles if term.kind in _SUMMANDS])
    heads = [term for term in singles if term.kind in _FACTORS] + list(doubles)
    if not sums or not heads:
        return []
    weights = weights / weights.sum()
    root = weights.sqrt()
    centred = root * (target - weights @ target)
    centred = centred / centred.norm().clamp(min=1e-300)  # no division by zero
    tall = torch.stack([term.values for term in heads])
    best: list[tuple[float, int, int, bool]] = []
    for place, one in enumerate(sums):
        if deadline.passed():
            break
        for over in (False, True):
            if over and not (bool((one.values > 0).all()) or bool((one.values < 0).all())):
                continue
            by = 1 / one.values if over else one.values
            for start in range(0, len(tall), _CHUNK):
                values = tall[start : start + _CHUNK] * by
                usable = _is_usable(values.T)
                values = values - (values @ weights)[:, None]
                values = values * root
                correlations = ((values @ centred) / values.norm(dim=1).clamp(min=1e-300)).abs()  # no division by zero
                correlations = torch.where(usable & torch.isfinite(correlations), correlations, 0.0)
                # Three of each block, so that one sum does not take all places. A round number.
                top = correlations.topk(min(3, len(correlations)))
                best += [
                    (share, start + which, place, over)
                    for share, which in zip(top.values.tolist(), top.indices.tolist(), strict=True)
                ]
    best.sort(key=lambda item: -item[0])
    found = []
    for _, which, place, over in best[:count]:
        left, right = heads[which], sums[place]
        found.append(left.over(right) if over else left.times(right))
    return found


def _sums(parts: Sequence[Term]) -> list[Term]:
    """Sums and differences of two columns, or of their squares, with coefficients of equal size."""
    import sympy

    found = []
    for left, right in itertools.combinations(parts, 2):
        if left.columns == right.columns or left.kind != right.kind:
            continue
        for sign in (1, -1):
            # A float, so that the coefficient is fitted later.
            total = left.expression + sympy.Float(sign) * right.expression
            columns = left.columns | right.columns
            found.append(Term(left.values + sign * right.values, (total,), columns=columns, kind="sum"))
    return found


def _is_usable(values: Tensor) -> Tensor:
    """``[T]``: which columns of ``values [N, T]`` have a finite variance that is not due to a few values."""
    deviation = values.std(0)
    peak = (values - values.mean(0)).abs().amax(0)
    return torch.isfinite(values).all(0) & torch.isfinite(deviation) & (deviation > 0) & (peak < _MAX_PEAK * deviation)
