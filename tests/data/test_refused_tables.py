"""Files of tables that are refused: one plain sentence for each mistake."""

from __future__ import annotations

import gzip
import pickle
from pathlib import Path
from typing import Any

import pandas
import pytest
from table_cases import GOOD, changed, table_text, written

from helpers import is_one_sentence
from superpose.data import read_csv
from superpose.errors import DataError, FileError, OptionError, SuperposeError

BROKEN_TABLES: list[tuple[str, str | bytes, str, dict[str, Any]]] = [
    ("empty file", "", "'table.csv' is empty", {}),
    ("blank file", " \n\n \n", "'table.csv' is empty", {}),
    ("byte order mark alone", b"\xef\xbb\xbf", "'table.csv' is empty", {}),
    ("header alone", "x,y,f\n", "has a header but no rows", {}),
    ("no header", GOOD.split("\n", 1)[1], "line 1: there is no header, only numbers", {}),
    ("one column", "f\n" + "1\n2\n" * 10, "has one column only, 'f'", {}),
    ("wrong target", GOOD, "no column 'g' for the target; its columns are", {"target": "g"}),
    ("transposed", "name,a,b,c\nmass,1,2,3\nforce,2,3,4\nspeed,1,2,1\n",
     "there is no column 'force' for the target, but line 3 begins with it; if each row", {"target": "force"}),
    ("near target", table_text(header="x,y,volume"), "did you mean 'volume'", {"target": "volum"}),
    ("near feature", GOOD, "no column 'X' for a feature; did you mean 'x'", {"features": ["X"]}),
    ("target as feature", GOOD, "column 'f' is the target and a feature", {"features": ["x", "f"]}),
    ("feature twice", GOOD, "column 'x' is named twice in features", {"features": ["x", "x"]}),
    ("no features", GOOD, "features must be one or more names", {"features": []}),
    ("text", changed(7, "abc,1,2"), "line 7: column 'x' holds 'abc', which is not a number", {}),
    ("text in target", changed(7, "1,1,two"), "line 7: column 'f' holds 'two'", {}),
    ("text first", changed(2, "abc,1,2"), "line 2: column 'x' holds 'abc'", {}),
    ("unit", changed(21, "3 m,1,2"), "line 21: column 'x' holds '3 m'", {}),
    ("empty cell", changed(7, "1,,2"), "line 7: column 'y' is empty", {}),
    ("empty row", changed(7, "\n,,"), "line 8: column 'f' is empty", {}),
    ("nan", changed(7, "1,2,nan"), "line 7: column 'f' holds nan, not a finite", {}),
    ("infinity", changed(7, "-inf,2,3"), "line 7: column 'x' holds -inf, not a finite", {}),
    ("unused columns count", changed(7, "1,nan,2"), "line 7: column 'y' holds nan", {}),
    ("ragged, short", changed(7, "1,2"), "line 7: the row has 2 cells, but the header names 3", {}),
    ("ragged, long", changed(7, "1,2,3,4"), "line 7: the row has 4 cells", {}),
    ("ragged, spaces", changed(7, "1 2", table_text(delimiter=" ")), "line 7: the row has 2", {}),
    ("duplicate names", table_text(header="x,x,f"), "two columns are named 'x', column 1 and", {}),
    ("nameless column", table_text(header=",y,f"), "column 1 has no name", {}),
    ("constant target", "x,f\n" + "".join(f"{i},0.1\n" for i in range(20)),
     "the target 'f' is constant, 0.1 in every row; choose", {}),
    ("constant feature", "x,y,f\n" + "".join(f"1,{i},{i * i}\n" for i in range(20)),
     "the feature 'x' is constant, 1 in every row", {"features": ["x", "y"]}),
    ("only constants", "x,f\n" + "".join(f"1,{i}\n" for i in range(20)), "has no feature", {}),
    ("too few rows", table_text(rows=2), "has 2 rows; at least 3 are needed", {}),
    ("one row", table_text(rows=1), "has 1 row; at least 3 are needed", {}),
    ("mixed decimals", changed(7, "1,5;2;3.5", table_text(delimiter=";")),
     "line 7: column 'x': '1,5' and '0.0' mix decimal commas and decimal points", {}),
    ("quoted decimal comma", changed(7, '"1,5",2,3'), "line 7: column 'x': '1,5' and '0.0' mix", {}),
    ("decimal commas between commas", "x,f\n" + "1,5,2,5\n" * 12, "its decimal commas", {}),
    ("text as target", "x,f\n" + "1,yes\n2,no\n" * 10,
     "holds text such as 'yes' and no numbers; to learn its classes use --task classification", {}),
    ("truth as target", "x,f\n" + "1,true\n2,false\n" * 10, "text such as 'true' and no numbers; to learn", {}),
    ("empty target", "x,f\n" + "1,\n2,\n" * 10, "line 2: column 'f' is empty", {}),
    ("shares among numbers", "x,f\n" + "1,12.3\n2,9 %\n" * 10,
     "line 3: column 'f' holds '9 %', which is not a number; write shares", {}),
    ("numbers among shares", "x,f\n" + "12%,1\n9,2\n" * 10,
     "column 'x' holds '12%', which is not a number; write shares", {"features": ["x"]}),
    ("open quote", changed(7, '"1,2,3'), "line 7: the row cannot be split into cells", {}),
    ("workbook", b"PK\x03\x04" + bytes(100), "is a damaged archive (zip) or workbook", {}),
    ("pickle", pickle.dumps({"x": list(range(1000))}), "is a pickle of Python, which is not read", {}),
    ("damaged gzip", gzip.compress(GOOD.encode())[:-20], "is a damaged gzip file", {}),
    ("damaged parquet", b"PAR1" + bytes(100), "is a damaged Parquet file", {}),
    ("bad share", GOOD, "validation=1.5 is no share of the rows", {"validation": 1.5}),
    ("shares too large", GOOD, "leave 0 of 20 rows", {"validation": 0.5, "test": 0.5}),
    ("bad seed", GOOD, "seed must be a whole number from 0 to 2**63 - 1, not -1", {"seed": -1}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "expected", "options"),
    [pytest.param(*case[1:], id=case[0]) for case in BROKEN_TABLES],
)
def test_each_mistake_gets_one_plain_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    content: str | bytes,
    expected: str,
    options: dict[str, Any],
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, content)
    with pytest.raises(SuperposeError) as caught:
        read_csv("table.csv", **{"target": "f"} | options)
    message = str(caught.value)
    assert expected in message
    assert is_one_sentence(message)
    assert isinstance(caught.value, OptionError) or "table.csv" in message or "twice" in message


def test_paths_that_name_no_table(tmp_path: Path) -> None:
    written(tmp_path, GOOD, "knots.csv")
    with pytest.raises(FileError, match=r"knot\.csv' does not exist; did you mean 'knots\.csv'"):
        read_csv(tmp_path / "knot.csv", target="f")
    with pytest.raises(FileError, match="folder does not exist either"):
        read_csv(tmp_path / "nowhere" / "knots.csv", target="f")
    with pytest.raises(FileError, match="is a directory"):
        read_csv(tmp_path, target="f")
    with pytest.raises(FileError, match="cannot be read"):
        read_csv("a\0b", target="f")
    with pytest.raises(DataError, match=r"use Dataset\.from_frame"):
        read_csv(pandas.DataFrame(), target="f")  # type: ignore[arg-type]
