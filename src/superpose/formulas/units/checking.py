"""Dimensional analysis of a formula: whether its units agree, and which units its constants have."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from superpose.formulas.expressions.formula import Formula
from superpose.formulas.units.equations import Dimension, Equations
from superpose.formulas.units.reading import read_units
from superpose.formulas.units.unit import Unit

if TYPE_CHECKING:
    import sympy

# Denominators of fitted exponents, such as 1.852 = 463/250: beyond the digits that anybody reads. A round number.
_DENOMINATOR = 10_000
_NUMBER = Dimension()
# Unknown units of columns have lower numbers, those of constants higher ones: they are solved for first.
_COLUMNS = 10**6


@dataclass(frozen=True)
class UnitCheck:
    """What units say of a formula.

    Attributes:
        consistent: whether there are units of its constants with which all of its parts agree.
        reason: where they do not agree, as a sentence; empty if they do.
        constants: the unit of each fitted constant by its value; None where it depends on a column of unknown unit.
            Constants that may have any unit, as one of ``a`` and ``b`` in ``a*(b*x + 1)``, are taken for numbers;
            exponents are numbers and not listed.
    """

    consistent: bool
    reason: str = ""
    constants: Mapping[float, Unit | None] = field(default_factory=dict)

    @property
    def dimensional(self) -> int:
        """How many of the constants carry a unit."""
        return sum(unit is not None and not unit.is_dimensionless for unit in self.constants.values())


def check_units(formula: Formula, units: Mapping[str, str]) -> UnitCheck:
    """Whether a formula is consistent with units of its columns and targets, and the units of its constants.

    Terms of a sum agree; arguments of ``exp``, ``log`` and ``sin``, and exponents, are dimensionless. A fitted constant
    may carry a unit; whole numbers, fractions and multiples of pi may not. A logarithm of a column with a unit is
    consistent where a constant beside it takes up the unit, as in ``a*log(x) + b``.

    Args:
        formula: of a table.
        units: texts by the names of columns and targets, such as ``{"v": "m/s"}``; ``"1"`` for numbers. The units of
            columns that are left out are unknown: only what can be checked is checked.

    Raises:
        OptionError: for a text that is no unit.

    >>> import sympy
    >>> m, v = sympy.symbols("m v", real=True)
    >>> formula = Formula((m * v**2 / 2 + sympy.Float(9.81) * m,), (m, v), ("m", "v"), ("E",))
    >>> found = check_units(formula, {"m": "kg", "v": "m/s", "E": "J"})
    >>> found.consistent, str(found.constants[9.81])
    (True, 'm^2/s^2')
    >>> check_units(formula, {"m": "kg", "v": "m/s", "E": "N"}).reason
    'm*v^2/2 + 9.81*m has the unit kg m^2/s^2, and E has kg m/s^2'
    """
    known = read_units(units)
    found: dict[float, Unit | None] = {}
    for target, expression in zip(formula.target_names, formula.expressions, strict=True):
        one = check_expression(expression, known, target, frozenset(formula.splines))
        if not one.consistent:
            return one
        found |= one.constants
    return UnitCheck(True, "", found)


def check_expression(
    expression: sympy.Expr, units: Mapping[str, Unit], target: str, splines: frozenset[str] = frozenset()
) -> UnitCheck:
    """As :func:`check_units`, for one expression and units that were read.

    Args:
        expression: in symbols named like the columns.
        units: of columns and the target, by name.
        target: name of the target.
        splines: names of functions that may take and give any unit.
    """
    walk = _Walk(units, splines)
    try:
        own = walk.dimension(expression)
        wanted = walk.column(f"target {target}", units.get(target))
        walk.demand(own.plus(wanted, -1), lambda: _differ(expression, own, target, wanted, walk))
    except _InconsistentError as found:
        return UnitCheck(False, str(found))
    constants: dict[float, Unit | None] = {}
    for value, number in walk.constants:
        constants.setdefault(value, walk.solved(number))
    return UnitCheck(True, "", constants)


class _InconsistentError(Exception):
    """Where units do not agree."""


class _Walk:
    """Goes through an expression once, and asks of the unknown units what each part demands."""

    def __init__(self, units: Mapping[str, Unit], splines: frozenset[str]) -> None:
        self.units, self.splines = units, splines
        self.equations = Equations()
        self.constants: list[tuple[float, int]] = []
        self._columns: dict[str, Dimension] = {}
        self._count = _COLUMNS

    def unknown(self) -> Dimension:
        self._count += 1
        return Dimension(unknown={self._count: Fraction(1)})

    def solved(self, number: int) -> Unit | None:
        """The unit of a constant; None if it depends on that of a column."""
        left = self.equations.reduced(Dimension(unknown={number: Fraction(1)}))
        return None if any(one < _COLUMNS for one in left.unknown) else Unit.of_vector(left.known)

    def column(self, name: str, unit: Unit | None) -> Dimension:
        """That of a column; of one without a unit an unknown, the same wherever it stands."""
        if unit is not None:
            return Dimension(unit.vector())
        if name not in self._columns:
            self._columns[name] = Dimension(unknown={len(self._columns): Fraction(1)})
        return self._columns[name]

    def demand(self, dimension: Dimension, reason: Callable[[], str]) -> None:
        if not self.equations.add(dimension):
            raise _InconsistentError(reason())

    def demand_number(self, part: sympy.Expr, dimension: Dimension, what: str) -> None:
        self.demand(dimension, lambda: f"{what} {_text(part)} has the unit {self.written(dimension)}")

    def written(self, dimension: Dimension) -> str:
        """The unit of a dimension for a message."""
        left = self.equations.reduced(dimension)
        unit = left.unit
        return "of a constant" if unit is None else str(unit)

    def dimension(self, node: sympy.Expr) -> Dimension:
        import sympy

        if node.is_Symbol:
            return self.column(node.name, self.units.get(node.name))
        if node.is_Float:
            found = self.unknown()
            self.constants.append((float(node), self._count))
            return found
        if node.is_number and not node.atoms(sympy.Float):
            return _NUMBER
        if node.is_Add or node.is_Mul or isinstance(node, sympy.log):
            return self._sum(node)
        if node.is_Pow and not node.exp.free_symbols:
            return self.dimension(node.base).times(_fraction(node.exp))
        if isinstance(node, sympy.Abs):
            return self.dimension(node.args[0])
        inner = [self.dimension(part) for part in node.args]
        if isinstance(node, sympy.Max | sympy.Min | sympy.atan2):
            for part, one in zip(node.args[1:], inner[1:], strict=True):
                self._agree(node.args[0], inner[0], part, one)
            return _NUMBER if isinstance(node, sympy.atan2) else inner[0]
        name = node.func.__name__
        if name in self.splines:
            return self.unknown()
        if not isinstance(node, sympy.sign):
            what = "in a power with a variable exponent," if node.is_Pow else f"the argument of {name},"
            for part, one in zip(node.args, inner, strict=True):
                self.demand_number(part, one, what)
        return _NUMBER

    def _agree(self, first: sympy.Expr, own: Dimension, second: sympy.Expr, other: Dimension) -> None:
        self.demand(
            own.plus(other, -1),
            lambda: (
                f"{_text(first)} has the unit {self.written(own)}, and {_text(second)}, which is added to it or "
                f"compared with it, {self.written(other)}"
            ),
        )

    def _sum(self, node: sympy.Expr) -> Dimension:
        """That of a sum, in which constants may take up the units in logarithms.

        In ``a*K*log(x) + b*K`` the unit of ``x`` is taken up by ``b``: the sum is ``a*K*log(x/x0)``. Without such a
        term the units in the logarithms of a sum must cancel, as in ``a*log(x) - a*log(y)``.
        """
        import sympy

        terms = [_Term.of(part) for part in sympy.Add.make_args(node)]
        dimensions = [self._term(term) for term in terms]
        for term, one in zip(terms[1:], dimensions[1:], strict=True):
            self._agree(terms[0].whole, dimensions[0], term.whole, one)
        for core in dict.fromkeys(term.core for term in terms if term.inside is not None):
            if any(term.core == core and term.inside is None and term.is_fitted for term in terms):
                for term in terms:
                    if term.core == core and term.inside is not None:
                        self.dimension(term.inside)
                continue
            own = [term for term in terms if term.core == core and term.inside is not None]
            total = _NUMBER
            for term in own:
                assert term.inside is not None
                share = Fraction(term.number / own[0].number).limit_denominator(_DENOMINATOR)
                total = total.plus(self.dimension(term.inside), share)
            self.demand_number(own[0].inside, total, "the argument of log,")
        return dimensions[0]

    def _term(self, term: _Term) -> Dimension:
        """That of a term, in which a logarithm is a number."""
        total = _NUMBER
        for factor in term.factors:
            total = total.plus(self.dimension(factor))
        return total


@dataclass(frozen=True)
class _Term:
    """A term of a sum.

    Attributes:
        whole: the term.
        factors: all but the logarithm.
        core: the factors that hold columns, without the logarithm.
        number: the product of the others.
        inside: the argument of the logarithm, if exactly one factor is one.
    """

    whole: sympy.Expr
    factors: tuple[sympy.Expr, ...]
    core: sympy.Expr
    number: float
    inside: sympy.Expr | None

    @classmethod
    def of(cls, term: sympy.Expr) -> _Term:
        import sympy

        parts = sympy.Mul.make_args(term)
        logs = [part for part in parts if isinstance(part, sympy.log) and part.free_symbols]
        # The arguments of several logarithms in a product are numbers each for itself.
        inside = logs[0].args[0] if len(logs) == 1 else None
        rest = tuple(part for part in parts if inside is None or part is not logs[0])
        core = sympy.Mul(*(part for part in rest if part.free_symbols))
        number = float(sympy.Mul(*(part for part in rest if not part.free_symbols)))
        return cls(term, rest, core, number or 1.0, inside)

    @property
    def is_fitted(self) -> bool:
        return any(part.is_Float for part in self.factors)


def _fraction(exponent: sympy.Expr) -> Fraction:
    if exponent.is_Rational:
        return Fraction(int(exponent.p), int(exponent.q))
    value = float(exponent)
    return Fraction(value).limit_denominator(_DENOMINATOR) if math.isfinite(value) else Fraction(0)


def _differ(expression: sympy.Expr, own: Dimension, target: str, wanted: Dimension, walk: _Walk) -> str:
    return f"{_text(expression)} has the unit {walk.written(own)}, and {target} has {walk.written(wanted)}"


def _text(part: sympy.Expr) -> str:
    """A part of an expression, shortened for a message."""
    import sympy

    shown = part.xreplace({number: sympy.Float(float(number), 4) for number in part.atoms(sympy.Float)})
    text = str(shown).replace("**", "^")
    # A round number.
    return text if len(text) <= 60 else f"{text[:57]}..."
