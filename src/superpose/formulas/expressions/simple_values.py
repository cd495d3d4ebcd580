"""Simple values that a fitted constant may stand for: integers, fractions, multiples of pi and e, and roots.

The denser a set of values, the more precisely a constant must be known before it is compared with that set. Otherwise
chance alone brings a value of the set near.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sympy


@dataclass(frozen=True)
class Precision:
    """Standard errors up to which a constant is compared with a set of simple values.

    Those without a derivation are round numbers; no measurement is recorded. ``tests/formulas/test_constants.py`` has
    constants that they must tell apart.

    Attributes:
        spacing: in units of the distance between neighbours in the set. Three standard errors on both sides then cover
            nine tenths of that distance.
        coarse: relative to the constant, for halves, thirds and quarters and simple multiples of pi.
        fine: the same, for fractions of larger denominators, powers of pi, and e.
        root: the same, for square roots of fractions.
        root_spacing: as ``spacing``, for the squares of constants that may be roots: a tenth of it, since the roots of
            fractions lie close together.
        plain_numerator: numerators up to this are as simple as a fraction of pi gets. Of the other values some twenty
            lie between two integer multiples, for each of four powers of pi;
        many_multiples: three standard errors of this size on both sides cover 80 * 6e-4 = 5% of that interval.
        exact: relative to the constant, for the densest sets, which are tried for data without noise only.
        largest: constants beyond this are compared with integers at most,
        largest_root: and those beyond this, unless the data are exact, with no root.
    """

    spacing: float = 0.15
    coarse: float = 0.03
    fine: float = 1e-3
    root: float = 1e-4
    root_spacing: float = 0.015
    plain_numerator: int = 12
    many_multiples: float = 1e-4
    exact: float = 1e-5
    largest: float = 1e3
    largest_root: float = 10.0


_PRECISION = Precision()


def simple_values(value: float, width: float, exact: bool) -> list[tuple[int, sympy.Expr]]:
    """Simple values near a constant, each with a tier from 0 (zero) to 6 (the densest sets).

    Args:
        value: the constant.
        width: its standard error.
        exact: whether the data are free of noise.

    >>> simple_values(1.9996, 0.02, exact=False)[:3]
    [(0, 0), (1, 2), (2, 2)]
    """
    import sympy

    limits = _PRECISION
    size = max(abs(value), 1e-12)  # no division by zero
    relative = width / size
    found: list[tuple[int, sympy.Expr]] = [(0, sympy.Integer(0))]
    # Larger integers are no simple values. A round number.
    if width < limits.spacing and abs(value) < 1e9:
        found.append((1, sympy.Integer(round(value))))
    if relative < limits.coarse:
        # The order of the tiers and the denominators were set by hand, here and below; nothing was measured.
        found += [(2, q) for q in _fractions(value, (2, 3, 4), width)]
        sign = 1 if value > 0 else -1
        found += [(2, sign * q * sympy.pi) for q in (sympy.Rational(1, 2), 1, 2)]
    if relative < limits.fine and size < limits.largest:
        # Set by hand as above.
        found += [(3, q) for q in _fractions(value, (5, 6, 8, 10), width)]
        for power in (1, -1, 2, -2):
            unit = math.pi**power
            # Halves to quarters, sixths, and powers of two up to 1/16. Set by hand.
            near = _fractions(value / unit, (1, 2, 3, 4, 6, 8, 16), width / unit)
            # Tier 4: rarer than fractions (3). Tier 6, below: the rarest.
            found += [(4, q * sympy.pi**power) for q in near if abs(q.p) <= limits.plain_numerator]
            if exact or width / unit < limits.many_multiples:
                # The densest set: the last tier.
                found += [(6, q * sympy.pi**power) for q in near if abs(q.p) > limits.plain_numerator]
        # Multiples of e are rarer than those of pi (4): tier 5, halves at most. Set by hand.
        found += [(5, q * sympy.E) for q in _fractions(value / math.e, (1, 2), width)]
    if relative < limits.root and size < limits.largest_root:
        # The square of a constant has the standard error 2 * size * width. Tier 5, as rare as e; halves and thirds
        # were set by hand.
        wider = 2 * size * width * limits.spacing / limits.root_spacing
        found += [
            (5, sympy.sign(q) * sympy.sqrt(abs(q))) for q in _fractions(value * abs(value), (1, 2, 3), wider) if q
        ]
    if exact and relative < limits.exact and size < limits.largest:
        found += _exact_values(value)
    return [(tier, simple) for tier, simple in found if simple != 0 or tier == 0]


def _exact_values(value: float) -> list[tuple[int, sympy.Expr]]:
    """Values of the densest sets: roots of fractions, roots of pi, cubes of pi, and large denominators."""
    import sympy

    # Exact data allow denser sets. Their denominators, and 100 for squares up to 10**2, were set by hand.
    squares = [q for q in _fractions(value * abs(value), (1, 2, 3, 4, 5, 6, 8)) if 0 < abs(q) < 100]
    found = [(5, sympy.sign(q) * sympy.sqrt(abs(q))) for q in squares]  # tier 5, as other roots
    for root in (sympy.sqrt(sympy.pi), sympy.sqrt(2 * sympy.pi)):
        for unit, symbol in ((float(root), root), (1 / float(root), 1 / root)):
            # Roots of pi as normal distributions have them, in the tier of roots; set by hand.
            found += [(5, q * symbol) for q in _fractions(value / unit, (1, 2, 4))]
    # Cubes of pi, and below twelfths and other denominators, in the last tier; set by hand.
    for power in (3, -3):
        # As for squares of pi.
        found += [(6, q * sympy.pi**power) for q in _fractions(value / math.pi**power, (1, 2, 3, 4, 6, 8))]
    # Set by hand as above.
    found += [(6, q * sympy.pi**power) for power in (1, -1) for q in _fractions(value / math.pi**power, (12,))]
    # Set by hand as above.
    found += [(6, q) for q in _fractions(value, (7, 9, 12, 15, 16, 20, 25, 32, 50, 64, 100, 1000))]
    return found


def _fractions(value: float, denominators: tuple[int, ...], width: float = 0.0) -> list[sympy.Rational]:
    """The nearest fractions, for denominators whose fractions lie further apart than the value is uncertain."""
    import sympy

    if not abs(value) < 1e9:  # as for integers in ``simple_values``
        return []
    usable = [q for q in denominators if round(value * q) and width * q < _PRECISION.spacing]
    return [sympy.Rational(round(value * q), q) for q in usable]
