"""Units from text: ``kg m^2/s^2``, ``J/(kg K)``, ``W m-2``.

A small grammar of products, quotients and powers is read here, and only single names such as ``km`` are looked up in
pint: text is data, and no library is asked to compute it.

    unit    = factor { ("*" | "·" | "/" | nothing) factor }
    factor  = (name | number | "(" unit ")") [ ("^" | "**") exponent ]
    name    = letters, with an exponent right behind it if no unit is called like the whole: m2, s-1
"""

from __future__ import annotations

import functools
import importlib.util
import math
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from superpose.errors import OptionError
from superpose.formulas.units.unit import ONE, Unit
from superpose.messages import nearest

# Longer texts are no units. A round number.
_MAX_LENGTH = 80
# Powers beyond this are slips. A round number.
_MAX_EXPONENT = 12
_MAX_NESTING = 5
# Larger factors are slips, and their powers overflow. A round number.
_MAX_NUMBER = 1e20
_DIMENSIONLESS = {"1", "dimensionless", "unitless"}
# Base units of pint that count things or angles: dimensionless in the SI.
_COUNTS = {"radian", "bit", "count"}
# Logarithmic scales that pint takes for something else: pH for picohenries.
_LOGARITHMIC = {"pH"}
_TOKEN = re.compile(
    r"\s*(?:(?P<name>[^\W\d_][^\W\d]*|[%°Å'\"][^\W\d]*)(?P<tail>[+-]?\d+(?:[^\W\d]\w*)?)?"
    r"|(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(?P<sign>\*\*|[*/^·⋅×()+-]))"
)
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")


def read_units(units: Mapping[str, str]) -> dict[str, Unit]:
    """Units of columns by their names.

    Raises:
        OptionError: for a text that is no unit, or where pint is not installed.
    """
    return {name: read_unit(text, f"column {name!r}") for name, text in units.items()}


def read_unit(text: str, of: str = "a column") -> Unit:
    """The unit that a text names.

    Args:
        text: such as ``kg m^2/s^2``; ``1`` or ``dimensionless`` for a number.
        of: whose unit it is, for messages.

    Raises:
        OptionError: if it is none, or where pint is not installed.

    >>> str(read_unit("kg*m**2/s**2")), round(read_unit("km/h").size, 6)
    ('kg m^2/s^2', 0.277778)
    >>> read_unit("W m-2") == read_unit("W/m²"), read_unit("1").is_one
    (True, True)
    """
    if not isinstance(text, str):
        raise OptionError(f"the unit of {of} is {text!r} and must be a text, such as 'kg' or 'm/s^2'")
    plain = " ".join(text.translate(_SUPERSCRIPTS).split())
    if len(text) > _MAX_LENGTH or not plain or not text.isprintable():
        raise _wrong(text, of, f"it must have 1 to {_MAX_LENGTH} printable characters")
    if plain in _DIMENSIONLESS:
        return ONE
    parser = _Parser(_tokens(plain, text, of), text, of)
    return parser.whole()


def units_in_names(names: Sequence[str]) -> dict[str, str]:
    """Units that stand in brackets at the end of columns' names; what stands there and is no unit is left out.

    >>> units_in_names(["mass [kg]", "v (m/s)", "depth (measured)", "n"])
    {'mass [kg]': 'kg', 'v (m/s)': 'm/s'}
    """
    found = {}
    for name in names:
        match = re.fullmatch(r".*?[\[(](.+)[\])]\s*", name)
        if match is None:
            continue
        text = match[1].strip()
        registry()
        try:
            read_unit(text)
        except OptionError:
            continue
        found[name] = text
    return found


@functools.cache
def registry() -> Any:
    """The registry of units, without a folder of its own.

    Raises:
        OptionError: if pint is not installed.
    """
    if importlib.util.find_spec("pint") is None:
        raise OptionError("units are read by pint, which is not installed; pip install 'superpose[units]' adds it")
    import pint

    return pint.UnitRegistry(cache_folder=None)


def _wrong(text: str, of: str, why: str) -> OptionError:
    shown = text if len(text) <= _MAX_LENGTH else f"{text[:20]}..."
    return OptionError(f"the unit of {of} is {shown!r}, which cannot be read: {why}; write units such as kg or m/s^2")


def _tokens(plain: str, text: str, of: str) -> list[tuple[str, str]]:
    """Kinds and texts: names, numbers, signs; an exponent right behind a name becomes a sign and a number."""
    found: list[tuple[str, str]] = []
    place = 0
    while place < len(plain):
        match = _TOKEN.match(plain, place)
        if match is None:
            raise _wrong(text, of, f"{plain[place:].strip()[:1]!r} belongs to no unit")
        name, tail = match["name"], match["tail"]
        if name is None:
            found.append(("number", match["number"]) if match["number"] else ("sign", match["sign"]))
        elif tail is None or _named(name + tail) is not None:
            found.append(("name", name + (tail or "")))
        elif tail.lstrip("+-").isdigit():
            found += [("name", name), ("sign", "^"), *([("sign", tail[0])] if tail[0] in "+-" else [])]
            found.append(("number", tail.lstrip("+-")))
        else:
            raise _unknown(name + tail, text, of)
        place = match.end()
    return found


