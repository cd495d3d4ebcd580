"""The damped Gauss-Newton method: one step and one loop, for networks, for constants of formulas, and for equations.

Sources: D. Marquardt, SIAM J. Appl. Math. 11 (1963); J. Nocedal and S. Wright, *Numerical Optimization* (2006),
section 10.3. How the damping changes stands in :mod:`superpose.optim.damping`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from superpose.deadline import charge
from superpose.optim.damping import Damping, DampingRule
from superpose.optim.parameters import Parameters


class Linearisation(Protocol):
    """A loss about the present parameters, to first order in its residuals."""

    def step(self, damping: float) -> tuple[Tensor, float] | None:
        """The damped step ``[P]`` and the decrease of the loss that it predicts; None if there is no such step."""


@dataclass(frozen=True)
class NormalEquations:
    """A loss by its normal equations, as for many residuals and up to some thousands of parameters.

    Attributes:
        matrix: ``J^T J``, ``[P, P]``.
        gradient: of half the loss, ``[P]``.
        floor: what each diagonal entry is raised by for the damping, relative to the largest: parameters that no
            residual sees stay where they are. Zero where parameters are in units of very different sizes.
        ridge: added to the damping, and never relaxed.
    """

    matrix: Tensor
    gradient: Tensor
    floor: float = 1e-6
    ridge: float = 0.0

    def step(self, damping: float) -> tuple[Tensor, float] | None:
        """The step, by a Cholesky factor of the damped matrix."""
        diagonal = self.matrix.diagonal()
        scale = diagonal + self.floor * diagonal.max().clamp(min=1e-30)
        scale = (damping + self.ridge) * torch.where(scale > 0, scale, 1.0)
        factor, failed = torch.linalg.cholesky_ex(self.matrix + torch.diag(scale))
        if int(failed):
            return None
        move = -torch.cholesky_solve(self.gradient[:, None], factor)[:, 0]
        return move, float(move @ (scale * move - self.gradient))


@dataclass(frozen=True)
class LeastSquares:
    """A sum of squares by its Jacobian, as for few parameters that are wanted to the last digit.

    A QR factor of the damped Jacobian has the square root of the condition number of the normal matrix.

    Attributes:
        jacobian: ``J [S, P]``.
        residual: ``r [S]``.
    """

    jacobian: Tensor
    residual: Tensor

    def step(self, damping: float) -> tuple[Tensor, float] | None:
        """The step, each parameter in units in which its column of the Jacobian has length one."""
        count = self.jacobian.shape[1]
        scale = self.jacobian.square().sum(0).sqrt()
        scale = torch.where(scale > 0, scale, 1.0)
        unit = self.jacobian / scale
        stacked = torch.cat([unit, math.sqrt(damping) * torch.eye(count, dtype=unit.dtype)])
        q, r = torch.linalg.qr(stacked)
        target = q[: len(unit)].T @ self.residual
        move = -torch.linalg.solve_triangular(r, target[:, None], upper=True)[:, 0]
        left = self.residual + unit @ move
        return move / scale, float(self.residual @ self.residual - left @ left)


def damped_step(
    linear: Linearisation, damping: Damping, loss: Callable[[Tensor], float], before: float, tries: int
) -> Tensor | None:
    """The first of up to ``tries`` steps, each more damped than the last, that lowers the loss; None if none does.

    Args:
        linear: the loss about the present parameters.
        damping: changed by the outcome of each try.
        loss: the loss after a step.
        before: the loss at the present parameters.
    """
    for _ in range(tries):
        solved = linear.step(damping.value)
        if solved is not None:
            move, predicted = solved
            gain = (before - loss(move)) / max(predicted, 1e-300)
            # A loss that is not a number compares as false.
            if gain > damping.rule.sufficient:
                damping.accept(gain)
                return move
        damping.reject()
        if damping.exhausted:
            return None
    return None


@dataclass(frozen=True)
class Stopping:
    """When :func:`minimise` ends.

    Attributes:
        steps: most tries, rejected ones included.
        loss: a loss below which nothing is left to gain.
        relative, absolute: an accepted step that lowers the loss by less ends the loop.
        late: whether the time is over.
    """

    steps: int
    loss: float = 0.0
    relative: float = 1e-6
    absolute: float = 0.0
    late: Callable[[], bool] = lambda: False


# Seconds that a step takes, derivatives of an expression at a thousand rows included. A round number.
_STEP = 1e-3


def minimise(
    loss: Callable[[Tensor], float],
    linearised: Callable[[Tensor], Linearisation | None],
    theta: Tensor,
    rule: DampingRule,
    stopping: Stopping,
) -> tuple[Tensor, float]:
    """Minimise a loss from ``theta [P]`` by damped Gauss-Newton steps; returns the parameters and the loss there.

    Args:
        loss: infinite where the loss is not finite.
        linearised: the loss about some parameters, or None where its derivatives are not finite.

    >>> t = torch.linspace(0, 1, 20, dtype=torch.float64)
    >>> residual = lambda theta: torch.exp(theta[0] * t) - torch.exp(2 * t)
    >>> theta, left = minimise(
    ...     lambda theta: float(residual(theta).square().sum()),
    ...     lambda theta: LeastSquares((t * torch.exp(theta[0] * t))[:, None], residual(theta)),
    ...     torch.zeros(1, dtype=torch.float64), DampingRule(), Stopping(steps=50, loss=1e-25),
    ... )
    >>> round(float(theta), 9)
    2.0
    """
    best, damping, linear = loss(theta), Damping(rule), None
    for _ in range(stopping.steps):
        if not math.isfinite(best) or best < stopping.loss or stopping.late():
            break
        charge(_STEP)
        linear = linear or linearised(theta)
        if linear is None:
            break
        after = math.inf

        def tried(move: Tensor, theta: Tensor = theta) -> float:
            nonlocal after
            after = loss(theta + move)
            return after

        move = damped_step(linear, damping, tried, best, 1)
        if move is None:
            if damping.exhausted:
                break
            continue
        small = after > best * (1 - stopping.relative) - stopping.absolute
        theta, best, linear = theta + move, after, None
        if small:
            break
    return theta, best


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
    """What one step did.

    Attributes:
        loss: the mean squared residual after the step, without penalties.
        accepted: whether the parameters changed.
        stalled: whether no step, however short, lowers the loss.
    """

    loss: float
    accepted: bool
    stalled: bool


class DampedGaussNewton(ABC):
    """Minimises a mean of squared residuals of a model, one :meth:`step` at a time.

    A subclass defines the residuals: their loss and their normal equations at the model's present parameters.

    Args:
        parameters: of the model, which accepted steps change in place.
        penalties: quadratic terms added to half the loss.
        damping: at the first step, relative to the diagonal of the normal matrix.
    """

    def __init__(
        self, parameters: Parameters, penalties: Sequence[Quadratic] = (), damping: float = DampingRule.start
    ) -> None:
        self.parameters = parameters
        self.penalties = list(penalties)
        self.damping = Damping(replace(DampingRule(), start=damping))
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

    def _add(self, terms: Sequence[Quadratic], system: tuple[Tensor, Tensor], sign: int = 1) -> tuple[Tensor, Tensor]:
        """Add quadratic terms to the normal matrix and the gradient, in place."""
        normal, gradient = system
        for term in terms:
            part = slice(term.start, term.start + term.matrix.shape[0])
            normal[part, part] += sign * term.matrix
            gradient[part] += sign * (term.matrix @ term.offset(self.theta))
        return normal, gradient

    def _assembled(self) -> tuple[Tensor, Tensor]:
        """The normal matrix and the gradient of half the loss, penalties included."""
        if self._system is None:
            self._system = self._add(self.penalties, self._equations())
        return self._system

    def normal_matrix(self) -> Tensor:
        """The normal matrix ``[P, P]`` at the present parameters, penalties included; not to be changed."""
        return self._assembled()[0]

    def effective_parameters(self) -> float:
        """How many parameters the data determine rather than the penalties: the trace of ``J^T J (J^T J + Q)^-1``.

        ``Q`` is the sum of the penalties. A direction that neither data nor penalties see counts as none. Where the
        matrix is singular to working precision, all parameters that are not frozen count.
        """
        normal, _ = self._without_frozen(*self._assembled())
        count = len(self.theta) - len(self.parameters.frozen)
        diagonal = normal.diagonal()
        # Below the smallest eigenvalues that are not rounding.
        ridge = 1e-12 * (diagonal + diagonal.max())
        factor, failed = torch.linalg.cholesky_ex(normal + torch.diag(ridge))
        if int(failed):
            return float(count)
        inverse = torch.cholesky_inverse(factor)
        held = float(inverse.diagonal() @ ridge)
        for term in self.penalties:
            part = slice(term.start, term.start + term.matrix.shape[0])
            held += float((inverse[part, part] * term.matrix).sum())
        return max(0.0, count - held)

    def set_penalties(self, penalties: Sequence[Quadratic]) -> None:
        """Replace the penalties from here on."""
        if self._system is not None:
            # The residuals' part is the expensive one and stays.
            self._add(penalties, self._add(self.penalties, self._system, -1))
        self.penalties = list(penalties)

    @torch.no_grad()
    def step(self, tries: int = 8) -> StepResult:
        """Make one accepted step, or up to ``tries`` rejected ones with growing damping."""
        normal, gradient = self._without_frozen(*self._assembled())
        if not bool(torch.isfinite(gradient).all()):
            return StepResult(self.loss, False, True)
        after = self.loss

        def loss(move: Tensor) -> float:
            nonlocal after
            self.parameters.set(self.theta + move)
            after = self._loss()
            return after + self._penalty(self.theta + move)

        before = self.loss + self._penalty(self.theta)
        move = damped_step(NormalEquations(normal, gradient), self.damping, loss, before, tries)
        if move is not None:
            self.theta = self.theta + move
            self.loss, self._system = after, None
            return StepResult(self.loss, True, False)
        self.parameters.set(self.theta)
        stalled = self.damping.exhausted
        if stalled:
            self.damping = Damping(DampingRule())
        return StepResult(self.loss, False, stalled)

    def _without_frozen(self, normal: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """The system in which frozen parameters have a step of zero and do not influence the others."""
        frozen = self.parameters.frozen
        if not len(frozen):
            return normal, gradient
        normal, gradient = normal.clone(), gradient.clone()
        normal[frozen], normal[:, frozen], gradient[frozen] = 0.0, 0.0, 0.0
        # As large as the largest of the others: the floor of the damping follows from that.
        normal[frozen, frozen] = normal.diagonal().max().clamp(min=1e-300)
        return normal, gradient
