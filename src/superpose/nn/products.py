"""Product nodes: which sums of a layer a node multiplies, and what follows from it.

A layer's sums stand in the order of its nodes: first one for each sum node, then for each product as many neighbours as
it has factors. (Z. Liu et al., *KAN 2.0: Kolmogorov-Arnold Networks Meet Science*, 2024, section 3.1.)
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from superpose.errors import OptionError

# A width as a person writes it: sum nodes, or sum nodes and the arities of the products.
Width = int | Sequence[Any]


def read_width(width: Any) -> tuple[int, tuple[int, ...]]:
    """The number of nodes, and the arities of those that are products.

    >>> read_width(5), read_width([3, [2, 4]]), read_width([0, 2])
    ((5, ()), (5, (2, 4)), (2, (2, 2)))

    Raises:
        OptionError: for what is no width.
    """
    try:
        if not isinstance(width, Sequence):
            return _whole(width), ()
        sums, products = width
        arities = [2] * _whole(products) if not isinstance(products, Sequence) else [_whole(m) for m in products]
        plain = _whole(sums)
    except (TypeError, ValueError):
        raise OptionError(
            f"a width must be a whole number of sum nodes, or a pair [sums, [arities of the products]] such as "
            f"[3, [2, 4]], not {width!r}"
        ) from None
    if plain < 0:
        raise OptionError(f"a width cannot have {plain} sum nodes; give 0 or more in {width!r}")
    return plain + len(arities), checked(arities)


def fixed(width: Width) -> Width:
    """A width as it can be kept and compared: a number, or ``(sums, arities)``.

    >>> fixed([3, 2]), fixed([3, []]), fixed(5)
    ((3, (2, 2)), 3, 5)
    """
    count, products = read_width(width)
    return (count - len(products), products) if products else count


def _whole(value: Any) -> int:
    if isinstance(value, bool):
        raise TypeError(value)
    return operator.index(value)


def checked(arities: Sequence[int]) -> tuple[int, ...]:
    """Arities as a layer keeps them: a product of one factor is a sum, and stands as one ahead of all products.

    Raises:
        OptionError: if an arity is no whole number of at least 1.

    >>> checked([1, 2, 1])
    (2, 1)
    """
    try:
        made = [_whole(arity) for arity in arities]
    except TypeError:
        made = [0]
    if min(made, default=1) < 1:
        raise OptionError(f"a product node multiplies a whole number of sums, 2 or more, not {list(arities)!r}")
    return tuple(itertools.dropwhile(lambda arity: arity == 1, made))


def owners(plain: int, products: Sequence[int]) -> list[int]:
    """The node of each sum.

    >>> owners(2, (3, 2))
    [0, 1, 2, 2, 2, 3, 3]
    """
    arities = [1] * plain + list(products)
    return [node for node, arity in enumerate(arities) for _ in range(arity)]


def _groups(plain: int, products: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """``first sum, number of products, arity`` of neighbouring products of the same arity."""
    start = plain
    for arity, same in itertools.groupby(products):
        count = len(list(same))
        yield start, count, arity
        start += count * arity


def _factors(sums: Tensor, start: int, count: int, arity: int) -> tuple[Tensor, ...]:
    """The first factors ``[..., count]`` of such a group, the second ones, and so on."""
    some = sums[..., start : start + count * arity]
    return some.reshape(*sums.shape[:-1], count, arity).unbind(-1)


def values(sums: Tensor, plain: int, products: Sequence[int]) -> Tensor:
    """The nodes' values ``[..., O]`` from those of the sums ``[..., S]``."""
    parts = [sums[..., :plain]] if plain else []
    for start, count, arity in _groups(plain, products):
        factors = _factors(sums, start, count, arity)
        parts.append(functools.reduce(torch.mul, factors))
    return torch.cat(parts, -1)


def ends(low: Tensor, high: Tensor, plain: int, products: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The least and the largest value of every node ``[n]`` whose sums lie between ``low [O]`` and ``high [O]``."""
    least, most, at = list(low[:plain]), list(high[:plain]), plain
    for arity in products:
        smallest, largest = low[at], high[at]
        for factor in range(at + 1, at + arity):
            corners = torch.stack([end * other for end in (smallest, largest) for other in (low[factor], high[factor])])
            smallest, largest = corners.amin(), corners.amax()
        least.append(smallest)
        most.append(largest)
        at += arity
    return torch.stack(least), torch.stack(most)


def others(sums: Tensor, plain: int, products: Sequence[int]) -> Tensor:
    """For each sum the product of the other factors of its node, ``[..., S]``: one for sum nodes.

    No division: exact where a factor is zero.
    """
    parts = [torch.ones_like(sums[..., :plain])] if plain else []
    for start, count, arity in _groups(plain, products):
        factors = _factors(sums, start, count, arity)
        one = torch.ones_like(factors[0])
        before = list(itertools.accumulate(factors[:-1], torch.mul, initial=one))
        after = list(itertools.accumulate(factors[:0:-1], torch.mul, initial=one))[::-1]
        beside = [left * right for left, right in zip(before, after, strict=True)]
        parts.append(torch.stack(beside, -1).flatten(-2))
    return torch.cat(parts, -1)
