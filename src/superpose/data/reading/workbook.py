"""Excel workbooks (.xlsx), by openpyxl: a sheet as records, whose cells are the values that stand in the file."""

from __future__ import annotations

import datetime
import importlib.util
import io
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from superpose.data.reading.outline import outline_of, refuse_numbers
from superpose.data.reading.records import Record
from superpose.data.reading.source import Source
from superpose.data.reading.text import Rows
from superpose.data.reading.trimming import footer, passed_over_below, without_nameless
from superpose.data.tables import Table
from superpose.errors import DataError, FileError, OptionError
from superpose.messages import counted, listed, nearest, quoted

_REMEDY = "save the table as xlsx, CSV (UTF-8) or Parquet"
# What the files in a workbook may unpack to: that many bytes in any case, and beyond them that many times their size.
# Round numbers: sheets of numbers shrink to a tenth.
_FREE, _RATIO = 1 << 28, 100
# Rows by which the header is found; a round number.
_SAMPLE = 100
# Rows without a cell after which a sheet is taken to end: programs write a million for a colour. A round number.
_MOST_EMPTY = 1000
_MERGED = re.compile(rb"<mergeCell\s")
# A formula without the value that it had: programs that are no spreadsheets write such.
_NO_VALUE = re.compile(rb"</f>\s*(?:<v\s*/>|<v>\s*</v>|</c>)")


def read_workbook(source: Source, sheet: str | int | None) -> Table:
    """A sheet of a workbook, the first one by default.

    Raises:
        FileError: if it is no workbook of this kind, or openpyxl is missing.
        OptionError: if there is no such sheet.
        DataError: if the sheet holds no table.
    """
    content = _checked(source)
    if importlib.util.find_spec("openpyxl") is None:
        raise FileError(
            f"{source.label} is an Excel workbook, which needs openpyxl; install it with pip install "
            "'superpose[excel]', or save the table as CSV (UTF-8)"
        )
    import openpyxl

    try:
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
        shown = [one.title for one in book.worksheets if one.sheet_state == "visible"]
        name, notes = _chosen(source.label, [one.title for one in book.worksheets], shown, sheet)
        records = list(_records(book[name]))
        book.close()
        label = f"{source.label}, sheet {quoted(name)}"
        gaps = any("" in record.cells for record in records)
        formulas = _formulas(content, name) if gaps and _sheets_hold(_NO_VALUE, content) else {}
        merged = _merged_down(content, name) if gaps and _sheets_hold(_MERGED, content) else []
        if merged:
            notes += (f"{label}: cells merged over several rows were read as their value in each of the rows",)
    except (OptionError, DataError):
        raise
    except Exception:
        # openpyxl raises whatever its parsers raise.
        raise FileError(f"{source.label} is a damaged Excel workbook; {_REMEDY}") from None
    return _table(label, _filled(records, merged), notes, formulas)


def _checked(source: Source) -> bytes:
    """The bytes of a workbook that is none of another kind, and does not grow beyond measure."""
    content = source.whole()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
        raise FileError(f"{source.label} is a damaged archive (zip) or workbook; {_REMEDY}") from None
    names = [entry.filename for entry in entries]
    if "mimetype" in names:
        raise FileError(f"{source.label} is an OpenDocument file, as LibreOffice writes it; {_REMEDY}")
    if not any(name.startswith("xl/workbook") for name in names):
        raise FileError(f"{source.label} is an office document, but no Excel workbook (.xlsx); {_REMEDY}")
    if "xl/workbook.bin" in names:
        raise FileError(f"{source.label} is an Excel workbook in binary form (.xlsb); {_REMEDY}")
    size = sum(entry.file_size for entry in entries)
    if size > max(_FREE, _RATIO * len(content)):
        raise FileError(f"{source.label} unpacks to {size >> 20} MiB, over {_RATIO} times its size; {_REMEDY}")
    return content


