"""Formulas as MathML: a tree of elements, from which a page is built without parsing any markup.

A tree is ``[name, attributes, children...]``, where a child is a tree or a text. Names of columns are not changed.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sympy

Tree = list[Any]
# SymPy's printer writes these as entities, which a document without a DTD does not know.
_SIGNS = {
    "&ExponentialE;": "e",
    "&ImaginaryI;": "i",
    "&InvisibleTimes;": "\u2062",
    "&#xB7;": "\u00b7",
    "&pi;": "π",
    "&infin;": "∞",
}


def mathml_tree(expression: sympy.Expr, names: Mapping[sympy.Symbol, str] | None = None) -> Tree:
    """The tree of an expression, its symbols under these names.

    >>> import sympy
    >>> x = sympy.Symbol("x")
    >>> mathml_tree(x**2)
    ['msup', {}, ['mi', {}, 'x'], ['mn', {}, '2']]
    """
    from sympy.printing.mathml import MathMLPresentationPrinter

    known = names or {}

    class Printer(MathMLPresentationPrinter):  # type: ignore[misc]
        def _print_Symbol(self, symbol: sympy.Symbol, style: str = "plain") -> Any:
            # SymPy would read indices and Greek letters into a name, which is that of a column.
            element = self.dom.createElement("mi")
            element.appendChild(self.dom.createTextNode(known.get(symbol, symbol.name)))
            return element

    return _tree(Printer()._print(expression))


def equation(name: str, right: Tree) -> Tree:
    """The tree of ``name = right`` as a whole formula."""
    return ["math", {"display": "block"}, ["mrow", {}, ["mi", {}, name], ["mo", {}, "="], right]]


def markup(tree: Tree) -> str:
    """A tree as text of MathML, every name in it escaped.

    >>> markup(["mi", {}, "a<b"])
    '<mi>a&lt;b</mi>'
    """
    name, attributes, *children = tree
    inner = "".join(html.escape(child) if isinstance(child, str) else markup(child) for child in children)
    given = "".join(f' {key}="{html.escape(value)}"' for key, value in attributes.items())
    return f"<{name}{given}>{inner}</{name}>"


def _tree(element: Any) -> Tree:
    """The tree of a node of SymPy's document."""
    attributes = {} if element.attributes is None else dict(element.attributes.items())
    children: list[Any] = []
    for child in element.childNodes:
        if child.nodeType == child.TEXT_NODE:
            children.append(_SIGNS.get(child.data, child.data))
        else:
            children.append(_tree(child))
    return [element.tagName, attributes, *children]
