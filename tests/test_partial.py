"""What fails in a run costs its own part only, whatever fails: each seam is broken once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from helpers import is_one_sentence
from superpose.cli import main
from superpose.data import Dataset
from superpose.formulas import Formula
from superpose.formulas.from_table import laws
from superpose.partial import Failures
from superpose.tasks.classification import ClassificationDataset, ClassifyOptions, classify
from superpose.tasks.classification import search as classification_search
from superpose.tasks.regression import DiscoverOptions, Result, discover, findings, networks, structure
from superpose.tasks.relations import formula_stage, relations
from superpose.train import search
from superpose.train.run import Run

DOUBLE = torch.float64


def fail(*given: Any, **options: Any) -> Any:
    raise ZeroDivisionError("no")


def values(count: int = 150, columns: int = 2) -> torch.Tensor:
    return torch.rand(count, columns, dtype=DOUBLE, generator=torch.Generator().manual_seed(0))


def discovered(**options: Any) -> Result:
    x = values()
    data = Dataset.from_arrays(x, x[:, :1] + x[:, 1:] ** 2, feature_names=["x", "y"], target_names=["f"])
    result = discover(data, DiscoverOptions(time_limit=300, **options))
    assert result.metrics["warnings"] == result.failures.sentences
    assert all(is_one_sentence(sentence) for sentence in result.failures.sentences)
    json.dumps(result.metrics, allow_nan=False)
    return result


def test_only_exceptions_are_caught_and_in_strict_runs_none() -> None:
    failures = Failures(strict=False)
    for error in (KeyboardInterrupt, SystemExit):
        with pytest.raises(error), failures.part("this failed"):
            raise error
    assert failures.sentences == []
    for _ in range(2):
        with failures.part("this failed", "that is kept"):
            fail()
    assert failures.sentences == ["this failed (ZeroDivisionError: no); that is kept"]
    assert len(failures.tracebacks) == 1 and "in fail" in failures.tracebacks[0]
    with pytest.raises(ZeroDivisionError), Failures().part("the tests of this package are strict"):
        fail()


def test_nothing_fails_where_nothing_is_broken(lenient: None) -> None:
    assert discovered().failures.sentences == []


@pytest.mark.parametrize(
    ("module", "name", "sentence"),
    [
        (findings, "symbolify", "the formula could not be read from the network [2, 1]"),
        (Formula, "_simplified", "a formula could not be simplified"),
        (findings, "matched", "the network could not be fitted to the simplified formula"),
        (Formula, "constants", "the standard errors of the constants could not be computed"),
        (networks, "_refined", "the network could not be refined on all rows"),
    ],
)
def test_each_part_behind_a_trained_network(
    monkeypatch: pytest.MonkeyPatch, lenient: None, module: Any, name: str, sentence: str
) -> None:
    monkeypatch.setattr(module, name, fail)
    result = discovered(shape=(1,))
    assert any(one.startswith(f"{sentence} (ZeroDivisionError: no)") for one in result.failures.sentences)
    assert result.metrics["network_rmse"] < 1e-3
    if name == "symbolify":
        assert result.formula is None
    else:
        assert result.formula is not None and result.formula.rmse(result.data) < 1e-6
        assert (str(result.formula) == "x + y**2") == (name != "_simplified")


def test_the_search_by_structure_and_networks_do_without_each_other(
    monkeypatch: pytest.MonkeyPatch, lenient: None
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(structure, "find_laws", fail)
        result = discovered()
        assert "the search by structure failed" in result.failures.sentences[0]
        assert str(result.formula) == "x + y**2"
    with monkeypatch.context() as patch:
        # One stage of the search by structure is not all of it.
        patch.setattr(laws.LawSearch, "_first_stage", fail)
        result = discovered(shape="auto")
        assert "a part of the search by structure failed" in result.failures.sentences[0]
        assert str(result.formula) == "x + y**2"
    with monkeypatch.context() as patch:
        patch.setattr(networks, "fit", fail)
        result = discovered()
        assert str(result.formula) == "x + y**2" and result.network is result.symbolic
        assert "no spline network could be trained" in result.failures.sentences[-1]
        with pytest.raises(ZeroDivisionError):
            discovered(shape=(1,))


def test_a_search_for_a_network_goes_on_without_one_that_fails(monkeypatch: pytest.MonkeyPatch, lenient: None) -> None:
    real = Run.visit
    monkeypatch.setattr(Run, "visit", lambda run, size: real(run, size) if run.model.shape == [2, 1] else fail())
    x = values(60)
    found = search((x, x[:, :1] ** 2), shapes=[(1,), ()], steps=200, degree=3)
    assert {one.shape for one in found.tried} == {(2, 1)}
    assert found.failures.sentences == [
        "the training of the network [2, 1, 1] failed (ZeroDivisionError: no); others are trained"
    ]


@pytest.mark.parametrize("name", ["score_formulas", "_symbolic", "boundaries"])
def test_a_classifier_without_its_formula(monkeypatch: pytest.MonkeyPatch, lenient: None, name: str) -> None:
    module = __import__("superpose.tasks.classification.metrics", fromlist=["metrics"])
    monkeypatch.setattr(module if name == "boundaries" else classification_search, name, fail)
    if name == "boundaries":
        # Once: what is left without the formula is measured too.
        calls = iter([fail])
        monkeypatch.setattr(module, name, lambda *given: next(calls, lambda *given: [])(*given))
    x = 2 * values(200) - 1
    table = ClassificationDataset.from_arrays(x, ["in" if a * a + b * b < 0.5 else "out" for a, b in x.tolist()])
    result = classify(table, ClassifyOptions(time_limit=300, shape=(1,), reduce=False))
    (sentence,) = result.metrics["warnings"]
    assert is_one_sentence(sentence) and "the network itself is complete" in sentence
    assert result.accuracy() > 0.9 and result.symbolic is None
    assert (result.formula is None) == (name != "_symbolic")


def test_relations_without_their_formulas(monkeypatch: pytest.MonkeyPatch, lenient: None, tmp_path: Path) -> None:
    monkeypatch.setattr(formula_stage.FormulaSearch, "explicit", fail)
    x = values(200, 3)
    found = relations(torch.cat([x, x[:, :1] + x[:, 1:2]], 1), seeds=1)
    assert [relation.columns for relation in found] == [("x1", "x2", "x4")] and found[0].formula is None
    (sentence,) = found.to_dict()["warnings"]
    assert is_one_sentence(sentence) and sentence.startswith("no formula could be found for x1, x2, x4")
    from superpose.report import relations as report

    monkeypatch.setattr(report, "draw", fail)
    paths = report.write(found, tmp_path)
    assert set(paths) == {*report.FILES, "errors.log"}
    assert json.loads(paths["relations.json"].read_text())["warnings"] == found.failures.sentences
    assert "no formula could be found" in paths["relations.md"].read_text()


def test_the_program_says_what_failed_and_is_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], lenient: None
) -> None:
    monkeypatch.setattr(findings, "symbolify", fail)
    monkeypatch.chdir(tmp_path)
    rows = [f"{a!r},{b!r},{a + b * b!r}" for a, b in values().tolist()]
    Path("table.csv").write_text("\n".join(["x,y,f", *rows]))
    line = "fit table.csv --target f --shape 1 --out out --time-limit 300"
    assert main(line.split()) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "no formula for f; the network stands by itself"
    warning = "the formula could not be read from the network [2, 1] (ZeroDivisionError: no); the network itself is"
    assert printed[-2].startswith(f"warning: {warning}") and printed[-1].startswith("written to out")
    assert "in fail" in Path("out/errors.log").read_text()
    assert json.loads(Path("out/metrics.json").read_text())["warnings"][0].startswith(warning)
