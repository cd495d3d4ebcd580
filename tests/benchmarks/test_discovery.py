"""Discovery: tables as asked for, searches in processes of their own, failures as rows, pages of what was found."""

from __future__ import annotations

import csv
import importlib.util
import json
import math
import os
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy
import pytest
import sympy

from benchmarks import problems
from benchmarks.command import main
from benchmarks.discovery import pages
from benchmarks.discovery import suite as discovery
from benchmarks.harness import machine, suite, workers
from benchmarks.harness.settings import Settings
from benchmarks.methods import FORMULA_PEERS, load, symbolic_regression
from benchmarks.methods.proposals import NothingFound, Proposal, with_refitted_constants
from benchmarks.methods.symbolic_regression import propose
from helpers import is_one_sentence, run_python

SMALL = Settings(time_limit=2.0, points=200, test_points=300, only=("product", "quotient"), noise=(0.0, 0.01))
FILES = {"results.json", "results.csv", "results.md", "results.svg"}
TASK = {"benchmark": "laws", "problem": "quotient", "noise": 0.0, "seed": 0, "method": "superpose",
        "time_limit": 2.0, "points": 200, "test_points": 300}  # fmt: skip
ROW = {"problem", "noise", "seed", "method", "recovered", "unaided", "formula", "complexity", "law_complexity",
       "error", "wider_error", "moved", "reason", "seconds", "failure"}  # fmt: skip
x, y = sympy.symbols("x y", real=True)


@pytest.fixture
def at_hand(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float, int, str]]:
    """Searches without processes, and without searching: superpose knows the law, the others are off or fail."""
    seen: list[tuple[str, float, int, str]] = []

    def known(name: str, law: Any, x: Any, y: Any, *, time_limit: float, seed: int) -> Proposal:
        if name == "gplearn":
            raise NothingFound("it gave up")
        return Proposal((law.expression if name == "superpose" else 1.1 * law.expression,))

    def work_off(tasks: Any, module: str, *, jobs: int, limit: float, started: Any, done: Any) -> None:
        for task in tasks:
            seen.append((task["problem"], task["noise"], task["seed"], task["method"]))
            started(task)
            done(task, discovery.answer(task), "")

    monkeypatch.setattr(discovery, "propose", known)
    monkeypatch.setattr(workers, "work_off", work_off)
    monkeypatch.setattr("benchmarks.methods.load", lambda names, known: None)
    return seen


# -- tables


def test_noise_is_of_the_share_that_was_asked_for() -> None:
    law = problems.laws()["quotient"]
    x, exact = discovery.table(law, 10_000, 0.0, 3)
    assert (exact == law(x)).all()
    for share in (0.001, 0.01):
        again, noisy = discovery.table(law, 10_000, share, 3)
        assert (again == x).all()
        assert (noisy - exact).std() == pytest.approx(share * exact.std(), rel=0.05)
        assert abs((noisy - exact).mean()) < 0.05 * share * exact.std()
    assert (discovery.table(law, 10_000, 0.0, 4)[0] != x).all()


# -- a run


