"""Records in JSON: an array of objects or arrays, an object on each line, an object of arrays or objects."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from superpose.data.reading.encodings import as_utf8
from superpose.data.reading.source import Source
from superpose.data.tables import Table
from superpose.errors import DataError, FileError
from superpose.messages import counted, quoted

_WHAT = "an array of objects, an object on each line, or an object of arrays"

# Objects in objects that become columns; a round number.
_LEVELS = 8


def looks_like_json(first: bytes) -> bool:
    """Whether a text that begins so is JSON rather than a table with cells.

    >>> [looks_like_json(text) for text in (b'[{"x": 1}]', b'{"x": 1}', b"[m] x,y", b"{x},y")]
    [True, True, False, False]

    A dictionary as Python prints it is told from a table too, to be refused as broken JSON.
    """
    text = first.removeprefix(b"\xef\xbb\xbf").lstrip()
    inner = text[1:].lstrip()
    return (text[:1] == b"[" and inner[:1] in (b"{", b"[", b"]")) or (
        text[:1] == b"{" and inner[:1] in (b'"', b"'", b"}")
    )


def read_json(source: Source) -> Table:
    """Records in JSON as a table; numbers keep their digits.

    Raises:
        FileError: if the text is no JSON.
        DataError: if it is no table.
    """
    text = as_utf8(source.label, source.whole())
    try:
        found = _loads(text)
    except _Repeated as error:
        raise _repeated(source.label, error) from None
    except (ValueError, RecursionError) as whole_error:
        return _of_lines(source.label, text, whole_error)
    return _table(source.label, found)


def _table(label: str, found: Any) -> Table:
    """The table in a text of JSON that is one value."""
    if isinstance(found, dict):
        if (inside := _records_inside(found)) is not None:
            table = _table(label, found[inside])
            return replace(table, notes=(f"{label}: the rows are those of {quoted(inside)}", *table.notes))
        if set(found) in ({"columns", "data"}, {"columns", "index", "data"}):
            # As pandas splits a frame.
            found = [found["columns"], *found["data"]]
        elif found and all(isinstance(value, dict) for value in found.values()):
            found = _of_objects(found)
        elif any(isinstance(value, list) for value in found.values()):
            return _of_columns(label, found)
        else:
            found = [found]
    if isinstance(found, list) and len(found) > 1 and all(isinstance(row, list) for row in found):
        return _of_arrays(label, found)
    if not isinstance(found, list) or not all(isinstance(record, dict) for record in found):
        raise DataError(f"{label} is JSON, but no table; a table is {_WHAT}")
    return _of_records(label, found, [f"record {k}" for k in range(1, len(found) + 1)])


def _records_inside(found: dict[str, Any]) -> str | None:
    """The only name of an answer's parts that holds records; None if there is none, or one array of cells beside it."""
    lists = [name for name, value in found.items() if isinstance(value, list)]
    one = len(lists) == 1 and len(found[lists[0]]) and all(isinstance(row, dict) for row in found[lists[0]])
    return lists[0] if one else None


