"""Conditions on rows as text, read by a grammar of its own: ``price > 0 and kind != 'x'``. Nothing is run as code.

    condition  = all {"or" all}
    all        = single {"and" single}
    single     = "not" single | "(" condition ")" | comparison
    comparison = sum {("<" | "<=" | ">" | ">=" | "=" | "==" | "!=" | "<>") sum} | sum ["not"] "in" "(" sum {"," sum} ")"
    sum        = product {("+" | "-") product}
    product    = factor {("*" | "/") factor}
    factor     = ("+" | "-") factor | number | text | name | "(" sum ")"

A name that is no identifier stands between backticks, one within it doubled; text stands between quotation marks of
either kind. Numbers are compared with numbers and text with text, in the order of their letters, which is that of time
for dates such as 2024-01-31. A comparison with an empty cell is neither true nor false, as in SQL; a row is kept where
the condition is true.

>>> table = Table("the table", ("price", "kind"), (numpy.array([1.0, 5.0, 0.0]), ["a", "b", "a"]))
>>> read_condition("price > 0 and kind = 'a'").rows(table).tolist()
[True, False, False]
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn

import numpy
import numpy.typing

from superpose.data.preparation.cells import is_missing
from superpose.data.tables import NUMBER, Table
from superpose.errors import DataError, OptionError
from superpose.messages import quoted

# Longer and deeper than any condition that a person writes; they bound the work and the recursion. Round numbers.
_MAX_LENGTH, _MAX_DEPTH = 4000, 50
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![^\W\d]))"
    r"|(?P<name>[^\W\d]\w*(?:\.[^\W\d]\w*)*)"
    r"|`(?P<quoted>(?:[^`]|``)+)`"
    r"|'(?P<single>(?:[^']|'')*)'|\"(?P<double>(?:[^\"]|\"\")*)\""
    r"|(?P<operator><=|>=|==|!=|<>|[-+*/(),<>=]))"
)
_SAME = str.maketrans({"≤": "<=", "≥": ">=", "≠": "!=", "−": "-", "×": "*", "“": '"', "”": '"', "‘": "'", "’": "'"})
_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
}
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": numpy.divide,
}
_WORDS = ("and", "or", "not", "in")

Mask = numpy.typing.NDArray[numpy.bool_]
Values = numpy.typing.NDArray[Any]


class _Truth(NamedTuple):
    """Where a condition is true, and where it is false; elsewhere a cell is empty."""

    true: Mask
    false: Mask


# What a part of a condition is for a table: a truth for each row, or numbers or text, one or one for each row.
_Judge = Callable[[Table], _Truth]
_Operand = Callable[[Table], Values]


@dataclass(frozen=True)
class Condition:
    """A condition on the rows of a table."""

    text: str
    judge: _Judge = field(repr=False)

    def rows(self, table: Table) -> Mask:
        """Where it is true.

        Raises:
            DataError: if the table has no such column, or a cell cannot be compared.
        """
        true = self.judge(table).true
        return numpy.broadcast_to(true, (table.n_rows,)).copy()


def read_condition(text: str) -> Condition:
    """The condition that a text states.

    Raises:
        OptionError: naming the place at which it is none.
    """
    if not isinstance(text, str) or not text.strip():
        raise OptionError(f"where is {quoted(text)} and must be a condition such as price > 0 and kind != 'x'")
    if len(text) > _MAX_LENGTH:
        raise OptionError(f"where has {len(text)} characters; at most {_MAX_LENGTH} are read")
    return Condition(text, _Parser(text).whole())


class _Token(NamedTuple):
    kind: str
    text: str
    place: int


class _Parser:
    """Reads a condition from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text.translate(_SAME)
        self.tokens = list(self._split())
        self.at = self.depth = 0

    def _split(self) -> Sequence[_Token]:
        tokens, place = [], 0
        while self.text[place:].strip():
            found = _TOKEN.match(self.text, place)
            if found is None:
                self._fail(place, "is not understood; text stands in quotation marks, other names in backticks")
            kind = str(found.lastgroup)
            content = found[kind]
            for group, mark in (("quoted", "`"), ("single", "'"), ("double", '"')):
                content = content.replace(2 * mark, mark) if kind == group else content
            kind = {"quoted": "column", "single": "text", "double": "text"}.get(kind, kind)
            if kind == "name" and content.lower() in _WORDS:
                kind, content = "operator", content.lower()
            tokens.append(_Token("column" if kind == "name" else kind, content, found.start(found.lastgroup or 0)))
            place = found.end()
        return [*tokens, _Token("end", "", len(self.text))]

    def _fail(self, place: int, why: str) -> NoReturn:
        rest = self.text[place:].strip()
        what = f"at {quoted(rest, 20)}: it" if rest else "at its end: it"
        raise OptionError(f"where {quoted(self.text)} is no condition {what} {why}")

    @property
    def next(self) -> _Token:
        return self.tokens[self.at]

    def take(self, *operators: str) -> str | None:
        """The operator that comes next, if it is one of these."""
        if self.next.kind == "operator" and self.next.text in operators:
            self.at += 1
            return self.tokens[self.at - 1].text
        return None

    def want(self, sign: str) -> None:
        if self.take(sign) is None:
            self._fail(self.next.place, f"lacks a {sign!r} here")

    def whole(self) -> _Judge:
        judge = self.condition()
        if self.next.kind != "end":
            self._fail(self.next.place, "should have ended here, or lacks a word such as and")
        return judge

    def condition(self) -> _Judge:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            self._fail(self.next.place, "is nested too deeply")
        parts = [self.all()]
        while self.take("or"):
            parts.append(self.all())
        self.depth -= 1
        return parts[0] if len(parts) == 1 else _either(parts)

    def all(self) -> _Judge:
        parts = [self.single()]
        while self.take("and"):
            parts.append(self.single())
        return parts[0] if len(parts) == 1 else _both(parts)

    def single(self) -> _Judge:
        count = 0
        while self.take("not"):
            count += 1
        judge = self._group_or_comparison()
        return _negated(judge) if count % 2 else judge

    def _group_or_comparison(self) -> _Judge:
        # A bracket may begin a condition or a sum: it is tried as a comparison first.
        start, depth = self.at, self.depth
        if self.next.text == "(" and self.next.kind == "operator":
            try:
                return self.comparison()
            except OptionError:
                self.at, self.depth = start, depth
            self.want("(")
            judge = self.condition()
            self.want(")")
            return judge
        return self.comparison()

    def comparison(self) -> _Judge:
        left = self.sum()
        negative = self.take("not") is not None
        if self.take("in"):
            self.want("(")
            values = [self.sum()]
            while self.take(","):
                values.append(self.sum())
            self.want(")")
            judge = _either([_compared(left, "=", value) for value in values])
            return _negated(judge) if negative else judge
        if negative:
            self._fail(self.next.place, "lacks the word in here")
        parts = []
        while (sign := self.take(*_COMPARISONS)) is not None:
            right = self.sum()
            parts.append(_compared(left, sign, right))
            left = right
        if not parts:
            self._fail(self.next.place, "lacks a comparison here, such as > 0")
        return parts[0] if len(parts) == 1 else _both(parts)

    def sum(self) -> _Operand:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            self._fail(self.next.place, "is nested too deeply")
        value = self.product()
        while (sign := self.take("+", "-")) is not None:
            value = _computed(value, sign, self.product())
        self.depth -= 1
        return value

    def product(self) -> _Operand:
        value = self.factor()
        while (sign := self.take("*", "/")) is not None:
            value = _computed(value, sign, self.factor())
        return value

    def factor(self) -> _Operand:
        negative = False
        while (sign := self.take("+", "-")) is not None:
            negative ^= sign == "-"
        value = self._atom()
        return _computed(_constant(numpy.array(0.0)), "-", value) if negative else value

    def _atom(self) -> _Operand:
        token = self.next
        if self.take("("):
            value = self.sum()
            self.want(")")
            return value
        self.at += 1
        if token.kind == "number":
            return _constant(numpy.array(float(token.text)))
        if token.kind == "text":
            return _constant(numpy.array(token.text, dtype=object))
        if token.kind == "column":
            return _column(token.text)
        self.at -= 1
        self._fail(token.place, "lacks a column, a number or a text here")


