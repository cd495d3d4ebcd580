"""SymPy expressions as code: one printer for each language, on top of SymPy's own where it has one.

All printers write numbers so that the same float64 is read back, and treat arguments outside a function's domain alike:
the value is NaN where the language has one (Excel and SQL have an error or NULL instead).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from superpose.errors import OptionError
from superpose.messages import quoted

if TYPE_CHECKING:
    import sympy

# SymPy's functions by the name that most languages share.
_COMMON = {
    "exp": "exp",
    "log": "log",
    "sin": "sin",
    "cos": "cos",
    "tan": "tan",
    "asin": "asin",
    "acos": "acos",
    "atan": "atan",
    "sinh": "sinh",
    "cosh": "cosh",
    "tanh": "tanh",
    "asinh": "asinh",
    "acosh": "acosh",
    "atanh": "atanh",
    "Abs": "abs",
    "sign": "sign",
}
# Functions of which languages without NaN raise an error, or go on with a complex number.
_PARTIAL = ("log", "sqrt", "asin", "acos", "acosh", "atanh", "sin", "cos", "tan")


@dataclass(frozen=True)
class Syntax:
    """How a language writes what is more than sums and products.

    Attributes:
        printer: module and name of SymPy's printer for it.
        functions: its name of each SymPy function, and of ``sqrt`` and ``pow``.
        constants: its words for ``pi`` and ``E``; other constants are numbers.
        choice: a value that depends on a condition, of ``{condition}``, ``{then}`` and ``{otherwise}``.
        relations: its signs for ``==`` and ``!=``.
        logic: its patterns for "and", "or" and "not"; the first two stand between their parts if they end in a blank.
        undefined: a value that does not exist.
        inverse: one over something.
        suffix: what follows a number that is no whole one.
        tensors: whether functions take no numbers, so that those of numbers are written as numbers.
    """

    printer: tuple[str, str]
    functions: Mapping[str, str]
    choice: str
    relations: tuple[str, str] = ("==", "!=")
    logic: tuple[str, str, str] = (" && ", " || ", "!({})")
    constants: Mapping[str, str] = field(default_factory=dict)
    undefined: str = "NaN"
    inverse: str = "(1.0/{})"
    suffix: str = ""
    tensors: bool = False


def _functions(pattern: str = "{}({{}})", **others: str) -> dict[str, str]:
    """The functions of a language as patterns of their arguments."""
    names = {**_COMMON, "sqrt": "sqrt"}
    return {name: pattern.format(own) for name, own in names.items()} | others


def _guarded(pattern: str, **others: str) -> dict[str, str]:
    """As :func:`_functions`, with the functions that are not defined everywhere inside a helper."""
    plain = _functions()
    return plain | {name: pattern.format(name) for name in _PARTIAL} | others


_TERNARY = "({condition} ? {then} : {otherwise})"
_BASIC = ("sympy.printing.codeprinter", "CodePrinter")

SYNTAX: Mapping[str, Syntax] = {
    "python": Syntax(
        ("sympy.printing.pycode", "PythonCodePrinter"),
        {
            **_functions("math.{}({{}})", Abs="abs({})", sign="_sign({})", erf="math.erf({})", pow="_power({}, {})"),
            **{name: f"_defined(math.{name}, {{}})" for name in (*_PARTIAL, "exp", "sinh", "cosh")},
        },
        "({then} if {condition} else {otherwise})",
        logic=(" and ", " or ", "not ({})"),
        constants={"Pi": "math.pi", "Exp1": "math.e"},
        undefined="math.nan",
        inverse="_divide(1.0, {})",
    ),
    "c": Syntax(
        ("sympy.printing.c", "C99CodePrinter"),
        _functions(Abs="fabs({})", sign="sign_of({})", erf="erf({})", pow="pow({}, {})"),
        _TERNARY,
        undefined="NAN",
    ),
    # Single precision; for networks.
    "c_float": Syntax(
        ("sympy.printing.c", "C99CodePrinter"),
        _functions("{}f({{}})", Abs="fabsf({})", sign="sign_of({})", erf="erff({})", pow="powf({}, {})"),
        _TERNARY,
        undefined="NAN",
        inverse="(1.0f/{})",
        suffix="f",
    ),
    # Arrays; for networks, since formulas write their NumPy module themselves.
    "numpy": Syntax(
        ("sympy.printing.numpy", "NumPyPrinter"),
        {
            **_functions("numpy.{}({{}})", pow="({})**({})"),
            **{name: f"numpy.arc{name[1:]}({{}})" for name in ("asin", "acos", "atan", "asinh", "acosh", "atanh")},
        },
        "numpy.where({condition}, {then}, {otherwise})",
        logic=(" & ", " | ", "~({})"),
        undefined="numpy.nan",
    ),
    "torch": Syntax(
        ("sympy.printing.pycode", "PythonCodePrinter"),
        _functions("torch.{}({{}})", erf="torch.erf({})", pow="({})**({})"),
        "_choose({condition}, {then}, {otherwise})",
        logic=(" & ", " | ", "~({})"),
        constants={"Pi": "math.pi", "Exp1": "math.e"},
        undefined="math.nan",
        tensors=True,
    ),
    "javascript": Syntax(
        ("sympy.printing.jscode", "JavascriptCodePrinter"),
        _functions("Math.{}({{}})", pow="Math.pow({}, {})"),
        _TERNARY,
        relations=("===", "!=="),
        constants={"Pi": "Math.PI", "Exp1": "Math.E"},
    ),
    "julia": Syntax(
        ("sympy.printing.julia", "JuliaCodePrinter"),
        _guarded("defined({}, {{}})", pow="defined(^, {}, {})"),
        _TERNARY,
    ),
    "matlab": Syntax(
        ("sympy.printing.octave", "OctaveCodePrinter"),
        _guarded("defined({}({{}}))", erf="erf({})", pow="defined(({}).^({}))"),
        "choose({condition}, {then}, {otherwise})",
        relations=("==", "~="),
        logic=(" & ", " | ", "~({})"),
        inverse="(1.0 ./ {})",
    ),
    "excel": Syntax(
        _BASIC,
        {
            **{name: f"{name.upper()}({{}})" for name in _COMMON},
            **{"log": "LN({})", "sqrt": "SQRT({})", "erf": "ERF({})", "pow": "POWER({}, {})"},
        },
        "IF({condition}, {then}, {otherwise})",
        relations=("=", "<>"),
        logic=("AND({})", "OR({})", "NOT({})"),
        constants={"Pi": "PI()", "Exp1": "EXP(1)"},
        undefined="NA()",
    ),
    "sql": Syntax(
        _BASIC,
        {
            **{name: f"{name.upper()}({{}})" for name in _COMMON},
            **{"log": "LN({})", "sqrt": "SQRT({})", "pow": "POWER({}, {})"},
        },
        "CASE WHEN {condition} THEN {then} ELSE {otherwise} END",
        relations=("=", "<>"),
        logic=(" AND ", " OR ", "NOT ({})"),
        undefined="NULL",
    ),
}


def literal(value: float) -> str:
    """A number that every language reads back as the same float64.

    >>> literal(0.1), literal(2.0), literal(1e300), literal(-1e-300)
    ('0.1', '2.0', '1e+300', '-1e-300')
    """
    number = float(value)
    if not math.isfinite(number):
        raise OptionError(f"the formula holds the number {quoted(value)}, which is too large for float64")
    return repr(number)


def printed(expression: sympy.Expr, language: str, names: Mapping[sympy.Symbol, str], known: Mapping[str, str]) -> str:
    """An expression as code.

    Args:
        expression: of the symbols, numbers, the functions of the library, ``Piecewise``, ``Min``, ``Max``.
        language: a key of :data:`SYNTAX`.
        names: how each symbol is written.
        known: further functions of one argument by their names in the expression, and how they are written.

    Raises:
        OptionError: for a function that the language does not have.
    """
    import sympy

    choices = (sympy.Max, sympy.Min, sympy.Heaviside)
    if expression.has(*choices):
        expression = expression.rewrite(choices, sympy.Piecewise)
    text: str = _printer_class(language)(names, known)._print(expression)
    return text


@functools.cache
def _printer_class(language: str) -> Any:
    """The printer of a language: SymPy's, with :class:`_Shared` before it."""
    import importlib

    syntax = SYNTAX[language]
    module, name = syntax.printer
    base = getattr(importlib.import_module(module), name)
    # Some of SymPy's printers have a method for each function.
    methods = {f"_print_{name}": _Shared._print_Function for name in syntax.functions}
    return type(f"Printer_{language}", (_Shared, base), {**methods, "syntax": syntax, "language_name": language})


