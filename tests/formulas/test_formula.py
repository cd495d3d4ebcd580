"""Formula: equal to its network, whatever the network and whatever the columns are called."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Mapping
from typing import Any

import pandas as pd
import pytest
import sympy
import torch
from expressions import TAME, networks, samples, scaled
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from superpose.data import Dataset
from superpose.formulas import Formula
from superpose.nn import KAN

DOUBLE = torch.float64


def agree(found: Tensor, wanted: Tensor, relative: float = 1e-9) -> None:
    """Equal wherever the network is finite and not so large that nothing is left of the digits."""
    usable = torch.isfinite(wanted) & (wanted.abs() < 1e12)
    difference = (found - wanted).abs()[usable]
    size = wanted.abs()[usable].max().clamp(min=1) if bool(usable.any()) else torch.ones(())
    assert bool((difference <= relative * size).all()), float((difference / size).max())


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(*shape, generator=generator, dtype=DOUBLE) - 1


def hello(names: tuple[str, str] = ("x", "y"), target: str = "f") -> KAN:
    """exp(sin(pi x) + y^2) as a symbolic network."""
    model = KAN([2, 1, 1], seed=0, feature_names=names, target_names=[target])
    model.layer(0).set_symbolic({(0, 0): ("sin", (math.pi, 0.0, 1.0, 0.0)), (1, 0): ("x^2", (1.0, 0.0, 1.0, 0.0))})
    model.layer(1).set_symbolic({(0, 0): ("exp", (1.0, 0.0, 1.0, 0.0))})
    return model


def table(model: KAN, count: int = 200) -> Dataset:
    x = samples(model, count)
    with torch.no_grad():
        return Dataset.from_arrays(x, model(x), feature_names=model.feature_names, target_names=model.target_names)


# -- formula equals network


@settings(max_examples=50)
@given(networks(TAME))
def test_a_formula_equals_its_network(model: KAN) -> None:
    x = samples(model, spread=1.5)
    formula = Formula.of(model)
    assert len(formula.expressions) == model.widths[-1] and not formula.splines
    with torch.no_grad():
        agree(formula.torch(x), model(x))


@settings(max_examples=50)
@given(networks())
def test_a_formula_equals_its_network_for_every_function_of_the_library(model: KAN) -> None:
    x = samples(model)
    with torch.no_grad():
        wanted = model(x)
        found = Formula.of(model).torch(x)
    # A pole or a steep power turns the last digit of an activation into any number of digits of the output: rows
    # are compared where the network itself stands still under such a nudge.
    with torch.no_grad():
        nudged = model(x * (1 + 1e-12) + 1e-12)
    steady = (nudged - wanted).abs() <= 1e-9 * wanted.abs().clamp(min=1e-3)
    agree(found[steady], wanted[steady], 1e-7)


@settings(max_examples=30)
@given(networks(TAME, splines=True))
def test_a_formula_with_spline_edges_equals_its_network_too(model: KAN) -> None:
    x = samples(model, spread=1.6)
    formula = Formula.of(model)
    with torch.no_grad():
        agree(formula.torch(x), model(x))


def test_gradients_of_a_formula_are_those_of_the_network() -> None:
    model = scaled(hello())
    x = samples(model, 20).requires_grad_()
    (found,) = torch.autograd.grad(Formula.of(model).torch(x).sum(), x)
    (wanted,) = torch.autograd.grad(model(x).sum(), x)
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)


def test_a_formula_takes_leading_dimensions_and_constant_targets() -> None:
    model = KAN([2, 2], seed=0)
    model.layer(0).set_symbolic({(i, o): (("sin", "0")[o], (1.0, 0.5, 1.0, 0.25)) for i in range(2) for o in range(2)})
    x = random(3, 4, 2)
    values = Formula.of(model).torch(x)
    assert values.shape == (3, 4, 2) and bool((values[..., 1] == 0.5).all())


# -- simplified against data


def test_simplifying_brings_out_the_form_and_keeps_the_values() -> None:
    model = scaled(KAN([2, 1, 1], seed=0, feature_names=["x", "y"]))
    model.set_scaling(table(hello()).x_scale, table(hello()).y_scale)
    center, scale = model.input_center.tolist(), model.input_scale.tolist()
    out_center, out_scale = float(model.output_center), float(model.output_scale)
    pi = math.pi
    model.layer(0).set_symbolic(
        {
            # sin(pi x) + 0.4, its phase three half turns on, and y^2 - 0.4.
            (0, 0): ("sin", (-pi * scale[0], 3 * pi - pi * center[0], 1.0, 0.4)),
            (1, 0): ("x^2", (scale[1], center[1], 1.0, -0.4)),
        }
    )
    model.layer(1).set_symbolic({(0, 0): ("exp", (1.0, 0.7, math.exp(-0.7) / out_scale, -out_center / out_scale))})
    data = table(hello())
    assert Formula.of(model).rmse(data) < 1e-12
    formula = Formula.of(model, data)
    assert str(formula) == "exp(y**2 + sin(pi*x))"
    x, y = formula.symbols
    assert sympy.simplify(formula.expression - sympy.exp(sympy.sin(sympy.pi * x) + y**2)) == 0
    assert formula.rmse(data) < 1e-13 and formula.difference(hello(), data.x) < 1e-13
    assert formula.complexity < Formula.of(model).complexity


@settings(max_examples=6)
@given(networks(("x", "x^2", "sin", "exp", "tanh"), removed=False, most=2))
def test_simplifying_never_makes_a_formula_worse(model: KAN) -> None:
    x = samples(model, 150)
    with torch.no_grad():
        y = model(x)
    if not bool(torch.isfinite(y).all()) or float(y.abs().max()) > 1e6 or float(y.std(0).min()) < 1e-3:
        return
    data = Dataset.from_arrays(x, y)
    plain, simple = Formula.of(model), Formula.of(model, data)
    assert simple.rmse(data, "all") <= max(1.1 * plain.rmse(data, "all"), 1e-8 * float(y.std()))


def test_reading_a_model_gives_the_same_formula_back() -> None:
    model = hello()
    data = table(model)
    formula = Formula.of(model, data)
    model.set_scaling(data.x_scale, data.y_scale)
    read = Formula.read(hello())
    assert str(read) == str(formula) == "exp(y**2 + sin(pi*x))"
    assert read.expressions == formula.expressions


@pytest.mark.parametrize(
    ("name", "constants", "text"),
    [
        ("sin", (3.0, 0.0, 1.0, 0.0), "sin(3*x)"),
        ("exp", (1.0, 0.0, -2.0, 0.5), "1/2 - 2*exp(x)"),
        ("x", (0.5, 0.0, 1.0, 0.0), "x/2"),
        ("x^3", (1.0, 0.0, 4.0, 0.0), "4*x**3"),
    ],
)
def test_reading_needs_no_data(name: str, constants: tuple[float, float, float, float], text: str) -> None:
    model = KAN([1, 1], seed=0, feature_names=["x"])
    model.layer(0).set_symbolic({(0, 0): (name, constants)})
    assert str(Formula.read(model)) == text


def test_several_targets_have_a_formula_each() -> None:
    model = KAN([2, 2], seed=0, feature_names=["x", "y"], target_names=["sum", "wave"])
    model.layer(0).set_symbolic(
        {
            (0, 0): ("x", (1.0, 0.0, 1.0, 0.0)),
            (1, 0): ("x", (2.0, 0.0, 1.0, 0.0)),
            (0, 1): ("sin", (1.0, 0.0, 1.0, 0.0)),
            (1, 1): ("0", (1.0, 0.0, 0.0, 0.0)),
        }
    )
    data = table(model)
    formula = Formula.of(model, data)
    assert str(formula) == "sum = x + 2*y\nwave = sin(x)"
    assert formula.predict(data).shape == (200, 2)
    assert formula.latex().count("\\\\\n") == 1
    assert formula.rmse(data) < 1e-12


def test_errors_are_infinite_where_the_formula_is_not_defined() -> None:
    model = KAN([1, 1], seed=0, feature_names=["x"])
    model.layer(0).set_symbolic({(0, 0): ("log", (1.0, 0.0, 1.0, 0.0))})
    x = random(100, 1)
    assert Formula.of(model).rmse(Dataset.from_arrays(x, x, test=0.5)) == math.inf


def test_predictions_take_columns_by_name() -> None:
    formula = Formula.of(hello())
    frame = pd.DataFrame({"y": [0.5, 0.0], "other": [9.0, 9.0], "x": [0.5, 0.0]})
    assert formula.predict(frame)[:, 0].tolist() == pytest.approx([math.exp(1.25), 1.0])


@pytest.mark.parametrize(("name", "inner"), [("sqrt", -2.0), ("log", -2.0), ("arcsin", 3.0)])
def test_where_a_network_has_no_value_its_formula_has_none(name: str, inner: float) -> None:
    model = KAN([1, 1, 1, 1], seed=0)
    model.layer(0).set_symbolic({(0, 0): ("0", (1.0, 0.0, 1.0, inner))})
    model.layer(1).set_symbolic({(0, 0): (name, (1.0, 0.0, 1.0, 0.0))})
    # Squared, the imaginary part would be gone.
    model.layer(2).set_symbolic({(0, 0): ("x^2", (1.0, 0.0, 1.0, 0.0))})
    x = random(5, 1)
    formula = Formula.of(model)
    assert not bool(torch.isfinite(model(x)).any()) and not bool(torch.isfinite(formula.torch(x)).any())
    assert "1j" not in formula.python().split("return zero")[1]
    assert not formula.expression.has(sympy.I)


# -- columns whose names mean harm

HOSTILE = (
    *("a b", "it's", 'say "x"', "back\\slash", "new\nline", "tab\there", "lambda", "E", "I", "pi", "S", "N", "Q"),
    *("größe", "日本", '"""', "'''", "__import__('os').abort()", "x1", "zero", "numpy", "columns", "{0}", "%s", "$x$"),
    *("a_b", "a^b", "a-b", "1", "sin", "nan", "\\end{document}", "spline_0_0_0", "predict", "#", "&", "~", "None"),
)


