"""The Pareto front of things that have a size and an error."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TypeVar

Item = TypeVar("Item")


def pareto_front(
    items: Iterable[Item],
    *,
    size: Callable[[Item], float],
    error: Callable[[Item], float],
    keep: Item | None = None,
    margin: float = 1.0,
) -> list[Item]:
    """The items that no smaller or equally small item surpasses, from small to accurate.

    Args:
        items: in any order; of items with equal size and error the first is taken.
        size: what an item costs: nodes of a formula, parameters of a network.
        error: what an item leaves. NaN surpasses nothing.
        keep: an item that stays on the front even if another one surpasses it.
        margin: an item must have less than this share of the least error of all smaller items on the front.

    >>> pareto_front([(3, 0.5), (9, 0.01), (4, 0.6), (20, 0.0099)], size=lambda p: p[0], error=lambda p: p[1])
    [(3, 0.5), (9, 0.01), (20, 0.0099)]
    >>> pareto_front([(3, 0.5), (9, 0.01), (20, 0.0099)], size=lambda p: p[0], error=lambda p: p[1], margin=0.98)
    [(3, 0.5), (9, 0.01)]
    """
    front: list[Item] = []
    least = math.inf
    for item in sorted(items, key=lambda one: (size(one), error(one))):
        if item is keep or not front or error(item) < margin * least:
            front.append(item)
            least = min(least, error(item))
    return front
