"""L-BFGS and AdamW behind the same small interface as Levenberg-Marquardt."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from superpose.nn.model import KAN
from superpose.optim.gauss_newton import StepResult

Loss = Callable[[Tensor, Tensor], Tensor]
Penalty = Callable[[Tensor], Tensor]


def _network(model: KAN, x: Tensor) -> Tensor:
    for layer in model.layers:
        x = layer(x)
    return x


class LBFGS:
    """L-BFGS with a strong Wolfe line search on all samples at once."""

    def __init__(
        self,
        model: KAN,
        x: Tensor,
        y: Tensor,
        *,
        loss: Loss,
        penalty: Penalty | None,
        learning_rate: float,
    ) -> None:
        self.model, self.x, self.y = model, x, y
        self.objective, self.penalty = loss, penalty
        self.optimizer = torch.optim.LBFGS(
            model.parameters(),
            lr=learning_rate,
            max_iter=1,
            # Torch's own limit follows from max_iter, and would leave the line search a single try.
            max_eval=26,
            history_size=20,
            line_search_fn="strong_wolfe",
            tolerance_grad=1e-14,
            tolerance_change=1e-16,
        )

    def step(self) -> StepResult:
        """One direction and its line search."""

        def closure() -> Tensor:
            self.optimizer.zero_grad()
            total = self.objective(_network(self.model, self.x), self.y)
            if self.penalty is not None:
                total = total + self.penalty(self.x)
            total.backward()  # type: ignore[no-untyped-call]
            return total

        with torch.enable_grad():
            self.optimizer.step(closure)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            value = float(self.objective(_network(self.model, self.x), self.y))
        moved = self.optimizer.state[next(iter(self.model.parameters()))].get("t", 0) != 0
        return StepResult(value, moved, not math.isfinite(value))


class AdamW:
    """AdamW on mini-batches, each epoch in another order."""

    def __init__(
        self,
        model: KAN,
        x: Tensor,
        y: Tensor,
        *,
        loss: Loss,
        penalty: Penalty | None,
        learning_rate: float,
        batch_size: int,
        steps: int,
        generator: torch.Generator,
    ) -> None:
        self.model, self.x, self.y = model, x, y
        self.objective, self.penalty = loss, penalty
        self.batch_size, self.generator = min(batch_size, len(x)), generator
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.0)
        # The rate falls to a hundredth along a half cosine, so that the last steps settle.
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer,
            lambda step: 0.01 + 0.495 * (1 + math.cos(math.pi * min(1.0, step / steps))),
        )
        self._order = torch.empty(0, dtype=torch.long)

    def step(self) -> StepResult:
        """One mini-batch; the loss is that of the batch before the step."""
        if len(self._order) < self.batch_size:
            self._order = torch.randperm(len(self.x), generator=self.generator)
        rows, self._order = self._order[: self.batch_size], self._order[self.batch_size :]
        x, y = self.x[rows], self.y[rows]
        with torch.enable_grad():
            self.optimizer.zero_grad()
            value = self.objective(_network(self.model, x), y)
            total = value if self.penalty is None else value + self.penalty(x)
            total.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.schedule.step()
        return StepResult(float(value.detach()), True, not math.isfinite(float(value.detach())))
