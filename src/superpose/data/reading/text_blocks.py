"""Reads a text table in order, block by block, into columns: what is in no order is left to the slow reader."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy

from superpose.data.preparation.cells import marks_beside_numbers
from superpose.data.reading.source import Scan, Source
from superpose.data.tables import Column, FloatArray

WHITESPACE = " "
# At least two blanks, beside which one belongs to the cells: columns of fixed width.
WIDE = "  "
# Letters without width that programs leave at the ends of cells: marks of byte order and of direction, spaces.
_NO_WIDTH = "\ufeff\u200b\u200e\u200f\u2060"
# Bytes of text that are parsed at once, and rows of mean length: a row must not be longer than a block. Arrow reads
# some blocks ahead: 1,000,000 rows of 11 columns (88 MB) took 84 MB beside the columns with blocks of 2 MiB, and 13 MB
# with these, in the same time.
_BLOCK, _BLOCK_ROWS = 1 << 18, 32


@dataclass(frozen=True)
class Layout:
    """What the first lines of a text table tell.

    Attributes:
        delimiter: between cells.
        names: of the columns.
        header_line: where they stand.
        numeric: for each cell of a row whether it is a number; rows may have more cells than there are names.
        decimal_comma: whether numbers have one.
        skip: lines before the first row.
        notes: sentences on what was passed over.
    """

    delimiter: str
    names: tuple[str, ...]
    header_line: int
    numeric: tuple[bool, ...]
    decimal_comma: bool
    skip: int
    notes: tuple[str, ...] = ()


def bare(cell: str) -> str:
    """A cell without white space around it, and without letters that nobody sees."""
    cell = cell.strip()
    return cell if cell.isascii() else cell.strip(_NO_WIDTH).strip()


def read_blocks(source: Source, layout: Layout) -> tuple[tuple[Column, ...], FloatArray] | None:
    """The columns of a table in order, and the array that those of numbers are rows of; None if anything is unusual.

    Missing cells between numbers are NaN, however they are marked.

    Raises:
        FileError: if a compressed file is damaged.
    """
    # In a table without numbers a second header would be a row.
    if len(layout.numeric) < len(layout.names) or not any(layout.numeric) or layout.delimiter == WIDE:
        return None
    scan = source.scan()
    if scan.quotes and layout.delimiter == WHITESPACE:
        return None
    # Memory that is never written to is never taken from the system.
    storage = numpy.empty((sum(layout.numeric), scan.lines))
    missing = numpy.zeros(len(storage), dtype=int)
    texts: list[list[str]] = [[] for numeric in layout.numeric if not numeric]
    known: dict[str, str] = {}
    rows = 0
    import pyarrow

    try:
        for batch in _batches(source, layout, scan):
            end = rows + len(batch)
            places, text = iter(range(len(storage))), iter(texts)
            for column, numeric in zip(batch.columns, layout.numeric, strict=True):
                if numeric:
                    k = next(places)
                    if column.null_count:
                        missing[k] += column.null_count
                        column = column.fill_null(numpy.nan)
                    # Not pyarrow's to_numpy, which imports pandas: a third of a second.
                    storage[k, rows:end] = numpy.from_dlpack(column)
                else:
                    # Equal cells are one object: a column of classes takes as much memory as one of numbers.
                    cells = (bare(cell) for cell in column.to_pylist())
                    next(text).extend(known.setdefault(cell, cell) for cell in cells)
            rows = end
    except (pyarrow.ArrowException, ValueError):
        return None
    storage = storage[:, :rows]
    if not rows or any(_unusual(column, count) for column, count in zip(storage, missing, strict=True)):
        return None
    if (missing.any() and len(layout.names) == 1) or (
        numpy.isnan(storage[:, -1]).all() and not any(column[-1] for column in texts)
    ):
        # Rows without a cell are none in a single column, and at the end of any table.
        return None
    number, text = iter(storage), iter(texts)
    columns = tuple(next(number) if numeric else next(text) for numeric in layout.numeric)
    if any(isinstance(column, numpy.ndarray) or any(column) for column in columns[len(layout.names) :]):
        return None
    return columns[: len(layout.names)], storage


def _unusual(column: FloatArray, missing: int) -> bool:
    """Whether a column holds infinite numbers, or nothing but missing cells, of which so many were counted."""
    return missing == len(column) or len(column) - int(numpy.isfinite(column).sum()) != missing


def _batches(source: Source, layout: Layout, scan: Scan) -> Iterator[Any]:
    import pyarrow
    import pyarrow.csv

    spaces = layout.delimiter == WHITESPACE
    # The names in the table may be there twice.
    types = {str(k): pyarrow.float64() if numeric else pyarrow.string() for k, numeric in enumerate(layout.numeric)}
    block = max(_BLOCK, _BLOCK_ROWS * scan.size // scan.lines)
    with source.text() as stream:
        yield from pyarrow.csv.open_csv(
            pyarrow.PythonFile(_SingleSpaces(stream) if spaces else stream, mode="r"),
            read_options=pyarrow.csv.ReadOptions(
                column_names=list(types), skip_rows=layout.skip, block_size=block, use_threads=False
            ),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=layout.delimiter, quote_char=False if spaces else '"', newlines_in_values=scan.quotes
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=types,
                # Of numbers only: a column of text may have such a level.
                null_values=marks_beside_numbers(),
                decimal_point="," if layout.decimal_comma else ".",
            ),
            # Others keep what they once had.
            memory_pool=pyarrow.system_memory_pool(),
        )


class _SingleSpaces(io.RawIOBase):
    """A text whose cells are held apart by any white space, with single spaces."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._rest, self._lines = stream, b"", b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._lines:
            block = self._stream.read(_BLOCK)
            lines = (self._rest + block).splitlines(keepends=True)
            # The last line may go on, and the line feed behind a carriage return may be in the next block.
            self._rest = lines.pop() if lines and block else b""
            self._lines = b"".join(b" ".join(line.split()) + b"\n" for line in lines)
            if not block and not self._lines:
                return 0
        count = min(len(buffer), len(self._lines))
        buffer[:count], self._lines = self._lines[:count], self._lines[count:]
        return count
