"""How numbers are written in a column: decimal commas, separators of thousands, signs of currencies, units, brackets.

Cells that are numbers in a notation of their own become numbers as computers write them; all other text stays what it
is. What a separator means is decided by the column: ``1.234,5`` or ``1,50`` show which sign is the decimal one. Where
nothing shows it, as in a column with ``1,234`` alone, the column gets a fault: a sentence that is raised when its
numbers are wanted.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy

from superpose.data.reading.unit_symbols import AMBIGUOUS, is_unit
from superpose.data.tables import NUMBER, Column, Table
from superpose.messages import listed, quoted

_GROUPS = " \u00a0\u2009\u202f'’"
_CODES = """
    USD EUR GBP JPY CNY INR CHF CAD AUD NZD SEK NOK DKK PLN CZK HUF RUB BRL MXN ZAR KRW TRY Fr. kr US$ C$ A$ R$
"""
_CURRENCIES = frozenset("$€£¥₹₩₽₺₴₪฿") | frozenset(_CODES.split())
# Where these are money, a comma is no decimal one.
_POINT_CURRENCIES = frozenset(("$", "£", "¥", "₹", "USD", "GBP", "JPY", "INR", "US$", "A$"))
_CURRENCY = "|".join(sorted(map(re.escape, _CURRENCIES), key=len, reverse=True))
_CELL = re.compile(
    rf"(?P<open>\()?\s*(?P<sign>[+\-−–]?)\s*(?P<prefix>{_CURRENCY})?\s*(?P<inner>[+\-−–]?)\s*"
    rf"(?P<core>[.,]?\d(?:[\d.,]|[{_GROUPS}](?=\d))*)"
    r"(?P<exponent>[eE][+\-−]?\d{1,4}|(?<=[.,\d])[dD][+\-−]\d{1,3}|\s?[x×*·]\s?10\s?(?:\^|\*\*)?\s?[+\-−]?\d{1,3}"
    r"|\s?[x×*·]\s?10[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,3})?"
    r"(?P<suffix>\s*(?:[^\W\d_]|[°%‰€$£¥₹₩₽])[^()]{0,24})?\s*(?P<close>\))?\s*(?P<tail>[\-−]?)"
)
# India writes 12,34,567.
_LAKHS = re.compile(r"\d{1,2}(?:,\d{2})+,\d{3}")
_DIGIT = re.compile(r"\d")
# Signs beside digits as East Asian fonts have them.
_FULL_WIDTH = str.maketrans("．，－＋％", ".,-+%")
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺−–", "0123456789-+--")
# A value with its error, which no column of numbers can hold.
_ERROR_BAR = re.compile(r"[+\-−]?[\d.,]+\s*(?:±|\+/-|\+-)\s*[\d.,]+.*|[+\-−]?\d+[.,]\d+\(\d{1,3}\).*")
# From this share of its cells on a column is one of numbers, in which the others are mistakes. Below it is one of
# text. A round number.
_MOST = 0.8
# A column of names is told from one of numbers by that many cells. A round number.
_LOOK = 2000


class _Cell(NamedTuple):
    """A cell that may be a number: its parts as text."""

    text: str
    sign: str
    digits: str
    exponent: str
    prefix: str
    suffix: str
    grouped: bool
    brackets: bool

    @property
    def marks(self) -> str:
        """Its points and commas, in order."""
        return re.sub(r"\d", "", self.digits)

    def shows(self) -> tuple[set[str], set[str]] | None:
        """The decimal mark and the mark of thousands that its form proves; None if it is no number in any notation.

        A mark that is in neither may be one or the other.
        """
        marks = self.marks
        kinds = set(marks)
        if not marks:
            return set(), set()
        if len(kinds) == 2:
            # The last is the decimal one.
            if marks.count(marks[-1]) > 1 or self.grouped:
                return None
            whole = self.digits.split(marks[-1])[0]
            grouped = _in_threes(whole, marks[0]) or (marks[0] == "," and _LAKHS.fullmatch(whole))
            return ({marks[-1]}, {marks[0]}) if grouped else None
        mark = marks[0]
        if len(marks) > 1:
            grouped = _in_threes(self.digits, mark) or (mark == "," and _LAKHS.fullmatch(self.digits))
            fits = grouped and not self.exponent and not self.grouped and not _is_address(self.digits)
            return (set(), {mark}) if fits else None
        head, _, tail = self.digits.partition(mark)
        ambiguous = len(tail) == 3 and 1 <= len(head) <= 3 and head[0] != "0" and not self.exponent and not self.grouped
        return (set(), set()) if ambiguous else ({mark}, set())


def _is_address(digits: str) -> bool:
    """Whether digits are those of a computer's address: four numbers of a byte each."""
    parts = digits.split(".")
    return len(parts) == 4 and all(int(part) < 256 for part in parts)


