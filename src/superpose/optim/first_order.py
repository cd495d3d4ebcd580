"""L-BFGS and AdamW behind the same interface as Levenberg-Marquardt: ``step() -> StepResult``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from superpose.nn.likelihood import Head
from superpose.nn.model import KAN
from superpose.optim.gauss_newton import StepResult

Loss = Callable[[Tensor, Tensor], Tensor]
Penalty = Callable[[Tensor], Tensor]


def mean_loss(loss: Loss | None, prediction: Tensor, y: Tensor, weights: Tensor | None = None) -> Tensor:
    """What training minimises: the mean squared error where ``loss`` is None, the loss that was given otherwise.

    Args:
        weights: ``[B]`` of the samples with mean 1, for squared errors and a :class:`~superpose.nn.Head`; other losses
            have no weights.
    """
    if loss is None:
        squares = (prediction - y).square()
        return squares.mean() if weights is None else (weights[:, None] * squares).mean()
    return loss(prediction, y, weights) if isinstance(loss, Head) else loss(prediction, y)


def make_lbfgs(parameters: Iterable[nn.Parameter], learning_rate: float, memory: int) -> torch.optim.LBFGS:
    """L-BFGS that makes one direction and its line search at each step.

    Args:
        memory: pairs of steps and gradient changes that the Hessian is approximated from.
    """
    return torch.optim.LBFGS(
        parameters,
        lr=learning_rate,
        max_iter=1,
        # Torch's own limit follows from max_iter, and would leave the line search a single evaluation.
        max_eval=26,
        history_size=memory,
        line_search_fn="strong_wolfe",
        # Below float64's rounding of gradients and steps in scaled units: training decides when to stop, not these.
        tolerance_grad=1e-14,
        tolerance_change=1e-16,
    )


def make_adamw(
    parameters: Iterable[nn.Parameter], learning_rate: float, steps: int
) -> tuple[torch.optim.AdamW, torch.optim.lr_scheduler.LambdaLR]:
    """AdamW without weight decay, and a schedule that lowers its rate to a hundredth along a half cosine."""
    optimizer = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=0.0)
    # The last steps settle at the low rate.
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: 0.01 + 0.495 * (1 + math.cos(math.pi * min(1.0, step / steps)))
    )
    return optimizer, schedule


@dataclass(frozen=True)
class Objective:
    """What is minimised: a loss on samples and a penalty.

    Attributes:
        model: its parameters are changed.
        x, y: scaled inputs ``[B, n_in]`` and targets ``[B, n_out]``.
        loss: of (prediction, target); the mean squared error if None.
        penalty: of the scaled inputs, or None.
        weights: of the samples; see :func:`mean_loss`.
    """

    model: KAN
    x: Tensor
    y: Tensor
    loss: Loss | None
    penalty: Penalty | None = None
    weights: Tensor | None = None

    def value(self, rows: Tensor | slice = slice(None)) -> Tensor:
        """The loss on some rows, without the penalty."""
        h = self.x[rows]
        for layer in self.model.layers:
            h = layer(h)
        return mean_loss(self.loss, h, self.y[rows], None if self.weights is None else self.weights[rows])

    def backward(self, rows: Tensor | slice = slice(None)) -> tuple[Tensor, Tensor]:
        """Leave the gradient of loss and penalty in the parameters; returns the loss, and the sum of both."""
        value = self.value(rows)
        total = value if self.penalty is None else value + self.penalty(self.x[rows])
        total.backward()  # type: ignore[no-untyped-call]
        return value, total


class LBFGS:
    """L-BFGS with a strong Wolfe line search on all samples at once."""

    def __init__(self, objective: Objective, learning_rate: float) -> None:
        self.objective = objective
        # Nocedal & Wright (section 7.2) find 3 to 20 pairs satisfactory; other numbers were not compared here.
        self.optimizer = make_lbfgs(objective.model.parameters(), learning_rate, memory=20)

    def step(self) -> StepResult:
        """One direction and its line search."""

        def closure() -> Tensor:
            self.optimizer.zero_grad()
            return self.objective.backward()[1]

        with torch.enable_grad():
            self.optimizer.step(closure)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            value = float(self.objective.value())
        moved = self.optimizer.state[next(iter(self.objective.model.parameters()))].get("t", 0) != 0
        return StepResult(value, moved, not math.isfinite(value))


class AdamW:
    """AdamW on mini-batches, each epoch in another order."""

    def __init__(
        self, objective: Objective, learning_rate: float, *, batch_size: int, steps: int, generator: torch.Generator
    ) -> None:
        self.objective, self.generator = objective, generator
        self.batch_size = min(batch_size, len(objective.x))
        self.optimizer, self.schedule = make_adamw(objective.model.parameters(), learning_rate, steps)
        self._order = torch.empty(0, dtype=torch.long)

    def step(self) -> StepResult:
        """One mini-batch; the loss is that of the batch before the step, without the penalty."""
        if len(self._order) < self.batch_size:
            self._order = torch.randperm(len(self.objective.x), generator=self.generator)
        rows, self._order = self._order[: self.batch_size], self._order[self.batch_size :]
        with torch.enable_grad():
            self.optimizer.zero_grad()
            value, _ = self.objective.backward(rows)
        self.optimizer.step()
        self.schedule.step()
        return StepResult(float(value.detach()), True, not math.isfinite(float(value.detach())))
