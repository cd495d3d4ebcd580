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
    >>> markup(mathml_tree(2 * x, {x: "length [m]"}))
    '<mrow><mn>2</mn><mo>·</mo><mi>length [m]</mi></mrow>'
    """
    from sympy.printing.mathml import MathMLPresentationPrinter

    known = names or {}
    # Beside a name of several letters a product without a sign reads as one word.
    spelt = any(len(known.get(symbol, symbol.name)) > 1 for symbol in expression.free_symbols)

    class Printer(MathMLPresentationPrinter):  # type: ignore[misc]
        def _print_Symbol(self, symbol: sympy.Symbol, style: str = "plain") -> Any:
            # SymPy would read indices and Greek letters into a name, which is that of a column.
            return self._leaf("mi", known.get(symbol, symbol.name))

        def _print_Function(self, function: sympy.Expr) -> Any:
            # The curve of an edge, ``spline_0_1_2``, as a letter with its place for indices.
            name = str(function.func)
            if not name.startswith("spline_"):
                return super()._print_Function(function)
            letter = self.dom.createElement("msub")
            letter.appendChild(self._leaf("mi", "φ"))
            letter.appendChild(self._leaf("mn", name.removeprefix("spline_").replace("_", ",")))
            made = self.dom.createElement("mrow")
            argument = self._print(function.args[0])
            for part in (letter, self._leaf("mo", "("), argument, self._leaf("mo", ")")):
                made.appendChild(part)
            return made

        def _leaf(self, tag: str, text: str) -> Any:
            element = self.dom.createElement(tag)
            element.appendChild(self.dom.createTextNode(text))
            return element

    return _tree(Printer({"mul_symbol": "dot"} if spelt else None)._print(expression))


def equation(name: str, right: Tree) -> Tree:
    """The tree of ``name = right`` as a whole formula; a long sum has a line for each of its terms."""
    left = [["mi", {}, name], ["mo", {}, "="]]
    lines = _terms(right) if _leaves(right) > _LONG else [right]
    if len(lines) == 1:
        return ["math", {"display": "block"}, ["mrow", {}, *left, right]]
    first, *others = lines
    rows = [["mtr", {}, ["mtd", {}, ["mrow", {}, *left]], ["mtd", {}, first]]]
    rows += [["mtr", {}, ["mtd", {}], ["mtd", {}, line]] for line in others]
    return ["math", {"display": "block"}, ["mtable", {}, *rows]]


# Signs of a formula that stands on one line of a page. A round number.
_LONG = 40


def _leaves(tree: Tree) -> int:
    return sum(1 if isinstance(child, str) else _leaves(child) for child in tree[2:])


def _terms(tree: Tree) -> list[Tree]:
    """The terms of a sum, each with its sign; the tree itself if it is none."""
    lines: list[Tree] = []
    for child in tree[2:] if tree[0] == "mrow" else ():
        sign = child[0] == "mo" and child[2:] in (["+"], ["-"])
        if sign or not lines:
            lines.append(["mrow", {}, child])
        else:
            lines[-1].append(child)
    return lines or [tree]


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
