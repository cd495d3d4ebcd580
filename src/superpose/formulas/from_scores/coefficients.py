"""Coefficients of sums of terms, fitted by Newton's method on the likelihood."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from superpose.formulas.from_scores.rules import SearchRules
from superpose.nn.head import Head

# A smaller decrease of the mean deviance ends a fit: of 10,000 rows it is a thousandth of what a constant costs.
_MIN_DECREASE = 1e-6


def fit_coefficients(
    head: Head, jacobian: Tensor, y: Tensor, start: Tensor, rules: SearchRules
) -> tuple[float, Tensor]:
    """The deviance and the coefficients ``[P]`` of scores that are linear in them.

    Undamped: the likelihoods of most heads are concave in the scores, and thousands of sums are compared. A fit ends at
    the first step that does not lower the deviance.

    Args:
        head: of the scores.
        jacobian: ``[S, K, P]``; the scores are ``jacobian @ coefficients``.
        y: ``[S, K]`` targets.
        start: ``[P]`` first coefficients.
        rules: number of steps and ridge.
    """
    theta, kept, best = start, start, math.inf
    for _ in range(rules.newton_steps):
        scores = jacobian @ theta
        deviance = 2 * float(head(scores, y))
        if not deviance < best - _MIN_DECREASE:
            break
        best, kept = deviance, theta
        root = (head.hessian_root(scores, y) @ jacobian).flatten(0, 1)
        normal = root.T @ root / len(y)
        ridge = rules.ridge * (float(normal.diagonal().mean()) if rules.relative_ridge else 1.0)
        normal.diagonal().add_(ridge)
        gradient = torch.einsum("skp,sk->p", jacobian, head.gradient(scores, y)) / len(y)
        theta = theta - torch.linalg.solve(normal, gradient)
    return best, kept
