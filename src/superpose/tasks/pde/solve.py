"""solve: train a KAN until a problem's residuals vanish."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

import torch

from superpose.deadline import Deadline
from superpose.errors import OptionError
from superpose.messages import nearest
from superpose.nn.model import KAN
from superpose.optim.gauss_newton import StepResult
from superpose.optim.penalty import roughness
from superpose.stopping import StopReason
from superpose.tasks.pde import hidden_grids, input_grid
from superpose.tasks.pde.collocation import Collocation
from superpose.tasks.pde.equations import ResidualSteps, Term, square
from superpose.tasks.pde.first_order import FirstOrderSteps
from superpose.tasks.pde.problem import Problem
from superpose.tasks.pde.settings import Solution, SolveRecord, SolveSettings
from superpose.train.state import State


@dataclass(frozen=True)
class _Schedule:
    """Numbers of a run that are no options.

    Attributes:
        steps: of each optimiser at one grid size, where ``steps`` is not given. Round numbers: a step of
            Levenberg-Marquardt gains most, and AdamW least.
        last_grid: factor on these steps at the last grid, where the error falls furthest.
        starts: random starts of an untrained model.
        start_steps: of each start before starts are compared; the better half then gets twice as many, and so on.
        check_every: steps of Levenberg-Marquardt between two checks of the hidden grids.
        damping: of the first step of Levenberg-Marquardt, relative to the diagonal of the normal matrix.
        flat_steps, flat_fall: a grid is done when the loss fell by less than this share in this many steps.
        max_lm_parameters: above it the normal matrix of Levenberg-Marquardt, 8 bytes for each pair of constants, takes
            more than half a gigabyte.

    All but the last are round numbers, for which no measurement is recorded. docs/lab/pde.md reports that the case
    ``poisson-tutorial``, a network [2, 2, 1], needs more starts than most.
    """

    steps: Mapping[str, int]
    last_grid: int = 3
    starts: int = 4
    start_steps: int = 20
    check_every: int = 4
    damping: float = 1e-3
    flat_steps: int = 10
    flat_fall: float = 1e-2
    max_lm_parameters: int = 8000


_SCHEDULE = _Schedule(MappingProxyType({"lm": 60, "lbfgs": 300, "adamw": 2000}))
Listener = Callable[[SolveRecord], None]


def solve(model: KAN, problem: Problem, *, listener: Listener | None = None, **options: Any) -> Solution:
    """Train a model in place until a problem's residuals vanish, or as far as it goes.

    A model that was never trained takes the region's range as its scaling and the problem's names.

    Args:
        model: splines of degree 4 or 5 for equations of second order.
        problem: equations and conditions.
        listener: called with every :class:`SolveRecord`.
        **options: see :class:`SolveSettings`.

    Raises:
        OptionError: for an option that does not exist or makes no sense, or a name that the problem does not have.
        ShapeError: if model and problem differ in their numbers of variables or unknowns.
        DataError: if a residual is not a finite number at the start.

    >>> from superpose.tasks.pde import Box, Problem, Residual
    >>> line = Box([0], [1])
    >>> problem = Problem(
    ...     [Residual(lambda u: u.d("x", "x") + u.value, line), Residual(lambda u: u.value - u["x"], line.boundary())],
    ...     variables=["x"],
    ... )
    >>> model = KAN([1, 1], degree=5, seed=0)
    >>> solve(model, problem, grids=(4, 8)).loss < 1e-10
    True
    >>> abs(model(torch.tensor([[0.5]])).item() - math.sin(0.5) / math.sin(1)) < 1e-6
    True
    """
    known = {option.name for option in fields(SolveSettings)}
    for name in options:
        if name not in known:
            raise OptionError(f"solve has no option {name!r}{nearest(name, known)}")
    settings = SolveSettings(**options).checked()
    untrained = not bool(model.scaled)
    problem.check(model, settings.seed)
    if untrained:
        input_grid.set_units(model, problem, settings)
    generator = torch.Generator().manual_seed(settings.seed)
    collocation = Collocation(problem, settings.points, settings.resample, settings.seed, generator)
    progress = _Progress(settings.optimizer, settings.time_limit, listener)
    run = _Run(model, problem, settings, collocation, progress)
    try:
        _train(run, untrained=untrained)
        stop = StopReason.GRIDS_EXHAUSTED
        reason = f"the schedule of grids ended at {input_grid.finest(model)} intervals"
    except _Stop as stopped:
        stop, reason = stopped.stop, str(stopped)
    except KeyboardInterrupt:
        stop, reason = StopReason.INTERRUPTED, "interrupted; the best model so far was kept"
    return _solution(run, stop, reason)


class _Stop(Exception):
    """Ends the stages of a run."""

    def __init__(self, stop: StopReason, sentence: str) -> None:
        super().__init__(sentence)
        self.stop = stop


class _Progress:
    """What a run has done so far: its records, its best state, and the time."""

    def __init__(self, optimizer: str, time_limit: float | None, listener: Listener | None) -> None:
        self.records: list[SolveRecord] = []
        self.best: tuple[float, State] | None = None
        # Levenberg-Marquardt takes no step that raises the loss: its last state is its best one.
        self.monotone = optimizer == "lm"
        self.time_limit, self.deadline, self.listener = time_limit, Deadline(time_limit), listener

    def record(self, event: str, model: KAN, terms: Sequence[Term], loss: float) -> None:
        """Add one step, and keep the model's state if it is the best and may get worse."""
        points = sum(len(term.points) for term in terms)
        seconds = self.deadline.elapsed()
        self.records.append(SolveRecord(len(self.records), event, input_grid.finest(model), points, loss, seconds))
        if not self.monotone:
            self.keep(model, loss)
        if self.listener is not None:
            self.listener(self.records[-1])

    def keep(self, model: KAN, loss: float) -> None:
        """Keep the model's state if its loss is the least."""
        if math.isfinite(loss) and (self.best is None or loss < self.best[0]):
            self.best = loss, State.of(model)

    def forget(self) -> None:
        """Drop the best state: losses at other points, or of curves on other grids, do not compare."""
        self.best = None

    def check_time(self) -> None:
        """End the run if its time is over."""
        if self.deadline.passed():
            sentence = f"the time limit of {self.time_limit:g} seconds was reached; the best model so far was kept"
            raise _Stop(StopReason.TIME_LIMIT, sentence)


