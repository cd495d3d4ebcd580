"""A text as records: the line on which each begins, and its cells."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import NamedTuple

from superpose.data.preparation.cells import is_missing
from superpose.data.reading.text_blocks import WHITESPACE, WIDE, bare
from superpose.errors import DataError

_REMARKS = ("#", "%")
# A line that is drawn below a header, as in Markdown and in what psql prints.
_RULE = re.compile(r"[\s|+:=-]*(?:---|===)[\s|+:=-]*")
# What the lines begin with that are no rows; nothing but white space is one of them.
_ODD = ("", *"#%-=|+:\x1a")
_SPEC = re.compile(r"sep=(.)", re.IGNORECASE)
_WIDE = re.compile(r"\s{2,}|\t")
_WORD = re.compile(r'"(?:[^"]|"")*"(?=\s|$)|\S+')


class Record(NamedTuple):
    """A line of a table, or several where a quoted cell goes on.

    Attributes:
        line: the first, counted from 1.
        cells: their text without white space around it.
        remark: whether the line begins with # or %, and not with a mark of a missing value such as #N/A.
    """

    line: int
    cells: list[str]
    remark: bool = False

    @property
    def used(self) -> int:
        """The cells up to the last that is not empty."""
        return next((k for k in range(len(self.cells), 0, -1) if self.cells[k - 1]), 0)


def records_of(label: str, text: str, delimiter: str) -> Iterator[Record]:
    """Every record of a text; blank lines hold none.

    Raises:
        DataError: if a row cannot be split into cells.
    """
    lines = _Lines(text)
    blanks = delimiter in (WHITESPACE, WIDE)
    reader = None if blanks else csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    while True:
        first = lines.peek()
        if first is None:
            return
        line = lines.number + 1
        odd = line == 1 or first.lstrip()[:1] in _ODD
        if odd and _is_passed_over(first, line):
            next(lines)
        elif (
            odd
            and first.lstrip().startswith(_REMARKS)
            and not is_missing((cells := _leniently(first, delimiter))[0], beside_values=True)
        ):
            next(lines)
            yield Record(line, cells, remark=True)
        elif reader is None:
            if cells := _words(next(lines), delimiter):
                yield Record(line, cells)
        else:
            try:
                cells = [bare(cell) for cell in next(reader)]
            except csv.Error as error:
                raise DataError(
                    f"{label}, line {line}: the row cannot be split into cells ({error}); check its quotation marks"
                ) from None
            if len(cells) > 1 or any(cells):
                yield Record(line, cells)


def _is_passed_over(line: str, number: int) -> bool:
    # Old systems end a text by this character.
    return bool(_RULE.fullmatch(line)) or line.strip() == "\x1a" or (number == 1 and declared(line) is not None)


def declared(line: str) -> str | None:
    """The delimiter that a spreadsheet writes into the first line of a text, as ``sep=;``.

    >>> declared("sep=;"), declared("x;y")
    (';', None)
    """
    found = _SPEC.fullmatch(line.strip("\r\n\"' ") if "\t" not in line else line.strip("\r\n"))
    return found[1] if found else None


def _leniently(line: str, delimiter: str) -> list[str]:
    """The cells of a remark, whose quotation marks mean nothing."""
    text = line.strip()
    if delimiter in (WHITESPACE, WIDE):
        return _words(text, delimiter)
    try:
        return [
            cell.strip() for cell in next(csv.reader([text], delimiter=delimiter, skipinitialspace=True, strict=True))
        ]
    except (csv.Error, StopIteration):
        return [cell.strip() for cell in text.split(delimiter)]


def _words(line: str, delimiter: str) -> list[str]:
    if delimiter == WIDE:
        # What is right of an empty cell would move to its left: such a row is shorter, and so refused.
        return [bare(cell) for cell in _WIDE.split(line.strip())] if line.strip() else []
    if '"' not in line:
        return line.split()
    return [
        word[1:-1].replace('""', '"') if len(word) > 1 and word[0] == word[-1] == '"' else word
        for word in _WORD.findall(line)
    ]


class _Lines(Iterator[str]):
    """The lines of a text, of which the next can be looked at."""

    def __init__(self, text: str) -> None:
        self._lines = io.StringIO(text, newline="")
        self._next: str | None = None
        self.number = 0

    def peek(self) -> str | None:
        """The next line; None at the end."""
        if self._next is None:
            # Texts that were put one behind the other have the mark of byte order within.
            self._next = self._lines.readline().removeprefix("\ufeff") or None
        return self._next

    def __next__(self) -> str:
        line = self.peek()
        if line is None:
            raise StopIteration
        self._next = None
        self.number += 1
        return line
