"""A mean of sums of functions in different variables: some of logarithms, some of the target's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from superpose.nn.model import KAN
from superpose.nn.parallel import weighted_sum
from superpose.train.anova.fit import AnovaMixture, AnovaSettings
from superpose.train.anova.network import network_of


@dataclass(frozen=True)
class AnovaAverage:
    """A weighted mean of fits in different variables, in the target's units.

    Attributes:
        parts: the weights, of sum 1, and the fits; the first is in the variables of the best candidate.
    """

    parts: tuple[tuple[float, AnovaMixture], ...]

    @property
    def first(self) -> AnovaMixture:
        """In the variables of the best candidate."""
        return self.parts[0][1]

    @property
    def settings(self) -> AnovaSettings:
        """Of the best candidate."""
        return self.first.settings

    @property
    def effective(self) -> float:
        """Number of constants that the data determine."""
        return sum(weight * fit.effective for weight, fit in self.parts)

    def predict(self, x: Tensor) -> Tensor:
        """The target ``[N]`` at rows ``x [N, d]``."""
        return torch.stack([weight * fit.predict(x) for weight, fit in self.parts]).sum(0)

    def deviation(self, x: Tensor) -> Tensor:
        """Standard deviation ``[N]`` of a new row: noise, uncertainty, and what the parts differ by; that of the
        logarithm if this is the target of the first part."""
        if len(self.parts) == 1:
            return self.first.deviation(x)
        mean, squares = self.predict(x), []
        for weight, fit in self.parts:
            value = fit.predict(x)
            own = fit.deviation(x) * (value if fit.settings.log_target else 1)
            squares.append(weight * (own.square() + (value - mean).square()))
        deviation = torch.stack(squares).sum(0).sqrt()
        return deviation / mean.abs() if self.settings.log_target else deviation

    def network(self, feature_names: Sequence[str], target_names: Sequence[str]) -> KAN:
        """The network that computes :meth:`predict`, as :func:`network_of` makes those of the parts."""
        models = [network_of(fit, feature_names, target_names) for _, fit in self.parts]
        if len(models) == 1:
            return models[0]
        return weighted_sum(models, [weight for weight, _ in self.parts])