def _in_threes(digits: str, mark: str) -> bool:
    first, *others = digits.split(mark)
    return 1 <= len(first) <= 3 and all(len(group) == 3 for group in others)


@dataclass
class _Reading:
    """What the cells of one column show.

    Attributes:
        name: of the column.
        cells: by their text, those with digits that may be numbers.
        strange: the cells with digits that are none.
        decimal, thousands: for each mark, the first cell that proves it.
        open: for each mark, the first cell in which it may be either.
    """

    name: str
    cells: dict[str, _Cell]
    strange: list[str]
    decimal: dict[str, str]
    thousands: dict[str, str]
    open: dict[str, str]

    @classmethod
    def of(cls, name: str, texts: Iterable[str]) -> _Reading:
        made = cls(name, {}, [], {}, {}, {})
        for text in texts:
            cell = _parsed(text)
            shown = None if cell is None else cell.shows()
            if cell is None or shown is None:
                made.strange.append(text)
                continue
            made.cells[text] = cell
            for mark in shown[0]:
                made.decimal.setdefault(mark, text)
            for mark in shown[1]:
                made.thousands.setdefault(mark, text)
            for mark in set(cell.marks) - shown[0] - shown[1]:
                made.open.setdefault(mark, text)
        return made


class Faulty(Exception):
    """A column that cannot be read: the cell, what is wrong with it, and what to do."""

    def __init__(self, cell: str, what: str) -> None:
        super().__init__(cell, what)
        self.cell, self.what = cell, what


def settle(table: Table, decimal: str | None = None) -> Table:
    """The table with its columns of numbers in one notation, sentences on what was changed, and faults of columns.

    Args:
        decimal: the decimal mark, if a person said which, else it is told by the cells.
    """
    texts = {name: column for name, column in zip(table.names, table.columns, strict=True) if _is_text(column)}
    if not texts:
        return table
    readings: dict[str, _Reading] = {}
    # Columns that are as computers write them, which are most of a large table.
    plain: dict[str, list[str]] = {}
    faults = dict(table.faults)
    for name, column in texts.items():
        distinct = dict.fromkeys(column)
        with_digits = [cell for cell in distinct if cell and _DIGIT.search(cell)]
        if all(map(NUMBER.fullmatch, with_digits)):
            plain[name] = with_digits
            continue
        if not _mostly_numbers(with_digits):
            if bars := next((cell for cell in with_digits if _ERROR_BAR.fullmatch(cell)), None):
                faults[name] = _sentence(
                    table, name, bars, "is a value with its error; give the errors a column of their own (--sigma)"
                )
            continue
        readings[name] = _Reading.of(name, with_digits)
    # A file is written in one language: a decimal comma that one column proves is one in others that prove nothing.
    comma = any("," in one.decimal for one in readings.values()) and not any(
        "," in one.thousands for one in readings.values()
    )
    if comma or decimal == ",":
        readings |= {name: _Reading.of(name, cells) for name, cells in plain.items()}
    columns, notes = dict(zip(table.names, table.columns, strict=True)), []
    for name, reading in readings.items():
        try:
            changed, what = _canonical(reading, decimal, comma)
        except Faulty as fault:
            faults[name] = _sentence(table, name, fault.cell, fault.what)
            continue
        if changed:
            columns[name] = [changed.get(cell, cell) for cell in texts[name]]
        notes += [(what, name)] if what else []
    return replace(
        table, columns=tuple(columns.values()), faults=faults, notes=(*table.notes, *_told(table.label, notes))
    )


def _is_text(column: Column) -> bool:
    return not isinstance(column, numpy.ndarray)


def _mostly_numbers(cells: Sequence[str]) -> bool:
    some = cells[:_LOOK]
    return sum(_parsed(cell) is not None for cell in some) >= _MOST * len(some)


