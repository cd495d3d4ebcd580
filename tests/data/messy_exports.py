"""More tables as people have them: what spreadsheets, instruments, databases and web pages leave behind.

They were written after the reader, from what such programs do, and not from what it can.
"""

from __future__ import annotations

import datetime
import decimal
import gzip
import io
import json
import lzma
import sqlite3
import tarfile
from collections.abc import Callable
from typing import Any

import numpy

from data.messy import PLAIN, XY, Case, X, Y, zipped

DAYS = ["01.03.24", "02.03.24", "15.11.24"]


def workbook(fill: Callable[[Any], None]) -> bytes:
    """A workbook that ``fill`` has written to."""
    import openpyxl

    book = openpyxl.Workbook()
    fill(book)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def merged_groups() -> bytes:
    def fill(book: Any) -> None:
        sheet = book.active
        sheet["A1"] = "Plots of 2024"
        sheet.merge_cells("A1:C1")
        for row in (
            ["site", "x", "y"],
            ["north", 1, 2],
            [None, 2, None],
            [None, 3, 9],
            ["south", 4, 8],
            [None, 5, None],
        ):
            sheet.append(row)
        for area in ("A3:A5", "A6:A7", "C3:C4", "C6:C7"):
            sheet.merge_cells(area)

    return workbook(fill)


def merged_titles() -> bytes:
    def fill(book: Any) -> None:
        sheet = book.active
        sheet["B2"] = "Measurements of May"
        sheet.merge_cells("B2:D2")
        rows = [("day", "x", "y"), (datetime.datetime(2024, 5, 1), 0.5, 10), (datetime.datetime(2024, 5, 2), 1.25, 20)]
        for line, row in enumerate(rows, start=4):
            for column, value in enumerate(row, start=2):
                sheet.cell(line, column, value)

    return workbook(fill)


def hidden_first_sheet() -> bytes:
    def fill(book: Any) -> None:
        book.active.title = "lists"
        book.active.append(["a", "b"])
        book.active.append(["p", "q"])
        book.active.sheet_state = "hidden"
        sheet = book.create_sheet("data")
        for row in (("x", "y"), (0.5, 10), (1.25, 20)):
            sheet.append(row)

    return workbook(fill)


def formulas_never_computed() -> bytes:
    def fill(book: Any) -> None:
        for row in (("x", "y"), (0.5, "=A2*2"), (1.25, "=A3*2")):
            book.active.append(row)

    return workbook(fill)


def errors_in_cells() -> bytes:
    def fill(book: Any) -> None:
        for row in (("x", "y"), (0.5, 10), (1.25, "#DIV/0!"), (2, "#N/A"), (3, 4)):
            book.active.append(row)

    return workbook(fill)


def numbers_as_text() -> bytes:
    def fill(book: Any) -> None:
        for row in (("x", "y", "ok"), ("0,5", "1.234,5", True), ("1,25", "20", False)):
            book.active.append(row)

    return workbook(fill)


def categories_and_zones() -> bytes:
    import pandas

    buffer = io.BytesIO()
    frame = pandas.DataFrame(
        {
            "kind": pandas.Categorical(["a", "b", "a"]),
            "price": [decimal.Decimal("1.10"), decimal.Decimal("22.50"), None],
            "at": pandas.to_datetime(["2024-01-31 10:00", "2024-02-01 11:30", "2024-02-02 00:00"]).tz_localize("UTC"),
            "n": pandas.array([1, None, 3], dtype="Int64"),
            "x": [0.5, 1.25, 2.0],
        },
        index=[5, 7, 9],
    )
    frame.to_parquet(buffer)
    return buffer.getvalue()


def lists_in_cells() -> bytes:
    import pandas

    buffer = io.BytesIO()
    pandas.DataFrame({"x": [1.0, 2.0], "both": [[1, 2], [3, 4]]}).to_parquet(buffer)
    return buffer.getvalue()


def several_tables() -> bytes:
    connection = sqlite3.connect(":memory:")
    connection.executescript("CREATE TABLE runs (x, y); CREATE TABLE people (name); INSERT INTO runs VALUES (1, 2);")
    return connection.serialize()


def tar_archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        entry = tarfile.TarInfo("table.csv")
        entry.size = len(PLAIN)
        archive.addfile(entry, io.BytesIO(PLAIN.encode()))
    return buffer.getvalue()


PANDAS_SPLIT = json.dumps({"columns": ["x", "y"], "index": [0, 1], "data": [[0.5, 10], [1.25, 20]]})
SQL_BOX = "+------+----+\n| x    | y  |\n+------+----+\n| 0.50 | 10 |\n| 1.25 | 20 |\n+------+----+\n"

