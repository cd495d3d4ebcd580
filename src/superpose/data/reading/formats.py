"""The door of this room: a file of any known kind as a table.

The kind is told from the first bytes of a file, never from its name, and nothing in it is ever run.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Unpack

from superpose.data.reading.arrow_files import read_parquet
from superpose.data.reading.notation import settle
from superpose.data.reading.options import FileOptions
from superpose.data.reading.source import Source
from superpose.data.reading.text import read_text
from superpose.data.reading.trimming import without_columns, without_totals
from superpose.data.tables import Table
from superpose.errors import DataError, FileError, OptionError
from superpose.messages import quoted

# Enough to tell any kind of file.
_FIRST_BYTES = 4096
_REMEDY = "save the table as CSV (UTF-8) or Parquet"


def read_table(path: str | os.PathLike[str], **options: Unpack[FileOptions]) -> Table:
    """Read a text table (any usual delimiter), the same packed by gzip, or Parquet.

    Raises
    ------
    FileError
        If the file cannot be read or is no table.
    DataError
        If the table is empty, has no header, or has rows of different lengths.
    """
    _check(options)
    table = settle(_read(Source.of_path(path), options), options.get("decimal"))
    table = without_totals(table, refuse=True)
    if exclude := options.get("exclude"):
        table = without_columns(table, [exclude] if isinstance(exclude, str) else list(exclude))
    return table


def _check(options: FileOptions) -> None:
    decimal = options.get("decimal")
    if decimal not in (None, ",", "."):
        raise OptionError(f"decimal is {quoted(decimal)} and must be ',' or '.', the decimal mark of the table")


def _read(source: Source, options: FileOptions) -> Table:
    first = source.head(_FIRST_BYTES)
    if not first or (first.isspace() and source.blank()):
        raise DataError(f"{source.label} is empty; a table has a header and rows")
    for first_bytes, reader in FORMATS.items():
        if first.startswith(first_bytes):
            return reader(source, options)
    return read_text(source, options.get("encoding"), options.get("decimal"))


def _refuse_office(source: Source, options: FileOptions) -> Table:
    raise FileError(f"{source.label} is an old Excel workbook or another office document; {_REMEDY}")


# Readers of binary tables by the first bytes of a file: another format is one entry here. Files that begin with none of
# these are text.
FORMATS: dict[bytes, Callable[[Source, FileOptions], Table]] = {
    b"PAR1": lambda source, _: read_parquet(source),
    b"PK\x03\x04": _refuse_office,
    b"\xd0\xcf\x11\xe0": _refuse_office,
}
