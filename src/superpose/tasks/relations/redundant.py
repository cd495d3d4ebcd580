"""Which relations follow from others, by counting alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def implied(columns: Iterable[int], relations: Sequence[Iterable[int]]) -> bool:
    """Whether a relation among these columns adds nothing to those known.

    A relation takes one freedom away: it fixes one of its columns once the others are known. The columns of a set are
    free of one another as long as every known relation can fix a column outside the set, each its own. If that is no
    longer possible, what is known already ties the set.

    >>> implied({0, 2}, [{0, 1}, {1, 2}])
    True
    >>> implied({0, 3}, [{0, 1}, {1, 2}])
    False
    """
    inside = set(columns)
    outside = [sorted(set(relation) - inside) for relation in relations]
    fixed_by: dict[int, int] = {}
    return not all(_fix(n, outside, fixed_by, set()) for n in range(len(outside)))


def _fix(n: int, outside: Sequence[Sequence[int]], fixed_by: dict[int, int], tried: set[int]) -> bool:
    """Give relation ``n`` a column of its own, moving others if need be (augmenting paths)."""
    for column in outside[n]:
        if column not in tried:
            tried.add(column)
            if column not in fixed_by or _fix(fixed_by[column], outside, fixed_by, tried):
                fixed_by[column] = n
                return True
    return False
