"""The measurement that would tell two formulas apart."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace

import pandas
import pytest
import sympy
import torch
from torch import Tensor

from superpose.data import Dataset
from superpose.errors import OptionError
from superpose.formulas import Formula, discrimination, fit_formula, telling_row

DOUBLE = torch.float64
NOISE = 0.1
a, b = sympy.symbols("a b", real=True)


def table(x: Tensor, y: Tensor | None = None) -> Dataset:
    names = ("a", "b")[: x.shape[1]]
    y = x[:, 0].sqrt() if y is None else y
    return Dataset.from_arrays(x, y, feature_names=names, target_names=("y",), validation=0.0, test=0.0)


def column(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=DOUBLE)[:, None]


def formulas(data: Dataset, *expressions: sympy.Expr) -> list[Formula]:
    return [Formula.from_expressions([one], data) for one in expressions]


STEPS = torch.linspace(1.0, 3.0, 21, dtype=DOUBLE)[:, None]


def test_measuring_the_row_raises_the_error_of_the_wrong_form_by_the_squared_deviations() -> None:
    x, noise = STEPS, NOISE
    y = 2 + 3 * x[:, 0].log() + noise * torch.sin(37 * x[:, 0])
    data = table(x, y)
    logarithm, root = (fit_formula(data, form) for form in ("p + q*log(a)", "p + q*sqrt(a)"))
    row = telling_row(logarithm.formula, root.formula, data, noise)
    assert row is not None
    grown = []
    for wrong, value in ((root, row.first), (logarithm, row.second)):
        again = table(torch.cat([x, column([row.row["a"]])]), torch.cat([y, torch.tensor([value], dtype=DOUBLE)]))
        grown.append(fit_formula(again, wrong.form.text).rmse ** 2 * 22 - wrong.rmse**2 * 21)
    # Either form may be the wrong one.
    assert min(grown) / noise**2 == pytest.approx(row.deviations**2, rel=1e-3)
    assert row.first == pytest.approx(float(logarithm.formula.predict([[row.row["a"]]])[0, 0]))
    assert row.second == pytest.approx(float(root.formula.predict([[row.row["a"]]])[0, 0]))


def test_no_value_within_the_margin_tells_more() -> None:
    data = table(STEPS)
    pair = formulas(data, 2.0 * a, 1.2 * a**2 - 0.3)
    rows = [telling_row(*pair, data, NOISE, margin=margin) for margin in (0.0, 0.25, 2.0)]
    assert all(row is not None for row in rows)
    inside, near, far = (row for row in rows if row is not None)
    apart = [abs(2.0 * float(one) - 1.2 * float(one) ** 2 + 0.3) for one in STEPS[:, 0]]
    # Without constants that the rows leave open it is the difference in units of the noise.
    fixed = formulas(data, 2 * a, sympy.Rational(6, 5) * a**2 - sympy.Rational(3, 10))
    own = telling_row(*fixed, data, NOISE, margin=0.0)
    assert own is not None and own.deviations == pytest.approx(max(apart) / NOISE, rel=1e-6)
    # Inside it tells them apart well enough.
    assert inside.deviations > 3 and inside == near == far and not inside.beyond
    wide = telling_row(*pair, data, 100 * NOISE, margin=2.0)
    assert wide is not None and wide.beyond == ("a",) and 3 < wide.row["a"] <= 7
    assert "beyond the rows" in wide.place() and json.loads(json.dumps(wide.facts()))["beyond"] == ["a"]


@pytest.mark.parametrize(
    ("values", "least", "most", "step"),
    [
        ([0.1, 0.5, 1.0, 2.0, 4.0], 0.05, 4.975, 0.01),
        ([0.0, 1.0, 2.5, 4.0], 0.0, 5.0, 0.01),
        ([-4.0, -2.0, -1.5, -0.5], -4.875, -0.25, 0.01),
        ([1.0, 2.0, 4.0, 7.0, 11.0], 1.0, 13.0, 1.0),
        ([1990.3, 1994.0, 1999.7], 1987.95, 2002.05, 0.1),
        ([-3e-5, 1e-5, 2e-5], -4.25e-5, 3.25e-5, 1e-6),
    ],
)
def test_a_column_keeps_its_sign_and_takes_values_that_a_person_can_set(
    values: list[float], least: float, most: float, step: float
) -> None:
    column = torch.tensor(values, dtype=DOUBLE)
    for margin in (0.0, 0.25):
        grid = discrimination._grid(column, margin)
        low, high = (least, most) if margin else (min(values), max(values))
        assert low - 1e-12 <= float(grid.min()) < low + step and high - step < float(grid.max()) <= high + 1e-12
        assert 50 <= len(grid) < 800 or step == 1.0
        # Steps of one decimal place; over decades also values of two digits.
        assert all(
            abs(value / step - round(value / step)) < 1e-6 or float(f"{value:.1e}") == value for value in grid.tolist()
        )


def test_of_two_values_no_other_is_taken() -> None:
    assert discrimination._grid(torch.tensor([0.7, 0.3, 0.3, 0.7], dtype=DOUBLE), 0.25).tolist() == [0.3, 0.7]


def test_combinations_of_values_are_usual_ones() -> None:
    first = torch.linspace(0, 1, 60, dtype=DOUBLE)
    x = torch.stack([first, first + 0.05 * torch.sin(40 * first)], -1)
    data = table(x, first)
    # They differ by what no row has: the difference of the columns.
    row = telling_row(*formulas(data, a, a + 3 * (a - b)), data, 0.01)
    assert row is not None and abs(row.row["a"] - row.row["b"]) < 0.25
    # A column that neither formula has is not named.
    alone = telling_row(*formulas(data, a, 2 * a), data, 0.01)
    assert alone is not None and list(alone.row) == ["a"]


def raw_table() -> Dataset:
    """A mass with missing cells, a species of three, and a sex."""
    n = torch.arange(60)
    frame = pandas.DataFrame(
        {
            "mass": torch.where(n % 7 == 3, torch.nan, 3.0 + n * 37 % 50 / 10).numpy(),
            "species": [("Adelie", "Chinstrap", "Gentoo")[k] for k in (n % 3).tolist()],
            "sex": [("female", "male")[k] for k in (n % 5 // 3).tolist()],
            "y": torch.sin(n.double()).numpy(),
        }
    )
    return Dataset.from_frame(frame, target="y", missing="indicator", validation=0.0, test=0.0)


def test_a_row_to_be_measured_has_no_missing_cell_and_one_level_of_each_category() -> None:
    data = raw_table()
    symbols = {name: sympy.Symbol(name, real=True) for name in data.feature_names}
    mass, missing = symbols["mass"], symbols["mass is missing"]
    # They differ most where a cell is missing, or a bird is of two species.
    pair = formulas(data, mass, 1.1 * mass + 50 * missing)
    row = telling_row(*pair, data, NOISE)
    assert row is not None and list(row.row) == ["mass"] and row.deviations < 50
    assert "missing" not in row.place()
    pair = formulas(data, mass, mass + symbols["species = Adelie"] * (1 + 50 * symbols["species = Gentoo"]))
    row = telling_row(*pair, data, NOISE)
    assert row is not None and row.levels == {"species": "Adelie"} and row.deviations < 50
    assert row.place().endswith(" and species = Adelie") and json.loads(json.dumps(row.facts()))["levels"] == row.levels
    # Two levels share a column, and the other one has a name too.
    (male,) = (symbol for name, symbol in symbols.items() if name.startswith("sex"))
    women, men = (telling_row(*formulas(data, mass, mass + sign), data, NOISE) for sign in (1 - male, male))
    assert women is not None and men is not None
    assert {women.levels["sex"], men.levels["sex"]} == {"female", "male"}
    assert telling_row(*formulas(data, 1.0 + 0 * missing, 1.0 + missing), data, NOISE) is None


def test_columns_of_one_date_have_values_together_as_in_a_row() -> None:
    hours = pandas.date_range("2024-01-01", periods=60, freq="7h").astype(str)
    frame = pandas.DataFrame({"when": hours, "y": torch.sin(torch.arange(60.0)).numpy()})
    data = Dataset.from_frame(frame, target="y", dates="when:hour", validation=0.0, test=0.0)
    sine, cosine = (sympy.Symbol(name, real=True) for name in data.feature_names[1:])
    # They differ within the circle only, where no hour lies.
    inside = sympy.sqrt(1 + 1e-9 - sine**2 - cosine**2)
    assert telling_row(*formulas(data, sine, sine + 50 * inside), data, NOISE) is None


def test_nothing_tells_a_formula_from_itself() -> None:
    data = table(STEPS)
    assert telling_row(*formulas(data, 2.0 * a, 2.0 * a), data, NOISE) is None
    assert telling_row(*formulas(data, 2.0 * a, 2.0 * a + 0.01), data, NOISE) is None
    assert telling_row(*formulas(data, sympy.Float(2), sympy.Float(3)), data, NOISE) is None


def test_of_many_rows_some_say_how_sure_the_constants_are(monkeypatch: pytest.MonkeyPatch) -> None:
    data = table(torch.linspace(1.0, 3.0, 3000, dtype=DOUBLE)[:, None])
    pair = formulas(data, 2.0 * a, 1.99 * a + 0.01 * a**2)
    rows = []
    for fitted in (4000, 300):
        monkeypatch.setattr(discrimination, "RULES", replace(discrimination.RULES, fitted=fitted))
        rows.append(telling_row(*pair, data, 0.01, margin=0.0))
    assert rows[0] is not None and rows[1] is not None
    assert rows[0].deviations == pytest.approx(rows[1].deviations, rel=1e-4)


def test_relative_noise_is_that_of_the_logarithm() -> None:
    data = table(STEPS, (2 * STEPS[:, 0]).exp())
    row = telling_row(*formulas(data, sympy.exp(2 * a), 2 * sympy.exp(2 * a)), data, NOISE, relative=True)
    assert row is not None and row.deviations == pytest.approx(math.log(2) / NOISE)
    # Where a formula is negative it has no logarithm.
    signed = telling_row(*formulas(data, a - 2, a), data, NOISE, relative=True)
    assert signed is not None and signed.row["a"] > 2


def test_mistakes_are_named() -> None:
    data = table(STEPS)
    pair = formulas(data, a, 2 * a)
    with pytest.raises(OptionError, match="noise"):
        telling_row(*pair, data, 0.0)
    with pytest.raises(OptionError, match="one target"):
        telling_row(replace(pair[0], expressions=(a, a)), pair[1], data, NOISE)
