"""Inputs that enter a function as one weighted sum, seen in the slopes of a network that learnt it.

A function that depends on ``x1`` and ``x2`` by ``x1 - x2`` only has ``f_x1 = -f_x2`` everywhere: two columns of its
slopes are proportional. A network whose first layer computes the sum has fewer inputs left to learn, and far fewer
constants; the weights need not be known well, since least squares goes on with them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Weights of the inputs of each sum, by their numbers; every input stands in one sum, alone or with others.
Combinations = tuple[tuple[tuple[int, float], ...], ...]

# Columns of slopes count as proportional up to an angle whose half has this sine, and for a network that learnt its
# data well only up to so many times its error: a ratio that changes slowly from place to place is a curve, and no
# weight. Those of sums in Feynman equations were at most seven times the error, and those of other pairs 0.25 and more.
_MAX_ANGLE, _ERRORS, _FLOOR = 0.2, 10.0, 1e-3


def detect(slopes: Tensor, error: float) -> Combinations | None:
    """The sums in which inputs enter, or None where each enters by itself.

    Args:
        slopes: ``[S, n]`` of a network by its inputs, at samples.
        error: the network's, in units of the target's spread.

    >>> s = torch.linspace(-1, 1, 50)
    >>> detect(torch.stack([s, -2 * s, s**2 + 1], -1), 0.01)
    (((0, 0.333...), (1, -0.666...)), ((2, 1.0),))
    """
    n = slopes.shape[1]
    # Steep places say no more than others.
    sizes = slopes.norm(dim=1, keepdim=True)
    slopes = slopes / (sizes + sizes.median() + 1e-300)  # no division by zero
    gram = slopes.T @ slopes
    # Slopes that are no numbers make none that is less than anything, and so no sum.
    lengths = gram.diagonal().sqrt()
    cosines = (gram / (lengths[:, None] * lengths).clamp(min=1e-300)).abs().clamp(max=1)  # no division by zero
    angles = ((1 - cosines) / 2).sqrt()
    close = torch.nonzero(torch.triu(angles < min(_MAX_ANGLE, _ERRORS * error + _FLOOR), diagonal=1)).tolist()
    pairs = sorted((float(angles[i, j]), i, j) for i, j in close)
    members = [[i] for i in range(n)]
    for _, i, j in pairs:
        if members[i] is not members[j]:
            joined = members[i] + members[j]
            for k in joined:
                members[k] = joined
    groups = sorted({tuple(sorted(group)) for group in members})
    if len(groups) == n:
        return None
    return tuple(_weighted(group, gram) for group in groups)


def _weighted(group: tuple[int, ...], gram: Tensor) -> tuple[tuple[int, float], ...]:
    """The inputs of one sum with weights whose sizes add up to one; the first one's is positive."""
    largest = max(group, key=lambda i: float(gram[i, i]))
    weights = [float(gram[i, largest] / gram[largest, largest]) for i in group]
    whole = math.copysign(sum(map(abs, weights)), weights[0])
    return tuple((i, weight / whole) for i, weight in zip(group, weights, strict=True))
