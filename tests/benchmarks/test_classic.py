"""The classic tables can be read and fitted, and the judge tells the same form from others."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy
import pytest
import sympy

from benchmarks.classic import program
from benchmarks.classic.judge import Verdict, judge
from benchmarks.classic.tables import tables
from superpose.data import Dataset
from superpose.formulas import fit_formula, parse_form
from superpose.formulas.expressions.formula import Formula

DATA = Path(program.__file__).parent / "data"
X = numpy.linspace(0.5, 8, 16)
NOISE = numpy.random.default_rng(0).normal(size=16)


def judged(y: numpy.ndarray, formula: str, form: str, *, relative: bool = False) -> Verdict:
    data = Dataset.from_arrays(X[:, None], y, feature_names=["x"], target_names=["y"], test=0.0)
    expression = sympy.sympify(formula, locals={"x": sympy.Symbol("x", real=True)})
    return judge(data, Formula.from_expressions([expression], data), form, relative=relative)


def test_every_table_is_described_and_its_form_can_be_read() -> None:
    known = tables()
    assert len(known) == 24 and {path.stem for path in DATA.iterdir()} == set(known)
    for name, table in known.items():
        data = table.read()
        assert data.target_names == (table.target,) and len(data.train) + len(data.validation) == data.n_rows, name
        parse_form(table.form, data.feature_names)
        assert table.what and table.source and table.licence, name
        assert not table.relative or bool((data.y > 0).all()), name


def test_nist_certified_constants_say_that_the_load_cell_was_copied_without_error() -> None:
    table = tables()["spring"]
    fit = fit_formula(table.read(), table.form)
    certified = {"a": 0.673565789473684e-3, "b": 0.732059160401003e-6, "c": -0.316081871345029e-14}
    assert fit.values == pytest.approx(certified, rel=1e-6)


@pytest.mark.parametrize(
    ("formula", "same"),
    [
        ("3.001*exp(-0.5001*x)", True),
        ("3*exp(-x/2)", True),
        ("3.001*exp(-0.5001*x) + 0.001", False),
        ("3.1/(1 + 0.9*x)", False),
    ],
)
def test_the_same_form_has_other_constants_and_another_form_has_not(formula: str, same: bool) -> None:
    for relative in (False, True):
        verdict = judged(3 * numpy.exp(-0.5 * X) * (1 + 1e-3 * NOISE), formula, "A*exp(-k*x)", relative=relative)
        assert verdict.same is same and (verdict.word == "same form") is same


def test_as_good_needs_an_error_as_small_with_as_few_constants() -> None:
    y = 2 * X + 1 + 0.3 * NOISE
    slope, height = numpy.polyfit(X, y, 1)
    line = f"{slope:.12f}*x + {height:.12f}"
    good = judged(y, line, "A*sqrt(x) + B*x")
    assert not good.same and good.as_good and good.found and good.word == "as good"
    longer = judged(y, f"{line} + 0.01*x**1.1", "A*x + B")
    assert not longer.found and longer.constants == 4 and longer.word == "miss"
    worse = judged(y, "2.2*x", "A*x + B")
    assert worse.constants == 1 and not worse.found


def test_faults_are_named() -> None:
    y = 2 * X + 1 + 0.3 * NOISE
    slope, height = numpy.polyfit(X, y, 1)
    assert judged(y, f"{slope:.12f}*x + {height:.12f}", "A*x + B").faults == []
    assert "pole" in judged(y, "2.0*x + 1.0 + 0.1/(x - 3.21)", "A*x + B").faults
    assert judged(y, "2000002.0*x + 2e6*sqrt(x**2 + 1e-9) - 4e6*x + 1.0", "A*x + B").faults[0] == "cancellation"
    assert judged(y, "0.3*x**2", "A*x + B").faults == ["worse than a straight line"]


def test_a_number_that_stands_twice_counts_once() -> None:
    assert judged(X, "2.5*x**1.2/(3.5 + x**1.2)", "A*x + B").constants == 3


def test_no_formula_is_a_miss_and_a_constant_is_one() -> None:
    data = Dataset.from_arrays(X[:, None], 5 + NOISE, feature_names=["x"], target_names=["y"], test=0.0)
    nothing = judge(data, None, "c + 0*x")
    assert not nothing.found and nothing.faults == []
    mean = f"{5 + NOISE.mean():.12f}"
    assert judged(5 + NOISE, mean, "c + 0*x").same and not judged(5 + NOISE, mean, "c*x").same


def test_results_are_written_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(data: Dataset, options: object) -> SimpleNamespace:
        formula = Formula.from_expressions([1406.9 / sympy.Symbol("volume", real=True)], data)
        return SimpleNamespace(formula=formula, metrics={}, findings=[])

    monkeypatch.setattr(program, "discover", found)
    arguments = ["--only", "boyle", "--out", str(tmp_path)]
    assert program.main(arguments) == 0
    out = capsys.readouterr().out
    assert "seed 0: 1 of 1" in out
    (row,) = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert row["verdict"] == "same form" and row["faults"] == [] and row["rows"] == 25
    assert "| boyle | 25 | `k/volume` (1) |" in (tmp_path / "results.md").read_text()
    assert program.main([*arguments, "--resume"]) == 0


def test_seeds_are_compared() -> None:
    base = {"verdict": "same form", "faults": [], "table": "t"}
    rows = [base | {"seed": 0, "formula": "2.5*x"}, base | {"seed": 1, "formula": "3*x"}]
    assert program.counts(rows)[-1] == "the same form with every seed: 1 of 1"
    rows[1]["formula"] = "sin(x)"
    assert program.counts(rows)[-1] == "the same form with every seed: 0 of 1"
