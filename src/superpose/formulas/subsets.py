"""Best subsets: which few of many terms explain a target.

:func:`forward_selection` and :func:`backward_elimination` are the search, whatever the criterion is: they add or remove
one member at a time and keep a beam of the best sets. :func:`score_test` proposes members where the criterion is a
likelihood.

:func:`best_subsets` is the search for least squares. There the Gram matrix of the columns is made once, so that a set
costs some ten operations whatever the number of rows. That allows to compare all pairs of columns, and all sets of
three and four of the first columns, before the beam goes on: terms of laws are so alike on a table that none of three
need be among the best two, so that greedy choice fails.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from superpose.deadline import charge

Set = TypeVar("Set")
State = TypeVar("State")

# A column of which less than this share of its square is left beside others counts as a combination of them: the Gram
# matrix has lost 9 of its 16 digits there.
_DEPENDENT = 1e-9
# Sets of three are compared for some first columns at once, with about as many numbers: 2 MB, which a cache holds.
_BLOCK = 1 << 18
# Seconds on one core of a server: of a search, of each set of three, and of each first column of sets of four.
_SEARCH, _THREE, _FOUR = 2e-2, 5e-9, 2e-3


def forward_selection(
    start: Sequence[Set],
    grown: Callable[[Sequence[Set]], Mapping[Set, float]],
    *,
    beam: int,
    most: int,
    patience: float = math.inf,
) -> Iterator[list[Set]]:
    """Sets with one member more at a time, the best of each size, best first.

    Args:
        start: sets to begin with.
        grown: the sets with one member more than those of a beam, with their costs; none ends the search.
        beam: how many sets of a size go on.
        most: how many members are added.
        patience: the search ends when the best set of a size costs more than the best of all by more than this.

    >>> def grown(beam):
    ...     return {(*one, k): abs(10 - sum(one) - k) for one in beam for k in (1, 3, 5) if k not in one}
    >>> list(forward_selection([()], grown, beam=2, most=3, patience=1))
    [[(5,), (3,)], [(5, 3), (3, 5)], [(5, 3, 1), (3, 5, 1)]]
    """
    level, least = list(start), math.inf
    for _ in range(most):
        costs = grown(level)
        if not costs:
            return
        level = sorted(costs, key=lambda one: costs[one])[:beam]
        yield level
        if costs[level[0]] > least + patience:
            return
        least = min(least, costs[level[0]])


def backward_elimination(
    state: State, smaller: Callable[[State], Iterable[State]], cost: Callable[[State], float]
) -> State:
    """What is left when members are removed one at a time, the idlest first, as long as that lowers the cost.

    Later members may make earlier ones idle, which forward selection cannot take back.

    >>> backward_elimination((5, 3, 1), lambda s: [tuple(m for m in s if m != k) for k in s], lambda s: abs(8 - sum(s)))
    (5, 3)
    """
    while True:
        best = min(smaller(state), key=cost, default=state)
        if not cost(best) < cost(state):
            return state
        state = best


def score_test(values: Tensor, chosen: Sequence[int], gradient: Tensor, curvature: Tensor, floor: float) -> Tensor:
    """``[T]``: by how much each column would raise twice the log-likelihood beside the chosen ones (C. R. Rao, 1948).

    Args:
        values: ``[S, T]`` columns.
        chosen: columns that are in the model already, beside a constant.
        gradient, curvature: ``[S]`` first and second derivatives of the losses by the model's output.
        floor: what is left of a column beside the chosen ones counts at least this share of the mean curvature.
    """
    root = curvature.sqrt()[:, None]
    basis = torch.cat([torch.ones_like(root), values[:, list(chosen)]], 1) * root
    q, _ = torch.linalg.qr(basis)
    rest = values * root
    rest = rest - q @ (q.T @ rest)
    size = rest.square().sum(0).clamp(min=floor * len(root) * float(curvature.mean()))
    gain: Tensor = (values.T @ gradient).square() / size
    return gain


@dataclass(frozen=True)
class Subset:
    """A set of columns.

    Attributes:
        columns: their places.
        coefficients: of the least-squares fit, as many.
        error: root mean squared residual in units of the target's root mean square about its mean, as weighted.
    """

    columns: tuple[int, ...]
    coefficients: Tensor
    error: float


def best_subsets(
    matrix: Tensor,
    target: Tensor,
    spread: float,
    *,
    # These numbers bound the time (docs/lab/laws.md). Round numbers; nothing was measured.
    most: int = 6,
    beam: int = 200,  # as above
    keep: int = 4,  # a round number
    triples: int = 300,  # 4.5e6 sets: see above
    fours: int = 40,  # 9e4 sets: see above
) -> list[Subset]:
    """The best sets of 1 to ``most`` columns of ``matrix [N, D]`` for ``target [N]``, ``keep`` of each size.

    Args:
        spread: root mean square that errors are measured by.
        beam: sets of a size that are extended.
        triples, fours: number of first columns of which all sets of three, or four, are compared.
    """
    norms = matrix.norm(dim=0)
    usable = torch.nonzero(torch.isfinite(norms) & (norms > 0))[:, 0]
    unit = matrix[:, usable] / norms[usable]
    size = float(target.norm())
    if not size > 0 or len(usable) < 1:
        return []
    goal = target / size
    gram, pull = unit.T @ unit, unit.T @ goal
    count = len(usable)
    charge(_SEARCH + _THREE * min(triples, count) ** 3 + _FOUR * min(fours, count))
    sets: list[Tensor] = [pull.square().topk(min(keep, count)).indices[:, None]]
    if count > 1:
        explained, possible = _pairs_explained(gram, pull)
        found = torch.where(possible, explained, -1.0).flatten().topk(min(beam, count * (count - 1) // 2)).indices
        sets.append(torch.stack([found // count, found % count], -1))
        if most >= 3 and count > 2:  # sets of three and, below, of four
            sets.append(_triples(gram[:triples, :triples], pull[:triples], beam, sets[-1], gram, pull))
        if most >= 4 and count > 3 and len(sets) == 3 and len(sets[-1]):  # only if those of three were compared
            sets.append(_fours(gram[:fours, :fours], pull[:fours], beam, sets[-1], gram, pull))
    if len(sets) > 1 and len(sets[-1]):
        largest = min(most, count) - len(sets)
        longer = forward_selection(
            [tuple(one) for one in sets[-1].tolist()],
            lambda level: _extended(gram, pull, torch.tensor(level), beam),
            beam=beam,
            most=largest,
        )
        sets += [torch.tensor(level) for level in longer]
    results = []
    for group in sets:
        for chosen in group[:keep]:
            subset = _solved(unit, goal, chosen, size, spread, usable, norms)
            if subset is not None:
                results.append(subset)
    return results


def _pairs_explained(gram: Tensor, pull: Tensor) -> tuple[Tensor, Tensor]:
    """``[..., D, D]`` the share of the target that each pair explains, and which are pairs: above the diagonal, and of
    columns of which neither is a multiple of the other."""
    left = gram.square().neg_().add_(1)
    possible = (left > _DEPENDENT) & torch.ones(left.shape[-2:], dtype=torch.bool).triu_(1)
    rest = torch.sub(pull[..., None, :], gram * pull[..., :, None]).square_().div_(left.clamp_(min=_DEPENDENT))
    return rest.add_(pull[..., :, None].square()), possible


def _triples(part: Tensor, part_pull: Tensor, beam: int, pairs: Tensor, gram: Tensor, pull: Tensor) -> Tensor:
    """The best sets of three: all of the first columns, and the best pairs with any third."""
    count = len(part_pull)
    values, places = [part.new_zeros(0)], [pairs.new_zeros((0, 3))]
    step = max(1, _BLOCK // count**2)
    for start in range(0, count - 2, step):
        first = torch.arange(start, min(start + step, count - 2))
        later = torch.arange(start + 1, count)
        # What is left of the later columns when a first one is taken out of them.
        cross = part[first, start + 1 :]
        left = 1 - cross.square()
        rest = part_pull[start + 1 :] - cross * part_pull[first, None]
        inner = part[start + 1 :, start + 1 :] - cross[:, :, None] * cross[:, None, :]
        scale = left.clamp(min=_DEPENDENT).rsqrt()
        correlation, share = inner.mul_(scale[:, :, None]).mul_(scale[:, None, :]), rest * scale
        pairs_of_rest, possible = _pairs_explained(correlation, share)
        explained = pairs_of_rest.add_(part_pull[first, None, None].square())
        usable = (left > _DEPENDENT) & (later > first[:, None])
        possible &= usable[:, :, None] & usable[:, None, :]
        flat = torch.where(possible, explained, -1.0).flatten(1)
        # The best of each first column, of which ``beam`` are kept in all. A round number.
        best = flat.topk(min(20, flat.shape[1]))
        three = (
            first[:, None].expand_as(best.indices),
            later[best.indices // len(later)],
            later[best.indices % len(later)],
        )
        real = best.values >= 0
        values.append(best.values[real])
        places.append(torch.stack(three, -1)[real])
    total = torch.cat(values)
    found = torch.cat(places)[total.topk(min(beam, len(total))).indices]
    return _together(found, pairs, beam, gram, pull)


def _fours(part: Tensor, part_pull: Tensor, beam: int, triples: Tensor, gram: Tensor, pull: Tensor) -> Tensor:
    """The best sets of four: all of the first columns, and the best sets of three with any fourth."""
    count = len(part_pull)
    values, places = [part.new_zeros(0)], [triples.new_zeros((0, 4))]
    for i in range(count - 3):  # three later columns are left
        inner, share, explained, usable = _without(part[None, i:, i:], part_pull[None, i:], torch.tensor([0]))
        # Columns after the first one from here on, counted from it.
        inner, share, usable, width = inner[:, 1:, 1:], share[:, 1:], usable[:, 1:], count - i - 1
        rest = torch.arange(width - 2)
        inner, share, more, others = _without(inner.expand(len(rest), -1, -1), share.expand(len(rest), -1), rest)
        pairs, possible = _pairs_explained(inner, share)
        pairs.add_((explained + more)[:, None, None])
        # The last two come after the second, so that each set is met once.
        later = (torch.arange(width) > rest[:, None]) & others & usable
        possible &= later[:, :, None] & later[:, None, :]
        flat = torch.where(possible, pairs, -1.0).flatten()
        # As for sets of three. A round number.
        best = flat.topk(min(40, len(flat)))
        second, place = best.indices // width**2, best.indices % width**2
        real = best.values >= 0
        values.append(best.values[real])
        four = torch.stack([torch.full_like(place, -1), rest[second], place // width, place % width], -1)
        places.append(four[real] + i + 1)
    total = torch.cat(values)
    found = torch.cat(places)[total.topk(min(beam, len(total))).indices]
    return _together(found, triples, beam, gram, pull)


def _without(gram: Tensor, pull: Tensor, columns: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gram matrices ``[B, D, D]`` and pulls ``[B, D]`` of what is left when a column is taken out of all others.

    Returns:
        Both, in units in which what is left has length 1; the share explained by the column, ``[B]``; and which
        columns have anything left, ``[B, D]``.
    """
    batch = torch.arange(len(columns))
    cross, share = gram[batch, columns], pull[batch, columns]
    left = 1 - cross.square()
    usable = left > _DEPENDENT
    scale = left.clamp(min=_DEPENDENT).rsqrt()
    inner = torch.sub(gram, cross[:, :, None] * cross[:, None, :]).mul_(scale[:, :, None]).mul_(scale[:, None, :])
    return inner, (pull - cross * share[:, None]) * scale, share.square(), usable


