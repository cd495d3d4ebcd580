"""How clearly a number depends on single columns, and on pairs of columns: standard scores, from ranks.

A standard score is a standard normal number where nothing depends on the column, whatever its distribution: 3 is one in
a thousand, 6 one in a billion. Columns enter by their ranks, so that units, outliers and skewness do not matter.

Sources: L. Zhu et al., *Model-free feature screening for ultrahigh-dimensional data*, JASA 106 (2011), for screening by
ranks; T. Ledwina, *Data-driven version of Neyman's smooth test of fit*, JASA 89 (1994), for tests by few smooth
functions; E. Wilson and M. Hilferty, PNAS 17 (1931), for the standard score of a chi-squared number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from superpose.deadline import Deadline


@dataclass(frozen=True)
class _Tests:
    """Sizes of the tests. Round numbers, but for ``powers``: more of them find no more products and cost their square.

    Attributes:
        waves: cosines of the ranks, of 1/2 to ``waves / 2`` periods.
        coarse, fine: groups of equal rank in which means are compared; each has at least ``rows_per_group`` rows.
        powers, few_powers: Legendre polynomials of each column of a pair, and those among more than ``many`` columns.
        block: columns whose functions are held at once.
        pair_rows: rows whose functions of all columns are held at once.
    """

    waves: int = 8
    coarse: int = 6
    fine: int = 48
    rows_per_group: int = 16
    powers: int = 3
    few_powers: int = 2
    many: int = 1000
    block: int = 100
    pair_rows: int = 1024


_TESTS = _Tests()
# How many numbers the score of a column, and of a pair of columns, is the largest of.
TESTS_OF_COLUMN, TESTS_OF_PAIR = _TESTS.waves + 2, _TESTS.powers**2
_TINY = 1e-30


def mid_ranks(x: Tensor) -> Tensor:
    """The rank of each entry in its column of ``x [N, n]``, from -1 to 1; equal entries share their mean rank.

    >>> mid_ranks(torch.tensor([[5.0], [1.0], [1.0], [9.0]])).flatten().tolist()
    [0.25, -0.5, -0.5, 0.75]
    """
    columns = []
    for column in x.unbind(-1):
        _, place, count = torch.unique(column, return_inverse=True, return_counts=True)
        middle = count.cumsum(0) - count / 2
        columns.append((2 * middle / len(column) - 1)[place])
    return torch.stack(columns, -1).to(torch.float32)


def normal_scores(values: Tensor) -> Tensor:
    """Normal quantiles of the ranks of ``values [N]``, with mean 0 and variance 1; zeros for equal values."""
    scores = torch.special.ndtri((mid_ranks(values[:, None])[:, 0].double() + 1) / 2)
    return _standardised(scores).to(torch.float32)


def _standardised(values: Tensor) -> Tensor:
    values = values - values.mean(0)
    return values / values.square().mean(0).clamp(min=_TINY).sqrt()


def marginal_scores(ranks: Tensor, residuals: Tensor) -> Tensor:
    """The largest standard score ``[n, R]`` of the dependence of each residual on each column alone.

    Args:
        ranks: ``[N, n]`` of :func:`mid_ranks`.
        residuals: ``[N, R]`` of mean 0, with few outliers, such as :func:`normal_scores`.
    """
    return torch.cat([_marginal(part, residuals) for part in torch.split(ranks, _TESTS.block, dim=1)])


def _marginal(ranks: Tensor, residuals: Tensor) -> Tensor:
    count, columns = ranks.shape
    squares = residuals.square().T
    first = torch.cos(math.pi / 2 * (ranks + 1))
    before, wave = torch.ones_like(first), first
    best = ranks.new_zeros((residuals.shape[1], columns))
    for _ in range(_TESTS.waves):
        centred = wave - wave.mean(0)
        scores = (residuals.T @ centred) / (squares @ centred.square()).clamp(min=_TINY).sqrt()
        best = torch.maximum(best, scores.abs())
        # cos((k + 1) t) = 2 cos(t) cos(k t) - cos((k - 1) t)
        before, wave = wave, 2 * first * wave - before
    variance = residuals.square().mean(0).clamp(min=_TINY)
    for groups in (_TESTS.coarse, min(_TESTS.fine, count // _TESTS.rows_per_group)):
        if groups < 2:
            continue
        # Groups of all columns are numbered one after another.
        group = ((ranks + 1) / 2 * groups).long().clamp(max=groups - 1) + groups * torch.arange(columns)
        sizes = torch.bincount(group.flatten(), minlength=groups * columns).view(columns, groups)
        for number, residual in enumerate(residuals.unbind(-1)):
            repeated = residual[:, None].expand_as(group).reshape(-1)
            sums = ranks.new_zeros(groups * columns).index_add_(0, group.flatten(), repeated).view(columns, groups)
            between = (sums.square() / sizes.clamp(min=1)).sum(1) / variance[number]
            scores = _normal_of_chi_squared(between, (sizes > 0).sum(1) - 1)
            best[number] = torch.maximum(best[number], scores)
    return best.T


def _normal_of_chi_squared(values: Tensor, freedom: Tensor) -> Tensor:
    """Standard scores of chi-squared numbers, by Wilson and Hilferty; those without a degree of freedom are 0."""
    spread = 2 / (9 * freedom.clamp(min=1))
    scores = ((values / freedom.clamp(min=1)).pow(1 / 3) - (1 - spread)) / spread.sqrt()
    return torch.where(freedom > 0, scores, 0.0)


def pair_scores(ranks: Tensor, residual: Tensor, deadline: Deadline) -> Tensor:
    """The largest standard score ``[n, n]`` of the dependence of ``residual [N]`` on functions of two columns.

    Only pairs ``i < j`` have scores, the others 0. Sums over rows of ``r p(x_i) q(x_j)`` for many pairs are one product
    of matrices. Blocks of columns that the deadline leaves out have score 0.
    """
    columns = ranks.shape[1]
    powers = _TESTS.powers if columns <= _TESTS.many else _TESTS.few_powers
    found = ranks.new_zeros((columns, columns))
    for first in range(0, columns, _TESTS.block):
        if deadline.passed():
            break
        sums = squares = ranks.new_zeros(())
        for rows in range(0, len(ranks), _TESTS.pair_rows):
            block = slice(rows, rows + _TESTS.pair_rows)
            right = _legendre(ranks[block, first:], powers)
            left = right[:, : powers * _TESTS.block] * residual[block, None]
            sums = sums + left.T @ right
            squares = squares + left.square().T @ right.square()
        scores = (sums / squares.clamp(min=_TINY).sqrt()).abs().view(-1, powers, columns - first, powers)
        found[first : first + _TESTS.block, first:] = scores.amax((1, 3))
    return found.triu(1)


def _legendre(ranks: Tensor, powers: int) -> Tensor:
    """Legendre polynomials of degree 1 to ``powers``, columns of ``[N, n * powers]``; means are nearly 0."""
    values = [ranks, (3 * ranks.square() - 1) / 2, (5 * ranks.pow(3) - 3 * ranks) / 2][:powers]
    return torch.stack(values, -1).flatten(1)
