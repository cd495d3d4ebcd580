"""Dimensionless groups of columns (E. Buckingham, On physically similar systems, 1914).

Where the units of all columns are known, and that of the target is a product of powers of theirs, the target divided by
such a product is a function of dimensionless products of the columns alone, of which there are fewer than columns. A
set of columns with independent dimensions, as many as there are dimensions, is chosen to make the others
dimensionless; a formula of the groups is one of the columns again. S.-M. Udrescu and M. Tegmark (AI Feynman, 2020)
begin a search for formulas like this.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from superpose.formulas.units.equations import Dimension, Equations
from superpose.formulas.units.unit import Unit

if TYPE_CHECKING:
    import sympy

# Exponents of groups: halves and whole numbers up to this size. Round numbers.
_LARGEST = 4
_DENOMINATORS = (1, 2)
# Sets of repeating columns that are compared, at most.
_MOST_SETS = 2000
# Beyond this many columns there are too many sets.
MOST_COLUMNS = 16


@dataclass(frozen=True)
class Monomial:
    """A product of powers of columns, and a factor that turns their units into SI units.

    Attributes:
        powers: by the names of the columns.
        factor: of the product.
    """

    powers: Mapping[str, Fraction]
    factor: float = 1.0

    @property
    def cost(self) -> float:
        """How complicated it is: the sizes of the exponents, and one for each half."""
        return float(sum(abs(power) + (power.denominator > 1) for power in self.powers.values()))

    def values(self, columns: Mapping[str, Tensor], like: Tensor) -> Tensor:
        """``[N]`` for columns ``[N]`` by name; NaN for roots of negative numbers."""
        found = torch.full_like(like, self.factor)
        for name, power in self.powers.items():
            found = found * columns[name] ** float(power)
        return found

    def expression(self) -> sympy.Expr:
        """In real symbols named like the columns."""
        import sympy

        factors = [
            sympy.Symbol(name, real=True) ** sympy.Rational(power.numerator, power.denominator)
            for name, power in self.powers.items()
        ]
        # 12 digits: what two sizes of units differ by in rounding is no factor.
        number = sympy.Integer(1) if abs(self.factor - 1) < 1e-12 else sympy.Float(self.factor)
        return sympy.Mul(number, *factors)


@dataclass(frozen=True)
class Groups:
    """A product of columns with the unit of the target, and dimensionless ones.

    Attributes:
        prefactor: by which the target is divided.
        groups: independent of one another.
    """

    prefactor: Monomial
    groups: tuple[Monomial, ...]

    @property
    def cost(self) -> float:
        """How complicated all of them are together."""
        return self.prefactor.cost + sum(one.cost for one in self.groups)

    def __str__(self) -> str:
        parts = [str(one.expression()) for one in self.groups]
        return f"prefactor {self.prefactor.expression()}, groups {', '.join(parts) or 'none'}"


def dimensionless_groups(columns: Mapping[str, Unit], target: Unit) -> list[Groups]:
    """Ways to divide a target by columns and to combine these into dimensionless groups, the simplest first.

    Args:
        columns: units by name.
        target: its unit.

    Returns:
        None where the unit of the target is no product of powers of the columns' with halves as exponents.

    >>> from superpose.formulas.units.reading import read_unit
    >>> units = {"length": read_unit("m"), "mass": read_unit("kg"), "g": read_unit("m/s^2"), "angle": read_unit("1")}
    >>> print(dimensionless_groups(units, read_unit("s"))[0])
    prefactor sqrt(length)/sqrt(g), groups angle
    """
    if len(columns) > MOST_COLUMNS:
        return []
    found = [one for some in _bases(columns) if (one := _groups(columns, some, target)) is not None]
    return sorted({_key(one): one for one in reversed(found)}.values(), key=lambda one: one.cost)


def _key(groups: Groups) -> tuple[object, ...]:
    def flat(one: Monomial) -> tuple[tuple[str, Fraction], ...]:
        return tuple(sorted(one.powers.items()))

    return flat(groups.prefactor), tuple(sorted(map(flat, groups.groups)))


def _bases(columns: Mapping[str, Unit]) -> Iterator[tuple[str, ...]]:
    """Sets of columns with independent dimensions, as many as there are independent dimensions."""
    names = [name for name, unit in columns.items() if not unit.is_dimensionless]
    rank = _rank([columns[name] for name in names])
    sets = itertools.islice(itertools.combinations(names, rank), _MOST_SETS)
    return (some for some in sets if _rank([columns[name] for name in some]) == rank)


def _rank(units: Sequence[Unit]) -> int:
    """How many of the units' dimensions are independent."""
    rows: list[dict[str, Fraction]] = [dict(one.exponents) for one in units]
    rank = 0
    while rows:
        row = {name: one for name, one in rows.pop().items() if one}
        if not row:
            continue
        rank += 1
        pivot, value = next(iter(row.items()))
        for other in rows:
            factor = other.get(pivot, Fraction(0)) / value
            for name, one in row.items():
                other[name] = other.get(name, Fraction(0)) - factor * one
    return rank


def _groups(columns: Mapping[str, Unit], base: Sequence[str], target: Unit) -> Groups | None:
    prefactor = _product(columns, base, target)
    if prefactor is None:
        return None
    groups = []
    for name, unit in columns.items():
        if name in base:
            continue
        if unit.is_one:
            groups.append(Monomial({name: Fraction(1)}))
            continue
        made = _product(columns, base, unit)
        if made is None:
            return None
        powers = {name: Fraction(1)} | {other: -power for other, power in made.powers.items()}
        groups.append(_upright(Monomial(powers, 1 / made.factor)))
    return Groups(prefactor, tuple(groups))


def _upright(group: Monomial) -> Monomial:
    """The group without halves if all exponents are halves: its square."""
    if not all(power.denominator == 2 for power in group.powers.values()):
        return group
    return Monomial({name: 2 * power for name, power in group.powers.items()}, group.factor**2)


# Exponents are solved for as numbers of one dimension.
_VALUE = "value"


def _product(columns: Mapping[str, Unit], base: Sequence[str], unit: Unit) -> Monomial | None:
    """The product of powers of columns with independent dimensions that has a unit; None if there is none."""
    system = Equations()
    for name in dict.fromkeys(itertools.chain(unit.exponents, *(columns[one].exponents for one in base))):
        unknown = {n: power for n, one in enumerate(base) if (power := columns[one].exponents.get(name))}
        own = unit.exponents.get(name, Fraction(0))
        if not system.add(Dimension({_VALUE: -own} if own else {}, unknown)):
            return None
    powers: dict[str, Fraction] = {}
    size = -math.log(unit.size)
    for n, name in enumerate(base):
        known = system.reduced(Dimension(unknown={n: Fraction(1)})).known
        power = Fraction(known.get(_VALUE, Fraction(0)))
        if power.denominator not in _DENOMINATORS or abs(power) > _LARGEST:
            return None
        size += float(power) * math.log(columns[name].size)
        if power:
            powers[name] = power
    # In the units of the columns the product is so many units of the target.
    return Monomial(powers, math.exp(size))
