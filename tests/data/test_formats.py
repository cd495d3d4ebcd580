"""Kinds of files: each is told from its contents and read exactly, and what is damaged or hostile is refused."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import sqlite3
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.messy import PLAIN, zipped
from helpers import is_one_sentence
from superpose.data import read_csv
from superpose.data.reading import read_table, source
from superpose.data.reading.source import Source
from superpose.errors import FileError, OptionError, SuperposeError

X, Y = [0.1, 1 / 3, 2e300, -4.0], [1, 4, 9, 16]
WORDS = ["a", "", "c, d", "é"]


def written(folder: Path, content: bytes | str) -> Path:
    path = folder / "t"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def as_workbook() -> bytes:
    import openpyxl

    book = openpyxl.Workbook()
    book.active.title = "Data"
    for row in [("x", "y", "word"), *zip(X, Y, WORDS, strict=True)]:
        book.active.append(row)
    return saved(book)


def saved(book: Any) -> bytes:
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def as_arrow(kind: str) -> bytes:
    import pyarrow
    import pyarrow.ipc

    table = pyarrow.table({"x": X, "y": Y, "word": [word or None for word in WORDS]})
    buffer = io.BytesIO()
    made = pyarrow.ipc.new_file if kind == "file" else pyarrow.ipc.new_stream
    with made(buffer, table.schema) as writer:
        writer.write_table(table)
    return buffer.getvalue()


RECORDS = [dict(zip(("x", "y", "word"), row, strict=True)) for row in zip(X, Y, [word or None for word in WORDS],
                                                                           strict=True)]  # fmt: skip
FILES: dict[str, Callable[[], bytes]] = {
    "workbook": as_workbook,
    "array of objects": lambda: json.dumps(RECORDS).encode(),
    "object on each line": lambda: "\n".join(map(json.dumps, RECORDS)).encode(),
    "object of arrays": lambda: json.dumps({name: [one[name] for one in RECORDS] for name in RECORDS[0]}).encode(),
    "arrow file": lambda: as_arrow("file"),
    "arrow stream": lambda: as_arrow("stream"),
}


@pytest.mark.parametrize("pack", ["", "gzip", "zip"])
@pytest.mark.parametrize("kind", FILES)
def test_every_kind_gives_the_same_table(tmp_path: Path, kind: str, pack: str) -> None:
    content = FILES[kind]()
    if pack == "gzip":
        content = gzip.compress(content)
    elif pack:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("inside", content)
        content = buffer.getvalue()
    table = read_table(written(tmp_path, content))
    assert table.names == ("x", "y", "word") and table.columns[2] == WORDS
    assert table.numbers("x").tolist() == X and table.numbers("y").tolist() == Y
    assert "4" in table.place(3) or "5" in table.place(3)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, lambda text: zipped(t=text.decode())])
def test_packed_text(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    table = read_table(written(tmp_path, compress(PLAIN.encode())))
    assert table.numbers("x").tolist() == [0.5, 1.25, 2.0, 3.5] and table.storage is not None
    with pytest.raises(FileError, match="damaged"):
        read_table(written(tmp_path, compress(PLAIN.encode() * 50)[:-30]))


def test_standard_input_is_read_as_often_as_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(PLAIN.encode()))))
    source._standard_input.cache_clear()
    for _ in range(2):
        assert read_table("-").numbers("y").tolist() == [10.0, 20.0, 15.0, 5.0]
    source._standard_input.cache_clear()


def test_sheets_of_a_workbook(tmp_path: Path) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    book.active.title = "Notes"
    for row in [[], [None, "My lab"], [], [None, "x", "day", "ok"], [None, "m"], *(
        [None, k / 2, date(2024, 1, k + 1), k > 2] for k in range(5)
    ), [None, "Total", None]]:  # fmt: skip
        book.active.append(row)
    for row in [("a", "b"), (1, 2), (3, 4)]:
        book.create_sheet("Second").append(row) if "Second" not in book else book["Second"].append(row)
    path = written(tmp_path, saved(book))
    first = read_table(path)
    assert first.names == ("x", "day", "ok") and first.numbers("x").tolist() == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert first.columns[1][1] == "2024-01-02" and first.columns[2][3] == "true" and first.place(0) == "row 6"
    said = " ".join(first.notes)
    assert "the first was read" in said and "'My lab'" in said and "--units 'x=m'" in said and "'Total'" in said
    for sheet in ("Second", 2, "2"):
        assert read_table(path, sheet=sheet).numbers("b").tolist() == [2.0, 4.0]
    with pytest.raises(OptionError, match="no sheet 'Secnd'; did you mean 'Second'"):
        read_table(path, sheet="Secnd")
    with pytest.raises(OptionError, match="is a text, and sheet is for Excel workbooks"):
        read_table(written(tmp_path, PLAIN), sheet=1)


BROKEN_JSON = {
    '[{"x": 1}, {"x": {"a": 2}}]': "record 2: 'x' holds an object",
    '[{"x": 1}, {"x": 2': "the JSON is broken",
    '[{"x": 1, "x": 2}]': "an object has the name 'x' twice",
    '{"x": 1}\n{"x": 2}\nfoo': "line 3: the JSON is broken",
    '{"x": 1}\n[2]': "line 2: the line is no JSON object",
    '[{"x.a": 1, "x": {"a": 2}}]': "record 1: two parts are named 'x.a'",
    '[{"x": ' * 300 + "1" + "}]" * 300: "holds",
    "[[1, 2], [3, 4]]": "the arrays have no names",
    "[[1, 2]]": "is JSON, but no table",
    "[]": "has no rows",
    '{"x": [1, 2], "y": [1]}': "'x' and 'y' are not arrays of one length",
    "[" * 100_000: "too deeply nested",
}


@pytest.mark.parametrize("text", BROKEN_JSON, ids=list(BROKEN_JSON.values()))
def test_json_that_is_no_table(tmp_path: Path, text: str) -> None:
    with pytest.raises(SuperposeError) as caught:
        read_table(written(tmp_path, text))
    assert BROKEN_JSON[text] in str(caught.value) and is_one_sentence(str(caught.value))


# ---------------------------------------------------------------- databases


def sqlite_file(folder: Path, tables: int = 1) -> Path:
    path = folder / "t.db"
    with sqlite3.connect(path) as connection:
        for k in range(tables):
            connection.execute(f"create table t{k} (x real, y integer)")
            connection.executemany(f"insert into t{k} values (?, ?)", zip(X, Y, strict=True))
    connection.close()
    return path


def duckdb_file(folder: Path, tables: int = 1) -> Path:
    import duckdb

    path = folder / "t.duckdb"
    connection = duckdb.connect(str(path))
    for k in range(tables):
        connection.execute(f"create table t{k} (x double, y integer)")
        connection.executemany(f"insert into t{k} values (?, ?)", list(zip(X, Y, strict=True)))
    connection.close()
    return path


@pytest.mark.parametrize("made", [sqlite_file, duckdb_file])
def test_databases_are_read_and_never_written(tmp_path: Path, made: Callable[..., Path]) -> None:
    path = made(tmp_path)
    table = read_table(path)
    assert table.numbers("x").tolist() == X and table.numbers("y").tolist() == Y
    chosen = read_table(path, query="select x, y * 2 as z from t0 where y > 4 order by y")
    assert chosen.numbers("z").tolist() == [18.0, 32.0]
    before = path.read_bytes()
    for query in (
        "delete from t0", "drop table t0", "insert into t0 values (1, 2)", "create table u (a integer)",
        "update t0 set x = 1", "select 1; delete from t0", f"attach '{tmp_path / 'u.db'}' as u",
        f"copy t0 to '{tmp_path / 'u.csv'}'", f"vacuum into '{tmp_path / 'u.db'}'", "pragma writable_schema = 1",
        "select load_extension('u')", "select * from read_csv('/etc/passwd')", "select", "select * from u", "drop",
        "insert into t0 values (1, 2) returning x", "set enable_external_access = true",
        "select x from t0 where y > 99",
    ):  # fmt: skip
        with pytest.raises(SuperposeError) as caught:
            read_table(path, query=query)
        assert is_one_sentence(str(caught.value)), str(caught.value)
    assert path.read_bytes() == before and [one.name for one in tmp_path.iterdir()] == [path.name]
    with pytest.raises(FileError, match="packed or piped"):
        read_table(written(tmp_path, gzip.compress(before)))


@pytest.mark.parametrize("made", [sqlite_file, duckdb_file])
def test_several_tables_need_a_query(tmp_path: Path, made: Callable[..., Path]) -> None:
    with pytest.raises(OptionError, match=r"tables 't0', 't1'; say what to read of it"):
        read_table(made(tmp_path, tables=2))
    with pytest.raises(OptionError, match="is a text, and query is for databases"):
        read_table(written(tmp_path, PLAIN), query="select 1")


# ---------------------------------------------------------------- hostile and damaged files


@pytest.mark.parametrize("pack", ["gzip", "bzip2", "xz", "zip"])
def test_a_bomb_is_refused_before_it_goes_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: str) -> None:
    monkeypatch.setattr(source, "_FREE", 1 << 17)
    text = b"x,y\n" + b"0,0\n" * 300_000
    packed = {
        "gzip": lambda: gzip.compress(text),
        "bzip2": lambda: bz2.compress(text),
        "xz": lambda: lzma.compress(text, preset=0),
        "zip": lambda: zipped(t=text.decode()),
    }[pack]()
    with pytest.raises(FileError, match=r"unpacks to more than \d+ MiB") as caught:
        read_table(written(tmp_path, packed))
    assert is_one_sentence(str(caught.value))


HOSTILE: dict[str, Callable[[], bytes]] = {
    "no workbook": lambda: b"PK\x03\x04" + bytes(200),
    "a document": lambda: zipped(**{"[Content_Types].xml": "<a/>", "word/document.xml": "<a/>"}),
    "a sheet of another program": lambda: zipped(mimetype="application/vnd.oasis.opendocument.spreadsheet"),
    "a workbook of nothing": lambda: zipped(**{"[Content_Types].xml": "<a/>", "xl/workbook.xml": "<a/>"}),
    "a workbook that is cut": lambda: as_workbook()[:3000],
    "a workbook of entities": lambda: zipped(**{
        "[Content_Types].xml": "<!DOCTYPE a [<!ENTITY b 'bbbb'><!ENTITY c '&b;&b;'>]><a>&c;</a>", "xl/workbook.xml": ""
    }),
    "an old workbook": lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
    "several files": lambda: zipped(a=PLAIN, b=PLAIN),
    "an archive of nothing": lambda: zipped(),
    "zero bytes": lambda: PLAIN.encode() + bytes(5) + b"\n",
    "zero bytes in a cell": lambda: PLAIN.encode().replace(b"15", b"1\x005"),
    "a picture": lambda: b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
    "SQLite that is cut": lambda: b"SQLite format 3\0" + bytes(100),
    "DuckDB that is none": lambda: bytes(8) + b"DUCK" + bytes(5000),
    "arrow that is none": lambda: b"ARROW1\0\0" + bytes(100),
    "feather that is none": lambda: b"FEA1" + bytes(100),
    "a stream that is none": lambda: b"\xff\xff\xff\xff" + bytes(100),
    "a stream of nonsense": lambda: b"\xff\xff\xff\xff" + bytes(range(1, 200)),
    "half a pair in UTF-16": lambda: b"\xff\xfex\x00,\x00y\x00\n\x001\x00,\x00\x00\xd8",
    "gzip in gzip": lambda: gzip.compress(gzip.compress(PLAIN.encode())),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_files_are_refused_in_one_sentence(tmp_path: Path, kind: str) -> None:
    with pytest.raises(SuperposeError) as caught:
        read_csv(written(tmp_path, HOSTILE[kind]()), target="y")
    assert is_one_sentence(str(caught.value)), str(caught.value)


def test_a_header_of_very_many_columns(tmp_path: Path) -> None:
    count = 1_000_000
    path = written(tmp_path, ",".join(map(str, range(count))) + "\n1,2\n")
    with pytest.raises(SuperposeError, match="there is no header, only numbers"):
        read_table(path)


STARTS = [b"", b"PAR1", b"ARROW1\0\0", b"FEA1", b"PK\x03\x04", b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\0",
          b"SQLite format 3\0", b"\0" * 8 + b"DUCK", b"\xff\xfe", b"\xfe\xff", b"[{", b'{"x":', b"sep=;\n",
          b"\xff\xff\xff\xff", b"x,y\n1,2\n", b"# a\n%\n", "x;y\n1.234,5;€ 3\n".encode()]  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sampled_from(STARTS), st.binary(max_size=200))
def test_any_bytes_are_a_table_or_one_sentence(tmp_path: Path, start: bytes, more: bytes) -> None:
    path = written(tmp_path, start + more)
    try:
        table = read_table(path)
        for name in table.names:
            table.numbers(name)
    except SuperposeError as error:
        assert "\n" not in str(error)


texts = st.text(st.sampled_from("0123456789.,;-+() $€%#\"'abkgmx\n\t eE"), max_size=80)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(texts)
def test_any_text_is_a_table_or_one_sentence(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, "x,y\n" + text)
    try:
        table = read_table(path)
    except SuperposeError as error:
        assert "\n" not in str(error)
        return
    for column in table.columns:
        # No cell is lost: what was passed over was said.
        assert len(column) == table.n_rows
    for name in table.names:
        try:
            assert numpy.isfinite(table.numbers(name)).all()
        except SuperposeError as error:
            assert "\n" not in str(error)


def test_a_source_is_no_pickle() -> None:
    import pickle

    content = pickle.dumps({"x": [1, 2]})
    with pytest.raises(SuperposeError):
        from superpose.data.reading.text import read_text

        read_text(Source.of_bytes(content, "'t'"))
