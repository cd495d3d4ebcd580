"""The step to which measured values were rounded, and the error that this alone makes."""

from __future__ import annotations

import math

from torch import Tensor

# A step is told from many digits only while numbers are less than this many steps. A round number.
_MOST_STEPS = 1e6
# Of a step, by which values may differ from its multiples: the rounding of decimals to doubles.
_EXACT = 1e-9


def step_of(values: Tensor) -> float | None:
    """The largest of 1, 2 and 5 times a power of ten of which all values ``[N]`` are multiples; None without one.

    >>> import torch
    >>> step_of(torch.tensor([20.5, 21.0, 19.5, 22.0], dtype=torch.float64))
    0.5
    >>> step_of(torch.tensor([20.51, 20.0 / 3], dtype=torch.float64)) is None
    True
    """
    values = values.double()
    size = float(values.abs().max()) if len(values) else 0.0
    if not (0 < size < math.inf):
        return None
    for exponent in range(math.floor(math.log10(size)), math.floor(math.log10(size / _MOST_STEPS)), -1):
        for times in (5, 2, 1):
            # Powers of ten below one are no doubles, their reciprocals are.
            step = times * 10.0**exponent if exponent >= 0 else times / 10.0**-exponent
            multiples = values / step
            if float((multiples - multiples.round()).abs().max()) < _EXACT:
                return step
    return None


def rounding_error(step: float) -> float:
    """The root mean squared error of rounding to multiples of a step: its width over the root of 12."""
    return step / math.sqrt(12)
