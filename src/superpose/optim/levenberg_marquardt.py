"""Levenberg-Marquardt for KANs: the damped Gauss-Newton method on all edge functions at once.

The residuals are ``(model(x) - y)`` in scaled units, the parameters the rows ``C[i, :, o]`` of every spline edge and
the constants ``a, b, c, d`` of every symbolic one.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from superpose.nn.likelihood import Head
from superpose.nn.model import KAN
from superpose.optim.damping import DampingRule
from superpose.optim.gauss_newton import DampedGaussNewton, Quadratic
from superpose.optim.normal_equations import normal_equations
from superpose.optim.parameters import Parameters


class LevenbergMarquardt(DampedGaussNewton):
    """Minimises the mean squared residual of a model on ``x, y`` (scaled units), one :meth:`step` at a time.

    Args:
        model: changed in place by accepted steps.
        x: ``[B, n_in]`` scaled inputs.
        y: ``[B, n_out]`` scaled targets.
        penalties: quadratic terms added to half the mean squared residual.
        weights: ``[B]`` weights of the samples with mean 1, or None.
        damping: at the first step, relative to the diagonal of the normal matrix.
    """

    def __init__(
        self,
        model: KAN,
        x: Tensor,
        y: Tensor,
        *,
        penalties: Sequence[Quadratic] = (),
        weights: Tensor | None = None,
        damping: float = DampingRule.start,
    ) -> None:
        self.model, self.x, self.y = model, x, y
        self.weights = weights
        super().__init__(Parameters(model), penalties, damping)

    @torch.no_grad()
    def _loss(self) -> float:
        h = self.x
        for layer in self.parameters.layers:
            h = layer(h)
        squares = (h - self.y).square()
        if self.weights is not None:
            squares = squares * self.weights[:, None]
        return float(squares.mean())

    def _equations(self) -> tuple[Tensor, Tensor]:
        return normal_equations(self.parameters, self.x, self.y, self.weights)


class FisherScoring(DampedGaussNewton):
    """Minimises the losses of a head on ``x, y`` (scaled units), by the same damped steps as least squares.

    The loss is twice their mean over samples and outputs (the deviance), so that half of it has the matrix of
    :func:`normal_equations`. It is iteratively reweighted least squares on all curves of a network.

    Args:
        model: changed in place by accepted steps.
        x: ``[B, n_in]`` scaled inputs.
        y: ``[B, n_scores]`` targets as :meth:`superpose.nn.Head.targets` gives them.
        head: what the outputs are read by.
        penalties: quadratic terms added to half the loss.
        weights: ``[B]`` weights of the samples with mean 1, or None.
        damping: at the first step, relative to the diagonal of the matrix.
    """

    def __init__(
        self,
        model: KAN,
        x: Tensor,
        y: Tensor,
        head: Head,
        *,
        penalties: Sequence[Quadratic] = (),
        weights: Tensor | None = None,
        damping: float = DampingRule.start,
    ) -> None:
        self.model, self.x, self.y, self.head = model, x, y, head
        self.weights = weights
        super().__init__(Parameters(model), penalties, damping)

    @torch.no_grad()
    def outputs(self) -> Tensor:
        """The scores ``[B, n_scores]`` at the model's present parameters."""
        h = self.x
        for layer in self.parameters.layers:
            h = layer(h)
        return h

    def _loss(self) -> float:
        return float(2 * self.head(self.outputs(), self.y, self.weights) * len(self.y) / self.y.numel())

    def _equations(self) -> tuple[Tensor, Tensor]:
        return normal_equations(self.parameters, self.x, self.y, self.weights, self.head)

    def rescale(self) -> None:
        """Give the head the scale that suits the present scores best; see :meth:`superpose.nn.Head.rescaled`."""
        head = self.head.rescaled(self.outputs(), self.y, self.weights)
        if head != self.head:
            self.head, self._system = head, None
            self.loss = self._loss()
