"""Text of formulas, read by a grammar of its own: ``V*conc^n/(K^n + conc^n)``. Nothing is ever evaluated as code.

    sum     = [sign] product {("+" | "-") product}
    product = factor {("*" | "/") factor}
    factor  = ("+" | "-") factor | power
    power   = atom [("^" | "**") factor]
    atom    = number | name | function "(" sum ")" | "(" sum ")"

A name is that of a column if there is one; a name that is no identifier stands between backticks, one within it
doubled, as :class:`superpose.Formula` writes it. ``pi`` is the number. Every other name is an unknown constant.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple, NoReturn

from superpose.errors import OptionError
from superpose.formulas.forms.tape import Form, Kind, Operation
from superpose.messages import listed, nearest, quoted
from superpose.nn.symbolic_functions import library

# Longer and deeper than any law that a person writes; they bound the work and the recursion. Round numbers.
_MAX_LENGTH, _MAX_DEPTH, _MAX_CONSTANTS = 2000, 50, 40
# As for the powers of the library of functions.
_MAX_EXPONENT = 1000
# Other names of functions, and functions that are others with numbers: what multiplies the argument, and the value.
_ALIASES = {
    "ln": "log",
    "asin": "arcsin",
    "acos": "arccos",
    "atan": "arctan",
    "atanh": "arctanh",
}
_LOGARITHMS = {"log2": 2, "log10": 10}
_ROOTS = {"sqrt": Fraction(1, 2), "cbrt": Fraction(1, 3)}
# Known in the field but not to the library: they are no unknown functions.
_FOREIGN = frozenset(
    (
        "erf",
        "erfc",
        "gamma",
        "lgamma",
        "beta",
        "max",
        "min",
        "floor",
        "ceil",
        "round",
        "sum",
        "mean",
        "asinh",
        "acosh",
        "sec",
        "csc",
        "cot",
        "sinc",
        "heaviside",
        "mod",
        "hypot",
        "atan2",
        "factorial",
        "spline",
    )
)
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<name>[^\W\d]\w*(?:\.[^\W\d]\w*)*)"
    r"|`(?P<quoted>(?:[^`]|``)+)`"
    r"|(?P<operator>\*\*|[-+*/^(),]))"
)
# What word processors and other languages write, outside of names between backticks.
_SAME = str.maketrans({"−": "-", "·": "*", "×": "*", "÷": "/", "[": "(", "]": ")", "²": "^2", "³": "^3"})


class _Token(NamedTuple):
    kind: str
    text: str
    place: int


def parse_form(text: str, columns: Sequence[str], *, target: str | None = None, open_parts: bool = False) -> Form:
    """Read the text of a form.

    Args:
        text: such as ``"A*exp(-B/T) + c"``.
        columns: names of the columns that it may name.
        target: the name of the column that it is for, which must not be in it.
        open_parts: whether an unknown name before brackets that hold one column is a function to be learnt.

    Raises:
        OptionError: if it is not of the grammar above; the sentence has the place in the text.

    >>> form = parse_form("V*conc^n/(K^n + conc^n)", ["conc", "state"])
    >>> form.constants, form.used()
    (('V', 'n', 'K'), ('conc',))
    >>> form.expression([2.0, 1.0, 0.5])
    2.0*conc**1.0/(conc**1.0 + 0.5)
    >>> parse_form("V*conc/(K + ", ["conc"])
    Traceback (most recent call last):
        ...
    superpose.errors.OptionError: the form 'V*conc/(K +' ends after character 11 where a number, a name or ( must \
follow; write the rest
    """
    if not isinstance(text, str):
        raise OptionError(f"a form is text such as 'A*exp(-B*t)', not {quoted(repr(text))}")
    parts = text.strip().split("`")
    text = "`".join(part if n % 2 else part.translate(_SAME) for n, part in enumerate(parts))
    if not text:
        raise OptionError("the form is empty; write one with unknown constants, such as A*exp(-B*t)")
    if len(text) > _MAX_LENGTH:
        raise OptionError(f"the form has {len(text)} characters, and may have at most {_MAX_LENGTH}; shorten it")
    reader = _Reader(text, tuple(columns), target, open_parts)
    reader.read()
    form = Form(text, tuple(columns), tuple(reader.constants), tuple(reader.operations), tuple(reader.splines))
    if not form.used():
        raise OptionError(f"the form {quoted(text)} has no column in it; name one of {listed(columns)}")
    return form


@dataclass
class _Reader:
    text: str
    columns: tuple[str, ...]
    target: str | None
    open_parts: bool
    tokens: list[_Token] = field(default_factory=list)
    position: int = 0
    depth: int = 0
    operations: list[Operation] = field(default_factory=list)
    constants: list[str] = field(default_factory=list)
    splines: list[str] = field(default_factory=list)
    places: dict[Operation, int] = field(default_factory=dict)

    def read(self) -> None:
        self.tokens = self._tokens()
        last = self._sum()
        if self.position < len(self.tokens):
            token = self.tokens[self.position]
            if token.text == ")":
                self._fail("has a ) without a (", token, "remove it, or write the (")
            if token.text == ",":
                self._fail("has a comma", token, "functions have one argument, and numbers a point")
            self._fail(f"has {quoted(token.text)} where an operation must stand", token, "write * between factors")
        if last != len(self.operations) - 1:  # the same operation occurred before
            self.operations.append(Operation("add", (last, self._number(Fraction(0)))))

    def _tokens(self) -> list[_Token]:
        found: list[_Token] = []
        at = 0
        while at < len(self.text):
            match = _TOKEN.match(self.text, at)
            if match is None:
                at += len(self.text[at:]) - len(self.text[at:].lstrip())
                what, remedy = f"has {quoted(self.text[at])}", "a form has numbers, names, + - * / ^ and ( )"
                if self.text[at] == "`":
                    remedy = "close the name with a second `"
                self._fail(what, _Token("", self.text[at], at), remedy)
            kind = str(match.lastgroup)
            found.append(_Token(kind, match[kind], match.start(kind)))
            at = match.end()
        return found

    def _fail(self, what: str, token: _Token, remedy: str) -> NoReturn:
        raise OptionError(f"the form {quoted(self.text)} {what} at character {token.place + 1}; {remedy}")

    def _next(self) -> _Token | None:
        return self.tokens[self.position] if self.position < len(self.tokens) else None

    def _takes(self, *texts: str) -> _Token | None:
        token = self._next()
        if token is None or token.kind != "operator" or token.text not in texts:
            return None
        self.position += 1
        return token

    def _nested(self, read: Callable[[], int], token: _Token) -> int:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            self._fail(f"is nested more than {_MAX_DEPTH} deep", token, "simplify it")
        made = read()
        self.depth -= 1
        return made

    def _sum(self) -> int:
        made = self._product()
        while (token := self._takes("+", "-")) is not None:
            other = self._product()
            other = self._operation("negate", token, other) if token.text == "-" else other
            made = self._operation("add", token, made, other)
        return made

    def _product(self) -> int:
        made = self._factor()
        while (token := self._takes("*", "/")) is not None:
            made = self._operation("multiply" if token.text == "*" else "divide", token, made, self._factor())
        return made

    def _factor(self) -> int:
        token = self._takes("+", "-")
        if token is not None:
            inner = self._nested(self._factor, token)
            return self._operation("negate", token, inner) if token.text == "-" else inner
        base = self._atom()
        token = self._takes("^", "**")
        if token is None:
            return base
        return self._operation("power", token, base, self._nested(self._factor, token))

    def _atom(self) -> int:
        token = self._next()
        if token is None:
            raise OptionError(
                f"the form {quoted(self.text)} ends after character {len(self.text)} where a number, a name or ( must "
                "follow; write the rest"
            )
        self.position += 1
        if token.kind == "number":
            return self._literal(token)
        if token.kind == "quoted":
            name = token.text.replace("``", "`")
            if name not in self.columns:
                hint = nearest(name, self.columns) or f"; there are {listed(self.columns)}"
                raise OptionError(
                    f"the form {quoted(self.text)} has `{name}` at character {token.place}, and there is no such "
                    f"column{hint}"
                )
            return self._column(name)
        if token.kind == "name":
            return self._called(token) if self._takes("(") else self._named(token)
        if token.text == "(":
            return self._closed(token)
        self._fail(f"has {quoted(token.text)} where a number, a name or ( must stand", token, "write what is missing")

    def _closed(self, token: _Token) -> int:
        made = self._nested(self._sum, token)
        if self._takes(")") is None:
            other = self._next()
            if other is None:
                self._fail("has a ( without a )", token, "write the )")
            if other.text == ",":
                self._fail("has a comma", other, "functions have one argument, and numbers a point")
            self._fail(f"has {quoted(other.text)} where an operation must stand", other, "write * between factors")
        return made

    def _literal(self, token: _Token) -> int:
        value = float(token.text)
        if not math.isfinite(value) or (value == 0 and re.search("[1-9]", re.split("[eE]", token.text)[0])):
            self._fail(f"has the number {quoted(token.text)}", token, "numbers go from about 1e-308 to 1e308")
        follower = self._next()
        if follower is not None and (follower.kind in ("name", "quoted") or follower.text == "("):
            self._fail(f"has {quoted(token.text)} and {quoted(follower.text)} side by side", token, "write * between")
        return self._number(Fraction(token.text))

    def _named(self, token: _Token) -> int:
        name = token.text
        if name in self.columns:
            return self._column(name)
        if name == self.target:
            self._fail(f"has the target {quoted(name)} in it", token, "a form gives the target from other columns")
        if name in ("pi", "π"):
            return self._number(Fraction(math.pi))
        if _is_function(name):
            self._fail(
                f"has the function {name} without brackets", token, f"write {name}(...), or call a constant differently"
            )
        follower = self._next()
        if name in ("e", "E") and follower is not None and follower.text in ("^", "**"):
            self._fail(f"has a power of {name}", token, "write exp(...) for the exponential function")
        if name in self.splines:
            self._fail(f"has {name} as a function and as a constant", token, "give each a name of its own")
        if name not in self.constants:
            self.constants.append(name)
            if len(self.constants) > _MAX_CONSTANTS:
                self._fail(f"has more than {_MAX_CONSTANTS} unknown constants", token, "fit a simpler form")
        return self._add(Operation("constant", (), self.constants.index(name)))

    def _called(self, token: _Token) -> int:
        name = token.text
        if name in self.columns or name == self.target:
            self._fail(f"has {quoted(name)}, a column, before a (", token, "write * between factors")
        if not _is_function(name):
            return self._unknown(token)
        inner = self._closed(self.tokens[self.position - 1])
        if name in _ROOTS:
            return self._operation("power", token, inner, self._number(_ROOTS[name]))
        if name in _LOGARITHMS:
            made = self._call("log", inner)
            return self._operation("divide", token, made, self._number(Fraction(math.log(_LOGARITHMS[name]))))
        return self._call(_ALIASES.get(name, name), inner)

    def _unknown(self, token: _Token) -> int:
        """A name before brackets that is no known function: one to be learnt, if there may be any."""
        name = token.text
        hint = nearest(name, _functions())
        if not self.open_parts or hint or name in _FOREIGN:
            known = hint or "; superpose.library() lists the functions, and superpose.register adds one"
            raise OptionError(
                f"the form {quoted(self.text)} has {quoted(name)} before a ( at character {token.place + 1}, and there "
                f"is no such function{known}"
            )
        bracket = self.tokens[self.position - 1]
        inner = self._closed(bracket)
        if self.operations[inner].kind != "column":
            self._fail(f"has {name}(...), a function to be learnt", token, "its brackets must hold one column")
        if name in self.splines or name in self.constants or not name.isidentifier():
            self._fail(f"has {name}(...), a function to be learnt", token, "give it a name of its own, such as f")
        self.splines.append(name)
        return self._add(Operation("spline", (inner,), name))

    def _column(self, name: str) -> int:
        return self._add(Operation("column", (), self.columns.index(name)))

    def _number(self, value: Fraction) -> int:
        return self._add(Operation("number", (), value))

    def _call(self, name: str, inner: int) -> int:
        return self._add(Operation("call", (inner,), name))

    def _operation(self, kind: Kind, token: _Token, *parts: int) -> int:
        """An operation on what was read; on two numbers, the number."""
        numbers = [one.value if (one := self.operations[part]).kind == "number" else None for part in parts]
        if kind == "divide" and numbers[1] == 0:
            self._fail("divides by zero", token, "correct it")
        if kind == "power" and numbers[1] is not None and abs(numbers[1]) > _MAX_EXPONENT:
            self._fail(f"has an exponent above {_MAX_EXPONENT}", token, "correct it")
        known = [number for number in numbers if number is not None]
        if len(known) == len(parts):
            return self._number(self._computed(kind, token, known))
        if kind == "power" and numbers[1] == 1:
            return parts[0]
        return self._add(Operation(kind, parts))

    def _computed(self, kind: Kind, token: _Token, numbers: list[Fraction]) -> Fraction:
        try:
            if kind == "negate":
                return -numbers[0]
            if kind == "power":
                # As doubles: a power of fractions could have any number of digits.
                value = float(numbers[0]) ** float(numbers[1])
                made = numbers[0] ** int(numbers[1]) if _is_small(numbers) else Fraction(value)
            elif kind == "add":
                made = numbers[0] + numbers[1]
            else:
                made = numbers[0] * numbers[1] if kind == "multiply" else numbers[0] / numbers[1]
            if math.isfinite(float(made)):
                return made
        except (OverflowError, ZeroDivisionError, TypeError, ValueError):
            pass  # too large, a power of zero, or a root of a negative number, which is complex
        self._fail("has an operation on numbers that gives no finite number", token, "correct it")

    def _add(self, operation: Operation) -> int:
        if operation not in self.places:
            self.places[operation] = len(self.operations)
            self.operations.append(operation)
        return self.places[operation]


def _is_small(numbers: list[Fraction]) -> bool:
    """Whether a power of two numbers is exact with few digits. The limits are round numbers."""
    base, exponent = numbers
    return exponent.denominator == 1 and abs(exponent) <= 20 and max(abs(base.numerator), base.denominator) < 1000


def _functions() -> list[str]:
    """Names that stand before brackets."""
    return [*(name for name in library() if name.isidentifier()), *_ALIASES, *_LOGARITHMS, *_ROOTS]


def _is_function(name: str) -> bool:
    # The function "x" of the library is the straight line, and x a usual name.
    return name != "x" and name in _functions()
