"""Reads a file into a table: text with any usual delimiter, the same in gzip, or Parquet.

A text table is read twice over at most. The fast reader (Arrow's) handles what is in order; on any
complaint from it the slow reader goes through the text record by record. The slow reader is the
definition of what a table is: it accepts everything that the fast one accepts, gives the same
numbers, and knows the line of every record.
"""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import os
import re
from collections.abc import Callable, Iterator

from superpose.data.parquet import read_parquet
from superpose.data.source import BYTE_ORDER_MARK, Source
from superpose.data.tables import COMMA_NUMBER, NUMBER, REMARK, Table, is_numeric
from superpose.data.text_blocks import WHITESPACE, Layout, read_blocks
from superpose.errors import DataError, FileError
from superpose.messages import counted, quoted

_DELIMITERS = (",", ";", "\t", "|")
# Enough of the text to recognise the delimiter, and little enough to take no time.
_SAMPLE_BYTES = 65536
_SAMPLE_RECORDS = 100


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
    source = Source.of_path(path)
    first = source.head(_SAMPLE_BYTES)
    if not first or (first.isspace() and source.blank()):
        raise DataError(f"{source.label} is empty; a table has a header and rows")
    for first_bytes, reader in FORMATS.items():
        if first.startswith(first_bytes):
            return reader(source)
    _refuse_binary(source.label, first)
    return _read_text(source)


def _refuse_binary(label: str, first: bytes) -> None:
    remedy = "save the table as CSV (UTF-8) or Parquet"
    if first.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise FileError(f"{label} is encoded in UTF-16, not in UTF-8; {remedy}")
    if first.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise FileError(f"{label} is an Excel workbook or another archive, not a table; {remedy}")
    if b"\0" in first:
        raise FileError(f"{label} is a binary file, not a table; {remedy}")


# Readers of binary tables by the first bytes of a file: another format is one entry here. Files that begin with none of
# these are text.
FORMATS: dict[bytes, Callable[[Source], Table]] = {b"PAR1": read_parquet}


def _read_text(source: Source) -> Table:
    layout = _layout(source)
    found = read_blocks(source, layout)
    label = source.label
    if found is None:
        return _read_slowly(label, _decoded(label, source.whole()), layout)

    def place(row: int) -> str:
        records = _records(label, _decoded(label, source.whole()), layout.delimiter)
        line, _ = next(itertools.islice(records, row + 1, None))
        return f"line {line}"

    columns, storage = found
    return Table(label, layout.names, columns, place, storage=storage)


