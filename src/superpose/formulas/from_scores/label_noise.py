"""A head for labels of which some are wrong, wherever they are: a sigmoid between two probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from superpose.nn.likelihood import Head


@dataclass(frozen=True)
class _Plateaus:
    """How flip rates are read from a network's probabilities. A test has 15% of wrong labels in one class.

    Attributes:
        tail: share of the rows at each end of the probabilities that a plateau is read from.
        min_rate: smaller flip rates are not modelled.
        min_distance: between the two plateaus; with less the classes are hardly separated, and no plateau is seen.
    """

    tail: float = 0.05
    min_rate: float = 0.02
    min_distance: float = 0.2


_PLATEAUS = _Plateaus()


@dataclass(frozen=True)
class LabelNoiseHead(Head):
    """A sigmoid with label noise: the second class has the probability ``low + (high - low) / (1 + exp(-g))``.

    This is the forward correction of a loss for label noise (Patrini et al., CVPR 2017) for two classes. With wrong
    labels far from a boundary, the likelihood of a plain sigmoid moves the boundary towards the side that has more of
    them. The head is used in the search for a formula; the formula is read by a plain sigmoid afterwards.

    Attributes:
        low: probability that a label of the first class is wrong.
        high: probability that a label of the second class is right.
    """

    low: float = 0.0
    high: float = 1.0

    @classmethod
    def from_scores(cls, head: Head, scores: Tensor) -> LabelNoiseHead | None:
        """With the probabilities at which a network's scores ``[N]`` level off; None if they reach 0 and 1."""
        tails = torch.tensor([_PLATEAUS.tail, 1 - _PLATEAUS.tail], dtype=torch.float64)
        low, high = torch.sigmoid(scores.double()).quantile(tails).tolist()
        certain = low < _PLATEAUS.min_rate and high > 1 - _PLATEAUS.min_rate
        if certain or high - low < _PLATEAUS.min_distance:
            return None
        return cls("sigmoid", head.classes, head.scale, head.name, low, high)

    def _probability(self, scores: Tensor) -> Tensor:
        # For finite logarithms. A round number, far below the flip rates that are modelled (``min_rate``).
        return (self.low + (self.high - self.low) * torch.sigmoid(scores[:, 0])).clamp(1e-9, 1 - 1e-9)

    def _derivative(self, scores: Tensor) -> Tensor:
        g = scores[:, 0]
        return (self.high - self.low) * torch.sigmoid(g) * torch.sigmoid(-g)

    def probabilities(self, scores: Tensor) -> Tensor:
        """``[N, 2]`` from scores ``[N, 1]``, of the labels, wrong ones included."""
        p = self._probability(scores)
        return torch.stack([1 - p, p], -1)

    def losses(self, scores: Tensor, y: Tensor) -> Tensor:
        p, second = self._probability(scores), y[:, 0]
        return -(second * p.log() + (1 - second) * (1 - p).log())

    def gradient(self, scores: Tensor, y: Tensor) -> Tensor:
        p = self._probability(scores)
        return ((p - y[:, 0]) / (p * (1 - p)) * self._derivative(scores))[:, None]

    def hessian_root(self, scores: Tensor, y: Tensor) -> Tensor:
        p = self._probability(scores)
        # Where the sigmoid is flat, far from a boundary, the curvature would vanish. A round number.
        return (self._derivative(scores).square() / (p * (1 - p))).clamp(min=1e-12).sqrt()[:, None, None]
