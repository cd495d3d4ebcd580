"""The damping of Gauss-Newton steps: the one place where the rule and its constants stand.

A step ``h`` solves ``(J^T J + mu D) h = -J^T r``. Large ``mu`` makes it short and along the gradient; with small ``mu``
it is the Gauss-Newton step. The rule is that of H. B. Nielsen, *Damping parameter in Marquardt's method*
(IMM-REP-1999-05, Technical University of Denmark): after an accepted step ``mu`` is multiplied by
``max(1/10, 1 - (2 gain - 1)^3)``, where the gain is the actual decrease of the loss divided by the predicted one; after
the n-th rejection in a row it is multiplied by ``2^n``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class DampingRule:
    """Constants of the rule.

    Attributes:
        start: damping of the first step, relative to the diagonal of the normal matrix. Nielsen takes 1e-3 near a
            solution and 1 far from it; networks start in between.
        smallest, largest: bounds. At ``smallest`` it is below the rounding of the normal matrix; a step that fails at
            ``largest`` is shorter than 1e-8 of the Gauss-Newton step, and the minimisation has stalled.
        relax: the smallest factor after an accepted step. Nielsen's is 1/3; 1/10, Marquardt's, reaches Gauss-Newton
            steps sooner. Chosen on networks; how sensitive results are was not measured.
        growth: factor after the first rejection; it doubles with each further one (Nielsen).
        sufficient: least gain of an accepted step. Above zero, it refuses steps whose decrease is rounding.
    """

    start: float = 1e-2
    smallest: float = 1e-14
    largest: float = 1e8
    relax: float = 0.1
    growth: float = 2.0
    sufficient: float = 1e-4


class Damping:
    """The present damping, changed by what became of each step.

    >>> damping = Damping(DampingRule(start=1e-2))
    >>> damping.reject(), damping.value, damping.reject(), damping.value
    (None, 0.02, None, 0.08)
    >>> damping.accept(gain=1.0), round(damping.value, 12)
    (None, 0.008)
    """

    def __init__(self, rule: DampingRule) -> None:
        self.rule = rule
        self.value, self._growth = rule.start, rule.growth

    @property
    def exhausted(self) -> bool:
        """Whether it grew beyond its bound: steps too short to change anything were rejected."""
        return self.value > self.rule.largest

    def accept(self, gain: float) -> None:
        """Relax after a step whose actual decrease was ``gain`` times the predicted one."""
        factor = max(self.rule.relax, 1 - (2 * min(gain, 1.0) - 1) ** 3)
        self.value = max(self.value * factor, self.rule.smallest)
        self._growth = self.rule.growth

    def reject(self) -> None:
        """Grow after a step that did not lower the loss."""
        self.value *= self._growth
        self._growth *= 2.0


def adjusted(damping: Tensor, accepted: Tensor) -> Tensor:
    """The damping ``[K]`` of ``K`` independent fits that take their steps together, after ``accepted [K]``.

    Fixed factors take the place of gain ratios: of thousands of fits with two parameters each, the predicted decrease
    would cost as much as the step. 0.2 and 10 were set by hand; nothing was measured. The bounds keep the value within
    what float64 can add to a diagonal.
    """
    return torch.where(accepted, damping * 0.2, damping * 10).clamp(1e-12, 1e6)
