"""Formulas as text, read by walking Python's syntax tree: no text is ever run."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from superpose.errors import DataError

if TYPE_CHECKING:
    import sympy

_LONGEST = 20_000
# Beyond this a whole power of a whole number would have too many digits to be of use, and may have too many to hold.
_MAX_POWER = 64
_FUNCTIONS = (
    *("sqrt", "exp", "log", "sin", "cos", "tan", "asin", "acos", "atan"),
    *("sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "abs", "cbrt", "square"),
)
_NUMPY: dict[str, Callable[[Any], Any]] = {name: getattr(np, name) for name in _FUNCTIONS}


def symbolic(text: str, names: Mapping[str, sympy.Expr]) -> sympy.Expr:
    """The SymPy expression that a text means.

    Args:
        text: in Python's notation, ``^`` being a power too, with the numbers ``pi`` and ``e`` where no name is such.
        names: what the names in it stand for.

    Raises:
        DataError: if it is no formula, or holds an unknown name or function.

    >>> import sympy
    >>> symbolic("-x**2/2 + sqrt(4*I)", {"x": sympy.Symbol("x"), "I": sympy.Symbol("I")})
    2*sqrt(I) - x**2/2
    """
    import sympy

    def number(value: float) -> sympy.Expr:
        return sympy.Integer(value) if isinstance(value, int) else sympy.Float(value)

    functions = {name: getattr(sympy, name) for name in _FUNCTIONS if hasattr(sympy, name)}
    functions |= {"abs": sympy.Abs, "square": lambda inner: inner**2}
    found: sympy.Expr = _read(text, {"pi": sympy.pi, "e": sympy.E} | dict(names), functions, number)
    return found


def numeric(text: str, names: tuple[str, ...]) -> Callable[..., Any]:
    """The function of one array for each name that a text means; see :func:`symbolic`.

    >>> numeric("x/y", ("x", "y"))(np.array([1.0, 2.0]), np.array([4.0, 4.0]))
    array([0.25, 0.5 ])
    """

    def function(*columns: Any) -> Any:
        values = {"pi": math.pi, "e": math.e} | dict(zip(names, columns, strict=True))
        with np.errstate(all="ignore"):
            return _read(text, values, _NUMPY, float)

    return function


def _read(
    text: str,
    names: Mapping[str, Any],
    functions: Mapping[str, Callable[[Any], Any]],
    number: Callable[[float], Any],
) -> Any:
    if len(text) > _LONGEST:
        raise DataError(f"a formula of {len(text):,} characters is too long to be read; the most are {_LONGEST:,}")
    try:
        tree = ast.parse(text.strip().replace("^", "**"), mode="eval")
        return _value(tree.body, names, functions, number)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError, ZeroDivisionError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{_shortened(text)} cannot be read as a formula: {error}") from None


def _value(node: ast.expr, names: Mapping[str, Any], functions: Mapping[str, Any], number: Callable[..., Any]) -> Any:
    def of(inner: ast.expr) -> Any:
        return _value(inner, names, functions, number)

    match node:
        case ast.Constant(value=value) if type(value) in (int, float):
            return number(value)
        case ast.Name(id=name) if name in names:
            return names[name]
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return -of(inner)
        case ast.UnaryOp(op=ast.UAdd(), operand=inner):
            return of(inner)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return of(left) + of(right)
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            return of(left) - of(right)
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return of(left) * of(right)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return of(left) / of(right)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _power(of(left), of(right))
        case ast.Call(func=ast.Name(id=name), args=[inner], keywords=[]) if name in functions:
            return functions[name](of(inner))
    raise DataError(f"{_shortened(ast.unparse(node))} is none of a formula's numbers, names, functions and operations")


def _power(base: Any, power: Any) -> Any:
    if getattr(base, "is_Number", False) and getattr(power, "is_Number", False) and abs(power) > _MAX_POWER:
        raise DataError(f"the power {_shortened(f'{base}**{power}')} is too large to be computed")
    return base**power


def _shortened(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
