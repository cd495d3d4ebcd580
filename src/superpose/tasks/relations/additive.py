"""Additive relations: functions of single columns whose sum hardly varies.

The KAN paper looks for such relations with a network that has one inner node, ``f = exp(-g(x)^2 / 2)`` with
``g = g_1(x_1) + ... + g_n(x_n)``, trained to 1 on the table's rows and to 0 on rows whose columns were permuted
independently. Where training succeeds, ``g`` is nearly 0 on real rows and varies on permuted rows. On permuted rows
the columns are independent, so there the variance of ``g`` is the sum of the variances of its parts. The ``g`` with
the smallest ratio of the two variances is therefore the eigenvector of the smallest eigenvalue
of the covariance matrix of the splines' basis functions, each column's own made uncorrelated with variance 1:
the smallest additive principal component (D. Donnell, A. Buja, W. Stuetzle, Annals of Statistics 22, 1994). Nothing is
trained, so no random start can fail, and all small sets of columns can be tried.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from superpose.deadline import Deadline
from superpose.spline import grid, reference
from superpose.tasks.relations.columns import Columns

Group = tuple[int, ...]


@dataclass(frozen=True)
class SplineRules:
    """How the columns' spline functions are made.

    The numbers were set on the knot table and on tables with known relations (``tests/tasks/relations``). Other values
    were not compared.

    Attributes:
        degree: cubic splines.
        blend: knots between evenly spaced (0) and quantiles (1); tails keep a few intervals, not all of them.
        max_intervals, rows_per_interval: intervals of a column; fewer for short tables.
        held_out: share of the rows on which sums are judged.
        min_variance: a combination of basis functions with a smaller share of the largest variance is a constant.
        log_ratio: a column of one sign whose largest size is more than so many times its smallest is taken as its
            logarithm; otherwise even intervals would miss most of its rows.
        max_rows, max_values: limits of the sample; 2e7 function values take 160 MB.
    """

    degree: int = 3
    blend: float = 0.7
    max_intervals: int = 10
    rows_per_interval: int = 25
    held_out: float = 0.3
    min_variance: float = 1e-8
    log_ratio: float = 50.0
    max_rows: int = 20_000
    max_values: int = 20_000_000


@dataclass(frozen=True)
class SumRules:
    """How sums are chosen and read.

    Set on the same tables as :class:`SplineRules`; other values were not compared.

    Attributes:
        rounding: smaller eigenvalues are equally good: they are rounding and the splines' own error.
        zero: unexplained shares below this are equal.
        monotone: a function with a larger correlation with its column counts as rising or falling.
        min_part: a column whose function has a smaller share of the sum's variance is no part of it.
        power: a power of a column is taken for a part of an exact relation if this share of it can be one.
        max_columns: larger relations are hard to read.
        max_sets: sets of one size are all tried up to this number; for sets of four that takes a second or two.
        block: sets in one batched eigenvalue problem.
    """

    rounding: float = 1e-8
    zero: float = 1e-10
    monotone: float = 0.5
    min_part: float = 1e-3
    power: float = 0.1
    max_columns: int = 8
    max_sets: int = 6_000
    block: int = 512


@dataclass(frozen=True)
class NeededRules:
    """When a column belongs to a relation.

    Attributes:
        ratio: it has to lower the unexplained share by this factor: by a fifth. Chosen on the knot table.
        exact: unexplained shares below this are errors of the splines or the network.
        exact_ratio: for these it has to lower them by this factor: any column lowers an approximation error a little.
    """

    ratio: float = 0.8
    exact: float = 1e-3
    exact_ratio: float = 0.01


_SPLINES, _SUMS, NEEDED = SplineRules(), SumRules(), NeededRules()


def is_needed(unexplained: float, without: float) -> bool:
    """Whether a column belongs to a relation, by the unexplained share with it and without it.

    >>> is_needed(0.1, 0.3), is_needed(0.29, 0.3), is_needed(0.5e-5, 1e-5)
    (True, False, False)
    """
    return unexplained < without * (NEEDED.ratio if without > NEEDED.exact else NEEDED.exact_ratio)


@dataclass(frozen=True)
class AdditiveRelation:
    """Functions of single columns whose sum hardly varies.

    Attributes:
        columns: numbers of the columns, ascending.
        unexplained: share of the variance of the target's function that the other functions leave unexplained, on
            held-out rows.
        target: the column whose function is explained best.
        opposed: the only column whose function falls where all others rise, or rises where they fall, as that of a sum
            or a product of the other columns does. None if there is no such column.
        nonlinearity: 0 for a linear relation, up to 1.
        variance_shares: each column's share of the sum of the functions' variances.
    """

    columns: Group
    unexplained: float
    target: int
    opposed: int | None
    nonlinearity: float
    variance_shares: tuple[float, ...]


class SplineCovariance:
    """Spline functions of the columns, uncorrelated within each column, and their covariances on a sample of rows.

    Args:
        columns: the table.
        seed: of the sample and of its division into training and held-out rows.
        permuted: permute each column independently, which shows what chance alone gives.
    """

    def __init__(self, columns: Columns, seed: int, *, permuted: bool = False) -> None:
        generator = torch.Generator().manual_seed(seed)
        functions_per_column = _SPLINES.max_intervals + _SPLINES.degree
        most = max(1000, min(_SPLINES.max_rows, _SPLINES.max_values // (len(columns) * functions_per_column)))
        rows = columns.sample(most, seed)
        order = torch.randperm(len(rows), generator=generator)
        held_out = order[: max(8, round(_SPLINES.held_out * len(rows)))]
        train = order[len(held_out) :]
        values = columns.values[rows]
        if permuted:
            shuffled = [column[torch.randperm(len(rows), generator=generator)] for column in values.T]
            values = torch.stack(shuffled, -1)
        intervals = max(1, min(_SPLINES.max_intervals, len(train) // _SPLINES.rows_per_interval))
        self.logarithms = _long_tailed(values)
        places = self._on_axes(values)
        low, high = places.amin(0), places.amax(0)
        self.center, self.scale = low / 2 + high / 2, high / 2 - low / 2
        scaled = (places - self.center) / self.scale
        self.knots = grid.extended_knots(
            grid.adapted_breakpoints(scaled, intervals, blend=_SPLINES.blend), _SPLINES.degree
        )
        basis = reference.dense_basis(self.knots, _SPLINES.degree, "none", scaled)
        self.means = basis[train].mean(0)
        self.maps = [self._uncorrelated(basis[train, j] - self.means[j]) for j in range(len(columns))]
        plain = (values - values.mean(0)) / values.std(0)
        powers = (plain, plain.square())
        self.power_correlations = [
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
        kept = variances > _SPLINES.min_variance * variances.max()
        made: Tensor = directions[:, kept] / variances[kept].sqrt()
        return made

    def _correlations(self, x: Tensor, basis: Tensor, j: int) -> Tensor:
        """Correlations of a column's functions with the column itself, or a power of it."""
        centred = (x - x.mean()) / x.std(correction=0).clamp_min(torch.finfo(x.dtype).tiny)
        return ((basis - self.means[j]) @ self.maps[j]).T @ centred / len(x)

    def evaluate(self, groups: Sequence[Group]) -> list[AdditiveRelation]:
        """The sum of least variance over each of these sets of columns."""
        found: dict[Group, AdditiveRelation] = {}
        by_size: dict[int, list[Group]] = {}
        for group in groups:
            by_size.setdefault(sum(self._size(j) for j in group), []).append(group)
        for same in by_size.values():
            for start in range(0, len(same), _SUMS.block):
                found |= self._block(same[start : start + _SUMS.block])
        return [found[group] for group in groups]

    def _on_axes(self, values: Tensor) -> Tensor:
        """Rows ``[B, n]`` on the axes of the splines: the values, or the logarithms of their sizes."""
        return torch.where(self.logarithms, values.abs().clamp_min(torch.finfo(values.dtype).tiny).log(), values)

    def _size(self, j: int) -> int:
        return int(self.offsets[j + 1] - self.offsets[j])

    def _slices(self, group: Group) -> list[tuple[int, int]]:
        """Start and end of each column's functions among all functions of a group."""
        sizes = itertools.accumulate((self._size(j) for j in group), initial=0)
        return list(itertools.pairwise(sizes))

    def _places(self, group: Group) -> Tensor:
        return torch.cat([torch.arange(self.offsets[j], self.offsets[j + 1]) for j in group])

    def _block(self, groups: Sequence[Group]) -> dict[Group, AdditiveRelation]:
        places = torch.stack([self._places(group) for group in groups])
        inside = self.inside[places[:, :, None], places[:, None, :]]
        vectors = self._simplest(inside, groups)
        outside = self.outside[places[:, :, None], places[:, None, :]]
        return {
            group: self._sum(group, vector, matrix)
            for group, vector, matrix in zip(groups, vectors, outside, strict=True)
        }

    def _simplest(self, inside: Tensor, groups: Sequence[Group]) -> Tensor:
        """The eigenvectors ``[B, d]`` of the smallest eigenvalues; of equally small ones the nearest to a power.

        An exact relation of two columns holds for any function of both sides, so that many sums are equally good. The
        sum with the column itself or its square can be read.
        """
        values, vectors = torch.linalg.eigh(inside)
        as_small = (values <= 2 * values[:, :1] + _SUMS.rounding).to(vectors.dtype)
        chosen = vectors[:, :, 0].clone()
        for row, group in enumerate(groups):
            if as_small[row].sum() < 2:
                continue
            for power in self.power_correlations:
                wanted = torch.zeros(len(vectors[row]), len(group), dtype=vectors.dtype)
                for place, (start, end) in enumerate(self._slices(group)):
                    wanted[start:end, place] = power[group[place]]
                near = (vectors[row].T @ wanted) * as_small[row][:, None]
                best = int(near.square().sum(0).argmax())
                if near[:, best].square().sum() > _SUMS.power:
                    chosen[row] = torch.nn.functional.normalize(vectors[row] @ near[:, best], dim=0)
                    break
        simplest: Tensor = chosen
        return simplest

    def _sum(self, group: Group, vector: Tensor, outside: Tensor) -> AdditiveRelation:
        parts = list(torch.split(vector, [self._size(j) for j in group]))
        split = torch.zeros(len(group), len(vector), dtype=vector.dtype)
        for row, (start, end) in enumerate(self._slices(group)):
            split[row, start:end] = vector[start:end]
        covariance = split @ outside @ split.T
        variances = covariance.diagonal()
        # What linear regression of one column's function on the sum of the others leaves unexplained.
        cross = covariance.sum(1) - variances
        others = covariance.sum() - 2 * cross - variances
        unexplained = 1 - cross.square() / (variances * others).clamp_min(torch.finfo(vector.dtype).tiny)
        # A function that hardly varies explains nothing; its quotients are rounding errors.
        weights = variances / variances.sum()
        real = (weights > _SUMS.min_part) & (weights < 1 - _SUMS.min_part) & (cross < 0)
        unexplained = torch.where(real, unexplained.clamp(_SUMS.zero, 1.0), 1.0)
        best = int(unexplained.argmin())
        correlations = [
            float(self.power_correlations[0][j] @ part / part.norm().clamp_min(torch.finfo(part.dtype).tiny))
            for j, part in zip(group, parts, strict=True)
        ]
        nonlinearity = sum(w * (1 - r**2) for w, r in zip(weights.tolist(), correlations, strict=True))
        return AdditiveRelation(
            columns=group,
            unexplained=float(unexplained[best]),
            target=group[best],
            opposed=_opposed(group, correlations),
            nonlinearity=nonlinearity,
            variance_shares=tuple(weights.tolist()),
        )

    def functions(self, values: Tensor, j: int) -> Tensor:
        """A column's spline functions ``[B, functions]`` at rows ``values [B, n]`` of all columns."""
        scaled = ((self._on_axes(values) - self.center) / self.scale)[:, j : j + 1]
        basis = reference.dense_basis(self.knots[j : j + 1], _SPLINES.degree, "none", scaled)[:, 0]
        made: Tensor = (basis - self.means[j]) @ self.maps[j]
        return made

    def curves(self, group: Group, values: Tensor) -> Tensor:
        """The functions of the sum of least variance at rows ``values [B, n]`` of all columns, ``[B, len(group)]``."""
        places = self._places(group)
        vector = self._simplest(self.inside[places][:, places][None], [group])[0]
        parts = torch.split(vector, [self._size(j) for j in group])
        return torch.stack([self.functions(values, j) @ part for j, part in zip(group, parts, strict=True)], -1)


