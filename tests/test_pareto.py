"""The Pareto front: what no smaller item surpasses."""

from __future__ import annotations

import itertools
import math

from hypothesis import given
from hypothesis import strategies as st

from superpose.pareto import pareto_front

Pair = tuple[int, float]


def front(pairs: list[Pair], *, keep: Pair | None = None, margin: float = 1.0) -> list[Pair]:
    return pareto_front(pairs, size=lambda p: p[0], error=lambda p: p[1], keep=keep, margin=margin)


@given(st.lists(st.tuples(st.integers(0, 20), st.floats(0, 1))))
def test_the_front_falls_and_nothing_surpasses_it(pairs: list[Pair]) -> None:
    found = front(pairs)
    assert found == sorted(found) and len({size for size, _ in found}) == len(found)
    assert all(left[1] > right[1] for left, right in itertools.pairwise(found))
    for size, error in pairs:
        assert any(s <= size and e <= error for s, e in found)


def test_one_item_stays_whatever_surpasses_it_and_small_gains_do_not_count() -> None:
    pairs = [(1, 0.5), (2, 0.6), (3, 0.495), (4, 0.1)]
    assert front(pairs) == [(1, 0.5), (3, 0.495), (4, 0.1)]
    assert front(pairs, keep=pairs[1]) == pairs
    assert front(pairs, margin=0.98) == [(1, 0.5), (4, 0.1)]
    assert front([]) == []


def test_an_error_that_is_not_finite_surpasses_nothing() -> None:
    assert front([(1, math.inf), (2, 0.5), (3, math.nan)]) == [(1, math.inf), (2, 0.5)]
