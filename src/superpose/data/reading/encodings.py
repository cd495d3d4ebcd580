"""The encoding of a text: UTF-8 where that is possible, UTF-16 and UTF-32 by their marks, Windows-1252 as a guess."""

from __future__ import annotations

import codecs
import re
from typing import NamedTuple

from superpose.data.reading.source import BYTE_ORDER_MARK, Source
from superpose.errors import FileError, OptionError
from superpose.messages import quoted

# Longer marks first: that of UTF-32 begins like that of UTF-16.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# Before Unicode most tables of Western Europe and America were written so; it agrees with Latin-1 on all letters.
_GUESS = "cp1252"
# Encodings of other texts than files have.
_NO_FILES = ("idna", "punycode", "raw_unicode_escape", "unicode_escape", "undefined", "mbcs", "oem")
# A text is UTF-16 without a mark if this share of every second byte of a sample is 0. Round numbers.
_SAMPLE, _ZEROS = 4096, 0.7


class Text(NamedTuple):
    """A text in UTF-8, and sentences on how it was decoded."""

    source: Source
    notes: tuple[str, ...] = ()


def known_encoding(name: str) -> str:
    """The name of an encoding of text as Python has it.

    Raises:
        OptionError: if there is none of that name.

    >>> known_encoding("Latin-1")
    'iso8859-1'
    """
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError):
        found = None
    if found is None or not getattr(found, "_is_text_encoding", True) or found.name.replace("-", "_") in _NO_FILES:
        raise OptionError(f"encoding is {quoted(name)} and must be one of text, such as utf-8, cp1252 or utf-16")
    return found.name


def decoded(source: Source, encoding: str | None = None) -> Text:
    """A text in an encoding that its first bytes tell, or in the one that was given.

    Raises:
        FileError: if it is not in that encoding.
    """
    if encoding is not None and known_encoding(encoding) != "utf-8":
        return Text(_recoded(source, known_encoding(encoding)))
    first = source.head(_SAMPLE)
    for mark, name in _MARKS.items():
        if first.startswith(mark):
            return Text(_recoded(source, name))
    if (unmarked := _unmarked(first)) is not None:
        return Text(_recoded(source, unmarked), (f"{source.label} was read as UTF-16, which it does not say itself",))
    return Text(source)


def guessed(source: Source) -> Text:
    """A text that is not UTF-8, in the encoding that it most likely has, and a sentence that says so.

    Raises:
        FileError: if it has bytes that this encoding does not have.
    """
    body = source.whole()
    error = _first_error(body, "utf-8")
    if error is None:
        return Text(source)
    byte, line = body[error], _line(body, error)
    if (mixed := _line_by_line(body)) is not None:
        note = (
            f"{source.label} is UTF-8 on some lines and was read as Windows-1252 on the others, on which the byte "
            f"0x{byte:02x} on line {line} is {bytes([byte]).decode(_GUESS)!r}; if that is wrong, give its encoding"
        )
        return Text(Source.of_plain(mixed, source.label), (note,))
    wrong = _first_error(body, _GUESS)
    if wrong is not None:
        raise FileError(
            f"{source.label}, line {_line(body, wrong)}: the byte 0x{body[wrong]:02x} is neither UTF-8 nor "
            "Windows-1252 text; save the table as CSV (UTF-8), or give its encoding"
        )
    note = (
        f"{source.label} is not UTF-8 and was read as Windows-1252, in which the byte 0x{byte:02x} on line {line} is "
        f"{bytes([byte]).decode(_GUESS)!r}; if that is wrong, give its encoding"
    )
    return Text(Source.of_plain(body.decode(_GUESS).encode(), source.label), (note,))


def _line_by_line(body: bytes) -> bytes | None:
    """A text whose lines are in two encodings, as files that were put together are; None if it is in one."""
    lines, found, letters = body.split(b"\n"), [], False
    for line in lines:
        if line.isascii():
            found.append(line)
        elif _first_error(line, "utf-8") is None:
            letters = True
            found.append(line)
        elif _first_error(line, _GUESS) is None:
            found.append(line.decode(_GUESS).encode())
        else:
            return None
    return b"\n".join(found) if letters else None


def as_utf8(label: str, body: bytes) -> str:
    """Bytes as text.

    Raises:
        FileError: naming the line of the first byte that is no UTF-8.
    """
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FileError(
            f"{label}, line {_line(body, error.start)}: the byte 0x{body[error.start]:02x} is not UTF-8 text; save the "
            "table as CSV (UTF-8)"
        ) from None


def _recoded(source: Source, encoding: str) -> Source:
    body = source.whole()
    try:
        text = body.decode(encoding)
    except (UnicodeError, ValueError) as error:
        place = f" at byte {error.start}" if isinstance(error, UnicodeDecodeError) else ""
        raise FileError(
            f"{source.label} is no text in the encoding {encoding}{place}; give another one, or save the table as CSV "
            "(UTF-8)"
        ) from None
    # Halves of pairs, which some encodings let through, are no letters.
    content = text.encode("utf-8", errors="replace").removeprefix(BYTE_ORDER_MARK)
    return Source.of_plain(content, source.label)


def _unmarked(first: bytes) -> str | None:
    pairs = len(first) // 2
    if pairs < 2:
        return None
    even, odd = first[0 : 2 * pairs : 2].count(0), first[1 : 2 * pairs : 2].count(0)
    if odd > _ZEROS * pairs and not even:
        return "utf-16-le"
    if even > _ZEROS * pairs and not odd:
        return "utf-16-be"
    return None


def _first_error(body: bytes, encoding: str) -> int | None:
    try:
        body.decode(encoding)
    except UnicodeDecodeError as error:
        return error.start
    return None


def _line(body: bytes, place: int) -> int:
    return 1 + len(re.findall(b"\r\n|\r|\n", body[:place]))