TEXT = [
    Case(
        "German Excel",
        ("\ufeffDatum;Wert;Ort\r\n" + "".join(f"{day};{k},50;Köln\r\n" for k, day in enumerate(DAYS))).encode(),
        {"Datum": DAYS, "Wert": [0.5, 1.5, 2.5], "Ort": ["Köln"] * 3},
    ),
    Case(
        "detection limits",
        "t,conc\n1,0.8\n2,<0.5\n3,1.5\n4,1.2\n5,0.9\n6,0.7\n",
        {"t": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]},
        faults={"conc": "line 3: column 'conc' holds '<0.5'"},
    ),
    Case(
        "marks of footnotes",
        "t,v\n1,1.5*\n2,2.5\n3,3.5†\n4,4.5\n5,5.5\n6,6.5\n7,7\n8,8\n9,9\n10,10\n",
        {"t": list(numpy.arange(1.0, 11))},
        faults={"v": "line 2: column 'v' holds '1.5*'"},
    ),
    Case(
        "footnotes below",
        "a,b,c\n1,2,3\n4,5,6\n\n* p < 0.05\nNote: preliminary\n",
        {"a": [1.0, 4.0], "b": [2.0, 5.0], "c": [3.0, 6.0]},
        ("2 lines from line 5 on",),
    ),
    Case("two rows of names", "Site A,,Site B,\ntemp,hum,temp,hum\n1,2,3,4\n5,6,7,8\n", None, ("'temp'", "rename")),
    Case(
        "names above names",
        "inputs,,output\np,q,r\n1,2,3\n4,5,6\n",
        {"p": [1.0, 4.0], "q": [2.0, 5.0], "r": [3.0, 6.0]},
        ("'inputs'",),
    ),
    Case("a name that is missing", "x,,y\n1,2,3\n4,5,6\n", None, ("column 2 has no name",)),
    Case("the same name but for spaces", "x, x ,y\n1,2,3\n4,5,6\n", None, ("'x'", "rename")),
    Case(
        "line ends in cells",
        'note,v\n"first\nsecond",1\nplain,2\nplain,oops\nplain,3\nplain,4\nplain,5\nplain,6\n',
        {"note": ["first\nsecond"] + ["plain"] * 6},
        faults={"v": "line 5: column 'v'"},
    ),
    Case("backslashes before quotation marks", 'name,v\n"a \\"b\\" c",1\n"d",2\n', None, ("line 2", "quotation marks")),
    Case(
        "quotation marks behind spaces",
        '"name", "v", "w"\n"a, b", 1, "2"\n"c", 3, "4"\n',
        {"name": ["a, b", "c"], "v": [1.0, 3.0], "w": [2.0, 4.0]},
    ),
    Case(
        "names of two words between spaces",
        "wind speed   air temp\n1.5          20\n2.5          21\n3.5          22\n",
        {"wind speed": [1.5, 2.5, 3.5], "air temp": [20.0, 21.0, 22.0]},
    ),
    Case(
        "columns of fixed width with gaps",
        "id  mass  height\n 1  10.5     1.7\n 2           1.8\n 3  12.5     1.9\n",
        None,
        ("line 3", "2 cells"),
    ),
    Case("tabs and spaces", "x\ty\n0.5 \t 10\n1.25\t\t20\n2  15\n", {"x": X[:3], "y": Y[:3]}),
    Case("three kinds of line ends", "x,y\r\n0.5,10\r1.25,20\n2,15\r\n3.5,5", XY),
    Case("Unicode signs", "x,y\n−0.5,1\n–1.25,2\n2,3\n", {"x": [-0.5, -1.25, 2.0], "y": [1.0, 2.0, 3.0]}),
    Case("some in per cent", "x,y\n12%,1\n0.5,2\n8%,3\n3%,4\n", {"y": [1.0, 2.0, 3.0, 4.0]}, faults={"x": "line 2"}),
    Case("digits of full width", "x,y\n１２.５,1\n３,2\n", {"x": [12.5, 3.0], "y": [1.0, 2.0]}),
    Case(
        "numbers of Windows that are none",
        "x,y\n1,1.5\n2,1.#QNAN\n3,2.5\n4,-1.#IND\n5,1.#INF\n",
        {"x": [1.0, 2.0, 3.0, 4.0, 5.0]},
        faults={"y": "line 3: column 'y'"},
    ),
    Case(
        "stars where Fortran ran out of room",
        "x y\n1.0 2.0\n2.0 ******\n3.0 4.0\n",
        {"x": [1.0, 2.0, 3.0]},
        faults={"y": "line 3: column 'y' holds '******'"},
    ),
    Case(
        "Fortran without its letter",
        "x y\n1.0 2.5-103\n2.0 1.5+101\n3.0 4.0\n",
        {"x": [1.0, 2.0, 3.0]},
        faults={"y": "line 2: column 'y'"},
    ),
    Case(
        "a frame as pandas prints it",
        "      x   y  kind\n0  0.50  10     a\n1  1.25  20     b\n",
        {"x": X[:2], "y": Y[:2], "kind": ["a", "b"]},
        ("numbers the rows from 0",),
    ),
    Case("a line under each name", "x     y\n----  ---\n0.5   10\n1.25  20\n", {"x": X[:2], "y": Y[:2]}),
    Case("a table of MySQL", SQL_BOX, {"x": X[:2], "y": Y[:2]}),
    Case("a table of LaTeX", "x & y \\\\\n\\hline\n0.5 & 10 \\\\\n1.25 & 20 \\\\\n", None, ("line 2",)),
    Case("two indices", ",Unnamed: 0,x,y\n0,0,0.5,10\n1,1,1.25,20\n", {"x": X[:2], "y": Y[:2]}, ("numbers the rows",)),
    Case("an index of chosen rows", ",x,y\n3,0.5,10\n7,1.25,20\n8,2,15\n", None, ("column 1 has no name",)),
    Case(
        "marks of order within",
        "\ufeffx,y\n0.5,10\n1.25,20\n\ufeffx,y\n2,15\n3.5,5\n".encode(),
        XY,
        ("a second header on line 4",),
    ),
    Case(
        "spaces that do not break at the ends", "x\u00a0,\u00a0y\n\u00a00.5,10\u00a0\n1.25\u200b,20\n2,15\n3.5,5\n", XY
    ),
    Case("the end of a text of DOS", PLAIN + "\x1a", XY),
    Case(
        "another alphabet",
        "温度,y\n1,2\n3,4\n".encode("shift_jis"),
        {"‰·“x": [1.0, 3.0], "y": [2.0, 4.0]},
        ("Windows-1252", "give its encoding"),
    ),
    Case(
        "the same with its encoding",
        "温度,y\n1,2\n3,4\n".encode("shift_jis"),
        {"温度": [1.0, 3.0], "y": [2.0, 4.0]},
        options={"encoding": "shift_jis"},
    ),
    Case("half a character", PLAIN.encode("utf-16")[:-1], None, ("utf-16", "encoding")),
    Case("zeros in a text", "x,y\n1,2\n\0\0\0,4\n", None, ("binary",)),
    Case("German exponents", "x;y\n1,00E+03;2\n2,50E-01;4\n", {"x": [1000.0, 0.25], "y": [2.0, 4.0]}),
    Case(
        "a currency behind a minus", "x,y\n-$1.50,1\n$-2.25,2\n$3,3\n", {"x": [-1.5, -2.25, 3.0], "y": [1.0, 2.0, 3.0]}
    ),
    Case("coordinates", "lat,y\n59°54'N,1\n60°12'N,2\n", {"lat": ["59°54'N", "60°12'N"], "y": [1.0, 2.0]}),
    Case(
        "ranges of ages", "age,y\n0-9,1\n10-19,2\n20-29,3\n", {"age": ["0-9", "10-19", "20-29"], "y": [1.0, 2.0, 3.0]}
    ),
    Case("units in the header over two lines", '"T\n(°C)",y\n1,2\n3,4\n', {"T (°C)": [1.0, 3.0], "y": [2.0, 4.0]}),
    Case("numbered features of libsvm", "1 1:0.5 2:0.25\n0 1:0.75 2:0.5\n", None, ("line 1", "header")),
    Case("fields of MovieLens", "1::1193::5\n1::661::3\n2::914::3\n", None, ("line 1",)),
    Case(
        "a page of the web",
        "<!DOCTYPE html>\n<html><body><table><tr><td>1</td></tr></table></body></html>\n",
        None,
        ("HTML", "save"),
    ),
    Case("XML", '<?xml version="1.0"?>\n<rows><row x="1" y="2"/></rows>\n', None, ("XML", "save")),
    Case("ARFF", "@relation r\n@attribute x numeric\n@attribute y numeric\n@data\n1,2\n3,4\n", None, ("line",)),
    Case(
        "a pointer of Git LFS",
        "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
        None,
        ("LFS", "git lfs pull"),
    ),
    Case("a dictionary of Python", "{'x': 1, 'y': 2}\n{'x': 3, 'y': 4}\n", None, ("line 1", "JSON")),
    Case("nothing but a mark of order", b"\xef\xbb\xbf", None, ("empty", "header")),
    Case("nothing but names", "x,y\n", None, ("no rows",)),
]

