"""The command line: what each command prints and writes, and what it never does."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import math
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
import pandas
import pytest
import sympy
import torch

import superpose
from helpers import EXAMPLES, SOURCE, is_one_sentence, run_python
from superpose import plot, workflow
from superpose.cli import main
from superpose.files import load, save
from superpose.interpret.formula import Formula
from superpose.train.history import History, Record

FILES = {
    "model.safetensors",
    "formula.txt",
    "formula.tex",
    "formula.py",
    "metrics.json",
    "history.csv",
    "front.svg",
    "network.svg",
    "network.png",
    "report.html",
}
FIT = "fit table.csv --target f"


def symbolic_model(**names: Any) -> superpose.KAN:
    """The network of f = 2*x + y^2."""
    names = {"feature_names": ["x", "y"], "target_names": ["f"]} | names
    model = superpose.KAN([2, 1], grid_size=3, **names)
    model.layer(0).set_symbolic({(0, 0): ("x", (1.0, 0.0, 2.0, 0.0)), (1, 0): ("x^2", (1.0, 0.0, 1.0, 0.0))})
    return model


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test runs in a folder with a table of f = 2*x + y^2 and its model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SUPERPOSE_DEBUG", raising=False)
    lines = [f"p{n},{n % 7},{0.1 * n % 3:.1f}" for n in range(40)]
    rows = [line.split(",") for line in lines]
    body = [f"{a},{x},{y},{2 * int(x) + float(y) ** 2:.17g}" for a, x, y in rows]
    Path("table.csv").write_text("\n".join(["name,x,y,f", *body]) + "\n")
    save(symbolic_model(), "model.safetensors")
    return tmp_path


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[workflow.DiscoverOptions]:
    """Stands in for the search, which takes its time; remembers what it was asked for."""
    seen: list[workflow.DiscoverOptions] = []

    def discover(data: superpose.Dataset, options: Any, *, listener: Any = None) -> Any:
        seen.append(options)
        if listener is not None:
            listener("searching [for] a formula")
        model = symbolic_model(feature_names=data.feature_names, target_names=data.target_names)
        history = History([Record(0, "start", 3, 1.0, 1.0, 0.0)], "lm", "it was found", seconds=0.1)
        formula = Formula.of(model) if options.formula else None
        metrics = {
            "formula": None if formula is None else str(formula),
            "formula_rmse": 0.0 if options.formula else None,
            "network_rmse": 1e-9,
            "target_std": data.target_std,
            "shape": model.widths,
            "seconds": 0.1,
            "interrupted": False,
            "reason": "it was found",
            "front": [{"complexity": 9, "formula": "f", "rmse": 0.0, "recommended": True}] if formula else [],
        }
        return workflow.Result(model, model, history, formula, data, metrics)

    monkeypatch.setattr(workflow, "discover", discover)
    return seen


@pytest.fixture
def unwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Saves the second that the files of a run take, where they are not what is tested."""
    monkeypatch.setattr("superpose.report.write", lambda *arguments, **options: {})


def run(line: str, *more: str) -> int:
    return main([*line.split(), *more])


# -- the program


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out == f"superpose {superpose.__version__}\n"
    assert run("") == 0
    bare = capsys.readouterr().out
    assert run("--help") == 0
    assert capsys.readouterr().out == bare
    assert all(name in bare for name in ("fit", "predict", "formula", "plot", "info", "bench"))


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (
            "fit",
            "TABLE --target NAME --features A,B --out DIR --shape auto|5,1 --grid N --degree K "
            "--optimizer lm|lbfgs|adamw --time-limit SECONDS --seed N --no-formula --parameters N --json --quiet "
            "--task --head --library --linear --combine",
        ),
        ("predict", "MODEL TABLE --out FILE --probabilities"),
        ("formula", "MODEL --format text|latex|python|sympy"),
        ("plot", "MODEL [TABLE] --out FILE"),
        ("info", "MODEL --json"),
        (
            "bench",
            "NAME special feynman toy --time-limit SECONDS --seed 0,1,2 --points N --test-points N --only NAME,NAME "
            "--peer discover,pykan,mlp,gp,rbf --noise --jobs N --out DIR --resume --json --quiet",
        ),
    ],
)
def test_each_command_explains_itself(command: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(f"{command} --help") == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    for word in words.split():
        assert word in printed.out
    options = set(re.findall(r"--[a-z-]+", printed.out))
    assert options == {word for word in words.split() if word.startswith("--")} | {"--help"}


def test_the_module_is_the_same_program(folder: Path) -> None:
    finished = run_python("-m", "superpose", "info", str(folder / "model.safetensors"), "--json")
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout)["widths"] == [2, 1]


def test_help_and_mistakes_in_options_do_without_torch() -> None:
    """The package's door is left out here: it is the command line's own modules that count."""
    script = (
        "import sys, types; package = types.ModuleType('superpose');"
        f"package.__path__ = [{str(SOURCE / 'superpose')!r}]; sys.modules['superpose'] = package;"
        "from superpose.cli import main;"
        "assert main(['fit', '--help']) == 0; assert main(['fit', 't', '--grid', 'x']) == 2;"
        "assert main(['fit', 't', '--target', 'f', '--grid', 'x']) == 2;"
        "print(*{'torch', 'numpy', 'pandas', 'sympy', 'matplotlib'} & set(sys.modules), 'end')"
    )
    finished = run_python("-c", script)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.splitlines()[-1] == "end"