@pytest.mark.parametrize("name", HOSTILE)
def test_columns_of_any_name_survive(name: str) -> None:
    other = "plain" if name != "plain" else "other"
    model, ordinary = hello((name, other), "f"), hello()
    data = table(model)
    formula = Formula.of(model, data)
    # The name is a symbol of its own, never a constant, a function or a piece of syntax.
    assert {str(symbol) for symbol in formula.expression.free_symbols} == {name, other}
    assert name in str(formula)
    assert formula.rmse(data) < 1e-12
    frame = pd.DataFrame(data.x.numpy()[:, [1, 0]], columns=[other, name])
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(formula.predict(frame)), ordinary(data.x), rtol=1e-12, atol=1e-12)
    latex = formula.latex()
    assert latex.count("{") - latex.count("\\{") == latex.count("}") - latex.count("\\}")
    for special in "#$%&_^~":
        # Escaped, or the operators that SymPy itself writes.
        if special in name and special not in "_^":
            assert f"\\{special}" in latex or special not in latex
    assert "\\end{document}" not in latex


@given(st.text(min_size=1, max_size=12))
def test_latex_of_any_name_is_balanced(name: str) -> None:
    from superpose.formulas.expressions.formula import _latex_name

    text = _latex_name(name)
    depth = 0
    for place, character in enumerate(text):
        escaped = place > 0 and text[place - 1] == "\\"
        depth += (character == "{" and not escaped) - (character == "}" and not escaped)
        assert depth >= 0
    assert depth == 0


