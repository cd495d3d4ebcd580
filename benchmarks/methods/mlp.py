"""A multilayer perceptron of as many parameters, trained by L-BFGS in float64."""

from __future__ import annotations

import copy
import itertools
import math
import time
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.methods.fitted import Fitted, Scaled, rmse
from benchmarks.problems import KnownFunction
from benchmarks.problems.known_function import FloatArray

# Where the number of parameters of a KAN is not known, that of a typical one.
_PARAMETERS = 1000
# Three hidden layers once each has some 25 nodes.
_DEEP = 1500
_ITERATIONS = 20
_WAITED = 3


def fit(
    problem: KnownFunction,
    x: FloatArray,
    y: FloatArray,
    *,
    time_limit: float,
    seed: int,
    parameters: int | None = None,
) -> Fitted:
    """Fit tanh layers to points ``x`` [N, n] and values ``y`` [N] until the time is over; keep the best by validation.

    When L-BFGS brings nothing for a while its memory is emptied, and when that does not help either, it ends.
    """
    until = time.monotonic() + time_limit
    scaled = Scaled.of(x, y, seed)
    shape = shape_for(x.shape[1], parameters or _PARAMETERS)
    model = perceptron(shape, seed)
    best, best_state, best_loss, waited = math.inf, copy.deepcopy(model.state_dict()), math.inf, 0
    optimizer = _optimizer(model)

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = nn.functional.mse_loss(model(scaled.train[0]), scaled.train[1])
        value.backward()  # type: ignore[no-untyped-call]
        return value

    while time.monotonic() < until and waited < 2 * _WAITED:
        before = float(optimizer.step(loss).detach())  # type: ignore[no-untyped-call]
        if not math.isfinite(before):
            break
        with torch.no_grad():
            error = rmse(model(scaled.validation[0]), scaled.validation[1])
        if error < best:
            best, best_state = error, copy.deepcopy(model.state_dict())
        waited = 0 if before < best_loss else waited + 1
        best_loss = min(best_loss, before)
        if waited == _WAITED:
            optimizer = _optimizer(model)
    model.load_state_dict(best_state)
    return Fitted(scaled.predictor(model), sum(p.numel() for p in model.parameters()), shape)


def shape_for(inputs: int, parameters: int) -> tuple[int, ...]:
    """Two or three equal hidden layers with about that many parameters.

    >>> shape_for(2, 1000)
    (2, 29, 29, 1)
    >>> shape_for(2, 3000)
    (2, 37, 37, 37, 1)
    """
    hidden = 3 if parameters > _DEEP else 2
    # (hidden - 1) * width^2 + (inputs + hidden + 1) * width + 1 parameters.
    square, linear = hidden - 1, inputs + hidden + 1
    width = (math.sqrt(linear**2 + 4 * square * max(parameters - 1, 1)) - linear) / (2 * square)
    return (inputs, *[max(round(width), 1)] * hidden, 1)


def perceptron(shape: tuple[int, ...], seed: int) -> nn.Sequential:
    """Linear layers of these widths with tanh between them, float64, Xavier's normal start."""
    generator = torch.Generator().manual_seed(seed)
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(shape):
        # Without the usual start, which draws from the generator that everybody shares.
        linear: Any = nn.utils.skip_init(nn.Linear, a, b, dtype=torch.float64)  # type: ignore[no-untyped-call]
        nn.init.xavier_normal_(linear.weight, generator=generator)
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.Tanh()]
    return nn.Sequential(*layers[:-1])


def _optimizer(model: nn.Module) -> torch.optim.LBFGS:
    return torch.optim.LBFGS(
        model.parameters(),
        max_iter=_ITERATIONS,
        history_size=50,
        tolerance_grad=0.0,
        tolerance_change=0.0,
        line_search_fn="strong_wolfe",
    )