def is_number(text: str) -> bool:
    """Whether a cell is a number in some notation, with a unit or a currency or without.

    >>> [is_number(text) for text in ("1,5", "$1,200", "12 kg", "2024-01-31", "A1")]
    [True, True, True, False, False]
    """
    cell = _parsed(text)
    return cell is not None and cell.shows() is not None


def _plain_digits(text: str) -> str:
    """A cell with the digits of other scripts and of full width as those of ASCII."""
    return "".join(str(unicodedata.decimal(sign, sign)) for sign in text).translate(_FULL_WIDTH)


def _parsed(text: str) -> _Cell | None:
    if not text.isascii():
        cell = _parsed_plain(_plain_digits(text))
        return None if cell is None else cell._replace(text=text)
    return _parsed_plain(text)


def _parsed_plain(text: str) -> _Cell | None:
    if NUMBER.fullmatch(text):
        sign = text[0] if text[0] in "+-" else ""
        digits, e, exponent = text[len(sign) :].replace("E", "e").partition("e")
        return _Cell(text, sign, digits, e + exponent, "", "", False, False)
    quoted_number = len(text) > 2 and text[0] == text[-1] == "'"
    found = _CELL.fullmatch(text[1:-1] if quoted_number else text)
    if found is None or bool(found["open"]) != bool(found["close"]):
        return None
    signs = (found["sign"] + found["inner"] + found["tail"]).translate(_SUPERSCRIPTS)
    if len(signs) > 1 or (found["open"] and signs):
        return None
    core, grouped = found["core"].rstrip(), False
    if any(mark in core for mark in _GROUPS):
        whole = re.split("[.,]", core, maxsplit=1)[0]
        marks = {mark for mark in core if mark in _GROUPS}
        if len(marks) > 1 or not _in_threes(whole, mark := marks.pop()) or mark in core[len(whole) :]:
            return None
        core, grouped = core.replace(mark, ""), True
    suffix, behind = (found["suffix"] or "").strip(), (found["suffix"] or "")
    # A word that is no unit is one behind a space only: 10 boxes, but not 3rd, 7up.
    word = behind[:1].isspace() and not any(character.isdigit() or character == "," for character in suffix)
    if suffix and not (word or suffix in _CURRENCIES or suffix == "%" or is_unit(suffix)):
        return None
    return _Cell(
        text,
        "-" if found["open"] or "-" in signs else "",
        core,
        _power(found["exponent"] or ""),
        found["prefix"] or "",
        suffix,
        grouped,
        bool(found["open"]),
    )


def _power(text: str) -> str:
    """An exponent as ``e5``."""
    text = text.translate(_SUPERSCRIPTS)
    found = re.fullmatch(r"(?:[eEdD]|\s?[x×*·]\s?10\s?(?:\^|\*\*)?\s?)([+-]?\d+)", text)
    return f"e{found[1]}" if found else ""


def _canonical(reading: _Reading, option: str | None, comma: bool) -> tuple[dict[str, str], str]:
    """The new text of each cell that changes, and what was done in words.

    Raises:
        Faulty: if the column cannot be read.
    """
    cells = list(reading.cells.values())
    plain = all(NUMBER.fullmatch(cell.text) for cell in cells)
    if (
        plain
        and not (reading.open.get(".") and (option == "," or comma))
        and not ("." in reading.decimal and option == ",")
    ):
        return {}, ""
    if all(cell.brackets for cell in cells):
        # (1), (2), (3) count something.
        return {}, ""
    unit = _unit(cells)
    if unit is None:
        return {}, ""
    if reading.strange:
        raise Faulty(reading.strange[0], "is no number as the other cells are; correct the cell, or leave out its row")
    decimal = _decimal(reading, option, comma, unit)
    other = {".": ",", ",": "."}[decimal]
    changed = {}
    for cell in cells:
        digits = cell.digits.replace(other, "").replace(decimal, ".")
        text = f"{cell.sign}{digits}{cell.exponent}" + ("%" if unit == "%" else "")
        if text != cell.text:
            changed[cell.text] = text
    return changed, _done(reading, cells, decimal, unit)


