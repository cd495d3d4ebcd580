"""Results of the benchmarks: whole files, kept as they come and resumed, failures told."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy
import pytest
from bench_cases import FILES, SMALL, written

from benchmarks import problems
from benchmarks.command import main
from benchmarks.functions import pages
from benchmarks.harness import machine, suite
from benchmarks.harness.store import Store
from benchmarks.harness.tables import median
from benchmarks.methods import regression
from benchmarks.methods.fitted import Fitted
from helpers import is_one_sentence
from superpose.errors import FileError, OptionError

pytest.importorskip("scipy")

FIGURES = {
    "test_rmse",
    "relative_rmse",
    "seconds",
    "processor_seconds",
    "predict_seconds",
    "parameters",
    "shape",
    "grids",
    "failure",
}


def test_a_run_writes_every_file_and_every_figure(trained: list[Any], tmp_path: Path) -> None:
    settings = replace(SMALL, peers=("mlp", "gp"))
    store = suite.run("feynman", settings, tmp_path / "new" / "out", listener=None)
    folder = tmp_path / "new" / "out"
    assert {path.name for path in folder.iterdir()} == FILES
    document = written(folder)
    assert document == store.document()
    assert document["settings"] == {"time_limit": 2.0, "points": 60, "test_points": 40}
    assert {"processor", "cores", "threads", "load_before"} <= set(document["machine"])
    assert {"superpose", "python", "torch", "numpy"} <= set(document["versions"])
    assert document["began"].startswith("20") and document["interrupted"] is False
    assert list(document["problems"]) == ["I.6.2", "I.16.6"]
    assert document["problems"]["I.6.2"]["published"] == dict(problems.feynman()["I.6.2"].published)
    rows = document["results"]
    keys = [(row["problem"], row["seed"], row["method"]) for row in rows]
    assert keys == [(p, s, c) for p in ("I.6.2", "I.16.6") for s in (0, 1) for c in ("superpose", "mlp", "gp")]
    for row in rows:
        assert set(row) == {"problem", "seed", "method"} | FIGURES
        off = 10.0 ** -(len(row["method"]) + row["seed"])
        assert row["test_rmse"] == pytest.approx(off, rel=1e-6)
        _, y = problems.feynman()[row["problem"]].sample(40, (row["seed"], 1))
        assert row["relative_rmse"] == pytest.approx(off / y.std(), rel=1e-6)
        assert row["failure"] is None and row["seconds"] >= 0
    with (folder / "results.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [float(line["test_rmse"]) for line in table] == [row["test_rmse"] for row in rows]
    assert [json.loads(line["shape"]) for line in table] == [row["shape"] for row in rows]


def test_tables_show_medians_and_the_published_errors(trained: list[Any], tmp_path: Path) -> None:
    store = suite.run("feynman", replace(SMALL, peers=("gp",), seeds=(0, 1, 2)), tmp_path)
    line = next(line for line in (tmp_path / "results.md").read_text().splitlines() if line.startswith("| I.6.2 "))
    assert [cell.strip() for cell in line.split("|")[1:-1]] == [
        *("I.6.2", "[2, 2, 1]", "17", "0.0", "1.00e-10", "1.00e-03", "2.86e-05", "286,000", "2.86e-05"),
    ]
    assert "seeds 0, 1, 2" in (tmp_path / "results.md").read_text()
    lines = suite.of("feynman").lines(store)
    assert lines[0] == "I.6.2: superpose 1.00e-10, gp 1.00e-03, paper 2.86e-05"
    assert lines[2:] == [
        "superpose is at or below the paper's best KAN in 2 of 2, 10x below in 2, 30x below in 2",
        "superpose is at or below the paper's best of all in 2 of 2, 10x below in 2, 30x below in 2",
        "superpose is at or below gp in 2 of 2, 10x below in 2, 30x below in 2",
    ]
    assert "- superpose is at or below gp in 2 of 2" in (tmp_path / "results.md").read_text()
    text = "".join(ElementTree.parse(tmp_path / "results.svg").getroot().itertext())
    assert all(word in text for word in ("Feynman equations", "I.16.6", "superpose", "gp", "paper's best KAN"))


def test_resume_measures_what_is_missing_and_gives_the_same_files(
    trained: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.monotonic", lambda: 0.0)
    monkeypatch.setattr("time.process_time", lambda: 0.0)
    monkeypatch.setattr(machine, "now", lambda: "2026-01-01T00:00:00+00:00")
    monkeypatch.setattr(machine, "load", lambda: [0.0, 0.0, 0.0])
    settings = replace(SMALL, peers=("gp", "rbf"))
    suite.run("feynman", settings, tmp_path / "whole")
    everything = trained.copy()
    trained.clear()
    # In another order, as one would who adds a seed and a peer later.
    suite.run("feynman", replace(SMALL, only=("I.16.6",), seeds=(1,)), tmp_path / "parts")
    assert trained == [("I.16.6", "superpose", 1)]
    suite.run("feynman", settings, tmp_path / "parts", resume=True)
    assert sorted(trained) == sorted(everything)
    trained.clear()
    suite.run("feynman", settings, tmp_path / "parts", resume=True)
    assert trained == []
    for name in FILES:
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    suite.run("feynman", settings, tmp_path / "parts")
    assert trained == everything


def test_an_interruption_keeps_what_was_measured(
    trained: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train = regression.fit

    def stopped(*args: Any, **options: Any) -> Fitted:
        if len(trained) == 3:
            raise KeyboardInterrupt
        return train(*args, **options)

    monkeypatch.setattr(regression, "fit", stopped)
    line = f"feynman --only I.6.2,I.16.6 --seed 0,1 --points 60 --test-points 40 --time-limit 2 --out {tmp_path}"
    assert main(line.split()) == 0
    assert "--resume goes on" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == FILES
    assert written(tmp_path)["interrupted"] is True and len(written(tmp_path)["results"]) == 3
    monkeypatch.setattr(regression, "fit", train)
    assert main([*line.split(), "--resume", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == written(tmp_path) | {"out": str(tmp_path)}
    assert printed["interrupted"] is False and len(printed["results"]) == 4


def test_an_interruption_before_the_first_result_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*args: Any, **options: Any) -> Fitted:
        raise KeyboardInterrupt

    monkeypatch.setattr(regression, "fit", stopped)
    assert main(["feynman", "--out", str(tmp_path / "out")]) == 130
    assert capsys.readouterr() == ("", "error: interrupted, and nothing was written\n")
    assert list(tmp_path.iterdir()) == []


def test_discover_takes_part_with_the_law_it_finds(trained: list[Any], tmp_path: Path) -> None:
    store = suite.run("feynman", replace(SMALL, peers=("discover",), seeds=(0,)), tmp_path)
    assert suite.of("feynman").lines(store)[-2:] == [
        "superpose.discover is at or below the paper's best KAN in 2 of 2, 10x below in 2, 30x below in 2",
        "superpose.discover is at or below the paper's best of all in 2 of 2, 10x below in 2, 30x below in 2",
    ]


def test_an_error_of_zero_is_below_every_other() -> None:
    assert pages._ratio(1e-9, 0.0) == math.inf and pages._ratio(0.0, 0.0) == 1.0 and pages._ratio(0.0, 1e-9) == 0.0
    assert pages._ratio(math.inf, 1e-3) == math.inf and pages._ratio(3e-3, 1e-3) == pytest.approx(3)


@pytest.mark.parametrize("fault", [ValueError("too\nmany dimensions"), numpy.linalg.LinAlgError("singular"), None])
def test_a_peer_that_fails_is_a_row_and_not_the_end(
    fault: Exception | None, trained: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = regression.fit

    def failing(name: str, *args: Any, **options: Any) -> Fitted:
        if name != "gp":
            return train(name, *args, **options)
        if fault is not None:
            raise fault
        return Fitted(lambda points: numpy.full(len(points), math.nan), 17)

    monkeypatch.setattr(regression, "fit", failing)
    suite.run("feynman", replace(SMALL, peers=("gp", "rbf")), tmp_path)
    rows = [row for row in written(tmp_path)["results"] if row["method"] == "gp"]
    assert len(rows) == 4
    for row in rows:
        assert row["test_rmse"] is None and is_one_sentence(row["failure"])
    assert ("singular" in rows[0]["failure"]) == isinstance(fault, numpy.linalg.LinAlgError)
    table = (tmp_path / "results.md").read_text()
    assert "Failed:" in table and "- gp on I.6.2, seed 0: " in table


def test_a_failed_run_counts_as_infinite_in_the_median() -> None:
    rows = [{"test_rmse": value} for value in (None, 2.0, 1.0)]
    assert median(rows, "test_rmse") == 2.0
    assert median([*rows, {"test_rmse": None}], "test_rmse") is None
    assert median([], "test_rmse") is None


def changed(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        document = json.loads(path.read_text())
        change(document)
        path.write_text(json.dumps(document))

    return write


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (changed(lambda d: d.update(benchmark="special")), "of the benchmark special, not feynman"),
        (changed(lambda d: d["settings"].update(points=61)), "with --points 61, not 60"),
        (changed(lambda d: d["settings"].update(time_limit=3.0)), "--time-limit 3.0, not 2.0"),
        (changed(lambda d: d["machine"].update(processor="Z80")), "Z80"),
        (changed(lambda d: d["machine"].update(threads=99)), "threads: 99"),
        (changed(lambda d: d["versions"].update(torch="1.0")), "version of torch: 1.0"),
        (changed(lambda d: d.update(schema=99)), "no results of this version"),
        (changed(lambda d: d.update(results=[1])), "no results of this version"),
        (changed(lambda d: d.pop("machine")), "no results of this version"),
        (changed(lambda d: d["results"][0].clear()), "holds rows that are damaged"),
        (changed(lambda d: d["results"][0].update(seed="x")), "holds rows that are damaged"),
        (changed(lambda d: d["results"][0].update(problem=["x"])), "holds rows that are damaged"),
        (lambda path: path.write_text("{"), "is damaged"),
        (lambda path: path.write_text("[]"), "no results of this version"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "is damaged"),
    ],
)
def test_resume_never_mixes_figures_of_different_runs(
    prepare: Callable[[Path], None], words: str, trained: list[Any], tmp_path: Path
) -> None:
    suite.run("feynman", replace(SMALL, seeds=(0,)), tmp_path)
    before = len(trained)
    prepare(tmp_path / "results.json")
    with pytest.raises((OptionError, FileError)) as caught:
        suite.run("feynman", SMALL, tmp_path, resume=True)
    assert words in str(caught.value) and is_one_sentence(str(caught.value))
    assert len(trained) == before


def test_a_disk_that_is_full_is_told(trained: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Any, data: bytes) -> None:
        raise FileError("'results.json' cannot be written: no space left")

    monkeypatch.setattr("benchmarks.harness.store.write_atomically", full)
    with pytest.raises(FileError):
        suite.run("feynman", SMALL, tmp_path)


def test_rows_keep_their_order_however_they_came(tmp_path: Path) -> None:
    store = Store(tmp_path, "feynman", SMALL, order=("a", "b", "superpose", "gp"))
    wanted = [(p, s, c) for p in ("a", "b") for s in (0, 2, 10) for c in ("superpose", "gp")]
    for problem, seed, method in reversed(wanted):
        store.add({"problem": problem, "seed": seed, "method": method, "failure": None})
    assert [(row["problem"], row["seed"], row["method"]) for row in store.rows()] == wanted
    assert (store.found(problem="b", seed=2, method="gp") or {})["seed"] == 2
    assert store.found(problem="b", seed=3) is None
