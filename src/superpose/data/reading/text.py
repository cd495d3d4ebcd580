"""Reads a text table with any usual delimiter.

It is read twice over at most. The fast reader (Arrow's) handles what is in order; on any complaint from it the slow
reader goes through the text record by record. The slow reader is the definition of what a table is: it accepts
everything that the fast one accepts, gives the same numbers, and knows the line of every record.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy

from superpose.data.preparation.cells import is_missing
from superpose.data.reading.encodings import as_utf8, decoded, guessed
from superpose.data.reading.outline import Outline, outline_of, refuse_numbers, row_hint
from superpose.data.reading.records import Record, declared, records_of
from superpose.data.reading.source import BYTE_ORDER_MARK, Source
from superpose.data.reading.text_blocks import WHITESPACE, WIDE, Layout, read_blocks
from superpose.data.reading.trimming import footer, passed_over_below, without_nameless
from superpose.data.tables import COMMA_NUMBER, NUMBER, Column, Table
from superpose.errors import DataError, FileError
from superpose.messages import counted

_DELIMITERS = (",", ";", "\t", "|")
# Enough of the text to recognise the delimiter, and little enough to take no time.
_SAMPLE_BYTES = 65536
_SAMPLE_RECORDS = 100
_REMEDY = "save the table as CSV (UTF-8) or Parquet"


def read_text(source: Source, encoding: str | None = None, decimal: str | None = None) -> Table:
    """Read a text.

    Args:
        encoding: of the text, told by its bytes if None.
        decimal: the decimal mark, told by the cells if None.

    Raises:
        FileError: if it is in no known encoding, or no text.
        DataError: if there is no header, or rows have different lengths.
    """
    text = decoded(source, encoding)
    sample = text.source.head(_SAMPLE_BYTES)
    if b"\0" in sample:
        raise FileError(f"{source.label} is a binary file, not a table; {_REMEDY}")
    notes = text.notes
    table = None if not _is_utf8(sample) else _read(text.source, decimal)
    if table is None:
        text = guessed(text.source)
        notes += text.notes
        table = _read(text.source, decimal)
    assert table is not None
    return replace(table, notes=(*notes, *table.notes))


def _is_utf8(sample: bytes) -> bool:
    # The last character may go on behind the sample.
    with contextlib.suppress(UnicodeDecodeError):
        sample.decode()
        return True
    return any(_decodes(sample[:-cut]) for cut in (1, 2, 3)) and len(sample) == _SAMPLE_BYTES


def _decodes(sample: bytes) -> bool:
    try:
        sample.decode()
    except UnicodeDecodeError:
        return False
    return True


def _read(source: Source, decimal: str | None) -> Table | None:
    """The table of a text; None if that is not UTF-8."""
    label = source.label
    layout = layout_of(source, decimal)
    found = read_blocks(source, layout)
    if found is None or _may_end_in_a_remark(found[0]):
        body = source.whole()
        if not _decodes(body):
            return None
        rows = read_slowly(label, as_utf8(label, body), layout)
        lines, columns = rows.lines, rows.columns
        names, columns, notes = without_nameless(label, layout.names, columns)
        return Table(
            label, names, columns, lambda row: f"line {lines[row]}", notes=(*layout.notes, *rows.notes, *notes)
        )

    def again() -> Rows:
        return read_slowly(label, as_utf8(label, source.whole()), layout)

    def missing_text(row: int, name: str) -> str:
        names, columns, _ = without_nameless(label, layout.names, again().columns)
        return str(columns[names.index(name)][row])

    names, columns, notes = without_nameless(label, layout.names, found[0])
    return Table(
        label,
        names,
        columns,
        lambda row: f"line {again().lines[row]}",
        storage=found[1],
        notes=(*layout.notes, *notes),
        missing_text=missing_text,
    )


def _may_end_in_a_remark(columns: Sequence[Column]) -> bool:
    """Whether the last row has text in its first cell and nothing else, which the slow reader looks at."""
    first, *others = columns
    if not others or isinstance(first, numpy.ndarray) or not first[-1]:
        return False
    return all(bool(numpy.isnan(one[-1])) if isinstance(one, numpy.ndarray) else not one[-1] for one in others)


def layout_of(source: Source, decimal: str | None = None) -> Layout:
    """Recognise the delimiter, the header and what surrounds it from the first lines.

    Raises:
        DataError: if there is no header.
    """
    label = source.label
    sample = source.head(_SAMPLE_BYTES)
    cut = len(sample) == _SAMPLE_BYTES
    if cut:
        # No line that goes on behind the sample, unless it is the only one.
        sample = sample[: max(sample.rfind(b"\n"), sample.rfind(b"\r")) + 1] or source.whole()
    text = sample.removeprefix(BYTE_ORDER_MARK).decode("utf-8", errors="replace")
    layout = _layout(label, text, decimal)
    if layout.numeric or not cut:
        return layout
    # A header that is longer than the sample.
    return _layout(label, as_utf8(label, source.whole()), decimal)


def _layout(label: str, text: str, decimal: str | None) -> Layout:
    delimiter, outline, records = _sniff(label, text)
    if outline is None:
        raise DataError(f"{label} is empty; a table has a header and rows")
    refuse_numbers(label, outline)
    rows = [record for record in records[outline.first :] if not record.remark] or records[outline.first :]
    cells = [cell for row in rows for cell in row.cells]
    comma = decimal == "," or (decimal is None and any(map(_shows_decimal_comma, cells)))
    comma = comma and delimiter != ","
    first = list(rows[0].cells) if rows else []
    for k, cell in enumerate(first):
        # Where a cell is missing, those below it show what the column holds.
        if is_missing(cell, beside_values=True):
            below = (row.cells[k] for row in rows[1:] if len(row.cells) > k)
            first[k] = next((one for one in below if not is_missing(one, beside_values=True)), cell)
    names = outline.names

    def is_number(k: int, cell: str) -> bool:
        if not cell:
            return k < len(names) and bool(names[k])
        return bool(NUMBER.fullmatch(cell) or (comma and COMMA_NUMBER.fullmatch(cell)))

    return Layout(
        delimiter=delimiter,
        names=names,
        header_line=outline.header_line,
        numeric=tuple(is_number(k, cell) for k, cell in enumerate(first)),
        decimal_comma=comma,
        skip=rows[0].line - 1 if rows else outline.header_line,
        notes=outline.notes,
    )


def _shows_decimal_comma(cell: str) -> bool:
    """Whether the comma of a cell cannot separate thousands."""
    if not COMMA_NUMBER.fullmatch(cell):
        return False
    head, _, tail = cell.lstrip("+-").partition(",")
    return len(tail) != 3 or not 1 <= len(head) <= 3 or head.startswith("0")


def _sniff(label: str, text: str) -> tuple[str, Outline | None, list[Record]]:
    """The delimiter under which most records have as many cells as the header, with what it makes of the text.

    A tie goes to the delimiter that makes more columns. Without any other delimiter the columns are held apart by
    white space, if that makes a header; so they are where tabs hold only some of them apart.
    """
    said = declared(text.split("\n", 1)[0])
    found: list[tuple[tuple[float, int], str, Outline, list[Record]]] = []
    for delimiter in (said,) if said else (*_DELIMITERS, WHITESPACE, WIDE):
        records, whole = _first_records(text, delimiter)
        outline = outline_of(label, records)
        if outline is None:
            continue
        columns = len(outline.names)
        if delimiter in (WHITESPACE, WIDE) and any(score > (0.0, 1) for score, *_ in found):
            tabs = [score for score, by, *_ in found if by == "\t"]
            others = [score for score, by, *_ in found if by != "\t" and score > (0.0, 1)]
            if others or not tabs or tabs[0][0] == 1.0 or outline.agreeing < 1.0 or not outline.found:
                continue
        score = (outline.agreeing, columns) if outline.found and columns > 1 else (0.0, 1)
        # A header that names every column is more likely than one that leaves out the names of rows.
        score = (score[0] / 2, columns) if outline.row_names else score
        if delimiter == WHITESPACE and not outline.agreeing:
            score = (-1.0, 1)
        # Quotation marks beside which there is no delimiter show that it is another one.
        score = score if whole else (score[0] - 1.0, score[1])
        found.append((score, delimiter, outline, records))
    if not found:
        return ",", None, []
    _, delimiter, outline, records = max(found, key=lambda one: one[0])
    return delimiter, outline, records


def _first_records(text: str, delimiter: str) -> tuple[list[Record], bool]:
    """Up to a hundred records, ending before any that cannot be split into cells, and whether there was none such."""
    records = []
    try:
        for record in itertools.islice(records_of("", text, delimiter), _SAMPLE_RECORDS):
            records.append(record)
    except DataError:
        return records, False
    return records, True


class Rows(NamedTuple):
    """The cells of a table by columns, the line of each row, and sentences on what was passed over."""

    lines: list[int]
    columns: tuple[Column, ...]
    notes: tuple[str, ...]


def read_slowly(label: str, text: str, layout: Layout) -> Rows:
    """Read a table record by record.

    Raises:
        DataError: naming the line of the first record that is wrong.
    """
    lines: list[int] = []
    rows: list[list[str]] = []
    headers: list[int] = []
    remarks: list[int] = []
    width, names = len(layout.names), list(layout.names)
    words_first = bool(layout.numeric) and not layout.numeric[0]
    records = [record for record in records_of(label, text, layout.delimiter) if record.line > layout.skip]
    below = footer([record for record in records if not record.remark], width)
    first_below = [record for record in records if not record.remark][-below].line if below else 0
    for line, cells, remark in records:
        if below and line >= first_below:
            break
        if remark and not (words_first and len(cells) == width):
            remarks += [line] if len(cells) == width else []
            continue
        if len(cells) > width and not any(cells[width:]):
            del cells[width:]
        if len(cells) != width:
            raise DataError(
                f"{label}, line {line}: the row has {counted(len(cells), 'cell')}, but the header names "
                f"{counted(width, 'column')}; {row_hint(names, layout.header_line, layout.delimiter, cells)}"
            )
        if cells == names:
            headers.append(line)
            continue
        lines.append(line)
        rows.append(cells)
    while rows and not any(rows[-1]):
        del rows[-1], lines[-1]
    if not rows:
        raise DataError(f"{label} has a header but no rows; a table needs both")
    notes = _passed_over(label, headers, "a second header") + _passed_over(
        label, remarks, "a row that begins with # or %"
    )
    if below:
        notes += passed_over_below(label, "line", next(one for one in records if one.line == first_below), below)
    return Rows(lines, tuple(list(column) for column in zip(*rows, strict=True)), notes)


def _passed_over(label: str, lines: Sequence[int], what: str) -> tuple[str, ...]:
    if not lines:
        return ()
    others = f", and so was that on line {listed_lines(lines[1:])}" if len(lines) > 1 else ""
    return (f"{label}: {what} on line {lines[0]} was passed over{others}",)


def listed_lines(lines: Sequence[int]) -> str:
    """The first lines of some.

    >>> listed_lines([3, 4]), listed_lines(range(1, 20))
    ('3, 4', '1, 2, 3, 4, 5 and 14 more')
    """
    # A sentence stays one of a line or two; a round number.
    most = 5
    first = ", ".join(map(str, lines[:most]))
    return first if len(lines) <= most else f"{first} and {len(lines) - most} more"