def _constant(value: Values) -> _Operand:
    return lambda table: value


def _column(name: str) -> _Operand:
    def values(table: Table) -> Values:
        table.require(name, "the condition where (text stands in quotation marks)")
        column = table.columns[table.names.index(name)]
        if isinstance(column, numpy.ndarray):
            return column
        if name in table.faults:
            raise DataError(table.faults[name])
        if not any(map(NUMBER.fullmatch, column)):
            return numpy.array(column, dtype=object)
        found = numpy.full(len(column), numpy.nan)
        for row, cell in enumerate(column):
            if NUMBER.fullmatch(cell):
                found[row] = float(cell)
            elif not is_missing(cell, beside_values=True):
                raise DataError(
                    f"{table.label}, {table.place(row)}: column {quoted(name)} holds {quoted(cell)}, which cannot be "
                    "compared as a number; correct the cell, or leave the column out of the condition"
                )
        return found

    return values


def _computed(left: _Operand, sign: str, right: _Operand) -> _Operand:
    def values(table: Table) -> Values:
        first, second = left(table), right(table)
        if first.dtype == object or second.dtype == object:
            raise DataError(f"{table.label}: where computes with text ({sign}); compute with columns of numbers only")
        with numpy.errstate(all="ignore"):
            result: Values = _ARITHMETIC[sign](first, second)
        return result

    return values


