"""The measure of ``superpose compare``: rows held out decide, and nothing of them is seen before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

from benchmarks.comparison import program
from benchmarks.comparison import tables as sources
from superpose.choices import COMPARED
from superpose.tasks.comparison import compare


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> pandas.DataFrame:
    """A straight line with noise in place of every table."""
    generator = np.random.default_rng(0)
    frame = pandas.DataFrame(generator.normal(size=(60, 2)), columns=["rownames", "a"])
    frame["target"] = 2 * frame.a + 0.5 * generator.normal(size=60)
    frame["word"] = "text"
    monkeypatch.setattr(sources, "_loaded", lambda source, item: frame)
    return frame


def test_a_third_of_the_rows_judges_what_the_others_chose(
    made: pandas.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[Any] = []

    def watched(data: pandas.DataFrame, *arguments: Any, **options: Any) -> Any:
        seen.append(data)
        return compare(data, *arguments, **options)

    monkeypatch.setattr(program, "compare", watched)
    command = ["--only", "diabetes", "--methods", "mean,line,majority", "--out", str(tmp_path)]
    assert program.main(command) == 0
    assert "within 2% of the best on 1 of 1 tables" in capsys.readouterr().out
    (row,) = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert row["named"] == row["best"] == "line" and row["excess"] == 0 and row["features"] == 1
    assert row["rows"] == len(seen[0]) == 40 and row["held_out_rows"] == 20
    # The error is that of the line through the 40 rows on the 20 others.
    held_out = made.drop(index=seen[0].index)
    slope, height = np.polyfit(seen[0].a, seen[0].target, 1)
    error = np.sqrt(np.square(held_out.target - slope * held_out.a - height).mean()) / made.target.std(ddof=0)
    assert row["errors"]["line"] == pytest.approx(error)
    # What is in the folder is not measured again.
    assert program.main([*command, "--resume"]) == 0 and len(seen) == 1
    with pytest.raises(SystemExit):
        program.main([*command, "--resume", "--time-limit", "7"])


def test_the_excess_is_a_share_of_the_least_error_and_for_classes_of_the_rows() -> None:
    assert program._excess(1.1, 1.0, "regression") == pytest.approx(0.1)
    assert program._excess(1e-9, 1e-12, "regression") == 0
    assert program._excess(0.1, 0.08, "classification") == pytest.approx(0.02)


def test_there_are_thirty_tables_with_a_task_that_can_be_compared() -> None:
    assert len(sources.tables()) == 30
    assert {table.task for table in sources.tables().values()} == set(COMPARED)
