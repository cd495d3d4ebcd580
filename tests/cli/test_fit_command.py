"""superpose fit: what it asks the search for, what it prints and writes, and when it stops."""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import random
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy
import pandas
import pytest
import sympy

import superpose
from cli_cases import FILES, FIT, run, symbolic_model
from helpers import EXAMPLES, is_one_sentence, run_python
from superpose.cli import main
from superpose.files import load
from superpose.formulas.expressions.formula import Formula
from superpose.tasks.regression import search

AT = superpose.Knowledge(odd=("y",), values=(((("x", 0.0),), 0.0), ((("x", 1.0), ("y", 2.0)), 3.0)))


def test_fit_writes_every_file_and_says_what_it_found(
    asked: list[Any], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(FIT) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    lines = printed.out.splitlines()
    assert lines[0] == f"f = {Formula.of(symbolic_model())}"
    assert "RMSE on all 40 rows, as none was held out" in lines[1]
    assert "'name'" not in lines[2] and "name" in lines[2]
    assert lines[3].startswith("written to out/table-f")
    written = folder / "out" / "table-f"
    assert {path.name for path in written.iterdir()} == FILES
    assert load(written / "model.safetensors").feature_names == ("x", "y")


def test_json_is_all_that_is_printed(asked: list[Any], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(f"{FIT} --json --out result") == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.count("\n") == 1
    found = json.loads(printed.out)
    assert found["formula"] == str(Formula.of(symbolic_model()))
    assert found["formula_rmse"] == 0
    assert found["network_rmse"] == 1e-9
    assert found["target_std"] == pytest.approx(superpose.read_csv("table.csv", target="f").target_std)
    assert found["shape"] == [2, 1]
    assert found["seconds"] == 0.1
    assert found["out"] == "result"
    assert found["left_out"] == ["name"]
    assert found["interrupted"] is False
    assert found["reason"] == "it was found"
    assert {path.name for path in (folder / "result").iterdir()} == FILES


def test_constants_of_a_network_without_a_formula(
    asked: list[Any], unwritten: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(f"{FIT} --quiet --no-formula --parameters 200") == 0
    assert asked == [search.DiscoverOptions(formula=False, parameters=200)]
    capsys.readouterr()
    for line in ("--parameters 200", "--no-formula --parameters 0", "--no-formula --parameters 9 --shape 5,1"):
        assert run(f"{FIT} {line}") == 2
        assert is_one_sentence(capsys.readouterr().err.strip())


def test_without_a_formula(asked: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(f"{FIT} --no-formula --json --out result") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["formula"] is None and found["formula_rmse"] is None
    assert not Path("result", "formula.txt").exists()
    assert run(f"{FIT} --no-formula --out result") == 0
    assert capsys.readouterr().out.startswith("no formula for f")
    assert not asked[0].formula


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("", "shape", "auto"),
        ("--shape auto", "shape", "auto"),
        ("--shape 5,1", "shape", (5, 1)),
        ("--shape 4,3,1", "shape", (4, 3, 1)),
        ("--shape 1", "shape", (1,)),
        ("--shape p2,1", "shape", ((0, (2,)), 1)),
        ("--shape 3+p2+2p4,1", "shape", ((3, (2, 4, 4)), 1)),
        ("--shape 2,p3", "shape", (2, (0, (3,)))),
        ("", "grid_size", None),
        ("--grid 12", "grid_size", 12),
        ("", "degree", None),
        ("--degree 1", "degree", 1),
        ("--degree 5", "degree", 5),
        ("", "optimizer", "lm"),
        ("--optimizer adamw", "optimizer", "adamw"),
        ("--optimizer lbfgs", "optimizer", "lbfgs"),
        ("", "log_target", None),
        ("--log-target auto", "log_target", None),
        ("--log-target yes", "log_target", True),
        ("--log-target no", "log_target", False),
        ("", "time_limit", search.DiscoverOptions().time_limit),
        ("--time-limit 1.5", "time_limit", 1.5),
        ("--time-limit 1e3", "time_limit", 1000.0),
        ("", "seed", 0),
        ("--seed 7", "seed", 7),
        ("", "formula", True),
        ("--no-formula", "formula", False),
        ("", "functions", None),
        ("--library sin,x^2", "functions", ("sin", "x^2")),
        ("--increasing x --lower 0", "knowledge", superpose.Knowledge(increasing=("x",), lower=0.0)),
        ("--odd y --at x=0:0 --at x=1,y=2:3", "knowledge", AT),
        ("--linear x", "linear", ("x",)),
        ("--linear x --linear y", "linear", ("x", "y")),
        ("--combine x/y", "combine", ("x/y",)),
        ("", "parameters", None),
        ("", "cv", None),
        ("--cv 5", "cv", 5),
    ],
)
def test_each_option_reaches_the_search(asked: list[Any], unwritten: None, line: str, name: str, value: object) -> None:
    assert run(f"{FIT} --quiet {line}") == 0
    assert asked == [replace(search.DiscoverOptions(), **{name: value})]


def test_the_seed_deals_the_rows(asked: list[Any], unwritten: None, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    real = search.discover

    def watched(data: superpose.Dataset, *args: Any, **options: Any) -> Any:
        seen.append(data.test.tolist())
        return real(data, *args, **options)

    monkeypatch.setattr(search, "discover", watched)
    for seed in (0, 1):
        assert run(f"{FIT} --seed {seed} --test-share 0.2") == 0
        assert seen[seed] == superpose.read_csv("table.csv", target="f", test=0.2, seed=seed).test.tolist()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), ("x", "y", "a,b")),
        (("--features", "y,x"), ("y", "x")),
        (("--features", " y , x "), ("y", "x")),
        (("--features", "x", "--features", "y"), ("x", "y")),
        (("--features", "a,b", "--features", "x"), ("a,b", "x")),
        (("--features", '"a,b",x'), ("a,b", "x")),
        (("--features", 'y, "a,b"'), ("y", "a,b")),
    ],
)
def test_features_are_named_in_order(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    frame = pandas.read_csv("table.csv").drop(columns="name")
    frame.insert(2, "a,b", numpy.arange(len(frame)))
    frame.to_csv("table.csv", index=False)
    seen: list[tuple[str, ...]] = []

    def watched(data: superpose.Dataset, *args: Any, **options: Any) -> Any:
        seen.append(data.feature_names)
        raise superpose.OptionError("that is enough")

    monkeypatch.setattr(search, "discover", watched)
    assert main([*FIT.split(), *arguments]) == 2
    assert seen == [expected]


def test_an_existing_folder_keeps_what_is_not_ours(asked: list[Any], folder: Path) -> None:
    (folder / "result").mkdir()
    (folder / "result" / "notes.txt").write_text("mine")
    for _ in range(2):
        assert run(f"{FIT} --out result --quiet") == 0
    assert {path.name for path in (folder / "result").iterdir()} == FILES | {"notes.txt"}


def test_the_default_folder_is_named_after_table_and_target(
    asked: list[Any], unwritten: None, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pandas.read_csv("table.csv").rename(columns={"f": "a/b (c)"})
    (folder / "my data").mkdir()
    table.to_csv("my data/table 1.csv.gz", index=False)
    assert main(["fit", "my data/table 1.csv.gz", "--target", "a/b (c)", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["out"] == os.path.join("out", "table_1-a_b_c_")


def test_an_interrupted_search_is_written_and_says_so(
    asked: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = search.discover

    def interrupted(*args: Any, **options: Any) -> Any:
        result = real(*args, **options)
        result.metrics["interrupted"] = True
        return result

    monkeypatch.setattr(search, "discover", interrupted)
    assert run(f"{FIT} --out result") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "interrupted: this is the best model so far" in lines
    assert lines[-1].startswith("written to result")
    assert {path.name for path in Path("result").iterdir()} == FILES
    assert run(f"{FIT} --out result --json") == 0
    assert json.loads(capsys.readouterr().out)["interrupted"] is True


def test_an_interruption_before_anything_was_found(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*args: Any, **options: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(search, "discover", interrupted)
    before = set(folder.rglob("*"))
    assert run(FIT) == 130
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "error: interrupted, and nothing was written\n"
    assert set(folder.rglob("*")) == before


def test_ctrl_c_keeps_what_the_search_has_found(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The signal itself, in the middle of the search itself."""

    def interrupt(event: str) -> None:
        if event.startswith("network"):
            signal.raise_signal(signal.SIGINT)

    @contextlib.contextmanager
    def progress(quiet: bool, first: str) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(listener=interrupt, print=print)

    monkeypatch.setattr("superpose.cli.console.progress", progress)
    # A shell that starts the tests in the background has them ignore the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert run(f"{FIT} --json --out result --time-limit 30") == 0
    finally:
        signal.signal(signal.SIGINT, before)
    found = json.loads(capsys.readouterr().out)
    assert found["interrupted"] is True
    # The law was found before the network that is shown beside it.
    assert found["formula"] is not None
    assert load("result/model.safetensors").shape == found["shape"]
    assert {path.name for path in Path("result").iterdir()} == FILES | {"network.safetensors", "checkpoint"}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("terminal", "line", "shown"),
    [(True, "", True), (True, "--json", True), (True, "--quiet", False), (False, "", False)],
)
def test_progress_is_for_terminals(
    asked: list[Any],
    unwritten: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    terminal: bool,
    line: str,
    shown: bool,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    # Which rich takes for a terminal wherever it writes.
    monkeypatch.setenv("FORCE_COLOR", "1")
    stream = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    assert run(f"{FIT} {line}") == 0
    assert ("searching [for] a formula" in stream.getvalue()) == shown
    assert shown or stream.getvalue() == ""
    assert "searching" not in capsys.readouterr().out


def test_json_has_no_nan(
    asked: list[Any],
    unwritten: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    real = search.discover

    def odd(*args: Any, **options: Any) -> Any:
        result = real(*args, **options)
        result.metrics |= {"formula_rmse": math.inf, "network_rmse": math.nan}
        result.metrics["formulas"] = [{"relative_error": math.inf}]
        return result

    monkeypatch.setattr(search, "discover", odd)
    assert run(f"{FIT} --json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["formula_rmse"] is None and found["network_rmse"] is None
    assert found["formulas"] == [{"relative_error": None}]


def test_from_a_table_to_a_formula(folder: Path) -> None:
    finished = run_python(
        "-m",
        "superpose",
        "fit",
        str(EXAMPLES / "data" / "hello.csv"),
        *("--target", "f", "--shape", "1,1", "--json", "--out", str(folder / "hello")),
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr == ""
    found = json.loads(finished.stdout)
    x, y = sympy.symbols("x y")
    rng = numpy.random.default_rng(1)
    points = rng.uniform(-1, 1, (2, 100))
    expression = Formula.of(load(folder / "hello" / "model.safetensors")).expression
    renamed = {symbol: {"x": x, "y": y}[symbol.name] for symbol in expression.free_symbols}
    values = sympy.lambdify([x, y], expression.xreplace(renamed))(*points)
    truth = numpy.exp(numpy.sin(numpy.pi * points[0]) + points[1] ** 2)
    assert numpy.abs(values - truth).max() < 1e-6
    assert found["formula_rmse"] < 1e-6
    assert {path.name for path in (folder / "hello").iterdir()} == FILES | {"network.safetensors"}


@pytest.mark.parametrize("command", [FIT, "relations table.csv"])
@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_folder_is_no_folder(
    folder: Path, capsys: pytest.CaptureFixture[str], command: str, name: str
) -> None:
    before = set(folder.rglob("*"))
    assert main([*command.split(), "--out", name]) == 2
    said = capsys.readouterr().err
    assert said == "error: --out is empty; name a folder to write into, or leave it out\n"
    assert set(folder.rglob("*")) == before


@pytest.mark.parametrize(("first", "second"), [(1e300, 1.0), (1e-160, 1e-60)])
def test_numbers_whose_squares_are_no_doubles_are_learnt(
    folder: Path, counted_work: None, capsys: pytest.CaptureFixture[str], first: float, second: float
) -> None:
    generator = random.Random(0)
    rows = [(first * generator.random(), second * generator.random()) for _ in range(200)]
    lines = [f"{a!r},{b!r},{a * (1 + b / second)!r}" for a, b in rows]
    Path("wide.csv").write_text("\n".join(["a,b,y", *lines]))
    assert run("fit wide.csv --target y --time-limit 10 --json --out wide") == 0
    found = json.loads(capsys.readouterr().out)
    assert 0.1 * first < found["target_std"] < first
    assert found["formula_rmse"] < 1e-9 * first and 0 < found["network_rmse"] < 0.1 * first
    assert {path.name for path in Path("wide").iterdir()} >= FILES
