"""search: the shape of a network found from the data, from small to large."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from superpose.checks import check_whole
from superpose.data import Dataset
from superpose.errors import DataError, OptionError
from superpose.nn.model import KAN
from superpose.nn.products import Width, read_width
from superpose.pareto import pareto_front
from superpose.partial import Failures
from superpose.short_repr import brief
from superpose.stopping import StopReason
from superpose.train import endpoint_singularities
from superpose.train.budget import Budget
from superpose.train.candidate_shapes import PROBE_SHAPE, SHAPES, Hidden, smallest_near_best
from superpose.train.endpoint_singularities import EndpointSingularity
from superpose.train.history import History
from superpose.train.linear_combinations import Combinations
from superpose.train.search_rules import RULES
from superpose.train.settings import FitSettings
from superpose.train.step_cost import StepCost
from superpose.train.tracker import StopFit
from superpose.train.trial import Architecture, StageRunner, Trial


@dataclass(frozen=True)
class Tried:
    """One network on one grid.

    Attributes:
        shape: nodes of each layer, inputs and outputs included, as :class:`~superpose.KAN` takes them.
        grid_size: intervals of its grids.
        parameters: free constants.
        validation_rmse: root mean squared error on the validation rows, in units of the target's standard deviation.
        test_rmse: that on the test rows; NaN if there are none.
    """

    shape: tuple[Width, ...]
    grid_size: int
    parameters: int
    validation_rmse: float
    test_rmse: float


@dataclass
class SearchResult:
    """What :func:`search` returns.

    Attributes:
        model: the best network, trained.
        history: of its training.
        tried: every network on every grid, in the order in which they were tried.
        stop: why the search ended.
        reason: a sentence with the details of that.
        seconds: wall-clock time.
        failures: the parts of the search that failed.
    """

    __repr__ = brief

    model: KAN
    history: History
    tried: list[Tried] = field(default_factory=list)
    stop: StopReason = StopReason.NOT_RUN
    reason: str = ""
    seconds: float = 0.0
    failures: Failures = field(default_factory=Failures, repr=False)

    @property
    def front(self) -> list[Tried]:
        """The Pareto front, which no other network with as few parameters surpasses, from small to large."""
        return pareto_front(self.tried, size=lambda t: t.parameters, error=lambda t: t.validation_rmse)


def search(
    data: Dataset | tuple[Any, Any],
    *,
    parameters: int | None = None,
    time_limit: float = 60.0,  # a minute; a round number
    steps: int | None = None,
    shapes: Sequence[Sequence[Width]] | None = None,
    degree: int | Sequence[int] | None = None,
    seed: int = 0,
    listener: Callable[[str], None] | None = None,
) -> SearchResult:
    """Find the shape and the grid of a network that learns the data best, in the time given.

    Shapes are trained side by side to about as many constants, by Levenberg-Marquardt; the better ones go on to finer
    grids, and the best is trained until those bring nothing. What is compared is the error on the validation rows, or
    where there are none, what generalised cross-validation makes of that on the training rows; of
    networks that come within 3% of each other the one with the fewest parameters is taken, so where there is noise the
    smallest that reaches it.

    With three features or more, networks that were trained are asked whether features enter as one weighted sum, as in
    a function of ``x1 - x2``: there the slopes by them are proportional. Further networks then compute the sums first,
    by straight (symbolic) edges whose weights are trained with the rest. Where most of a network's error is at one end
    of a feature, as that of ``sqrt(x1)`` is at 0, another computes the root of the distance from that end first; if
    that leaves less than a third of the error, so do further ones.

    Args:
        data: a :class:`~superpose.Dataset`, or a pair of arrays ``(x, y)``.
        parameters: the most free constants that the network may have; no limit if left out.
        time_limit: seconds.
        steps: optimiser steps of all networks together, which end the search at the same place on every machine; no
            limit if left out.
        shapes: hidden layers to try, such as ``[(), (2,), (5, 2)]``, with products as in ``[((1, [2]),)]``, and no
            others; chosen by the search if left out.
        degree: of the splines. Of several degrees all shapes are tried with the first, and the best of them with the
            others. If left out, 5 and 3 for one or two features, or sums of features, and 3 for more.
        seed: of the starts.
        listener: called with a short sentence whenever a network reached a new grid.

    Returns:
        A :class:`SearchResult`; its ``front`` holds the best error for every number of parameters.

    Raises:
        OptionError: for options that make no sense, or a budget that no network fits into.
        DataError: if ``data`` is neither a data set nor a pair of arrays.

    >>> import torch
    >>> x = 2 * torch.rand(200, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) - 1
    >>> found = search((x, torch.sin(3 * x[:, 0]) + x[:, 1] ** 2), shapes=[(), (1,)], parameters=60, steps=100)
    >>> found.model.widths, found.history.validation_rmse < 1e-3
    ([2, 1], True)
    """
    FitSettings(time_limit=time_limit, steps=steps, seed=seed).checked("lm")
    return prepared(data, Budget(time_limit, steps), parameters, shapes, degree, seed, listener).run()


def prepared(
    data: Dataset | tuple[Any, Any],
    budget: Budget,
    parameters: int | None = None,
    shapes: Sequence[Sequence[Width]] | None = None,
    degree: int | Sequence[int] | None = None,
    seed: int = 0,
    listener: Callable[[str], None] | None = None,
    stage: StageRunner | None = None,
) -> ArchitectureSearch:
    """The search of :func:`search` before it runs.

    Args:
        data, parameters, shapes, degree, seed, listener: as there.
        budget: of all networks together.
        stage: computes each part of the search, or reads it from a checkpoint.
    """
    if not isinstance(data, Dataset):
        if not isinstance(data, tuple | list) or len(data) != 2:
            raise DataError(f"search takes a Dataset or a pair of arrays (x, y), not {type(data).__name__}")
        data = Dataset.from_arrays(*data, seed=seed)
    check_whole("parameters", parameters, optional=True)
    hidden = SHAPES.of(data.n_features) if shapes is None else tuple(_hidden(shape) for shape in shapes)
    if not hidden:
        raise OptionError("shapes is empty; name at least one, such as [(), (5,)], or leave it out")
    degrees = None if degree is None else (degree,) if isinstance(degree, int) else tuple(degree)
    if degrees == ():
        raise OptionError("degree is empty; name at least one, such as 3 or (3, 5)")
    tell = listener or (lambda event: None)
    return ArchitectureSearch(data, hidden, parameters, budget, degrees, seed, shapes is None, tell, stage=stage)


def _hidden(shape: Sequence[Width]) -> Hidden:
    try:
        if not isinstance(shape, Sequence) or isinstance(shape, str):
            raise OptionError("")
        read = [read_width(width) for width in shape]
    except OptionError:
        read = [(0, ())]
    if any(nodes < 1 for nodes, _ in read):
        raise OptionError(
            f"shapes must list the hidden layers of each network, whole numbers of at least 1 or pairs of sums and "
            f"products, such as [(), (5,), (3, 2), ((1, [2]),)], not {shape!r}"
        )
    return tuple((nodes - len(products), products) if products else nodes for nodes, products in read)


@dataclass
class ArchitectureSearch:
    """The search for a network: trials side by side, of which the better ones go on; see :func:`search`."""

    data: Dataset
    shapes: tuple[Hidden, ...]
    parameters: int | None
    budget: Budget
    degrees: tuple[int, ...] | None
    seed: int
    look: bool
    tell: Callable[[str], None]
    combinations: Combinations | None = None
    singularities: tuple[EndpointSingularity, ...] = ()
    detected_at: float = math.inf
    roots_tried: list[tuple[int, int, Hidden]] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)
    tried: list[Tried] = field(default_factory=list)
    stage: StageRunner | None = None
    failures: Failures = field(default_factory=Failures)
    cost: StepCost = field(default_factory=StepCost)

    def __post_init__(self) -> None:
        self.waiting = self._architectures()
        self.judged = "validation" if len(self.data.validation) else "estimated"

    def run(self) -> SearchResult:
        try:
            stop, reason = self._rounds()
        except KeyboardInterrupt:
            if not self.tried:
                raise
            stop, reason = StopReason.INTERRUPTED, "interrupted; the best network so far was kept"
        best = self._best()
        history = best.run.finish()
        history.stop, history.reason = stop, reason
        seconds = self.budget.elapsed()
        return SearchResult(best.run.model, history, self.tried, stop, reason, seconds, self.failures)

    def _best(self) -> Trial:
        return smallest_near_best(
            [trial for trial in self.trials if math.isfinite(trial.error)],
            error=lambda trial: trial.error,
            size=lambda trial: trial.constants(max(trial.reached, default=RULES.first_grid)),
            near=lambda trial, best: trial.error <= max(RULES.same * best.error, RULES.exact),
        )

    def _rounds(self) -> tuple[StopReason, str]:
        while self.waiting and (not self.trials or self.budget.used() < self._entry()):
            self._enter(self.waiting.pop(0), self.seed)
            if self.budget.over():
                return self.budget.stop(), self.budget.end()
            if self.trials and self.trials[-1].error < RULES.exact:
                return StopReason.EXACT, "the data are learnt to the last digits"
            self._deprioritise()
            if self.look:
                self._detect_combinations()
                self._detect_singularity()
        if not self.trials:
            raise OptionError(
                f"no network fits into {self.parameters} parameters: the smallest, "
                f"{[self.data.n_features, self.data.n_targets]}, has more; raise parameters"
            )
        for number, kept in enumerate(RULES.kept):
            for better in self._ranked()[:kept]:
                self._advance(better)
                if self.budget.over():
                    return self.budget.stop(), self.budget.end()
            if number == 0:
                for one in self._ranked()[: RULES.forked]:
                    for degree in self._degrees(one.architecture.combinations)[1:]:
                        self._enter(replace(one.architecture, degree=degree), one.seed)
                        if self.budget.over():
                            return self.budget.stop(), self.budget.end()
                self.trials += [
                    one.forked() for one in self._ranked()[: RULES.forked] if one.architecture.hidden and not one.over
                ]
        return self._refine()

    def _refine(self) -> tuple[StopReason, str]:
        """Train the best on finer grids; when that brings nothing any more, begin others."""
        for number in itertools.count(1):
            while (trial := self._promising()) is not None:
                self._advance(trial)
                if self.budget.over():
                    return self.budget.stop(), self.budget.end()
            if self._settled():
                return StopReason.CONVERGED, "several shapes reach the same error"
            if self.waiting:
                self._enter(self.waiting.pop(0), self.seed)
            elif number <= RULES.max_restarts:
                # Without hidden layers all starts end in the same place.
                ranked = list(dict.fromkeys(one.architecture for one in self._ranked() if one.architecture.hidden))
                if not ranked:
                    break
                # The best two in turn. Seeds lie 1000 apart so that runs with neighbouring seeds share no start.
                self._enter(ranked[number % min(2, len(ranked))], self.seed + 1000 * number)
            else:
                break
            if self.budget.over():
                return self.budget.stop(), self.budget.end()
        return StopReason.NO_IMPROVEMENT, f"other shapes, starts and grids brought no better {self.judged} error"

    def _promising(self) -> Trial | None:
        """The best network that can go on and is as good as the best of all was with no more constants."""
        leader, *_ = ranked = self._ranked()
        for trial in ranked:
            if trial.over or not trial.reached:
                continue
            size = max(trial.reached)
            count = trial.constants(size)
            rivals = [error for grid, error in leader.reached.items() if leader.constants(grid) <= count]
            if trial.reached[size] <= min(rivals, default=math.inf):
                return trial
        return None

    def _settled(self) -> bool:
        """Whether shapes of three kinds come to the same error: then it is that of the data."""
        least: dict[Hidden, float] = {}
        for trial in self._ranked():
            least.setdefault(trial.architecture.hidden, trial.error)
        errors = sorted(least.values())
        # Three, so that two shapes do not agree by chance.
        return len(errors) >= 3 and errors[2] <= RULES.same * errors[0]

    def _ranked(self) -> list[Trial]:
        return sorted(self.trials, key=lambda trial: trial.error)

    def _architectures(self) -> list[Architecture]:
        """Networks of all shapes, with the linear combinations and singularities that were detected."""
        degree, *_ = self._degrees(self.combinations)
        return [
            Architecture(hidden, degree, self.combinations, self.singularities) for hidden in dict.fromkeys(self.shapes)
        ]

    def _degrees(self, combinations: Combinations | None) -> tuple[int, ...]:
        inputs = self.data.n_features if combinations is None else len(combinations)
        return self.degrees or (RULES.degrees if inputs <= SHAPES.few else RULES.degrees[1:])

    def _entry(self) -> float:
        return RULES.entry if self.combinations is None and not self.singularities else RULES.entry_detected

    def _detect_combinations(self) -> None:
        """If the best network shows linear combinations of inputs, begin networks that compute these first."""
        best = min(self.trials, key=lambda trial: trial.error, default=None)
        if self.data.n_features <= SHAPES.few or best is None or not best.error < self.detected_at:
            return
        self.detected_at = best.error
        found = best.combinations()
        if found is None or (self.combinations is not None and len(found) >= len(self.combinations)):
            return
        self.combinations = found
        single = {inputs[0][0] for inputs in found if len(inputs) == 1}
        self.singularities = tuple(end for end in self.singularities if end.feature in single)
        names = self.data.feature_names
        joined = ["(" + ", ".join(names[i] for i, _ in inputs) + ")" for inputs in found if len(inputs) > 1]
        self.tell(f"inputs that enter as one weighted sum: {', '.join(joined)}")
        self.shapes = SHAPES.of_combinations(len(found))
        self.waiting = self._architectures() + [
            architecture for architecture in self.waiting if architecture.first(self.data.n_features) is None
        ]

    def _detect_singularity(self) -> None:
        """If networks err at one endpoint of an input, try one that computes the root of the distance from it."""
        if not self.trials or not (found := self._singularity()):
            return
        feature, side = found
        best = self._ranked()[0]
        self.roots_tried.append((feature, side, best.architecture.hidden))
        singularities = (*best.architecture.singularities, endpoint_singularities.located(self.data, feature, side))
        trial = self._enter(replace(best.architecture, singularities=singularities), best.seed)
        if trial is None or not trial.error <= RULES.better * best.error:
            return
        self.singularities, self.combinations = singularities, trial.architecture.combinations
        self.tell(f"steep at the {'lower' if side > 0 else 'upper'} end of {self.data.feature_names[feature]}")
        others = [architecture for architecture in self.waiting if architecture.singularities != singularities]
        self.waiting = [
            architecture for architecture in self._architectures() if architecture.hidden != best.architecture.hidden
        ] + others

    def _singularity(self) -> tuple[int, int] | None:
        """The endpoint singularity that some network shows and that the best was not tried with."""
        best, *_ = ranked = self._ranked()
        if best.error < RULES.exact:
            return None
        known = {one.feature for one in best.architecture.singularities}
        joined = {i for inputs in best.architecture.combinations or () if len(inputs) > 1 for i, _ in inputs}
        for one in ranked:
            # One node learns a product x*y as exp(log(x) + log(y)), which is steep at 0 by itself.
            if (
                one.error > RULES.learnt
                or 1 in one.architecture.hidden
                or one.architecture.singularities != best.architecture.singularities
            ):
                continue
            if (found := one.singularity()) is None or found[0] in known | joined:
                continue
            shapes = [hidden for *place, hidden in self.roots_tried if tuple(place) == found]
            if best.architecture.hidden not in shapes and len(shapes) < RULES.max_root_trials:
                return found
        return None

    def _deprioritise(self) -> None:
        """Move networks with linear combinations to the end of the queue if their probe is far worse than others."""
        newest = self.trials[-1] if self.trials else None
        if newest is None or newest.architecture.combinations is None or newest.architecture.hidden != PROBE_SHAPE:
            return
        others = [
            trial.error for trial in self.trials if trial.architecture.combinations != newest.architecture.combinations
        ]
        if newest.error > RULES.worse * min(others):
            self.waiting.sort(key=lambda architecture: architecture.combinations is not None)

    def _enter(self, architecture: Architecture, seed: int) -> Trial | None:
        """Train a network on the first two grids, and on more while it has few constants; None if it is too large."""
        trial = Trial(architecture, self.data, seed, self.budget, self.stage)
        constants = trial.constants(RULES.first_grid)
        too_many = self.trials and constants > trial.run.tracker.train.y.numel()
        if too_many or (self.parameters is not None and constants > self.parameters):
            return None
        rows, left = len(trial.run.tracker.train.x), self.budget.deadline.left()
        if self.trials and self.cost.affordable(trial.run.model, rows, left) < RULES.steps:
            return None
        self.trials.append(trial)
        began, taken = self.budget.elapsed(), self.budget.taken
        self._attempt(trial, trial.begin)
        self.cost.corrected(trial.run.model, rows, self.budget.elapsed() - began, self.budget.taken - taken)
        for number in range(len(trial.sizes)):
            if trial.over or (number > 1 and trial.constants(trial.sizes[number]) > RULES.level):
                break
            self._advance(trial)
        return trial

    def _advance(self, trial: Trial) -> None:
        """Train on the next grid, unless that is too much or the last one brought nothing."""
        done = len(trial.reached)
        if trial.over or done >= len(trial.sizes):
            trial.over = True
            return
        size = trial.sizes[done]
        constants = trial.constants(size)
        if self.parameters is not None and constants > self.parameters:
            trial.over = True
            return
        before = trial.error
        failed = not self._attempt(trial, lambda: trial.visit(size))
        if failed or not math.isfinite(trial.error):
            return
        if (done and trial.error > RULES.advance * before) or trial.error < RULES.exact:
            trial.over = True
        self._note(trial, size, constants)

    def _attempt(self, trial: Trial, train: Callable[[], None]) -> bool:
        """Train a network, which is over when the budget is, or when a fault stops it; whether there was none."""
        failed = f"the training of the network {trial.run.model.shape} failed"
        with self.failures.part(failed, "others are trained") as part:
            try:
                train()
            except StopFit:
                trial.over = True
        trial.over = trial.over or part.has_failed
        return not part.has_failed

    def _note(self, trial: Trial, size: int, constants: int) -> None:
        shape = tuple(trial.run.model.shape)
        self.tried.append(Tried(shape, size, constants, trial.error, trial.run.test_error()))
        self.tell(f"{list(shape)} with {size} intervals: {self.judged} error {trial.error:.2g}")
