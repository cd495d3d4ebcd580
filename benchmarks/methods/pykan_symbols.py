"""pykan by its tutorial: a small network, pruned, its edges replaced by symbols one by one, and fitted again."""

from __future__ import annotations

import contextlib
import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.methods.proposals import NothingFound, with_refitted_constants
from benchmarks.methods.pykan import _FAILURES, _contained, _Float64, _state, _TimeOver
from benchmarks.problems.known_function import FloatArray

if TYPE_CHECKING:
    import sympy

_HIDDEN, _GRID, _STEPS, _SPARSITY = 5, 5, 50, 1e-3
# As many rows as its tutorials have: with ten times as many a minute ends before the first fit does.
_ROWS = 1000
# Its search for an edge's constants makes arrays of rows x 101 x 101 for each function of the library.
_SYMBOL_ROWS = 40
_LIBRARY = ("x", "x^2", "x^3", "x^4", "1/x", "1/x^2", "sqrt", "1/sqrt(x)", "exp", "log", "sin", "tanh", "arcsin", "abs")
# Shares of the time at which the first fit, the fit after pruning, and the choice of symbols end.
_ENDS = (0.35, 0.5, 0.9)


def propose(
    symbols: tuple[sympy.Symbol, ...], x: FloatArray, y: FloatArray, *, time_limit: float, seed: int
) -> tuple[sympy.Expr, ...]:
    """Its formula, and the same with constants refitted.

    The steps and their settings are those of its tutorials: a network of five sums, 50 steps of L-BFGS with a
    sparsity of 1e-3, ``prune``, 50 steps without, ``auto_symbolic`` with a library, 50 steps for the constants. Each
    may take a share of the time. It fits the first thousand rows, the target divided by its spread; the constants are
    refitted to all rows.

    Raises:
        NothingFound: if the time is over before every edge has a symbol, or nothing is left after pruning.
    """
    spread = float(np.std(y)) or 1.0
    with _contained() as folder:
        run = _Run(x[:_ROWS], y[:_ROWS] / spread, folder, seed, time_limit)
        try:
            run.train()
            raw = run.model.symbolic_formula(var=list(symbols))[0][0]
        except _FAILURES as fault:
            raise NothingFound(f"{type(fault).__name__}: {' '.join(str(fault).split())[:200]}") from None
    return with_refitted_constants(spread * raw, symbols, x, y)


class _Run:
    def __init__(self, x: FloatArray, y: FloatArray, folder: str, seed: int, time_limit: float) -> None:
        import kan

        self.began, self.time_limit = time.monotonic(), time_limit
        self.until = self.began
        self.best: tuple[float, dict[str, Tensor]] = (math.inf, {})
        inputs, targets = torch.as_tensor(x), torch.as_tensor(y)[:, None]
        self.data = {"train_input": inputs, "train_label": targets, "test_input": inputs, "test_label": targets}
        with _Float64():
            self.model: Any = kan.KAN(
                width=[x.shape[1], _HIDDEN, 1],
                grid=_GRID,
                k=3,
                grid_range=[float(x.min()), float(x.max())],
                seed=seed % 2**32,
                auto_save=False,
                ckpt_path=folder,
            )

    def train(self) -> None:
        self._fit(_ENDS[0], lamb=_SPARSITY)
        with _Float64():
            self.model.get_act(self.data["train_input"])
            self.model = self.model.prune()
        self.model.auto_save = False
        self._fit(_ENDS[1])
        self._symbols()
        self._fit(1.0, update_grid=False)

    def _fit(self, end: float, **options: Any) -> None:
        self.until = self.began + end * self.time_limit
        options |= {"opt": "LBFGS", "steps": _STEPS, "loss_fn": self._loss, "log": _STEPS}
        self.best = (math.inf, _state(self.model))
        with contextlib.suppress(_TimeOver, *_FAILURES), _Float64():
            self.model.fit(self.data, **options)
        # A fit that was cut short, or ran into NaN, may leave the model anywhere; its sparsity may cost a little.
        if not self._error() < 2 * self.best[0]:
            self.model.load_state_dict(self.best[1])
        self.model.save_act = self.model.symbolic_enabled = True

    def _loss(self, predicted: Tensor, target: Tensor) -> Tensor:
        if time.monotonic() > self.until:
            raise _TimeOver
        loss = (predicted - target).square().mean()
        if float(loss) < self.best[0]:
            self.best = (float(loss), _state(self.model))
        return loss

    def _error(self) -> float:
        with torch.no_grad():
            predicted = self.model(self.data["train_input"])
        return float((predicted - self.data["train_label"]).square().mean())

    def _symbols(self) -> None:
        """Its ``auto_symbolic``, edge by edge, so that it can end in time."""
        model = self.model
        with _Float64():
            model.get_act(self.data["train_input"][:_SYMBOL_ROWS])
            for layer in range(len(model.width_in) - 1):
                for i in range(model.width_in[layer]):
                    for j in range(model.width_out[layer + 1]):
                        self._symbol(layer, i, j)

    def _symbol(self, layer: int, i: int, j: int) -> None:
        model = self.model
        if time.monotonic() > self.began + _ENDS[2] * self.time_limit:
            raise NothingFound("the time was over before every edge had a symbol")
        name = "0"
        if float(model.act_fun[layer].mask[i][j]) != 0.0:
            name = model.suggest_symbolic(layer, i, j, lib=list(_LIBRARY), verbose=False)[0]
        model.fix_symbolic(layer, i, j, name, verbose=False, log_history=False)
