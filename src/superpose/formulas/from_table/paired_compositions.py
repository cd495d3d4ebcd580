"""A target as the product, quotient, sum or difference of two of many stored expressions, met in the middle.

Of ``P`` expressions there are ``P^2`` pairs, but for a product ``c e f`` the second factor follows from the first: a
linear functional of the logarithms that does not see ``c`` adds up over the factors, and is looked up in a sorted list.
For sums the same holds of the values. So all pairs cost ``P log P``. The target is also divided by small expressions
first, and one is taken away: ``y = g (1 + c e f)``.

The method is that of E. Horowitz and S. Sahni (J. ACM 21, 277, 1974) for subset sums.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from superpose.deadline import Deadline


@dataclass(frozen=True)
class _Pairing:
    """Sizes and tolerances. Round numbers, chosen on a dozen made laws.

    Attributes:
        stored: first expressions, whose pairs are tried for the target itself and for its quotients by columns,
        fewer: and for its quotients by others.
        divisors: first expressions that the target is divided by.
        columns: these are columns, or functions of one.
        taken: numbers that are taken away from a quotient before it is a product.
        close: functionals of logarithms that differ by less are the same; of values, as a share of their scale.
        same: a pair may leave this share of the target's spread: rounding.
        larger: terms of a sum may be this much larger than the sum.
        looked_at: neighbours in the sorted list.
        kept: pairs of one kind.
    """

    stored: int = 200_000
    fewer: int = 60_000
    divisors: int = 40
    columns: int = 8
    taken: tuple[float, ...] = (0.0, 1.0, -1.0)
    close: float = 1e-10
    same: float = 1e-9
    larger: float = 1e3
    looked_at: int = 2
    kept: int = 2


PAIRING = _Pairing()


class Pair(NamedTuple):
    """``target = divisor * (taken + constant * first (*|/) second)``, or ``divisor * (constant + first (+|-) second)``.

    Attributes:
        sign: one of ``*/+-``.
        first, second: places of expressions.
        constant: of the product, or beside the sum.
        taken: a number beside the product.
        divisor: the place of an expression; None for one.
    """

    sign: str
    first: int
    second: int
    constant: float
    taken: float
    divisor: int | None


def pairs(values: Tensor, target: Tensor, deadline: Deadline) -> Iterator[Pair]:
    """Pairs of expressions that leave rounding, those of the target itself first.

    Args:
        values: ``[P, S]`` of expressions on ``S`` rows.
        target: ``[S]``.
        deadline: after which no further quotient is tried.
    """
    count = len(target)
    weights = torch.randn(count, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    # What is the same in every row does not count.
    weights = (weights - weights.mean()) / count
    all_of_it = _Sorted.of(values[: PAIRING.stored], weights)
    fewer = all_of_it if len(values) <= PAIRING.fewer else _Sorted.of(values[: PAIRING.fewer], weights)
    for divisor in (None, *range(min(PAIRING.divisors, len(values)))):
        if deadline.passed():
            return
        quotient = target if divisor is None else target / values[divisor]
        if not bool(torch.isfinite(quotient).all()) or float(quotient.std()) <= PAIRING.same * float(
            quotient.abs().max()
        ):
            continue
        among = all_of_it if divisor is None or divisor < PAIRING.columns else fewer
        for taken in PAIRING.taken:
            for sign in "*/":
                yield from among.products(quotient - taken, sign, taken, divisor)
        for sign in "+-":
            yield from among.sums(quotient, sign, divisor)


@dataclass(frozen=True)
class _Sorted:
    """Expressions by a functional of their values, and of the logarithms of these.

    Attributes:
        values: ``[P, S]``.
        weights: ``[S]`` of the functional; their sum is 0.
        logs, by_log: ``[p]`` functionals in order, and places of the expressions.
        sizes, by_size: the same of the values themselves.
    """

    values: Tensor
    weights: Tensor
    logs: Tensor
    by_log: Tensor
    sizes: Tensor
    by_size: Tensor

    @classmethod
    def of(cls, values: Tensor, weights: Tensor) -> _Sorted:
        logs, sizes = values.abs().log() @ weights, values @ weights
        return cls(values, weights, *_ordered(logs), *_ordered(sizes))

    def products(self, target: Tensor, sign: str, taken: float, divisor: int | None) -> Iterator[Pair]:
        """``target = constant * first (*|/) second``."""
        wanted = float(target.abs().log() @ self.weights)
        if not math.isfinite(wanted):
            return
        queries = wanted - self.logs if sign == "*" else self.logs - wanted
        found = self._met(self.logs, self.by_log, queries, torch.full_like(queries, PAIRING.close))
        kept = 0
        for first, second in found:
            if sign == "*" and first > second:
                continue
            other = self.values[second] if sign == "*" else 1 / self.values[second]
            made = self.values[first] * other
            constant = float((made * target).sum() / made.square().sum())
            left = (target - constant * made).abs().max()
            if float(left) <= PAIRING.same * float(target.std()):
                yield Pair(sign, first, second, constant, taken, divisor)
                kept += 1
            if kept == PAIRING.kept:
                return

    def sums(self, target: Tensor, sign: str, divisor: int | None) -> Iterator[Pair]:
        """``target = constant + first (+|-) second``."""
        wanted, scale = float(target @ self.weights), float(target.std())
        queries = wanted - self.sizes if sign == "+" else self.sizes - wanted
        close = PAIRING.close * scale * torch.ones_like(queries)
        usable = self.sizes.abs() <= PAIRING.larger * scale
        kept = 0
        for first, second in self._met(self.sizes, self.by_size, torch.where(usable, queries, torch.inf), close):
            if sign == "+" and first > second:
                continue
            rest = target - self.values[first] - (1 if sign == "+" else -1) * self.values[second]
            if float((rest - rest.mean()).abs().max()) <= PAIRING.same * scale:
                yield Pair(sign, first, second, float(rest.mean()), 0.0, divisor)
                kept += 1
            if kept == PAIRING.kept:
                return

    def _met(self, ordered: Tensor, places: Tensor, queries: Tensor, close: Tensor) -> list[tuple[int, int]]:
        """Pairs of places whose functionals meet, the first ones in the order of their expressions."""
        start = torch.searchsorted(ordered, queries - close)
        met: list[tuple[int, int]] = []
        for step in range(PAIRING.looked_at):
            at = (start + step).clamp(max=len(ordered) - 1)
            hit = ((ordered[at] - queries).abs() <= close).nonzero()[:, 0]
            met += zip(places[hit].tolist(), places[at[hit]].tolist(), strict=True)
        return sorted(met, key=lambda pair: (pair[0] + pair[1], pair))


def _ordered(functional: Tensor) -> tuple[Tensor, Tensor]:
    usable = functional.isfinite().nonzero()[:, 0]
    ordered, order = functional[usable].sort()
    return ordered, usable[order]


__all__ = ["PAIRING", "Pair", "pairs"]
