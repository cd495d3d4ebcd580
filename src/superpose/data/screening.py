"""Which columns of a wide table say something about the target: iterated screening, before anything costly.

Each round tests how a residual depends on every column and every pair of columns (:mod:`superpose.data.dependence`),
takes the columns with the clearest evidence, and fits a sum of curves and of products of pairs to them. What that
leaves on rows that the fit has not seen is the next residual. The sizes of the residuals are tested too: they depend
on the columns of a product of three, which neither single columns nor pairs show. At last a linear model of all columns
that were left out is asked whether many of them together say what none says alone; as long as it finds something, more
of them are taken.

Source: J. Fan and J. Lv, *Sure independence screening for ultrahigh dimensional feature space*, JRSS B 70 (2008),
section 4 for the iteration on residuals.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from superpose.data.dataset import Dataset
from superpose.data.dependence import (
    TESTS_OF_COLUMN,
    TESTS_OF_PAIR,
    marginal_scores,
    mid_ranks,
    normal_scores,
    pair_scores,
)
from superpose.data.sampling import at_random
from superpose.deadline import Deadline
from superpose.messages import listed
from superpose.short_repr import brief


@dataclass(frozen=True)
class ScreeningRules:
    """When columns are screened, and which are kept.

    Attributes:
        columns: tables of at most so many keep all. A law may depend on a column by less than what a rough fit leaves,
            and searching few columns costs little.
        columns_of_many, many: the same for tables of at least ``many`` rows, which show small influences too. The
            equations of the Feynman lectures have up to nine columns.
        entries, most_rows, least_rows: numbers of the table that are looked at, in so many rows. Round numbers: some
            seconds for 400 columns.
        entries_per_second: at which a time limit is kept on a slow core. Measured on 200 and 406 columns.
        chance: columns that are kept by chance in each round, if nothing depends on any: one too many costs little, one
            that is missing much.
        pair_chance: the same for pairs, which bring two columns each.
        first: columns that the first round takes at most; each further one as many as there are.
        rounds: at most.
        pairs: products of pairs in the fit, at most.
        rows_per_term: of the fit, at least.
        terms, fit_entries: of the fit, at most; and their number times that of rows, which limits memory.
        kept_at_least: columns that are kept without any evidence.
        together: standard score at which a linear model of all other columns counts as evidence.
    """

    columns: int = 12
    columns_of_many: int = 9
    many: int = 5_000
    entries: int = 2_500_000
    most_rows: int = 20_000
    least_rows: int = 2_000
    entries_per_second: int = 400_000
    chance: float = 1.0
    pair_chance: float = 0.05
    first: int = 8
    rounds: int = 8
    pairs: int = 30
    rows_per_term: int = 5
    terms: int = 600
    fit_entries: int = 3_000_000
    kept_at_least: int = 5
    together: float = 3.0


RULES = ScreeningRules()
# Of the ridge, in units of a term's sum of squares: from almost none to as strong as the data. Round numbers.
_STRENGTHS = (1e-6, 1e-4, 1e-2, 1e-1, 1.0)
# Rows that are float64 at once. A round number.
_BLOCK = 1024


@dataclass(frozen=True)
class Screening:
    """Which columns of a table are used.

    Attributes:
        kept: columns, in the table's order.
        left_out: the others.
        evidence: for each kept column the standard score with which it was taken; infinite for those asked for.
        rows: rows that were looked at; 0 if nothing was screened.
        explained: share of the variance of the target's normal scores that a sum of curves and products of the kept
            columns explains on rows that it has not seen.
    """

    __repr__ = brief

    kept: tuple[str, ...]
    left_out: tuple[str, ...]
    evidence: dict[str, float]
    rows: int
    explained: float

    @property
    def reason(self) -> str:
        """A sentence on the choice; empty if all columns are kept."""
        if not self.left_out:
            return ""
        every = len(self.kept) + len(self.left_out)
        return (
            f"{len(self.kept)} of {every} columns are used, {listed(self.kept)}: on {self.rows} rows the others show "
            "no more than chance would, alone, in pairs or together"
        )

    @classmethod
    def of_all(cls, data: Dataset) -> Screening:
        """The choice of all columns."""
        return cls(data.feature_names, (), {}, 0, math.nan)

    def facts(self) -> dict[str, Any]:
        """The choice, ready for JSON."""
        return {
            "kept": list(self.kept),
            "left_out": list(self.left_out),
            "evidence": {name: score for name, score in self.evidence.items() if math.isfinite(score)},
            "rows": self.rows,
            "reason": self.reason,
        }

    def applied(self, data: Dataset) -> Dataset:
        """The data set with the kept columns alone, as float64."""
        return with_features(data, self.kept)


def with_features(data: Dataset, names: Collection[str]) -> Dataset:
    """A data set with some of its features, in the order of ``names``, as float64."""
    names = tuple(names)
    if names == data.feature_names and data.x.dtype == torch.float64:
        return data
    keep = [data.feature_names.index(name) for name in names]
    scale = replace(data.x_scale, center=data.x_scale.center[keep], scale=data.x_scale.scale[keep])
    return replace(data, x=data.x[:, keep].to(torch.float64), feature_names=names, x_scale=scale)


def screen(
    data: Dataset,
    targets: Tensor | None = None,
    *,
    always: Collection[str] = (),
    time_limit: float | None = None,
    seed: int = 0,
    rules: ScreeningRules = RULES,
) -> Screening:
    """Screen the columns of a data set on its training and validation rows.

    Args:
        data: the table.
        targets: ``[N, T]`` numbers that depend on the columns, such as one indicator for each class; the data set's
            targets if left out.
        always: columns that are kept whatever the rows show.
        time_limit: seconds; fewer rows are looked at, and rounds left out, to keep it.
        seed: of the rows that are drawn, and of the permutations that chance is measured by.
        rules: see :class:`ScreeningRules`.

    >>> x = torch.rand(1000, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) - 0.5
    >>> {'x5', 'x21', 'x31'} <= set(screen(Dataset.from_arrays(x, x[:, 4] + 5 * x[:, 20] * x[:, 30])).kept)
    True
    """
    names = data.feature_names
    rows = torch.cat([data.train, data.validation])
    if len(names) <= (rules.columns if len(rows) < rules.many else rules.columns_of_many):
        return Screening.of_all(data)
    deadline = Deadline(time_limit)
    entries = min(rules.entries, int(rules.entries_per_second * min(deadline.left(), 1e9)))
    most = min(max(entries // len(names), rules.least_rows), rules.most_rows)
    rows = rows[at_random(len(rows), most, seed)]
    y = (data.y if targets is None else targets)[rows]
    found = _Rounds(mid_ranks(data.x[rows]), deadline, seed, rules)
    found.scores[[names.index(name) for name in always]] = math.inf
    explained = [found.of_target(column) for column in y.unbind(-1)]
    kept = found.chosen()
    evidence = {names[i]: float(found.scores[i]) for i in kept}
    left_out = tuple(name for name in names if name not in evidence)
    return Screening(tuple(evidence), left_out, evidence, len(rows), max(explained))


class _Rounds:
    """The rounds of a screening.

    Attributes:
        scores: ``[n]``, with which each column was taken; 0 for those that were not.
        ranking: ``[n]`` the largest standard score of each column in any round.
    """

    def __init__(self, ranks: Tensor, deadline: Deadline, seed: int, rules: ScreeningRules) -> None:
        self.ranks, self.deadline, self.rules = ranks, deadline, rules
        self.generator = torch.Generator().manual_seed(seed)
        count = ranks.shape[1]
        self.scores, self.ranking = ranks.new_zeros(count), ranks.new_zeros(count)
        self.pairs: list[tuple[float, int, int]] = []
        # What chance alone reaches, in single columns and in pairs.
        self.least: tuple[float, float] | None = None

    def chosen(self) -> list[int]:
        """The columns that were taken, in order; those with the largest scores if there are too few."""
        kept = (self.scores > 0).nonzero().flatten().tolist()
        if len(kept) < self.rules.kept_at_least:
            best = self.ranking.argsort(descending=True)[: self.rules.kept_at_least].tolist()
            self.scores[best] = torch.maximum(self.scores[best], self.ranking[best])
            kept = sorted({*kept, *best})
        return kept

    def of_target(self, y: Tensor) -> float:
        """Take the columns that one target depends on; returns the share of its variance that they explain."""
        self.pairs, self.least = [], None
        goal = normal_scores(y)
        residual, explained = goal, 0.0
        # The residuals of two values say nothing more by their sizes.
        sizes = len(torch.unique(y)) > 2
        for number in range(self.rules.rounds):
            new = self._evident(residual, sizes=sizes)
            taken = self.scores > 0
            late = self.deadline.passed()
            # Without time for another round, all that are evident: what they say twice is not known.
            room = len(taken) if late else max(self.rules.first, int(taken.sum()))
            fresh = (new > 0) & ~taken
            order = torch.where(fresh, new, 0.0).argsort(descending=True)[: min(room, int(fresh.sum()))]
            if not len(order) and (number or not bool(taken.any())):
                break
            self.scores[order] = new[order]
            residual, explained = self._fitted(goal)
            if late:
                break
        self._together(goal)
        return explained

    def _evident(self, residual: Tensor, *, sizes: bool) -> Tensor:
        """Standard scores ``[n]`` of the columns that show more than chance; 0 for the others."""
        views = torch.stack([normal_scores(residual), *([normal_scores(residual.abs())] if sizes else [])], -1)
        scores = marginal_scores(self.ranks, views).amax(-1)
        self.ranking = torch.maximum(self.ranking, scores)
        pairs = pair_scores(self.ranks, views[:, 0], self.deadline)
        if self.least is None:
            order = torch.randperm(len(residual), generator=self.generator)
            alone = marginal_scores(self.ranks, views[order])
            paired = pair_scores(self.ranks, views[order, 0], self.deadline)
            self.least = (
                max(_quantile(self.rules.chance, TESTS_OF_COLUMN * alone.numel()), float(alone.amax())),
                max(_quantile(self.rules.pair_chance, TESTS_OF_PAIR * paired.numel() // 2), float(paired.amax())),
            )
        found = torch.where(scores > self.least[0], scores, 0.0)
        for i, j in (pairs > self.least[1]).nonzero().tolist():
            score = float(pairs[i, j])
            self.pairs.append((score, i, j))
            found[[i, j]] = found[[i, j]].clamp(min=score)
        return found

    def _fitted(self, goal: Tensor) -> tuple[Tensor, float]:
        """What a sum of curves and products leaves of a target on unseen rows, and the share that it explains."""
        columns = (self.scores > 0).nonzero().flatten()
        return _left_out_residuals(self._terms(columns), goal)

    def _terms(self, columns: Tensor) -> Tensor:
        """Curves of the columns, and products of the clearest pairs of them: ``[N, F]``, the clearest first."""
        columns = columns[self.scores[columns].argsort(descending=True)]
        rules, rows = self.rules, len(self.ranks)
        most = min(rows // rules.rows_per_term, rules.terms, rules.fit_entries // rows)
        ranks = self.ranks[:, columns]
        waves = max(1, min(8, most // (2 * max(1, len(columns)))))
        steps = math.pi / 2 * torch.arange(1, waves + 1)
        parts = [ranks[:, :0]]
        parts += [torch.cos(steps * (column[:, None] + 1)) for column in ranks.unbind(-1)]
        known = set(columns.tolist())
        used = dict.fromkeys((i, j) for _, i, j in sorted(self.pairs, reverse=True) if {i, j} <= known)
        for i, j in list(used)[: rules.pairs]:
            powers = torch.arange(1, 4)
            left, right = (self.ranks[:, k, None] ** powers for k in (i, j))
            parts.append((left[:, :, None] * right[:, None, :]).flatten(1))
        return torch.cat(parts, -1)[:, :most]

    def _together(self, goal: Tensor) -> None:
        """Take more columns as long as a linear model of those that are left out explains more than the others do.

        Without time to find out which, all of them.
        """
        while True:
            taken, others = ((self.scores > 0) == wanted for wanted in (True, False))
            if not bool(others.any()):
                return
            known = self._terms(taken.nonzero().flatten())
            more = self.ranks[:, others]
            left, _ = _left_out_residuals(torch.cat([known, more], -1), goal)
            # Columns of other rows: a model of so many terms may fit better whatever they are.
            order = torch.randperm(len(more), generator=self.generator)
            rivals = [known, torch.cat([known, more[order]], -1)]
            score = min(_clearly_less(left, _left_out_residuals(one, goal)[0]) for one in rivals)
            if score < self.rules.together:
                return
            places = others.nonzero().flatten()
            best = places[self.ranking[places].argsort(descending=True)]
            if not self.deadline.passed():
                best = best[: max(self.rules.first, int(taken.sum()))]
            self.scores[best] = self.ranking[best].clamp(min=score)


def _clearly_less(some: Tensor, others: Tensor) -> float:
    """The standard score with which the first residuals are smaller on average."""
    gain = others.square() - some.square()
    return float(gain.mean() / (gain.std() / len(gain) ** 0.5).clamp(min=1e-30))


def _left_out_residuals(terms: Tensor, goal: Tensor) -> tuple[Tensor, float]:
    """What ridge regression on all other rows leaves on each row, and the share of the variance that it explains.

    Of several strengths the one that leaves least is taken. The residual of a row that is left out is the ordinary one
    divided by 1 minus its leverage. Rows are made float64 block by block: all at once take more memory than the table.

    Args:
        terms: ``[N, F]``.
        goal: ``[N]``.
    """
    terms = terms - terms.mean(0)
    terms /= terms.square().mean(0).sqrt().clamp(min=1e-9)
    y = goal.double()
    y = y - y.mean()
    whole, count = float(y.square().mean()), len(y)
    wide = terms.shape[1] > count
    parts = [slice(start, start + _BLOCK) for start in range(0, count, _BLOCK)]
    if wide:
        gram = terms.double() @ terms.double().T
    else:
        gram = y.new_zeros(terms.shape[1], terms.shape[1])
        for part in parts:
            block = terms[part].double()
            gram.addmm_(block.T, block)
    values, vectors = torch.linalg.eigh(gram)
    values = values.clamp(min=0)
    strengths = count * y.new_tensor(_STRENGTHS)[:, None]
    inverse = (values if wide else 1) / (values + strengths)

    def turned(part: slice) -> Tensor:
        rows: Tensor = vectors[part] if wide else terms[part].double() @ vectors
        return rows

    pull = vectors.T @ (y if wide else terms.T @ y.float()).double()
    left = y.new_empty(count, len(strengths))
    for part in parts:
        rows = turned(part)
        leverage = rows.square() @ inverse.T + 1 / count
        left[part] = (y[part, None] - rows @ (inverse * pull).T) / (1 - leverage).clamp(min=1e-3)
    errors = left.square().mean(0)
    best = int(errors.argmin())
    if not float(errors[best]) < whole:
        return y.to(goal.dtype), 0.0
    return left[:, best].to(goal.dtype), 1 - float(errors[best]) / whole


def _quantile(chance: float, tests: int) -> float:
    """The standard score that ``chance`` of so many standard normal numbers exceed in size on average."""
    return float(torch.special.ndtri(torch.tensor(1 - chance / (2 * max(1, tests)), dtype=torch.float64)))
