"""A formula as the text of a Python module that needs nothing but NumPy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sympy

from superpose.formulas.expressions.splines import SplineEdge

_HEAD = '''"""{title}

Written by superpose. Needs NumPy only:

    predict(**columns) takes the columns {columns}
    as arrays or numbers and returns {targets}.
{meanings}"""

import numpy

COLUMNS = {columns!r}
TARGETS = {targets!r}
'''

_SPLINE = '''

def _spline(x, knots, coefficients, degree, base):
    """A B-spline that goes on as a straight line outside its knots, plus a weighted base function."""
    x = numpy.asarray(x, dtype=float)
    knots, coefficients = numpy.asarray(knots), numpy.asarray(coefficients)
    count = len(knots) - degree - 1
    low, high = knots[degree], knots[count]
    inside = numpy.clip(x, low, high)
    filled = [m for m in range(degree, count) if knots[m] < knots[m + 1]]
    place = numpy.clip(numpy.searchsorted(knots[filled], inside, side="right") - 1, 0, None)
    interval = numpy.asarray(filled)[place]

    def triangle(coefficients, degree, offset):
        # de Boor's algorithm on knots whose first `offset` entries are left out.
        parts = [coefficients[interval - offset - degree + j] for j in range(degree + 1)]
        for stage in range(1, degree + 1):
            for j in range(degree, stage - 1, -1):
                left = knots[interval - degree + j]
                right = knots[interval + 1 + j - stage]
                share = (inside - left) / (right - left)
                parts[j] = (1 - share) * parts[j - 1] + share * parts[j]
        return parts[degree]

    value = triangle(coefficients[:count], degree, 0)
    if degree:
        widths = knots[degree + 1 : count + degree] - knots[1:count]
        steps = degree * numpy.diff(coefficients[:count]) / numpy.where(widths > 0, widths, 1.0)
        value = value + triangle(steps, degree - 1, 1) * (x - inside)
    if base == "silu":
        value = value + coefficients[count] * x * 0.5 * (1.0 + numpy.tanh(0.5 * x))
    elif base == "identity":
        value = value + coefficients[count] * x
    return value
'''

_BODY = '''

def predict(**columns):
    """The formula at the given columns; every column in COLUMNS must be given, by name."""
    missing = [name for name in COLUMNS if name not in columns]
    if missing:
        raise TypeError("predict needs the columns " + ", ".join(repr(name) for name in missing))
    {arguments} = (numpy.asarray(columns[name], dtype=float) for name in COLUMNS)
    zero = sum(0.0 * value for value in ({arguments}))
{returns}
'''


def module(
    expressions: Sequence[sympy.Expr],
    symbols: Sequence[sympy.Symbol],
    feature_names: tuple[str, ...],
    target_names: tuple[str, ...],
    splines: Mapping[str, SplineEdge],
    meanings: Mapping[str, str] | None = None,
) -> str:
    """The module's text. Names of columns appear in it as string literals only, never as code.

    ``meanings`` says in words how columns were made of those of a table.
    """
    import sympy
    from sympy.printing.numpy import NumPyPrinter

    arguments = [sympy.Symbol(f"x{n}", real=True) for n in range(len(symbols))]
    renamed = dict(zip(symbols, arguments, strict=True))
    known = {name: f"_{name}" for name in splines}
    printer = NumPyPrinter({"fully_qualified_modules": True, "user_functions": known, "allow_unknown_functions": True})
    codes = [printer.doprint(expression.xreplace(renamed)) for expression in expressions]
    if len(codes) == 1:
        returns = f"    return zero + ({codes[0]})"
    else:
        parts = ",\n        ".join(f"zero + ({code})" for code in codes)
        returns = f"    return (\n        {parts},\n    )"
    names = "".join(f"{symbol}, " for symbol in arguments)
    text = _HEAD.format(
        title=_in_docstring(f"Formula for {', '.join(target_names)}."),
        columns=_Literal(feature_names),
        targets=_Literal(target_names),
        meanings="".join(f"\n    {_in_docstring(f'{name}: {text}')}" for name, text in (meanings or {}).items())
        + ("\n" if meanings else ""),
    )
    if splines:
        text += _SPLINE + "".join(_spline_function(edge) for edge in splines.values())
    return text + _BODY.format(arguments=names.strip(), returns=returns)


class _Literal:
    """Names as a tuple of string literals in code, and as plain text that cannot end the docstring around it."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names

    def __repr__(self) -> str:
        return "(" + "".join(f"{name!a}, " for name in self.names).strip() + ")"

    def __str__(self) -> str:
        return _in_docstring(", ".join(self.names))

    def __format__(self, spec: str) -> str:
        return str(self)


def _in_docstring(text: str) -> str:
    """Text that is safe between triple quotes: printable ASCII without backslashes, quotes or braces' meaning."""
    return "".join(c if c.isascii() and c.isprintable() and c not in '\\"' else "?" for c in text)


def _spline_function(edge: SplineEdge) -> str:
    knots, rows = edge.knots.tolist(), edge.rows.tolist()
    return (
        f"\n\ndef _{edge.name}(x):\n    knots = {knots!r}\n    coefficients = {rows!r}\n"
        f"    return _spline(x, knots, coefficients, {edge.degree}, {edge.base!r})\n"
    )
