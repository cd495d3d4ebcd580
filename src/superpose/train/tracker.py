"""What a training reached so far: its records, its best state, and what is left of its budget."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from superpose.data.arrays import root_mean_square
from superpose.deadline import Deadline, charge, is_counted
from superpose.nn.model import KAN
from superpose.nn.rows import ScaledRows
from superpose.optim.first_order import mean_loss
from superpose.stopping import StopReason
from superpose.train.budget import Budget
from superpose.train.history import History, Record
from superpose.train.progress import Listener
from superpose.train.state import State
from superpose.train.step_cost import StepCost
from superpose.train.stepping import Stepping


class StopFit(Exception):
    """Training ended before its schedule did: why, and a sentence with the details."""

    def __init__(self, stop: StopReason, sentence: str) -> None:
        super().__init__(sentence)
        self.stop = stop


class Tracker:
    """Measures a model between steps on scaled rows, keeps its best state, and takes steps from the budget.

    The loss is that of ``stepping``, and what a memory adds. Listeners are called with every record.
    """

    def __init__(
        self,
        model: KAN,
        train: ScaledRows,
        validation: ScaledRows,
        stepping: Stepping,
        budget: Budget,
        listeners: list[Listener],
        *,
        validated: bool = True,
    ) -> None:
        self.model, self.train, self.validation = model, train, validation
        self.stepping, self.budget, self.listeners = stepping, budget, listeners
        self.history = History(optimizer=stepping.optimizer, validated=validated)
        self._optimism = 1.0
        self.best: tuple[float, State] = (math.inf, State.of(model))
        self.clock = Deadline(None, budget.deadline.clock)

    def finest(self) -> int:
        """Intervals of the finest layer's grid."""
        return max(layer.grid_size for layer in self.model.kan_layers())

    def outputs(self, x: Tensor) -> Tensor:
        """The network's outputs in scaled units."""
        for layer in self.model.layers:
            x = layer(x)
        return x

    @torch.no_grad()
    def value(self, rows: ScaledRows) -> float:
        """The root mean squared error, or the value of the loss that was given, without penalties; rows weighted."""
        loss = self.stepping.loss
        value = mean_loss(loss, self.outputs(rows.x), rows.y, rows.weights)
        return float(value.sqrt() if loss is None else value)

    def record(self, event: str) -> float:
        """Measure the present state, keep it if it is the best, and tell the listeners.

        Returns:
            The validation loss, or what :meth:`Stepping.judged` makes of the training loss without such rows.
        """
        train, validation = self.value(self.train), self.value(self.validation)
        seconds = self.clock.elapsed()
        record = Record(len(self.history.records), event, self.finest(), train, validation, seconds)
        self.history.records.append(record)
        judged = value = validation if self.stepping.validated else self.stepping.judged(train)
        if self.stepping.settings.memory is not None:
            # The state with the least error on these data alone may have forgotten the earlier ones.
            with torch.no_grad():
                value = math.sqrt(judged**2 + float(self.stepping.forgotten().clamp(min=0)))
        if value < self.best[0]:
            self.best = (value, State.of(self.model))
            self._optimism = judged / train if train else 1.0
        for listener in self.listeners:
            listener(record)
        return judged

    def take_step(self) -> None:
        """Count one step of the optimiser.

        Raises:
            StopFit: when the budget is used up.
        """
        if not self.budget.take():
            limit = self.stepping.settings.time_limit
            reason = self.budget.end() if limit is None else f"the time limit of {limit:g} seconds was reached"
            raise StopFit(self.budget.stop(), f"{reason}; the best model so far was kept")
        if is_counted():
            # The Jacobian has a row for each sample and output.
            charge(StepCost().of(self.model, self.train.y.numel()))

    def nan_loss(self) -> StopFit:
        """The reason to stop where the loss is not a number."""
        return StopFit(
            StopReason.NAN_LOSS,
            f"the loss became NaN at step {len(self.history.records)} (grid {self.finest()}); the best model so far "
            "was kept; lower learning_rate, or use optimizer 'lm', which cannot take such a step",
        )

    def finish(self) -> History:
        """Restore the best state, and complete the history."""
        if math.isfinite(self.best[0]):
            self.best[1].restore(self.model)
        if self.stepping.notes:
            self.history.optimizer = f"{self.stepping.optimizer}, then lbfgs"
        self.history.notes = list(self.stepping.notes)
        for name, rows in (("train_rmse", self.train), ("validation_rmse", self.validation)):
            with torch.no_grad():
                error = (self.outputs(rows.x) - rows.y) * self.model.output_scale
            setattr(self.history, name, root_mean_square(error, rows.weights))
        if not self.stepping.validated and self.stepping.loss is None and self.stepping.effective_parameters:
            self.history.estimated_rmse = self._optimism * self.history.train_rmse
        self.history.seconds = self.clock.elapsed()
        return self.history

    # -- the best state so far, for searches

    @contextmanager
    def _at_best(self) -> Iterator[None]:
        present = State.of(self.model)
        self.best[1].restore(self.model)
        try:
            yield
        finally:
            present.restore(self.model)

    def error_of(self, rows: Callable[[], ScaledRows]) -> float:
        """The error of the best state so far on scaled rows; NaN if there are none."""
        part = rows()
        if not len(part.x):
            return math.nan
        with self._at_best():
            return self.value(part)

    @torch.no_grad()
    def squares(self) -> Tensor:
        """Squared errors of the best state so far, scaled, on the training rows: ``[B]``."""
        with self._at_best():
            return (self.outputs(self.train.x) - self.train.y).square().sum(-1)

    def gradients(self) -> Tensor:
        """Derivatives of the best state so far, scaled, by its inputs on the training rows: ``[B * n_out, n_in]``."""
        x = self.train.x.detach().clone().requires_grad_()
        with self._at_best():
            columns = self.outputs(x).unbind(-1)
            return torch.cat([torch.autograd.grad(column.sum(), x, retain_graph=True)[0] for column in columns])
