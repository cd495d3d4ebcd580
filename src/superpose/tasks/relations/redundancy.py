"""Which relations follow from others. Only the sets of columns are compared, not the functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def is_redundant(columns: Iterable[int], relations: Sequence[Iterable[int]]) -> bool:
    """Whether a relation among these columns follows from the relations that are known.

    A relation removes one degree of freedom: it determines one of its columns from the others. The columns of a set
    stay independent as long as each known relation can determine a column outside the set, a different one for each. If
    there is no such matching, the known relations already restrict the set.

    >>> is_redundant({0, 2}, [{0, 1}, {1, 2}])
    True
    >>> is_redundant({0, 3}, [{0, 1}, {1, 2}])
    False
    """
    inside = set(columns)
    outside = [sorted(set(relation) - inside) for relation in relations]
    determined_by: dict[int, int] = {}
    return not all(_match(n, outside, determined_by, set()) for n in range(len(outside)))


def _match(n: int, outside: Sequence[Sequence[int]], determined_by: dict[int, int], visited: set[int]) -> bool:
    """Give relation ``n`` a column of its own; others move to other columns (augmenting paths: H. Kuhn, 1955)."""
    for column in outside[n]:
        if column not in visited:
            visited.add(column)
            if column not in determined_by or _match(determined_by[column], outside, determined_by, visited):
                determined_by[column] = n
                return True
    return False
