"""The options on the reading of a file: every command that reads a table has them, and says what was assumed."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas
import pytest

import cli_cases
from cli_cases import FIT
from helpers import is_one_sentence
from superpose.data.reading import source
from superpose.tasks.regression import search

WHERE = ["--where", "x > 1 and name != 'p3'"]


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the program; gives its code, its output and its errors."""

    def call(line: str, *more: str) -> tuple[int, str, str]:
        code = cli_cases.run(line, *more)
        return (code, *capsys.readouterr())

    return call


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch, asked: list[Any], unwritten: None) -> list[Any]:
    """The data sets that a search was asked about."""
    seen: list[Any] = []
    real = search.discover

    def watched(data: Any, *args: Any, **options: Any) -> Any:
        seen.append(data)
        return real(data, *args, **options)

    monkeypatch.setattr(search, "discover", watched)
    return seen


def expected() -> pandas.DataFrame:
    return pandas.read_csv("table.csv").query("x > 1 and name != 'p3'")


def test_fit_learns_from_the_rows_and_columns_that_were_chosen(run: Run, given: list[Any]) -> None:
    code, _, error = run(f"{FIT} --quiet", *WHERE, "--exclude", "name")
    assert code == 0, error
    assert given[0].to_frame()["x"].tolist() == expected()["x"].tolist() and given[0].left_out == ()


def test_predict_writes_the_rows_and_columns_that_were_chosen(run: Run) -> None:
    code, output, error = run("predict model.safetensors table.csv", *WHERE, "--exclude", "f")
    assert code == 0, error
    frame = pandas.read_csv(io.StringIO(output))
    assert list(frame) == ["name", "x", "y", "f"] and frame["f"].round(9).tolist() == expected()["f"].round(9).tolist()


def test_predict_reads_what_surrounds_a_table_and_says_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "My lab\n\nx,y,price\nm,s,\n1,2,$3\n4,5,$6\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    source._standard_input.cache_clear()
    code, output, error = run("predict model.safetensors -")
    source._standard_input.cache_clear()
    assert code == 0, error
    assert output.splitlines()[0] == "x,y,price,f" and output.splitlines()[1].startswith("1,2,3,6")
    assert "note: standard input: what stands above" in error and "--units 'x=m, y=s'" in error and "'$'" in error


def test_describe_describes_the_rows_and_columns_that_were_chosen(run: Run) -> None:
    code, output, error = run("describe table.csv", *WHERE, "--exclude", "name")
    assert code == 0, error
    assert f"{len(expected())} rows, 3 columns" in output.splitlines()[0]


@pytest.mark.parametrize("command", ["relations table.csv", "compare table.csv --target f --methods line"])
def test_relations_and_compare_use_the_rows_that_were_chosen(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    seen: list[Any] = []

    def stop(table: Any, *arguments: Any, **options: Any) -> Any:
        seen.append(table)
        raise KeyboardInterrupt

    monkeypatch.setattr("superpose.tasks.relations.relations", stop)
    monkeypatch.setattr("superpose.tasks.comparison.compare", stop)
    code, _, _ = run(f"{command} --quiet", *WHERE, "--exclude", "name")
    assert code == 130
    assert seen[0].names == ("x", "y", "f") and seen[0].n_rows == len(expected())


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["--where", "x >"], "where 'x >' is no condition"),
        (["--where", " "], "--where is empty"),
        (["--where", "x > 99"], "no row is one where 'x > 99'"),
        (["--where", "z > 9"], "no column 'z' for the condition"),
        (["--exclude", "x,,y"], "--exclude 'x,,y' has an empty name"),
        (["--exclude", "f"], "'f' is named in target and in exclude"),
        (["--sheet", "A"], "is a text, and sheet is for Excel workbooks"),
        (["--query", "select 1"], "is a text, and query is for databases"),
        (["--decimal", ";"], "--decimal is ';' and must be one of"),
        (["--encoding", "klingon"], "encoding is 'klingon' and must be one of text"),
    ],
)
def test_a_mistake_in_an_option_is_one_sentence(run: Run, line: list[str], words: str) -> None:
    code, _, error = run(f"{FIT} --quiet", *line)
    assert code == 2 and words in error and is_one_sentence(error.strip()), error
    assert not Path("out").exists()
