"""superpose predict, formula, plot and info: what is done with a model that was written."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pandas
import pytest
import sympy
import torch

import superpose
from cli_cases import run, symbolic_model
from helpers import is_one_sentence
from superpose import plot
from superpose.files import save
from superpose.formulas.expressions.formula import Formula


def test_predictions_stand_beside_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    Path("new.csv").write_text("y;name;x\n0,5;first, second;2\n1,25;ü;-3\n")
    assert run("predict model.safetensors new.csv") == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out == 'y,name,x,f\n0.5,"first, second",2,4.25\n1.25,ü,-3,-4.4375\n'


def undefined_model() -> superpose.KAN:
    """f = sqrt(x) + 2*y, without a value for a negative x."""
    model = superpose.KAN([2, 1], grid_size=3, feature_names=["x", "y"], target_names=["f"])
    model.layer(0).set_symbolic({(0, 0): ("sqrt", (1.0, 0.0, 1.0, 0.0)), (1, 0): ("x", (1.0, 0.0, 2.0, 0.0))})
    return model


@pytest.mark.parametrize("out", ["", " --out new.csv", " --out new.parquet"])
def test_where_the_model_is_undefined_predict_says_so(out: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A cell was left empty without a word."""
    save(undefined_model(), "root.safetensors")
    Path("rows.csv").write_text("x,y\n4,1\n-1,1\n9,0\n\n-4,2\n")
    assert run(f"predict root.safetensors rows.csv{out}") == 0
    printed = capsys.readouterr()
    assert is_one_sentence(printed.err.strip()) and printed.err.startswith("warning: ")
    assert "'f' is undefined in 2 of 4 rows (line 3, line 6)" in printed.err and "is empty;" in printed.err
    if not out:
        assert printed.out == "x,y,f\n4,1,4.0\n-1,1,\n9,0,3.0\n-4,2,\n"


def test_of_many_undefined_rows_some_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    save(undefined_model(), "root.safetensors")
    Path("rows.csv").write_text("x,y\n" + "-1,1\n" * 500 + "1,1\n")
    assert run("predict root.safetensors rows.csv --out new.csv") == 0
    printed = capsys.readouterr()
    assert printed.err.count("line ") == 5 and "500 of 501 rows" in printed.err and "and 495 more" in printed.err
    assert len(printed.err) < 300


def test_infinite_predictions_are_said_too(capsys: pytest.CaptureFixture[str]) -> None:
    model = undefined_model()
    model.layer(0).set_symbolic({(0, 0): ("1/x", (1.0, 0.0, 1.0, 0.0)), (1, 0): ("x", (1.0, 0.0, 2.0, 0.0))})
    save(model, "pole.safetensors")
    Path("rows.csv").write_text("x,y\n0,1\n1,1\n")
    assert run("predict pole.safetensors rows.csv") == 0
    printed = capsys.readouterr()
    assert "1 of 2 rows (line 2)" in printed.err and "empty or infinite" in printed.err
    assert printed.out == "x,y,f\n0,1,inf\n1,1,3.0\n"


