"""Formulas as MathML, in a form that no program reads as markup: nested lists, from which a page builds its nodes.

A node is ``[tag, attributes, child, ...]``; a child is a node or text. Names of columns are text and nothing else.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sympy

Node = list[Any]

# Digits of constants, as in Formula.short.
_DIGITS = 6


def mathml(expression: sympy.Expr, digits: int = _DIGITS) -> Node:
    """An expression as presentation MathML.

    Args:
        expression: with symbols named like the columns.
        digits: of its constants.

    >>> import sympy
    >>> x = sympy.Symbol("<b>", real=True)
    >>> mathml(x**2)
    ['mrow', {}, ['msup', {}, ['mi', {}, '<b>'], ['mn', {}, '2']]]
    """
    import sympy

    rounded = expression.xreplace({number: _short(number, digits) for number in expression.atoms(sympy.Float)})
    return ["mrow", {}, _node(_printer(digits)._print(rounded))]


def equation(name: str, expression: sympy.Expr, digits: int = _DIGITS) -> Node:
    """A named expression: ``name = expression``.

    >>> import sympy
    >>> equation("y", sympy.Integer(2))[2:4]
    [['mi', {}, 'y'], ['mo', {}, '=']]
    """
    return ["mrow", {}, name_node(name), ["mo", {}, "="], *mathml(expression, digits)[2:]]


def name_node(name: str) -> Node:
    """The name of a column; digits at its end are an index.

    >>> name_node("x1"), name_node("mass [kg]")
    (['msub', {}, ['mi', {}, 'x'], ['mn', {}, '1']], ['mi', {}, 'mass [kg]'])
    """
    found = re.fullmatch(r"([^\W\d_])_?([0-9]{1,3})", name)
    return ["mi", {}, name] if found is None else ["msub", {}, ["mi", {}, found[1]], ["mn", {}, found[2]]]


def _short(number: sympy.Float, digits: int) -> sympy.Expr:
    """A number with fewer digits; a whole one without a point."""
    import sympy

    text = f"{float(number):.{digits}g}"
    return sympy.Integer(text) if re.fullmatch("-?[0-9]+", text) else sympy.Float(text, digits)


def _printer(digits: int) -> Any:
    from sympy.printing.mathml import MathMLPresentationPrinter

    class Printer(MathMLPresentationPrinter):  # type: ignore[misc]
        """Writes symbols by their names, without reading marks of LaTeX in them, and numbers with a power of ten."""

        def _print_Symbol(self, symbol: Any, style: str = "plain") -> Any:
            return self._made(name_node(symbol.name))

        def _print_Float(self, number: Any) -> Any:
            mantissa, _, exponent = f"{float(number):.{digits}g}".partition("e")
            if not exponent:
                return self._made(["mn", {}, mantissa])
            power = ["msup", {}, ["mn", {}, "10"], ["mn", {}, str(int(exponent))]]
            return self._made(["mrow", {}, ["mn", {}, mantissa], ["mo", {}, "·"], power])

        def _made(self, node: Node) -> Any:
            element = self.dom.createElement(node[0])
            element.plain = True
            for child in node[2:]:
                made = self.dom.createTextNode(child) if isinstance(child, str) else self._made(child)
                element.appendChild(made)
            return element

    return Printer({"mul_symbol": "&#xB7;", "root_notation": True})


def _node(element: Any) -> Node:
    attributes = dict(element.attributes.items())
    children = [
        _text(element, child.data) if child.nodeType == child.TEXT_NODE else _node(child)
        for child in element.childNodes
    ]
    return [element.tagName, attributes, *children]


def _text(element: Any, text: str) -> str:
    """The text of a node; SymPy writes its signs as entities, and what stands in a name is no entity."""
    return text if getattr(element, "plain", False) else html.unescape(text).replace("\u2147", "e")
