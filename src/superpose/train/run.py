"""The one training loop behind fit and search."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor

from superpose.data import Dataset, Split
from superpose.data.arrays import root_mean_square
from superpose.nn.head import Head
from superpose.nn.model import KAN
from superpose.optim import penalty
from superpose.optim.first_order import LBFGS, AdamW
from superpose.optim.gauss_newton import Quadratic
from superpose.optim.levenberg_marquardt import FisherScoring, LevenbergMarquardt
from superpose.optim.parameters import Parameters
from superpose.optim.smoothness import Edge, Smoothness
from superpose.spline import grid
from superpose.stopping import StopReason
from superpose.train import hidden_grids
from superpose.train.budget import Budget
from superpose.train.history import History, Record
from superpose.train.progress import Listener, TerminalProgress
from superpose.train.settings import FitSettings
from superpose.train.state import State

_DEFAULT_STEPS = {"lm": 60, "lbfgs": 100, "adamw": 2000}
_DEFAULT_RATE = {"lm": 1.0, "lbfgs": 1.0, "adamw": 1e-2}
# Finer grids than this are not tried by themselves.
_MOST_INTERVALS = 1000
# After these steps of a grid it is looked at how smooth the edges should be; a look costs as much as a few steps.
_SMOOTHNESS_STEPS = (2, 5, 10, 20, 40, 80, 160)
_FEW_CONSTANTS = 500
# Above this many free constants the normal matrix of Levenberg-Marquardt (float64) is larger than 0.5 GiB.
_MOST_LM_PARAMETERS = 8000


class Run:
    """One training of a model: begin(), visit() of growing grids, finish(); run() does all of it."""

    def __init__(
        self,
        model: KAN,
        data: Dataset,
        optimizer: str,
        settings: FitSettings,
        listener: Listener | None,
        budget: Budget | None = None,
    ) -> None:
        self.model, self.data, self.optimizer, self.settings = model, data, optimizer, settings
        # What several trainings share; one that stands alone has what its settings say.
        self.budget = budget or Budget(settings.time_limit)
        self.listener, self.bar = (
            listener,
            None if settings.progress is False else TerminalProgress(),
        )
        self.began = time.monotonic()
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.history = History(optimizer=optimizer)
        # How smooth each edge is to be, carried from grid to grid.
        self.strengths: dict[Edge, float] = {}
        self.smoothness: Smoothness | None = None
        self.visited = False
        self.best: tuple[float, State] = (math.inf, State.of(model))

    def run(self) -> History:
        """Begin, follow the schedule of grids, and finish, whatever stops it."""
        self.load()
        try:
            self.begin()
            self._schedule()
        except StopFit as stop:
            self.history.stop, self.history.reason = stop.stop, str(stop)
        except KeyboardInterrupt:
            self.history.stop = StopReason.INTERRUPTED
            self.history.reason = "interrupted; the best model so far was kept"
        finally:
            if self.bar is not None:
                self.bar.close()
        return self.finish()

    def load(self) -> None:
        """Give the model its scaling, if it has none, and take the rows in its units."""
        fresh = self.fresh = not bool(self.model.scaled)
        if fresh:
            self.model.set_scaling(self.data.x_scale, self.model.output_scaling(self.data.y_scale))
            self.model.feature_names, self.model.target_names = (
                self.data.feature_names,
                self.data.target_names,
            )
        self.train = _scaled(self.model, *self.data.rows("train"))
        self.validation = _scaled(self.model, *self.data.rows("validation"))
        if not len(self.validation[0]):
            self.validation = self.train
        self.best = (math.inf, State.of(self.model))

    def begin(self) -> None:
        """Make the first grid, and take the best of several starts.

        Raises:
            StopFit: when the time is over.
        """
        self._prepare_grids(self.fresh)
        starts = self.settings.starts or (self._usual_starts() if self.fresh and self.optimizer == "lm" else 1)
        try:
            if starts > 1:
                self._choose_start(starts)
        finally:
            # Also when the time is over: the state of that moment is better than none.
            self._record("start")

    def finish(self) -> History:
        """Bring back the best state, and report on it."""
        if math.isfinite(self.best[0]):
            self.best[1].restore(self.model)
        self._report()
        return self.history

    def _usual_starts(self) -> int:
        """How many starts are worth their time: those of large networks cost most of it and differ less."""
        constants = Parameters(self.model).size
        return 4 if constants <= _FEW_CONSTANTS else 2 if constants <= 4 * _FEW_CONSTANTS else 1

    # -- the schedule of grids

    def grids(self) -> list[int]:
        """The sizes to visit."""
        if self.settings.grids is not None:
            return list(self.settings.grids)
        if self.settings.memory is not None:
            return [min(layer.grid_size for layer in self.model.kan_layers())]
        if self.optimizer != "lm":
            return [max(layer.grid_size for layer in self.model.kan_layers())]
        size = max(layer.grid_size for layer in self.model.kan_layers())
        # A grid interval without samples to fill it cannot teach anything, nor can residuals tell more constants
        # than there are of them.
        edges = sum(int(layer.spline_mask().sum()) for layer in self.model.kan_layers())
        most = min(_MOST_INTERVALS, len(self.train[0]) // 4, self.train[1].numel() // max(1, edges))
        sizes = [size]
        while sizes[-1] * 2 <= most:
            sizes.append(sizes[-1] * 2)
        return sizes

    def _prepare_grids(self, fresh: bool) -> None:
        first = self.grids()[0]
        if self.settings.grids is not None and any(layer.grid_size > first for layer in self.model.kan_layers()):
            sizes = [min(layer.grid_size, first) for layer in self.model.kan_layers()]
            x = self.data.rows("train")[0].to(self.train[0].device)
            self._replace(self.model.adapt(x, blend=0.0, grid_size=sizes))
        if fresh and self.settings.adapt:
            layer = self.model.layer(0)
            # All rows' features, and a little more: fresh samples reach about a range / n beyond those seen, and a
            # cubic that goes on is far nearer to the function there than the straight line outside the grid.
            seen = self.model.scale_inputs(self.data.x.to(self.train[0].device))
            margin = min(0.02, 4 / len(seen))
            points = grid.adapted_breakpoints(seen, layer.grid_size, blend=self.settings.blend, margin=margin)
            layer.set_knots(grid.extended_knots(points, layer.degree))

    def _replace(self, other: KAN) -> None:
        State.of(other).restore(self.model)

    def _choose_start(self, starts: int) -> None:
        """Try several starts for a few steps each, and let the best go on."""
        candidates: list[tuple[float, State]] = []
        origin = State.of(self.model)
        try:
            for number in range(starts):
                origin.restore(self.model)
                if number:
                    for layer in self.model.kan_layers():
                        layer.reset_parameters(self.generator)
                self._few_steps(6)
                if self.settings.adapt:
                    hidden_grids.adapt(self.model, self.train[0])
                self._few_steps(14)
                value = self._value(self.train)
                if math.isfinite(value):
                    candidates.append((value, State.of(self.model)))
        finally:
            if candidates:
                min(candidates, key=lambda candidate: candidate[0])[1].restore(self.model)

    def _few_steps(self, count: int) -> None:
        stepper = self._optimizer(None)
        for _ in range(count):
            self._take_step()
            if stepper.step().stalled:
                break

    def _schedule(self) -> None:
        waited, best_stage = 0, math.inf
        self.history.stop = StopReason.GRIDS_EXHAUSTED
        automatic = self.settings.grids is None
        for size in self.grids():
            reached = self.visit(size)
            if reached < best_stage * 0.98:
                best_stage, waited = reached, 0
            else:
                waited += 1
                if waited >= self.settings.patience and automatic:
                    self.history.stop = StopReason.NO_IMPROVEMENT
                    self.history.reason = f"a grid of {size} intervals gave no better validation error"
                    return
            if automatic and reached < 1e-11:
                self.history.stop = StopReason.EXACT
                break
        self.history.reason = f"the schedule of grids ended at {self._finest()} intervals"

    def visit(self, size: int) -> float:
        """Refine to ``size`` intervals and train; returns the least validation error on that grid.

        Raises:
            StopFit: when the time is over.
        """
        later, self.visited = self.visited, True
        if later and self.settings.adapt and hidden_grids.adapt(self.model, self.train[0]):
            self._record("adapt")
            self._stage(10)
        if later or any(layer.grid_size < size for layer in self.model.kan_layers()):
            by_samples = self.settings.split == "samples"
            seen = self.data.rows("train")[0].to(self.train[0].device) if by_samples else None
            self._replace(self.model.refine(size, seen))
            if later:
                self._record("refine")
        if not later and self.settings.adapt and hidden_grids.adapt(self.model, self.train[0]):
            self._record("adapt")
        if self.settings.adapt:
            # The first grid is too coarse for much room, and labels say little of scores beyond the samples.
            far = later and not isinstance(self.settings.loss, Head)
            hidden_grids.widen(self.model, self.train[0], far=far)
        return self._stage()

    # -- one grid size

    def _stage(self, steps: int | None = None) -> float:
        stepper = self._optimizer(steps)
        name = _name_of(stepper)
        steps = steps or self.settings.steps or _DEFAULT_STEPS[name]
        every = 50 if name == "adamw" else 1
        best, losses = math.inf, []
        for number in range(steps):
            self._take_step()
            result = stepper.step()
            if result.loss != result.loss:
                raise StopFit(
                    StopReason.NAN_LOSS,
                    f"the loss became NaN at step {len(self.history.records)} (grid {self._finest()}); the best model "
                    "so far was kept; lower learning_rate, or use optimizer 'lm', which cannot take such a step",
                )
            losses.append(result.loss)
            if (number + 1) % every == 0 or number + 1 == steps:
                best = min(best, self._record(""))
            if isinstance(stepper, LevenbergMarquardt | FisherScoring) and number + 1 in _SMOOTHNESS_STEPS:
                self._reweigh(stepper)
            if result.stalled or (name != "adamw" and _flat(losses, name)):
                break
        return best

    def _optimizer(self, steps: int | None) -> Stepper:
        x, y = self.train
        name, settings = self.optimizer, self.settings
        if name == "lm":
            constants = Parameters(self.model).size
            if constants <= _MOST_LM_PARAMETERS:
                stepper: LevenbergMarquardt | FisherScoring = LevenbergMarquardt(self.model, x, y)
                if isinstance(settings.loss, Head):
                    stepper = FisherScoring(self.model, x, y, settings.loss)
                stepper.penalties = self._penalties(stepper.parameters)
                return stepper
            name = "lbfgs"
            self.history.optimizer = "lm, then lbfgs"
            self.history.notes.append(
                f"L-BFGS took over at grid {self._finest()}: Levenberg-Marquardt would need a matrix of "
                f"{constants} x {constants}"
            )
        loss = settings.loss or torch.nn.functional.mse_loss
        extra = self._penalty if settings.sparsity or settings.memory is not None else None
        rate = settings.learning_rate or _DEFAULT_RATE[name]
        if name == "lbfgs":
            return LBFGS(self.model, x, y, loss=loss, penalty=extra, learning_rate=rate)
        return AdamW(
            self.model,
            x,
            y,
            loss=loss,
            penalty=extra,
            learning_rate=rate,
            batch_size=settings.batch_size,
            steps=steps or settings.steps or _DEFAULT_STEPS[name],
            generator=self.generator,
        )

    def _penalties(self, parameters: Parameters) -> list[Quadratic]:
        """The quadratic terms of Levenberg-Marquardt; ``self.smoothness`` is what the roughness was made by."""
        settings, (x, y) = self.settings, self.train
        self.smoothness = None
        if settings.roughness is None:
            self.smoothness = Smoothness(
                parameters, x, self.strengths, hold_unseen=not self.fresh, stiff=settings.loss is not None
            )
            terms = self.smoothness.terms()
        else:
            terms = penalty.roughness(parameters, settings.roughness)
        if settings.sparsity:
            terms += penalty.reweighted(parameters, x, settings.sparsity)
        if settings.memory is not None:
            terms.append(settings.memory.quadratic(y.numel()))
        return terms

    def _reweigh(self, stepper: LevenbergMarquardt | FisherScoring) -> None:
        """Bring the penalties up to the present state."""
        changed = False
        if isinstance(stepper, FisherScoring):
            stepper.rescale()
            self.settings = replace(self.settings, loss=stepper.head)
        if self.smoothness is not None:
            # Likelihoods bring their own measure of noise.
            known = 1.0 if isinstance(stepper, FisherScoring) else None
            changed = self.smoothness.update(
                stepper.normal_matrix(), stepper.theta, stepper.loss, self.train[1].numel(), dispersion=known
            )
            self.strengths = self.smoothness.strengths
        if changed or self.settings.sparsity:
            terms = self._penalties(stepper.parameters)
            stepper.set_penalties(terms)

    def _penalty(self, scaled: Tensor) -> Tensor:
        total = self._forgotten()
        if self.settings.sparsity:
            total = total + self.settings.sparsity * penalty.sparsity(self.model.trace_scaled(scaled))
        return total

    def _forgotten(self) -> Tensor:
        memory, y = self.settings.memory, self.train[1]
        return y.new_zeros(()) if memory is None else memory.forgotten(self.model) / y.numel()

    # -- bookkeeping

    def _finest(self) -> int:
        return max(layer.grid_size for layer in self.model.kan_layers())

    def _outputs(self, x: Tensor) -> Tensor:
        h = x
        for layer in self.model.layers:
            h = layer(h)
        return h

    @torch.no_grad()
    def _value(self, part: tuple[Tensor, Tensor]) -> float:
        h = self._outputs(part[0])
        if self.settings.loss is not None:
            return float(self.settings.loss(h, part[1]))
        return float((h - part[1]).square().mean().sqrt())

    @contextmanager
    def _at_best(self) -> Iterator[None]:
        """With the model in the best state so far."""
        present = State.of(self.model)
        self.best[1].restore(self.model)
        try:
            yield
        finally:
            present.restore(self.model)

    def error_of(self, split: Split) -> float:
        """The error of the best state so far on a part of the rows; NaN if there are none."""
        part = _scaled(self.model, *self.data.rows(split))
        if not len(part[0]):
            return math.nan
        with self._at_best():
            return self._value(part)

    @torch.no_grad()
    def squares(self) -> Tensor:
        """Squared errors of the best state so far, scaled, at the training rows: ``[B]``."""
        with self._at_best():
            return (self._outputs(self.train[0]) - self.train[1]).square().sum(-1)

    def slopes(self) -> Tensor:
        """Derivatives of the best state so far, scaled, by its inputs at the training rows: ``[B * n_out, n_in]``."""
        x = self.train[0].detach().clone().requires_grad_()
        with self._at_best():
            columns = self._outputs(x).unbind(-1)
            return torch.cat([torch.autograd.grad(column.sum(), x, retain_graph=True)[0] for column in columns])

    def _record(self, event: str) -> float:
        train, validation = self._value(self.train), self._value(self.validation)
        seconds = time.monotonic() - self.began
        record = Record(len(self.history.records), event, self._finest(), train, validation, seconds)
        self.history.records.append(record)
        value = validation
        if self.settings.memory is not None:
            # The state with the least error on these data alone may have forgotten the earlier ones.
            with torch.no_grad():
                value = math.sqrt(validation**2 + float(self._forgotten().clamp(min=0)))
        if value < self.best[0]:
            self.best = (value, State.of(self.model))
        for listener in (self.listener, self.bar):
            if listener is not None:
                listener(record)
        return validation

    def _take_step(self) -> None:
        """Count one step of the optimiser.

        Raises:
            StopFit: when the budget is used up.
        """
        if not self.budget.take():
            limit = self.settings.time_limit
            reason = self.budget.end() if limit is None else f"the time limit of {limit:g} seconds was reached"
            raise StopFit(self.budget.stop(), f"{reason}; the best model so far was kept")

    def _report(self) -> None:
        for name, part in (("train_rmse", self.train), ("validation_rmse", self.validation)):
            with torch.no_grad():
                error = (self._outputs(part[0]) - part[1]) * self.model.output_scale
            setattr(self.history, name, root_mean_square(error))
        self.history.seconds = time.monotonic() - self.began


class StopFit(Exception):
    """Training ended before its schedule did: why, and a sentence with the details."""

    def __init__(self, stop: StopReason, sentence: str) -> None:
        super().__init__(sentence)
        self.stop = stop


Stepper = LevenbergMarquardt | FisherScoring | LBFGS | AdamW


def _name_of(stepper: Stepper) -> str:
    return (
        "lm"
        if isinstance(stepper, LevenbergMarquardt | FisherScoring)
        else "lbfgs"
        if isinstance(stepper, LBFGS)
        else "adamw"
    )


def _flat(losses: list[float], optimizer: str) -> bool:
    """Whether the loss has all but stopped falling."""
    window = 6 if optimizer == "lm" else 12
    return len(losses) > window and losses[-1] > losses[-1 - window] * (1 - 1e-2)


def _scaled(model: KAN, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    device = model.input_center.device
    return model.scale_inputs(x.to(device)), model.scale_targets(y.to(device))