def _compared(left: _Operand, sign: str, right: _Operand) -> _Judge:
    def judge(table: Table) -> _Truth:
        first, second = numpy.broadcast_arrays(left(table), right(table))
        if (first.dtype == object) != (second.dtype == object):
            text = next(str(value) for values in (first, second) if values.dtype == object for value in values.flat)
            raise DataError(
                f"{table.label}: where compares text such as {quoted(text)} with numbers; write numbers without "
                "quotation marks and text within"
            )
        if first.dtype == object:
            known = numpy.array([bool(a) and bool(b) for a, b in zip(first.flat, second.flat, strict=True)])
            # An empty text that was written is compared with empty cells.
            if "" in (_written(right, table), _written(left, table)):
                known = numpy.ones(known.shape, dtype=bool)
        else:
            known = (~numpy.isnan(first) & ~numpy.isnan(second)).reshape(-1)
        found = numpy.array(_COMPARISONS[sign](first, second), dtype=bool).reshape(-1)
        return _Truth(found & known, ~found & known)

    return judge


def _written(operand: _Operand, table: Table) -> str | None:
    """A text that stands in the condition; None for anything else."""
    value = operand(table)
    return str(value) if not value.ndim and value.dtype == object else None


def _both(parts: Sequence[_Judge]) -> _Judge:
    def judge(table: Table) -> _Truth:
        found = [part(table) for part in parts]
        return _Truth(
            numpy.logical_and.reduce(numpy.broadcast_arrays(*(one.true for one in found))),
            numpy.logical_or.reduce(numpy.broadcast_arrays(*(one.false for one in found))),
        )

    return judge


def _either(parts: Sequence[_Judge]) -> _Judge:
    return _negated(_both([_negated(part) for part in parts]))


def _negated(part: _Judge) -> _Judge:
    def judge(table: Table) -> _Truth:
        true, false = part(table)
        return _Truth(false, true)

    return judge
