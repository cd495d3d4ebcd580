"""Levenberg-Marquardt for KANs: the damped Gauss-Newton method on all edges' curves at once.

The residuals are ``(model(x) - y)`` in scaled units, the parameters the rows ``C[i, :, o]`` of every spline edge and
the constants ``a, b, c, d`` of every symbolic one.

Sources: D. Marquardt, SIAM J. Appl. Math. 11 (1963); H. B. Nielsen, *Damping parameter in Marquardt's method*
(1999), whose gain-ratio rule sets the damping here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from superpose.nn.head import Head
from superpose.nn.model import KAN
from superpose.optim.normal_equations import normal_equations
from superpose.optim.parameters import Parameters

_LEAST_DAMPING, _MOST_DAMPING = 1e-14, 1e8


@dataclass(frozen=True)
class Quadratic:
    """A penalty ``d^T matrix d / 2`` on ``d = theta - center`` for some entries of the parameter vector, summed over a
    list of these; no center is zero."""

    start: int
    matrix: Tensor
    center: Tensor | None = None

    def offset(self, theta: Tensor) -> Tensor:
        """``d``."""
        part = theta[self.start : self.start + self.matrix.shape[0]]
        return part if self.center is None else part - self.center


@dataclass(frozen=True)
class StepResult:
    """What one step did: the mean squared residual after it, whether it was taken, whether all hope is gone."""

    loss: float
    accepted: bool
    stalled: bool


class DampedGaussNewton(ABC):
    """Minimises a mean of squared residuals, whatever they are, one :meth:`step` at a time.

    A subclass says what the residuals are: their loss and their normal equations at the model's present parameters.

    Args:
        parameters: of the model, which accepted steps change in place.
        penalties: quadratic terms added to half the loss.
        damping: at the first step, relative to the diagonal of the normal matrix.
    """

    def __init__(self, parameters: Parameters, penalties: Sequence[Quadratic] = (), damping: float = 1e-2) -> None:
        self.parameters = parameters
        self.penalties = list(penalties)
        self.damping, self._growth = damping, 2.0
        self._system: tuple[Tensor, Tensor] | None = None
        self.theta = self.parameters.get()
        self.loss = self._loss()

    @abstractmethod
    def _loss(self) -> float:
        """The (weighted) mean of the squared residuals, without penalties."""

    @abstractmethod
    def _equations(self) -> tuple[Tensor, Tensor]:
        """``J^T J`` of those residuals and the gradient of half the loss, without penalties."""

    def _penalty(self, theta: Tensor) -> float:
        total = 0.0
        for term in self.penalties:
            offset = term.offset(theta)
            total += float(offset @ term.matrix @ offset)
        return total

    def _assemble(self) -> tuple[Tensor, Tensor]:
        """The normal matrix and the gradient of half the loss, penalties included."""
        normal, gradient = self._equations()
        for term in self.penalties:
            part = slice(term.start, term.start + term.matrix.shape[0])
            normal[part, part] += term.matrix
            gradient[part] += term.matrix @ term.offset(self.theta)
        return normal, gradient

    def normal_matrix(self) -> Tensor:
        """The normal matrix ``[P, P]`` at the present parameters, penalties included; not to be changed."""
        if self._system is None:
            self._system = self._assemble()
        return self._system[0]

    def set_penalties(self, penalties: Sequence[Quadratic]) -> None:
        """Take other penalties from here on."""
        if self._system is not None:
            # What was assembled stays; only the terms in it are exchanged.
            normal, gradient = self._system
            for sign, terms in ((-1, self.penalties), (1, penalties)):
                for term in terms:
                    part = slice(term.start, term.start + term.matrix.shape[0])
                    normal[part, part] += sign * term.matrix
                    gradient[part] += sign * (term.matrix @ term.offset(self.theta))
        self.penalties = list(penalties)

    @torch.no_grad()
    def step(self, tries: int = 8) -> StepResult:
        """One accepted step, or up to ``tries`` rejected ones with growing damping."""
        if self._system is None:
            self._system = self._assemble()
        normal, gradient = self._without_frozen(*self._system)
        if not bool(torch.isfinite(gradient).all()):
            return StepResult(self.loss, False, True)
        diagonal = normal.diagonal()
        # The floor keeps directions that no sample sees where they are.
        scale = diagonal + 1e-6 * diagonal.max().clamp(min=1e-30)
        before = self.loss + self._penalty(self.theta)
        for _ in range(tries):
            damped = normal + torch.diag(self.damping * scale)
            factor, failed = torch.linalg.cholesky_ex(damped)
            if int(failed) == 0:
                move = -torch.cholesky_solve(gradient[:, None], factor)[:, 0]
                predicted = float(move @ (self.damping * scale * move - gradient))
                self.parameters.set(self.theta + move)
                loss = self._loss()
                gain = (before - loss - self._penalty(self.theta + move)) / max(predicted, 1e-300)
                if loss == loss and gain > 1e-4:
                    self.theta = self.theta + move
                    self.loss, self._system = loss, None
                    self._relax(gain)
                    return StepResult(loss, True, False)
            self.damping *= self._growth
            self._growth *= 2.0
            if self.damping > _MOST_DAMPING:
                break
        self.parameters.set(self.theta)
        stalled = self.damping > _MOST_DAMPING
        if stalled:
            self.damping, self._growth = 1e-2, 2.0
        return StepResult(self.loss, False, stalled)

    def _without_frozen(self, normal: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """The system in which what is frozen has a step of zero, and is seen by nothing else."""
        frozen = self.parameters.frozen
        if not len(frozen):
            return normal, gradient
        normal, gradient = normal.clone(), gradient.clone()
        normal[frozen], normal[:, frozen], gradient[frozen] = 0.0, 0.0, 0.0
        # As large as the largest of the others: the floor of the damping follows from that.
        normal[frozen, frozen] = normal.diagonal().max().clamp(min=1e-300)
        return normal, gradient

    def _relax(self, gain: float) -> None:
        factor = max(1 / 10, 1 - (2 * min(gain, 1.0) - 1) ** 3)
        self.damping = max(self.damping * factor, _LEAST_DAMPING)
        self._growth = 2.0


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
        damping: float = 1e-2,
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
        damping: float = 1e-2,
    ) -> None:
        self.model, self.x, self.y, self.head = model, x, y, head
        super().__init__(Parameters(model), penalties, damping)

    @torch.no_grad()
    def outputs(self) -> Tensor:
        """The scores ``[B, n_scores]`` at the model's present parameters."""
        h = self.x
        for layer in self.parameters.layers:
            h = layer(h)
        return h

    def _loss(self) -> float:
        return float(2 * self.head.losses(self.outputs(), self.y).sum() / self.y.numel())

    def _equations(self) -> tuple[Tensor, Tensor]:
        return normal_equations(self.parameters, self.x, self.y, head=self.head)

    def rescale(self) -> None:
        """Give the head the scale that suits the present scores best; see :meth:`superpose.nn.Head.rescaled`."""
        head = self.head.rescaled(self.outputs(), self.y)
        if head != self.head:
            self.head, self._system = head, None
            self.loss = self._loss()
