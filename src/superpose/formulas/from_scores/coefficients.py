"""Coefficients of sums of terms, fitted by maximum likelihood."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from superpose.formulas.from_scores.rules import SearchRules
from superpose.nn.likelihood import Head
from superpose.optim.damping import DampingRule
from superpose.optim.gauss_newton import NormalEquations, Stopping, minimise

# The likelihoods of most heads are concave in the scores: steps begin nearly undamped. No step that lowers the deviance
# is refused. Round numbers.
_DAMPING = DampingRule(start=1e-6, largest=1e3, sufficient=0.0)
# A smaller decrease of the mean deviance ends a fit: of 10,000 rows it is a thousandth of what a constant costs.
_MIN_DECREASE = 1e-6


def fit_coefficients(
    head: Head, jacobian: Tensor, y: Tensor, start: Tensor, rules: SearchRules
) -> tuple[float, Tensor]:
    """The deviance and the coefficients ``[P]`` of scores that are linear in them.

    Args:
        head: of the scores.
        jacobian: ``[S, K, P]``; the scores are ``jacobian @ coefficients``.
        y: ``[S, K]`` targets.
        start: ``[P]`` first coefficients.
        rules: number of steps and ridge.
    """

    def deviance(theta: Tensor) -> float:
        found = 2 * float(head(jacobian @ theta, y))
        return found if math.isfinite(found) else math.inf

    def linearised(theta: Tensor) -> NormalEquations:
        scores = jacobian @ theta
        root = (head.hessian_root(scores, y) @ jacobian).flatten(0, 1)
        normal = root.T @ root / len(y)
        normal.diagonal().add_(rules.ridge * (float(normal.diagonal().mean()) if rules.relative_ridge else 1.0))
        gradient = torch.einsum("skp,sk->p", jacobian, head.gradient(scores, y)) / len(y)
        return NormalEquations(normal, gradient, floor=0.0)

    stopping = Stopping(rules.newton_steps, relative=0.0, absolute=_MIN_DECREASE)
    theta, least = minimise(deviance, linearised, start, _DAMPING, stopping)
    return least, theta