def _long_tailed(values: Tensor) -> Tensor:
    """Which columns ``[n]`` have one sign and sizes of several orders of magnitude."""
    sizes = values.abs().amin(0), values.abs().amax(0)
    one_sign = (values > 0).all(0) | (values < 0).all(0)
    return one_sign & (sizes[1] > _SPLINES.log_ratio * sizes[0])


def _opposed(group: Group, correlations: Sequence[float]) -> int | None:
    """The only column whose function falls where all other monotone functions rise, or rises where they fall.

    >>> _opposed((0, 1, 4), [0.9, -0.1, -0.95]), _opposed((0, 1, 4), [0.9, 0.8, -0.95])
    (None, 4)
    """
    signs = {j: r > 0 for j, r in zip(group, correlations, strict=True) if abs(r) > _SUMS.monotone}
    for rises in (True, False):
        same = [j for j, sign in signs.items() if sign == rises]
        if len(same) == 1 and len(signs) > 2:
            return same[0]
    return None


def additive_relations(
    covariance: SplineCovariance, columns: Sequence[int], min_explained: float, *, deadline: Deadline | None = None
) -> list[AdditiveRelation]:
    """The sets of columns whose sum explains more than ``min_explained``, and in which every column is needed.

    Sets of two, three and four columns are all tried unless there are too many. Larger sets, and sets among many
    columns, are found by backward elimination from all columns.
    """
    deadline = deadline or Deadline()
    best: dict[Group, AdditiveRelation] = {}
    for size in (2, 3, 4):
        if size > len(columns) or deadline.passed() or (size > 2 and math.comb(len(columns), size) > _SUMS.max_sets):
            break
        groups = list(itertools.combinations(sorted(columns), size))
        best |= {one.columns: one for one in covariance.evaluate(groups)}
    for one in _reduced(covariance, sorted(columns), deadline):
        best.setdefault(one.columns, one)
        new = [subset for subset in _without_one(one.columns) if subset not in best]
        best |= {subset.columns: subset for subset in covariance.evaluate(new)}
    found = []
    for one in best.values():
        known = [best[subset].unexplained for subset in _all_subsets(one.columns) if subset in best]
        if 1 - one.unexplained > min_explained and all(
            is_needed(one.unexplained, without) for without in (1.0, *known)
        ):
            found.append(one)
    # A subset of an exact relation may hold approximately; it is not reported as a relation of its own.
    return [
        one
        for one in found
        if not any(
            set(one.columns) < set(other.columns) and other.unexplained < NEEDED.exact_ratio * one.unexplained
            for other in found
        )
    ]


def _without_one(group: Group) -> list[Group]:
    return [group[:k] + group[k + 1 :] for k in range(len(group))] if len(group) > 2 else []


def _all_subsets(group: Group) -> Iterator[Group]:
    for size in range(2, len(group)):
        yield from itertools.combinations(group, size)


def _reduced(covariance: SplineCovariance, columns: Sequence[int], deadline: Deadline) -> Iterator[AdditiveRelation]:
    """Sets in which every column is needed, by backward elimination; each next one without the target of the last."""
    active = list(columns)
    while len(active) > 4 and not deadline.passed():
        (best,) = covariance.evaluate([tuple(active)])
        if best.unexplained > 0.5:
            return
        removed = len(active) // 2
        while len(best.columns) > 2 and not deadline.passed():
            removed = max(1, min(removed, len(best.columns) - 2))
            order = sorted(range(len(best.columns)), key=lambda place: best.variance_shares[place])
            (fewer,) = covariance.evaluate([tuple(best.columns[place] for place in sorted(order[removed:]))])
            if not is_needed(best.unexplained, fewer.unexplained):
                best = fewer
            elif removed == 1:
                break
            else:
                removed //= 2
        if len(best.columns) <= _SUMS.max_columns:
            yield best
        active.remove(best.target)
