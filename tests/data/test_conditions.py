"""Conditions on rows: what they mean, what they refuse, and that text is never run."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import is_one_sentence
from superpose.data import read_csv
from superpose.data.conditions import read_condition
from superpose.data.reading import read_table
from superpose.data.tables import Table
from superpose.errors import DataError, OptionError, SuperposeError

PRICE, KIND = [1.0, 5.0, 0.0, 3.0], ["a", "b", "a", ""]
TABLE = Table(
    "'t'",
    ("price", "kind", "wind speed", "day"),
    (numpy.array(PRICE), KIND, ["1", "", "3", "4"], ["2024-01-01", "2024-02-01", "2024-03-01", "2024-04-01"]),
)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("price > 0", [1, 1, 0, 1]),
        ("price>=1 and kind != 'b'", [1, 0, 0, 0]),
        ("price = 0 or kind == 'b'", [0, 1, 1, 0]),
        ("price = 0 or kind = 'b' and price > 9", [0, 0, 1, 0]),
        ("(price = 0 or kind = 'b') and price > 1", [0, 1, 0, 0]),
        ("not price > 0", [0, 0, 1, 0]),
        ("NOT (price > 0 AND price < 4)", [0, 1, 1, 0]),
        ("0 < price <= 3", [1, 0, 0, 1]),
        ("price in (1, 3)", [1, 0, 0, 1]),
        ("price not in (1, 2 + 1)", [0, 1, 1, 0]),
        ("kind in ('a', \"c\")", [1, 0, 1, 0]),
        ("(price + 1)*2 - 1 > 4/2*2.5", [0, 1, 0, 1]),
        ("-price < -2", [0, 1, 0, 1]),
        ("price > `wind speed`", [0, 0, 0, 0]),
        ("price < `wind speed`", [0, 0, 1, 1]),
        ("`wind speed` > 0", [1, 0, 1, 1]),
        # An empty cell is neither above 0 nor not.
        ("not `wind speed` > 0", [0, 0, 0, 0]),
        ("kind = ''", [0, 0, 0, 1]),
        ("kind != ''", [1, 1, 1, 0]),
        ("day >= '2024-02-01' and day < '2024-04'", [0, 1, 1, 0]),
        ("price ≥ 3", [0, 1, 0, 1]),
    ],
)
def test_what_a_condition_means(condition: str, expected: list[int]) -> None:
    assert read_condition(condition).rows(TABLE).astype(int).tolist() == expected


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("", "must be a condition"),
        ("price", "lacks a comparison"),
        ("price >", "lacks a column, a number or a text"),
        ("price > 0 kind = 'a'", "lacks a word such as and"),
        ("(price > 0", "lacks a ')'"),
        ("price in 3", "lacks a '('"),
        ("price > 0; drop", "at '; drop'"),
        ("kind = 'a", "is not understood"),
        ("(" * 60 + "price > 0" + ")" * 60, "nested too deeply"),
        ("price > 0 and " * 400 + "price > 0", "at most 4000"),
        ("__import__('os').system('true') = 0", "is no condition"),
        ("price.__class__ > 0", "no column 'price.__class__'"),
        ("cost > 0", "no column 'cost' for the condition"),
        ("kind > 3", "compares text such as 'a' with numbers"),
        ("kind + 1 > 3", "computes with text"),
        ("prise > 0", "did you mean 'price'?"),
    ],
)
def test_a_mistake_in_a_condition_is_one_sentence(condition: str, words: str) -> None:
    with pytest.raises((OptionError, DataError)) as caught:
        read_condition(condition).rows(TABLE)
    assert words in str(caught.value) and is_one_sentence(str(caught.value))


@given(st.text(st.sampled_from("price kind()<>=!andorti,'\"`+-*/0123\n"), max_size=60))
def test_any_text_is_a_condition_or_a_sentence(text: str) -> None:
    try:
        rows = read_condition(text).rows(TABLE)
    except SuperposeError as error:
        assert is_one_sentence(str(error))
        return
    assert rows.shape == (4,) and rows.dtype == bool


def test_rows_that_are_chosen_keep_their_places(tmp_path: Path) -> None:
    lines = [f"{k},{k * k},{'odd' if k % 2 else 'even'}" for k in range(40)]
    (tmp_path / "t").write_text("x,f,kind\n" + "\n".join(lines))
    table = read_table(tmp_path / "t", where="x >= 10 and kind = 'odd'", exclude="kind")
    assert table.names == ("x", "f") and table.numbers("x").tolist() == list(range(11, 40, 2))
    assert table.place(0) == "line 13"
    data = read_csv(tmp_path / "t", target="f", where="x < 20", exclude=["kind"], test=tmp_path / "t")
    # The rows of the table for the test are chosen by the same condition.
    assert data.n_rows == 40 and float(data.x.max()) == 19 and data.left_out == ()
    with pytest.raises(DataError, match=r"no row is one where 'x < 0'"):
        read_table(tmp_path / "t", where="x < 0")
    with pytest.raises(OptionError, match="'f' is named in target and in exclude"):
        read_csv(tmp_path / "t", target="f", exclude="f")
    with pytest.raises(DataError, match="no column 'knd' for the columns to exclude; did you mean 'kind'"):
        read_table(tmp_path / "t", exclude="knd")
