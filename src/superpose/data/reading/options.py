"""The options on how a file is read, and on which of its rows and columns are used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

from superpose.data.options import RowOptions, check_names


class FileOptions(TypedDict, total=False):
    """Options on the reading of a file.

    Attributes:
        where: a condition on the rows to use, such as ``"price > 0 and kind != 'x'"``; see the page on
            tables.
        exclude: names of columns that are not used.
        sheet: the name of an Excel workbook's sheet, or its number from 1; the first one by default.
        query: what to read of a database: ``"SELECT ..."``.
        decimal: the decimal mark of a text, ``","`` or ``"."``, where its cells do not tell.
        encoding: of a text that is not UTF-8, such as ``"cp1252"``.
    """

    where: str | None
    exclude: str | Sequence[str]
    sheet: str | int | None
    query: str | None
    decimal: str | None
    encoding: str | None


class TableOptions(RowOptions, FileOptions, total=False):
    """All options of :func:`superpose.read_csv`: those of :class:`RowOptions` and of :class:`FileOptions`."""


def check_options(function: str, options: TableOptions, more: tuple[str, ...] = ()) -> None:
    """Raise :class:`OptionError` for an option that does not exist; ``more`` are the function's other options."""
    others = {name: value for name, value in options.items() if name not in FileOptions.__annotations__}
    check_names(function, others, (*more, *FileOptions.__annotations__))


def file_options(options: TableOptions) -> FileOptions:
    """Those on the reading of the file."""
    chosen: Any = {name: value for name, value in options.items() if name in FileOptions.__annotations__}
    made: FileOptions = chosen
    return made


def row_options(options: TableOptions) -> RowOptions:
    """Those on the rows of the data set."""
    chosen: Any = {name: value for name, value in options.items() if name in RowOptions.__annotations__}
    made: RowOptions = chosen
    return made