@dataclass(frozen=True)
class _Run:
    """What the stages of one call of :func:`solve` share."""

    model: KAN
    problem: Problem
    settings: SolveSettings
    collocation: Collocation
    progress: _Progress


def _solution(run: _Run, stop: StopReason, reason: str) -> Solution:
    """The best state back in the model, and its losses at fresh points."""
    if run.progress.best is not None:
        run.progress.best[1].restore(run.model)
    terms = run.collocation.fresh(run.model)
    with torch.no_grad():
        weighted = [float(square(run.problem, run.model, term)) for term in terms]
    losses = {
        run.problem.title(term.residual): value / term.weight for term, value in zip(terms, weighted, strict=True)
    }
    return Solution(
        tuple(run.progress.records),
        run.settings.optimizer,
        stop,
        reason,
        sum(weighted),
        losses,
        run.progress.deadline.elapsed(),
    )


# -- the stages


def _train(run: _Run, *, untrained: bool) -> None:
    """Choose a start, then train on one grid after another."""
    model, settings, progress = run.model, run.settings, run.progress
    sizes, layer_sizes = input_grid.schedule(model, settings), input_grid.LayerSizes(model)
    input_grid.begin(model, run.problem, settings, layer_sizes.of(sizes[0]), untrained=untrained)
    terms = run.collocation.draw(model, 0)
    starts = settings.starts or (_SCHEDULE.starts if untrained and settings.optimizer == "lm" else 1)
    if starts > 1:
        _choose_start(run, terms, starts)
    progress.record("start", model, terms, _loss(run, terms))
    for stage, size in enumerate(sizes):
        if stage:
            State.of(model.refine(layer_sizes.of(size))).restore(model)
            terms = run.collocation.draw(model, stage)
            progress.forget()
            progress.record("refine", model, terms, _loss(run, terms))
        _adapt_grids(run, terms)
        steps = settings.steps or _SCHEDULE.steps[settings.optimizer]
        if stage + 1 == len(sizes) and settings.steps is None:
            steps *= _SCHEDULE.last_grid
        _train_on_grid(run, terms, steps)


