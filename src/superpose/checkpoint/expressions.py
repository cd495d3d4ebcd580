"""SymPy expressions as lists for JSON, node by node, and back. No text is evaluated.

>>> import sympy
>>> x = sympy.Symbol("x", real=True)
>>> as_lists(2 * sympy.sin(x))
['Mul', ['Integer', '2'], ['sin', ['Symbol', 'x', 'real']]]
>>> from_lists(as_lists(2 * sympy.sin(x)))
2*sin(x)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from superpose.errors import OptionError
from superpose.nn.symbolic_functions import library
from superpose.nn.sympy_to_torch import torch_table

if TYPE_CHECKING:
    import sympy

# Symbols of columns are real. The others are those of searches, and of users.
_ASSUMPTIONS: Mapping[str, dict[str, bool]] = {"real": {"real": True}, "positive": {"positive": True}, "none": {}}


def as_lists(expression: sympy.Basic) -> list[Any]:
    """An expression as nested lists: of each node its kind and its parts.

    Raises:
        OptionError: for an expression that :func:`from_lists` would not give back as it is.
    """
    made = _node(expression)
    if from_lists(made) != expression:
        raise OptionError(f"the expression {expression} holds what cannot be written node by node")
    return made


def _node(node: Any) -> list[Any]:
    import sympy

    if node.is_Symbol:
        for name, assumptions in _ASSUMPTIONS.items():
            if node == sympy.Symbol(node.name, **assumptions):
                return ["Symbol", node.name, name]
    if node.is_Integer:
        return ["Integer", str(int(node))]
    if node.is_Rational:
        return ["Rational", str(int(node.p)), str(int(node.q))]
    if node.is_Float:
        sign, mantissa, exponent, _ = node._mpf_
        # All bits, and how many there may be: decimal digits would not bring both back.
        return ["Float", int(sign), str(int(mantissa)), int(exponent), int(node._prec)]
    kind = type(node).__name__
    parts = [_node(part) for part in node.args]
    if isinstance(node, sympy.core.function.AppliedUndef):
        return ["function", node.func.__name__, *parts]
    return [kind, *parts]


def from_lists(lists: Any) -> sympy.Expr:
    """The expression of nested lists.

    Raises:
        OptionError: if they are not as :func:`as_lists` makes them.
    """
    import sympy

    try:
        kind, *parts = lists
        if kind == "Symbol":
            return sympy.Symbol(_text(parts[0]), **_ASSUMPTIONS[parts[1]])
        if kind == "Integer":
            return sympy.Integer(int(_text(parts[0])))
        if kind == "Rational":
            return sympy.Rational(int(_text(parts[0])), int(_text(parts[1])))
        if kind == "Float":
            sign, mantissa, exponent, precision = parts
            bits = int(_text(mantissa))
            return sympy.Float((int(sign), bits, int(exponent), bits.bit_length()), precision=int(precision))
        if kind == "function":
            made = sympy.Function(_text(parts[0]), real=True)
            return made(*map(from_lists, parts[1:]))
        constants = _constants()
        if kind in constants and not parts:
            return constants[kind]
        # The parts are already as SymPy ordered them: it must not order or simplify them again.
        return _functions()[kind](*map(from_lists, parts), evaluate=False)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise OptionError(f"a node of an expression cannot be read ({type(error).__name__})") from None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _constants() -> dict[str, sympy.Expr]:
    import sympy

    known = (sympy.nan, sympy.zoo, sympy.oo, -sympy.oo, sympy.I, sympy.pi, sympy.E, sympy.GoldenRatio)
    return {type(one).__name__: one for one in (*known, sympy.EulerGamma, sympy.Catalan)}


def _functions() -> dict[str, Callable[..., sympy.Expr]]:
    """Sums, products, powers, and the functions of the library, those that were registered included."""
    import sympy

    nodes = [sympy.Add, sympy.Mul, sympy.Pow, *torch_table()]
    for function in library().values():
        nodes += [node.func for node in function.expression.atoms(sympy.Function)]
    return {node.__name__: node for node in nodes}