def _of_objects(found: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """An object of objects, as pandas writes frames: columns by row, or rows by column if only their names count."""
    rows = dict.fromkeys(row for column in found.values() for row in column)
    if all(name.isdecimal() for name in found) and not all(row.isdecimal() for row in rows):
        return list(found.values())
    return [{name: column.get(row) for name, column in found.items()} for row in rows]


def _of_arrays(label: str, found: Sequence[list[Any]]) -> Table:
    """Rows without names, of which the first holds those of the columns."""
    names, *rows = found
    if not all(isinstance(name, str) and not isinstance(name, _Number) and name.strip() for name in names):
        raise DataError(f"{label}, record 1: the arrays have no names; write the columns' names into the first one")
    for number, row in enumerate(rows, start=2):
        if not isinstance(row, list) or len(row) != len(names):
            what = counted(len(row), "cell") if isinstance(row, list) else "no cells"
            raise DataError(
                f"{label}, record {number}: the row has {what}, but the first names "
                f"{counted(len(names), 'column')}; correct the row"
            )
    columns = {name: [row[k] for row in rows] for k, name in enumerate(names)}
    if len(columns) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{label}, record 1: two columns are named {quoted(twice)}; rename one of them")
    return _of_columns(label, columns, first=2)


class _Repeated(Exception):
    """A name that an object has twice."""


def _loads(text: str) -> Any:
    # Numbers stay text: a table decides what they are.
    return json.loads(text, parse_int=_Number, parse_float=_Number, parse_constant=_Number, object_pairs_hook=_object)


class _Number(str):
    """The digits of a number."""

    __slots__ = ()


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise _Repeated(next(name for name in names if names.count(name) > 1))
    return made


def _repeated(label: str, error: _Repeated) -> DataError:
    return DataError(f"{label}: an object has the name {quoted(error.args[0])} twice; name it once")


def _of_lines(label: str, text: str, whole_error: Exception) -> Table:
    """An object on each line."""
    records: list[dict[str, Any]] = []
    places: list[str] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = _loads(line)
        except _Repeated as error:
            raise _repeated(f"{label}, line {number}", error) from None
        except (ValueError, RecursionError) as error:
            # What is no object on its first line was meant as one text.
            place = number if records else getattr(whole_error, "lineno", 1)
            reason = getattr(error if records else whole_error, "msg", "too deeply nested")
            raise FileError(
                f"{label}, line {place}: the JSON is broken ({reason.lower()}); make the file again, as {_WHAT}"
            ) from None
        if not isinstance(record, dict):
            raise DataError(f"{label}, line {number}: the line is no JSON object; a table is {_WHAT}")
        records.append(record)
        places.append(f"line {number}")
    return _of_records(label, records, places)


def _of_records(label: str, records: Sequence[dict[str, Any]], places: Sequence[str]) -> Table:
    mixed = {name for record in records for name, value in record.items() if not isinstance(value, dict | None)}
    if not any(isinstance(record.get(name), dict) for record in records for name in mixed):
        # Where an object stands beside numbers it is a mistake, of which the cell is named below.
        records = [_flat(f"{label}, {place}", record) for record, place in zip(records, places, strict=True)]
    names = list(dict.fromkeys(name for record in records for name in record))
    if not names:
        raise DataError(f"{label} has no {'columns' if records else 'rows'}; a table needs both")
    columns = tuple(
        [_cell(f"{label}, {place}", name, record.get(name)) for record, place in zip(records, places, strict=True)]
        for name in names
    )
    return Table(label, _stripped(names), columns, lambda row: places[row])


def _flat(where: str, record: dict[str, Any], levels: int = _LEVELS) -> dict[str, Any]:
    """A record with objects in it as one with names such as ``place.lat``.

    Raises:
        DataError: if that gives one name twice.
    """
    if not levels or not any(isinstance(value, dict) for value in record.values()):
        return record
    flat: dict[str, Any] = {}
    for name, value in record.items():
        whole = not isinstance(value, dict)
        parts = {name: value} if whole else {
            f"{name}.{part}": inner for part, inner in _flat(where, value, levels - 1).items()
        }  # fmt: skip
        for part, inner in parts.items():
            if part in flat:
                raise DataError(f"{where}: two parts are named {quoted(part)}; rename one of them")
            flat[part] = inner
    return flat


def _of_columns(label: str, found: dict[str, Any], first: int = 1) -> Table:
    """An object of arrays, whose rows are numbered from ``first`` on."""
    lengths = {name: len(value) if isinstance(value, list) else -1 for name, value in found.items()}
    (one, length), *others = lengths.items()
    for name, other in others:
        if other != length or other < 0:
            raise DataError(
                f"{label}: {quoted(one)} and {quoted(name)} are not arrays of one length; a table is {_WHAT}"
            )
    if not length:
        raise DataError(f"{label} has no rows; a table needs a header and rows")
    columns = tuple(
        [_cell(f"{label}, record {row}", name, value) for row, value in enumerate(values, start=first)]
        for name, values in found.items()
    )
    return Table(label, _stripped(list(found)), columns, lambda row: f"record {row + first}")


def _stripped(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name.strip() for name in names)


def _cell(where: str, name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        raise DataError(f"{where}: {quoted(name)} holds {'a list' if isinstance(value, list) else 'an object'}; a cell "
                        "is a number or a text, so give each part a column of its own")  # fmt: skip
    return str(value).strip()
