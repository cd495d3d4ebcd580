"""Labels of which some are wrong wherever they stand: a sigmoid that does not go from 0 to 1."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from superpose.nn.head import Head

# Shares at the ends of the network's probabilities that its plateaus are read from, and shares too small to be any.
_ENDS, _LEAST_SHARE = 0.05, 0.02


@dataclass(frozen=True)
class Noisy(Head):
    """A sigmoid between two shares: the second class has the probability ``low + (high - low) / (1 + exp(-g))``.

    With wrong labels far from a boundary, a plain sigmoid's likelihood moves the boundary towards the side that has
    more of them. For the search of a formula only; what is found is read by a plain sigmoid.

    Attributes:
        low, high: the shares.
    """

    low: float = 0.0
    high: float = 1.0

    @classmethod
    def of(cls, head: Head, scores: Tensor) -> Noisy | None:
        """With the shares at which a network's scores ``[N]`` level off; None where they do not."""
        ends = torch.sigmoid(scores.double()).quantile(torch.tensor([_ENDS, 1 - _ENDS], dtype=torch.float64))
        low, high = (float(end) for end in ends)
        if high - low < 0.2 or (low < _LEAST_SHARE and high > 1 - _LEAST_SHARE):
            return None
        return cls("sigmoid", head.classes, head.scale, head.name, low, high)

    def _probability(self, scores: Tensor) -> Tensor:
        return (self.low + (self.high - self.low) * torch.sigmoid(scores[:, 0])).clamp(1e-9, 1 - 1e-9)

    def losses(self, scores: Tensor, y: Tensor) -> Tensor:
        p, seen = self._probability(scores), y[:, 0]
        return -(seen * p.log() + (1 - seen) * (1 - p).log())

    def slopes(self, scores: Tensor, y: Tensor) -> Tensor:
        p = self._probability(scores)
        return ((p - y[:, 0]) / (p * (1 - p)) * self._slope(scores))[:, None]

    def roots(self, scores: Tensor, y: Tensor) -> Tensor:
        p = self._probability(scores)
        return (self._slope(scores).square() / (p * (1 - p))).clamp(min=1e-12).sqrt()[:, None, None]

    def _slope(self, scores: Tensor) -> Tensor:
        g = scores[:, 0]
        return (self.high - self.low) * torch.sigmoid(g) * torch.sigmoid(-g)
