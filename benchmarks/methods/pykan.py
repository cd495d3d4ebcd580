"""pykan, with the protocol of the KAN paper: L-BFGS on one grid after another, each refined from the one before."""

from __future__ import annotations

import contextlib
import io
import math
import random
import tempfile
import time
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from benchmarks.methods.fitted import Fitted, Scaled, rmse
from benchmarks.problems import KnownFunction
from benchmarks.problems.known_function import FloatArray

GRIDS = (3, 5, 10, 20, 50, 100, 200)
STEPS = 200
# A singular least-squares problem, NaN in a grid and the like: the best state stays as it was.
_FAILURES = (ArithmeticError, IndexError, RuntimeError, UnboundLocalError, ValueError)


def fit(
    problem: KnownFunction,
    x: FloatArray,
    y: FloatArray,
    *,
    time_limit: float,
    seed: int,
    parameters: int | None = None,
) -> Fitted:
    """Fit the published shape to points ``x`` [N, n] and values ``y`` [N]; keep the best state by validation.

    Each grid has up to 200 steps of L-BFGS (of 20 iterations each, pykan's own) and an equal share of the time that is
    left: with the paper's steps alone a minute would end on the second grid.
    """
    scaled = Scaled.of(x, y, seed)
    with _contained() as folder:
        run = _Run(scaled, problem.shape, folder, seed, time_limit)
        run.train()
        model = run.best()
    return Fitted(scaled.predictor(model), run.parameters(model), problem.shape, tuple(run.grids))


class _TimeOver(Exception):
    pass


class _Run:
    """One run of the protocol."""

    def __init__(self, scaled: Scaled, shape: tuple[int, ...], folder: str, seed: int, time_limit: float) -> None:
        import kan

        self.began, self.time_limit = time.monotonic(), time_limit
        self.until = self.began + time_limit
        self.data = {
            "train_input": scaled.train[0],
            "train_label": scaled.train[1],
            "test_input": scaled.validation[0],
            "test_label": scaled.validation[1],
        }
        self.grids: list[int] = []
        with _Float64():
            self.model: Any = kan.KAN(
                width=list(shape),
                grid=GRIDS[0],
                k=3,
                # pykan hands it to NumPy too, which takes 32 bits.
                seed=seed % 2**32,
                auto_save=False,
                ckpt_path=folder,
            )
        self.kept: tuple[float, Any, dict[str, Tensor]] = (math.inf, self.model, _state(self.model))

    def train(self) -> None:
        for number, size in enumerate(GRIDS):
            if number and not self._refine(size):
                return
            self.grids.append(size)
            now = time.monotonic()
            self.until = now + (self.began + self.time_limit - now) / (len(GRIDS) - number)
            self._fit()
            if time.monotonic() >= self.began + self.time_limit:
                return

    def _fit(self) -> None:
        options = {"opt": "LBFGS", "steps": STEPS, "loss_fn": self._loss, "metrics": (self._keep,), "log": STEPS}
        try:
            self.model.fit(self.data, **options)
        except (_TimeOver, *_FAILURES):
            pass
        finally:
            # pykan switches these off while it fits, and a fit that was cut short leaves them so; refining needs them.
            self.model.save_act = self.model.symbolic_enabled = True

    def best(self) -> Any:
        _, model, state = self.kept
        model.load_state_dict(state)
        return model

    def parameters(self, model: Any) -> int:
        """Coefficients and the two weights of each edge."""
        return sum(p.numel() for layer in model.act_fun for p in (layer.coef, layer.scale_base, layer.scale_sp))

    def _refine(self, size: int) -> bool:
        # From the best state so far: L-BFGS may have ended on a worse one.
        model = self.best()
        try:
            with _Float64():
                model.get_act(self.data["train_input"])
                self.model = model.refine(size)
        except _FAILURES:
            return False
        self.model.auto_save = False
        return True

    def _loss(self, predicted: Tensor, target: Tensor) -> Tensor:
        if time.monotonic() > self.until:
            raise _TimeOver
        return (predicted - target).square().mean()

    def _keep(self) -> Tensor:
        """Called by pykan after each step."""
        with torch.no_grad():
            error = rmse(self.model(self.data["test_input"]), self.data["test_label"])
        if error < self.kept[0]:
            self.kept = (error, self.model, _state(self.model))
        return torch.tensor(error)


def _state(model: Any) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


class _Float64(TorchFunctionMode):
    """New tensors inside are float64 unless another type is given: pykan takes torch's default, which is global."""

    _NEW = (torch.rand, torch.randn, torch.zeros, torch.ones, torch.linspace, torch.eye, torch.empty)

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        options = dict(kwargs or {})
        if function in self._NEW:
            options.setdefault("dtype", torch.float64)
        return function(*args, **options)


@contextlib.contextmanager
def _contained() -> Iterator[str]:
    """A folder for pykan's checkpoints, no output, and the global generators restored afterwards."""
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002 (pykan seeds them)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="superpose-pykan-") as folder,
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield folder
    finally:
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        random.setstate(states[2])
