"""Reads Parquet and Arrow (Feather) tables some columns at a time; columns of single precision stay what they are."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy

from superpose.data.reading.source import Source
from superpose.data.tables import Column, FloatArray, Table, declared_by, frame_column
from superpose.errors import DataError, FileError, SuperposeError
from superpose.messages import quoted

if TYPE_CHECKING:
    import pyarrow

# Columns that are decoded at once, and bytes of a file that are. Round numbers: more take more memory, and fewer time.
_COLUMNS = 16
# Integers up to here are exact in single precision.
_EXACT_SINGLE = 1 << 24


def read_parquet(source: Source) -> Table:
    """Read a Parquet table.

    If some columns are float32, whole numbers that float32 holds exactly become float32 too, so that features can
    stand in one array.

    Raises:
        FileError: if it is damaged.
        DataError: if it has no rows or columns.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        with source.stream() as stream:
            whole: Any = io.BytesIO(stream.read()) if source.packing else stream
            file = pyarrow.parquet.ParquetFile(whole)

            def part(names: list[str]) -> Any:
                return file.read(columns=names, use_threads=False)

            return _read(source.label, file.schema_arrow, file.metadata.num_rows, part)
    except SuperposeError:
        raise
    except (pyarrow.ArrowException, OSError, ValueError):
        raise FileError(f"{source.label} is a damaged Parquet file; fetch or make it again") from None


def read_arrow(source: Source) -> Table:
    """Read a table that Arrow wrote: Feather of both versions, the file format and the stream.

    Raises:
        FileError: if it is damaged.
        DataError: if it has no rows or columns.
    """
    import pyarrow
    import pyarrow.feather
    import pyarrow.ipc

    content = source.whole()
    try:
        buffer = pyarrow.BufferReader(content)
        if content.startswith(b"FEA1"):
            table = pyarrow.feather.read_table(buffer, use_threads=False)
        elif content.startswith(b"ARROW1"):
            table = pyarrow.ipc.open_file(buffer).read_all()
        else:
            table = pyarrow.ipc.open_stream(buffer).read_all()
        table.validate(full=True)
        return _read(source.label, table.schema, table.num_rows, table.select)
    except SuperposeError:
        raise
    except (pyarrow.ArrowException, OSError, ValueError, KeyError, TypeError, MemoryError):
        raise FileError(f"{source.label} is a damaged Arrow file; fetch or make it again") from None


def _read(label: str, schema: Any, rows: int, read_part: Callable[[list[str]], Any]) -> Table:
    import pyarrow

    index = (schema.pandas_metadata or {}).get("index_columns", [])
    names = [name for name in schema.names if name not in index]
    if not names or not rows:
        raise DataError(f"{label} has no {'rows' if names else 'columns'}; a table needs both")
    if len(set(names)) < len(names):
        # The table says which.
        return Table(label, tuple(names), tuple([] for _ in names))
    single = any(pyarrow.types.is_float32(schema.field(name).type) for name in names)
    numbers = [name for name in names if _is_number(schema.field(name).type)]
    faults = {name.strip(): what for name in names if (what := _no_cells(label, name, schema.field(name).type))}
    # All in one array, of which memory is taken as it is filled.
    storage = numpy.empty((len(numbers), rows), numpy.float32 if single else numpy.float64)
    columns: dict[str, Column] = {}
    declared: dict[str, Any] = {name: "boolean" for name in names if pyarrow.types.is_boolean(schema.field(name).type)}
    free = iter(storage)
    for first in range(0, len(names), _COLUMNS):
        part = names[first : first + _COLUMNS]
        table = read_part(part)
        for name in part:
            column = table[name]
            if name in numbers and column.null_count == 0:
                columns[name] = _filled(column, next(free), single=single)
            else:
                series = table.select([name]).to_pandas()[name]
                columns[name] = frame_column(series)
                declared[name] = declared.get(name) or declared_by(series.dtype)
    # Arrow would keep the memory of what it decoded.
    pyarrow.default_memory_pool().release_unused()
    return Table(
        label,
        tuple(name.strip() for name in names),
        tuple(columns[name] for name in names),
        storage=storage,
        faults=faults,
        declared={name.strip(): said for name, said in declared.items() if said},
    )


def _is_number(kind: pyarrow.DataType) -> bool:
    import pyarrow

    types = pyarrow.types
    return bool(types.is_floating(kind) or types.is_integer(kind) or types.is_boolean(kind))


def _no_cells(label: str, name: str, kind: pyarrow.DataType) -> str:
    """What is wrong with a column whose cells are neither numbers nor text; nothing for others."""
    import pyarrow

    if not pyarrow.types.is_nested(kind) and not pyarrow.types.is_binary(kind):
        return ""
    what = "bytes" if pyarrow.types.is_binary(kind) else "lists or records"
    return (
        f"{label}: column {quoted(name)} holds {what} ({kind}); give each part a column of its own, or leave "
        "the column out (exclude, --exclude)"
    )


def _filled(column: Any, room: Any, *, single: bool) -> FloatArray:
    """A column's numbers, in the room that there is for it if that holds them exactly."""
    import pyarrow
    import pyarrow.compute

    kind = column.type
    place = 0
    fits = not single or not (pyarrow.types.is_float64(kind) or pyarrow.types.is_integer(kind))
    if not fits and pyarrow.types.is_integer(kind):
        low, high = (float(bound.as_py()) for bound in pyarrow.compute.min_max(column).values())
        fits = max(abs(low), abs(high)) <= _EXACT_SINGLE
    values = room if fits else numpy.empty(len(column))
    for chunk in column.chunks:
        if pyarrow.types.is_boolean(kind):
            chunk = chunk.cast(pyarrow.uint8())
        values[place : place + len(chunk)] = numpy.from_dlpack(chunk)
        place += len(chunk)
    return values
