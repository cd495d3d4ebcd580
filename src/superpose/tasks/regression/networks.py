"""Second stage: networks of growing size, and the formulas that are read from them."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch

from superpose.formulas.recommendation import EXACT, Finding
from superpose.nn.model import KAN
from superpose.nn.products import Width, fixed
from superpose.stopping import StopReason
from superpose.tasks.regression import findings
from superpose.tasks.regression.context import BUDGET, Context
from superpose.tasks.regression.structure import Structure
from superpose.train.candidate_shapes import SHAPES, Hidden, in_order
from superpose.train.fit import fit
from superpose.train.growing_rows import fit_growing
from superpose.train.history import History
from superpose.train.step_cost import affordable_starts


@dataclass(frozen=True)
class Search:
    """Which networks are trained and read.

    Grids and factors were chosen on the AI Feynman equations and the tables in ``examples/data``;
    neighbouring values were not compared.

    Attributes:
        rounds: how often the best shapes are trained again from other random starts.
        repeated: how many shapes that is.
        grids: grid sizes of networks with hidden layers.
        additive_grids: those of a sum of functions of one variable: a linear problem, so that finer grids cost little,
            and they show whether the sum is the truth.
        promising: a network is read if its error is within this factor of the best error.
        as_good: a formula is good enough if its error is within this factor of the best network's.
        better: of the error of a sum of smooth functions, what a network must come below to be searched further. A
            fifth of a few rows says no more than this; a round number.
        clearly: on a large table further networks are trained while the best one errs this many times as much as a
            formula, or what is known to be reachable.
        more: share of the time left that this may take.
        steps: a network is trained if there is time for so many.
        telling: relative error below which a network counts as exact, unless the data are smoother than their law.
    """

    rounds: int = 20
    repeated: int = 3
    grids: tuple[int, ...] = (5, 10)
    additive_grids: tuple[int, ...] = (5, 10, 20)
    promising: float = 4.0
    as_good: float = 1.03
    better: float = 0.8
    steps: int = 30
    clearly: float = 1.1
    more: float = 0.5
    telling: float = 2e-3


SEARCH = Search()


@dataclass
class Network:
    """A trained network of the search.

    Attributes:
        error: root mean squared error on the validation rows, in units of the target's spread.
        read: whether a formula was read from it.
    """

    hidden: Hidden
    model: KAN
    history: History
    error: float
    read: bool = False


@dataclass
class Networks:
    """What the search with networks found so far.

    Attributes:
        trained: all networks.
        found: formulas, those of the structure included.
        floor: the least error that was reached without a network.
        reason: why the search ended, in a sentence.
        stop: the same as an enumeration.
    """

    trained: list[Network] = field(default_factory=list)
    found: list[Finding] = field(default_factory=list)
    floor: float = math.inf
    reason: str = ""
    stop: StopReason = StopReason.NOT_RUN

    @property
    def least_error(self) -> float:
        """The error that a formula has to come near."""
        return min([network.error for network in self.trained] + [self.floor])

    def good_enough(self) -> bool:
        """Whether a formula is as good as the best network."""
        if not self.found:
            return False
        best = min(self.found, key=lambda finding: finding.error)
        # The same rows on both sides: a few validation rows may well be quieter than the rest.
        return best.error < EXACT or best.validation_error <= SEARCH.as_good * self.least_error


def search_networks(context: Context, structure: Structure, smooth: float = math.inf) -> Networks:
    """Train networks from simple to large and read those near the best, until a formula is as good as the best one.

    Args:
        smooth: the cross-validated error of a sum of smooth functions, in units of the target's spread. Where rows are
            few, networks that do not surpass it after their first shapes are not searched further.
    """
    state = Networks(found=list(structure.found))
    if context.data.n_targets == 1 and structure.laws and math.isfinite(structure.laws[0].floor):
        state.floor = structure.laws[0].floor
    try:
        state.stop, state.reason = _search(context, state, smooth)
    except KeyboardInterrupt:
        state.stop = StopReason.INTERRUPTED
    return state


def _search(context: Context, state: Networks, smooth: float) -> tuple[StopReason, str]:
    options, late = context.options, context.search.passed
    found = StopReason.CONVERGED, "a formula reaches the error of the best network"
    given = options.shape != "auto"
    first: Sequence[Hidden] = (tuple(map(fixed, options.shape[:-1])),) if given else SHAPES.formula_first
    later = SHAPES.formula_later if options.formula and not given else ()
    again = _other_starts(context, state) if options.formula else ()
    candidates = itertools.chain(((hidden, options.seed) for hidden in (*first, *later)), again)
    for network in in_order(candidates, lambda one: attempted(context, state.trained, *one), late):
        # Which networks are near the best is known after the first shapes; only an exact network is read earlier.
        early = len(state.trained) < len(first) and network.error >= SEARCH.telling
        if options.formula and not early and _read_promising(context, state):
            return found
        if not early and not len(context.data.validation) and state.least_error > SEARCH.better * smooth:
            return StopReason.NO_IMPROVEMENT, "networks predict no better than a sum of smooth functions"
    if not options.formula:
        return StopReason.CANDIDATES_EXHAUSTED, "only a network was asked for"
    # Where the time was over before all first shapes were trained, a law may be as good as their networks.
    if _read_promising(context, state):
        return found
    if late():
        return StopReason.TIME_LIMIT, "the time was over"
    return StopReason.CANDIDATES_EXHAUSTED, "every shape was tried"


def _other_starts(context: Context, state: Networks) -> Iterator[tuple[Hidden, int]]:
    """The shapes that did best, with other seeds."""
    for number in range(1, SEARCH.rounds + 1):
        best = sorted(state.trained, key=lambda network: network.error)[: SEARCH.repeated]
        for hidden in dict.fromkeys(network.hidden for network in best):
            yield hidden, context.options.seed + 1000 * number


def train(context: Context, trained: list[Network], hidden: Hidden, seed: int) -> Network | None:
    """Train one network on few rows, and append it; None if others were trained and there is no time for it.

    Raises:
        KeyboardInterrupt: if a user interrupts; the network is appended all the same.
    """
    shape = widths(context, hidden)
    network = context.stages.run(
        f"network {shape}",
        lambda: _trained(context, hidden, seed, needed=not trained),
        lambda one: one is not None and not one.history.interrupted,
    )
    if network is None:
        return None
    trained.append(network)
    if network.history.interrupted:
        raise KeyboardInterrupt
    context.tell(f"network {shape}: validation error {network.error:.1e} of the target's spread")
    return network


def _trained(context: Context, hidden: Hidden, seed: int, *, needed: bool) -> Network | None:
    options, rows = context.options, len(context.few.train)
    lm = options.optimizer == "lm"
    model = new_model(context, hidden, SEARCH.grids[0], seed)
    additive = not hidden and not model.layer(0).products
    # Products and several nodes have more local minima than one node.
    starts = 1 if additive or not lm else 4 + 2 * (max(model.widths[1:-1], default=1) > 1)
    left = max(1.0, context.search.left())
    if lm:
        starts = affordable_starts(context.cost.affordable(model, rows, left), starts, SEARCH.steps)
        if not starts and not needed:
            context.tell(f"there is no time for the network {widths(context, hidden)}")
            return None
        starts = max(1, starts)
    history = fit(
        model,
        context.few,
        optimizer=options.optimizer,
        grids=None if not lm else (SEARCH.additive_grids if additive else SEARCH.grids),
        starts=starts,
        seed=seed,
        time_limit=left,
        progress=False,
        listener=functools.partial(context.observer.step, model),
    )
    if lm:
        context.cost.measured(model, rows, history, starts)
    error = context.relative(history.validation_rmse if len(context.few.validation) else history.train_rmse)
    return Network(hidden, model, history, error if math.isfinite(error) else math.inf)


def attempted(context: Context, trained: list[Network], hidden: Hidden, seed: int) -> Network | None:
    """As :func:`train`; None, and a sentence in the failures of the run, if that fails."""
    with context.failures.part(f"the network {widths(context, hidden)} could not be trained", "others are"):
        return train(context, trained, hidden, seed)
    return None


def widths(context: Context, hidden: Hidden) -> list[Width]:
    """The widths of all layers."""
    shape = context.options.shape
    return [context.data.n_features, *hidden, context.data.n_targets if shape == "auto" else shape[-1]]


def new_model(context: Context, hidden: Hidden, grid_size: int, seed: int) -> KAN:
    """An untrained network; edges from columns that enter linearly are straight lines of random slopes."""
    options = context.options
    model = KAN(widths(context, hidden), grid_size=grid_size, degree=options.spline_degree, seed=seed)
    layer, names = model.layer(0), context.data.feature_names
    generator = torch.Generator().manual_seed(options.seed)
    table = {
        (names.index(name), o): ("x", (1.0, 0.0, float(torch.randn((), generator=generator)), 0.0))
        for name in options.linear
        for o in range(layer.sum_count)
    }
    layer.set_symbolic(dict(sorted(table.items())))
    return model


def _read_promising(context: Context, state: Networks) -> bool:
    """Read the networks that are near the best, the simplest first; whether a formula is good enough."""
    limit = max(SEARCH.promising * state.least_error, SEARCH.telling)
    near = [one for one in state.trained if not one.read and math.isfinite(one.error) and one.error <= limit]
    for network in sorted(near, key=lambda one: (one.model.parameter_count(), one.error)):
        if context.search.passed():
            break
        network.read = True
        shape = widths(context, network.hidden)
        finding = None
        with context.failures.part(
            f"the formula could not be read from the network {shape}", "the network itself is complete"
        ):
            finding = context.stages.run(
                f"formula of the network {shape}",
                functools.partial(findings.from_network, context, network.model, network.error),
            )
        if finding is not None:
            state.found.append(finding)
            findings.announce(context, finding)
        if state.good_enough():
            return True
    return state.good_enough()


def final_network(
    context: Context, state: Networks, chosen: Finding | None, *, structural: bool
) -> tuple[KAN, History]:
    """The spline network of a run, its grid refined on all rows while that helps.

    If the chosen formula was read from a network, the final one has the same shape. If it is ``structural``, it was
    found by structure and leaves nothing to explain.
    """
    options, seed = context.options, context.options.seed
    try:
        if structural:
            # The network only illustrates the formula: the first shape that comes near is enough.
            shapes, late = SHAPES.formula_first, context.search.passed
            for network in in_order(shapes, lambda hidden: attempted(context, state.trained, hidden, seed), late):
                if network.error < SEARCH.telling:
                    break
        elif not state.trained:
            train(context, state.trained, (), seed)
    except KeyboardInterrupt:
        if not state.trained:
            raise
        state.stop = StopReason.INTERRUPTED
    large = len(context.data.train) > BUDGET.growing and options.grid_size is None and not structural
    if large and options.optimizer == "lm":
        _more_shapes(context, state)
    shape = None if chosen is None or structural or large else chosen.model.shape
    same = [one for one in state.trained if one.model.shape == shape] or state.trained
    best = min(same, key=lambda one: one.error)
    left = context.deadline.left()
    if state.stop is StopReason.INTERRUPTED or left < 2 or options.optimizer != "lm":
        return best.model, best.history
    # More rows of a large table are worth the time that is left; they end by themselves.
    limit = min(left, BUDGET.beside if structural else left if large else BUDGET.final)
    with context.failures.part("the network could not be refined on all rows", "it stays as the search trained it"):
        return context.stages.run(
            "final network", lambda: _refined(context, best, limit), lambda made: not made[1].interrupted
        )
    return best.model, best.history


def _more_shapes(context: Context, state: Networks) -> None:
    """Train further shapes, in a share of the time left, while formulas err clearly less than all networks.

    Where rows are many, a network that errs more than a formula was not given the time that it takes.
    """
    until = context.deadline.share(SEARCH.more)
    more = replace(context, search=until)
    done = {network.hidden for network in state.trained}
    shapes = [hidden for hidden in (*SHAPES.formula_first, *SHAPES.formula_later) if hidden not in done]
    known = min([state.floor, *(finding.validation_error for finding in state.found)])
    for hidden in shapes if context.options.shape == "auto" else ():
        if until.passed() or min(network.error for network in state.trained) <= SEARCH.clearly * known:
            return
        attempted(more, state.trained, hidden, context.options.seed)


def _refined(context: Context, best: Network, time_limit: float) -> tuple[KAN, History]:
    """The shape of a network trained anew on all rows; the network itself where that is no better.

    On a large table it is the network itself that goes on with more and more rows.
    """
    wanted, seed = context.options.grid_size, context.options.seed
    if wanted is None and len(context.data.train) > BUDGET.growing:
        model = best.model.copy()
        return model, fit_growing(model, context.data, rows=4 * BUDGET.rows, time_limit=time_limit, seed=seed)
    sizes = [min(SEARCH.grids[0], wanted or SEARCH.grids[0])]
    while wanted is not None and sizes[-1] < wanted:
        sizes.append(min(2 * sizes[-1], wanted))
    model = new_model(context, best.hidden, sizes[0], seed)
    grids = None if wanted is None else tuple(sizes)
    data = context.sample if len(context.data.validation) else context.few
    watch = functools.partial(context.observer.step, model)
    history = fit(model, data, grids=grids, starts=6, seed=seed, time_limit=time_limit, progress=False, listener=watch)
    if grids is None and context.relative(history.validation_rmse) > best.error:
        return best.model, best.history
    return model, history
