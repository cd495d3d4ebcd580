"""Which texts are symbols of units, as they stand below a header or behind a number.

This is no dimensional analysis, which ``superpose.formulas.units`` does with pint: here a text is told from a word, so
that a row of units is not taken for data, nor a column of names for one of numbers.
"""

from __future__ import annotations

import re

_WITH_PREFIXES = """
    m g s A K mol cd Hz N Pa J W C V F Ω ohm S Wb T H lm lx Bq Gy Sv kat eV bar L l rad sr B b bit M pc yr Wh VA cal
    Torr Ah var dyn erg
"""
# Those that take no prefix: signs, times, and what is used besides the SI.
_WITHOUT_PREFIXES = """
    min h hr hrs d day days week weeks month months year years sec secs second seconds minute minutes hour hours
    t u Da au AU ly ha ° °C °F °K degC degF deg degrees % ‰ ppm ppb ppt in inch inches ft feet yd mi mile miles nmi lb
    lbs oz gal psi mph kph kn knot knots rpm atm mmHg dB dBm pH cc kcal Cal px pcs ct carat bpm kt gpm cfm Å
    metre metres meter meters gram grams kilogram kilograms tonne tonnes ton tons litre litres liter liters
    kelvin celsius volt volts ampere amperes amp amps watt watts joule joules newton newtons pascal hertz mole moles
"""
_PREFIXES = ("", *"YZEPTGMkhdcmµμunpfazy", "da")
_SYMBOLS = frozenset(_WITHOUT_PREFIXES.split()) | {
    prefix + symbol for symbol in _WITH_PREFIXES.split() for prefix in _PREFIXES
}
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
# As units of the SI these are charge and capacitance, but who writes them means degrees.
AMBIGUOUS = ("C", "F")
_FACTOR = re.compile(
    r"(?P<name>[^\W\d_]+|[°%‰Å][^\W\d_]*)(?:(?:\^|\*\*)?[({]?(?P<power>[-+−]?\d{1,2}(?:[./]\d)?)[)}]?)?"
)
_BETWEEN = re.compile(r"\s*[*·⋅×.]\s*|\s*/\s*|\s+")
_BRACKETS = re.compile(r"\[(.*)\]|\((.*)\)|\{(.*)\}|<(.*)>")
# No unit at all, as it stands in a row of units.
_NONE = ("", "-", "–", "—", "1", "dimensionless", "unitless", "none", "arb.u.", "arb. u.", "a.u.")


def is_unit(text: str) -> bool:
    """Whether a text is a product of powers of known units.

    >>> [is_unit(text) for text in ("kg", "m/s^2", "kg m-3", "°C", "W/(m² K)", "Bob", "high", "3")]
    [True, True, True, True, True, False, False, False]
    """
    text = text.strip().translate(_SUPERSCRIPTS)
    # What is not available is no newton per ampere.
    if not text or len(text) > 40 or text == "N/A":
        return False
    # A quotient of products in brackets has the same symbols without them.
    parts = _BETWEEN.split(re.sub(r"(?<![\^*])\(([^()]*)\)", r"\1", text))
    found = [_FACTOR.fullmatch(part) for part in parts if part != "1"]
    return bool(found) and all(one is not None and _is_symbol(one["name"]) for one in found)


def _is_symbol(name: str) -> bool:
    # Whole words are written as names are; of symbols the case matters.
    return name in _SYMBOLS or (len(name) > 3 and name.lower() in _SYMBOLS)


def unit_below_header(text: str) -> str | None:
    """The unit that a cell of a row of units names, ``1`` for none; None if it is no such cell.

    >>> unit_below_header("[m/s]"), unit_below_header("kg"), unit_below_header("-"), unit_below_header("Bob")
    ('m/s', 'kg', '1', None)
    """
    text = text.strip()
    inner = _BRACKETS.fullmatch(text)
    if inner is not None:
        text = next(group for group in inner.groups() if group is not None).strip()
    if text in _NONE:
        return "1"
    # What stands in brackets below a name is a unit, also one that is not known here.
    return text if is_unit(text) or (inner is not None and not text[:1].isdigit()) else None
