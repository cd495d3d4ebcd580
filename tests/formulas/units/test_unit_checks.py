"""Units: read as data, consistent in products and powers, and what a formula demands of its constants."""

from __future__ import annotations

from fractions import Fraction

import pytest
import sympy

pytest.importorskip("pint")

from helpers import is_one_sentence
from superpose.errors import OptionError
from superpose.formulas import Formula, check_units
from superpose.formulas.units import reading
from superpose.formulas.units.groups import dimensionless_groups
from superpose.formulas.units.naming import named
from superpose.formulas.units.reading import read_unit, read_units, units_in_names
from superpose.formulas.units.unit import Unit

A, B, C = sympy.Float(2.1e8), sympy.Float(4820.0), sympy.Float(3.5)
x, y, t = sympy.symbols("x y t", real=True)


def found(expression: sympy.Expr, **units: str):
    symbols = tuple(sorted(expression.free_symbols, key=str))
    formula = Formula((expression,), symbols, tuple(map(str, symbols)), ("f",))
    return check_units(formula, units)


@pytest.mark.parametrize("texts", [("J", "kg m^2/s^2", "N*m", "kg m2 s-2", "W s"), ("Hz", "1/s", "s^-1", "s⁻¹")])
def test_texts_for_one_unit_have_equal_exponents_and_sizes(texts: tuple[str, ...]) -> None:
    units = [read_unit(text) for text in texts]
    assert all((unit * units[0] ** -1).is_one for unit in units)


def test_products_and_powers_of_units_follow_the_rules_of_exponents() -> None:
    force, length = read_unit("kN"), read_unit("mm")
    assert ((force * length) ** 2 * (force**2 * length**2) ** -1).is_one
    assert ((length ** Fraction(1, 2)) ** 2 * length**-1).is_one
    assert (length**0).is_one and (force * force**-1).is_one
    assert read_unit("km/h").size == pytest.approx(1 / 3.6)


@pytest.mark.parametrize(
    "text",
    [
        *("", "foo", "m/", "m+s", "m^", "9**9**9**9", "m^999999999", "m^1e9", "1e999 m", "m^1/2", "J/kg K", "pH", "dB"),
        *(
            "__import__('os').getcwd()",
            "m.__class__",
            "(m",
            "((((((((m))))))))",
            "m*" * 50 + "m",
            "m\nkg",
            "lambda: 0",
            "m;s",
        ),
    ],
)
def test_what_is_no_unit_is_answered_with_one_sentence(text: str) -> None:
    with pytest.raises(OptionError) as error:
        read_unit(text, "column 'v'")
    assert is_one_sentence(str(error.value)) and "column 'v'" in str(error.value)


def test_pint_is_asked_for_single_names_only(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Registry:
        def parse_units(self, name: str) -> None:
            asked.append(name)
            raise ValueError

    monkeypatch.setattr(reading, "registry", Registry)
    reading._named.cache_clear()
    for text in ("kg*m**2", "os.system('x')", "m^(1/2) s", "eval(1)", "__import__('os')"):
        with pytest.raises(OptionError):
            read_unit(text)
    for text in ("os.system", "m s", "m**2", "(m)", "m()"):
        assert reading._named(text) is None
    reading._named.cache_clear()
    assert asked and all(name.isalnum() for name in asked)


def test_a_missing_pint_is_said_with_the_extra_that_adds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading.importlib.util, "find_spec", lambda name: None)
    reading.registry.cache_clear()
    with pytest.raises(OptionError, match=r"superpose\[units\]"):
        reading.registry()


def test_units_in_names_are_those_in_brackets_at_the_end() -> None:
    names = ["mass [kg]", "v (m/s)", "depth (measured)", "n", "[K] x"]
    assert units_in_names(names) == {"mass [kg]": "kg", "v (m/s)": "m/s"}


