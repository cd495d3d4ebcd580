"""Where the parts of a table are: titles, the header, a row of units, the first row.

The first records show it. A header is the first record that has a name for every column in which the following ones
have cells; what stands above it are titles. Nothing is passed over in silence.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from superpose.data.reading.notation import is_number
from superpose.data.reading.records import Record
from superpose.data.reading.unit_symbols import AMBIGUOUS, unit_below_header
from superpose.data.tables import is_numeric
from superpose.errors import DataError
from superpose.messages import listed, quoted

# Records above a header are few. A round number.
_MOST_TITLES = 40
# A line of titles fills no more than this share of the columns.
_TITLE_SHARE = 0.5
# Numbers with colons between them: features of LIBSVM, ratings of MovieLens.
_PAIRS = re.compile(r"[\d.+-]+(?:::?[\d.+-]+)+")
_YEAR = re.compile(r"(?:1[5-9]|20|21)\d\d")
# Such a share of a column's first cells makes it one of numbers, which have units. A round number.
_NUMBERS = 0.8


@dataclass(frozen=True)
class Outline:
    """The parts of a table.

    Attributes:
        names: of the columns, as many as a row has cells.
        header_line: where they stand.
        found: whether a header was recognised; else the first record was taken for one.
        first: the index, among the records that the outline was made of, of the first row.
        agreeing: the share of the records, titles included, that have as many cells.
        notes: sentences on what was passed over.
        row_names: whether rows begin with a cell of which the header says nothing, as R writes them.
    """

    names: tuple[str, ...]
    header_line: int
    found: bool
    first: int
    agreeing: float
    notes: tuple[str, ...] = ()
    row_names: bool = False


def outline_of(label: str, records: Sequence[Record]) -> Outline | None:
    """The parts of the table that begins with these records; None if there is none but remarks."""
    given = [record for record in records if not record.remark]
    if not given:
        return None
    width = _width(given)
    used = max(record.used for record in given if len(record.cells) == width) or width
    records = [_trimmed(record, used) for record in records]
    rows = [(k, record) for k, record in enumerate(records) if not record.remark]
    width = used
    made = _below_remark(label, records, rows, width) or _with_header(label, rows, width)
    if made is None:
        made = _with_row_names(label, rows, width)
    if made is None:
        k, record = rows[0]
        return Outline(tuple(record.cells), record.line, False, k + 1, 0.0)
    return _without_units(label, records, made)


def refuse_numbers(label: str, outline: Outline) -> None:
    """Raise if what was taken for a header holds nothing but numbers."""
    if all(is_numeric(name) or _PAIRS.fullmatch(name) for name in outline.names):
        raise DataError(
            f"{label}, line {outline.header_line}: there is no header, only numbers; write the columns' names into a "
            "first line"
        )


def _width(records: Sequence[Record]) -> int:
    """How many cells most records have; of two numbers that are as frequent the larger."""
    counts = Counter(len(record.cells) for record in records)
    return max(counts, key=lambda width: (counts[width], width))


def _trimmed(record: Record, used: int) -> Record:
    """A record without empty cells behind the columns that are in use."""
    return record._replace(cells=record.cells[: max(used, record.used)])


def _agreeing(rows: Sequence[tuple[int, Record]], width: int) -> float:
    return sum(len(record.cells) == width for _, record in rows) / max(1, len(rows))


def _below_remark(
    label: str, records: Sequence[Record], rows: Sequence[tuple[int, Record]], width: int
) -> Outline | None:
    """Names that stand behind # in the line above the first row, which is one of numbers."""
    k, first = rows[0]
    numbers = [cell for cell in first.cells if is_numeric(cell)]
    if k == 0 or len(first.cells) != width or not numbers:
        return None
    # Beside words, years are names.
    if len(numbers) < width and all(_YEAR.fullmatch(cell) for cell in numbers):
        return None
    above = records[k - 1]
    text = " ".join(above.cells).lstrip("#% ")
    for cells in (above.cells, text.split(","), text.split("\t"), text.split()):
        names = [cell.strip(" \"'") for cell in cells]
        names[0] = names[0].lstrip("#% ")
        names = names[1:] if len(names) == width + 1 and not names[0] else names
        if len(names) == width and all(names) and not any(is_numeric(name) for name in names):
            note = (
                f"{label}: the columns' names were taken from line {above.line}, which begins with {above.cells[0][0]}"
            )
            return Outline(tuple(names), above.line, True, k, _agreeing(rows, width), (note,))
    return None


