"""The network of a regressor: a sum of smooth functions, or one that a search finds, if rows favour it."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from superpose.data import Dataset
from superpose.data.sampling import evenly
from superpose.data.screening import screen
from superpose.data.splitting import folds
from superpose.deadline import Deadline
from superpose.nn import KAN
from superpose.nn.products import Width
from superpose.tasks.regression import DiscoverOptions, intervals
from superpose.tasks.regression.context import BUDGET, Context
from superpose.tasks.regression.judging import surpasses
from superpose.tasks.regression.options import check_log_target
from superpose.tasks.regression.reference import RULES as REFERENCE
from superpose.tasks.regression.reference import Reference, has_squares, is_plausible
from superpose.train import fit
from superpose.train.anova import choose_anova
from superpose.train.architecture_search import prepared
from superpose.train.budget import Budget
from superpose.train.growing_rows import fit_growing


@dataclass(frozen=True)
class NetworkOptions:
    """What is asked of a network.

    Attributes:
        hidden: widths of the hidden layers; None to search for them.
        grid_size: intervals of the grids; None to double them while that helps.
        degree: of the splines; None for what the search takes.
        sparsity: strength of the penalty on edges.
        max_steps: of the optimiser on each grid of a network whose shape is given.
        seed: of every random choice.
        deadline: of the fit.
        log_target: whether the logarithm of the target is fitted; None decides by the rows.
    """

    hidden: tuple[Width, ...] | None
    grid_size: int | None
    degree: int | None
    sparsity: float
    max_steps: int | None
    seed: int
    deadline: Deadline
    log_target: bool | None = None

    @property
    def free(self) -> bool:
        """Whether the form of the network is free, so that sums of smooth functions may take its place."""
        return self.hidden is None and self.grid_size is None and self.degree is None and not self.sparsity

    def seconds(self) -> float:
        """That are left, more than none."""
        return max(self.deadline.left(), LEAST_SECONDS)


# A time limit must be positive.
LEAST_SECONDS = 1e-3


@dataclass(frozen=True)
class FitRules:
    """Numbers of the fit. Round numbers.

    Attributes:
        columns: with more of them those without influence are left out, as :func:`superpose.discover` does with 12:
            sums of so many smooth functions take a few seconds.
        smooth: share of the time for the sum of smooth functions.
        search: share of the time left for the search for a network; the rest is for training on all rows.
        grid_size: intervals of the first grid of a network whose shape is given.
        few: with fewer rows no network is searched for. It would have to be better than the sum by two standard errors
            on a fifth of them.
    """

    columns: int = 30
    smooth: float = 0.5
    search: float = 0.8
    grid_size: int = 5
    few: int = 60


RULES = FitRules()


def fit_numbers(data: Dataset, options: NetworkOptions) -> tuple[KAN, str]:
    """A network of numeric targets, with prediction intervals where rows allow them, and how it was found."""
    check_log_target(options.log_target, data, free=options.free)
    if data.n_features > RULES.columns and options.hidden is None:
        data = screen(data, time_limit=options.seconds(), seed=options.seed).applied(data)
    if not options.free:
        return _of_shape(data, options)
    context = Context.start(
        data,
        DiscoverOptions(formula=False, seed=options.seed, time_limit=options.seconds(), log_target=options.log_target),
        lambda event: None,
        options.deadline,
    )
    reference = smooth_sum(context)
    if reference is not None and (len(data.train) < RULES.few or options.deadline.passed()):
        return _calibrated(data, reference), "a sum of smooth functions"
    found = _searched(context, options)
    if reference is not None and not surpasses(context, reference, found):
        return _calibrated(data, reference), "a sum of smooth functions"
    held_out = intervals.of_held_out(context.few, found, context.few.validation)
    model = _on_all_rows(context, found, options)
    model.uncertainty = intervals.uncertainty(data, model, held_out) if len(held_out.rows) else None
    return model, "a search among networks"


def smooth_sum(context: Context) -> Reference | None:
    """The best sum of smooth functions by leave-one-out; None where there is none."""
    data = context.data
    rows = torch.cat([data.train, data.validation]).sort().values
    if data.n_targets != 1 or not has_squares(data):
        return None
    rows = rows[evenly(len(rows), REFERENCE.rows)]
    weights = None if data.weights is None else data.weights[rows]
    x, y = data.features(rows), data.y[rows, 0]
    late, plausible = context.deadline.share(RULES.smooth).passed, functools.partial(is_plausible, data)
    choice = choose_anova(
        x, y, None, weights=weights, log_target=context.options.log_target, late=late, plausible=plausible
    )
    choice = replace(choice, rows=rows, suspicious=rows[choice.suspicious])
    model = choice.fit.network(data.feature_names, data.target_names)
    settings, cut = choice.fit.settings, math.inf
    if settings.robust:
        cut = REFERENCE.gross**2 * float(_squares(choice.predictions, y, log=settings.log_target).median()) / 0.455
    return Reference(choice, model, rows, choice.predictions, settings.log_target, cut, len(rows))


def _squares(predictions: Tensor, y: Tensor, *, log: bool) -> Tensor:
    return ((predictions.log() - y.log()) if log else (predictions - y)).square()


def _calibrated(data: Dataset, reference: Reference) -> KAN:
    """The network of a sum of smooth functions, with intervals from its leave-one-out errors."""
    errors = replace(intervals.of_reference(reference), source="leave-one-out")
    model = reference.model
    model.uncertainty = intervals.uncertainty(data, model, errors, reference.choice.fit.deviation)
    return model


def _searched(context: Context, options: NetworkOptions) -> KAN:
    """The best network of a search on some rows, others held out to compare it on."""
    seconds = max(RULES.search * context.deadline.left(), LEAST_SECONDS)
    budget = Budget(seconds, clock=context.deadline.clock)
    return prepared(context.few, budget, seed=options.seed).run().model


def _on_all_rows(context: Context, found: KAN, options: NetworkOptions) -> KAN:
    """A network of the search, trained on all rows."""
    data, model = context.data, found.copy()
    if len(data.train) > BUDGET.rows:
        fit_growing(model, data, rows=4 * BUDGET.rows, time_limit=options.seconds(), seed=options.seed)
    elif not len(data.validation):
        grid = max(layer.grid_size for layer in model.kan_layers())
        fit(model, data, grids=(grid,), seed=options.seed, time_limit=options.seconds(), progress=False)
    return model


def _of_shape(data: Dataset, options: NetworkOptions) -> tuple[KAN, str]:
    """A network of a given form."""
    model, reason = _trained(data, options)
    judged, some = model, data
    if not len(data.validation) and len(data.train) >= 2 * REFERENCE.folds:
        # Another one tells how large the errors on rows are that a network of this form was not fitted to.
        train, validation = folds(data, REFERENCE.folds, options.seed)[-1]
        some = replace(data, train=train, validation=validation)
        hidden = tuple(model.shape[1:-1])
        judged, _ = _trained(replace(data, train=train), replace(options, hidden=hidden))
    if len(some.validation):
        errors = intervals.of_held_out(some, judged, some.validation)
        model.uncertainty = intervals.uncertainty(data, model, errors)
    return model, reason


def _trained(data: Dataset, options: NetworkOptions) -> tuple[KAN, str]:
    """A network of the given form, its shape searched for if it is not given."""
    hidden: Sequence[Width] | None = options.hidden
    if hidden is None:
        budget = Budget(options.seconds(), clock=options.deadline.clock)
        found = prepared(data, budget, degree=options.degree, seed=options.seed).run().model
        if options.grid_size is None and not options.sparsity:
            return found, "a search among networks"
        hidden = found.shape[1:-1]
    widths = [data.n_features, *hidden, data.n_targets]
    degree = 3 if options.degree is None else options.degree
    model = KAN(widths, grid_size=options.grid_size or RULES.grid_size, degree=degree, seed=options.seed)
    history = fit(
        model,
        data,
        grids=None if options.grid_size is None else (options.grid_size,),
        steps=options.max_steps,
        sparsity=options.sparsity,
        seed=options.seed,
        time_limit=options.seconds(),
        progress=False,
    )
    return model, history.reason
