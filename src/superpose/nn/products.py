"""Product nodes: the sums of a layer that a node multiplies, its values, derivatives and bounds.

The sums of a layer are in the order of its nodes: one for each sum node, then for each product as many as it has
factors. (Z. Liu et al., *KAN 2.0: Kolmogorov-Arnold Networks Meet Science*, 2024, section 3.1.)
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

# A width as a user writes it: the number of sum nodes, or a pair of that number and the arities of the products.
Width = int | Sequence[Any]


def read_width(width: Any) -> tuple[int, tuple[int, ...]]:
    """The number of nodes of a width, and the arities of its product nodes.

    >>> read_width(5), read_width([3, [2, 4]]), read_width([0, 2])
    ((5, ()), (5, (2, 4)), (2, (2, 2)))

    Raises:
        OptionError: if it is not a width.
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


def read_widths(widths: Sequence[Width]) -> list[tuple[int, tuple[int, ...]]]:
    """The number of nodes of each layer, inputs first, and the arities of its product nodes.

    >>> read_widths([2, [3, [2, 4]], 1])
    [(2, ()), (5, (2, 4)), (1, ())]

    Raises:
        OptionError: for anything but two or more widths of at least 1 node, the first without products.
    """
    listed = list(widths) if hasattr(widths, "__iter__") else [None]
    if any(isinstance(w, str) or not (isinstance(w, Sequence) or hasattr(w, "__index__")) for w in listed):
        raise OptionError(f"widths must be a list of whole numbers such as [2, 5, 1], not {widths!r}")
    nodes = [read_width(width) for width in listed]
    if len(nodes) < 2 or min(count for count, _ in nodes) < 1:
        raise OptionError(
            f"widths must list at least an input and an output layer, each of at least 1 node, not {widths!r}"
        )
    if nodes[0][1]:
        raise OptionError(f"the first width counts the inputs, which are no products, and is {listed[0]!r}")
    return nodes


def fixed(width: Width) -> Width:
    """A width in a form that can be hashed and compared: a number, or ``(sums, arities)``.

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
    """Arities as a layer stores them: without leading ones, because a product of one factor is a sum node.

    Raises:
        OptionError: if an arity is not a whole number of at least 1.

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


def bounds(low: Tensor, high: Tensor, plain: int, products: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Bounds ``[n]`` of every node's values, given bounds ``low [O]`` and ``high [O]`` of the sums.

    The extremes of a product of two factors in intervals are among the products of the intervals' endpoints.
    """
    lower, upper, at = list(low[:plain]), list(high[:plain]), plain
    for arity in products:
        least, greatest = low[at], high[at]
        for factor in range(at + 1, at + arity):
            corners = torch.stack([one * other for one in (least, greatest) for other in (low[factor], high[factor])])
            least, greatest = corners.amin(), corners.amax()
        lower.append(least)
        upper.append(greatest)
        at += arity
    return torch.stack(lower), torch.stack(upper)


def derivatives(sums: Tensor, plain: int, products: Sequence[int]) -> Tensor:
    """Derivative ``[..., S]`` of each sum's node by the sum: the product of the node's other factors, 1 for sum nodes.

    Computed from products of the factors before and after each one, without a division, so that a factor may be zero.
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


class NodeStructure:
    """The nodes of a layer: sum nodes, then products. A base of :class:`~superpose.nn.KANLayer`.

    Attributes:
        out_features: number of nodes.
        products: arities of the last nodes, which are products.
        owners: the node of each sum.
    """

    out_features: int
    products: tuple[int, ...]
    owners: tuple[int, ...]

    def set_nodes(self, out_features: int, products: Sequence[int] = ()) -> None:
        """Set the number of nodes and which are products. Coefficients and mask must have as many sums.

        Raises:
            OptionError: if there are more products than nodes, or an arity is not a whole number of at least 1.
        """
        if len(products) > out_features:
            raise OptionError(
                f"a layer of {out_features} nodes cannot have {len(products)} products; out_features counts both"
            )
        self.out_features, self.products = out_features, checked(products)
        # The node of each sum. Stored, because Levenberg-Marquardt reads it at every step.
        self.owners = tuple(owners(self.plain_count, self.products))

    @property
    def plain_count(self) -> int:
        """Number of sum nodes; they come before the products."""
        return self.out_features - len(self.products)

    @property
    def sum_count(self) -> int:
        """Number of sums ``O``: the sum nodes and the factors of all products."""
        return len(self.owners)

    @property
    def width(self) -> int | list[Any]:
        """The nodes as a width of :class:`~superpose.KAN`: a number, or ``[sums, [arities of the products]]``."""
        return [self.plain_count, list(self.products)] if self.products else self.out_features

    def sums_of(self, node: int) -> list[int]:
        """Indices of a node's sums: one for a sum node, the factors for a product."""
        return [o for o, owner in enumerate(self.owners) if owner == node]

    def nodes(self, sums: Tensor) -> Tensor:
        """The nodes' values ``[..., out_features]`` from those of the sums ``[..., O]``."""
        return values(sums, self.plain_count, self.products) if self.products else sums

    def node_derivatives(self, sums: Tensor) -> Tensor:
        """Derivative ``[..., O]`` of each sum's node by the sum: one, or the product of the other factors."""
        return derivatives(sums, self.plain_count, self.products)