@functools.lru_cache(maxsize=1000)
def _named(name: str) -> Unit | None:
    """The unit of a single name; None if there is none. No other text reaches pint."""
    if not re.fullmatch(r"[^\W\d_]\w*|[%°Å'\"]\w*", name):
        return None
    try:
        unit = registry().parse_units(name)
        size, base = registry().get_base_units(unit)
        exponents = {str(one): Fraction(power).limit_denominator(12) for one, power in base._units.items()}
    except OptionError:
        raise
    except Exception:  # pint has errors of many kinds for names that it does not know
        return None
    if not (size > 0 and math.isfinite(size)):
        return None
    exponents = {one: power for one, power in exponents.items() if one not in _COUNTS}
    return Unit(exponents, float(size), ((name, Fraction(1)),))


def _is_logarithmic(name: str) -> bool:
    """Whether equal steps of a unit are equal ratios, as of decibels."""
    if name in _LOGARITHMIC:
        return True
    definition = registry()._units.get(registry().get_name(name))
    return bool(getattr(definition, "is_logarithmic", False))


def _unknown(name: str, text: str, of: str) -> OptionError:
    known = ("kg", "g", "m", "cm", "mm", "km", "s", "min", "hour", "K", "degC", "Pa", "bar", "J", "W", "mol", "L")
    hint = nearest(name, known) or "; write units such as kg or m/s^2"
    return OptionError(f"the unit of {of} is {text!r}, and there is no unit {name!r}{hint}")


class _Parser:
    """Reads a list of tokens by recursive descent."""

    def __init__(self, tokens: list[tuple[str, str]], text: str, of: str) -> None:
        self.tokens, self.text, self.of = tokens, text, of
        self.place = 0
        self.depth = 0

    def whole(self) -> Unit:
        try:
            found = self.product()
        except OverflowError:
            found = Unit(size=0.0)
        if not 0 < found.size < math.inf:
            raise self.wrong("it is too large or too small")
        if self.place < len(self.tokens):
            raise self.wrong(f"{self.tokens[self.place][1]!r} is not expected")
        return found

    def wrong(self, why: str) -> OptionError:
        return _wrong(self.text, self.of, why)

    def next_is(self, *signs: str) -> bool:
        return self.place < len(self.tokens) and self.tokens[self.place] in [("sign", sign) for sign in signs]

    def product(self) -> Unit:
        found, divided = self.factor(), False
        while self.place < len(self.tokens) and not self.next_is(")"):
            if self.next_is("/"):
                self.place += 1
                if self.place < len(self.tokens) and self.tokens[self.place][0] == "number":
                    raise self.wrong("a number may not follow a /; write fractions in exponents as m^(1/2)")
                found, divided = found * self.factor() ** -1, True
            elif self.next_is("*", "·", "⋅", "×"):
                self.place += 1
                found = found * self.factor()
            elif divided:
                raise self.wrong("after a / it is not clear what is divided; use brackets, as in J/(kg K)")
            else:
                found = found * self.factor()
        return found

    def factor(self) -> Unit:
        if self.place == len(self.tokens):
            raise self.wrong("it ends too early")
        kind, token = self.tokens[self.place]
        self.place += 1
        if kind == "name":
            unit = _named(token)
            if unit is None:
                raise _unknown(token, self.text, self.of)
            if _is_logarithmic(token):
                raise self.wrong(f"{token} is a logarithmic scale; give the column as 1, a number")
        elif kind == "number":
            value = float(token)
            if not 1 / _MAX_NUMBER < value < _MAX_NUMBER:
                raise self.wrong(f"{token} is no factor of a unit")
            unit = ONE if value == 1 else Unit(size=value, parts=((token, Fraction(1)),))
        elif token == "(" and self.depth < _MAX_NESTING:
            self.depth += 1
            unit = self.product()
            if not self.next_is(")"):
                raise self.wrong("a bracket is not closed")
            self.place, self.depth = self.place + 1, self.depth - 1
        else:
            raise self.wrong(f"{token!r} is not expected")
        if self.next_is("^", "**"):
            self.place += 1
            return unit ** self.exponent()
        return unit

    def exponent(self) -> Fraction:
        bracket = self.next_is("(")
        self.place += bracket
        sign = -1 if self.next_is("-") else 1
        self.place += self.next_is("-", "+")
        value = self.number()
        if bracket and self.next_is("/"):
            self.place += 1
            divisor = self.number()
            if not divisor:
                raise self.wrong("an exponent is divided by zero")
            value /= divisor
        if bracket:
            if not self.next_is(")"):
                raise self.wrong("a bracket is not closed")
            self.place += 1
        if value > _MAX_EXPONENT or value.denominator > _MAX_EXPONENT:
            raise self.wrong(f"exponents are at most {_MAX_EXPONENT}")
        return sign * value

    def number(self) -> Fraction:
        if self.place == len(self.tokens) or self.tokens[self.place][0] != "number":
            raise self.wrong("an exponent is missing")
        token = self.tokens[self.place][1]
        # Of 1e999999 the fraction would fill the memory.
        if len(token) > 8 or "e" in token.lower():
            raise self.wrong(f"{token} is no exponent")
        self.place += 1
        return Fraction(token)