def _together(found: Tensor, smaller: Tensor, beam: int, gram: Tensor, pull: Tensor) -> Tensor:
    """The best of the sets found and of the smaller sets with any further column."""
    every = [tuple(sorted(row)) for row in found.tolist()] + list(_extended(gram, pull, smaller, beam))
    if not every:
        return smaller.new_zeros((0, smaller.shape[1] + 1))
    sets = torch.tensor(list(dict.fromkeys(every)))
    # 1e-13: 450 roundings, so that dependent columns do not make the matrices singular.
    inner = gram[sets[:, :, None], sets[:, None, :]] + 1e-13 * torch.eye(sets.shape[1], dtype=gram.dtype)
    explained = (torch.linalg.solve(inner, pull[sets][..., None])[..., 0] * pull[sets]).sum(-1)
    # Rounding may exceed 1, but a share further above it is an error of a singular matrix.
    explained = torch.where(torch.isfinite(explained) & (explained < 1 + 1e-9), explained, -1.0)
    return sets[explained.topk(min(beam, len(sets))).indices]


def _extended(gram: Tensor, pull: Tensor, sets: Tensor, beam: int) -> dict[tuple[int, ...], float]:
    """The best sets of one column more than ``sets [B, k]``, with minus the share of the target that each explains."""
    inner = gram[sets[:, :, None], sets[:, None, :]]
    eye = 1e-13 * torch.eye(inner.shape[-1], dtype=gram.dtype)  # 450 roundings, as in ``_together``
    cross = gram[sets]
    solved = torch.linalg.solve(inner + eye, torch.cat([cross, pull[sets][..., None]], -1))
    coefficients = solved[..., -1]
    explained = (coefficients * pull[sets]).sum(-1)
    left = 1 - (cross * solved[..., :-1]).sum(1)
    rest = pull - (coefficients[:, None, :] @ cross)[:, 0]
    gain = torch.where(left > _DEPENDENT, rest.square() / left.clamp(min=_DEPENDENT), -1.0)
    gain.scatter_(1, sets, -1.0)
    total = torch.where(gain >= 0, explained[:, None] + gain, -1.0)
    count = gram.shape[0]
    # A set is met once for each of its subsets in the beam: four times as many before they are joined. A round number.
    best = total.flatten().topk(min(4 * beam, total.numel()))
    kept: dict[tuple[int, ...], float] = {}
    listed = sets.tolist()
    for value, place in zip(best.values.tolist(), best.indices.tolist(), strict=True):
        if value < 0:
            break
        made = tuple(sorted([*listed[place // count], place % count]))
        kept.setdefault(made, -value)
        if len(kept) == beam:
            break
    return kept


def _solved(
    unit: Tensor, goal: Tensor, chosen: Tensor, size: float, spread: float, usable: Tensor, norms: Tensor
) -> Subset | None:
    columns = unit[:, chosen]
    # As many constants as rows fit anything.
    if columns.shape[1] >= columns.shape[0]:
        return None
    q, r = torch.linalg.qr(columns)
    if float(r.diagonal().abs().min()) < 1e-10:  # beyond this, coefficients have 6 digits at most
        return None
    solution = torch.linalg.solve_triangular(r, (q.T @ goal)[:, None], upper=True)[:, 0]
    residual = goal - columns @ solution
    # Once more on what is left: exact data are fitted to the last digit.
    more = torch.linalg.solve_triangular(r, (q.T @ residual)[:, None], upper=True)[:, 0]
    solution, residual = solution + more, residual - columns @ more
    error = float(residual.square().mean().sqrt()) * size / spread
    places = usable[chosen]
    return Subset(tuple(places.tolist()), solution * size / norms[places], error)


__all__ = ["Subset", "backward_elimination", "best_subsets", "forward_selection", "score_test"]
