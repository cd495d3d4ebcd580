"""Formulas as MathML, trees in which names are texts, and curves of edges in LaTeX."""

from __future__ import annotations

from xml.dom import minidom

import sympy

from superpose.formulas.expressions.mathml import equation, markup, mathml_tree

X, Y = sympy.symbols("x y", real=True)


def texts(markup: str) -> str:
    """All that is written in it, one after another."""

    def read(node: minidom.Node) -> str:
        if node.nodeType == node.TEXT_NODE:
            return str(node.nodeValue)
        return "".join(read(child) for child in node.childNodes)

    return read(minidom.parseString(markup).documentElement)


def test_names_of_columns_stand_as_they_are() -> None:
    name = "alpha_1 <b>&amp;"
    written = markup(equation("f<", mathml_tree(X + sympy.pi, {X: name})))
    assert name in texts(written) and "<b>" not in written
    assert texts(written).startswith("f<=")


def test_every_function_of_the_library_is_written() -> None:
    import superpose

    for function in superpose.library().values():
        written = markup(mathml_tree(function.at(2.5 * X - 0.5)))
        assert "x" in texts(written) or function.name == "0"
        # No name of an entity, which a page without a document type does not know.
        assert "&amp;" not in written


def test_curves_of_edges_are_letters_with_indices() -> None:
    curve = sympy.Function("spline_0_1_2", real=True)(X + 1)
    assert markup(mathml_tree(curve)).startswith("<mrow><msub><mi>φ</mi><mn>0,1,2</mn></msub><mo>(</mo>")


def test_a_long_sum_has_a_line_for_each_term() -> None:
    long = sum((sympy.Function(f"spline_{k}", real=True)(2.5 * X + 1.5 * Y + k) for k in range(5)), sympy.Integer(0))
    assert markup(equation("f", mathml_tree(long))).count("<mtr>") == 5
    assert "<mtr>" not in markup(equation("f", mathml_tree(X + Y)))
    whole = texts(markup(equation("f", mathml_tree(long))))
    assert whole.count("φ") == 5 and whole.count("=") == 1


def test_curves_of_edges_have_indices_in_latex_too() -> None:
    import superpose

    written = superpose.Formula.of(superpose.KAN([1, 12, 1], seed=0)).latex()
    assert r"\varphi_{0,0,11}\left(x_{1} \right)".replace("x_{1}", r"\mathrm{x1}") in written
    assert "spline" not in written
