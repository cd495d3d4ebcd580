"""Units of a run: those of its columns, what they say of its formulas, and how the constants of these are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from superpose.data import Dataset
from superpose.errors import OptionError
from superpose.formulas.expressions.constants import Sensible
from superpose.formulas.expressions.formula import Formula
from superpose.formulas.units.checking import UnitCheck, check_expression
from superpose.formulas.units.naming import named
from superpose.formulas.units.reading import read_units, units_in_names
from superpose.formulas.units.unit import Unit
from superpose.messages import nearest

if TYPE_CHECKING:
    import sympy

# The value of the option ``units`` that takes them from the columns' names.
IN_NAMES = "names"


def read_column_units(units: Mapping[str, str] | str, data: Dataset) -> dict[str, Unit]:
    """The units of the columns and targets of a table, by name, as far as they are known.

    Raises:
        OptionError: for a column that is not there, or a text that is no unit.
    """
    names = (*data.feature_names, *data.target_names)
    if isinstance(units, str):
        if units != IN_NAMES:
            raise OptionError(f"units is {units!r} and must be a mapping such as {{'v': 'm/s'}}, or 'names'")
        units = units_in_names(names)
        if not units:
            raise OptionError("no name of a column ends with a unit in brackets, as in 'mass [kg]'; give the units")
    for name in units:
        raw = () if data.preparation is None else data.preparation.raw_names
        if name not in names and name not in data.left_out and name not in raw:
            raise OptionError(f"there is no column {name!r} to have a unit{nearest(name, names)}")
    read = read_units(units)
    return {name: read[name] for name in names if name in read}


def checked(formula: Formula, units: Mapping[str, Unit]) -> UnitCheck:
    """What units say of a formula: of several targets the first that is inconsistent, and the constants of all."""
    constants: dict[float, Unit | None] = {}
    for target, expression in zip(formula.target_names, formula.expressions, strict=True):
        found = check_expression(expression, units, target, frozenset(formula.splines))
        if not found.consistent:
            return found
        constants |= found.constants
    return UnitCheck(True, "", constants)


def sensible(units: Mapping[str, Unit], target: str) -> Sensible | None:
    """Whether an expression for a target is consistent in its dimensions; None without units.

    The sizes of units are left aside: while a formula is searched for, columns are taken in other units.
    """
    if not units:
        return None
    dimensions = {name: Unit(unit.exponents) for name, unit in units.items()}

    def consistent(expression: sympy.Expr) -> bool:
        from sympy.core.function import AppliedUndef

        splines = frozenset(part.func.__name__ for part in expression.atoms(AppliedUndef))
        return check_expression(expression, dimensions, target, splines).consistent

    return consistent


def unit_facts(
    units: Mapping[str, Unit], formula: Formula | None, constants: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """What the metrics say of the units, ready for JSON; nothing without units.

    Args:
        units: of the columns.
        formula: the recommended one.
        constants: of it, as :func:`with_units` gives them.
    """
    if not units:
        return {}
    facts: dict[str, Any] = {"columns": {name: str(unit) for name, unit in units.items()}}
    if formula is not None:
        found = checked(formula, units)
        facts |= {
            "consistent": found.consistent,
            "sentence": sentence(found, units, formula),
            "constants": [_constant(one) for one in constants] if found.consistent else [],
        }
    return {"units": facts}


def sentence(found: UnitCheck, units: Mapping[str, Unit], formula: Formula) -> str:
    """Whether units agree, and of which columns none is known."""
    if not found.consistent:
        return f"its units do not agree: {found.reason}"
    unknown = [name for name in (*formula.feature_names, *formula.target_names) if name not in units]
    if not unknown:
        return "its units agree"
    return f"its units agree as far as they are known; none is given for {', '.join(unknown)}"


def _constant(one: Mapping[str, Any]) -> str:
    """A constant with its standard error and its unit, as text."""
    unit = one.get("unit")
    text = f"{one['value']:.6g} ± {one['standard_error']:.2g}"
    return text + {None: " of unknown unit", "1": ""}.get(unit, f" {unit}")


def units_of_named(constants: Mapping[str, float], formula: Formula, units: Mapping[str, Unit]) -> dict[str, str]:
    """The units of named constants of a formula as text, where they stand in it as they are, or negated."""
    if not units:
        return {}
    known = checked(formula, units).constants
    made = {}
    for name, value in constants.items():
        # Six digits more than two constants agree in by chance.
        near = [unit for other, unit in known.items() if abs(abs(other) - abs(value)) <= 1e-12 * abs(value)]
        if near and near[0] is not None:
            made[name] = str(named(near[0], units.values()))
    return made


def with_units(constants: list[dict[str, Any]], formula: Formula, units: Mapping[str, Unit]) -> list[dict[str, Any]]:
    """Constants with their units as text, ``"1"`` for numbers; None where it is not known."""
    if not units:
        return constants
    found = checked(formula, units)
    made = []
    for one in constants:
        unit = found.constants.get(one["value"])
        made.append(one | {"unit": None if unit is None else str(named(unit, units.values()))})
    return made
