"""The one training loop behind fit and search: starts, a schedule of grids, and a stage of steps on each grid."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import torch
from torch import Tensor

from superpose.data import Dataset
from superpose.data.sampling import evenly
from superpose.errors import OptionError
from superpose.nn.likelihood import Head
from superpose.nn.model import KAN
from superpose.nn.rows import weighted_rows
from superpose.optim.parameters import Parameters
from superpose.optim.registry import DEFAULTS
from superpose.spline import grid
from superpose.stopping import StopReason
from superpose.train import hidden_grids
from superpose.train.budget import Budget
from superpose.train.history import History
from superpose.train.progress import Listener, TerminalProgress
from superpose.train.settings import FitSettings
from superpose.train.state import RunState, State
from superpose.train.step_cost import StepCost
from superpose.train.stepping import Stepping
from superpose.train.tracker import StopFit, Tracker

# A finer grid is begun if there is time for so many steps on it. A round number.
_FEW_STEPS = 4
# Finer grids are not tried by default. A round number.
_MAX_INTERVALS = 1000
# Up to this many constants four starts are compared, up to four times as many two: starts of large networks take most
# of the time of a fit and differ less. Round numbers; nothing was measured.
_FEW_CONSTANTS = 500
# Steps of each start before and after its hidden grids are adapted, and of a stage after later adaptations. Round
# numbers.
_START_STEPS, _ADAPT_STEPS = (6, 14), 10
# Rows whose quantiles the first grid follows. A round number: they decide where intervals end, to a part in thousands.
_GRID_ROWS = 20_000
# A grid has to lower the validation error by this factor to count as better (see ``patience``). A round number.
_BETTER = 0.98
# Scaled errors below this are rounding, and finer grids bring nothing. A round number.
_ROUNDING = 1e-11


class Run:
    """One training of a model: :meth:`begin`, :meth:`visit` of growing grids, :meth:`finish`; :meth:`run` does all.

    A model that was never fitted takes its scaling and its column names from the data.
    """

    def __init__(
        self,
        model: KAN,
        data: Dataset,
        optimizer: str,
        settings: FitSettings,
        listener: Listener | None,
        budget: Budget | None = None,
    ) -> None:
        self.model, self.data, self.settings = model, data, settings
        self.fresh = not bool(model.scaled)
        if self.fresh:
            model.set_scaling(data.x_scale, model.output_scaling(data.y_scale))
            model.feature_names, model.target_names = data.feature_names, data.target_names
            model.preparation = data.preparation
        loss = settings.loss
        if data.weights is not None and loss is not None and not isinstance(loss, Head):
            raise OptionError(
                "rows with weights are fitted by squared errors, or by what a superpose.nn.Head says; leave out loss, "
                "or make the data set without weights"
            )
        train, validation = weighted_rows(model, data, "train"), weighted_rows(model, data, "validation")
        self.bar = None if settings.progress is False else TerminalProgress()
        self.stepping = Stepping(model, train, optimizer, settings, fresh=self.fresh, validated=len(validation.x) > 0)
        # Several trainings may share a budget; one that stands alone has the time limit of its settings.
        self.tracker = Tracker(
            model,
            train,
            validation if len(validation.x) else train,
            self.stepping,
            budget or Budget(settings.time_limit),
            [one for one in (listener, self.bar) if one is not None],
            validated=len(validation.x) > 0,
        )
        self.visited = False

    def run(self) -> History:
        """Begin, follow the schedule of grids, and finish, whatever stops it."""
        history = self.tracker.history
        try:
            self.begin()
            history.stop, history.reason = self._schedule()
        except StopFit as stop:
            history.stop, history.reason = stop.stop, str(stop)
        except KeyboardInterrupt:
            history.stop, history.reason = StopReason.INTERRUPTED, "interrupted; the best model so far was kept"
        finally:
            if self.bar is not None:
                self.bar.close()
        return self.finish()

    def begin(self) -> None:
        """Make the first grid, and take the best of several starts.

        Raises:
            StopFit: when the budget is used up.
        """
        self._prepare_grids()
        several = self.fresh and self.stepping.optimizer == "lm"
        starts = self.settings.starts or (self._default_starts() if several else 1)
        try:
            if starts > 1:
                self._choose_start(starts)
        finally:
            # Also when the budget is used up: the state of that moment is better than none.
            self.tracker.record("start")

    def finish(self) -> History:
        """Restore the best state, and return the history."""
        return self.tracker.finish()

    def snapshot(self) -> RunState:
        """All that later grids depend on."""
        tracker, stepping = self.tracker, self.stepping
        return RunState(
            *(State.of(self.model), *tracker.best, list(tracker.history.records), dict(stepping.strengths)),
            *(list(stepping.notes), tracker.budget.taken, self.visited),
        )

    def restore(self, state: RunState) -> None:
        """Go on from a snapshot of a run of the same model, data and settings."""
        state.present.restore(self.model)
        self.tracker.best = (state.error, state.best)
        self.tracker.history.records = list(state.records)
        self.stepping.strengths, self.stepping.notes = dict(state.strengths), list(state.notes)
        self.tracker.budget.taken, self.visited = state.steps, state.visited

    def forked(self, split: str) -> Run:
        """A copy that continues from the present state with grids that are split in another way; shares the budget."""
        other = copy.deepcopy(self, {id(self.data): self.data, id(self.tracker.budget): self.tracker.budget})
        other.settings = replace(self.settings, split=split)
        return other

    def test_error(self) -> float:
        """The error of the best state so far on the test rows; NaN if there are none."""
        return self.tracker.error_of(lambda: weighted_rows(self.model, self.data, "test"))

    # -- grids and starts

    def grids(self) -> list[int]:
        """The grid sizes to visit."""
        sizes = [layer.grid_size for layer in self.model.kan_layers()]
        if self.settings.grids is not None:
            return list(self.settings.grids)
        if self.settings.memory is not None:
            return [min(sizes)]
        if self.stepping.optimizer != "lm":
            return [max(sizes)]
        # Intervals without samples cannot be learnt: four for each is a round number. Nor can residuals determine more
        # constants than there are residuals.
        x, y, _ = self.tracker.train
        edges = sum(int(layer.spline_mask().sum()) for layer in self.model.kan_layers())
        most = min(_MAX_INTERVALS, len(x) // 4, y.numel() // max(1, edges))
        doubled = [max(sizes)]
        while doubled[-1] * 2 <= most:
            doubled.append(doubled[-1] * 2)
        return doubled

    def _prepare_grids(self) -> None:
        first, layers = self.grids()[0], self.model.kan_layers()
        device = self.tracker.train.x.device
        if self.settings.grids is not None and any(layer.grid_size > first for layer in layers):
            sizes = [min(layer.grid_size, first) for layer in layers]
            self._replace(self.model.adapt(self.data.rows("train")[0].to(device), blend=0.0, grid_size=sizes))
        if self.fresh and self.settings.adapt:
            layer = self.model.layer(0)
            # All rows' features, and a little more: fresh samples reach about a range / n beyond those seen, and a
            # cubic that goes on is far nearer to the function there than the straight line outside the grid. Rows
            # beyond the scale's range are those of a test table or of the future, which have no part in it.
            seen = self.model.scale_inputs(_spread_rows(self.data).to(device))
            known = (seen.abs() <= 1 + 4 * torch.finfo(seen.dtype).eps).all(1)
            seen = seen if bool(known.all()) else seen[known]
            # Four times the range / n, with a margin for uneven samples; 2% at most. Round numbers.
            margin = min(0.02, 4 / self.data.n_rows)
            points = grid.adapted_breakpoints(seen, layer.grid_size, blend=self.settings.blend, margin=margin)
            layer.set_knots(grid.extended_knots(points, layer.degree))

    def _replace(self, other: KAN) -> None:
        State.of(other).restore(self.model)

    def _default_starts(self) -> int:
        constants = Parameters(self.model).size
        # See ``_FEW_CONSTANTS``.
        return 4 if constants <= _FEW_CONSTANTS else 2 if constants <= 4 * _FEW_CONSTANTS else 1

    def _choose_start(self, starts: int) -> None:
        """Try several starts for a few steps each, and continue from the best."""
        candidates: list[tuple[float, State]] = []
        origin, (before, after) = State.of(self.model), _START_STEPS
        try:
            for number in range(starts):
                origin.restore(self.model)
                if number:
                    for layer in self.model.kan_layers():
                        layer.reset_parameters(self.stepping.generator)
                self._few_steps(before)
                if self.settings.adapt:
                    hidden_grids.adapt(self.model, self.tracker.train.x)
                self._few_steps(after)
                value = self.tracker.value(self.tracker.train)
                if math.isfinite(value):
                    candidates.append((value, State.of(self.model)))
        finally:
            if candidates:
                min(candidates, key=lambda candidate: candidate[0])[1].restore(self.model)

    def _few_steps(self, count: int) -> None:
        name = self.stepping.name()
        stepper = self.stepping.stepper(name, self.settings.steps or DEFAULTS[name].steps)
        for _ in range(count):
            self.tracker.take_step()
            if stepper.step().stalled:
                break

    # -- the schedule, and one grid of it

    def _schedule(self) -> tuple[StopReason, str]:
        waited, best = 0, math.inf
        automatic, stop = self.settings.grids is None, StopReason.GRIDS_EXHAUSTED
        judged = "validation" if self.tracker.history.validated else "estimated"
        for size in self.grids():
            if not self._has_time(size):
                return StopReason.TIME_LIMIT, f"there was no time for a grid of {size} intervals"
            reached = self.visit(size)
            if reached < best * _BETTER:
                best, waited = reached, 0
            else:
                waited += 1
                if waited >= self.settings.patience and automatic:
                    return StopReason.NO_IMPROVEMENT, f"a grid of {size} intervals gave no better {judged} error"
            if automatic and reached < _ROUNDING:
                stop = StopReason.EXACT
                break
        return stop, f"the schedule of grids ended at {self.tracker.finest()} intervals"

    def _has_time(self, size: int) -> bool:
        """Whether a few steps on a grid fit into the time left, by what the steps so far took."""
        budget, rows = self.tracker.budget, len(self.tracker.train[0])
        if not self.visited or self.stepping.optimizer != "lm" or not budget.taken:
            return True
        cost = StepCost()
        finer = cost.of(self.model, rows, size) / cost.of(self.model, rows)
        return _FEW_STEPS * finer * budget.elapsed() / budget.taken <= budget.deadline.left()

    def visit(self, size: int) -> float:
        """Refine to ``size`` intervals and train; returns the least validation error on that grid.

        Raises:
            StopFit: when the budget is used up.
        """
        later, self.visited = self.visited, True
        x, adapt = self.tracker.train.x, self.settings.adapt
        if later and adapt and hidden_grids.adapt(self.model, x):
            self.tracker.record("adapt")
            self._stage(_ADAPT_STEPS)
        if later or any(layer.grid_size < size for layer in self.model.kan_layers()):
            by_samples = self.settings.split == "samples"
            self._replace(self.model.refine(size, self.data.rows("train")[0].to(x.device) if by_samples else None))
            if later:
                self.tracker.record("refine")
        if not later and adapt and hidden_grids.adapt(self.model, x):
            self.tracker.record("adapt")
        if adapt:
            # The first grid is too coarse for much room, and labels determine scores little beyond the samples.
            hidden_grids.widen(self.model, x, far=later and not isinstance(self.settings.loss, Head))
        return self._stage()

    def _stage(self, steps: int | None = None) -> float:
        """Train on the present grids; returns the least validation error."""
        name = self.stepping.name()
        defaults = DEFAULTS[name]
        steps = steps or self.settings.steps or defaults.steps
        stepper = self.stepping.stepper(name, steps)
        best, losses = math.inf, []
        for number in range(1, steps + 1):
            self.tracker.take_step()
            result = stepper.step()
            if result.loss != result.loss:
                raise self.tracker.nan_loss()
            losses.append(result.loss)
            if number % defaults.record_every == 0 or number == steps:
                best = min(best, self.tracker.record(""))
            self.stepping.update(stepper, number)
            ended = result.stalled or (defaults.window is not None and _flat(losses, defaults.window))
            if ended and self.stepping.settled(stepper):
                break
        return best


def _spread_rows(data: Dataset) -> Tensor:
    """The features of all rows, or of many that are spread over a large table, and the ends of their ranges."""
    if data.n_rows <= _GRID_ROWS:
        return data.features(torch.arange(data.n_rows))
    scale = data.x_scale
    ends = torch.stack([scale.center - scale.scale, scale.center + scale.scale])
    return torch.cat([data.features(evenly(data.n_rows, _GRID_ROWS)), ends])


def _flat(losses: list[float], window: int) -> bool:
    """Whether the loss fell by less than 1% within the last steps."""
    return len(losses) > window and losses[-1] > losses[-1 - window] * (1 - 1e-2)  # 1%: a round number