FILES = [
    Case(
        "merged titles, dates, an empty corner",
        merged_titles,
        {"day": ["2024-05-01", "2024-05-02"], "x": X[:2], "y": Y[:2]},
        ("'Measurements of May'",),
    ),
    Case(
        "cells merged over rows, below merged titles",
        merged_groups,
        {
            "site": ["north", "north", "north", "south", "south"],
            "x": [1.0, 2.0, 3.0, 4.0, 5.0],
            "y": [2.0, 2.0, 9.0, 8.0, 8.0],
        },
        ("merged over several rows",),
    ),
    Case("a hidden first sheet", hidden_first_sheet, {"x": X[:2], "y": Y[:2]}, ("'data'",)),
    Case(
        "formulas that were never computed",
        formulas_never_computed,
        {"x": X[:2]},
        faults={"y": "row 2: column 'y' holds '=A2*2', a formula"},
    ),
    Case("errors of a spreadsheet", errors_in_cells, {"x": [0.5, 1.25, 2.0, 3.0]}, faults={"y": "row 3: column 'y'"}),
    Case("numbers as text in a sheet", numbers_as_text, {"x": X[:2], "y": [1234.5, 20.0], "ok": ["true", "false"]}),
    Case(
        "a frame in Parquet",
        categories_and_zones,
        {
            "kind": ["a", "b", "a"],
            "x": X[:3],
            "at": ["2024-01-31 10:00:00+00:00", "2024-02-01 11:30:00+00:00", "2024-02-02 00:00:00+00:00"],
        },
        faults={"price": "column 'price'", "n": "column 'n'"},
    ),
    Case("lists in Parquet", lists_in_cells, {"x": [1.0, 2.0]}, faults={"both": "column 'both' holds lists"}),
    Case("a database of several tables", several_tables, None, ("'runs'", "'people'", "--query")),
    Case("an archive of tar", tar_archive, None, ("tar", "unpack")),
    Case("an archive that a Mac made", zipped(**{"run/": "", "run/t.csv": PLAIN, "__MACOSX/run/._t.csv": "x"}), XY),
    Case("two tables in an archive", zipped(**{"a.csv": PLAIN, "b.csv": PLAIN}), None, ("'a.csv'", "unpack")),
    Case("a download that broke off", gzip.compress(PLAIN.encode() * 50)[:-20], None, ("damaged", "gzip")),
    Case("xz of a German table", lzma.compress("x;y\n0,5;10\n1,25;20\n".encode("utf-16")), {"x": X[:2], "y": Y[:2]}),
    Case(
        "arrays of NumPy",
        b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }\n" + bytes(16),
        None,
        ("NumPy", "save"),
    ),
    Case(
        "a document of OpenOffice",
        zipped(**{"mimetype": "application/vnd.oasis.opendocument.spreadsheet", "content.xml": ""}),
        None,
        ("OpenDocument", "save"),
    ),
    Case("HDF5", b"\x89HDF\r\n\x1a\n" + bytes(64), None, ("HDF5", "save")),
    Case("a PDF", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n", None, ("PDF", "save")),
]

