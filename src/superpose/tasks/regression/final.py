"""The network that is handed out: a spline network, the sum of smooth functions, or that of the formula."""

from __future__ import annotations

import math

import torch

from superpose.formulas.recommendation import Finding
from superpose.nn.model import KAN
from superpose.tasks.regression.context import BUDGET, Context
from superpose.tasks.regression.networks import Networks, final_network
from superpose.tasks.regression.reference import Reference, described, errors_of, judge, surpasses
from superpose.train.history import History

_OF_FORMULA = "the network was made of the formula"
# Round numbers: a squared error that is a quarter is far better, and a network that misses this share of the spread
# where a law does not is of no use beside it.
_FAR_BETTER = 0.25
_MISSED = 0.1


def smooth_error(context: Context, reference: Reference | None) -> float:
    """The cross-validated error of the reference in units of the target's spread; infinite without one."""
    if reference is None:
        return math.inf
    return context.relative(errors_of(context.data, reference.rows, reference.predictions)["rmse"])


def choose_network(
    context: Context, state: Networks, chosen: Finding | None, reference: Reference | None, *, structural: bool
) -> tuple[KAN, History]:
    """The network of a run: as :func:`final_network`, unless the rows favour the reference.

    If no network can be trained, that of the formula.
    """
    if reference is not None:
        found = reference.model, History(reason=f"the best fit of {described(reference.choice.fit)}")
        with context.failures.part("no spline network could be trained", "the sum of smooth functions is"):
            if _worth_refining(context, state, reference, structural):
                network, history = final_network(context, state, chosen, structural=structural)
                if surpasses(context, reference, network):
                    return network, history
        if chosen is not None and _far_better(context, reference, chosen):
            found = chosen.model, History(reason=_OF_FORMULA)
        return found
    if chosen is None:
        return final_network(context, state, None, structural=structural)
    with context.failures.part("no spline network could be trained", "that of the formula stands in its place"):
        network, history = final_network(context, state, chosen, structural=structural)
        if history.interrupted or not _fails_beside(context, network, chosen):
            return network, history
        context.tell("splines do not follow the formula; its functions stand on the edges of the network")
    return chosen.model, History(reason=_OF_FORMULA)


def _far_better(context: Context, reference: Reference, chosen: Finding) -> bool:
    """Whether a formula errs far less in leave-one-out than a sum of smooth functions in cross-validation."""
    with context.failures.part("the formula could not be judged by leave-one-out"):
        own = reference.losses(context.data, reference.rows, reference.predictions)
        return float(judge(context, reference, chosen).losses.mean()) < _FAR_BETTER * float(own.mean())
    return False


def _fails_beside(context: Context, network: KAN, chosen: Finding) -> bool:
    """Whether splines miss a law by far: many waves take more intervals than the rows can pay for."""
    data = context.data
    rows = data.validation if len(data.validation) else data.train
    with torch.no_grad():
        values, law = (one(data.features(rows)) - data.y[rows] for one in (network, chosen.formula.torch))
    own, other = (context.relative(float(one.square().mean().sqrt())) for one in (values, law))
    return not own < _MISSED and not other >= _MISSED * own


def _worth_refining(context: Context, state: Networks, reference: Reference, structural: bool) -> bool:
    """Whether a network of the search comes so near to the reference that more training may surpass it."""
    if structural or len(context.data.train) > BUDGET.growing:
        return True
    errors = [one.error for one in state.trained]
    own = smooth_error(context, reference)
    # A finer grid and all rows rarely make more of a network than this. A round number.
    return bool(errors) and min(errors) < 1.5 * own
