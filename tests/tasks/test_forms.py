"""Forms that are given, judged beside what else describes the table."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch

import superpose
from cli_cases import run
from helpers import is_one_sentence
from superpose.data import Dataset
from superpose.errors import DataError, OptionError
from superpose.files import load
from superpose.formulas import Formula
from superpose.tasks.regression import FormOptions, judge_forms
from superpose.tasks.regression.forms import residual_structure, verdict

GENERATOR = np.random.default_rng(0)
T = np.linspace(0.1, 5, 40)
DECAY = 3 * np.exp(-1.2 * T) + GENERATOR.normal(0, 0.03, len(T))


def table(y: np.ndarray = DECAY) -> Dataset:
    return Dataset.from_arrays(T[:, None], y, feature_names=["t"], target_names=["y"])


def test_the_form_is_what_is_handed_out() -> None:
    result = judge_forms(table(), FormOptions(["A/(1 + k*t)", "A*exp(-k*t)"], search=False))
    assert [fit.form.text for fit in result.fits] == ["A*exp(-k*t)", "A/(1 + k*t)"]
    assert result.formula is result.fits[0].formula
    x = torch.tensor([[0.5], [2.0]], dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(result.model(x), result.formula.torch(x))
    assert result.model.uncertainty is not None
    assert result.metrics["formula_rmse"] == pytest.approx(result.fits[0].leave_one_out, rel=1e-6)
    assert [row["recommended"] for row in result.metrics["front"]].count(True) == 1
    assert result.metrics["recommendation"] == result.metrics["form"]["verdict"]
    assert result.metrics["form"]["verdict"].endswith("the table supports the form")


def test_a_form_that_misses_the_table_is_spoken_against() -> None:
    result = judge_forms(table(), FormOptions(["a + b*t"], search=False))
    assert (
        "the table speaks against the form, since its residuals still show structure along t"
        in (result.metrics["form"]["verdict"])
    )


def test_the_verdict_compares_with_another_formula_row_by_row() -> None:
    data = table()
    right, wrong = (superpose.fit_formula(data, form) for form in ("A*exp(-k*t)", "A/(1 + k*t)"))
    assert verdict(data, right, wrong.formula, None).endswith("the table supports the form")
    assert "speaks against" in verdict(data, wrong, right.formula, None)
    assert verdict(data, right, right.formula, None).endswith("finds the same law")
    near = superpose.fit_formula(data, "A*exp(-k*t) + c*t")
    assert verdict(data, right, near.formula, None).endswith("does not tell them apart")


def test_structure_of_residuals_is_no_chance() -> None:
    found = []
    for seed in range(20):
        noise = np.random.default_rng(seed).normal(0, 1, len(T))
        found.append(residual_structure(table(2 * T + noise), superpose.fit_formula(table(2 * T + noise), "a + b*t")))
    assert found.count("") >= 19
    wave = table(2 * T + np.sin(3 * T))
    assert residual_structure(wave, superpose.fit_formula(wave, "a + b*t")) == "t"


def test_constants_of_any_form_may_have_limits() -> None:
    given = FormOptions(["A*exp(-k*t)", "A/(1 + q*t)"], bounds={"k": (0, 1), "q": (0, 1)}, search=False)
    found = {fit.form.text: fit.values for fit in judge_forms(table(), given).fits}
    assert found["A*exp(-k*t)"]["k"] == 1 and found["A/(1 + q*t)"]["q"] == 1
    for wrong in (FormOptions(["a*t"], bounds={"K": (0, 1)}), FormOptions("a*t"), FormOptions([])):
        with pytest.raises(OptionError):
            judge_forms(table(), wrong)


def test_rows_of_the_test_need_a_value_too() -> None:
    held_out = ([[-1.0], [2.0]], [0.0, 1.0])
    data = Dataset.from_arrays(T[:, None], np.log(T), feature_names=["t"], test=held_out)
    with pytest.raises(DataError, match="held out"):
        judge_forms(data, FormOptions(["a*log(t)"], search=False))


def test_rows_with_gross_errors_do_not_move_the_constants() -> None:
    y = DECAY.copy()
    y[[5, 20]] = 40.0
    told: list[Formula] = []
    result = judge_forms(table(y), FormOptions(["A*exp(-k*t)"], search=False), on_formula=told.append)
    assert told == [result.formula]
    assert result.fits[0].values["k"] == pytest.approx(1.2, abs=0.05) and result.fits[0].rows == 38
    assert result.metrics["suspicious_rows"] == [5, 20]
    assert any(note.startswith("rows 6, 21 of the table") for note in result.data.notes)


def test_of_several_forms_the_best_by_aicc_comes_first() -> None:
    noise = np.random.default_rng(4).normal(0, 0.3, len(T))
    forms = ["a + b*t", "a + b*t + c*t^2 + d*t^3 + e*t^4", "a + b*exp(-k*t)"]
    fits = judge_forms(table(2 * T + noise), FormOptions(forms, search=False)).fits
    assert fits[0].form.text == "a + b*t" and [fit.aicc for fit in fits] == sorted(fit.aicc for fit in fits)


def test_constants_that_make_no_network_are_a_sentence() -> None:
    x = np.linspace(0.999, 1.001, 30)
    data = Dataset.from_arrays(x[:, None], x**-1800.0, feature_names=["x"])
    told: list[Formula] = []
    with pytest.raises(DataError, match="is no network: an exponent"):
        judge_forms(data, FormOptions(["a*x^b"], start={"b": -1700}, search=False), on_formula=told.append)
    assert told == []


def test_errors_that_grow_with_the_values_are_noted() -> None:
    x = np.geomspace(1, 1e4, 60)
    noise = np.random.default_rng(1).normal(0, 0.1, 60)
    fit = superpose.fit_formula(Dataset.from_arrays(x[:, None], x**1.7 * (1 + noise), feature_names=["x"]), "a*x^b")
    assert any(note.startswith("errors grow with the values") for note in fit.notes)
    assert not superpose.fit_formula(table(), "A*exp(-k*t)").notes


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    pandas.DataFrame({"t": T, "y": DECAY}).to_csv("table.csv", index=False)
    return tmp_path


def test_the_program_prints_constants_and_writes_them(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = "fit table.csv --target y --no-search --out made --form A*exp(-k*t) --form a+b*t --bound k=0.. --start k=1"
    assert run(line) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    lines = printed.out.splitlines()
    assert lines[0].startswith("y = ") and "exp(" in lines[0]
    assert lines[1].startswith("  A = ") and "±" in lines[1] and "(95%: " in lines[1]
    assert lines[3].startswith("  correlations: A and k")
    assert "the table supports the form" in printed.out
    facts = json.loads((folder / "made" / "metrics.json").read_text())
    first = facts["form"]["fits"][0]
    assert [one["name"] for one in first["constants"]] == ["A", "k"]
    assert first["constants"][1]["standard_error"] > 0 and len(first["correlations"]) == 2
    assert facts["warnings"] == []
    page = (folder / "made" / "report.html").read_text()
    assert "Constants of the form <code>A*exp(-k*t)</code>" in page and "description length" in page
    model = load(folder / "made" / "model.safetensors")
    expected = first["constants"][0]["value"] * math.exp(-first["constants"][1]["value"] * 2.0)
    assert model.predict([[2.0]])[0, 0] == pytest.approx(expected, rel=1e-9)
    assert str(Formula.of(model)) != ""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--form", "needs a value"),
        ("--form A*(t", "has a ( without a )"),
        ("--form __import__('os')*t", "character"),
        ("--form a*t --bound a", "--bound is 'a'"),
        ("--form a*t --bound a=nan..1", "--bound is"),
        ("--form a*t --bound b=0..1", "no constant 'b'"),
        ("--form a*t --start a=x", "--start is"),
        ("--bound a=0..1", "add --form"),
        ("--no-search", "add --form"),
        ("--form a*t --no-formula", "leave out --no-formula"),
        ("--form a*t --task classification", "leave it out with classes"),
        ("--form a*y", "the target 'y'"),
    ],
)
def test_mistakes_are_one_sentence(folder: Path, capsys: pytest.CaptureFixture[str], options: str, words: str) -> None:
    assert run(f"fit table.csv --target y {options}") == 2
    message = capsys.readouterr().err
    assert words in message
    assert is_one_sentence(message.rstrip())
