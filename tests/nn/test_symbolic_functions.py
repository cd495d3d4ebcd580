"""The symbolic functions: one SymPy expression each, and all else derived from it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from superpose.errors import OptionError
from superpose.nn import KAN, library, register, symbolic_functions, sympy_to_torch
from superpose.nn.symbolic_functions import find, torch_function

DOUBLE = torch.float64
NAMES = sorted(symbolic_functions._builtin())
# Where a function is defined, if not everywhere.
DOMAINS = {
    **dict.fromkeys(("sqrt", "1/sqrt", "x^1.5", "log", *(f"1/x^{n}" for n in range(2, 6))), (0.1, 3)),
    "1/x": (0.1, 3),
    **dict.fromkeys(("arcsin", "arccos", "arctanh"), (-0.9, 0.9)),
    "tan": (-1.5, 1.5),
}


# What the names mean, written down once more, in NumPy.
MEANINGS = {
    "0": np.zeros_like,
    "x": np.positive,
    **{f"x^{n}": (lambda x, n=n: x**n) for n in range(2, 6)},
    **{f"1/x^{n}": (lambda x, n=n: x**-n) for n in range(2, 6)},
    "1/x": np.reciprocal,
    "sqrt": np.sqrt,
    "1/sqrt": lambda x: 1 / np.sqrt(x),
    "x^1.5": lambda x: x * np.sqrt(x),
    **{name: getattr(np, name) for name in ["exp", "log", "sin", "cos", "tan", "tanh", "cosh", "sinh", "abs", "sign"]},
    **{name: getattr(np, name) for name in ["arcsin", "arccos", "arctan", "arctanh"]},
    "gaussian": lambda x: np.exp(-x * x),
    "sigmoid": lambda x: np.exp(x) / (1 + np.exp(x)),
}


def places(name: str, count: int = 40) -> Tensor:
    low, high = DOMAINS.get(name, (-2.5, 2.5))
    # An even count: zero, where sign and abs have a corner, is none of them.
    return torch.linspace(low, high, count, dtype=DOUBLE)


def test_the_library_holds_the_functions_of_the_plan() -> None:
    listed = "0 x x^2 x^3 x^4 x^5 1/x 1/x^2 1/x^3 1/x^4 1/x^5 sqrt 1/sqrt x^1.5 exp log sin cos tan"
    listed += " tanh arcsin arccos arctan arctanh cosh sinh abs sign gaussian sigmoid"
    assert set(listed.split()) <= set(library())
    assert library()["0"].complexity < library()["x"].complexity
    assert all(library()["x"].complexity <= f.complexity for n, f in library().items() if n != "0")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [DOUBLE, torch.float32], ids=str)
def test_values_are_those_of_the_name(name: str, dtype: torch.dtype) -> None:
    function, x = find(name), places(name).to(dtype)
    expected = torch.from_numpy(MEANINGS[name](x.double().numpy()))
    values = function.evaluate(x)
    assert values.dtype == dtype and values.shape == x.shape
    tolerance = 1e-12 if dtype == DOUBLE else 1e-4
    torch.testing.assert_close(values.double(), expected, rtol=tolerance, atol=tolerance)
    assert function.evaluate(x.reshape(2, 4, 5)).shape == (2, 4, 5)
    assert function.evaluate(x[:0]).shape == (0,)


@pytest.mark.parametrize("name", NAMES)
def test_derivatives_are_autograds(name: str) -> None:
    function, x = find(name), places(name).requires_grad_()
    (slope,) = torch.autograd.grad((function.evaluate(x) + 0 * x).sum(), x)
    torch.testing.assert_close(function.derivative(x).detach(), slope, rtol=1e-10, atol=1e-10)
    assert function.derivative(x).shape == x.shape


@pytest.mark.parametrize(
    ("name", "outside"),
    [
        *(("log", -1.0), ("log", 0.0), ("sqrt", -1.0), ("1/sqrt", 0.0), ("x^1.5", -1.0)),
        *(("1/x", 0.0), ("sign", math.nan), ("arcsin", 1.5), ("arccos", -1.5), ("arctanh", 1.0), ("arctanh", 2.0)),
    ],
)
def test_outside_its_domain_a_function_is_not_finite(name: str, outside: float) -> None:
    value = find(name).evaluate(torch.tensor([outside], dtype=DOUBLE))
    assert not bool(value.isfinite().any())


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(OptionError) as caught:
        KAN([1, 1]).layer(0).set_symbolic({(0, 0): ("sine", (1.0, 0.0, 1.0, 0.0))})
    message = str(caught.value)
    assert message.startswith("there is no symbolic function named 'sine'; did you mean 'sin'?")


# -- one's own functions


def test_a_registered_function_serves_on_edges_and_in_expressions(own_functions: None) -> None:
    z = sympy.Symbol("z")
    made = register("bell", sympy.exp(-(z**2)) / (1 + z**2), complexity=5)
    assert library()["bell"] is made and made.complexity == 5
    x = places("x")
    torch.testing.assert_close(made.evaluate(x), torch.exp(-(x**2)) / (1 + x**2))
    w = sympy.Symbol("w")
    assert sympy.simplify(made.at(2 * w) - sympy.exp(-4 * w**2) / (1 + 4 * w**2)) == 0
    model = KAN([1, 1])
    model.layer(0).set_symbolic({(0, 0): ("bell", (1.0, 0.0, 2.0, 1.0))})
    torch.testing.assert_close(model(x[:, None])[:, 0], 2 * made.evaluate(x) + 1)
    torch.testing.assert_close(model.copy()(x[:, None]), model(x[:, None]))


def test_a_function_that_torch_cannot_derive_comes_with_its_own(own_functions: None) -> None:
    z = sympy.Symbol("z")

    def gamma(x: Tensor) -> Tensor:
        return torch.exp(torch.lgamma(x))

    def slope(x: Tensor) -> Tensor:
        return gamma(x) * torch.digamma(x)

    with pytest.raises(OptionError, match="torch cannot evaluate gamma"):
        register("gamma", sympy.gamma(z))
    with pytest.raises(OptionError, match=r"the derivative of 'gamma', .*; register it with derivative= too"):
        register("gamma", sympy.gamma(z), evaluate=gamma)
    assert "gamma" not in library()
    made = register("gamma", sympy.gamma(z), evaluate=gamma, derivative=slope)
    x = torch.linspace(1, 4, 7, dtype=DOUBLE)
    torch.testing.assert_close(made.evaluate(x)[[0, 2, 4]], torch.tensor([1.0, 1.0, 2.0]).double())
    again = torch_function(3 * sympy.gamma(z + 1), [z])
    torch.testing.assert_close(again(x), 3 * gamma(x + 1))


def test_gradients_follow_the_derivative_where_autograd_has_none(own_functions: None) -> None:
    z = sympy.Symbol("z", real=True)
    made = register(
        "J0",
        sympy.besselj(0, z),
        evaluate=torch.special.bessel_j0,
        derivative=lambda v: -torch.special.bessel_j1(v),
    )
    x = torch.linspace(-3, 3, 7, dtype=DOUBLE, requires_grad=True)
    (slope,) = torch.autograd.grad((2 * made.evaluate(3 * x)).sum(), x)
    torch.testing.assert_close(slope, -6 * torch.special.bessel_j1(3 * x.detach()))


def test_what_cannot_be_registered_is_refused() -> None:
    z, w = sympy.symbols("z w")
    before = set(library())
    for name, expression, message in (
        ("sin", z**2, "the name 'sin' belongs to a built-in symbolic function; choose another"),
        ("two", z + w, "must have exactly one variable, but its expression has 2"),
        ("none", sympy.Integer(2), "must have exactly one variable, but its expression has 0"),
        ("", z**2, "a symbolic function needs a name, not ''"),
        # Text would have to be evaluated.
        ("text", "z**2", "must be a SymPy expression, not str"),
    ):
        with pytest.raises(OptionError, match=message.replace("(", "\\(")):
            register(name, expression)
    assert set(library()) == before


# -- expressions in torch

LEAVES = st.sampled_from([sympy.Symbol("p"), sympy.Symbol("q")]) | st.sampled_from(
    [sympy.Integer(2), sympy.Rational(-1, 3), sympy.pi, sympy.Float(0.7), sympy.E]
)


def grown(inner: st.SearchStrategy[sympy.Expr]) -> st.SearchStrategy[sympy.Expr]:
    unary = st.sampled_from([sympy.sin, sympy.exp, sympy.tanh, sympy.Abs, sympy.atan, sympy.cosh])
    return (
        st.builds(lambda a, b: a + b, inner, inner)
        | st.builds(lambda a, b: a * b, inner, inner)
        | st.builds(lambda a, n: a**n, inner, st.sampled_from([2, 3, sympy.Rational(1, 2), -1]))
        | st.builds(lambda f, a: f(a), unary, inner)
    )


@given(expression=st.recursive(LEAVES, grown, max_leaves=6))
@settings(max_examples=150)
def test_expressions_are_the_same_in_torch_and_in_numpy(expression: sympy.Expr) -> None:
    assume(not expression.has(sympy.I, sympy.zoo, sympy.nan, sympy.oo))
    p, q = sympy.symbols("p q")
    x = torch.linspace(0.2, 1.1, 5, dtype=DOUBLE), torch.linspace(-0.4, 0.9, 5, dtype=DOUBLE)
    found = torch_function(expression, [p, q])(*x)
    # NumPy warns where a root or a division has no value; that is compared, not the warning.
    with np.errstate(all="ignore"):
        numpy_function = sympy.lambdify([p, q], expression, "numpy")
        theirs = np.broadcast_to(numpy_function(*(value.numpy() for value in x)), (5,))
    finite = np.isfinite(theirs) & (np.abs(theirs) < 1e100)
    np.testing.assert_allclose(found.numpy()[finite], theirs[finite].real, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("function", sorted(sympy_to_torch.torch_table(), key=str), ids=str)
def test_each_function_that_torch_knows_is_sympys(function: type[sympy.Function]) -> None:
    p = sympy.Symbol("p")
    x = torch.tensor([1.2, 2.5] if function in (sympy.acosh, sympy.log) else [-0.7, 0.3, 0.9], dtype=DOUBLE)
    expected = [float(function(value)) for value in x.tolist()]
    torch.testing.assert_close(torch_function(function(p), [p])(x), torch.tensor(expected).to(x))


def test_exponents_may_vary() -> None:
    p, q = sympy.symbols("p q")
    x, y = torch.tensor([2.0, 3.0]), torch.tensor([0.5, -1.0])
    torch.testing.assert_close(torch_function(p**q, [p, q])(x, y), x**y)


def test_slopes_by_a_number_inside_a_function_are_kept() -> None:
    p, q = sympy.symbols("p q", real=True)
    x, c = torch.linspace(0, 1, 5, dtype=torch.float64), torch.tensor(-0.7, dtype=torch.float64, requires_grad=True)
    torch_function(p * sympy.exp(q), [p, q])(x, c).sum().backward()
    torch.testing.assert_close(c.grad, x.sum() * math.exp(-0.7))


def test_constants_become_tensors_of_the_arguments_shape_and_type() -> None:
    p = sympy.Symbol("p")
    values = torch_function(sympy.sin(sympy.pi / 2) + 1, [p])(torch.zeros(3))
    assert values.tolist() == [2, 2, 2] and values.dtype == torch.float32


def test_what_torch_does_not_know_is_named() -> None:
    p = sympy.Symbol("p")
    with pytest.raises(OptionError, match="torch cannot evaluate zeta"):
        torch_function(sympy.zeta(p), [p])
    own = torch_function(2 * sympy.Function("bend")(p), [p], {"bend": torch.square})
    assert own(torch.tensor([3.0])).tolist() == [18]


@pytest.mark.parametrize("constant", [sympy.Integer(-1) ** sympy.Rational(1, 3), sympy.Float(-2.0) ** sympy.pi])
def test_powers_of_numbers_that_are_not_real_are_no_number(constant: sympy.Expr) -> None:
    z = sympy.Symbol("z", real=True)
    assert bool(torch_function(sympy.Mul(constant, z, evaluate=False), [z])(places("x")).isnan().all())
