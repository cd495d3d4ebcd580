"""Units of columns in a run: what is recommended, how constants are written, and laws of dimensionless groups."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy
import torch

pytest.importorskip("pint")

from cli_cases import run
from helpers import is_one_sentence
from superpose import Dataset, DiscoverOptions
from superpose.deadline import Deadline
from superpose.errors import OptionError
from superpose.formulas import selection
from superpose.formulas.expressions.constants import ConstantFit
from superpose.formulas.from_table import small_forms as module
from superpose.formulas.units.reading import read_units
from superpose.tasks.regression import column_units, findings, groups, metrics
from superpose.tasks.regression.context import Context

UNITS = {"m": "kg", "v": "m/s", "h": "m", "E": "J"}
m, v, h = sympy.symbols("m v h", real=True)


@pytest.fixture(scope="module")
def data() -> Dataset:
    random = np.random.default_rng(0)
    x = random.uniform(1, 5, (24, 3))
    y = x[:, 0] * x[:, 1] ** 2 / 2
    y += 0.01 * y.std() * random.standard_normal(24)
    return Dataset.from_arrays(x, y, feature_names=["m", "v", "h"], target_names=["E"], test=0.0)


def context(data: Dataset, units: Any = UNITS) -> Context:
    return Context.start(data, DiscoverOptions(units=units, time_limit=20), lambda event: None)


def test_a_formula_found_through_groups_equals_the_direct_one(data: Dataset) -> None:
    found = groups.group_laws(context(data), 3.0)
    assert found.laws[0].expression.equals(m * v**2 / 2)
    # Only a constant was chosen by the rows, and that it is a half: no group beside the prefactor is needed.
    assert found.laws[0].size is not None and found.laws[0].size < 4


def test_what_a_prefactor_multiplies_again_is_not_divided_before() -> None:
    made = groups._plainer(m * v * (h / v - 1))
    assert made == m * (h - v)
    whole = m * v**2 * (sympy.Float(0.3) * h**2 / v**2 + 2)
    assert groups._plainer(whole) == m * (sympy.Float(0.3) * h**2 + 2 * v**2)


def test_no_groups_without_all_units_or_with_a_unit_that_columns_do_not_make(data: Dataset) -> None:
    few = {name: unit for name, unit in UNITS.items() if name != "h"}
    assert groups.group_laws(context(data, few), 3.0).laws == ()
    assert groups.group_laws(context(data, UNITS | {"E": "J K"}), 3.0).laws == ()


def test_small_forms_in_noise_are_ordered_by_description_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SETTINGS", replace(module._SETTINGS, tried=30_000))
    generator = torch.Generator().manual_seed(0)
    x = 1 + torch.rand(60, 2, generator=generator, dtype=torch.float64)
    factor = 1 + torch.rand(60, generator=generator, dtype=torch.float64)
    clean = 3 * factor / (1 + x[:, 0] * x[:, 1])
    y = clean + 0.01 * clean.std() * torch.randn(60, generator=generator, dtype=torch.float64)
    a, b = sympy.symbols("a b", real=True)
    found = module.small_forms(x, y, factor, [a, b], Deadline(60))
    assert [one.length for one in found] == sorted(one.length for one in found)
    values = sympy.lambdify((a, b), found[0].expression, "numpy")(*x.T.numpy())
    assert np.abs(factor.numpy() * values / clean.numpy() - 1).max() < 0.02


def test_inconsistent_formulas_count_more_and_those_with_dimensional_constants_a_little_more(data: Dataset) -> None:
    own = context(data)
    made = [
        findings.from_expressions(own, [expression], {})
        for expression in (m * v**2 / 2, sympy.Float(0.7) * v**2, m + v)
    ]
    right, loose, wrong = (one for one in made if one is not None)
    weights = selection.WEIGHTS
    assert (right.inconsistent, right.dimensional) == ("", 0) and right.size == right.formula.complexity
    assert loose.inconsistent == "" and loose.size == loose.formula.complexity + weights.dimensional
    assert is_one_sentence(wrong.inconsistent) and wrong.size == wrong.formula.complexity + weights.inconsistent
    front = metrics.of_formulas(data, [right, wrong], right, complete=False)["front"]
    assert [bool(row.get("inconsistent")) for row in front] == [one["formula"] == "m + v" for one in front]


def test_a_constant_with_a_unit_is_not_brought_to_a_simple_value() -> None:
    x = torch.linspace(1, 3, 50, dtype=torch.float64)[:, None]
    y = 2 * x[:, 0]
    t = sympy.Symbol("t", real=True)
    start = sympy.Float(1.9) * t
    for unit, simple in (("m", False), ("K", True)):
        sensible = column_units.sensible(read_units({"t": "K", "y": unit}), "y")
        fitted = ConstantFit((t,), x, y, {}, sensible=sensible).snapped(start).expression
        assert bool(fitted.atoms(sympy.Float)) is not simple and float(fitted.subs(t, 1)) == pytest.approx(2)


def test_constants_are_written_with_their_units(data: Dataset) -> None:
    own = context(data)
    finding = findings.from_expressions(own, [sympy.Float(0.7) * v**2 + sympy.Float(1.5)], {})
    assert finding is not None
    facts = metrics.of_formulas(data, [finding], finding, complete=False, units=own.units)
    assert {one["value"]: one["unit"] for one in facts["constants"]} == {0.7: "kg", 1.5: "J"}
    told = column_units.unit_facts(own.units, finding.formula, facts["constants"])["units"]
    assert told["consistent"] and told["constants"][0].endswith(" kg") and told["sentence"] == "its units agree"
    few = replace(own, units={name: unit for name, unit in own.units.items() if name != "h"})
    assert column_units.unit_facts(few.units, finding.formula)["units"]["sentence"].endswith("none is given for h")


@pytest.mark.parametrize(
    ("units", "text"),
    [
        ({"w": "m"}, "there is no column 'w'"),
        ({"v": "m/foo"}, "no unit 'foo'"),
        ("nowhere", "'names'"),
        ("names", "ends with a unit in brackets"),
    ],
)
def test_units_that_make_no_sense_are_answered_with_one_sentence(data: Dataset, units: Any, text: str) -> None:
    with pytest.raises(OptionError) as error:
        DiscoverOptions(units=units).checked(data)
    assert text in str(error.value) and is_one_sentence(str(error.value))


@pytest.mark.parametrize("units", ["q=m", "x=foo", "x", "x=", "=m", "x=m,x=s", "names"])
def test_the_program_answers_wrong_units_with_exit_code_2(
    units: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text("x,f\n" + "".join(f"{n},{2 * n + n % 3}\n" for n in range(12)))
    assert run(f"fit t.csv --target f --quiet --units {units}") == 2
    assert capsys.readouterr().err.count("\n") == 1
