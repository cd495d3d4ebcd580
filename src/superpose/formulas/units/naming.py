"""Units of constants in the names of the columns' units: ``J/(kg K)`` where those are J, kg and K."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from fractions import Fraction

from superpose.formulas.units.equations import Dimension, Equations
from superpose.formulas.units.reading import read_unit
from superpose.formulas.units.unit import Unit

# Names in one unit, and names that are tried. Round numbers: more than these nobody reads.
_MOST, _TRIED = 4, 10
# Exponents beyond this, or of other denominators, are no simple ones.
_LARGEST = 4
_DENOMINATORS = (1, 2)


def named(unit: Unit, units: Iterable[Unit]) -> Unit:
    """The same unit, written with few names from other units; in SI base units if that is not possible.

    >>> units = [read_unit(text) for text in ("J", "g", "degC")]
    >>> str(named(read_unit("kJ/(kg K)"), units)), str(named(read_unit("N"), units))
    ('J/(g degC)', 'kg m/s^2')
    """
    if unit.is_one:
        return Unit()
    names = list(dict.fromkeys(name for one in units for name, _ in one.parts if not name[0].isdigit()))[:_TRIED]
    known = {name: read_unit(name) for name in names}
    for count in range(1, _MOST + 1):
        found = [one for some in itertools.combinations(names, count) if (one := _powers(unit, some, known))]
        if found:
            best = min(found, key=lambda parts: sum(abs(one) + (one.denominator > 1) for _, one in parts))
            return Unit(unit.exponents, unit.size, best)
    return Unit(unit.exponents, unit.size)


def _powers(unit: Unit, names: Sequence[str], known: dict[str, Unit]) -> tuple[tuple[str, Fraction], ...] | None:
    """Names with simple exponents that make a unit, every one of them used; None if they do not."""
    system = Equations()
    if not all(system.add(one) for one in _equations(unit, [known[name] for name in names])):
        return None
    found = [system.reduced(Dimension(unknown={number: Fraction(1)})) for number in range(len(names))]
    # One may be left that only the sizes determine: joules over g (m/s)^2 are a number.
    free = {number for one in found for number in one.unknown}
    for value in (Fraction(0),) if not free else _FREE if len(free) == 1 else ():
        powers = [
            Fraction(one.known.get(_VALUE, Fraction(0))) + sum(one.unknown.values(), Fraction(0)) * value
            for one in found
        ]
        if any(not one or abs(one) > _LARGEST or one.denominator not in _DENOMINATORS for one in powers):
            continue
        total = Unit()
        for name, power in zip(names, powers, strict=True):
            total = total * known[name] ** power
        if (total * unit**-1).is_one:
            return tuple(zip(names, powers, strict=True))
    return None


_FREE = tuple(Fraction(sign * size) for size in (1, 2, Fraction(1, 2)) for sign in (1, -1))
# Exponents are solved for as numbers of one dimension.
_VALUE = "value"


def _equations(unit: Unit, factors: Sequence[Unit]) -> list[Dimension]:
    """For each base dimension, that the powers of the factors together have the exponent of the unit."""
    bases = dict.fromkeys(name for one in (unit, *factors) for name in one.exponents)
    rows = []
    for base in bases:
        unknown = {n: one.exponents[base] for n, one in enumerate(factors) if one.exponents.get(base)}
        own = unit.exponents.get(base, Fraction(0))
        rows.append(Dimension({_VALUE: -own} if own else {}, unknown))
    return rows
