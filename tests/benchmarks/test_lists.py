"""The public lists of few rows: every problem has rows, and a law that is found is counted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy
import pytest

from benchmarks import lists
from benchmarks.problems.lists import problems


def test_every_problem_has_finite_rows_of_its_own_number() -> None:
    for name, problem in problems().items():
        x, y = problem.table(0)
        full = problem.rows ** len(problem.law.variables) if problem.grid else problem.rows
        assert full * 0.4 < len(y) <= full, name  # log(y) has no values at half of the rows, at most
        assert numpy.isfinite(x).all() and numpy.isfinite(y).all() and y.std() > 0, name


def test_half_of_the_public_problems_and_all_of_our_own_are_for_development() -> None:
    own = {name for name in problems() if name.startswith(("Inner", "Physics", "Kinds"))}
    developed = {name for name, problem in problems().items() if problem.development}
    assert own <= developed and len(developed - own) == 46


def test_what_is_found_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lists.main(["--only", "Nguyen-8", "--time-limit", "5", "--out", str(tmp_path)]) == 0
    assert "rest: 1 of 1" in capsys.readouterr().out
    (row,) = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert row["recovered"] and row["found"] == "sqrt(x)" and row["rows"] == 20