def _sheets_hold(mark: re.Pattern[bytes], content: bytes) -> bool:
    """Whether a sheet of the workbook holds a mark."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        sheets = [name for name in archive.namelist() if name.startswith("xl/worksheets/")]
        return any(mark.search(archive.read(name)) for name in sheets)


def _merged_down(content: bytes, sheet: str) -> list[tuple[int, int, int]]:
    """Cells of one column that were merged: the column, the first and the last row, all counted from 1."""
    import openpyxl

    book = openpyxl.load_workbook(io.BytesIO(content), keep_links=False)
    areas = [one.bounds for one in book[sheet].merged_cells.ranges]
    book.close()
    return [(left, top, bottom) for left, top, right, bottom in areas if left == right and top < bottom]


def _filled(records: list[Record], merged: Sequence[tuple[int, int, int]]) -> list[Record]:
    """The rows with the value of merged cells in each of them, as a person reads them."""
    rows = {record.line: record.cells for record in records}
    for column, top, bottom in merged:
        value = rows.get(top, [])[column - 1 : column]
        for cells in (rows[row] for row in range(top + 1, bottom + 1) if value and row in rows):
            cells += [""] * (column - len(cells))
            cells[column - 1] = value[0]
    return records


def _formulas(content: bytes, sheet: str) -> dict[tuple[int, int], str]:
    """The formulas of a sheet, by row and column, both counted from 1."""
    import openpyxl

    book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, keep_links=False)
    book[sheet].reset_dimensions()
    found = {
        (cell.row, cell.column): str(cell.value)
        for row in book[sheet].iter_rows()
        for cell in row
        if getattr(cell, "data_type", "") == "f"
    }
    book.close()
    return found


def _chosen(
    label: str, names: Sequence[str], shown: Sequence[str], sheet: str | int | None
) -> tuple[str, tuple[str, ...]]:
    """The name of the sheet to read, by default the first that is not hidden, and a sentence on the choice."""
    if not names:
        raise DataError(f"{label} has no sheet of cells; {_REMEDY}")
    if sheet is None:
        first = next(iter(shown), names[0])
        which = "the first was read" if first == names[0] else f"{quoted(first)} was read, the first that is not hidden"
        others = f"{label} has the sheets {listed(names)}; {which} (--sheet reads another)"
        return first, (others,) if len(names) > 1 else ()
    if sheet in names:
        return str(sheet), ()
    if str(sheet).strip().isdecimal() and 1 <= int(sheet) <= len(names):
        return names[int(sheet) - 1], ()
    hint = nearest(str(sheet), names) or f"; it has {listed(names)}"
    raise OptionError(f"{label} has no sheet {quoted(sheet)}{hint}")


def _records(sheet: Any) -> Iterator[Record]:
    """The rows of a sheet that are not empty."""
    # What a file says of its own size may be wrong.
    sheet.reset_dimensions()
    empty = 0
    for row, values in enumerate(sheet.iter_rows(values_only=True), start=1):
        cells = [_text(value) for value in values]
        if any(cells):
            empty = 0
            yield Record(row, cells)
        elif (empty := empty + 1) > _MOST_EMPTY:
            return


def _text(value: Any) -> str:
    """A cell's value as a text table has it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    if isinstance(value, datetime.datetime):
        return value.date().isoformat() if value.time() == datetime.time() else value.isoformat(" ")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return str(value).strip()


def _table(label: str, records: list[Record], notes: tuple[str, ...], formulas: Mapping[tuple[int, int], str]) -> Table:
    # Sheets end where their last cell is, rows where theirs is.
    width = max((record.used for record in records), default=0)
    left = min((next(k for k, cell in enumerate(record.cells) if cell) for record in records), default=0)
    records = [
        record._replace(cells=[*record.cells[left:width], *[""] * (width - len(record.cells))]) for record in records
    ]
    outline = outline_of(label, records[:_SAMPLE])
    if outline is None:
        raise DataError(f"{label} is empty; a table has a header and rows")
    refuse_numbers(label, outline)
    records = records[outline.first :]
    if below := footer(records, len(outline.names)):
        notes += passed_over_below(label, "row", records[-below], below)
        records = records[:-below]
    rows = _rows(label, records, list(outline.names))
    names, columns, more = without_nameless(label, outline.names, rows.columns)
    lines = rows.lines
    places, faults = {line: place for place, line in enumerate(lines)}, {}
    for (line, column), formula in reversed(list(formulas.items())):
        position = column - 1 - left
        if line in places and 0 <= position < len(rows.columns) and not rows.columns[position][places[line]]:
            name = " ".join(outline.names[position].split())
            faults[name] = (
                f"{label}, row {line}: column {quoted(name)} holds {quoted(formula)}, a formula that was never "
                "computed; open the workbook in a spreadsheet program and save it"
            )
    return Table(
        label,
        names,
        columns,
        lambda row: f"row {lines[row]}",
        notes=(*notes, *outline.notes, *rows.notes, *more),
        faults={name: fault for name, fault in faults.items() if name in names},
    )


def _rows(label: str, records: Sequence[Record], names: list[str]) -> Rows:
    width, lines, rows, headers = len(names), [], [], []
    for line, cells, _ in records:
        if any(cells[width:]):
            raise DataError(
                f"{label}, row {line}: the row has {counted(len(cells), 'cell')}, but the header names "
                f"{counted(width, 'column')}; remove what stands beside the table"
            )
        if cells[:width] == names:
            headers.append(line)
            continue
        lines.append(line)
        rows.append(cells[:width])
    if not rows:
        raise DataError(f"{label} has a header but no rows; a table needs both (--sheet reads another sheet)")
    said = (f"{label}: the header in row {headers[0]} again was passed over",) if headers else ()
    return Rows(lines, tuple(list(column) for column in zip(*rows, strict=True)), said)
