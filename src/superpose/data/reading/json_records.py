"""Records in JSON: an array of objects, an object on each line, or an object of arrays."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from superpose.data.reading.encodings import as_utf8
from superpose.data.reading.source import Source
from superpose.data.tables import Table
from superpose.errors import DataError, FileError
from superpose.messages import quoted

_WHAT = "an array of objects, an object on each line, or an object of arrays"


def looks_like_json(first: bytes) -> bool:
    """Whether a text that begins so is JSON rather than a table with cells.

    >>> [looks_like_json(text) for text in (b'[{"x": 1}]', b'{"x": 1}', b"[m] x,y", b"{x},y")]
    [True, True, False, False]
    """
    text = first.removeprefix(b"\xef\xbb\xbf").lstrip()
    inner = text[1:].lstrip()
    return (text[:1] == b"[" and inner[:1] in (b"{", b"[", b"]")) or (text[:1] == b"{" and inner[:1] in (b'"', b"}"))


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
    if isinstance(found, dict):
        if any(isinstance(value, list) for value in found.values()):
            return _of_columns(source.label, found)
        found = [found]
    if not isinstance(found, list) or not all(isinstance(record, dict) for record in found):
        raise DataError(f"{source.label} is JSON, but no table; a table is {_WHAT}")
    return _of_records(source.label, found, [f"record {k}" for k in range(1, len(found) + 1)])


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
    names = list(dict.fromkeys(name for record in records for name in record))
    if not names:
        raise DataError(f"{label} has no {'columns' if records else 'rows'}; a table needs both")
    columns = tuple(
        [_cell(f"{label}, {place}", name, record.get(name)) for record, place in zip(records, places, strict=True)]
        for name in names
    )
    return Table(label, _stripped(names), columns, lambda row: places[row])


def _of_columns(label: str, found: dict[str, Any]) -> Table:
    lengths = {name: len(value) if isinstance(value, list) else -1 for name, value in found.items()}
    (first, length), *others = lengths.items()
    for name, other in others:
        if other != length or other < 0:
            raise DataError(
                f"{label}: {quoted(first)} and {quoted(name)} are not arrays of one length; a table is {_WHAT}"
            )
    if not length:
        raise DataError(f"{label} has no rows; a table needs a header and rows")
    columns = tuple(
        [_cell(f"{label}, record {row}", name, value) for row, value in enumerate(values, start=1)]
        for name, values in found.items()
    )
    return Table(label, _stripped(list(found)), columns, lambda row: f"record {row + 1}")


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