def test_a_run_writes_every_row_and_says_what_was_found_instead(at_hand: list[Any], tmp_path: Path) -> None:
    settings = replace(SMALL, peers=("operon", "gplearn"))
    store = suite.run("laws", settings, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == FILES
    document = json.loads((tmp_path / "results.json").read_text())
    assert document["problems"]["quotient"]["formula"] == "x/y"
    rows = document["results"]
    keys = [(row["problem"], row["noise"], row["method"]) for row in rows]
    assert keys == [
        (p, n, c) for p in ("product", "quotient") for n in (0.0, 0.01) for c in ("superpose", "operon", "gplearn")
    ]
    for row in rows:
        assert set(row) == ROW | {"jobs"}
        assert row["recovered"] == (row["method"] == "superpose")
        assert row["seconds"] >= 0
    failed = next(row for row in rows if row["method"] == "gplearn")
    assert failed["failure"] == "it gave up" and failed["formula"] is None
    with (tmp_path / "results.csv").open(newline="") as file:
        assert [line["formula"] for line in csv.DictReader(file)] == [row["formula"] or "" for row in rows]
    table = (tmp_path / "results.md").read_text()
    cells = [cell.strip() for cell in table.splitlines()[6].split("|")]
    assert cells[1:5] == ["0%", "2 of 2", "0 of 2", "0 of 2"]
    assert "## operon, noise 1%: not recovered" in table and "- quotient, `x/y`: `1.1*x/y`, error 1." in table
    assert "- product, `x*y`: nothing; it gave up" in table
    assert "superpose, noise 0%: not" not in table
    lines = suite.of("laws").lines(store)
    assert lines[0].startswith("product, noise 0%, seed 0: recovered after ")
    assert lines[-1] == "noise 1%: superpose recovered 2 of 2, operon recovered 0 of 2, gplearn recovered 0 of 2"
    text = "".join(ElementTree.parse(tmp_path / "results.svg").getroot().itertext())
    assert all(word in text for word in ("Nine laws", "superpose", "operon", "noise 1%", "recovered"))


def test_resume_goes_on_with_what_is_missing(
    at_hand: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.monotonic", lambda: 0.0)
    monkeypatch.setattr(machine, "now", lambda: "2026-01-01T00:00:00+00:00")
    monkeypatch.setattr(machine, "load", lambda: [0.0, 0.0, 0.0])
    settings = replace(SMALL, peers=("operon",), seeds=(0, 1))
    suite.run("laws", settings, tmp_path / "whole")
    everything = at_hand.copy()
    at_hand.clear()
    suite.run("laws", replace(SMALL, noise=(0.01,), only=("quotient",), seeds=(1,)), tmp_path / "parts")
    assert at_hand == [("quotient", 0.01, 1, "superpose")]
    suite.run("laws", settings, tmp_path / "parts", resume=True)
    assert sorted(at_hand) == sorted(everything) and len(everything) == 16
    for name in FILES:
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_help_that_was_needed_is_counted() -> None:
    rows = [
        {"noise": 0.0, "method": "operon", "recovered": right, "unaided": unaided}
        for right, unaided in ((True, True), (True, False), (False, False))
    ]
    assert pages._counts(rows, 0.0, ["operon"]) == ["2 of 3 (1 unaided)"]
    assert pages._counts(rows[:1], 0.0, ["operon", "gplearn"]) == ["1 of 1", "-"]
    del rows[0]["unaided"]
    assert pages._counts(rows, 0.0, ["operon"]) == ["2 of 3"]


def test_a_search_that_takes_too_long_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "propose", lambda *args, **options: Proposal((x / y,)))
    clock = iter([0.0, 2.9, 0.0, 3.1])
    monkeypatch.setattr(discovery, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    assert discovery.answer(TASK)["recovered"]
    late = discovery.answer(TASK)
    assert not late["recovered"] and late["failure"] == "it took 3 s" and late["formula"] == "x/y"


def test_one_of_several_proposals_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    proposals = [(x / y, x), (x, x / y, y), (x, y)]
    monkeypatch.setattr(discovery, "propose", lambda *args, **options: Proposal(proposals.pop(0)))
    found = [discovery.answer(TASK) for _ in range(3)]
    # If none is the law, the seeker's own choice is shown.
    assert [row["formula"] for row in found] == ["x/y", "x/y", "x"]
    # That its own choice is the law, as it gave it, is said apart.
    assert [(row["recovered"], row["unaided"]) for row in found] == [(True, True), (True, False), (False, False)]


@pytest.mark.parametrize("fault", [ValueError("too\nmany"), MemoryError(), ZeroDivisionError("zero")])
def test_a_fault_is_a_row(fault: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*args: Any, **options: Any) -> Proposal:
        raise fault

    monkeypatch.setattr(discovery, "propose", failing)
    row = discovery.answer(TASK)
    assert set(row) == ROW and not row["recovered"]
    assert row["failure"].startswith(type(fault).__name__) and is_one_sentence(row["failure"])


def test_what_is_judged_is_what_was_proposed_under_the_tables_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    proposals = [Proposal((sympy.Float(1.004) * x / y,)) for _ in range(2)]
    proposals.append(Proposal((sympy.Function("g")(x) / y,), {"g": lambda values: 1 * values}))
    proposals.append(Proposal((sympy.Add(*(sympy.sin(n * x) ** 2 for n in range(300))),)))
    monkeypatch.setattr(discovery, "propose", lambda *args, **options: proposals.pop(0))
    assert discovery.answer(TASK | {"noise": 0.01})["recovered"]
    assert not discovery.answer(TASK)["recovered"]
    assert discovery.answer(TASK)["recovered"]
    assert len(discovery.answer(TASK)["formula"]) < 2100


def test_ctrl_c_is_no_fault_of_a_search(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: Any, **options: Any) -> Proposal:
        raise KeyboardInterrupt

    monkeypatch.setattr(discovery, "propose", interrupt)
    with pytest.raises(KeyboardInterrupt):
        discovery.answer(TASK)


def test_a_process_has_time_for_the_search_and_for_the_judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[float] = []

    def work_off(tasks: Any, module: str, *, limit: float, done: Any, **options: Any) -> None:
        limits.append(limit)
        for task in tasks:
            done(task, None, "it was ended")

    monkeypatch.setattr(workers, "work_off", work_off)
    store = suite.run("laws", SMALL, tmp_path)
    assert limits == [1.5 * SMALL.time_limit + 60]
    assert {row["failure"] for row in store.rows()} == {"it was ended"}


# -- processes


def test_what_others_print_is_no_answer() -> None:
    script = (
        "import os; from benchmarks.harness.workers import _private_output\n"
        "with _private_output() as answers:\n"
        "    print('noise', flush=True); os.system('echo more noise'); print('answer', file=answers)\n"
    )
    assert run_python("-c", script).stdout == "answer\n"


def test_ctrl_c_does_not_reach_the_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, monkeypatch)
    sessions: list[int] = []
    workers.work_off(
        [{"name": 0, "do": "ok"}],
        "unused",
        jobs=1,
        limit=10,
        started=lambda task: None,
        done=lambda task, answer, reason: sessions.append(os.getsid(answer[1])),
    )
    assert sessions and sessions[0] != os.getsid(0)


def program(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of the worker's program one that does as the task says."""
    script = folder / "worker.py"
    script.write_text(
        "import json, os, sys, time\n"
        "print('{}', flush=True)\n"
        "for line in sys.stdin:\n"
        "    task = json.loads(line)\n"
        "    if task['do'] == 'hang': time.sleep(60)\n"
        "    if task['do'] == 'die': os._exit(3)\n"
        "    if task['do'] == 'crash': os.kill(os.getpid(), 11)\n"
        "    time.sleep(task.get('seconds', 0))\n"
        "    threads = os.environ['OMP_NUM_THREADS']\n"
        "    print(json.dumps([task['name'], os.getpid(), threads]), flush=True)\n"
    )
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    popen = workers.subprocess.Popen
    monkeypatch.setattr(
        workers.subprocess, "Popen", lambda command, **options: popen([command[0], str(script)], **options)
    )


@pytest.mark.parametrize("jobs", [1, 3])
def test_processes_that_hang_or_crash_cost_their_own_result(
    jobs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, monkeypatch)
    tasks = [{"name": n, "do": do} for n, do in enumerate(["ok", "hang", "ok", "die", "ok", "crash", "ok", "ok"])]
    started: list[int] = []
    answers: dict[int, tuple[Any, str]] = {}
    workers.work_off(
        tasks,
        "unused",
        jobs=jobs,
        limit=1.0,
        started=lambda task: started.append(task["name"]),
        done=lambda task, answer, reason: answers.update({task["name"]: (answer, reason)}),
    )
    assert started == list(range(8)) and sorted(answers) == started
    assert [answers[n][1] for n in (1, 3, 5)] == [
        "it was ended after 1 s", "its process ended with status 3", "its process ended by signal 11"
    ]  # fmt: skip
    for n in (0, 2, 4, 6, 7):
        (name, _, threads), reason = answers[n]
        assert name == n and threads == "1" and reason == ""
    assert all(is_one_sentence(reason) for _, reason in answers.values() if reason)


def test_processes_work_at_the_same_time_and_are_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, monkeypatch)
    seen: list[int] = []
    tasks = [{"name": n, "do": "ok", "seconds": 0.5} for n in range(6)]
    workers.work_off(
        tasks,
        "unused",
        jobs=2,
        limit=10,
        started=lambda task: None,
        done=lambda task, answer, reason: seen.append(answer[1]),
    )
    assert len(seen) == 6 and len(set(seen)) == 2


@pytest.mark.parametrize("jobs", [1, 2])
def test_no_process_is_left_behind(jobs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, monkeypatch)
    seen: list[int] = []

    def stop(task: Any, answer: Any, reason: str) -> None:
        seen.append(answer[1])
        raise KeyboardInterrupt

    tasks = [{"name": 0, "do": "ok"}, {"name": 1, "do": "hang"}]
    with pytest.raises(KeyboardInterrupt):
        workers.work_off(tasks, "unused", jobs=jobs, limit=60, started=lambda task: None, done=stop)
    with pytest.raises(ProcessLookupError):
        os.kill(seen[0], 0)


def test_the_program_finds_a_product(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = f"laws --only product --points 300 --time-limit 20 --jobs 2 --noise 0 --out {tmp_path} --quiet"
    assert main(line.split()) == 0
    (row,) = json.loads((tmp_path / "results.json").read_text())["results"]
    assert row["recovered"] and row["jobs"] == 2 and row["failure"] is None
    assert row["formula"] in ("x*y", "1.0*x*y") and row["wider_error"] < 1e-6
    assert "product, noise 0%, seed 0: recovered after" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("laws --noise 2", "from 0 to 1"),
        ("laws --noise 0,,1", "--noise is '0,,1'"),
        ("laws --noise nan", "'nan'"),
        ("laws --noise 0.1,0.1", "a level twice"),
        ("laws --jobs 0", "--jobs is '0'"),
        ("laws --peer gp", "operon, gplearn, pykan"),
        ("discovery --only I.6", "did you mean 'I.6.2'?"),
        ("feynman --noise 0.1", "--noise is for the benchmarks discovery and laws, not for feynman"),
        ("toy --jobs 2", "--jobs is for the benchmarks discovery and laws, not for toy"),
        ("special --peer operon", "pykan, mlp, gp, rbf"),
    ],
)
def test_wrong_options_give_one_sentence(
    line: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(line.split()) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and words in printed.err and is_one_sentence(printed.err.strip())
    assert list(tmp_path.iterdir()) == []


# -- who searches


def test_a_peers_constants_are_refitted_and_its_offset_left_out() -> None:
    law = problems.laws()["quotient"]
    rows, values = law.sample(500, 0)
    given = 0.3 + sympy.Float(1.01) * x / y
    raw, fitted, bare = with_refitted_constants(given, law.symbols, rows, values)
    assert raw == given
    offset, _ = fitted.as_coeff_Add()
    assert abs(offset) < 1e-9
    assert bare.as_coeff_Add()[0] == 0 and float(bare.as_coeff_Mul()[0]) == pytest.approx(1.0, rel=1e-12)


def test_what_torch_cannot_evaluate_is_proposed_as_it_stands() -> None:
    law = problems.laws()["quotient"]
    rows, values = law.sample(50, 0)
    assert with_refitted_constants(sympy.atan2(x, y), law.symbols, rows, values) == (sympy.atan2(x, y),)


def test_superpose_is_asked_with_the_tables_names(monkeypatch: pytest.MonkeyPatch) -> None:
    law = problems.equations()["I.25.13"]
    rows, values = law.sample(100, 0)

    def discover(data: Any, options: Any) -> Any:
        assert data.feature_names == ("q", "C") and data.target_names == ("Volt",)
        assert (data.x.numpy() == rows).all() and options.time_limit == 7 and options.seed == 5
        return SimpleNamespace(formula=None, metrics={"interrupted": False})

    monkeypatch.setattr(symbolic_regression, "discover", discover)
    with pytest.raises(NothingFound):
        propose("superpose", law, rows, values, time_limit=7.0, seed=5)


@pytest.mark.parametrize("name", FORMULA_PEERS)
def test_each_peer_gives_formulas(name: str, untouched_globals: None, capsys: pytest.CaptureFixture[str]) -> None:
    package = FORMULA_PEERS[name].imports.partition(".")[0]
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    load([name], FORMULA_PEERS)
    law = problems.equations()["I.12.1"]
    rows, values = law.sample(200, 0)
    try:
        found = propose(name, law, rows, values, time_limit=6.0, seed=0)
    except NothingFound:
        # In so short a time pykan may not come to its symbols.
        assert name == "pykan"
        return
    assert found.expressions and all(e.free_symbols <= set(law.symbols) for e in found.expressions)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("name", FORMULA_PEERS)
def test_a_peer_that_is_not_installed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, FORMULA_PEERS[name].imports, None)
    assert main(["laws", "--peer", name, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "-e '.[discovery]'" in error and is_one_sentence(error.strip())
    assert list(tmp_path.iterdir()) == []


def test_programs_of_gplearn_are_read_as_what_they_are() -> None:
    from benchmarks.methods.gplearn import _expression

    def function(name: str, arity: int) -> Any:
        return SimpleNamespace(name=name, arity=arity)

    program = [function("sub", 2), function("div", 2), 0, numpy.float64(2.5), function("sqrt", 1), 1]
    assert _expression(iter(program), (x, y)) == x / 2.5 - sympy.sqrt(sympy.Abs(y))
    assert _expression(iter([math.inf]), (x,)) is sympy.nan
