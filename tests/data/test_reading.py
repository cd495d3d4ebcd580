"""Files of tables: every usual spelling gives the same numbers."""

from __future__ import annotations

import gzip
import io
import math
from collections.abc import Callable
from pathlib import Path

import numpy
import pandas
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from table_cases import changed, finite, table_text, written

from helpers import EXAMPLES, is_one_sentence
from superpose.data import read_csv, read_table
from superpose.data.preparation.cells import numbers_with_gaps
from superpose.data.reading import notation
from superpose.data.reading.source import Source
from superpose.data.reading.text import layout_of, read_slowly
from superpose.data.reading.text_blocks import Layout, read_blocks
from superpose.data.tables import Table
from superpose.errors import DataError, SuperposeError


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", " ", "   ", " \t "])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_usual_delimiter_and_line_end_gives_the_same_table(tmp_path: Path, delimiter: str, end: str) -> None:
    expected = read_csv(written(tmp_path, table_text()), target="f")
    text = table_text(delimiter=delimiter).replace("\n", end)
    data = read_csv(written(tmp_path, text), target="f")
    assert data.feature_names == ("x", "y")
    assert torch.equal(data.x, expected.x) and torch.equal(data.y, expected.y)


@pytest.mark.parametrize(
    "rewrite",
    [
        pytest.param(lambda text: b"\xef\xbb\xbf" + text.encode(), id="byte order mark"),
        pytest.param(lambda text: gzip.compress(text.encode()), id="gzip"),
        pytest.param(lambda text: text.rstrip("\n").encode(), id="no last line end"),
        pytest.param(lambda text: ("\n\n" + text + "\n  \n").encode(), id="blank lines"),
        pytest.param(lambda text: text.replace(",", " , ").encode(), id="spaces"),
        pytest.param(lambda text: text.replace(",", '","').encode(), id="half quoted"),
        pytest.param(lambda text: text.replace("1.0", "+1.0e0").encode(), id="signs, exponents"),
        pytest.param(lambda text: text.replace(",", ";").replace(".", ",").encode(), id="decimal commas"),
        pytest.param(lambda text: text.replace(",", "\t").replace(".", ",").encode(), id="commas, tabs"),
    ],
)
def test_spellings_of_one_table(tmp_path: Path, rewrite: Callable[[str], bytes]) -> None:
    text = table_text()
    content = rewrite(text)
    if b'","' in content:
        content = b"\n".join(b'"' + line + b'"' for line in content.splitlines())
    expected = read_csv(written(tmp_path, text, "plain.csv"), target="f")
    data = read_csv(written(tmp_path, content), target="f")
    assert data.feature_names == ("x", "y")
    assert torch.equal(data.x, expected.x) and torch.equal(data.y, expected.y)


def test_quoted_names_and_texts_may_hold_delimiters_and_line_ends(tmp_path: Path) -> None:
    text = '"length, m","re\nmark",f\n' + "".join(f'{row},"a, ""b""\n{row}",{row * row}\n' for row in range(20))
    data = read_csv(written(tmp_path, text), target="f")
    assert data.feature_names == ("length, m",)
    assert data.left_out == ("re mark",)
    assert data.y[:, 0].tolist() == [float(row * row) for row in range(20)]


def test_parquet_is_told_from_its_contents(tmp_path: Path) -> None:
    frame = pandas.read_csv(io.StringIO(table_text()))
    frame["name"] = "a knot"
    path = tmp_path / "table.csv"
    frame.to_parquet(path)
    data = read_csv(path, target="f", features=["y", "x"])
    assert data.feature_names == ("y", "x")
    assert numpy.array_equal(data.x.numpy(), frame[["y", "x"]].to_numpy(dtype=float))


def settled(text: str, layout: Layout) -> Table:
    """The table as the slow reader reads it."""
    return notation.settle(Table("'t'", layout.names, read_slowly("'t'", text, layout).columns))


@given(st.lists(st.tuples(finite, finite), min_size=10, max_size=30), st.sampled_from(",;\t| "))
def test_numbers_survive_a_file_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float, float]], delimiter: str
) -> None:
    """Both readers give back exactly the float that was written."""
    body = "".join(f"{first!r}{delimiter}{second!r}\n" for first, second in rows)
    text = f"a{delimiter}b\n" + body
    layout = layout_of(Source.of_bytes(text.encode(), "'t'"))
    found = read_blocks(Source.of_bytes(text.encode()), layout)
    fast = None if found is None else found[0]
    slow = settled(text, layout)
    for position, name in enumerate(slow.names):
        expected = numpy.array([row[position] for row in rows])
        assert numpy.array_equal(slow.numbers(name), expected)
        assert fast is not None and numpy.array_equal(numpy.asarray(fast[position]), expected)


ODD_CELLS = [
    "-",
    "nan",
    "inf",
    "-Infinity",
    "a",
    "NULL",
    "true",
    "²",
    "0x1F",
    "1_000",
    "+3",
    ".5",
    "5.",
    "1.5",
    "1,5",
    '"1,5"',
    '"2.5"',
    "'7'",
    '"',
    "1E-5",
    "1e400",
]


