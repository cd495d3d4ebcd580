"""Parts of an expression: factors, terms, and functions of the library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from superpose.errors import OptionError
from superpose.nn.symbolic_functions import SymbolicFunction, argument, library

if TYPE_CHECKING:
    import sympy

# Numbers beyond this are not taken: their products with others would overflow.
_MAX_NUMBER = 1e300


def to_number(expression: sympy.Expr) -> float:
    """A number as the nearest float."""
    value = expression.evalf(25)  # more than the 17 digits that determine a float64
    if not value.is_real or not abs(value) < _MAX_NUMBER:
        raise OptionError(f"the expression holds {expression}, which is no finite real number")
    return float(value)


def exponent_of(expression: sympy.Expr) -> Any:
    """A number in an exponent: a fraction as it is, anything else as the nearest float."""
    return expression if expression.is_Rational else to_number(expression)


def split_factor(expression: sympy.Expr) -> tuple[float, sympy.Expr]:
    """``factor, core`` with ``expression = factor * core`` and no number among the factors of ``core``."""
    import sympy

    parts = sympy.Mul.make_args(expression)
    numbers = [part for part in parts if not part.free_symbols]
    rest = [part for part in parts if part.free_symbols]
    if not numbers or not rest:
        return 1.0, expression
    return to_number(sympy.Mul(*numbers)), sympy.Mul(*rest, evaluate=len(rest) == 1)


def terms_of(expression: sympy.Expr, outer: float = 1.0) -> list[tuple[float, Any]]:
    """``factor, core`` of the terms of a sum, sums within multiplied out; the core of a number is None."""
    import sympy

    found: list[tuple[float, Any]] = []
    for term in sympy.Add.make_args(expression):
        if not term.free_symbols:
            found.append((outer * to_number(term), None))
            continue
        factor, core = split_factor(term)
        if core.is_Add:
            found += terms_of(core, outer * factor)
        else:
            found.append((outer * factor, core))
    return found


def library_function(core: sympy.Expr) -> tuple[SymbolicFunction, sympy.Expr, float] | None:
    """The function of the library that this is, its argument, and a factor before it; powers are left out."""
    import sympy

    x = argument()
    alike = [f for f in library().values() if f.expression.func == core.func and not _is_power(f.expression)]
    # The largest function first: exp(-x**2) is a Gaussian before it is an exponential.
    alike.sort(key=lambda f: -sum(1 for _ in sympy.preorder_traversal(f.expression)))
    for function in alike:
        if function.expression.args == (x,):
            return function, core.args[0], 1.0
        for part in sympy.preorder_traversal(core):
            if isinstance(part, sympy.Expr) and part.free_symbols:
                for inner in (part, -part):
                    whole = function.at(inner)
                    if whole == core:
                        return function, inner, 1.0
                    # Numbers were split off the factors of a product before.
                    if core.is_Mul and not (core / whole).free_symbols:
                        return function, inner, to_number(core / whole)
    return None


def _is_power(expression: sympy.Expr) -> bool:
    x = argument()
    return bool(expression == x or (expression.is_Pow and expression.base == x and not expression.exp.free_symbols))
