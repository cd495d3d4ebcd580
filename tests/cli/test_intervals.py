"""superpose predict --interval: the columns, the warnings, and what is refused."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy
import pandas
import pytest
import torch

import superpose
from cli_cases import run, symbolic_model
from helpers import is_one_sentence
from superpose.files import save


def save_calibrated(path: str, *, errors: int | None = None) -> superpose.KAN:
    """f = 2*x + y^2 with errors of deviation 0.1 on rows within -1 to 1."""
    x = 2 * torch.rand(200, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1
    noise = torch.randn(200, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    y = 2 * x[:, 0] + x[:, 1] ** 2 + 0.1 * noise
    data = superpose.Dataset.from_arrays(x, y, feature_names=["x", "y"], target_names=["f"], validation=0.5, test=0.0)
    model = superpose.calibrate(symbolic_model(), data)
    if errors is not None:
        assert model.uncertainty is not None
        few = model.uncertainty.residuals[:: len(model.uncertainty.residuals) // errors][:errors]
        model.uncertainty = replace(model.uncertainty, residuals=few)
    save(model, path)
    return model


def test_intervals_stand_beside_the_prediction(capsys: pytest.CaptureFixture[str]) -> None:
    model = save_calibrated("sure.safetensors")
    Path("new.csv").write_text("x,y,f_low\n0.5,0,7\n3,0.1,8\n")
    assert run("predict sure.safetensors new.csv --interval 0.8") == 0
    printed = capsys.readouterr()
    frame = pandas.read_csv(io.StringIO(printed.out))
    assert list(frame) == ["x", "y", "f_low", "f", "f_low_predicted", "f_high", "outside"]
    assert frame["outside"].tolist() == [0, 1]
    wanted = model.predict_interval(numpy.array([[0.5, 0.0], [3.0, 0.1]]), 0.8)
    assert frame["f_low_predicted"].tolist() == pytest.approx(wanted.low[:, 0].tolist())
    assert frame["f_high"].tolist() == pytest.approx(wanted.high[:, 0].tolist())
    assert (frame["f_low_predicted"] < frame["f"]).all() and (frame["f"] < frame["f_high"]).all()
    assert is_one_sentence(printed.err.strip())
    assert "1 of 2 rows (line 3)" in printed.err and "'x' in 1" in printed.err


def test_without_rows_outside_there_is_no_warning(capsys: pytest.CaptureFixture[str]) -> None:
    save_calibrated("sure.safetensors")
    Path("new.csv").write_text("x,y\n0.5,0\n")
    assert run("predict sure.safetensors new.csv --interval 0.9 --out new.parquet") == 0
    assert capsys.readouterr().err == ""
    assert pandas.read_parquet("new.parquet")["outside"].tolist() == [0]


def test_of_few_errors_the_program_says_what_the_intervals_assume(capsys: pytest.CaptureFixture[str]) -> None:
    save_calibrated("few.safetensors", errors=9)
    Path("new.csv").write_text("x,y\n0.5,0\n")
    assert run("predict few.safetensors new.csv --interval 0.9") == 0
    printed = capsys.readouterr()
    assert printed.err.startswith("note: 9 errors are too few") and "Student's t" in printed.err


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("predict model.safetensors new.csv --interval 0.9", "fit it again"),
        ("predict model.safetensors new.csv --interval 90", "0.9 for 90%"),
        ("predict model.safetensors new.csv --interval 0", "no probability"),
        ("predict classes.safetensors new.csv --interval 0.9", "ask for its probabilities"),
    ],
)
def test_what_has_no_interval_is_a_sentence(line: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    model = symbolic_model()
    model.head = superpose.nn.Head("sigmoid", ("no", "yes"))
    save(model, "classes.safetensors")
    Path("new.csv").write_text("x,y\n0.5,0\n")
    assert run(line) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and is_one_sentence(printed.err.strip().removeprefix("error: ")) and words in printed.err
