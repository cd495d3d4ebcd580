"""The search for subsets, whatever the criterion: sets grow in a beam and shrink again."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import pytest
import torch

from superpose.formulas.subsets import backward_elimination, forward_selection, score_test

COSTS = {
    frozenset(members): cost
    for members, cost in [((0,), 5), ((1,), 4), ((2,), 6), ((0, 2), 1), ((0, 1), 3), ((1, 2), 3.5), ((0, 1, 2), 2)]
}
Subset = frozenset[int]


def grown(beam: Sequence[Subset]) -> dict[Subset, float]:
    return {one | {k}: COSTS[one | {k}] for one in beam for k in range(3) if k not in one}


def smaller(one: Subset) -> Iterator[Subset]:
    return (one - {k} for k in one if len(one) > 1)


@pytest.mark.parametrize(("beam", "pair"), [(1, {0, 1}), (2, {0, 2})])
def test_a_wider_beam_finds_pairs_whose_members_are_not_the_best_by_themselves(beam: int, pair: set[int]) -> None:
    levels = list(forward_selection([Subset()], grown, beam=beam, most=3))
    assert [len(level[0]) for level in levels] == [1, 2, 3]
    assert levels[0][0] == {1} and levels[1][0] == pair and all(len(level) <= beam for level in levels)


def test_selection_ends_with_its_patience_and_without_candidates() -> None:
    rising = {1: 1.0, 2: 1.5, 3: 4.0, 4: 0.0}
    levels = forward_selection([0], lambda beam: {beam[0] + 1: rising[beam[0] + 1]}, beam=1, most=9, patience=2.0)
    assert list(levels) == [[1], [2], [3]]
    assert list(forward_selection([Subset({0, 1, 2})], grown, beam=2, most=3)) == []


def test_elimination_takes_back_what_later_members_made_idle() -> None:
    assert backward_elimination(Subset({0, 1, 2}), smaller, lambda one: COSTS[one]) == {0, 2}
    assert backward_elimination(Subset({1}), smaller, lambda one: COSTS[one]) == {1}


def test_the_score_test_of_least_squares_is_the_fall_of_the_sum_of_squares() -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(200, 5, generator=generator, dtype=torch.float64)
    target = torch.randn(200, generator=generator, dtype=torch.float64)

    def squares(columns: Sequence[int]) -> tuple[float, torch.Tensor]:
        matrix = torch.cat([torch.ones_like(target)[:, None], values[:, list(columns)]], 1)
        residual = target - matrix @ torch.linalg.lstsq(matrix, target[:, None]).solution[:, 0]
        return float(residual.square().sum()), residual

    before, residual = squares((0, 3))
    gains = score_test(values, (0, 3), -residual, torch.ones_like(residual), 1e-9)
    for k in (1, 2, 4):
        assert float(gains[k]) == pytest.approx(before - squares((0, 3, k))[0], rel=1e-9)
    for j, k in itertools.combinations(range(5), 2):
        assert squares((j, k))[0] <= squares((j,))[0]
