"""``superpose sweep``: what is typed, what is printed, and what it answers to mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli_cases import run
from helpers import is_one_sentence
from superpose.cli.sweep_command import varied

SWEEP = "sweep table.csv --target f"
QUICK = "--features x,y --vary steps=2 --vary starts=1 --vary grid=2 --vary hidden=none,1"


def test_it_fits_names_what_failed_and_reads_what_it_has(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(f"{SWEEP} {QUICK} --vary patience=1,0 --seeds 0..1 --out here") == 0
    text = capsys.readouterr().out
    assert text.startswith("8 fits\n")
    assert (
        "failed: table.csv with steps=2, starts=1, grid_size=2, hidden=(), patience=0, seed 0 and 3 more fits" in text
    )
    assert "written to here; the table is here/results.csv" in text
    before = {path.name: path.stat().st_mtime_ns for path in Path("here/fits").iterdir()}
    assert run(f"{SWEEP} {QUICK} --seeds 0,1,2 --out here --json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["task"], found["total"], found["out"]) == ("fit", 6, "here")
    # Options that are left out are those of before, but no text says so.
    assert all(Path(one["model"]).exists() and not one["failure"] for one in found["fits"])
    assert run(f"{SWEEP} {QUICK} --vary patience=1 --seeds 0,1 --out here") == 0
    assert "4 fits, 4 of them read from the folder" in capsys.readouterr().out
    assert all(Path("here/fits", name).stat().st_mtime_ns == time for name, time in before.items())


def test_where_nothing_succeeds_the_exit_code_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("sweep missing.csv --target f --seeds 0,1") == 2
    text = capsys.readouterr().err
    assert "none of the 2 fits succeeded; the first, seed 0: 'missing.csv' does not exist" in text
    assert is_one_sentence(text.strip().replace(".csv", ""))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("0.5", 0.5),
        ("1e-3", 1e-3),
        ("1e+3", 1e3),
        ("lm", "lm"),
        ("none", None),
        ("true", True),
        ("line+gp", ("line", "gp")),
        ("5x10", (5, 10)),
    ],
)
def test_values_are_read(text: str, value: Any) -> None:
    assert varied([f"any={text}"]) == {"any": [value]}


def test_layers_are_lists() -> None:
    assert varied(["hidden=none,0,5x2", "grids=5", "shapes=none,3"]) == {
        "hidden": [(), (0,), (5, 2)],
        "grids": [(5,)],
        "shapes": [((),), ((3,),)],
    }


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("--vary hidden", "is no option with values"),
        ("--vary hidden=3,,5", "is no option with values"),
        ("--vary hidden=3,3", "has a value twice"),
        ("--vary grid=3 --vary grid_size=5", "has the option 'grid_size' twice"),
        ("--vary gird=3", "the task fit has no option 'gird'; did you mean 'grids'"),
        ("--seeds 1,1", "has a seed twice"),
        ("--seeds 5..1", "is no range"),
        ("--jobs 0", "--jobs is '0' and must be a whole number from 1 to 1000"),
        ("--task fits", "did you mean 'fit'"),
        ("--cluster tcp://a:1", "--backend dask"),
        ("--backend lokky", "joblib cannot use the backend 'lokky'"),
        ("--test-share 2", "must be a share of the rows"),
    ],
)
def test_a_mistake_is_one_sentence(more: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(f"{SWEEP} {more}") == 2
    text = capsys.readouterr().err
    assert message in text and is_one_sentence(text.strip().replace("table.csv", ""))