def _unit(cells: Sequence[_Cell]) -> str | None:
    """What stands before or behind every number; None where cells differ in it as words do.

    Raises:
        Faulty: where they differ in units, or only some have one.
    """
    first: dict[str, _Cell] = {}
    for cell in cells:
        first.setdefault(cell.prefix or cell.suffix, cell)
        if cell.prefix and cell.suffix:
            first.setdefault(cell.suffix, cell)
    signs = [sign for sign in first if sign]
    if not signs:
        return ""
    # Nothing is nothing in every unit.
    bare = [cell for cell in cells if not cell.prefix and not cell.suffix and cell.digits.strip("0.,")]
    known = [sign for sign in signs if sign in _CURRENCIES or sign == "%" or is_unit(sign)]
    if len(signs) > 1:
        if len(known) < len(signs):
            return None
        raise Faulty(
            first[signs[1]].text,
            f"and {quoted(first[signs[0]].text)} are in different units; write one unit in the whole column",
        )
    if bare:
        # A share in per cent beside a number is a mistake of another kind, which is judged where shares are read. So is
        # a unit in a column of numbers.
        if not known or known == ["%"] or 2 * len(bare) > len(cells):
            return None
        raise Faulty(
            bare[0].text,
            f"without a unit and {quoted(first[signs[0]].text)} with one; write the unit in all cells or in none",
        )
    return signs[0]


def _decimal(reading: _Reading, option: str | None, comma: bool, unit: str) -> str:
    """The decimal mark of a column.

    Raises:
        Faulty: if its cells disagree, or do not tell.
    """
    decimal, thousands = reading.decimal, reading.thousands
    if len(decimal) > 1:
        raise Faulty(
            decimal[","],
            f"and {quoted(decimal['.'])} mix decimal commas and decimal points; use one of them throughout",
        )
    for mark in decimal.keys() & thousands.keys():
        raise Faulty(decimal[mark], f"and {quoted(thousands[mark])} use {quoted(mark)} in two meanings; use it in one")
    shown = next(iter(decimal), None)
    if option is not None:
        if shown not in (None, option) or option in thousands:
            raise Faulty(
                thousands.get(option) or decimal[str(shown)],
                f"is at odds with the decimal mark {quoted(option)} that was given; correct one of them",
            )
        return option
    if len(thousands) > 1:
        raise Faulty(thousands[","], f"and {quoted(thousands['.'])} have different separators of thousands; use one")
    other = {".": ",", ",": "."}
    if thousands:
        return other[next(iter(thousands))]
    if not reading.open:
        return shown or "."
    if shown is not None and set(reading.open) == {shown}:
        return shown
    if shown is None:
        if set(reading.open) == {","} and unit in _POINT_CURRENCIES:
            return "."
        if set(reading.open) == {","} and comma:
            return ","
        if set(reading.open) == {"."} and not comma and unit not in _CURRENCIES:
            return "."
    cell = next(iter(reading.open.values()))
    raise Faulty(
        cell,
        f"may be {cell.translate(str.maketrans('', '', ',.'))} or a decimal number; say which sign is the decimal one "
        "(decimal, --decimal)",
    )


def _done(reading: _Reading, cells: Sequence[_Cell], decimal: str, unit: str) -> str:
    marks = sorted({mark for cell in cells for mark in cell.marks if mark != decimal})
    done = []
    if unit and unit != "%":
        hint = (
            ""
            if unit in (*_CURRENCIES, *AMBIGUOUS) or not is_unit(unit)
            else f" (--units '{reading.name}={unit}' uses it)"
        )
        done.append(f"{quoted(unit)} was taken off{hint}")
    if marks or any(cell.grouped for cell in cells):
        done.append("separators of thousands were taken off")
    if any(cell.brackets for cell in cells):
        done.append("numbers in parentheses were read as negative")
    return " and ".join(done)


def _told(label: str, notes: Sequence[tuple[str, str]]) -> list[str]:
    """One sentence for all columns of which the same is said."""
    names: dict[str, list[str]] = {}
    for what, name in notes:
        names.setdefault(what, []).append(name)
    return [f"{label}: in {listed(those, 4)} {what}" for what, those in names.items()]


def _sentence(table: Table, name: str, cell: str, what: str) -> str:
    column = table.columns[table.names.index(name)]
    assert isinstance(column, list)
    return f"{table.label}, {table.place(column.index(cell))}: column {quoted(name)}: {quoted(cell)} {what}"
