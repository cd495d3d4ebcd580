"""compile_formula: the network has the values of the expression, and says it again."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sympy
import torch
from expressions import random, real, trees, x, y
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

import superpose
from superpose import KAN, DataError, Dataset, Formula, OptionError, load, register, save
from superpose.formulas import compile_formula
from superpose.formulas.expressions.splines import SplineEdge, absorb_constants
from superpose.nn.symbolic_functions import find, power, torch_function
from superpose.spline.grid import uniform_knots

DOUBLE = torch.float64
a, b, c, d = sympy.symbols("a b c d", real=True)
third = sympy.Rational(1, 3)


def agree(found: Tensor, wanted: Tensor, nudged: Tensor) -> None:
    """Equal where the expression is finite and its digits mean something: not next to a pole or a jump."""
    usable = torch.isfinite(wanted) & (wanted.abs() < 1e9) & torch.isfinite(nudged)
    usable &= (nudged - wanted).abs() < 1e-5 * wanted.abs().clamp(min=1)
    assert bool(torch.isfinite(found[usable]).all())
    difference = (found - wanted)[usable].abs() / wanted[usable].abs().clamp(min=1)
    assert float(difference.max() if len(difference) else 0.0) < 1e-8


powers = st.one_of(
    st.floats(-4, 4).filter(lambda value: abs(value) > 1e-3).map(sympy.Float),
    st.fractions(-4, 4, max_denominator=9).filter(bool).map(lambda q: sympy.Rational(q.numerator, q.denominator)),
)
own = st.recursive(
    trees.filter(real),
    lambda inner: st.one_of(
        st.builds(lambda base, exponent: base**exponent, inner, powers),
        st.builds(lambda base, exponent: sympy.Abs(base) ** exponent, inner, inner),
        st.builds(sympy.Mul, inner, inner, inner),
    ),
    max_leaves=3,
)


def moderate(expression: sympy.Expr) -> bool:
    """Real, and without numbers and exponents that are beyond floats."""
    numbers = [abs(number) for number in expression.atoms(sympy.Number)]
    exponents = [abs(one.exp) for one in expression.atoms(sympy.Pow) if one.exp.is_Number]
    constants = [part for part in sympy.preorder_traversal(expression) if not part.free_symbols]
    if any(part.is_real is False for part in constants) or expression.has(sympy.re, sympy.im, sympy.arg):
        return False
    return real(expression) and all(n < 1e100 for n in numbers) and all(n < 100 for n in exponents)


@settings(max_examples=60, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(own.filter(moderate), st.booleans())
def test_any_expression_becomes_a_network_of_its_values(expression: sympy.Expr, on_data: bool) -> None:
    points = 2 * random(50, 2)

    def values(nudge: float) -> Tensor:
        """Of the expression; NaN where a part of it has no finite value, as in a network."""
        columns = (points + nudge).unbind(-1)
        parts = [part for part in sympy.preorder_traversal(expression) if part.free_symbols]
        finite = [torch.isfinite(torch_function(part, (x, y))(*columns)) for part in parts]
        whole = torch_function(expression, (x, y))(*columns)
        return torch.where(torch.stack([torch.isfinite(whole), *finite]).all(0), whole, torch.nan)

    with torch.no_grad():
        usable = bool((torch.isfinite(values(0.0)) & (values(0.0).abs() < 1e6)).sum() > 5)
        model = compile_formula(expression, [x, y], "z", data=points if on_data and usable else None)
        agree(model(points)[:, 0], values(0.0), values(1e-9))
        written = Formula.of(model).torch(points)[:, 0]
        agree(written, model(points)[:, 0], model(points + 1e-9)[:, 0])
    for layer in model.kan_layers():
        assert layer.symbolic is not None and len(layer.symbolic.edges) == int(layer.mask.sum())


SHAPES: list[tuple[Any, Any]] = [
    (a**2 + sympy.sin(sympy.pi * b), [2, 1]),
    (sympy.exp(b**2 + sympy.sin(sympy.pi * a)), [2, 1, 1]),
    (a * b, [2, [0, [2]]]),
    (a**2 * b**-3 * sympy.sqrt(c) * sympy.cos(d), [4, [0, [4]]]),
    (a * (b + c * d * sympy.sin(a)), [4, [2, [3]], [0, [2]]]),
    (a * b + c, [3, [1, [2]], 1]),
    ((a + b) * (c + d) * (a - d), [4, [0, [3]]]),
    ((a + b) / (1 + a * b), [2, [1, [2]], [0, [2]]]),
    (a * (b + 2), [2, [0, [2]]]),
    (sympy.sin(a) + 0.25, [1, 1]),
    (a + a**2, [1, 2, 1]),
    (sympy.exp(-(a**2)), [1, 1]),
    (sympy.exp(-(a**2) / 2), [1, 1, 1]),
    (2 / (1 + sympy.exp(-3 * a * b)), [2, [0, [2]], 1]),
    (sympy.sqrt((a - b) ** 2 + (c - d) ** 2), [4, 2, 1, 1]),
    (sympy.tanh(5 * (a**4 + b**4 + c**4 - 1)), [3, 1, 1]),
    (a ** (2 * third) + b ** sympy.Float(-2.5) + c ** sympy.Float(0.1), [3, 1]),
    (2**a, [1, 1]),
    (sympy.pi * (a + b) * c, [3, [0, [2]]]),
    (a, [1, 1]),
]


@pytest.mark.parametrize(("expression", "shape"), SHAPES, ids=[str(one) for one, _ in SHAPES])
def test_networks_are_shallow_and_say_their_formula_again(expression: sympy.Expr, shape: Any) -> None:
    names = sorted(symbol.name for symbol in expression.free_symbols)
    points = 0.6 + 0.4 * random(200, len(names))
    columns = [sympy.Symbol(name, real=True) for name in names]
    wanted = torch_function(expression, columns)(*points.unbind(-1))
    for data in (None, points):
        model = compile_formula(expression, data=data)
        assert model.shape == shape and model.feature_names == tuple(names)
        with torch.no_grad():
            torch.testing.assert_close(model(points)[:, 0], wanted, rtol=1e-14, atol=1e-14)
        # To the last digits that floats can hold, of SymPy's own arithmetic.
        place = {symbol: sympy.Rational(7 + n, 11) for n, symbol in enumerate(columns)}
        said = Formula.of(model).expression.subs(place).evalf(30)
        assert abs(said / expression.subs(place).evalf(30) - 1) < 2e-15
    read = Formula.read(model)
    assert read.complexity <= 1.5 * sum(1 for _ in sympy.preorder_traversal(expression)) + 6, str(read)
    with torch.no_grad():
        torch.testing.assert_close(read.torch(points)[:, 0], wanted, rtol=1e-9, atol=1e-9)


def test_constants_are_exact_with_data_of_any_units() -> None:
    constant = 0.1 + 0.2
    expression = constant * sympy.sin(1.7e8 * a) * b
    points = random(100, 2) * torch.tensor([3e-8, 7e30])
    model = compile_formula(expression, data=points)
    assert Formula.of(model).expression.atoms(sympy.Float) >= {sympy.Float(1.7e8)}
    assert float(model.input_scale[0]) == 2.0**-24 and float(model.input_center[0]) == 0.0
    with torch.no_grad():
        wanted = constant * torch.sin(1.7e8 * points[:, 0]) * points[:, 1]
        torch.testing.assert_close(model(points)[:, 0], wanted, rtol=1e-14, atol=0.0)
        low, high = model.trace(points).layers[0].inputs.amin(0), model.trace(points).layers[0].inputs.amax(0)
    knots = model.layer(0).knots
    assert bool((knots[:, 3] <= low).all() and (knots[:, -4] >= high).all() and (high - low <= 2).all())


def test_several_targets_share_their_nodes() -> None:
    root = sympy.sqrt(a**2 + b**2)
    model = compile_formula([a / root, b / root, root, a * b, sympy.Integer(3)], targets=["c", "s", "r", "p", "k"])
    points = random(50, 2)
    size = points.norm(dim=1)
    wanted = torch.stack(
        [points[:, 0] / size, points[:, 1] / size, size, points.prod(1), torch.full_like(size, 3.0)], 1
    )
    with torch.no_grad():
        torch.testing.assert_close(model(points), wanted, rtol=1e-13, atol=1e-13)
    assert model.widths[1] <= 5 and model.target_names == ("c", "s", "r", "p", "k")


def test_columns_that_are_not_used_have_no_edges() -> None:
    model = compile_formula(b**2, ["a", "b", "c"], "target")
    assert model.active_edges() == [(0, 1, 0)] and model.feature_names == ("a", "b", "c")


def test_a_compiled_model_can_be_refitted_pruned_saved_and_trained(tmp_path: Path) -> None:
    points = 1 + 0.5 * random(300, 2)
    expression = a ** (2 * third) * b + 0.5 * a**-0.3
    with torch.no_grad():
        y_values = compile_formula(expression)(points)
    data = Dataset.from_arrays(points, y_values, feature_names=["a", "b"])
    model = compile_formula(1.1 * a ** (2 * third) * b + 0.45 * a**-0.3, data=data)
    refitted = superpose.edit.refit(model, data)
    with torch.no_grad():
        torch.testing.assert_close(refitted(points), y_values, rtol=1e-9, atol=1e-9)
    save(refitted, tmp_path / "model")
    again = load(tmp_path / "model")
    assert again.shape == model.shape and torch.equal(again(points), refitted(points))
    assert superpose.prune(again, data).shape == model.shape
    # Training goes on from where it is: the scaling is the model's own.
    before = float((compile_formula(expression, data=data)(points) - y_values).detach().abs().max())
    history = superpose.fit(model, data, grids=(5,), steps=5, progress=False)
    plain = compile_formula(expression)
    superpose.fit(plain, data, grids=(5,), steps=1, progress=False)
    assert plain.input_scale.tolist() == [1.0, 1.0]
    assert before < 1e-14 and history.validation_rmse < 1e-3


def test_registered_functions_are_recognised(own_functions: None) -> None:
    z = sympy.Symbol("z")
    register(
        "J0", sympy.besselj(0, z), evaluate=torch.special.bessel_j0, derivative=lambda v: -torch.special.bessel_j1(v)
    )
    register("sinc", sympy.sin(z) / z)
    points = 1.5 + random(30, 2)
    model = compile_formula(sympy.exp(sympy.besselj(0, 20 * a) + b**2))
    assert model.shape == [2, 1, 1]
    wanted = torch.exp(torch.special.bessel_j0(20 * points[:, 0]) + points[:, 1] ** 2)
    torch.testing.assert_close(model(points)[:, 0].detach(), wanted)
    sinc = compile_formula(sympy.sin(2 * a) / (2 * a) + b)
    assert sinc.layer(0).symbolic is not None and "sinc" in sinc.layer(0).symbolic.names.values()
    torch.testing.assert_close(
        sinc(points)[:, 0].detach(), torch.sin(2 * points[:, 0]) / (2 * points[:, 0]) + points[:, 1]
    )


@pytest.mark.parametrize(
    ("expression", "options", "message"),
    [
        ("a + b", {}, "a formula is compiled from a SymPy expression, not from a str"),
        (sympy.Piecewise((a, a > 0), (0, True)), {}, "Piecewise is no function of the library"),
        (sympy.gamma(a), {}, "gamma is no function of the library"),
        (a + sympy.I, {}, "the expression holds I, which is no finite real number"),
        (sympy.sin(a) * sympy.zoo, {}, "the expression holds zoo, which is no finite real number"),
        (a**2000, {}, "an exponent must be a number from -1000 to 1000"),
        (sympy.Integer(2), {}, "features must be one or more different names"),
        (a + b, {"features": ["a", "bb"]}, "the expression holds 'b', which is no feature; did you mean 'bb'?"),
        (a + b, {"features": ["a", "a"]}, "features must be one or more different names"),
        (a + b, {"targets": "a"}, "targets must be 1 different names"),
        ([a, b], {"targets": "z"}, "targets must be 2 different names"),
    ],
)
def test_what_cannot_be_compiled_is_refused(expression: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        compile_formula(expression, **options)
    assert str(caught.value).startswith(message)


def some_spline(name: str = "bend", size: int = 7, degree: int = 3) -> SplineEdge:
    knots = uniform_knots(torch.tensor([-4.0]).double(), torch.tensor([4.0]).double(), size, degree)[0]
    return SplineEdge(name, knots, random(size + degree, 1)[:, 0], degree, "none")


bend = sympy.Function("bend", real=True)


@pytest.mark.parametrize("on_data", [False, True])
@pytest.mark.parametrize(
    "expression",
    [
        sympy.exp(bend(a) + b**2),
        3 * bend(2 - a / 2) - b,
        b * bend(a) + sympy.sin(a),
        bend(a * b) ** 2,
        bend(a) + bend(a + b),
    ],
)
def test_splines_become_edges_that_are_these_splines(expression: sympy.Expr, on_data: bool) -> None:
    # Further than one from zero, so that a scaling by powers of two changes something.
    spline, points = some_spline(), 1.9 * random(60, 2)
    model = compile_formula(expression, ["a", "b"], data=points if on_data else None, splines={"bend": spline})
    wanted = torch_function(expression, [a, b], {"bend": spline})(*points.unbind(-1))
    torch.testing.assert_close(model(points)[:, 0].detach(), wanted, rtol=1e-9, atol=1e-9)
    assert any(bool(layer.spline_mask().any()) for layer in model.kan_layers())
    torch.testing.assert_close(Formula.of(model).torch(points)[:, 0], wanted, rtol=1e-9, atol=1e-9)


def test_splines_that_one_layer_cannot_hold_are_refused() -> None:
    curl = sympy.Function("curl", real=True)
    with pytest.raises(OptionError, match="the splines of one layer must have one degree"):
        compile_formula(bend(a) + curl(b), splines={"bend": some_spline(), "curl": some_spline("curl", 9)})
    with pytest.raises(OptionError, match="two splines of one column must have the same knots"):
        compile_formula(bend(a) * bend(2 * a), splines={"bend": some_spline()})
    based = replace(some_spline(), rows=torch.ones(11, dtype=DOUBLE), base="silu")
    with pytest.raises(OptionError, match="bend has a base function"):
        compile_formula(bend(a), splines={"bend": based})


@pytest.mark.parametrize(
    "expression", [2.5 * bend(a) + 1.5 + b, 3 * sympy.exp(bend(a) - b + 0.5), b * sympy.exp(2 * bend(a * b)) - bend(b)]
)
def test_constants_beside_a_spline_go_into_it(expression: sympy.Expr) -> None:
    splines, points = {"bend": some_spline()}, random(60, 2)
    found, made = absorb_constants(expression, splines)
    wanted = torch_function(expression, [a, b], splines)(*points.unbind(-1))
    torch.testing.assert_close(torch_function(found, [a, b], splines | made)(*points.unbind(-1)), wanted)
    assert not found.atoms(sympy.Float) and made


def test_samples_outside_the_domain_are_refused() -> None:
    with pytest.raises(DataError, match="fewer than two of the samples"):
        compile_formula(sympy.log(a), data=-1 - random(20, 1).abs())


def test_targets_get_a_name_that_no_column_has() -> None:
    assert compile_formula(x * y).target_names == ("f",) and compile_formula(a).target_names == ("y",)
    # Formula.read has its own samples, whatever the names.
    model = KAN([1, 1], feature_names=["y"], target_names=["y"])
    model.layer(0).set_symbolic({(0, 0): ("x^2", (1.0, 0.0, 1.0, 0.0))})
    assert str(Formula.read(model)) == "y**2"


# -- powers on demand


@given(st.one_of(st.integers(-30, 30), st.floats(-9, 9), st.fractions(-9, 9, max_denominator=40)).filter(bool))
def test_powers_have_one_name_by_which_they_are_found(exponent: Any) -> None:
    value = float(exponent)
    if abs(value) < 1e-200:
        return
    number = sympy.Rational(exponent.numerator, exponent.denominator) if hasattr(exponent, "numerator") else exponent
    made = power(number)
    assert find(made.name).expression == made.expression
    points = torch.linspace(0.4, 2.0, 20, dtype=DOUBLE)
    torch.testing.assert_close(made.evaluate(points), points**value, rtol=1e-13, atol=0.0)
    torch.testing.assert_close(made.derivative(points), value * points ** (value - 1), rtol=1e-12, atol=0.0)
    assert power(sympy.Float(value)).name == made.name or made.expression.exp.q not in (1, 2, 4, 8, 16, 32)


@pytest.mark.parametrize("name", ["x^6", "x^-7", "x^(2/3)", "x^(-7/4)", "x^0.123", "x^1e-05"])
def test_names_of_powers(name: str) -> None:
    assert find(name).name == name and name not in superpose.library()
    with pytest.raises(OptionError, match="belongs to a built-in"):
        register(name, x**2)


@pytest.mark.parametrize(
    "name",
    [
        "x^2.0",
        "x^(4/6)",
        "x^(1/0)",
        "x^0",
        "x^(6/1)",
        "x^1_0",
        "x^nan",
        "x^inf",
        "x^1e999",
        "x^ 6",
        "x^(2/3",
        "x^06",
        "x^-2",
        "x^(1/2)",
        "x^" + "9" * 50,
        "x^(-1/2)",
        "x^٣",
        "x^5000",
        "x^__import__('os')",
        "x^(2/3)(",
        "x^+6",
    ],
)
def test_other_names_are_no_powers(name: str) -> None:
    with pytest.raises(OptionError, match="there is no symbolic function named"):
        find(name)


def test_edges_can_be_fixed_to_powers() -> None:
    points = 1.5 + random(200, 1)
    data = Dataset.from_arrays(points, points ** (2 / 3))
    model = KAN([1, 1], grid_size=8)
    superpose.fit(model, data, grids=(8, 16), progress=False)
    fixed = superpose.edit.refit(superpose.edit.fix(model, data, (0, 0, 0), "x^(2/3)"), data, steps=200)
    assert Formula.of(fixed, data).rmse(data) < 1e-8
    assert math.isfinite(superpose.edit.suggest(model, data, (0, 0, 0), functions=["x^(2/3)", "x"])[0].score)


def test_factors_stand_in_the_order_of_the_columns() -> None:
    p, q, r = sympy.symbols("p q r", real=True)
    for expression in ((r + 1) * sympy.exp(p) * q**2, sympy.sin(r) * q / p, r**2 * q * p):
        model = compile_formula(expression, ["p", "q", "r"])
        assert model.active_edges() == [(0, 0, 0), (0, 1, 1), (0, 2, 2)], expression