JSON = [
    Case(
        "a frame as pandas writes it", '{"x": {"0": 0.5, "1": 1.25}, "y": {"0": 10, "1": 20}}', {"x": X[:2], "y": Y[:2]}
    ),
    Case("the same by rows", '{"0": {"x": 0.5, "y": 10}, "1": {"x": 1.25, "y": 20}}', {"x": X[:2], "y": Y[:2]}),
    Case("rows of different length", '[["x", "y"], [1, 2], [3]]', None, ("record 3", "1 cell")),
    Case(
        "lines with missing keys",
        '{"x": 1, "y": 2}\n{"x": 3}\n\n{"y": 4, "x": 5}\n',
        {"x": [1.0, 3.0, 5.0]},
        faults={"y": "line 2: column 'y' is empty"},
    ),
    Case("a frame as pandas splits it", PANDAS_SPLIT, {"x": X[:2], "y": Y[:2]}),
    Case("rows without names", '[["x", "y"], [0.5, 10], [1.25, 20]]', {"x": X[:2], "y": Y[:2]}),
    Case(
        "records within",
        '{"status": "ok", "data": [{"x": 1, "y": 2}, {"x": 3, "y": 4}]}',
        {"x": [1.0, 3.0], "y": [2.0, 4.0]},
        ("'data'",),
    ),
    Case(
        "objects in records",
        '[{"x": 1, "at": {"lat": 5, "lon": 6}}, {"x": 2, "at": {"lat": 7, "lon": 8}}]',
        {"x": [1.0, 2.0], "at.lat": [5.0, 7.0], "at.lon": [6.0, 8.0]},
    ),
    Case(
        "numbers that JSON does not have",
        '[{"x": 1, "y": NaN}, {"x": 2, "y": 3}]',
        {"x": [1.0, 2.0]},
        faults={"y": "record 1: column 'y'"},
    ),
    Case(
        "a map of GeoJSON",
        '{"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": {"coordinates": [1, 2]}}]}',
        None,
        ("record 1", "'geometry.coordinates' holds a list"),
    ),
]
