"""What the catalogue says of a law."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

# Columns whose usual range spans more than this factor are usually sampled evenly in their logarithm: a dilution
# series, frequencies. A round number.
_DECADE = 20.0
# The limits of a constant that may have any sign, though it usually has one.
ANY = (-math.inf, math.inf)


@dataclass(frozen=True)
class LawColumn:
    """A column of a law.

    Attributes:
        meaning: a noun.
        low, high: between which it usually lies, in units usual in the field.
        whole: whether it has whole values.
    """

    meaning: str
    low: float
    high: float
    whole: bool = False

    @property
    def logarithmic(self) -> bool:
        """Whether it is usually sampled evenly in its logarithm."""
        return self.low > 0 and self.high >= _DECADE * self.low

    @property
    def sign(self) -> int:
        """1 for a column without values below zero, else 0."""
        return int(self.low >= 0)


@dataclass(frozen=True)
class LawConstant:
    """A constant of a law.

    Attributes:
        meaning: a noun.
        low, high: between which it usually lies, in the units of the columns. Of two positive numbers the constant is
            positive; otherwise it has any sign, unless ``bounds`` are given.
        bounds: the least and the largest value with which the law has its name.
    """

    meaning: str
    low: float
    high: float
    bounds: tuple[float, float] | None = None

    @property
    def limits(self) -> tuple[float, float]:
        """The least and the largest value."""
        if self.bounds is not None:
            return self.bounds
        return (0.0 if self.low > 0 else -math.inf, 0.0 if self.high < 0 else math.inf)


@dataclass(frozen=True)
class TextbookLaw:
    """A law of the catalogue.

    Attributes:
        name: the most usual name.
        form: as text, in the names of ``columns`` and ``constants``; see :func:`superpose.formulas.parse_form`.
        target: what it gives.
        columns: by the names that they have in the form.
        constants: by the names that they have in the form.
        source: where it was published, or a textbook.
        also: names that the same form has in other fields.
        plain: whether it is what anyone tries first, like a straight line or an inverse, and so as probable as all
            others together.
    """

    name: str
    form: str
    target: str
    columns: Mapping[str, LawColumn]
    constants: Mapping[str, LawConstant]
    source: str
    also: tuple[str, ...] = ()
    plain: bool = False

    @property
    def title(self) -> str:
        """The name, with those of other fields in brackets."""
        return f"{self.name} ({', '.join(self.also)})" if self.also else self.name
