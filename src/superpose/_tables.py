"""Reads a file or a data frame into named columns, and says where a cell stands when it is wrong.

A text table is read twice over at most. The fast reader (Arrow's) handles what is in order; on any
complaint from it the slow reader goes through the text record by record. The slow reader is the
definition of what a table is: it accepts everything that the fast one accepts, gives the same
numbers, and knows the line of every record.
"""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import os
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy
import numpy.typing

from superpose._errors import DataError, FileError, nearest

if TYPE_CHECKING:
    import pandas

FloatArray: TypeAlias = numpy.typing.NDArray[numpy.float64]
# A column holds numbers, or the cells' text as it stands in the table.
Column: TypeAlias = FloatArray | list[str]

_POINT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_COMMA = re.compile(r"[+-]?(?:[0-9]+,[0-9]*|,[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INTEGER = re.compile(r"[+-]?[0-9]+")
_THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(?:[,.' ][0-9]{3})+(?:[.,][0-9]+)?")
_NOT_FINITE = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)
_DELIMITERS = (",", ";", "\t", "|")
_WHITESPACE = " "
# Enough of the text to recognise the delimiter, and little enough to take no time.
_SAMPLE_BYTES = 65536
_SAMPLE_RECORDS = 100


def quoted(text: object, length: int = 40) -> str:
    """Return a cell or a name as it may stand in a one-line message."""
    text = str(text)
    return repr(text if len(text) <= length else text[: length - 3] + "...")


def listed(names: Sequence[str], most: int = 8) -> str:
    """Return names as a phrase for a message.

    >>> listed(["x", "y"])
    "'x', 'y'"
    """
    phrase = ", ".join(quoted(name) for name in names[:most])
    return phrase if len(names) <= most else f"{phrase} and {len(names) - most} more"


def counted(n: int, noun: str) -> str:
    """Return a number with its noun.

    >>> counted(1, "row"), counted(3, "row")
    ('1 row', '3 rows')
    """
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def row_place(row: int) -> str:
    """Return how a person finds a row of an array or a data frame."""
    return f"row {row + 1} (counting from 1)"


@dataclass(frozen=True, eq=False)
class Table:
    """Named columns, and the place of each row in the words of the person who made the table."""

    label: str
    names: tuple[str, ...]
    columns: tuple[Column, ...]
    place: Callable[[int], str] = field(default=row_place)

    def __post_init__(self) -> None:
        for position, name in enumerate(self.names):
            if not name:
                raise DataError(
                    f"{self.label}: column {position + 1} has no name; name it in the header or "
                    "remove it (a data frame is best written without its index)"
                )
            if name in self.names[:position]:
                raise DataError(
                    f"{self.label}: two columns are named {quoted(name)}, column "
                    f"{self.names.index(name) + 1} and column {position + 1}; rename one of them"
                )

    @property
    def n_rows(self) -> int:
        return len(self.columns[0]) if self.columns else 0

    def require(self, name: str, role: str) -> None:
        """Raise if there is no column of this name; ``role`` says what it was wanted for."""
        if name not in self.names:
            hint = nearest(name, self.names) or f"; its columns are {listed(self.names)}"
            raise DataError(f"{self.label}: there is no column {quoted(name)} for {role}{hint}")

    def is_label(self, name: str) -> bool:
        """Return whether no cell of the column is a number: a name, a date, a remark."""
        column = self.columns[self.names.index(name)]
        if isinstance(column, numpy.ndarray):
            return False
        return not any(_is_numeric(cell) or _NOT_FINITE.fullmatch(cell) for cell in column)

    def numbers(self, name: str) -> FloatArray:
        """Return a column as finite numbers, or raise naming the first cell that is not one."""
        column = self.columns[self.names.index(name)]
        if not isinstance(column, numpy.ndarray):
            for row, cell in enumerate(column):
                if not _POINT.fullmatch(cell):
                    raise self._wrong_cell(name, row, cell)
            column = numpy.array([float(cell) for cell in column])
        finite = numpy.isfinite(column)
        if not finite.all():
            row = int(numpy.argmin(finite))
            raise self._wrong_cell(name, row, str(column[row]))
        return column

    def _wrong_cell(self, name: str, row: int, cell: str) -> DataError:
        where = f"{self.label}, {self.place(row)}: column {quoted(name)}"
        if not cell:
            return DataError(f"{where} is empty; fill the cell, or leave out the row or the column")
        if _NOT_FINITE.fullmatch(cell):
            return DataError(
                f"{where} holds {cell}, not a finite number; leave out the row or the column"
            )
        if _THOUSANDS.fullmatch(cell) or _COMMA.fullmatch(cell):
            remedy = "write numbers with a decimal point and without thousands separators"
        else:
            remedy = "correct the cell, or leave out the row or the column"
        return DataError(f"{where} holds {quoted(cell)}, which is not a number; {remedy}")


def read_table(path: str | os.PathLike[str]) -> Table:
    """Read a text table (any usual delimiter), the same compressed by gzip, or Parquet.

    The kind of file is told from its first bytes, never from its name.

    Raises
    ------
    FileError
        If the file cannot be read or is no table.
    DataError
        If the table is empty, has no header, or has rows of different lengths.
    """
    label, raw = _read_bytes(path)
    if raw.startswith(b"PAR1"):
        return _read_parquet(label, raw)
    _refuse_binary(label, raw)
    return _read_text(label, raw)


def _read_bytes(path: str | os.PathLike[str]) -> tuple[str, bytes]:
    try:
        label = quoted(os.fspath(path), 120)
    except TypeError:
        raise DataError(
            f"a table is named by its path, not by a {type(path).__name__}; "
            "for a data frame or arrays use Dataset.from_frame or Dataset.from_arrays"
        ) from None
    try:
        with open(path, "rb") as file:
            raw = file.read()
    except FileNotFoundError:
        raise FileError(f"{label} does not exist{_similar_file(Path(path))}") from None
    except IsADirectoryError:
        raise FileError(f"{label} is a directory; name the table inside it") from None
    except PermissionError:
        raise FileError(f"{label} may not be read; change its permissions") from None
    except (OSError, ValueError) as error:
        raise FileError(f"{label} cannot be read: {error}; check the path") from None
    if raw.startswith(b"\x1f\x8b"):
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error):
            raise FileError(f"{label} is a damaged gzip file; fetch or make it again") from None
    if not raw.strip():
        raise DataError(f"{label} is empty; a table has a header and rows")
    return label, raw


def _similar_file(path: Path) -> str:
    try:
        hint = nearest(path.name, os.listdir(path.parent))
    except OSError:
        return "; its folder does not exist either, check the path"
    return hint or "; check the path"


def _refuse_binary(label: str, raw: bytes) -> None:
    remedy = "save the table as CSV (UTF-8) or Parquet"
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise FileError(f"{label} is encoded in UTF-16, not in UTF-8; {remedy}")
    if raw.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise FileError(f"{label} is an Excel workbook or another archive, not a table; {remedy}")
    if b"\0" in raw[:_SAMPLE_BYTES]:
        raise FileError(f"{label} is a binary file, not a table; {remedy}")


def _read_parquet(label: str, raw: bytes) -> Table:
    import pyarrow
    import pyarrow.parquet

    try:
        frame = pyarrow.parquet.read_table(io.BytesIO(raw)).to_pandas()
    except (pyarrow.ArrowException, OSError, ValueError):
        raise FileError(f"{label} is a damaged Parquet file; fetch or make it again") from None
    return table_from_frame(frame, label)


def table_from_frame(frame: pandas.DataFrame, label: str) -> Table:
    """Return a data frame as a table; columns of text keep their cells as text."""
    names = tuple(str(name).strip() for name in frame.columns)
    columns = tuple(_frame_column(frame.iloc[:, position]) for position in range(len(names)))
    if not names or not len(frame):
        raise DataError(f"{label} has no {'rows' if names else 'columns'}; a table needs both")
    return Table(label, names, columns)


def _frame_column(series: pandas.Series[Any]) -> Column:
    from pandas.api import types

    dtype = series.dtype
    if types.is_bool_dtype(dtype) or (
        types.is_numeric_dtype(dtype) and not types.is_complex_dtype(dtype)
    ):
        return series.to_numpy(dtype=numpy.float64, na_value=numpy.nan)
    missing = series.isna().to_numpy()
    cells = series.astype(object).to_numpy()
    return ["" if gone else str(cell).strip() for cell, gone in zip(cells, missing, strict=True)]


@dataclass(frozen=True)
class _Layout:
    """What the first lines of a text table tell: its delimiter, its names, its kinds of columns."""

    delimiter: str
    names: tuple[str, ...]
    numeric: tuple[bool, ...]
    decimal_comma: bool
    header_line: int


def _read_text(label: str, raw: bytes) -> Table:
    body = raw.removeprefix(b"\xef\xbb\xbf")
    layout = _layout(label, body)
    columns = _read_fast(body, layout)
    if columns is not None:

        def place(row: int) -> str:
            records = _records(label, _decoded(label, body), layout.delimiter)
            line, _ = next(itertools.islice(records, row + 1, None))
            return f"line {line}"

        return Table(label, layout.names, columns, place)
    return _read_slowly(label, _decoded(label, body), layout)


def _decoded(label: str, body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        before = body[: error.start].decode("utf-8")
        line = 1 + len(re.findall("\r\n|\r|\n", before))
        raise FileError(
            f"{label}, line {line}: the byte 0x{body[error.start]:02x} is not UTF-8 text; "
            "save the table as CSV (UTF-8)"
        ) from None


def _records(label: str, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line on which each record begins, and its cells; blank lines hold no record."""
    lines = io.StringIO(text, newline="")
    if delimiter == _WHITESPACE:
        for line, content in enumerate(lines, start=1):
            if cells := content.split():
                yield line, cells
        return
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(
                f"{label}, line {line}: the row cannot be split into cells ({error}); "
                "check its quotation marks"
            ) from None
        if len(cells) > 1 or any(cells):
            yield line, cells


def _layout(label: str, body: bytes) -> _Layout:
    """Recognise the delimiter from the first lines, and read the header."""
    sample = body[:_SAMPLE_BYTES]
    if len(sample) < len(body):
        sample = sample[: max(sample.rfind(b"\n"), sample.rfind(b"\r")) + 1] or body
    text = sample.decode("utf-8", errors="replace")
    delimiter = _sniff(text)
    records = list(itertools.islice(_records(label, text, delimiter), _SAMPLE_RECORDS))
    if not records:
        raise DataError(f"{label} is empty; a table has a header and rows")
    header_line, names = records[0]
    if all(_is_numeric(name) for name in names):
        raise DataError(
            f"{label}, line {header_line}: there is no header, only numbers; "
            "write the columns' names into a first line"
        )
    first = records[1][1] if len(records) > 1 else []
    return _Layout(
        delimiter=delimiter,
        names=tuple(names),
        numeric=tuple(not cell or _is_numeric(cell) for cell in first),
        decimal_comma=any(_COMMA.fullmatch(cell) for _, cells in records for cell in cells),
        header_line=header_line,
    )


def _sniff(text: str) -> str:
    """Return the delimiter under which most records have as many cells as the header.

    A tie goes to the delimiter that makes more columns. Without any other delimiter the columns
    are held apart by white space, if that agrees with the header on at least one record.
    """
    best, best_score = ",", (0.0, 1)
    for delimiter in (*_DELIMITERS, _WHITESPACE):
        counts = []
        try:
            for _, cells in itertools.islice(_records("", text, delimiter), _SAMPLE_RECORDS):
                counts.append(len(cells))
        except DataError:
            # Broken quotation marks in the middle: what came before tells enough.
            pass
        if not counts or counts[0] < 2:
            continue
        agreeing = sum(count == counts[0] for count in counts[1:]) / max(1, len(counts) - 1)
        if delimiter == _WHITESPACE and (best_score[1] > 1 or not agreeing):
            continue
        best, best_score = max((best, best_score), (delimiter, (agreeing, counts[0])), key=_score)
    return best


def _score(candidate: tuple[str, tuple[float, int]]) -> tuple[float, int]:
    return candidate[1]


def _is_numeric(cell: str) -> bool:
    return bool(_POINT.fullmatch(cell) or _COMMA.fullmatch(cell))


def _read_fast(body: bytes, layout: _Layout) -> tuple[Column, ...] | None:
    """Read a table in order, or return None if anything at all is unusual."""
    import pyarrow
    import pyarrow.csv

    if len(set(layout.names)) < len(layout.names) or len(layout.numeric) != len(layout.names):
        return None
    if layout.delimiter == _WHITESPACE:
        body = re.sub(rb"(?m)^[ \t]+|[ \t]+(?=\r?$)", b"", body)
        body = re.sub(rb"[ \t]+", b" ", body)
    types = {
        name: pyarrow.float64() if numeric else pyarrow.string()
        for name, numeric in zip(layout.names, layout.numeric, strict=True)
    }
    try:
        table = pyarrow.csv.read_csv(
            io.BytesIO(body),
            read_options=pyarrow.csv.ReadOptions(
                column_names=list(layout.names), skip_rows=layout.header_line
            ),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=layout.delimiter,
                quote_char=False if layout.delimiter == _WHITESPACE else '"',
                newlines_in_values=b'"' in body,
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=types,
                null_values=[],
                decimal_point="," if layout.decimal_comma else ".",
            ),
        )
    except (pyarrow.ArrowException, ValueError):
        return None
    columns: list[Column] = []
    for name, numeric in zip(layout.names, layout.numeric, strict=True):
        if numeric:
            values = table[name].to_numpy()
            if not numpy.isfinite(values).all():
                return None
            columns.append(values)
        else:
            columns.append([cell.strip() for cell in table[name].to_pylist()])
    return tuple(columns)


def _read_slowly(label: str, text: str, layout: _Layout) -> Table:
    """Read a table record by record, naming the line of the first that is wrong."""
    lines: list[int] = []
    rows: list[list[str]] = []
    for line, cells in itertools.islice(_records(label, text, layout.delimiter), 1, None):
        if len(cells) != len(layout.names):
            hint = "check its delimiters"
            if layout.delimiter == ",":
                hint += ", and its decimal commas if it has any"
            raise DataError(
                f"{label}, line {line}: the row has {counted(len(cells), 'cell')}, but the header "
                f"names {counted(len(layout.names), 'column')}; {hint}"
            )
        lines.append(line)
        rows.append(cells)
    if not rows:
        raise DataError(f"{label} has a header but no rows; a table needs both")
    if layout.delimiter != ",":
        _settle_decimals(label, rows, lines)
    columns = tuple(list(cells) for cells in zip(*rows, strict=True))
    return Table(label, layout.names, columns, lambda row: f"line {lines[row]}")


def _settle_decimals(label: str, rows: list[list[str]], lines: list[int]) -> None:
    """Rewrite decimal commas as points, if the whole table has commas; refuse a mixture."""
    comma: tuple[int, str] | None = None
    point: tuple[int, str] | None = None
    for line, cells in zip(lines, rows, strict=True):
        for cell in cells:
            if not comma and _COMMA.fullmatch(cell):
                comma = (line, cell)
            elif not point and _POINT.fullmatch(cell) and not _INTEGER.fullmatch(cell):
                point = (line, cell)
        if comma and point:
            first, second = sorted([comma, point])
            raise DataError(
                f"{label}, line {second[0]}: {quoted(second[1])} and {quoted(first[1])} on line "
                f"{first[0]} mix decimal commas and decimal points; use one of them throughout"
            )
    if comma:
        for cells in rows:
            cells[:] = [
                cell.replace(",", ".") if _COMMA.fullmatch(cell) else cell for cell in cells
            ]