def test_a_failure_of_ours_is_owned_up_to(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(*args: Any) -> None:
        raise KeyError("inner")

    monkeypatch.setattr("superpose.files.load", fail)
    assert run("info model.safetensors") == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert is_one_sentence(printed.err.strip())
    assert "SUPERPOSE_DEBUG=1" in printed.err
    assert "superpose/" not in printed.err
    monkeypatch.setenv("SUPERPOSE_DEBUG", "1")
    assert run("info model.safetensors") == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_full_disk_is_not_our_failure(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(*args: Any) -> None:
        raise OSError(28, "No space left on device", "out/x")

    monkeypatch.setattr("superpose.files.load", fail)
    assert run("info model.safetensors") == 2
    assert capsys.readouterr().err == "error: 'out/x': No space left on device\n"


def test_a_reader_that_has_had_enough_is_no_error(folder: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    environment = os.environ | {"PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"}
    with os.fdopen(writing, "wb") as closed:
        finished = subprocess.run(
            [sys.executable, "-m", "superpose", "info", str(folder / "model.safetensors")],
            stdout=closed,
            stderr=subprocess.PIPE,
            env=environment,
            timeout=120,
            check=False,
        )
    assert finished.stderr == b""
    assert finished.returncode == 0


def test_names_survive_a_terminal_that_has_no_letters_for_them(folder: Path) -> None:
    save(symbolic_model(feature_names=["größe", "y"]), "model.safetensors")
    environment = os.environ | {
        "PYTHONPATH": str(SOURCE),
        "OMP_NUM_THREADS": "1",
        "PYTHONIOENCODING": "ascii",
    }
    finished = subprocess.run(
        [sys.executable, "-m", "superpose", "info", "model.safetensors"],
        capture_output=True,
        env=environment,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert b"gr\\xf6\\xdfe" in finished.stdout


# -- fit


def test_fit_writes_every_file_and_says_what_it_found(
    asked: list[Any], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(FIT) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    lines = printed.out.splitlines()
    assert lines[0] == f"f = {Formula.of(symbolic_model())}"
    assert "6 rows held out" in lines[1]
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
    assert asked == [workflow.DiscoverOptions(formula=False, parameters=200)]
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
        ("", "time_limit", workflow.DiscoverOptions().time_limit),
        ("--time-limit 1.5", "time_limit", 1.5),
        ("--time-limit 1e3", "time_limit", 1000.0),
        ("", "seed", 0),
        ("--seed 7", "seed", 7),
        ("", "formula", True),
        ("--no-formula", "formula", False),
        ("", "functions", None),
        ("--library sin,x^2", "functions", ("sin", "x^2")),
        ("--linear x", "linear", ("x",)),
        ("--linear x --linear y", "linear", ("x", "y")),
        ("--combine x/y", "combine", ("x/y",)),
        ("", "parameters", None),
    ],
)
def test_each_option_reaches_the_search(asked: list[Any], unwritten: None, line: str, name: str, value: object) -> None:
    assert run(f"{FIT} --quiet {line}") == 0
    assert asked == [replace(workflow.DiscoverOptions(), **{name: value})]


def test_the_seed_deals_the_rows(asked: list[Any], unwritten: None, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    real = workflow.discover

    def watched(data: superpose.Dataset, *args: Any, **options: Any) -> Any:
        seen.append(data.test.tolist())
        return real(data, *args, **options)

    monkeypatch.setattr(workflow, "discover", watched)
    for seed in (0, 1):
        assert run(f"{FIT} --seed {seed}") == 0
        assert seen[seed] == superpose.read_csv("table.csv", target="f", seed=seed).test.tolist()


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

    monkeypatch.setattr(workflow, "discover", watched)
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
    real = workflow.discover

    def interrupted(*args: Any, **options: Any) -> Any:
        result = real(*args, **options)
        result.metrics["interrupted"] = True
        return result

    monkeypatch.setattr(workflow, "discover", interrupted)
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

    monkeypatch.setattr(workflow, "discover", interrupted)
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
    def progress(quiet: bool, first: str) -> Iterator[Callable[[str], None]]:
        yield interrupt

    monkeypatch.setattr("superpose._console.progress", progress)
    assert run(f"{FIT} --json --out result --time-limit 30") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["interrupted"] is True
    # The law was found before the network that is shown beside it.
    assert found["formula"] is not None
    assert found["seconds"] < 20
    assert load("result/model.safetensors").shape == found["shape"]
    assert {path.name for path in Path("result").iterdir()} == FILES | {"network.safetensors"}


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
    real = workflow.discover

    def odd(*args: Any, **options: Any) -> Any:
        result = real(*args, **options)
        result.metrics |= {"formula_rmse": math.inf, "network_rmse": math.nan}
        result.metrics["formulas"] = [{"relative_error": math.inf}]
        return result

    monkeypatch.setattr(workflow, "discover", odd)
    assert run(f"{FIT} --json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["formula_rmse"] is None and found["network_rmse"] is None
    assert found["formulas"] == [{"relative_error": None}]


# -- predict


def test_predictions_stand_beside_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    Path("new.csv").write_text("y;name;x\n0,5;first, second;2\n1,25;ü;-3\n")
    assert run("predict model.safetensors new.csv") == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out == 'y,name,x,f\n0.5,"first, second",2,4.25\n1.25,ü,-3,-4.4375\n'


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


# -- formula, plot, info


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


# -- the whole way, in a process of its own


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


@pytest.mark.parametrize("command", [FIT, "relations table.csv", "bench laws"])
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
    folder: Path, capsys: pytest.CaptureFixture[str], first: float, second: float
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
