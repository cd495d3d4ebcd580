"""History: what it holds, and its file."""

from __future__ import annotations

import csv
import dataclasses
import os
import stat
from pathlib import Path

import pandas as pd
import pytest

from helpers import is_one_sentence
from superpose.errors import FileError
from superpose.stopping import StopReason
from superpose.train import History, Record


def history() -> History:
    records = [
        Record(0, "start", 3, 0.5, 0.7, 0.01),
        Record(1, "", 3, 1 / 3, 2e-17, 0.1),
        Record(2, "refine", 6, 1e300, float("inf"), 0.2),
        Record(3, "", 6, 0.1, float("nan"), 123456.789),
    ]
    return History(records, "lm", StopReason.GRIDS_EXHAUSTED, "the schedule ended")


def test_a_csv_file_holds_the_records_to_the_last_bit(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    history().to_csv(path)
    columns = [column.name for column in dataclasses.fields(Record)]
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == columns == list(history().frame().columns)
    for row, record in zip(rows, history().records, strict=True):
        wanted = [getattr(record, column) for column in columns]
        assert [repr(type(value)(text)) for text, value in zip(row, wanted, strict=True)] == [repr(v) for v in wanted]
    pd.testing.assert_frame_equal(pd.read_csv(path, keep_default_na=False, na_values=["nan"]), history().frame())


def test_an_empty_history_has_its_columns(tmp_path: Path) -> None:
    History().to_csv(tmp_path / "history.csv")
    assert (tmp_path / "history.csv").read_text().strip() == "step,event,grid_size,train_loss,validation_loss,seconds"
    assert list(History().frame().columns) == list(history().frame().columns)


def test_grids_are_those_that_were_visited() -> None:
    assert history().grids == [3, 6] and History().grids == []


def test_the_file_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    history().to_csv(tmp_path / "history.csv")
    plain, written = ((tmp_path / name).stat().st_mode for name in ("plain", "history.csv"))
    assert stat.S_IMODE(written) == stat.S_IMODE(plain)


def test_nothing_is_left_behind_when_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "history.csv"
    path.write_text("what was there")

    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(FileError, match="No space left on device") as caught:
        history().to_csv(path)
    assert is_one_sentence(str(caught.value)) and "history.csv" in str(caught.value)
    assert [entry.name for entry in tmp_path.iterdir()] == ["history.csv"]
    assert path.read_text() == "what was there"


def test_an_interruption_leaves_nothing_behind_either(tmp_path: Path) -> None:
    class Unwritable:
        def __str__(self) -> str:
            raise KeyboardInterrupt

    broken = history()
    broken.records.append(Record(4, Unwritable(), 6, 0.1, 0.1, 0.1))  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        broken.to_csv(tmp_path / "history.csv")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["missing/history.csv", "", ".", "a\0b.csv"])
def test_places_where_nothing_can_be_written_give_a_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileError) as caught:
        history().to_csv(os.path.join(tmp_path, name) if name else "")
    assert is_one_sentence(str(caught.value))
    assert list(tmp_path.iterdir()) == []
