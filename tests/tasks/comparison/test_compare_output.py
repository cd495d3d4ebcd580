"""What a comparison prints, draws and writes, and what the command answers to mistakes."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas
import pytest

from helpers import is_one_sentence
from superpose import MethodComparison, cli, plot
from superpose.plot import comparison_chart
from superpose.report import comparison as files
from superpose.tasks.comparison import MethodResult


def result(name: str, rmse: float, low: float, high: float) -> MethodResult:
    return MethodResult(name, f"the {name}", 1 - rmse**2, 0.1, rmse, low, high, 3.0, 0.5, 5, (rmse**2,) * 5)


FOUND = MethodComparison(
    (
        result("gp", 0.5, 0.4, 0.6),
        result("line", 0.51, 0.45, 0.58),
        result("mean", 1.0, 0.9, 1.1),
        MethodResult("formula", "superpose's formula", failure="no formula was found (in fold 1 of 5)"),
    ),
    task="regression", target="y", features=("a", "b"), rows=40, cv=5, repetitions=3, seed=0, named="line", best="gp",
    ties=(), sentence="use the line", not_installed=("tabpfn",),
)  # fmt: skip


def marks(comparison: MethodComparison) -> dict[str, str]:
    """What has a name in the picture, by that name."""
    tree = ElementTree.fromstring(plot.render(comparison_chart.draw(comparison), "svg"))
    found = {element.get("id", ""): ElementTree.tostring(element, "unicode") for element in tree.iter()}
    return {name: text for name, text in found.items() if name.startswith(("bar-", "method-", "named"))}


def test_the_picture_has_a_bar_for_every_method_that_was_judged() -> None:
    assert set(marks(FOUND)) == {"bar-0", "bar-1", "bar-2", "method-0", "named", "method-2"}
    far = replace(FOUND, methods=(*FOUND.methods, result("ridge", 1e9, 1e8, 1e10)))
    assert "bar-4" not in marks(far) and "bar-3" in marks(far)
    exact = replace(FOUND, methods=(result("line", 0.0, 0.0, 0.0), result("gp", 1e-9, 0.0, 1e-8)))
    assert "named" in marks(exact)


def test_of_failures_only_there_is_a_sentence() -> None:
    nothing = replace(FOUND, methods=FOUND.methods[3:], named=None, best=None, sentence="every one failed")
    assert "every one failed" in plot.render(comparison_chart.draw(nothing), "svg").decode()


def test_text_marks_the_named_method_and_tells_of_failures() -> None:
    lines = str(FOUND).splitlines()
    assert [line[0] for line in lines[1:5]] == [" ", "*", " ", " "]
    assert lines[1].split()[:6] == ["gp", "0.750", "±", "0.100", "0.5", "3"]
    assert "failed: no formula was found" in lines[4] and lines[-1] == "use the line"
    assert FOUND.notes()[0].startswith("40 rows, 5 folds, drawn 3 times")
    # Near 1 all would print the same.
    exact = replace(FOUND, methods=(replace(FOUND.methods[0], score=1 - 2e-9, score_error=1e-9),))
    assert "1 - 2.0e-09 ± 1.0e-09" in str(exact)
    assert "after 3 of the folds" in "".join(replace(FOUND, methods=(replace(FOUND.methods[0], folds=3),)).notes())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    frame = pandas.DataFrame(generator.normal(size=(30, 2)), columns=["a", "b"])
    frame["y"] = frame.a + 0.1 * generator.normal(size=30)
    frame["kind"] = np.where(frame.a > 0, "up", "down")
    frame["name"] = [f"row {n}" for n in range(30)]
    frame.to_csv(tmp_path / "table.csv", index=False)
    return tmp_path / "table.csv"


def test_command_writes_its_files_and_prints_them(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = path.parent / "out"
    command = ["compare", str(path), "--target", "y", "--methods", "mean,line", "--cv", "3", "--out", str(out)]
    assert cli.main([*command, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["named"] == "line" and printed["left_out"] == ["name"] and printed["cv"] == 3
    assert sorted(p.name for p in out.iterdir()) == sorted(files.FILES)
    assert json.loads((out / "comparison.json").read_text()) == {k: v for k, v in printed.items() if k != "out"}
    rows = list(csv.DictReader((out / "comparison.csv").read_text().splitlines()))
    assert [(row["name"], row["named"]) for row in rows] == [("line", "1"), ("mean", "0")]
    assert b"<svg" in (out / "comparison.svg").read_bytes()
    assert cli.main(command) == 0
    text = capsys.readouterr().out
    assert "use the straight line for 'y'" in text and "columns left out" in text and str(out) in text


def test_command_compares_classifiers(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--out", str(path.parent / "out"), "--json"]
    options = ["--target", "kind", "--task", "classification", "--methods", "majority,logistic", "--features", "a,b"]
    assert cli.main(["compare", str(path), *options, *out]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["named"] == "logistic" and printed["methods"][0]["rmse"] is None
    assert 0.8 < printed["methods"][0]["score"] <= 1


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (["--target", " "], "--target is empty"),
        (["--target", "y", "--cv", "1"], "whole number from 2"),
        (["--target", "y", "--methods", "lines"], "must be one of"),
        (["--target", "y", "--methods", "logistic"], "must be one of"),
        (["--target", "y", "--methods", "gp,gp"], "twice"),
        (["--target", "y", "--task", "ranking"], "regression, classification"),
        (["--target", "y", "--time-limit", "0"], "seconds above 0"),
        (["--target", "y", "--seed", "4294967296"], "whole number"),
        (["--target", "z"], "no column 'z'"),
        (["--target", "kind", "--methods", "mean"], "holds text"),
        ([], "needs --target"),
    ],
)
def test_command_answers_a_mistake(
    option: list[str], words: str, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["compare", str(path), *option, "--out", str(path.parent / "out")]) == 2
    printed = capsys.readouterr()
    assert words in printed.err and is_one_sentence(printed.err.strip()) and printed.out == ""
    assert not (path.parent / "out").exists()
