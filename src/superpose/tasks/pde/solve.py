"""solve: train a KAN until a problem's residuals vanish."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

from superpose.data import Affine
from superpose.errors import OptionError
from superpose.messages import nearest
from superpose.nn.model import KAN
from superpose.optim.penalty import roughness
from superpose.spline import grid
from superpose.stopping import StopReason
from superpose.tasks.pde.equations import ResidualSteps, Term, square
from superpose.tasks.pde.first_order import FirstOrderSteps
from superpose.tasks.pde.problem import Problem, Residual
from superpose.tasks.pde.ranges import follow_activations
from superpose.tasks.pde.regions import Region
from superpose.tasks.pde.settings import Solution, SolveRecord, SolveSettings

_STEPS = {"lm": 60, "lbfgs": 300, "adamw": 2000}
# Where no grids are asked for, the model's own is doubled so often, up to so many free constants.
_DOUBLINGS, _MOST_BY_DEFAULT = 2, 3000
# Steps that a start gets before it is compared with the others; the better half gets twice as many more, and so on.
_START_STEPS = 20
# Above this many free constants the normal matrix of Levenberg-Marquardt (float64) is larger than 0.5 GiB.
_MOST_LM_PARAMETERS = 8000
# Candidates for each point that is drawn anew where residuals are large.
_CANDIDATES = 6


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
        OptionError: for an option that does not exist or makes no sense, or a name that the problem has not.
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
    return _Run(model, problem, SolveSettings(**options).checked(), listener).run()


class _Stop(Exception):
    def __init__(self, stop: StopReason, sentence: str) -> None:
        super().__init__(sentence)
        self.stop = stop


class _Run:
    """One call of :func:`solve`."""

    def __init__(self, model: KAN, problem: Problem, settings: SolveSettings, listener: Listener | None) -> None:
        self.model, self.problem, self.settings, self.listener = model, problem, settings, listener
        self.began = time.monotonic()
        self.records: list[SolveRecord] = []
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.terms: list[Term] = []
        self.best: tuple[float, KAN] | None = None
        self.shares = [layer.grid_size / self._finest() for layer in model.kan_layers()]

    def run(self) -> Solution:
        fresh = not bool(self.model.scaled)
        self.problem.check(self.model, self.settings.seed)
        if fresh:
            self._take_units()
        try:
            self._schedule(fresh)
            stop, reason = StopReason.GRIDS_EXHAUSTED, f"the schedule of grids ended at {self._finest()} intervals"
        except _Stop as stopped:
            stop, reason = stopped.stop, str(stopped)
        except KeyboardInterrupt:
            stop, reason = StopReason.INTERRUPTED, "interrupted; the best model so far was kept"
        if self.best is not None:
            _take(self.model, self.best[1])
        with torch.no_grad():
            self.terms = [self._term(residual, 1 << 20, 0.0) for residual in self.problem.residuals]
            found = [float(square(self.problem, self.model, term)) for term in self.terms]
        losses = {
            self.problem.title(term.residual): value / term.weight
            for term, value in zip(self.terms, found, strict=True)
        }
        seconds = time.monotonic() - self.began
        return Solution(tuple(self.records), self.settings.optimizer, stop, reason, sum(found), losses, seconds)

    # -- units, grids and points

    def _take_units(self) -> None:
        """Map the range of all points to -1..1, and lay the first layer's grid there."""
        points = torch.cat([self.problem.points(residual, self.settings.seed) for residual in self.problem.residuals])
        points = points.to(self.model.input_center)
        low, high = points.amin(0), points.amax(0)
        for residual in self.problem.residuals:
            if isinstance(residual.where, Region):
                ends = residual.where.ends()
                if ends is not None:
                    low, high = torch.minimum(low, ends[0].to(low)), torch.maximum(high, ends[1].to(high))
        half = torch.where(high > low, (high - low) / 2, torch.ones_like(low))
        outputs = torch.zeros_like(self.model.output_center), torch.ones_like(self.model.output_scale)
        self.model.set_scaling(Affine((low + high) / 2, half), Affine(*outputs))
        self.model.feature_names, self.model.target_names = self.problem.variables, self.problem.outputs
        self.model.layer(0).set_knots(self._first_knots(self.model.layer(0).grid_size))

    def _first_knots(self, size: int) -> Tensor:
        """Knots ``[n_in, K]`` of the first layer, on -1..1."""
        layer = self.model.layer(0)
        shares = torch.linspace(-1, 1, size + 1, dtype=layer.knots.dtype, device=layer.knots.device)
        points = shares.repeat(layer.in_features, 1)
        if self.settings.blend:
            seen = self.problem.points(self.problem.residuals[0], self.settings.seed)
            seen = self.model.scale_inputs(seen.to(self.model.input_center))
            quantiles = grid.adapted_breakpoints(seen, size, blend=1.0)
            quantiles[:, 0], quantiles[:, -1] = -1.0, 1.0
            points = torch.lerp(points, quantiles, self.settings.blend)
        # Rounding must not put the points at the ends outside.
        points = points * (1 + 1e-9)
        return grid.extended_knots(points, layer.degree)

    def _grids(self) -> list[int]:
        if self.settings.grids is not None:
            return list(self.settings.grids)
        sizes, count = [self._finest()], self.model.parameter_count()
        if self.settings.optimizer == "lm":
            while len(sizes) <= _DOUBLINGS and 2 * count <= _MOST_BY_DEFAULT:
                sizes.append(2 * sizes[-1])
                count *= 2
        return sizes

    def _finest(self) -> int:
        return max(layer.grid_size for layer in self.model.kan_layers())

    def _sizes(self, finest: int) -> list[int]:
        return [max(1, round(share * finest)) for share in self.shares]

    def _draw(self, seed: int, resample: float) -> None:
        wanted = math.ceil(self.settings.points * self.model.parameter_count())
        drawn = [r for r in self.problem.residuals if isinstance(r.where, Region)]
        share = max(1.0, wanted / max(1, sum(r.count for r in drawn)))
        self.terms = [
            self._term(residual, seed, resample, math.ceil(share * residual.count))
            for residual in self.problem.residuals
        ]

    def _term(self, residual: Residual, seed: int, resample: float, count: int | None = None) -> Term:
        count = count or residual.count
        # Sobol points are best balanced in powers of two, but any number of them is better than independent ones.
        points = self.problem.points(residual, self.settings.seed + 31 * seed, count)
        points = points.to(self.model.input_center)
        extra = math.floor(resample * count)
        if isinstance(residual.where, Region) and extra:
            candidates = self.problem.points(residual, self.settings.seed + 31 * seed + 17, _CANDIDATES * count)
            candidates = candidates.to(self.model.input_center)
            with torch.no_grad():
                value, _ = self.problem.evaluate(residual, self.model, candidates)
            size = value.square().sum(1).sqrt()
            # As residual-based adaptive distribution (C. Wu et al. 2023): in proportion to the residual.
            chosen = torch.multinomial((size + 1e-300).cpu(), extra, generator=self.generator)
            points = torch.cat([points[: count - extra], candidates[chosen.to(candidates.device)]])
        return Term(residual, points, residual.weight)

    def _adapt_hidden(self) -> bool:
        return follow_activations(self.model, torch.cat([term.points for term in self.terms]))

    # -- the schedule

    def _schedule(self, fresh: bool) -> None:
        sizes = self._grids()
        self._begin(sizes[0], fresh)
        self._draw(0, 0.0)
        starts = self.settings.starts or (4 if fresh and self.settings.optimizer == "lm" else 1)
        if starts > 1:
            self._choose_start(starts)
        self._record("start", self._loss())
        for number, size in enumerate(sizes):
            if number:
                _take(self.model, self.model.refine(self._sizes(size)))
                self._draw(number, self.settings.resample)
                self._forget()
                self._record("refine", self._loss())
            if self._adapt_hidden():
                self._forget()
                self._record("adapt", self._loss())
            # The last grid is where the digits are won.
            last = 3 if number + 1 == len(sizes) and self.settings.steps is None else 1
            self._stage(last * (self.settings.steps or _STEPS[self.settings.optimizer]))

    def _begin(self, finest: int, fresh: bool) -> None:
        """Bring the grids to the first sizes; those of a trained model only grow."""
        sizes = self._sizes(finest)
        if fresh:
            self.model.layer(0).set_knots(self._first_knots(min(sizes[0], self.model.layer(0).grid_size)))
            for layer, size in zip(self.model.kan_layers()[1:], sizes[1:], strict=True):
                points = grid.breakpoints(layer.knots, layer.degree)
                layer.set_knots(
                    grid.uniform_knots(points[:, 0], points[:, -1], min(size, layer.grid_size), layer.degree)
                )
        _take(self.model, self.model.refine(sizes))

    def _choose_start(self, starts: int) -> None:
        """Try several starts for a few steps; the better half goes on for some more, until one is left."""
        candidates = [self.model.copy()]
        for _ in range(starts - 1):
            candidates.append(self.model.copy())
            for layer in candidates[-1].kan_layers():
                layer.reset_parameters(self.generator)
        steps = _START_STEPS
        while True:
            ranked = sorted(((self._tried(one, steps), n) for n, one in enumerate(candidates)))
            left = [candidates[n] for value, n in ranked[: len(ranked) // 2] if math.isfinite(value)]
            if len(left) <= 1:
                _take(self.model, candidates[ranked[0][1]])
                self._forget()
                return
            candidates, steps = left, 2 * steps

    def _tried(self, model: KAN, steps: int) -> float:
        """The loss of a start after some steps."""
        _take(self.model, model)
        self._adapt_hidden()
        stepper = self._stepper(steps)
        for number in range(steps):
            self._check_time()
            result = stepper.step()
            if (number % 4 == 3 or not result.accepted) and self._adapt_hidden():
                stepper = self._stepper(steps)
            elif result.stalled:
                break
        _take(model, self.model)
        value = self._loss()
        if self.best is None or value < self.best[0]:
            self.best = (value, self.model.copy())
        return value if math.isfinite(value) else math.inf

    def _stepper(self, steps: int) -> ResidualSteps | FirstOrderSteps:
        settings = self.settings
        if settings.optimizer != "lm":
            return FirstOrderSteps(
                self.model, self.problem, self.terms, settings.optimizer, settings.learning_rate, steps
            )
        if self.model.parameter_count() > _MOST_LM_PARAMETERS:
            count = self.model.parameter_count()
            raise OptionError(
                f"optimizer 'lm' would need a matrix of {count} x {count} for this model; use optimizer 'lbfgs' or "
                "'adamw', or a smaller grid"
            )
        stepper = ResidualSteps(self.model, self.problem, self.terms, damping=1e-3)
        stepper.penalties = roughness(stepper.parameters, settings.roughness) if settings.roughness else []
        return stepper

    def _stage(self, steps: int) -> None:
        stepper = self._stepper(steps)
        losses: list[float] = []
        for number in range(steps):
            self._check_time()
            result = stepper.step()
            if result.loss != result.loss:
                raise _Stop(
                    StopReason.NAN_LOSS,
                    f"the loss became NaN at step {len(self.records)}; the best model so far was kept; lower "
                    "learning_rate, or use optimizer 'lm', which cannot take such a step",
                )
            losses.append(result.loss)
            self._record("", result.loss)
            if result.loss <= self.settings.tolerance:
                raise _Stop(StopReason.CONVERGED, f"the loss {result.loss:.3g} is within the tolerance")
            if self.settings.optimizer == "lm" and (number % 4 == 3 or not result.accepted) and self._adapt_hidden():
                self._forget()
                self._record("adapt", self._loss())
                stepper, losses = self._stepper(steps), []
                continue
            if result.stalled or (self.settings.optimizer != "adamw" and _flat(losses)):
                break

    @torch.no_grad()
    def _loss(self) -> float:
        return float(sum(square(self.problem, self.model, term) for term in self.terms))

    def _forget(self) -> None:
        """Losses at other points, or of curves on other grids, do not compare."""
        self.best = None

    def _record(self, event: str, loss: float) -> None:
        points = sum(len(term.points) for term in self.terms)
        seconds = time.monotonic() - self.began
        self.records.append(SolveRecord(len(self.records), event, self._finest(), points, loss, seconds))
        if self.settings.optimizer != "lm" and math.isfinite(loss) and (self.best is None or loss < self.best[0]):
            self.best = (loss, self.model.copy())
        if self.listener is not None:
            self.listener(self.records[-1])

    def _check_time(self) -> None:
        limit = self.settings.time_limit
        if limit is not None and time.monotonic() - self.began > limit:
            raise _Stop(
                StopReason.TIME_LIMIT,
                f"the time limit of {limit:g} seconds was reached; the best model so far was kept",
            )


def _flat(losses: list[float], window: int = 10) -> bool:
    """Whether the loss has all but stopped falling."""
    return len(losses) > window and losses[-1] > losses[-1 - window] * (1 - 1e-2)


@torch.no_grad()
def _take(model: KAN, other: KAN) -> None:
    """Give a model another one's curves and grids."""
    for layer, source in zip(model.kan_layers(), other.kan_layers(), strict=True):
        layer.knots = source.knots.clone()
        wanted = layer.coefficients.requires_grad
        layer.coefficients = torch.nn.Parameter(source.coefficients.detach().clone(), requires_grad=wanted)
        layer.set_symbolic(source.symbolic_table(), source.frozen_table())