def _decoded(label: str, body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        before = body[: error.start].decode("utf-8")
        line = 1 + len(re.findall("\r\n|\r|\n", before))
        raise FileError(
            f"{label}, line {line}: the byte 0x{body[error.start]:02x} is not UTF-8 text; save the table as CSV (UTF-8)"
        ) from None


def _records(label: str, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line on which each record begins, and its cells; blank lines hold no record."""
    lines = io.StringIO(text, newline="")
    if delimiter == WHITESPACE:
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
                f"{label}, line {line}: the row cannot be split into cells ({error}); check its quotation marks"
            ) from None
        if len(cells) > 1 or any(cells):
            yield line, cells


def _layout(source: Source) -> Layout:
    """Recognise the delimiter from the first lines, and read the header."""
    label = source.label
    sample = source.head(_SAMPLE_BYTES)
    if len(sample) == _SAMPLE_BYTES:
        # No line that goes on behind the sample, unless it is the only one.
        sample = sample[: max(sample.rfind(b"\n"), sample.rfind(b"\r")) + 1] or source.whole()
    sample = sample.removeprefix(BYTE_ORDER_MARK)
    text = sample.decode("utf-8", errors="replace")
    if "\ufffd" in text:
        _decoded(label, source.whole())
    delimiter = _sniff(text)
    header_line, names = next(_records(label, text, delimiter), (0, []))
    if not names:
        raise DataError(f"{label} is empty; a table has a header and rows")
    records = _first_records(text, delimiter)
    if all(is_numeric(name) for name in names):
        raise DataError(
            f"{label}, line {header_line}: there is no header, only numbers; write the columns' names into a first line"
        )
    first = records[1][1] if len(records) > 1 else []
    return Layout(
        delimiter=delimiter,
        names=tuple(names),
        numeric=tuple(not cell or is_numeric(cell) for cell in first),
        decimal_comma=delimiter != ","
        and any(COMMA_NUMBER.fullmatch(cell) for _, cells in records[1:] for cell in cells),
        header_line=header_line,
    )


def _sniff(text: str) -> str:
    """Return the delimiter under which most records have as many cells as the header.

    A tie goes to the delimiter that makes more columns. Without any other delimiter the columns
    are held apart by white space, if that agrees with the header on at least one record.
    """
    best, best_score = ",", (0.0, 1)
    for delimiter in (*_DELIMITERS, WHITESPACE):
        counts = [len(cells) for _, cells in _first_records(text, delimiter)]
        if not counts or counts[0] < 2:
            continue
        agreeing = sum(count == counts[0] for count in counts[1:]) / max(1, len(counts) - 1)
        if delimiter == WHITESPACE and (best_score[1] > 1 or not agreeing):
            continue
        if (agreeing, counts[0]) > best_score:
            best, best_score = delimiter, (agreeing, counts[0])
    return best


def _first_records(text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """Return up to a hundred records, ending before any that cannot be split into cells."""
    records = []
    with contextlib.suppress(DataError):
        for record in itertools.islice(_records("", text, delimiter), _SAMPLE_RECORDS):
            records.append(record)
    return records


def _read_slowly(label: str, text: str, layout: Layout) -> Table:
    """Read a table record by record, naming the line of the first that is wrong."""
    lines: list[int] = []
    rows: list[list[str]] = []
    for line, cells in itertools.islice(_records(label, text, layout.delimiter), 1, None):
        if len(cells) != len(layout.names):
            raise DataError(
                f"{label}, line {line}: the row has {counted(len(cells), 'cell')}, but the header "
                f"names {counted(len(layout.names), 'column')}; {_row_hint(layout, cells)}"
            )
        lines.append(line)
        rows.append(cells)
    if not rows:
        raise DataError(f"{label} has a header but no rows; a table needs both")
    if layout.delimiter != ",":
        _settle_decimals(label, rows, lines)
    columns = tuple(list(cells) for cells in zip(*rows, strict=True))
    return Table(label, layout.names, columns, lambda row: f"line {lines[row]}")


def _row_hint(layout: Layout, cells: list[str]) -> str:
    """What may be wrong where a row is not as long as the header."""
    header = f"line {layout.header_line} was taken for the header, {quoted(layout.delimiter.join(layout.names))}"
    if cells[0].startswith("#") or layout.names[0].startswith("#"):
        return REMARK
    if layout.names[0].lower().startswith("sep="):
        return f"{header}, and is a note of a spreadsheet on the delimiter; remove that line"
    if len(layout.names) == 1:
        return f"{header}; if that is a title, remove the lines above the columns' names, else check the delimiters"
    hint = "check its delimiters"
    return f"{hint}, and its decimal commas if it has any" if layout.delimiter == "," else hint


def _settle_decimals(label: str, rows: list[list[str]], lines: list[int]) -> None:
    """Rewrite decimal commas as points, if the whole table has commas; refuse a mixture."""
    comma: tuple[int, str] | None = None
    point: tuple[int, str] | None = None
    for line, cells in zip(lines, rows, strict=True):
        for cell in cells:
            if not comma and COMMA_NUMBER.fullmatch(cell):
                comma = (line, cell)
            elif not point and NUMBER.fullmatch(cell) and "." in cell:
                point = (line, cell)
        if comma and point:
            first, second = sorted([comma, point])
            raise DataError(
                f"{label}, line {second[0]}: {quoted(second[1])} and {quoted(first[1])} on line "
                f"{first[0]} mix decimal commas and decimal points; use one of them throughout"
            )
    if comma:
        for cells in rows:
            cells[:] = [cell.replace(",", ".") if COMMA_NUMBER.fullmatch(cell) else cell for cell in cells]
