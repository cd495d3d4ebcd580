"""The published tables in this folder, and what their cells mean."""

from __future__ import annotations

import csv
import json
import math
import re
from pathlib import Path

from benchmarks.problems.known_function import Variable

_NUMBER = re.compile(r"(?P<sign>-?)(?P<factor>\d+(?:\.\d+)?)?\*?(?P<pi>pi)?(?:/(?P<divisor>\d+))?")


def rows(name: str) -> list[dict[str, str]]:
    """The lines of a table by its column names."""
    text = Path(__file__).with_name(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def variables(text: str) -> tuple[Variable, ...]:
    """Inputs with their ranges.

    >>> variables("x:-pi/2:0.4*pi n0:0:1")
    (Variable(name='x', low=-1.57..., high=1.25...), Variable(name='n0', low=0.0, high=1.0))
    """
    return tuple(Variable(name, number(low), number(high)) for name, low, high in (v.split(":") for v in text.split()))


def number(text: str) -> float:
    """A number, or a multiple of pi.

    >>> number("-0.9"), number("2*pi") == 2 * math.pi, number("-pi/2") == -math.pi / 2
    (-0.9, True, True)
    """
    found = _NUMBER.fullmatch(text)
    if found is None or not (found["factor"] or found["pi"]):
        raise ValueError(f"{text!r} is no number")
    value = float(found["factor"] or 1) * (math.pi if found["pi"] else 1.0) / int(found["divisor"] or 1)
    return -value if found["sign"] else value


def errors(row: dict[str, str]) -> dict[str, float]:
    """The columns that end in ``_rmse``, by what stands before that."""
    return {key.removesuffix("_rmse"): float(cell) for key, cell in row.items() if key.endswith("_rmse")}


def shapes(row: dict[str, str]) -> dict[str, tuple[int, ...]]:
    """The columns that end in ``_shape``, by what stands before that."""
    return {key.removesuffix("_shape"): tuple(json.loads(cell)) for key, cell in row.items() if key.endswith("_shape")}
