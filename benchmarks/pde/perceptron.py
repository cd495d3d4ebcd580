"""A multilayer perceptron on the residuals of a differential equation, trained by L-BFGS."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from torch import Tensor, nn

from benchmarks.methods.mlp import perceptron, shape_for
from benchmarks.pde.cases import EquationCase
from superpose.tasks.pde.equations import Term
from superpose.tasks.pde.first_order import FirstOrderSteps


class ScaledPerceptron(nn.Module):
    """Tanh layers on inputs that are scaled to -1..1.

    Args:
        low, high: ranges ``[n]`` of the inputs.
        parameters: about how many the network has.
        seed: of its weights.
    """

    def __init__(self, low: Tensor, high: Tensor, parameters: int, seed: int) -> None:
        super().__init__()
        self.middle, self.reach = (low + high) / 2, (high - low) / 2
        self.widths = shape_for(len(low), parameters)
        self.layers = perceptron(self.widths, seed)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, n] -> [B, 1]``."""
        values: Tensor = self.layers((x - self.middle) / self.reach)
        return values


def solve_by_perceptron(
    one: EquationCase, time_limit: float, seed: int, measured: Callable[[float, nn.Module], None]
) -> tuple[ScaledPerceptron, str, float]:
    """The perceptron, by L-BFGS on the same residuals at as many points as the KAN had last."""
    count = parameters_of(one)
    model = ScaledPerceptron(one.test.amin(0), one.test.amax(0), count, seed)
    factor = one.options.get("points", 3.0) * count / sum(residual.count for residual in one.problem.residuals)
    terms = [
        Term(residual, one.problem.points(residual, seed, round(max(1.0, factor) * residual.count)), residual.weight)
        for residual in one.problem.residuals
    ]
    stepper = FirstOrderSteps(model, one.problem, terms, "lbfgs", None, 1)
    began, spent, best, waited, reason = time.monotonic(), 0.0, math.inf, 0, "the time was over"
    while (seconds := time.monotonic() - began - spent) < time_limit:
        loss = stepper.step().loss
        waited = 0 if loss < best else waited + 1
        best = min(best, loss)
        if waited == 3:
            # Start anew without the memory of earlier gradients, which may give the wrong curvature.
            stepper = FirstOrderSteps(model, one.problem, terms, "lbfgs", None, 1)
        if waited == 6 or not math.isfinite(loss):
            reason = "L-BFGS found no way down"
            break
        now = time.monotonic()
        measured(seconds, model)
        spent += time.monotonic() - now
    return model, reason, time.monotonic() - began - spent


def parameters_of(one: EquationCase) -> int:
    """Those of the KAN on its last grid."""
    sizes = [one.grid_size] * (len(one.widths) - 1) if isinstance(one.grid_size, int) else list(one.grid_size)
    last = one.options["grids"][-1] / max(sizes)
    pairs = zip(one.widths[:-1], one.widths[1:], sizes, strict=True)
    return sum(a * b * (round(last * size) + one.degree + (one.base != "none")) for a, b, size in pairs)
