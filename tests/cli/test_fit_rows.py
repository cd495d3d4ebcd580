"""The options of ``superpose fit`` on rows: the test, the split, the weights, and what is said of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy
import pandas
import pytest

import superpose
from cli_cases import FIT, run
from helpers import is_one_sentence
from superpose.tasks.regression import search


@pytest.fixture
def tables(folder: Path) -> pandas.DataFrame:
    """A table with days, sites, weights and error bars, and one for the test."""
    frame = pandas.read_csv("table.csv")
    frame["day"] = [f"2024-01-{1 + (7 * row) % 31:02}" for row in range(40)]
    frame["site"] = [f"s{row // 5}" for row in range(40)]
    frame["w"] = 1.0 + numpy.arange(40) % 3
    frame["bar"] = frame["w"] ** -0.5
    frame.to_csv("table.csv", index=False)
    later = frame[:9].assign(x=9.5, f=1.0, day="2025-02-01", site="new")
    later.to_csv("later.csv", index=False)
    return frame


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch, asked: list[Any], unwritten: None) -> list[superpose.Dataset]:
    """The data sets that a search was asked about."""
    seen: list[superpose.Dataset] = []
    real = search.discover

    def watched(data: superpose.Dataset, *args: Any, **options: Any) -> Any:
        seen.append(data)
        return real(data, *args, **options)

    monkeypatch.setattr(search, "discover", watched)
    return seen


FEATURES = "--features x,y --quiet"


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("--test later.csv", {"test": "later.csv"}),
        ("--test-share 0.25", {"test": 0.25}),
        ("--test-share 0", {"test": 0.0}),
        ("--split time:day --test-share 0.25", {"split": "time:day", "test": 0.25}),
        ("--split group:site --test-share 0.25", {"split": "group:site", "test": 0.25}),
        ("--split random", {}),
        ("--weights w", {"weights": "w"}),
        ("--sigma bar --test later.csv", {"sigma": "bar", "test": "later.csv"}),
    ],
)
def test_each_option_reaches_the_data_set(
    tables: pandas.DataFrame, given: list[superpose.Dataset], line: str, options: dict[str, Any]
) -> None:
    assert run(f"{FIT} {FEATURES} {line}") == 0
    expected = superpose.read_csv("table.csv", target="f", features=["x", "y"], **options)
    (found,) = given
    for name in ("x", "y", "train", "validation", "test", "groups", "order", "weights"):
        one, other = getattr(found, name), getattr(expected, name)
        assert (one is None) == (other is None) and (one is None or one.tolist() == other.tolist())


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--test later.csv --test-share 0.2", "--test and --test-share both say which rows are for the test"),
        ("--weights w --sigma bar", "--weights and --sigma both say how much each row counts"),
        ("--test-share 1.5", "--test-share is '1.5' and must be a share of the rows, from 0 up to below 1"),
        ("--test-share half", "--test-share is 'half' and must be a share"),
        ("--test-share nan", "--test-share is 'nan' and must be a share"),
        ("--cv 1", "--cv is '1' and must be a whole number from 2"),
        ("--cv 1 --task classification", "--cv is '1' and must be a whole number from 2"),
        ("--split day", "--split is 'day' and must be random, time:COLUMN or group:COLUMN"),
        ("--split time:month", "there is no column 'month' for the split"),
        ("--split time:site", "line 2: column 'site' holds 's0', which is no time; write numbers, or dates"),
        ("--test nowhere.csv", "'nowhere.csv' does not exist"),
        ("--test lacking.csv", "'lacking.csv': there is no column 'y' for a feature, as in the table to learn from"),
        ("--test words.csv", "'words.csv', line 3: column 'x' holds 'few', which is not a number"),
        ("--test empty.csv", "'empty.csv' has a header but no rows"),
        ("--test later.csv --split group:name", "the group 'p0' of column 'name' is in 'table.csv' too"),
        ("--weights v", "there is no column 'v' for weights"),
        ("--sigma zero", "line 2: column 'zero' holds 0, and must be above 0"),
        ("--target f", "--target is given 2 times and takes one value"),
        ("--target x", "--target is given 2 times and takes one value"),
        ("--test later.csv --test later.csv", "--test is given 2 times"),
    ],
)
def test_each_mistake_gets_one_plain_sentence(
    tables: pandas.DataFrame, capsys: pytest.CaptureFixture[str], line: str, expected: str
) -> None:
    later = pandas.read_csv("later.csv")
    later.drop(columns="y").to_csv("lacking.csv", index=False)
    later.assign(x=["1", "few"] + ["2"] * 7).to_csv("words.csv", index=False)
    later[:0].to_csv("empty.csv", index=False)
    tables.assign(zero=0).to_csv("table.csv", index=False)
    assert run(f"{FIT} {FEATURES} {line}") == 2
    message = capsys.readouterr().err.strip()
    assert expected in message and is_one_sentence(message)


def test_what_is_said_of_the_rows_is_true(
    tables: pandas.DataFrame, given: list[superpose.Dataset], capsys: pytest.CaptureFixture[str]
) -> None:
    for line, words in (
        ("", "RMSE on all 40 rows, as none was held out, where f"),
        ("--test later.csv", "RMSE on 9 rows held out for the test, where f"),
        ("--weights w", "weighted RMSE on all 40 rows, as none was held out, where f"),
    ):
        assert run(f"{FIT} {FEATURES} {line}") == 0
        assert words in capsys.readouterr().out


def test_rows_of_the_test_that_are_known_are_warned_of(
    tables: pandas.DataFrame, given: list[superpose.Dataset], capsys: pytest.CaptureFixture[str]
) -> None:
    tables[4:7].to_csv("again.csv", index=False)
    assert run(f"{FIT} {FEATURES} --test again.csv --json") == 0
    printed = capsys.readouterr()
    (note,) = json.loads(printed.out)["warnings"]
    assert printed.err == "" and is_one_sentence(note)
    assert note.startswith("3 of 3 rows of 'again.csv' are in 'table.csv' too, the first in line 2")
