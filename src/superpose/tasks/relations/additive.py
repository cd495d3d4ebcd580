"""Relations that are a sum: functions of single columns whose sum hardly varies.

The KAN paper looks for such relations with a network that has one inner node, ``f = exp(-g(x)^2 / 2)`` with
``g = g_1(x_1) + ... + g_n(x_n)``, trained to 1 on the table's rows and to 0 on rows whose columns were permuted
independently. Where it succeeds ``g`` is nearly 0 on real rows and is spread out on permuted ones. On permuted rows
the columns are independent, so there the variance of ``g`` is the sum of the variances of its parts. The ``g`` that
tells the two apart best, by the ratio of its two variances, is therefore the eigenvector of the smallest eigenvalue
of the covariance matrix of the splines' basis functions, each column's own made uncorrelated with variance 1:
the smallest additive principal component (D. Donnell, A. Buja, W. Stuetzle, 1994). Nothing is trained, no start can
fail, and every small set of columns can be tried.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from superpose.spline import grid, reference
from superpose.tasks.relations.columns import Columns

Group = tuple[int, ...]

_DEGREE = 3
# Knots between evenly spaced (0) and quantiles (1): long tails keep a few intervals, not all of them.
_BLEND = 0.7
_MOST_INTERVALS, _ROWS_FOR_AN_INTERVAL = 10, 25
# A combination of basis functions with less than this share of the largest variance is a constant.
_LEAST_VARIANCE = 1e-8
# Eigenvalues this small are rounding and the splines' own error; they are all as good as zero.
_ROUNDING = 1e-8
# A function that is correlated so much with its column counts as rising or falling.
_ONE_WAY = 0.5
# Shares left unexplained below this are all the same.
_ZERO = 1e-10
# Parts of less than this share of a sum's variance are none.
_LEAST_PART = 1e-3
# A power of a column counts as a part of an exact relation if this share of it is one.
_NEAR = 0.1
_HELD_OUT = 0.3
# A column whose largest value is so many times its least stands on a logarithmic axis.
_LONG_TAIL = 50.0
# Rows that are looked at, fewer for very many columns: 160 MB of function values.
_MOST_ROWS, _MOST_NUMBERS = 20_000, 20_000_000
# Larger sets than this say little to a person.
_MOST_COLUMNS = 8
# Sets of one size are tried one by one if there are at most so many: a second or two for sets of four.
_MOST_SETS = 6_000
_BLOCK = 512
# A column belongs to a relation if without it more is left unexplained, by this factor.
ADDS = 0.8
# What is left of an exact relation is the error of the splines: a column must lower that by far more.
FINE, ADDS_TO_FINE = 1e-3, 0.01


def adds(left: float, without: float) -> bool:
    """Whether the unexplained share with a column is so far below that without it that it belongs.

    >>> adds(0.1, 0.3), adds(0.29, 0.3), adds(0.5e-5, 1e-5)
    (True, False, False)
    """
    return left < without * (ADDS if without > FINE else ADDS_TO_FINE)


@dataclass(frozen=True)
class Sum:
    """Functions of single columns whose sum hardly varies.

    Attributes:
        columns: numbers of the columns, ascending.
        unexplained: share of the variance of the best explained column's function that the others leave, on rows
            held out.
        target: that column.
        alone: a column whose function rises while those of all others fall, or the other way round, as a product
            among its factors does and a sum among its terms; None if there is no such column, or more than one.
        bend: how far the functions are from straight lines, 0 for a linear relation.
        parts: each column's share of the sum of the functions' variances.
    """

    columns: Group
    unexplained: float
    target: int
    alone: int | None
    bend: float
    parts: tuple[float, ...]


class Additive:
    """The columns' spline functions on some of the rows, and their covariances."""

    def __init__(self, columns: Columns, seed: int, *, permuted: bool = False) -> None:
        generator = torch.Generator().manual_seed(seed)
        most = max(1000, min(_MOST_ROWS, _MOST_NUMBERS // (len(columns) * (_MOST_INTERVALS + _DEGREE))))
        rows = columns.sample(most, seed)
        order = torch.randperm(len(rows), generator=generator)
        held_out = order[: max(8, round(_HELD_OUT * len(rows)))]
        train = order[len(held_out) :]
        values = columns.values[rows]
        if permuted:
            shuffled = [column[torch.randperm(len(rows), generator=generator)] for column in values.T]
            values = torch.stack(shuffled, -1)
        intervals = max(1, min(_MOST_INTERVALS, len(train) // _ROWS_FOR_AN_INTERVAL))
        self.logarithms = _long_tailed(values)
        places = self._places_on_axes(values)
        low, high = places.amin(0), places.amax(0)
        self.center, self.scale = low / 2 + high / 2, high / 2 - low / 2
        scaled = (places - self.center) / self.scale
        self.knots = grid.extended_knots(grid.adapted_breakpoints(scaled, intervals, blend=_BLEND), _DEGREE)
        basis = reference.dense_basis(self.knots, _DEGREE, "none", scaled)
        self.means = basis[train].mean(0)
        self.maps = [self._uncorrelated(basis[train, j] - self.means[j]) for j in range(len(columns))]
        plain = (values - values.mean(0)) / values.std(0)
        powers = (plain, plain.square())
        self.powers = [
            [self._correlations(power[train, j], basis[train, j], j) for j in range(len(columns))] for power in powers
        ]
        functions = [(basis[:, j] - self.means[j]) @ self.maps[j] for j in range(len(columns))]
        sizes = torch.tensor([0, *(f.shape[1] for f in functions)])
        self.offsets = sizes.cumsum(0).tolist()
        joined = torch.cat(functions, 1)
        self.inside = joined[train].T @ joined[train] / len(train)
        outside = joined[held_out] - joined[held_out].mean(0)
        self.outside = outside.T @ outside / len(held_out)

    def _uncorrelated(self, centred: Tensor) -> Tensor:
        """The map ``[rows, functions]`` from basis functions to uncorrelated ones of variance 1."""
        variances, directions = torch.linalg.eigh(centred.T @ centred / len(centred))
        kept = variances > _LEAST_VARIANCE * variances.max()
        made: Tensor = directions[:, kept] / variances[kept].sqrt()
        return made

    def _correlations(self, x: Tensor, basis: Tensor, j: int) -> Tensor:
        """Correlations of a column's functions with the column itself, or a power of it."""
        centred = (x - x.mean()) / x.std(correction=0).clamp_min(torch.finfo(x.dtype).tiny)
        return ((basis - self.means[j]) @ self.maps[j]).T @ centred / len(x)

    def evaluate(self, groups: Sequence[Group]) -> list[Sum]:
        """The best sum over each of these sets of columns."""
        found: dict[Group, Sum] = {}
        by_size: dict[int, list[Group]] = {}
        for group in groups:
            by_size.setdefault(sum(self._size(j) for j in group), []).append(group)
        for same in by_size.values():
            for start in range(0, len(same), _BLOCK):
                found |= self._block(same[start : start + _BLOCK])
        return [found[group] for group in groups]

    def _places_on_axes(self, values: Tensor) -> Tensor:
        """Where rows ``[B, n]`` lie on the axes of the splines: the values, or the logarithms of their sizes."""
        return torch.where(self.logarithms, values.abs().clamp_min(torch.finfo(values.dtype).tiny).log(), values)

    def _size(self, j: int) -> int:
        return int(self.offsets[j + 1] - self.offsets[j])

    def _ends(self, group: Group) -> list[tuple[int, int]]:
        """Where the functions of each column of a group begin and end among those of the group."""
        sizes = itertools.accumulate((self._size(j) for j in group), initial=0)
        return list(itertools.pairwise(sizes))

    def _places(self, group: Group) -> Tensor:
        return torch.cat([torch.arange(self.offsets[j], self.offsets[j + 1]) for j in group])

    def _block(self, groups: Sequence[Group]) -> dict[Group, Sum]:
        places = torch.stack([self._places(group) for group in groups])
        inside = self.inside[places[:, :, None], places[:, None, :]]
        vectors = self._simplest(inside, groups)
        outside = self.outside[places[:, :, None], places[:, None, :]]
        return {
            group: self._sum(group, vector, matrix)
            for group, vector, matrix in zip(groups, vectors, outside, strict=True)
        }

    def _simplest(self, inside: Tensor, groups: Sequence[Group]) -> Tensor:
        """The eigenvectors ``[B, d]`` of the smallest eigenvalues; of many as small, the nearest to a power.

        An exact relation of two columns holds for any function of both sides: then many sums are equally good.
        """
        values, vectors = torch.linalg.eigh(inside)
        as_small = (values <= 2 * values[:, :1] + _ROUNDING).to(vectors.dtype)
        chosen = vectors[:, :, 0].clone()
        for row, group in enumerate(groups):
            if as_small[row].sum() < 2:
                continue
            for power in self.powers:
                wanted = torch.zeros(len(vectors[row]), len(group), dtype=vectors.dtype)
                for place, (start, end) in enumerate(self._ends(group)):
                    wanted[start:end, place] = power[group[place]]
                near = (vectors[row].T @ wanted) * as_small[row][:, None]
                best = int(near.square().sum(0).argmax())
                if near[:, best].square().sum() > _NEAR:
                    chosen[row] = torch.nn.functional.normalize(vectors[row] @ near[:, best], dim=0)
                    break
        simplest: Tensor = chosen
        return simplest

    def _sum(self, group: Group, vector: Tensor, outside: Tensor) -> Sum:
        parts = list(torch.split(vector, [self._size(j) for j in group]))
        split = torch.zeros(len(group), len(vector), dtype=vector.dtype)
        for row, (start, end) in enumerate(self._ends(group)):
            split[row, start:end] = vector[start:end]
        covariance = split @ outside @ split.T
        variances = covariance.diagonal()
        # The part of one column against the sum of the others': what a straight line leaves of it.
        cross = covariance.sum(1) - variances
        others = covariance.sum() - 2 * cross - variances
        left = 1 - cross.square() / (variances * others).clamp_min(torch.finfo(vector.dtype).tiny)
        # A part that hardly varies is explained by nothing and explains nothing, whatever rounding says.
        weights = variances / variances.sum()
        real = (weights > _LEAST_PART) & (weights < 1 - _LEAST_PART) & (cross < 0)
        left = torch.where(real, left.clamp(_ZERO, 1.0), 1.0)
        best = int(left.argmin())
        slopes = [
            float(self.powers[0][j] @ part / part.norm().clamp_min(torch.finfo(part.dtype).tiny))
            for j, part in zip(group, parts, strict=True)
        ]
        bend = sum(w * (1 - slope**2) for w, slope in zip(weights.tolist(), slopes, strict=True))
        return Sum(group, float(left[best]), group[best], _alone(group, slopes), bend, tuple(weights.tolist()))

    def functions(self, values: Tensor, j: int) -> Tensor:
        """A column's spline functions ``[B, functions]`` at rows ``values [B, n]`` of all columns."""
        scaled = ((self._places_on_axes(values) - self.center) / self.scale)[:, j : j + 1]
        basis = reference.dense_basis(self.knots[j : j + 1], _DEGREE, "none", scaled)[:, 0]
        made: Tensor = (basis - self.means[j]) @ self.maps[j]
        return made

    def curves(self, group: Group, values: Tensor) -> Tensor:
        """The functions of the best sum at rows ``values [B, n]`` of all columns, ``[B, len(group)]``."""
        places = self._places(group)
        vector = self._simplest(self.inside[places][:, places][None], [group])[0]
        parts = torch.split(vector, [self._size(j) for j in group])
        return torch.stack([self.functions(values, j) @ part for j, part in zip(group, parts, strict=True)], -1)


def _long_tailed(values: Tensor) -> Tensor:
    """Columns ``[n]`` of one sign that span many times their least size: even intervals would miss most rows."""
    sizes = values.abs().amin(0), values.abs().amax(0)
    one_sign = (values > 0).all(0) | (values < 0).all(0)
    return one_sign & (sizes[1] > _LONG_TAIL * sizes[0])


def _alone(group: Group, slopes: Sequence[float]) -> int | None:
    """The one column whose function goes the other way than all others that go one way at all.

    >>> _alone((0, 1, 4), [0.9, -0.1, -0.95]), _alone((0, 1, 4), [0.9, 0.8, -0.95])
    (None, 4)
    """
    signs = {j: slope > 0 for j, slope in zip(group, slopes, strict=True) if abs(slope) > _ONE_WAY}
    for rises in (True, False):
        same = [j for j, sign in signs.items() if sign == rises]
        if len(same) == 1 and len(signs) > 2:
            return same[0]
    return None


def candidates(additive: Additive, columns: Sequence[int], least: float, *, deadline: float = math.inf) -> list[Sum]:
    """Every set of columns with a sum that explains more than ``least``, none with a column that adds nothing.

    Sets of two, three and four are tried one by one as long as there are not too many; larger ones, or those of many
    columns, are found by taking away from all columns the one that the sum needs least, again and again.
    """
    left: dict[Group, Sum] = {}
    for size in (2, 3, 4):
        if (
            size > len(columns)
            or time.monotonic() > deadline
            or (size > 2 and math.comb(len(columns), size) > _MOST_SETS)
        ):
            break
        groups = list(itertools.combinations(sorted(columns), size))
        left |= {one.columns: one for one in additive.evaluate(groups)}
    for one in _reduced(additive, sorted(columns), deadline):
        left.setdefault(one.columns, one)
        new = [subset for subset in _without_one(one.columns) if subset not in left]
        left |= {subset.columns: subset for subset in additive.evaluate(new)}
    found = []
    for one in left.values():
        known = [left[subset].unexplained for subset in _all_subsets(one.columns) if subset in left]
        if 1 - one.unexplained > least and all(adds(one.unexplained, without) for without in (1.0, *known)):
            found.append(one)
    # A part of an exact law that is nearly one by itself is no law of its own.
    return [
        one
        for one in found
        if not any(
            set(one.columns) < set(other.columns) and other.unexplained < ADDS_TO_FINE * one.unexplained
            for other in found
        )
    ]


def _without_one(group: Group) -> list[Group]:
    return [group[:k] + group[k + 1 :] for k in range(len(group))] if len(group) > 2 else []


def _all_subsets(group: Group) -> Iterator[Group]:
    for size in range(2, len(group)):
        yield from itertools.combinations(group, size)


def _reduced(additive: Additive, columns: Sequence[int], deadline: float) -> Iterator[Sum]:
    """Sets from which nothing can be taken away, found from all columns downwards, one after another."""
    active = list(columns)
    while len(active) > 4 and time.monotonic() < deadline:
        (best,) = additive.evaluate([tuple(active)])
        if best.unexplained > 0.5:
            return
        taken = len(active) // 2
        while len(best.columns) > 2 and time.monotonic() < deadline:
            taken = max(1, min(taken, len(best.columns) - 2))
            order = sorted(range(len(best.columns)), key=lambda place: best.parts[place])
            (fewer,) = additive.evaluate([tuple(best.columns[place] for place in sorted(order[taken:]))])
            if not adds(best.unexplained, fewer.unexplained):
                best = fewer
            elif taken == 1:
                break
            else:
                taken //= 2
        if len(best.columns) <= _MOST_COLUMNS:
            yield best
        active.remove(best.target)
