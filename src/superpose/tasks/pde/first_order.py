"""L-BFGS and AdamW on a problem's weighted mean squared residuals."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from superpose.optim.gauss_newton import StepResult
from superpose.tasks.pde.equations import Term, square
from superpose.tasks.pde.problem import Problem

# The Wolfe line search of L-BFGS tries a step of 1 first (Nocedal & Wright, section 7.2). AdamW's is a round number.
_RATES = {"lbfgs": 1.0, "adamw": 1e-2}


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
        rate = learning_rate or _RATES[optimizer]
        self.schedule: torch.optim.lr_scheduler.LambdaLR | None = None
        self.optimizer: torch.optim.Optimizer
        if optimizer == "lbfgs":
            self.optimizer = torch.optim.LBFGS(
                model.parameters(),
                lr=rate,
                max_iter=1,
                # Torch's own limit follows from max_iter, and would leave the line search a single try.
                max_eval=26,
                history_size=50,
                line_search_fn="strong_wolfe",
                tolerance_grad=1e-14,
                tolerance_change=1e-16,
            )
        else:
            self.optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.0)
            # The rate falls to a hundredth along a half cosine, so that the last steps settle.
            self.schedule = torch.optim.lr_scheduler.LambdaLR(
                self.optimizer, lambda step: 0.01 + 0.495 * (1 + math.cos(math.pi * min(1.0, step / steps)))
            )

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
