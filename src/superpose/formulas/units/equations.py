"""Linear equations between dimensions: which unknown units satisfy them.

The dimension of a product is a sum of dimensions, that of a power a multiple, so that all that a formula asks of the
units of its constants is linear. Exponents of dimensions are fractions and are solved for exactly; the sizes of units
go along as logarithms in double precision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from superpose.formulas.units.unit import Unit, added


@dataclass(frozen=True)
class Dimension:
    """A known unit's dimension and multiples of unknown ones.

    Attributes:
        known: as :meth:`Unit.vector` gives it.
        unknown: how often each unknown enters, by its number.
    """

    known: Mapping[str, Fraction | float] = field(default_factory=dict)
    unknown: Mapping[int, Fraction] = field(default_factory=dict)

    def plus(self, other: Dimension, times: Fraction | int = 1) -> Dimension:
        """That of the product with a power of another quantity."""
        unknown = dict(self.unknown)
        for number, one in other.unknown.items():
            unknown[number] = unknown.get(number, Fraction(0)) + times * one
        return Dimension(added(self.known, other.known, times), {n: one for n, one in unknown.items() if one})

    def times(self, power: Fraction) -> Dimension:
        """That of a power."""
        return Dimension().plus(self, power)

    @property
    def unit(self) -> Unit | None:
        """The unit; None if it depends on unknown ones."""
        return None if self.unknown else Unit.of_vector(self.known)


class Equations:
    """Equations ``dimension = 0``, each reduced by those before it as it comes.

    >>> system = Equations()
    >>> metre, x = Dimension({"meter": Fraction(1)}), Dimension(unknown={0: Fraction(2)})
    >>> system.add(x.plus(metre, -1)), system.add(x), system.reduced(x).known
    (True, False, {'meter': Fraction(1, 1)})
    """

    def __init__(self) -> None:
        # Of each unknown that is solved for: the rest of its equation, in which its factor is 1.
        self._solved: dict[int, Dimension] = {}

    def reduced(self, dimension: Dimension) -> Dimension:
        """A dimension without the unknowns that are solved for."""
        for number in list(dimension.unknown):
            if number in self._solved:
                factor = dimension.unknown[number]
                rest = Dimension(dimension.known, {n: f for n, f in dimension.unknown.items() if n != number})
                dimension = rest.plus(self._solved[number], -factor)
        return dimension

    def add(self, dimension: Dimension) -> bool:
        """Demand that a dimension is that of a number; False, and nothing changes, if this contradicts the others."""
        left = self.reduced(dimension)
        if not left.unknown:
            return not left.known
        # The latest unknown: whoever numbers them chooses which stay.
        number = max(left.unknown)
        factor = left.unknown[number]
        rest = Dimension(left.known, {n: f for n, f in left.unknown.items() if n != number}).times(1 / factor)
        self._solved[number] = rest
        for other, before in self._solved.items():
            if number in before.unknown:
                self._solved[other] = self.reduced(before)
        return True
