"""A unit of measurement: exponents of base dimensions, and how many SI base units it is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

# Two units are the same if their sizes differ by less than this relative share: far above rounding, far below any two
# units that people tell apart.
SAME_SIZE = 1e-6
# What stands for the logarithm of the size among the base dimensions of a vector.
SIZE = ""

Vector = Mapping[str, Fraction | float]


@dataclass(frozen=True)
class Unit:
    """A unit.

    Attributes:
        exponents: of the SI base units, such as ``{"meter": 1, "second": -1}``; those of zero are left out.
        size: how many of these make one of this unit: 1000 for kilometres.
        parts: names and exponents that a person wrote, such as ``("km", 1), ("h", -1)``.

    >>> metre = Unit({"meter": Fraction(1)})
    >>> (metre * metre ** -1).is_dimensionless
    True
    """

    exponents: Mapping[str, Fraction] = field(default_factory=dict)
    size: float = 1.0
    parts: tuple[tuple[str, Fraction], ...] = ()

    def __mul__(self, other: Unit) -> Unit:
        exponents = added(self.exponents, other.exponents)
        parts = added(dict(self.parts), dict(other.parts))
        return Unit(_fractions(exponents), self.size * other.size, tuple(_fractions(parts).items()))

    def __pow__(self, power: Fraction | int) -> Unit:
        power = Fraction(power)
        exponents = {name: power * one for name, one in self.exponents.items() if power}
        parts = tuple((name, power * one) for name, one in self.parts if power)
        return Unit(exponents, self.size ** float(power), parts)

    @property
    def is_dimensionless(self) -> bool:
        """Whether no base dimension is left; percent and degrees of angle are dimensionless too."""
        return not any(self.exponents.values())

    @property
    def is_one(self) -> bool:
        """Whether it is the number 1."""
        return self.is_dimensionless and abs(math.log(self.size)) < SAME_SIZE

    def vector(self) -> dict[str, Fraction | float]:
        """The exponents, and the logarithm of the size: those of a product are the sums of those of its factors."""
        found: dict[str, Fraction | float] = {name: one for name, one in self.exponents.items() if one}
        if abs(math.log(self.size)) >= SAME_SIZE:
            found[SIZE] = math.log(self.size)
        return found

    @classmethod
    def of_vector(cls, vector: Vector) -> Unit:
        """The unit with these exponents and this logarithm of the size."""
        return cls(
            {name: one for name, one in vector.items() if name != SIZE and isinstance(one, Fraction) and one},
            math.exp(float(vector.get(SIZE, 0.0))),
        )

    def __str__(self) -> str:
        """Its parts, or those of the SI base units: ``J/(kg K)``; ``1`` without any."""
        if self.parts:
            return written(self.parts)
        names = sorted(self.exponents, key=lambda name: list(_SHORT).index(name) if name in _SHORT else len(_SHORT))
        parts = tuple((_SHORT.get(name, name), self.exponents[name]) for name in names)
        if abs(math.log(self.size)) < SAME_SIZE:
            return written(parts)
        return f"{self.size:.6g}" + (f" {written(parts)}" if parts else "")


ONE = Unit()
# In the order in which they are written.
_SHORT = {
    "kilogram": "kg",
    "meter": "m",
    "second": "s",
    "ampere": "A",
    "kelvin": "K",
    "mole": "mol",
    "candela": "cd",
}


def added(first: Vector, second: Vector, times: Fraction | int = 1) -> dict[str, Fraction | float]:
    """``first + times * second``, without zeros."""
    found = dict(first)
    for name, one in second.items():
        total = found.get(name, Fraction(0)) + times * one
        # Sizes are logarithms in double precision.
        if isinstance(total, float) and abs(total) < SAME_SIZE:
            total = Fraction(0)
        found[name] = total
    return {name: one for name, one in found.items() if one}


def _fractions(values: Vector) -> dict[str, Fraction]:
    return {name: one for name, one in values.items() if isinstance(one, Fraction)}


def written(parts: tuple[tuple[str, Fraction], ...]) -> str:
    """Names with exponents as text.

    >>> written((("kg", Fraction(1)), ("m", Fraction(2)), ("s", Fraction(-2)))), written((("s", Fraction(-1)),))
    ('kg m^2/s^2', '1/s')
    >>> written((("J", Fraction(1)), ("kg", Fraction(-1)), ("K", Fraction(-1, 2))))
    'J/(kg K^(1/2))'
    """

    def power(name: str, exponent: Fraction) -> str:
        if exponent == 1:
            return name
        if exponent.denominator == 1:
            return f"{name}^{exponent}"
        # Fitted exponents are no simple fractions.
        return f"{name}^({exponent})" if exponent.denominator <= 6 else f"{name}^{float(exponent):.4g}"

    above = [power(name, one) for name, one in parts if one > 0]
    below = [power(name, -one) for name, one in parts if one < 0]
    text = " ".join(above) or "1"
    if not below:
        return text
    return f"{text}/{below[0]}" if len(below) == 1 else f"{text}/({' '.join(below)})"