cells = st.one_of(
    finite.map(repr),
    st.integers(-(10**20), 10**20).map(str),
    st.sampled_from(["", " ", "1 000", *ODD_CELLS]),
)


@given(st.lists(st.lists(cells, min_size=2, max_size=2), min_size=1, max_size=6), st.data())
def test_the_fast_reader_never_contradicts_the_slow_one(rows: list[list[str]], data: st.DataObject) -> None:
    delimiter = data.draw(st.sampled_from(",;\t| "))
    text = "".join(delimiter.join(row) + "\n" for row in [["p", "q"], *rows])
    try:
        layout = layout_of(Source.of_bytes(text.encode(), "'t'"))
    except SuperposeError as error:
        assert is_one_sentence(str(error))
        return
    found = read_blocks(Source.of_bytes(text.encode()), layout)
    if found is None:
        return
    fast, _ = found
    slow = settled(text, layout)
    for name, column in zip(slow.names, notation.settle(Table("'t'", layout.names, fast)).columns, strict=True):
        if isinstance(column, list):
            assert slow.columns[slow.names.index(name)] == column
        else:
            assert numpy.array_equal(numbers_with_gaps(slow, name), column, equal_nan=True)


def test_gaps_between_numbers_are_read_fast_however_they_are_marked(tmp_path: Path) -> None:
    marks = ["", "NA", "n/a", "NaN", "?", "#N/A", "NULL", '""']
    text = "".join(f"{mark},{n}.5,{'red' if n % 2 else 'NA'}\n{n},{mark},blue\n" for n, mark in enumerate(marks))
    path = written(tmp_path, "x,f,colour\n" + text)
    table = read_table(path)
    assert table.storage is not None and not table.notes
    x, f = table.numbers_only()
    assert numpy.isnan(x[::2]).all() and numpy.isnan(f[1::2]).all()
    assert x[1::2].tolist() == [0, 1, 2, 3, 4, 5, 6, 7] and f[::2].tolist() == [n + 0.5 for n in range(8)]
    # The text of a gap is read again where a sentence wants it.
    assert [table.cell(row, "x") for row in (0, 2, 6, 10, 14, 15)] == ["", "NA", "NaN", "#N/A", "", "7.0"]
    few = table.rows(numpy.array([2, 3, 4]))
    assert few.cell(2, "x") == "n/a" and few.place(2) == "line 6"
    with pytest.raises(DataError, match=r"line 3: column 'f' is empty \(8 rows without a value\)"):
        read_csv(path, target="f")
    with pytest.raises(DataError, match=r"line 4: column 'x' holds 'NA', so the row has no group"):
        read_csv(written(tmp_path, "f,x\n1,2\n2,3\n3,NA\n4,5\n"), target="f", split="group:x")


def test_a_decimal_comma_in_a_single_column_is_a_row_of_two_cells(tmp_path: Path) -> None:
    path = written(tmp_path, "total0\n-20,4\n.\n-12,7\n5,19\n8,58\n-8,12\n")
    with pytest.raises(DataError, match="line 2: the row has 2 cells, but the header names 1 column") as error:
        read_table(path)
    assert is_one_sentence(str(error.value))


def test_a_number_outside_double_precision_is_named_with_its_line(tmp_path: Path) -> None:
    path = written(tmp_path, changed(7, "1e400,1,2"))
    with pytest.raises(DataError, match=r"line 7: column 'x' holds inf, not a finite number"):
        read_csv(path, target="f")


def test_columns_that_teach_nothing_are_left_out_and_listed(tmp_path: Path) -> None:
    text = "name,x,one,f,day\n" + "".join(f"K{row}a,{row},1,{row * row},2020-01-{row + 1:02}\n" for row in range(20))
    path = written(tmp_path, text)
    data = read_csv(path, target="f")
    assert data.feature_names == ("x", "day (days since 2020-01-01)")
    assert data.left_out == ("name", "one")
    assert read_csv(path, target="f", dates="none").left_out == ("name", "one", "day")
    assert read_csv(path, target="f", features=["x"]).left_out == ()


def test_the_shipped_tables() -> None:
    knots = read_csv(EXAMPLES / "data" / "knots.csv", target="cusp_volume")
    assert knots.n_rows == 12953 and knots.n_features == 8 and knots.left_out == ("name",)
    frame = knots.to_frame()
    error = frame["cusp_volume"] - frame["longitude"] * frame["meridian_im"] / 2
    assert error.abs().max() < 1e-10

    hello = read_csv(EXAMPLES / "data" / "hello.csv", target="f")
    assert hello.n_rows == 1000 and hello.feature_names == ("x", "y")
    x, y = hello.x.unbind(dim=1)
    expected = torch.exp(torch.sin(math.pi * x) + y**2)
    assert torch.allclose(hello.y[:, 0], expected, rtol=1e-14, atol=0.0)