# -- names of columns that mean something else


def read_back(text: str, columns: Mapping[str, Tensor]) -> Tensor:
    """The value of a text by its own rules: columns before constants, functions before brackets, names in backticks."""
    quoted: list[str] = []

    def place(found: re.Match[str]) -> str:
        quoted.append(found[1].replace("``", "`"))
        return f"quoted_{len(quoted) - 1}"

    def value(node: ast.AST) -> Any:
        if isinstance(node, ast.BinOp):
            left, right = value(node.left), value(node.right)
            return {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
                    ast.Pow: operator.pow}[type(node.op)](left, right)  # fmt: skip
        if isinstance(node, ast.UnaryOp):
            return -value(node.operand)
        if isinstance(node, ast.Call):
            assert isinstance(node.func, ast.Name)
            return getattr(torch, node.func.id)(torch.as_tensor(value(node.args[0]), dtype=DOUBLE))
        if isinstance(node, ast.Name):
            name = quoted[int(node.id[7:])] if node.id.startswith("quoted_") else node.id
            return columns[name] if name in columns else {"pi": math.pi, "E": math.e}[name]
        assert isinstance(node, ast.Constant)
        return node.value

    return torch.as_tensor(value(ast.parse(re.sub(r"`((?:[^`]|``)*)`", place, text), mode="eval").body))


@pytest.mark.parametrize(
    "names",
    [
        ("x", "y"),
        ("pi", "E"),
        ("E", "x"),
        ("exp", "sin"),
        ("I", "nan"),
        ("oo", "zoo"),
        ("S", "N"),
        ("a-b", "2"),
        ("sin(x)", "pi*x"),
        ("`", "a b"),
    ],
)
def test_the_text_of_a_formula_can_be_read_back_whatever_the_columns_are_called(names: tuple[str, str]) -> None:
    x = random(200, 2)
    data = Dataset.from_arrays(x, x[:, :1], feature_names=names, target_names=["out"])
    a, b = (sympy.Symbol(name, real=True) for name in names)
    formula = Formula.from_expressions([a * sympy.sin(sympy.pi * b) - sympy.E * b**2 + sympy.exp(2 * a) / 3], data)
    read = read_back(str(formula), dict(zip(names, x.unbind(-1), strict=True)))
    assert float((read - formula.torch(x)[:, 0]).abs().max()) < 1e-10, str(formula)


def test_latex_keeps_columns_and_constants_of_one_name_apart() -> None:
    def latex(name: str) -> str:
        data = Dataset.from_arrays(random(50, 1), random(50, 1), feature_names=[name], target_names=["y"])
        x = sympy.Symbol(name, real=True)
        return Formula.from_expressions([sympy.pi * x + sympy.exp(x)], data).latex()

    assert latex("x") == r"y = \pi x + e^{x}"
    assert latex("e") == r"y = \pi e + \exp{\left(e \right)}"
    assert latex("π") == "y = 3.14159 π + e^{π}"
    assert latex("pi") == r"y = 3.14159 \cdot \mathrm{pi} + e^{\mathrm{pi}}"
