"""Structure of residuals: the column along which neighbouring ones are alike (J. Durbin and G. Watson, 1950)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

# A correlation of neighbouring residuals of so many standard deviations of chance is structure: of some columns the
# largest is looked at.
_STRUCTURE = 3.0


def structured_column(names: Sequence[str], x: Tensor, rest: Tensor) -> str:
    """The column along which neighbouring residuals are most alike, if that is no chance; else nothing.

    The correlation of ``n`` residuals without structure with their neighbours has the mean ``-1/n`` and the standard
    deviation ``1/sqrt(n)``.

    Args:
        names: of the columns.
        x: ``[n, d]`` columns.
        rest: ``[n]`` residuals, not all zero.
    """
    rest = rest - rest.mean()
    total, count = float(rest.square().sum()), len(rest)
    found = {}
    for place, name in enumerate(names):
        ordered = rest[x[:, place].argsort(stable=True)]
        correlation = float((ordered[1:] * ordered[:-1]).sum()) / total
        found[name] = (correlation + 1 / count) * math.sqrt(count)
    name = max(found, key=lambda one: found[one])
    return name if found[name] > _STRUCTURE else ""
