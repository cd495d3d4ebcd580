"""The door of this room: a file of any known kind as a table.

The kind is told from the first bytes of a file, never from its name, and nothing in it is ever run.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple, Unpack

import numpy

from superpose.data.conditions import read_condition
from superpose.data.reading.arrow_files import read_arrow, read_parquet
from superpose.data.reading.database import read_duckdb, read_sqlite
from superpose.data.reading.encodings import known_encoding
from superpose.data.reading.json_records import looks_like_json, read_json
from superpose.data.reading.notation import settle
from superpose.data.reading.options import FileOptions
from superpose.data.reading.refused_kinds import other_kind
from superpose.data.reading.source import Source
from superpose.data.reading.text import read_text
from superpose.data.reading.trimming import without_columns, without_totals
from superpose.data.reading.workbook import read_workbook
from superpose.data.tables import Table
from superpose.errors import DataError, FileError, OptionError
from superpose.messages import nearest, quoted

# Enough to tell any kind of file.
_FIRST_BYTES = 4096


def read_table(path: str | os.PathLike[str], **options: Unpack[FileOptions]) -> Table:
    """Read a table from a file: text, Excel, JSON, Parquet, Arrow, SQLite or DuckDB, also packed.

    >>> table = read_table("examples/data/knots.csv", where="cusp_volume > 3 and signature = 0", exclude="name")
    >>> table.n_rows, table.names[:2]
    (3450, ('crossings', 'volume'))

    Parameters
    ----------
    path
        The file, whose kind is told from its contents; ``-`` is standard input.
    **options
        See :class:`superpose.data.FileOptions`.

    Returns
    -------
    Table
        Its ``columns`` hold numbers or text, ``notes`` what was assumed. :func:`superpose.read_csv` makes a data set.

    Raises
    ------
    FileError
        If the file cannot be read or is no table.
    DataError
        If the table is empty, has no header, or has rows of different lengths.
    OptionError
        If an option makes no sense for this file.
    """
    for name in options:
        if name not in FileOptions.__annotations__:
            raise OptionError(f"read_table has no option {name!r}{nearest(name, FileOptions.__annotations__)}")
    decimal, where, exclude = options.get("decimal"), options.get("where"), options.get("exclude")
    if decimal not in (None, ",", "."):
        raise OptionError(f"decimal is {quoted(decimal)} and must be ',' or '.', the decimal mark of the table")
    if (encoding := options.get("encoding")) is not None:
        known_encoding(encoding)
    condition = None if where is None else read_condition(where)
    table = settle(_read(Source.of_path(path), options), decimal)
    table = without_totals(table, refuse=condition is None)
    if condition is not None:
        kept = condition.rows(table)
        if not kept.any():
            raise DataError(f"{table.label}: no row is one where {quoted(where, 80)}; correct the condition")
        table = table.rows(numpy.flatnonzero(kept))
    return without_columns(table, [exclude] if isinstance(exclude, str) else list(exclude)) if exclude else table


def _read(source: Source, options: FileOptions) -> Table:
    first = source.head(_FIRST_BYTES)
    if not first or (first.isspace() and source.blank()):
        raise DataError(f"{source.label} is empty; a table has a header and rows")
    if (kind := other_kind(first)) is not None:
        raise FileError(f"{source.label} is {kind.name}, which is not read; {kind.remedy}")
    form = next((form for form in FORMATS if form.begins(first)), _TEXT)
    for option in ("sheet", "query"):
        if options.get(option) is not None and option not in form.options:
            kinds = "Excel workbooks" if option == "sheet" else "databases"
            raise OptionError(f"{source.label} is {form.name}, and {option} is for {kinds}; leave it out")
    return form.read(source, options)


class Format(NamedTuple):
    """A kind of file.

    Attributes:
        name: what one is called.
        begins: whether first bytes are those of such a file.
        read: it.
        options: those that are for this kind only.
    """

    name: str
    begins: Callable[[bytes], bool]
    read: Callable[[Source, FileOptions], Table]
    options: tuple[str, ...] = ()


def _with(*marks: bytes) -> Callable[[bytes], bool]:
    return lambda first: first.startswith(marks)


def _refuse_old(source: Source, options: FileOptions) -> Table:
    raise FileError(
        f"{source.label} is an Excel workbook of the time before 2007 (.xls); save it as xlsx, CSV (UTF-8) or Parquet"
    )


_TEXT = Format(
    "a text",
    lambda first: True,
    lambda source, options: read_text(source, options.get("encoding"), options.get("decimal")),
)
# Another format is one entry here. Files that are none of these are text.
FORMATS = (
    Format("a Parquet file", _with(b"PAR1"), lambda source, _: read_parquet(source)),
    Format("an Arrow file", _with(b"ARROW1", b"FEA1", b"\xff\xff\xff\xff"), lambda source, _: read_arrow(source)),
    Format(
        "an Excel workbook",
        _with(b"PK\x03\x04"),
        lambda source, options: read_workbook(source, options.get("sheet")),
        ("sheet",),
    ),
    Format("an old Excel workbook", _with(b"\xd0\xcf\x11\xe0"), _refuse_old, ("sheet",)),
    Format(
        "an SQLite database",
        _with(b"SQLite format 3\0"),
        lambda source, options: read_sqlite(source, options.get("query")),
        ("query",),
    ),
    Format(
        "a DuckDB database",
        lambda first: first[8:12] == b"DUCK",
        lambda source, options: read_duckdb(source, options.get("query")),
        ("query",),
    ),
    Format("JSON", looks_like_json, lambda source, _: read_json(source)),
)