def _choose_start(run: _Run, terms: Sequence[Term], starts: int) -> None:
    """Train several random starts for a few steps; the better half goes on, until one is left (successive halving)."""
    candidates = [State.of(run.model)]
    for _ in range(starts - 1):
        other = run.model.copy()
        for layer in other.kan_layers():
            layer.reset_parameters(run.collocation.generator)
        candidates.append(State.of(other))
    steps = _SCHEDULE.start_steps
    while True:
        tried = [_try_start(run, terms, state, steps) for state in candidates]
        order = sorted(range(len(tried)), key=lambda n: tried[n][0])
        better = [tried[n][1] for n in order[: len(order) // 2] if math.isfinite(tried[n][0])]
        if len(better) <= 1:
            tried[order[0]][1].restore(run.model)
            run.progress.forget()
            return
        candidates, steps = better, 2 * steps


def _try_start(run: _Run, terms: Sequence[Term], state: State, steps: int) -> tuple[float, State]:
    """The loss of a start after some steps, infinite if it is not finite, and the state then."""
    state.restore(run.model)
    _grids_moved(run, terms)
    stepper = _stepper(run, terms, steps)
    for number in range(steps):
        run.progress.check_time()
        result = stepper.step()
        if _is_check(number, result) and _grids_moved(run, terms):
            stepper = _stepper(run, terms, steps)
        elif result.stalled:
            break
    loss = _loss(run, terms)
    run.progress.keep(run.model, loss)
    return loss if math.isfinite(loss) else math.inf, State.of(run.model)


def _train_on_grid(run: _Run, terms: Sequence[Term], steps: int) -> None:
    """Steps at one grid size, until the loss is flat or within the tolerance."""
    settings, progress = run.settings, run.progress
    stepper = _stepper(run, terms, steps)
    losses: list[float] = []
    for number in range(steps):
        progress.check_time()
        result = stepper.step()
        if math.isnan(result.loss):
            raise _Stop(
                StopReason.NAN_LOSS,
                f"the loss became NaN at step {len(progress.records)}; the best model so far was kept; lower "
                "learning_rate, or use optimizer 'lm', which cannot take such a step",
            )
        losses.append(result.loss)
        progress.record("", run.model, terms, result.loss)
        if result.loss <= settings.tolerance:
            raise _Stop(StopReason.CONVERGED, f"the loss {result.loss:.3g} is within the tolerance")
        if settings.optimizer == "lm" and _is_check(number, result) and _adapt_grids(run, terms):
            stepper, losses = _stepper(run, terms, steps), []
        elif result.stalled or (settings.optimizer != "adamw" and _flat(losses)):
            return


def _stepper(run: _Run, terms: Sequence[Term], steps: int) -> ResidualSteps | FirstOrderSteps:
    """The optimiser of the settings at these points."""
    settings, model = run.settings, run.model
    if settings.optimizer != "lm":
        return FirstOrderSteps(model, run.problem, terms, settings.optimizer, settings.learning_rate, steps)
    count = model.parameter_count()
    if count > _SCHEDULE.max_lm_parameters:
        raise OptionError(
            f"optimizer 'lm' would need a matrix of {count} x {count} for this model; use optimizer 'lbfgs' or "
            "'adamw', or a smaller grid"
        )
    stepper = ResidualSteps(model, run.problem, terms, damping=_SCHEDULE.damping)
    stepper.penalties = roughness(stepper.parameters, settings.roughness) if settings.roughness else []
    return stepper


def _is_check(number: int, result: StepResult) -> bool:
    """Whether hidden grids are checked after this step: now and then, and where a step was not taken."""
    return number % _SCHEDULE.check_every == _SCHEDULE.check_every - 1 or not result.accepted


def _grids_moved(run: _Run, terms: Sequence[Term]) -> bool:
    return hidden_grids.adapt(run.model, torch.cat([term.points for term in terms]))


def _adapt_grids(run: _Run, terms: Sequence[Term]) -> bool:
    """Let hidden grids follow the activations; whether one moved, which is recorded."""
    moved = _grids_moved(run, terms)
    if moved:
        run.progress.forget()
        run.progress.record("adapt", run.model, terms, _loss(run, terms))
    return moved


@torch.no_grad()
def _loss(run: _Run, terms: Sequence[Term]) -> float:
    return float(sum(square(run.problem, run.model, term) for term in terms))


def _flat(losses: Sequence[float]) -> bool:
    """Whether the loss has all but stopped falling."""
    window = _SCHEDULE.flat_steps
    return len(losses) > window and losses[-1] > losses[-1 - window] * (1 - _SCHEDULE.flat_fall)