@pytest.mark.parametrize("more", ["", " --probabilities"])
def test_a_classifier_without_a_score_names_no_class(more: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A row without a score was given the first class, or the last."""
    model = undefined_model()
    model.head = superpose.nn.Head("sigmoid", ("no", "yes"))
    save(model, "root.safetensors")
    Path("rows.csv").write_text("x,y\n4,1\n-1,1\n9,-9\n")
    assert run(f"predict root.safetensors rows.csv{more}") == 0
    printed = capsys.readouterr()
    assert "1 of 3 rows (line 3)" in printed.err
    frame = pandas.read_csv(io.StringIO(printed.out))
    assert frame["class"].fillna("").tolist() == ["yes", "", "no"]
    assert frame.iloc[1, 2:].isna().all()
    assert model.labels("rows.csv") == ["yes", "", "no"]


def test_a_measured_target_is_kept_apart(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("predict model.safetensors table.csv") == 0
    frame = pandas.read_csv(io.StringIO(capsys.readouterr().out))
    assert list(frame) == ["name", "x", "y", "f", "f_predicted"]
    assert numpy.allclose(frame["f"], frame["f_predicted"], rtol=0, atol=1e-12)
    original = pandas.read_csv("table.csv")
    assert frame[list(original)].equals(original)


def test_predictions_twice_over(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("predict model.safetensors table.csv --out one.csv") == 0
    assert run("predict model.safetensors one.csv") == 0
    header = capsys.readouterr().out.splitlines()[0]
    assert header == "name,x,y,f,f_predicted,f_predicted_2"


@pytest.mark.parametrize("name", ["p.csv", "p.tsv", "p.csv.gz", "p.tsv.gz", "p.parquet", "P.PARQUET"])
def test_the_name_says_what_is_written(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(f"predict model.safetensors table.csv --out {name}") == 0
    assert capsys.readouterr() == ("", "")
    data = Path(name).read_bytes()
    assert data.startswith(b"PAR1") == name.lower().endswith("parquet")
    assert data.startswith(b"\x1f\x8b") == name.endswith("gz")
    if name.endswith("gz"):
        assert data[4:8] == bytes(4), "the time of writing is in the file"
    if "tsv" in name:
        text = gzip.decompress(data) if name.endswith("gz") else data
        assert text.startswith(b"name\tx\ty\tf\tf_predicted\n")
    again = superpose.read_csv(name, target="f_predicted", features=["x", "y"])
    assert numpy.allclose(again.y[:, 0], superpose.read_csv("table.csv", target="f").y[:, 0])


def test_predictions_need_no_target_and_one_row_will_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("one.csv").write_text("x,y\n1,1\n")
    assert run("predict model.safetensors one.csv") == 0
    assert capsys.readouterr().out == "x,y,f\n1,1,3.0\n"


def test_formats_of_a_formula(capsys: pytest.CaptureFixture[str]) -> None:
    formula = Formula.read(symbolic_model())

    def printed(line: str) -> str:
        assert run(f"formula model.safetensors {line}") == 0
        captured = capsys.readouterr()
        assert captured.err == ""
        return captured.out

    assert printed("") == printed("--format text") == f"{formula}\n"
    assert printed("--format latex") == f"{formula.latex()}\n"
    assert printed("--format sympy") == f"{sympy.srepr(formula.expression)}\n"
    assert printed("--format python") == formula.python()


def test_splines_stand_in_a_formula_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    save(superpose.KAN([1, 1], feature_names=["x"]), "model.safetensors")
    assert run("formula model.safetensors") == 0
    assert capsys.readouterr().out == "spline_0_0_0(x)\n"


def test_the_printed_module_runs_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("formula model.safetensors --format python") == 0
    Path("module.py").write_text(capsys.readouterr().out)
    script = "import module; print(module.predict(x=1.5, y=2.0))"
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=folder, check=False)
    assert float(finished.stdout) == 7.0, finished.stderr


@pytest.mark.parametrize("table", ["", "table.csv"])
@pytest.mark.parametrize(("name", "start"), [("a.svg", b"<?xml"), ("a.png", b"\x89PNG"), ("a.PDF", b"%PDF")])
def test_pictures(table: str, name: str, start: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(f"plot model.safetensors {table} --out {name}") == 0
    assert Path(name).read_bytes().startswith(start)
    assert capsys.readouterr() == ("", "")


def test_a_picture_without_a_table_is_drawn_over_the_models_own_range(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = symbolic_model()
    model.input_center.copy_(torch.tensor([10.0, -5.0]))
    model.input_scale.copy_(torch.tensor([2.0, 0.5]))
    save(model, "model.safetensors")
    seen: list[torch.Tensor] = []
    real: Callable[..., Any] = plot.network

    def watched(model: superpose.KAN, x: torch.Tensor, **options: Any) -> Any:
        seen.append(x)
        return real(model, x, **options)

    monkeypatch.setattr("superpose.plot.network", watched)
    assert run("plot model.safetensors --out a.svg") == 0
    low, high = seen[0].amin(0), seen[0].amax(0)
    assert torch.allclose(low, torch.tensor([8.0, -5.5], dtype=low.dtype), atol=0.1)
    assert torch.allclose(high, torch.tensor([12.0, -4.5], dtype=low.dtype), atol=0.1)


def test_info_for_people_and_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info model.safetensors") == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert "widths: 2, 1\n" in printed.out
    assert "features: x, y\n" in printed.out
    assert "f = x^2" in printed.out
    assert printed.out.isascii()
    assert run("info model.safetensors --json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["widths"] == [2, 1]
    assert facts["features"] == ["x", "y"]
    assert facts["targets"] == ["f"]
    assert facts["degree"] == [3] and facts["grid_size"] == [3]
    assert facts["parameters"] == symbolic_model().parameter_count()
    assert facts["edges"] == facts["edges_alive"] == facts["edges_symbolic"] == 2
    assert facts["symbolic"][1] == {
        "layer": 0,
        "input": 1,
        "output": 0,
        "function": "x^2",
        "a": 1.0,
        "b": 0.0,
        "c": 1.0,
        "d": 0.0,
    }
    assert facts["input_scale"] == [1.0, 1.0]