def _with_header(label: str, rows: Sequence[tuple[int, Record]], width: int) -> Outline | None:
    """The first record that names every column that is in use."""
    for position, (k, record) in enumerate(rows[:_MOST_TITLES]):
        following = rows[position + 1 :]
        if len(record.cells) == width and _names_all(record, [row for _, row in following], width):
            if position and not _is_sure(record, [row for _, row in following]):
                return None
            titles = _on_titles(label, [row for _, row in rows[:position]])
            return Outline(tuple(record.cells), record.line, True, k + 1, _agreeing(rows, width), titles)
        if len(record.cells) == width and sum(map(bool, record.cells)) > max(1.0, _TITLE_SHARE * width):
            # A record as full as this is no title, but a header with a mistake, or names of groups above the names.
            below = [row for _, row in following]
            if not (below and _names_all(below[0], below[1:], width) and _is_sure(below[0], below[1:])):
                return None
    return None


def _names_all(record: Record, following: Sequence[Record], width: int) -> bool:
    if len(record.cells) < width or all(is_numeric(cell) for cell in record.cells if cell):
        return False
    rows = [row.cells for row in following if len(row.cells) == width]
    in_use = [2 * sum(bool(cells[k]) for cells in rows) >= len(rows) for k in range(width)] if rows else [True] * width
    # A column of row numbers often has no name.
    return all(record.cells[k] for k in range(1, width) if in_use[k]) and any(record.cells)


def _is_sure(record: Record, following: Sequence[Record]) -> bool:
    """Whether a record that is not the first is a header: words above numbers."""
    if any(is_numeric(cell) for cell in record.cells):
        return False
    rows = [row.cells for row in following if len(row.cells) == len(record.cells)]
    return any(
        2 * sum(any(character.isdigit() for character in cells[k]) for cells in rows) > len(rows)
        for k in range(len(record.cells))
    )


def _on_titles(label: str, titles: Sequence[Record]) -> tuple[str, ...]:
    if not titles:
        return ()
    text = next(cell for record in titles for cell in record.cells if cell)
    lines = f"line {titles[0].line}" if len(titles) == 1 else f"{len(titles)} lines from line {titles[0].line} on"
    return (f"{label}: what stands above the columns' names was passed over ({lines}: {quoted(text)})",)


def _with_row_names(label: str, rows: Sequence[tuple[int, Record]], width: int) -> Outline | None:
    """A header with one name less than rows have cells: what R writes and pandas prints."""
    k, header = rows[0]
    body = [record.cells for _, record in rows[1:]]
    if (
        not 2 <= len(header.cells) == width - 1
        or not all(header.cells)
        or any(is_numeric(cell) for cell in header.cells)
    ):
        return None
    if not body or any(len(cells) != width for cells in body):
        return None
    first = [cells[0] for cells in body]
    # R counts from 1, what pandas prints from 0.
    numbers = first[0] in ("0", "1") and first == [str(row) for row in range(int(first[0]), int(first[0]) + len(first))]
    if len(set(first)) < len(first) or not (numbers or not any(is_numeric(cell) for cell in first)):
        return None
    return Outline(("", *header.cells), header.line, True, k + 1, 1.0, row_names=True)


def _without_units(label: str, records: Sequence[Record], outline: Outline) -> Outline:
    """The outline, behind a row of units if there is one below the header."""
    if outline.first >= len(records) or records[outline.first].remark:
        return outline
    record = records[outline.first]
    rows = [row.cells for row in records[outline.first + 1 :] if len(row.cells) == len(record.cells) and not row.remark]
    cells = dict(zip(outline.names, record.cells, strict=False))
    if not rows or len(cells) < len(outline.names):
        return outline
    units: dict[str, str] = {}
    for k, (name, cell) in enumerate(cells.items()):
        below = [is_number(row[k]) for row in rows if row[k]]
        if not below or sum(below) < _NUMBERS * len(below):
            continue
        unit = unit_below_header(cell)
        if unit is None:
            return outline
        units |= {name: unit} if cell else {}
    real = {name: unit for name, unit in units.items() if unit != "1"}
    # A row of ones, or of dashes for what is missing, is a row like the others.
    if not real or all(is_numeric(cell) for cell in record.cells):
        return outline
    option = ", ".join(f"{name}={unit}" for name, unit in list(units.items())[:8] if name and unit not in AMBIGUOUS)
    hint = f"; to use them give --units '{option}'" if option else ""
    note = f"{label}: line {record.line} was read as the columns' units{hint}"
    return Outline(
        outline.names, outline.header_line, True, outline.first + 1, outline.agreeing, (*outline.notes, note),
        outline.row_names,
    )  # fmt: skip


def row_hint(names: Sequence[str], header_line: int, delimiter: str, cells: Sequence[str]) -> str:
    """What may be wrong where a row is not as long as the header."""
    if len(names) == 1:
        return (
            f"line {header_line} was taken for the header, {quoted(delimiter.join(names))}; if that is a title, remove "
            "the lines above the columns' names, else check the delimiters"
        )
    if len(cells) == 1 or sum(map(bool, cells)) == 1:
        return f"if {listed([cell for cell in cells if cell], 1)} is a remark, remove the line"
    hint = "check its delimiters"
    return f"{hint}, and its decimal commas if it has any" if delimiter == "," else hint
