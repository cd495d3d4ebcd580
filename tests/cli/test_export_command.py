"""``superpose export`` writes what the functions of the library give."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import superpose
from cli_cases import run, symbolic_model
from superpose.choices import LANGUAGES
from superpose.formulas import Formula


@pytest.fixture
def silent(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is printed where all goes well."""
    yield
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("language", LANGUAGES)
def test_formula(language: str, silent: None) -> None:
    assert run(f"export model.safetensors --to formula --language {language} --out formula") == 0
    wanted = superpose.export.code(Formula.read(symbolic_model()), language)
    assert Path("formula").read_text(encoding="utf-8") == wanted


def test_networks(silent: None) -> None:
    model = superpose.load("model.safetensors")
    assert run("export model.safetensors --to numpy --out network.py") == 0
    assert Path("network.py").read_text() == superpose.export.numpy_module(model)
    assert run("export model.safetensors --to c --precision float --out curve.c") == 0
    assert {name: Path(name).read_text() for name in ("curve.c", "curve.h")} == superpose.export.c99(
        model, name="curve", precision="float"
    )
    pytest.importorskip("onnx")
    assert run("export model.safetensors --to onnx --out model.onnx") == 0
    assert Path("model.onnx").stat().st_size > 100


def test_a_folder_of_a_run_gives_its_metrics(silent: None) -> None:
    Path("run").mkdir()
    Path("model.safetensors").rename("run/model.safetensors")
    Path("run/metrics.json").write_text(json.dumps({"network_rmse": 0.25, "formula": "2*x + y**2"}))
    assert run("export run --to hub --out hub") == 0
    card = Path("hub/README.md").read_text()
    assert "| root mean squared error of the network | 0.25 |" in card and "2*x + y**2" in card
    assert superpose.load("hub/model.safetensors").feature_names == ("x", "y")


def test_the_numpy_module_of_a_classifier_has_labels(silent: None) -> None:
    model = symbolic_model()
    model.head = superpose.nn.Head("sigmoid", ("no", "yes"))
    superpose.save(model, "model.safetensors")
    assert run("export model.safetensors --to formula --language numpy --out formula.py") == 0
    assert "def label(**columns):" in Path("formula.py").read_text()
