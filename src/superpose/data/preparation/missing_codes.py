"""Numbers that stand for missing values: -999 and the like, far from all other values of their column."""

from __future__ import annotations

import re
from dataclasses import dataclass

from superpose.data.preparation.cells import gaps, written
from superpose.data.tables import FloatArray
from superpose.messages import counted, quoted

# Nothing but nines (-99, 9999, -99.9, 99.99), the -999.25 of well logs, and the least whole numbers of 16 and 32 bits.
_CODE = re.compile(r"-?9{2,}(?:\.9+)?|-?9\.9+|-999\.25|-32768|-2147483648")
# Fewer other values say little of where a column's values lie. A round number.
_LEAST_OTHERS = 3


@dataclass(frozen=True)
class MissingCode:
    """A number that is likely to stand for missing values.

    Attributes:
        value: the number.
        rows: in which it stands.
        low, high: the ends of the other values.
    """

    value: float
    rows: int
    low: float
    high: float

    def sentence(self, name: str) -> str:
        """What is said of it in the column of this name."""
        return (
            f"column {quoted(name)} holds {written(self.value)} in {counted(self.rows, 'row')} and otherwise "
            f"{self.low:.6g} to {self.high:.6g}; it is taken as a number: if it means that the value is missing, empty "
            "these cells, or leave the rows out with a condition (where, --where)"
        )


def missing_code(values: FloatArray) -> MissingCode | None:
    """The number in a column ``[N]`` that is likely to mean "missing": an end of it, written as such codes are.

    It lies farther from the other values than these lie from each other.

    >>> import numpy
    >>> missing_code(numpy.array([12.5, -999.0, 13.1, 12.9, -999.0, 14.0]))
    MissingCode(value=-999.0, rows=2, low=12.5, high=14.0)
    >>> missing_code(numpy.array([97.0, 98.0, 99.0, 100.0]))
    """
    values = values[~gaps(values)]
    if not len(values):
        return None
    for end in (float(values.min()), float(values.max())):
        if not _CODE.fullmatch(written(end)):
            continue
        others = values[values != end]
        if len(others) < _LEAST_OTHERS:
            continue
        low, high = float(others.min()), float(others.max())
        if max(low - end, end - high) > high - low > 0:
            return MissingCode(end, len(values) - len(others), low, high)
    return None
