"""Tables, arrays and data sets: what is read, what is refused, and in which words."""

from __future__ import annotations

import gzip
import io
import math
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy
import pandas
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers import EXAMPLES, is_one_sentence
from superpose.data import Dataset, read_csv, read_features
from superpose.data.reading import notation
from superpose.data.reading.source import Source
from superpose.data.reading.text import layout_of, read_slowly
from superpose.data.reading.text_blocks import Layout, read_blocks
from superpose.data.tables import Table
from superpose.errors import DataError, FileError, OptionError, SuperposeError

finite = st.floats(allow_nan=False, allow_infinity=False, width=64)


def table_text(rows: int = 20, delimiter: str = ",", header: str = "x,y,f") -> str:
    lines = [header] + [f"{row / 8},{(row * 7) % 5},{row * row / 8 + 1}" for row in range(rows)]
    return "".join(line.replace(",", delimiter) + "\n" for line in lines)


def changed(line: int, content: str, text: str | None = None) -> str:
    """Return the table with one line, counted from 1, put in another's place."""
    lines = (text or table_text()).splitlines()
    lines[line - 1] = content
    return "\n".join(lines) + "\n"


def written(folder: Path, content: str | bytes, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# ---------------------------------------------------------------- what is read


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
            assert numpy.array_equal(slow.numbers(name), column)


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


# ---------------------------------------------------------------- what is refused

GOOD = table_text()
BROKEN_TABLES: list[tuple[str, str | bytes, str, dict[str, Any]]] = [
    ("empty file", "", "'table.csv' is empty", {}),
    ("blank file", " \n\n \n", "'table.csv' is empty", {}),
    ("byte order mark alone", b"\xef\xbb\xbf", "'table.csv' is empty", {}),
    ("header alone", "x,y,f\n", "has a header but no rows", {}),
    ("no header", GOOD.split("\n", 1)[1], "line 1: there is no header, only numbers", {}),
    ("one column", "f\n" + "1\n2\n" * 10, "has one column only, 'f'", {}),
    ("wrong target", GOOD, "no column 'g' for the target; its columns are", {"target": "g"}),
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


# ---------------------------------------------------------------- arrays and frames

X = numpy.linspace(-1.0, 1.0, 40).reshape(20, 2)
Y = numpy.sin(X[:, 0])


@pytest.mark.parametrize(
    "x",
    [X, X.astype(numpy.float32), torch.tensor(X, requires_grad=True), X.tolist(), tuple(X),
     pandas.DataFrame(X, columns=["x1", "x2"]), (X * 100).astype(int), X > 0.1,
     pandas.DataFrame((X * 100).round(), columns=["x1", "x2"]).astype("Int64")],
)  # fmt: skip
@pytest.mark.parametrize(
    "y",
    [Y, Y[:, None], Y[None, :], Y.tolist(), torch.tensor(Y), torch.tensor(Y)[:, None],
     torch.tensor(Y)[None, :], pandas.Series(Y), pandas.Series(Y, name="y")],
)  # fmt: skip
def test_y_as_list_column_or_row_vector_is_one_target(x: Any, y: Any) -> None:
    data = Dataset.from_arrays(x, y)
    assert data.x.shape == (20, 2) and data.x.dtype == torch.float64
    assert data.y.shape == (20, 1) and data.y.dtype == torch.float64
    assert data.feature_names == ("x1", "x2") and data.target_names == ("y",)
    assert torch.equal(data.y[:, 0], torch.tensor(Y))


def test_several_targets() -> None:
    data = Dataset.from_arrays(X, numpy.column_stack([Y, 1 - Y**2]))
    assert data.target_names == ("y1", "y2") and data.n_targets == 2
    frame = data.to_frame()
    again = Dataset.from_frame(frame, target=["y2", "y1"], features=["x2", "x1"])
    assert torch.equal(again.y, data.y[:, [1, 0]]) and torch.equal(again.x, data.x[:, [1, 0]])


def nan_at(array: numpy.ndarray, row: int, column: int, value: float) -> numpy.ndarray:
    array = array.copy()
    array[row, column] = value
    return array


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        (X, Y[:19], r"y has shape \[19\], but x has 20 rows; y needs shape \[20\]"),
        (X, Y[None, :19], r"y has shape \[1, 19\], but x has 20 rows"),
        (X, Y[:1], r"y has shape \[1\], but x has 20 rows"),
        (X, 1.0, r"y has shape \[\], but x has 20 rows"),
        (X, Y.reshape(2, 10), r"y has shape \[2, 10\], but x has 20 rows"),
        (X, Y[:, None, None], r"y has shape \[20, 1, 1\]"),
        (X, numpy.zeros((20, 0)), r"y has shape \[20, 0\]"),
        (Y, Y, r"x has shape \[20\] .* reshape\(-1, 1\) makes it one feature"),
        (X[None], Y, r"x has shape \[1, 20, 2\] .* one row"),
        (numpy.zeros((0, 2)), [], r"x has shape \[0, 2\]"),
        (X.astype(complex), Y, "x holds elements of type complex128"),
        (torch.tensor(X, dtype=torch.complex64), Y, "x holds elements of type complex64"),
        (X.astype(object) + 1j, Y, r"column 'x1' holds text such as '\(-1\+1j\)'"),
        ([[1.0, 2.0], [3.0]], Y, "x is no rectangular array"),
        (nan_at(X, 6, 1, math.nan), Y, r"row 7 \(counting from 1\): column 'x2' holds nan"),
        (X, nan_at(Y[:, None], 6, 0, math.inf), r"row 7 \(counting from 1\): column 'y' holds inf"),
        (X * [0, 1], Y, "feature 'x1' is constant, 0 in every row; leave it out"),
        (X, Y * 0, "target 'y' is constant, 0 in every row"),
        (0.1 + 0.2 * (X > 0) - 0.2 * (X > 0), Y, "feature 'x1' is constant"),
        (X, numpy.eye(20)[0], "target 'y' is constant on all 14 training rows"),
        (X[:2], Y[:2], "has 2 rows; at least 3"),
        (pandas.DataFrame(X, index=range(20, 40)), pandas.Series(Y), "different row labels"),
        (pandas.DataFrame(X, columns=["a", "y"]), Y, "two columns are named 'y'"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(x: Any, y: Any, expected: str) -> None:
    # Seed 0 holds row 0 out, the only one in which the nearly constant target differs.
    with pytest.raises(DataError, match=expected) as caught:
        Dataset.from_arrays(x, y, validation=0.15, test=0.15, seed=0)
    assert is_one_sentence(str(caught.value))


def test_names_have_to_match_the_columns() -> None:
    with pytest.raises(DataError, match="feature_names has 1 name, but x has 2 columns"):
        Dataset.from_arrays(X, Y, feature_names=["a"])
    with pytest.raises(DataError, match="target_names has 2 names, but y has 1 column;"):
        Dataset.from_arrays(X, Y, target_names=["a", "b"])


def test_frames_with_missing_or_foreign_cells() -> None:
    frame = pandas.DataFrame({"x": range(20), "f": range(20)}, dtype=object)
    frame.loc[6, "x"] = None
    with pytest.raises(DataError, match=r"row 7 \(counting from 1\): column 'x' is empty"):
        Dataset.from_frame(frame, target="f")
    frame.loc[6, "x"] = 1 + 2j
    with pytest.raises(DataError, match=r"row 7 .*column 'x' holds '\(1\+2j\)'"):
        Dataset.from_frame(frame, target="f")
    frame["x"] = X[:, 0] + 1j
    with pytest.raises(DataError, match=r"column 'x' holds text such as '\(-1\+1j\)', 20 values in 20 rows"):
        Dataset.from_frame(frame, target="f", features=["x"])
    with pytest.raises(DataError, match=r"needs a pandas\.DataFrame, not a ndarray"):
        Dataset.from_frame(X, target="f")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="the data frame has no rows"):
        Dataset.from_frame(frame[:0], target="f")


# ---------------------------------------------------------------- scaling and splitting


@given(
    rows=st.integers(10, 200),
    validation=st.floats(0.0, 0.3),
    test=st.floats(0.0, 0.19),
    seed=st.integers(0, 2**63 - 1),
)
def test_the_split_deals_out_every_row_once(rows: int, validation: float, test: float, seed: int) -> None:
    x = torch.arange(float(rows))[:, None]
    options = {"validation": validation, "test": test, "seed": seed}
    data = Dataset.from_arrays(x, x**2, **options)
    parts = [data.train, data.validation, data.test]
    assert sorted(torch.cat(parts).tolist()) == list(range(rows))
    assert abs(len(data.validation) - validation * rows) <= 0.5
    assert abs(len(data.test) - test * rows) <= 0.5
    again = Dataset.from_arrays(x, x**2, **options)
    for part, same in zip(parts, [again.train, again.validation, again.test], strict=True):
        assert part.dtype == torch.int64 and torch.equal(part, same)
        assert torch.equal(part, part.sort().values)


def test_another_seed_gives_another_split() -> None:
    splits = {tuple(Dataset.from_arrays(X, Y, test=0.15, seed=seed).test.tolist()) for seed in range(20)}
    assert len(splits) > 15


@given(st.lists(finite, min_size=10, max_size=30), st.integers(0, 100))
def test_scaled_features_fill_the_interval_and_scaled_targets_are_standard(values: Sequence[float], seed: int) -> None:
    column = numpy.array(values)
    try:
        data = Dataset.from_arrays(column[:, None], column, seed=seed)
    except DataError as error:
        assert "is constant" in str(error)
        return
    scaled = data.x_scale.apply(data.x)
    assert torch.isfinite(scaled).all()
    assert abs(float(scaled.min()) + 1) < 1e-2 and abs(float(scaled.max()) - 1) < 1e-2
    assert math.isfinite(data.target_std) and data.target_std >= 0
    assert torch.isfinite(data.y_scale.center).all() and torch.isfinite(data.y_scale.scale).all()
    assert float(data.y_scale.scale) > 0


def test_scaling_in_ordinary_numbers() -> None:
    data = Dataset.from_arrays(X, Y, test=0.15, seed=3)
    scaled = data.x_scale.apply(data.x)
    assert torch.allclose(scaled.amin(dim=0), torch.tensor(-1.0, dtype=torch.float64), atol=1e-14)
    assert torch.allclose(scaled.amax(dim=0), torch.tensor(1.0, dtype=torch.float64), atol=1e-14)
    assert torch.allclose(data.x_scale.undo(scaled), data.x, atol=1e-15)
    standard = data.y_scale.apply(data.rows("train")[1])
    assert abs(float(standard.mean())) < 1e-14
    assert float(standard.std(correction=0)) == pytest.approx(1.0, abs=1e-14)
    assert data.target_std == pytest.approx(float(numpy.std(Y[data.test.numpy()])), rel=1e-14)


def test_rows_and_frames_of_a_split() -> None:
    data = Dataset.from_arrays(X, Y, feature_names=["a", "b"], target_names=["c"])
    for split in ("train", "validation", "test", "all"):
        x, y = data.rows(split)
        frame = data.to_frame(split)
        assert list(frame.columns) == ["a", "b", "c"]
        assert numpy.array_equal(frame.to_numpy(), torch.cat([x, y], dim=1).numpy())
        assert numpy.array_equal(X[frame.index], x.numpy())
    with pytest.raises(OptionError, match="there is no split 'training'; it is one of"):
        data.rows("training")  # type: ignore[arg-type]


def test_each_split_has_the_rows_that_bear_its_name() -> None:
    data = Dataset.from_arrays(X, Y, validation=0.3, test=0.1, seed=3)
    counts = {"train": round(0.6 * len(X)), "validation": round(0.3 * len(X)), "test": round(0.1 * len(X))}
    for split, index in (("train", data.train), ("validation", data.validation), ("test", data.test)):
        x, y = data.rows(split)  # type: ignore[arg-type]
        assert torch.equal(x, data.x[index]) and torch.equal(y, data.y[index])
        assert len(x) == counts[split]
        assert data.to_frame(split).index.tolist() == index.tolist()  # type: ignore[arg-type]
    assert torch.cat([data.train, data.validation, data.test]).sort().values.tolist() == list(range(len(X)))


def test_without_a_test_split_the_target_deviation_is_that_of_all_rows() -> None:
    data = Dataset.from_arrays(X, Y, test=0.0)
    assert len(data.test) == 0
    assert data.target_std == pytest.approx(float(numpy.std(Y)))


def test_a_data_set_does_not_share_memory_with_what_it_was_made_of() -> None:
    x, y = X.copy(), Y.copy()
    data = Dataset.from_arrays(x, y)
    x[:], y[:] = 0.0, 0.0
    assert numpy.array_equal(data.x.numpy(), X) and numpy.array_equal(data.y[:, 0].numpy(), Y)


def test_global_state_is_left_alone(tmp_path: Path, untouched_globals: None) -> None:
    Dataset.from_arrays(X, Y, seed=7)
    read_csv(written(tmp_path, GOOD), target="f", seed=7)


# ---------------------------------------------------------------- features at prediction


def test_features_are_picked_by_name_from_every_kind_of_table(tmp_path: Path) -> None:
    frame = pandas.DataFrame({"b": [1.0, 2.0], "name": ["u", "v"], "a": [3.0, 4.0]})
    expected = torch.tensor([[3.0, 1.0], [4.0, 2.0]], dtype=torch.float64)
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    for table in (frame, tmp_path / "t.csv", str(tmp_path / "t.parquet")):
        assert torch.equal(read_features(table, ["a", "b"]), expected)
    for array in (expected.numpy(), expected, expected.tolist()):
        assert torch.equal(read_features(array, ["a", "b"]), expected)
    data = Dataset.from_arrays(X, Y, feature_names=["a", "b"])
    assert torch.equal(read_features(data, ["b", "a"]), data.x[:, [1, 0]])
    assert torch.equal(read_features(data, ["y"]), data.y)


def test_one_row_and_one_column_are_enough_for_a_prediction(tmp_path: Path) -> None:
    assert read_features(written(tmp_path, "x\n0.5\n"), ["x"]).tolist() == [[0.5]]
    assert read_features([[0.5]], ["x"]).tolist() == [[0.5]]


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (pandas.DataFrame({"a": [1.0]}), "there is no column 'length' for a feature of the model"),
        (pandas.DataFrame({"a": [1.0], "lenght": [1.0]}), "did you mean 'lenght'"),
        (pandas.DataFrame({"a": [1.0], "length": ["x"]}), r"row 1 .*column 'length' holds 'x'"),
        (numpy.ones((3, 1)), "the array has 1 column, but the model was trained on 2: 'a', 'len"),
        (numpy.ones((3, 3)), "the array has 3 columns, but the model was trained on 2"),
        (torch.ones(2), r"the array has shape \[2\] .* reshape\(1, -1\) one row"),
        ([[1.0, math.nan]], r"the array, row 1 .*column 'length' holds nan"),
        (Dataset.from_arrays(X, Y), "there is no column 'a' for a feature of the model"),
        (None, "the array holds elements of type object"),
    ],
)
def test_tables_that_the_model_was_not_trained_on(table: Any, expected: str) -> None:
    with pytest.raises(DataError, match=expected) as caught:
        read_features(table, ["a", "length"])
    assert is_one_sentence(str(caught.value))
