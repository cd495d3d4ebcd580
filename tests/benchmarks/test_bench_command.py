"""The program of the benchmarks: what it can run, and one sentence for each wrong option."""

from __future__ import annotations

import contextlib
import re
import sys
from pathlib import Path

import pytest

from benchmarks import catalogue
from benchmarks.command import main
from benchmarks.harness import suite
from benchmarks.harness.settings import Settings
from benchmarks.methods import REGRESSION_PEERS
from helpers import ROOT, is_one_sentence, run_python

pytest.importorskip("scipy")


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
