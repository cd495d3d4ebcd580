"""L-BFGS and AdamW on a problem's weighted mean squared residuals."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from superpose.optim.first_order import make_adamw, make_lbfgs
from superpose.optim.gauss_newton import StepResult
from superpose.optim.registry import DEFAULTS
from superpose.tasks.pde.equations import Term, square
from superpose.tasks.pde.problem import Problem


class FirstOrderSteps:
    """The torch optimisers behind the same interface as Levenberg-Marquardt; all points at every step."""

    def __init__(
        self,
        model: nn.Module,
        problem: Problem,
        terms: Sequence[Term],
        optimizer: str,
        learning_rate: float | None,
        steps: int,
    ) -> None:
        self.model, self.problem, self.terms = model, problem, list(terms)
        rate = learning_rate or DEFAULTS[optimizer].learning_rate
        self.schedule: torch.optim.lr_scheduler.LambdaLR | None = None
        self.optimizer: torch.optim.Optimizer
        if optimizer == "lbfgs":
            self.optimizer = make_lbfgs(model.parameters(), rate, memory=50)
        else:
            self.optimizer, self.schedule = make_adamw(model.parameters(), rate, steps)

    def _objective(self) -> Tensor:
        return torch.stack([square(self.problem, self.model, term) for term in self.terms]).sum()

    def _closure(self) -> float:
        self.optimizer.zero_grad()
        with torch.enable_grad():
            loss = self._objective()
            loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    def step(self) -> StepResult:
        """One direction and its line search, or one step of AdamW; the loss is that before it (AdamW) or after."""
        loss = float(self.optimizer.step(self._closure) or 0.0)
        if self.schedule is not None:
            self.schedule.step()
        else:
            with torch.no_grad():
                loss = float(self._objective())
        return StepResult(loss, True, not math.isfinite(loss))