class _Shared:
    """What the printers of all languages have in common: numbers, functions, powers and conditions.

    It stands before one of SymPy's printers, whose sums and products it keeps.
    """

    syntax: Syntax
    language_name: str
    _print: Any

    def __init__(self, names: Mapping[sympy.Symbol, str], known: Mapping[str, str]) -> None:
        super().__init__()
        self.names, self.known = names, known

    def parenthesize(self, item: Any, level: int, strict: bool = False) -> str:
        # A fraction is one number here.
        if item.is_Rational and item.is_nonnegative:
            return str(self._print(item))
        text: str = super().parenthesize(item, level, strict)  # type: ignore[misc]
        return text

    def _print_Symbol(self, symbol: Any) -> str:
        return self.names[symbol]

    def _print_Float(self, number: Any) -> str:
        return literal(number) + self.syntax.suffix

    def _print_Integer(self, number: Any) -> str:
        # Beyond an int of 32 bits C would need a suffix.
        return str(int(number)) if abs(int(number)) < 2**31 else self._print_Float(number)

    _print_Zero = _print_One = _print_NegativeOne = _print_Integer
    _print_Rational = _print_Half = _print_Float

    def _print_NumberSymbol(self, constant: Any) -> str:
        return self.syntax.constants.get(type(constant).__name__) or self._print_Float(constant)

    _print_Pi = _print_Exp1 = _print_GoldenRatio = _print_EulerGamma = _print_Catalan = _print_NumberSymbol

    def _print_NaN(self, number: Any) -> str:
        return self.syntax.undefined

    _print_ComplexInfinity = _print_ImaginaryUnit = _print_Infinity = _print_NegativeInfinity = _print_NaN

    def _print_Function(self, call: Any) -> str:
        name = call.func.__name__
        if self.syntax.tensors and call.is_number:
            return self._print_Float(call)
        pattern = self.known.get(name) or self.syntax.functions.get(name)
        if pattern is None or len(call.args) != 1:
            raise OptionError(
                f"the formula holds {name}, for which there is no code in {self.language_name}; choose another "
                "language, such as numpy or sympy"
            )
        return pattern.format(self._print(call.args[0]))

    def _print_Pow(self, power: Any, **settings: Any) -> str:
        import sympy
        from sympy.printing.precedence import PRECEDENCE

        base, exponent = power.base, power.exp
        if self.syntax.tensors and power.is_number:
            return self._print_Float(power)
        functions = self.syntax.functions
        if exponent.is_Number and exponent.is_negative:
            below = base if exponent == -1 else sympy.Pow(base, -exponent, evaluate=False)
            return self.syntax.inverse.format(self.parenthesize(below, PRECEDENCE["Pow"]))
        if exponent == sympy.Rational(1, 2):
            return functions["sqrt"].format(self._print(base))
        return functions["pow"].format(self._print(base), self._print(exponent))

    def _print_Mul(self, product: Any) -> str:
        from sympy.core.mul import _keep_coeff
        from sympy.printing.precedence import PRECEDENCE

        if self.language_name != "python":
            text: str = super()._print_Mul(product)  # type: ignore[misc]
            return text
        # Python raises an error for a quotient by zero, so there are no quotients.
        factor, rest = product.as_coeff_Mul()
        parts = (_keep_coeff(-factor, rest) if factor < 0 else product).as_ordered_factors()
        return "-" * bool(factor < 0) + "*".join(self.parenthesize(part, PRECEDENCE["Mul"]) for part in parts)

    def _print_Piecewise(self, pieces: Any) -> str:
        import sympy

        text = self.syntax.undefined
        for value, condition in reversed(pieces.args):
            then = self._print(value)
            if condition == sympy.true:
                text = then
                continue
            text = self.syntax.choice.format(condition=self._print(condition), then=f"({then})", otherwise=f"({text})")
        return text

    def _print_Relational(self, relation: Any) -> str:
        equal, different = self.syntax.relations
        sign = {"==": equal, "!=": different}.get(relation.rel_op, relation.rel_op)
        return f"({self._print(relation.lhs)} {sign} {self._print(relation.rhs)})"

    _print_Equality = _print_Unequality = _print_StrictLessThan = _print_LessThan = _print_Relational
    _print_StrictGreaterThan = _print_GreaterThan = _print_Relational

    def _joined(self, place: int, parts: Any) -> str:
        word, texts = self.syntax.logic[place], [self._print(part) for part in sorted(parts, key=str)]
        return word.format(", ".join(texts)) if "{}" in word else f"({word.join(texts)})"

    def _print_And(self, condition: Any) -> str:
        return self._joined(0, condition.args)

    def _print_Or(self, condition: Any) -> str:
        return self._joined(1, condition.args)

    def _print_Not(self, condition: Any) -> str:
        return self.syntax.logic[2].format(self._print(condition.args[0]))
