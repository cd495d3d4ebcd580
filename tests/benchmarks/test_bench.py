"""Benchmarks: whole files, results kept as they come and resumed, failures told, no traceback."""

from __future__ import annotations

import contextlib
import csv
import functools
import importlib.util
import itertools
import json
import math
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy
import pytest

from benchmarks import catalogue, problems
from benchmarks.command import main
from benchmarks.functions import pages, toy
from benchmarks.functions.suite import root_mean_square
from benchmarks.harness import machine, suite
from benchmarks.harness.settings import Settings
from benchmarks.harness.store import Store
from benchmarks.harness.tables import median
from benchmarks.methods import REGRESSION_PEERS, load, regression, superpose_network
from benchmarks.methods.fitted import Fitted
from helpers import ROOT, is_one_sentence, run_python
from superpose.errors import FileError, OptionError

pytest.importorskip("scipy")

SMALL = Settings(time_limit=2.0, points=60, test_points=40, only=("I.6.2", "I.16.6"), seeds=(0, 1))
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
FILES = {"results.json", "results.csv", "results.md", "results.svg"}


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, int]]:
    """Stands in for training, which takes its time; remembers who was trained on what."""
    seen: list[tuple[str, str, int]] = []

    def train(name: str, problem: Any, x: Any, y: Any, *, time_limit: float, seed: int, parameters: Any) -> Fitted:
        seen.append((problem.name, name, seed))
        assert x.shape == (SMALL.points, len(problem.variables)) and y.shape == (SMALL.points,)
        assert parameters == (None if name == "superpose" else 17)
        off = 10.0 ** -(len(name) + seed)
        return Fitted(lambda points: problem(points) + off, 17, (2, 2, 1), (5, 10))

    monkeypatch.setattr(regression, "fit", train)
    monkeypatch.setattr("benchmarks.harness.suite.methods.load", lambda names, known: None)
    return seen


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Searches for networks end after a few steps, at the same place on every machine."""
    search = functools.partial(superpose_network.train.search, steps=60)
    monkeypatch.setattr(superpose_network.train, "search", search)


def written(folder: Path) -> dict[str, Any]:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} in JSON")

    document: dict[str, Any] = json.loads((folder / "results.json").read_text(), parse_constant=refuse)
    return document


# -- the registry


def test_every_benchmark_can_be_loaded() -> None:
    for name, benchmark in catalogue.BENCHMARKS.items():
        assert name == benchmark.name and benchmark.summary
        order = suite.of(name).order(Settings())
        assert len(set(order)) == len(order) > 1


def test_every_script_has_its_own_options(capsys: pytest.CaptureFixture[str]) -> None:
    for name, script in catalogue.SCRIPTS.items():
        assert name == script.name and script.summary
        with contextlib.suppress(SystemExit):
            main([name, "--help"])
        assert f"python -m benchmarks {name} " in capsys.readouterr().out


def test_pages_name_benchmarks_that_exist() -> None:
    pages = [*(ROOT / "docs").glob("*.md"), *(ROOT / "docs").glob("*/*.md"), ROOT / "README.md"]
    for page in [*pages, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]:
        text = page.read_text(encoding="utf-8")
        # The changelog says what the program was called before.
        assert page.name == "CHANGELOG.md" or not re.search(r"superpose bench\b", text), page
        for names in re.findall(r"python -m benchmarks ([a-z|-]+)", text):
            assert set(names.split("|")) <= {*catalogue.BENCHMARKS, *catalogue.SCRIPTS}, (page, names)


def test_registry_and_options_load_nothing_heavy() -> None:
    script = (
        "import sys; from benchmarks.command import main; main(['--help']); main(['spatial']);"
        "main(['special', '--peer', 'gpr']); main(['special', '--points', '0']);"
        "print(*{'torch', 'numpy', 'scipy', 'sklearn', 'kan', 'matplotlib'} & set(sys.modules), 'end')"
    )
    finished = run_python("-c", script)
    assert finished.stdout.splitlines()[-1] == "end", finished.stdout + finished.stderr


# -- results


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


def test_a_fit_that_a_person_stops_is_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """fit keeps its best state and returns; a benchmark must not take that for a whole run."""

    def step(self: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("superpose.optim.levenberg_marquardt.LevenbergMarquardt.step", step)
    problem = problems.toy()["product"]
    with pytest.raises(KeyboardInterrupt):
        superpose_network.fit(problem, *problem.sample(50, 0), time_limit=5.0, seed=0)


def test_discover_takes_part_with_the_law_it_finds(trained: list[Any], tmp_path: Path) -> None:
    store = suite.run("feynman", replace(SMALL, peers=("discover",), seeds=(0,)), tmp_path)
    assert suite.of("feynman").lines(store)[-2:] == [
        "superpose.discover is at or below the paper's best KAN in 2 of 2, 10x below in 2, 30x below in 2",
        "superpose.discover is at or below the paper's best of all in 2 of 2, 10x below in 2, 30x below in 2",
    ]


def test_an_error_of_zero_is_below_every_other() -> None:
    assert pages._ratio(1e-9, 0.0) == math.inf and pages._ratio(0.0, 0.0) == 1.0 and pages._ratio(0.0, 1e-9) == 0.0
    assert pages._ratio(math.inf, 1e-3) == math.inf and pages._ratio(3e-3, 1e-3) == pytest.approx(3)


def test_discover_predicts_with_the_laws_own_network() -> None:
    problem = problems.feynman()["I.16.6"]
    x, y = problem.sample(200, (0, 0))
    trained = regression.fit("discover", problem, x, y, time_limit=20.0, seed=0)
    new, true = problem.sample(100, (0, 1))
    assert abs(trained.predict(new) - true).max() < 1e-9 and trained.parameters < 30


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


# -- options


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("spatial", "did you mean 'special'?"),
        ("special extra", "does not know what to do with 'extra'"),
        ("special --time-limit 0", "--time-limit is '0'"),
        ("special --time-limit soon", "'soon'"),
        ("special --seed 1,1", "a seed twice"),
        ("special --seed 1,", "--seed is ''"),
        ("special --seed -1", "--seed is '-1'"),
        ("special --points 9", "from 10 to"),
        ("special --points many", "'many'"),
        ("special --test-points 0", "--test-points is '0'"),
        ("special --peer gpr", "pykan, mlp, gp, rbf"),
        ("special --peer gp,gp", "a name twice"),
        ("special --peer gp,,mlp", "empty name"),
        ("special --only ellipk", "did you mean 'ellipj'?"),
        ("special --only ,", "empty name"),
        ("feynman --only zzz", "the problems are I.6.2, "),
        ("special --sede 1", "did you mean '--seed'?"),
        ("special --out table.csv", "is a file"),
    ],
)
def test_wrong_options_give_one_sentence(
    line: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("table.csv").touch()
    assert main(line.split()) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ") and printed.err.count("\n") == 1
    assert words in printed.err and is_one_sentence(printed.err.strip())
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


@pytest.mark.parametrize("name", [name for name, peer in REGRESSION_PEERS.items() if peer.imports])
def test_a_peer_that_is_not_installed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, REGRESSION_PEERS[name].imports, None)
    assert main(["feynman", "--peer", name, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert (
        f"constraints.txt '{REGRESSION_PEERS[name].install}'" in error
        and "-e '.[bench]'" in error
        and is_one_sentence(error.strip())
    )
    assert list(tmp_path.iterdir()) == []


def test_special_functions_without_scipy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    assert main(["special", "--out", str(tmp_path / "out")]) == 2
    assert "-e '.[bench]'" in capsys.readouterr().err


# -- the methods themselves, with tiny budgets


def loaded(name: str) -> None:
    """Load what a peer needs as the program does, which lets it warn; skip the test where it is not installed."""
    package = REGRESSION_PEERS[name].imports.partition(".")[0]
    if package and importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    load([name])


@pytest.mark.parametrize("name", ["superpose", *REGRESSION_PEERS])
def test_each_method_learns(
    name: str, few_steps: None, untouched_globals: None, capsys: pytest.CaptureFixture[str]
) -> None:
    if name in REGRESSION_PEERS:
        loaded(name)
    problem = problems.toy()["product"]
    x, y = problem.sample(150, seed=0)
    # The user's units are not those that a method computes in.
    # The others end by themselves; how far these get in that time depends on the machine.
    hasty = name in ("mlp", "pykan")
    limit = 2.0 if hasty else 60.0
    found = regression.fit(name, problem, 3 + 100 * x, 1e6 * y, time_limit=limit, seed=0, parameters=60)
    fresh, values = problem.sample(100, seed=1)
    predicted = found.predict(3 + 100 * fresh)
    assert predicted.shape == (100,) and predicted.dtype == numpy.float64
    error = root_mean_square(predicted - 1e6 * values) / (1e6 * values.std())
    assert error < (1.5 if hasty else 0.05)
    assert found.parameters > 0
    if name in ("gp", "rbf"):
        assert found.parameters == 150 and not found.shape
    else:
        # A law may end in a product.
        assert found.shape[0] == 2 and (found.shape[-1] == 1 or name == "discover")
    assert capsys.readouterr() == ("", "")


def test_the_fewest_points_that_the_options_allow(few_steps: None, tmp_path: Path) -> None:
    line = f"toy --only mean_100 --points 10 --test-points 1 --time-limit 2 --peer mlp,rbf --out {tmp_path} --quiet"
    assert main(line.split()) == 0
    rows = written(tmp_path)["results"]
    assert [row["method"] for row in rows] == ["superpose", "mlp", "rbf"]
    # One value has no spread to measure an error against, and ten points determine no quadratic in 100 dimensions.
    assert rows[0]["test_rmse"] > 0 and rows[0]["relative_rmse"] is None
    assert "ValueError" in rows[2]["failure"]


def test_superpose_learns_in_a_few_steps(few_steps: None, tmp_path: Path) -> None:
    settings = replace(SMALL, only=("II.2.42",), seeds=(0,), points=300, time_limit=60.0)
    store = suite.run("feynman", settings, tmp_path)
    (row,) = store.rows()
    assert row["relative_rmse"] < 1
    assert row["grids"][0] == 5 and row["shape"][0] == 2


def test_pykan_survives_nan(monkeypatch: pytest.MonkeyPatch, untouched_globals: None) -> None:
    """Its L-BFGS and its least squares can give NaN; the best state before is what counts."""
    loaded("pykan")
    from benchmarks.methods import pykan

    keep = pykan._Run._keep

    def spoilt(self: Any) -> Any:
        error = keep(self)
        for parameter in self.model.parameters():
            parameter.data.fill_(math.nan)
        return error

    monkeypatch.setattr(pykan._Run, "_keep", spoilt)
    monkeypatch.setattr(pykan, "GRIDS", (3, 5))
    monkeypatch.setattr(pykan, "STEPS", 2)
    problem = problems.toy()["product"]
    x, y = problem.sample(100, seed=0)
    found = pykan.fit(problem, x, y, time_limit=20.0, seed=0)
    assert numpy.isfinite(found.predict(x)).all()


def test_the_search_keeps_to_the_constants_of_the_published_shape(few_steps: None) -> None:
    problem = problems.special()["lpmv_0"]
    x, y = problem.sample(200, 0)
    trained = superpose_network.fit(problem, x, y, time_limit=60.0, seed=0)
    edges = sum(a * b for a, b in itertools.pairwise(problem.shape))
    assert 0 < trained.parameters <= 204 * edges and trained.shape[0] == 2 and trained.grids[0] == 5


# -- errors against the grid


@pytest.mark.parametrize("power", [-3.0, -4.0, -6.0])
def test_an_exponent_is_found_whatever_stands_before_and_after(power: float) -> None:
    errors = [0.5, *(0.5 * 2 ** (power * n) for n in range(1, 5))]
    assert toy.slope(toy.GRIDS, errors) == pytest.approx(power)
    used = toy.falling([0.6, *errors[:4]])
    assert toy.slope(toy.GRIDS[used], [0.6, *errors[:4]][used]) == pytest.approx(power)
    floor = [*errors[:3], 0.9 * errors[2], 0.8 * errors[2]]
    used = toy.falling(floor)
    assert toy.slope(toy.GRIDS[used], floor[used]) == pytest.approx(power)


@pytest.mark.parametrize(
    ("errors", "used"),
    [
        ([1.0, 1.0, 1.0], slice(0, 1)),
        ([1.0], slice(0, 1)),
        ([1e-3, 1e-2, 0.1], slice(0, 1)),
        # By less than a third at each grid.
        ([1.0, 0.4, 0.16, 0.064], slice(0, 1)),
        # The same errors with one that does fall, behind them and before them.
        ([1.0, 1.0, 1.0, 0.1], slice(2, 4)),
        ([1.0, 0.1, 0.1, 0.1], slice(0, 2)),
    ],
)
def test_errors_that_do_not_fall_have_no_exponent(errors: list[float], used: slice) -> None:
    assert toy.falling(errors) == used
    exponent = toy.slope(toy.GRIDS[used], errors[used])
    falls = used.stop - used.start > 1
    assert (exponent is not None) == falls
    if exponent is not None:
        assert exponent == pytest.approx(math.log2(0.1))


def test_scaling_of_a_network_that_can_be_exact(
    few_steps: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toy, "GRIDS", (5, 10, 20))
    monkeypatch.setattr(toy, "DEGREES", (3,))
    monkeypatch.setattr(toy, "PROBLEMS", ("exp_sin",))
    settings = Settings(time_limit=60.0, points=400, test_points=200, only=("exp_sin",))
    store = suite.run("toy", settings, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == FILES | {"scaling.csv", "scaling.svg"}
    (row,) = written(tmp_path)["scaling"]
    assert row["grids"] == list(toy.GRIDS[: len(row["grids"])]) and len(row["test_rmse"]) == len(row["grids"]) >= 3
    assert row["exponent"] < -2.5
    assert "| exp_sin | -" in (tmp_path / "results.md").read_text()
    assert any(line.startswith("exp_sin, degree 3: error ~ G^-") for line in suite.of("toy").lines(store))
    text = "".join(ElementTree.parse(tmp_path / "scaling.svg").getroot().itertext())
    assert "claim" in text and "degree 3" in text


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