def test_arguments_of_functions_and_exponents_are_numbers() -> None:
    for expression in (sympy.sin(x), sympy.exp(x), sympy.tanh(x / 2), 2**x, x**x):
        assert not found(expression, x="m", f="1").consistent
        assert found(expression, x="1", f="1").consistent
    assert found(sympy.sin(x / y), x="m", y="m", f="1").consistent
    assert not found(sympy.sin(x / y), x="m", y="mm", f="1").consistent
    assert found(sympy.sin(C * x), x="deg", f="1").consistent and not found(sympy.sin(x), x="deg", f="1").consistent


def test_terms_of_a_sum_agree_unless_a_fitted_constant_makes_them_agree() -> None:
    assert found(x + y, x="m", y="m", f="m").consistent
    wrong = found(x + y, x="m", y="s", f="m")
    assert not wrong.consistent and "x has the unit m" in wrong.reason and is_one_sentence(wrong.reason)
    assert not found(x + 3 * y, x="m", y="s", f="m").consistent
    assert not found(x + sympy.pi, x="m", f="m").consistent
    free = found(x + C * y, x="m", y="s", f="m")
    assert free.consistent and free.dimensional == 1 and str(free.constants[3.5]) == "m/s"
    assert not found(x + y, x="m", y="m", f="s").consistent


def test_constants_of_arrhenius_law_have_the_units_of_rates_and_temperatures() -> None:
    law = found(A * sympy.exp(-B / t), t="K", f="1/s")
    assert law.consistent and {str(unit) for unit in law.constants.values()} == {"K", "1/s"}
    assert str(law.constants[-4820.0]) == "K"


def test_a_constant_beside_a_logarithm_takes_up_its_unit() -> None:
    assert found(C * sympy.log(x) + B, x="m", f="K").consistent
    assert found(y * C * sympy.log(x) + B * y, x="m", y="K", f="K").consistent
    assert not found(C * sympy.log(x), x="m", f="K").consistent
    assert not found(3 * sympy.log(x) + 2, x="m", f="1").consistent
    assert not found(y * C * sympy.log(x) + B, x="m", y="K", f="K").consistent
    assert found(C * sympy.log(x) - C * sympy.log(y), x="m", y="m", f="K").consistent
    assert not found(C * sympy.log(x) - C * sympy.log(y), x="m", y="s", f="K").consistent


def test_a_column_of_unknown_unit_has_one_unit_wherever_it_stands() -> None:
    assert found(x + y, x="m", f="m").consistent
    assert not found(x * y + x, x="m", f="m^2").consistent
    assert found(y * sympy.exp(y / x), x="m", f="m").consistent
    assert not found(y * sympy.exp(y / x), x="m", f="K").consistent
    assert found(C * y, f="m").constants == {3.5: None}


def test_the_size_of_a_constant_is_written_in_the_units_of_the_columns() -> None:
    law = found(sympy.Float(0.0005) * x * y**2, x="g", y="m/s", f="J")
    units = read_units({"x": "g", "y": "m/s", "f": "J"}).values()
    (unit,) = law.constants.values()
    assert unit is not None and unit.is_dimensionless and not unit.is_one
    assert str(named(unit, units)) == "s^2 J/(g m^2)"
    assert str(named(Unit(), units)) == "1"


def test_groups_are_dimensionless_and_as_many_as_buckingham_says() -> None:
    columns = read_units({"G": "m^3/(kg s^2)", "m1": "kg", "m2": "g", "r1": "m", "r2": "km"})
    ways = dimensionless_groups(columns, read_unit("J"))
    assert ways and [way.cost for way in ways] == sorted(way.cost for way in ways)
    for way in ways:
        assert len(way.groups) == 5 - 3
        for product, unit in ((way.prefactor, read_unit("J")), *((one, Unit()) for one in way.groups)):
            own = Unit()
            for name, power in product.powers.items():
                own = own * columns[name] ** power
            assert (own * unit**-1).is_dimensionless
            assert own.size == pytest.approx(product.factor * unit.size)
    assert dimensionless_groups(read_units({"T": "K"}), read_unit("1/s")) == []
