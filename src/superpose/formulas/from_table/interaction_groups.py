"""Sums and products of several functions of different columns, seen in a table of many columns and few rows.

The derivatives of a surrogate of all columns say little there: a polynomial of eight columns and degree 3 has 165
coefficients. A sum of functions of single columns has few, and what pairs of columns add to it is seen one by one (the
analysis of variance; pairs are ranked as by Y. Lou, R. Caruana, J. Gehrke and G. Hooker, KDD 2013). Columns that no
pair joins stand in different terms, and a surrogate of those terms together has few coefficients again.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor

from superpose.formulas.from_table import chebyshev
from superpose.formulas.from_table.splits import Split
from superpose.formulas.from_table.subproblem import Subproblem
from superpose.formulas.from_table.surrogate import separate


@dataclass(frozen=True)
class _Pairs:
    """When a pair of columns interacts. Chosen on two tables of eight columns and 100 and 400 rows; round numbers.

    Attributes:
        rows: first rows that are looked at.
        columns: of a table at most.
        degree: of the polynomials of one column, and total of those of pairs, at most.
        share: of the rows that coefficients of single columns may be.
        used: of the rows that all coefficients may be.
        ratio: F statistic of a pair at least: chance gives the best of 300 pairs some 5.
        falls: what is left falls below this share of what was left: a smooth function that polynomials of single
            columns leave something of is no noise, and gives large statistics too.
        idle: F statistic of a column at most that no term has: chance gives the best of 20 some 4.
    """

    rows: int = 1500
    columns: int = 25
    degree: int = 4
    share: float = 0.35
    used: float = 0.6
    ratio: float = 10.0
    falls: float = 0.93
    idle: float = 4.0


_PAIRS = _Pairs()


def group_splits(problem: Subproblem, error: float, *, product: bool = False) -> list[Split]:
    """The terms, or factors, of a table whose columns fall into groups, those of few columns first; empty if not.

    Args:
        error: of the surrogate of all columns; the parts together must not err more.
        product: whether factors are wanted; the target must have one sign.
    """
    groups = interaction_groups(problem.x, problem.y.abs().log() if product else problem.y)
    # A sum of curves of one column each is another stage.
    if len(groups) < 2 or max(map(len, groups)) == 1:
        return []
    together, parts = separate(problem.x, problem.y, problem.weight, problem.spread, groups, product=product)
    if together > error:
        return []
    order = sorted(zip(groups, parts, strict=True), key=lambda one: len(one[0]))
    return [_split(problem, group, values, together, product) for group, values in order]


def _split(problem: Subproblem, group: list[int], values: Tensor, error: float, product: bool) -> Split:
    """One of the parts, with noise as large as what all parts err by: its polynomial is not the law."""
    noise = torch.randn(len(values), generator=torch.Generator().manual_seed(group[0]), dtype=values.dtype)
    noise = noise * (error * problem.spread / problem.weight)
    values = values * (1 + noise / problem.y) if product else values + noise
    return Split(error, tuple(group), product, error, values)


def interaction_groups(x: Tensor, y: Tensor) -> list[list[int]]:
    """Groups of columns ``x [N, n]``, so that the target ``[N]`` looks like a sum of functions of one group each.

    Returns:
        The places of the columns of each group; one group, or none, if the rows do not tell.

    >>> x = torch.rand(200, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    >>> interaction_groups(x, x[:, 0] * x[:, 3] + x[:, 1].exp() / (1 + x[:, 2]))
    [[0, 3], [1, 2]]
    """
    x, y = x[: _PAIRS.rows], y[: _PAIRS.rows]
    rows, count = x.shape
    degree = min(_PAIRS.degree, int(_PAIRS.share * rows) // max(count, 1))
    if degree < 2 or not 2 < count <= _PAIRS.columns:
        return []
    low, high = x.amin(0), x.amax(0)
    inner = (2 * x - low - high) / (high - low).clamp(min=1e-300)  # no division by zero
    # A column of few values has few independent powers.
    degrees = [min(degree, len(torch.unique(column)) - 1) for column in x.unbind(-1)]
    curves = [chebyshev.polynomials(u, max(d, 1))[:, 1 : d + 1] for u, d in zip(inner.unbind(-1), degrees, strict=True)]
    known = _orthogonal(torch.cat([torch.ones_like(x[:, :1]), *curves], -1))
    rest = y - known @ (known.T @ y)
    bases = {(i, j): _products(curves[i], curves[j], degree) for i, j in itertools.combinations(range(count), 2)}
    pairs = dict(bases)
    joined: list[tuple[int, int]] = []
    while pairs and known.shape[1] < _PAIRS.used * rows:
        free = rows - known.shape[1]
        least, best, made = 1.0, None, known[:, :0]
        ratio, total = 0.0, float(rest.square().sum())
        if total <= 0:
            break
        for pair, basis in pairs.items():
            added = _orthogonal(basis - known @ (known.T @ basis))
            size = added.shape[1]
            if not 0 < size < free:
                continue
            gain = float((added.T @ rest).square().sum())
            left = max(total - gain, 1e-30 * total) / (free - size)
            if left * free / total < least:
                least, best, made, ratio = left * free / total, pair, added, gain / size / left
        if best is None or ratio < _PAIRS.ratio or least > _PAIRS.falls**2:
            break
        del pairs[best]
        joined.append(best)
        known, rest = torch.cat([known, made], -1), rest - made @ (made.T @ rest)
    terms = [*curves, *(bases[pair] for pair in joined)]
    # What is left of an exact sum is rounding: a millionth of a millionth of the target.
    noise = max(float(rest.square().sum()), 1e-24 * float(y.square().sum())) / max(rows - known.shape[1], 1)
    groups = _components(count, joined)
    return [group for group in groups if len(group) > 1 or not _is_idle(group[0], terms, y, noise)]


def _is_idle(place: int, terms: list[Tensor], y: Tensor, noise: float) -> bool:
    """Whether the curve of a column that no pair joins explains no more than chance beside all other terms.

    Args:
        terms: the polynomials of each column, and of the pairs.
        noise: mean square of what all of them leave.
    """
    others = _orthogonal(torch.cat([torch.ones_like(y)[:, None], *terms[:place], *terms[place + 1 :]], -1))
    own = _orthogonal(terms[place] - others @ (others.T @ terms[place]))
    return float((own.T @ y).square().sum()) <= _PAIRS.idle * own.shape[1] * noise


def _products(first: Tensor, second: Tensor, degree: int) -> Tensor:
    """Products of the polynomials of two columns up to a total degree."""
    made = [
        first[:, i] * second[:, j]
        for i in range(first.shape[1])
        for j in range(second.shape[1])
        if i + j + 2 <= degree or i + j == 0
    ]
    return torch.stack(made, -1) if made else first[:, :0]


def _orthogonal(matrix: Tensor) -> Tensor:
    """An orthonormal basis of the columns' span, without directions that are rounding."""
    if not matrix.shape[1]:
        return matrix
    u, s, _ = torch.linalg.svd(matrix, full_matrices=False)
    kept: Tensor = u[:, s > 1e-9 * s.max().clamp(min=1e-9)]  # seven digits of sixteen are left
    return kept


def _components(count: int, joined: list[tuple[int, int]]) -> list[list[int]]:
    """The columns that pairs join, directly or by others."""
    groups = [{n} for n in range(count)]
    for i, j in joined:
        one, other = (next(group for group in groups if place in group) for place in (i, j))
        if one is not other:
            groups.remove(other)
            one |= other
    return sorted(sorted(group) for group in groups)


__all__ = ["group_splits", "interaction_groups"]
