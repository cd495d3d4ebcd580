"""Terms: functions of one column, their products and quotients, from which scores are put together.

Values are kept beside the way each term is written, so that thousands are compared and few are made into expressions.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from superpose.formulas import selection
from superpose.formulas.dictionary import Dictionary, Term, column_terms
from superpose.formulas.expressions import rewrite
from superpose.formulas.subsets import score_test

if TYPE_CHECKING:
    import sympy

# A term whose largest value is so many of its standard deviations says nothing but where its pole is.
_MOST_PEAKED = 60.0
# Functions of one column that scores are put together from.
_SINGLE = frozenset({"x", "x^2", "x^3", "(x-c)^2", "1/x", "abs(x)", "sqrt(x)", "log(x)", "exp(x)", "sin(x)", "cos(x)"})
# Factors of products; further functions stand alone.
_FACTORS = ("x", "x^2", "1/x", "sqrt(x)")
# With more columns than this, products are of those that tell most by themselves.
_MOST_COLUMNS = 12
# Sums in numerators and denominators are of these.
_SUMMANDS = ("x", "x^2")
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
        count: rows that the likelihood is of; those of the terms are some of them.

    Attributes:
        values: ``[S, T]``.
        costs: ``[T]`` what a term has to raise twice the log-likelihood by.
    """

    def __init__(self, terms: Sequence[Term], count: int) -> None:
        self.dictionary, self.count = Dictionary(terms), count
        values = self.dictionary.values
        self._centers, self._scales = values.mean(0), values.std(0)
        self.values = (values - self._centers) / self._scales
        # A term costs a node for itself and one for its factor beside those that it is made of.
        costs = [math.log(count) * (2 + expression_size(term.expression)) for term in terms]
        self.costs = torch.tensor(costs, dtype=values.dtype)

    def __len__(self) -> int:
        return len(self.dictionary)

    def price(self, chosen: Sequence[int]) -> float:
        """What these terms cost together."""
        return float(self.costs[list(chosen)].sum())

    def gains(self, chosen: Sequence[int], pull: Tensor, curvature: Tensor, least: float) -> Tensor:
        """``[T]``: by how much the likelihood rises with each term beside those chosen, less its cost (score test).

        Args:
            chosen: terms that are there already.
            pull, curvature: ``[S]`` first and second derivatives of the losses by the score.
            least: what is left of a term beside the others is at least this share of the mean curvature.
        """
        gain = score_test(self.values, chosen, pull, curvature, least) * (self.count / len(pull)) - self.costs
        gain[list(chosen)] = -math.inf
        ranked: Tensor = gain.nan_to_num(-math.inf, neginf=-math.inf)
        return ranked

    def written(self, chosen: Sequence[int], theta: Tensor) -> sympy.Expr:
        """The sum of a constant, ``theta[0]``, and terms with factors ``theta[1:]``, all for the values here."""
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
            # The reciprocal of a column of both signs has its pole where rows may come.
            usable = term.kind in _SINGLE and (len(signs) == 1 or term.kind != "1/x")
            if usable and bool(_telling(term.values[:, None])[0]):
                found.append(term)
    return found


def of_strongest(singles: Sequence[Term], targets: Tensor) -> list[Term]:
    """The terms of the columns that scores ``targets [N, K]`` follow best, each score by its best term; all of few."""
    columns = sorted({column for term in singles for column in term.columns})
    if len(columns) <= _MOST_COLUMNS:
        return list(singles)
    values = torch.stack([term.values for term in singles], 1)
    values = (values - values.mean(0)) / values.std(0)
    targets = (targets - targets.mean(0)) / targets.std(0).clamp(min=1e-300)
    follows = (values.T @ targets).abs().amax(1).tolist()
    best = {column: max(f for f, term in zip(follows, singles, strict=True) if column in term.columns)
            for column in columns}  # fmt: skip
    kept = set(sorted(columns, key=lambda column: -best[column])[:_MOST_COLUMNS])
    return [term for term in singles if term.columns <= kept]


def pairs(singles: Sequence[Term]) -> list[Term]:
    """Products and quotients of two columns."""
    factors = [term for term in singles if term.kind in _FACTORS]
    found = [
        left.times(right, "pair") for left, right in itertools.combinations(factors, 2) if left.columns != right.columns
    ]
    return [term for term in found if bool(_telling(term.values[:, None])[0])]


def best_products(
    singles: Sequence[Term], doubles: Sequence[Term], target: Tensor, weights: Tensor, count: int, *, deadline: float
) -> list[Term]:
    """Of all products and quotients of a term and a sum of two, those that ``target [N]`` follows best.

    Followed best: with the largest correlation under ``weights [N]``. Those that were looked at until ``deadline``, a
    time of :func:`time.monotonic`, are what there is to choose from.
    """
    sums = _sums([term for term in singles if term.kind in _SUMMANDS])
    heads = [term for term in singles if term.kind in _FACTORS] + list(doubles)
    if not sums or not heads:
        return []
    weights = weights / weights.sum()
    root = weights.sqrt()
    centred = root * (target - weights @ target)
    centred = centred / centred.norm().clamp(min=1e-300)
    tall = torch.stack([term.values for term in heads])
    best: list[tuple[float, int, int, bool]] = []
    for place, one in enumerate(sums):
        if time.monotonic() > deadline:
            break
        for over in (False, True):
            if over and not (bool((one.values > 0).all()) or bool((one.values < 0).all())):
                continue
            by = 1 / one.values if over else one.values
            for start in range(0, len(tall), _CHUNK):
                values = tall[start : start + _CHUNK] * by
                good = _telling(values.T)
                values = values - (values @ weights)[:, None]
                values = values * root
                follows = ((values @ centred) / values.norm(dim=1).clamp(min=1e-300)).abs()
                follows = torch.where(good & torch.isfinite(follows), follows, 0.0)
                top = follows.topk(min(3, len(follows)))
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
    """Sums and differences of two columns, or of their squares, in equal shares."""
    import sympy

    found = []
    for left, right in itertools.combinations(parts, 2):
        if left.columns == right.columns or left.kind != right.kind:
            continue
        for sign in (1, -1):
            # A free constant, to begin with in equal shares.
            total = left.expression + sympy.Float(sign) * right.expression
            columns = left.columns | right.columns
            found.append(Term(left.values + sign * right.values, (total,), columns=columns, kind="sum"))
    return found


def _telling(values: Tensor) -> Tensor:
    """``[T]`` which columns of ``values [N, T]`` have a finite variance and are more than a few outstanding values."""
    spread = values.std(0)
    peak = (values - values.mean(0)).abs().amax(0)
    return torch.isfinite(values).all(0) & torch.isfinite(spread) & (spread > 0) & (peak < _MOST_PEAKED * spread)
