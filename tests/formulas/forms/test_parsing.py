"""Text of forms: what is read is what is meant, and what is not read is refused with its place."""

from __future__ import annotations

import pytest
import sympy
import torch

from superpose.data import Dataset
from superpose.errors import OptionError, SuperposeError
from superpose.formulas import Formula, parse_form

COLUMNS = ["x", "my col", "Solar.R"]
X, COLUMN, SOLAR = (sympy.Symbol(name, real=True) for name in COLUMNS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 - 2 - 3*x", -1 - 3 * X),
        ("x/2/4", X / 8),
        ("2^x^3", 2 ** (X**3)),
        ("-x^2", -(X**2)),
        ("x**-2", X**-2),
        ("2^-x", 2**-X),
        ("2*-x", -2 * X),
        ("x*3^2", 9 * X),
        ("sqrt(x) + cbrt(x)", sympy.sqrt(X) + sympy.cbrt(X)),
        ("ln(x)*log(x)", sympy.log(X) ** 2),
        ("atan(x) + arctan(x) + abs(x)", 2 * sympy.atan(X) + sympy.Abs(X)),
        ("`my col`*Solar.R", COLUMN * SOLAR),
        ("[x + 1]·x²", (X + 1) * X**2),
        ("x^(2/3)", X ** sympy.Rational(2, 3)),
        ("x^0.5", sympy.sqrt(X)),
    ],
)
def test_operations_bind_as_in_mathematics(text: str, expected: sympy.Expr) -> None:
    assert sympy.simplify(parse_form(text, COLUMNS).expression([]) - expected) == 0


def test_names_that_are_no_columns_are_constants_in_the_order_of_the_text() -> None:
    form = parse_form("V*x^n/(K^n + x^n) + λ*pi", COLUMNS)
    assert form.constants == ("V", "n", "K", "λ")
    assert form.used() == ("x",)


def test_what_a_formula_writes_is_read_back() -> None:
    expression = 0.5 * sympy.exp(-X / COLUMN) + sympy.sqrt(SOLAR) * sympy.log(X + 3) - sympy.tanh(X) ** 2
    formula = Formula((expression,), (X, COLUMN, SOLAR), tuple(COLUMNS), ("y",))
    read = parse_form(str(formula), COLUMNS).expression([])
    assert float(abs((read - expression).subs({X: 1.3, COLUMN: 0.7, SOLAR: 2.1}))) < 1e-12


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("a*(x", "character 3; write the )"),
        ("a*x)", "character 4"),
        ("a*", "ends after character 2"),
        ("__import__('os')", "character 12"),
        ("1e400*x", "character 1; numbers"),
        ("x + 1e-999999999", "character 5; numbers"),
        ("a*x/0", "divides by zero at character 4"),
        ("a*x/(2 - 2)", "divides by zero"),
        ("0^-1*x", "no finite number"),
        ("(-1)^0.5*x", "no finite number"),
        ("9^9^9^9*x", "exponent above 1000"),
        ("a + b", "no column in it; name one of 'x'"),
        ("(" * 900 + "x" + ")" * 900, "50 deep"),
        ("-" * 1500 + "x", "50 deep"),
        ("(" * 10_000 + "x" + ")" * 10_000, "at most 2000"),
        ("+".join(f"a{n}*x" for n in range(50)), "more than 40 unknown constants"),
        ("2x", "write * between"),
        ("a b*x", "character 3; write * between"),
        ("x(3)", "a column, before a ("),
        ("sin*x", "write sin(...), or call a constant differently"),
        ("exq(x)", "did you mean 'exp'"),
        ("f(x)", "no such function"),
        ("y*x", "the target 'y'"),
        ("a*`no`", "no such column"),
        ("a*`my col", "close the name"),
        ("log(x, 2)", "one argument"),
        ("e^x", "write exp(...)"),
        ("a*x; b", "character 4"),
        (None, "is text"),
    ],
)
def test_what_is_no_form_is_refused_in_one_sentence(text: str, words: str) -> None:
    with pytest.raises(OptionError) as caught:
        parse_form(text, COLUMNS, target="y")
    message = str(caught.value)
    assert words in message
    assert len(message) < 250 and "\n" not in message


def test_values_and_derivatives_are_those_of_the_expression() -> None:
    text = "A*exp(-B*x)/(1 + abs(x - C)^D) + log10(x)*E - x^B/C"
    form = parse_form(text, ["x"])
    x = torch.linspace(0.2, 3.0, 7, dtype=torch.float64)
    constants = torch.tensor([[1.2, 0.7, 0.9, 1.6, 2.0], [0.5, 0.1, 2.2, 3.0, -1.0]], dtype=torch.float64)
    values, slopes = form.derivatives([x], constants, range(5))
    step = 1e-6 * torch.eye(5, dtype=torch.float64)
    for row, vector in enumerate(constants):
        data = Dataset.from_arrays(x[:, None], x, feature_names=["x"])
        formula = Formula.from_expressions([form.expression(vector.tolist())], data)
        torch.testing.assert_close(formula.torch(x[:, None])[:, 0], values[row], rtol=1e-12, atol=1e-12)
        differences = (form.values([x], vector + step) - form.values([x], vector - step)) / 2e-6
        torch.testing.assert_close(slopes[row], differences.T, rtol=1e-6, atol=1e-7)


def test_a_power_of_zero_has_a_derivative_by_its_exponent() -> None:
    form = parse_form("x^n", ["x"])
    _, slope = form.derivatives([torch.zeros(1, dtype=torch.float64)], torch.full((1, 1), 1.5).double(), [0])
    assert float(slope) == 0.0


def test_a_name_before_brackets_may_be_a_function_to_be_learnt() -> None:
    assert parse_form("A*x + f(Solar.R)", COLUMNS, open_parts=True).splines == ("f",)
    for text in ("f(x + 1)*x", "exq(x)", "erf(x)", "f(x) + f(Solar.R)"):
        with pytest.raises(SuperposeError):
            parse_form(text, COLUMNS, open_parts=True)
