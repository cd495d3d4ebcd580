"""The network that is handed out: a spline network, the sum of smooth functions, or that of the formula.

Formulas that err far more than the trained networks are passed over.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from superpose.formulas.recommendation import EXACT, Finding
from superpose.nn.model import KAN
from superpose.tasks.regression.context import BUDGET, Context
from superpose.tasks.regression.judging import judge, surpasses
from superpose.tasks.regression.networks import Networks, final_network
from superpose.tasks.regression.reference import Reference, described, errors_of
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


def near_networks(context: Context, state: Networks, reference: Reference) -> list[Finding]:
    """The formulas that do not err far more than the best network on validation rows.

    On those of a small table an error is uncertain: there a formula is left out if it errs more in most of them too.
    """
    if not state.trained:
        return state.found
    best = min(state.trained, key=lambda network: network.error)
    near = [one for one in state.found if one.validation_error <= _FAR * max(best.error, EXACT)]
    data, rows = context.few, context.few.validation
    if len(rows) >= BUDGET.rows // 4 or len(near) == len(state.found):
        return near
    with torch.no_grad():
        losses = reference.losses(data, rows, best.model(data.features(rows))[:, 0])
    far = [one for one in state.found if not any(one is other for other in near)]
    return near + [one for one in far if not _errs_far_more(context, reference, one, losses)]


def far_from(network: KAN, context: Context, reference: Reference | None, finding: Finding) -> bool:
    """Whether a formula errs far more than the network handed out on the validation rows, and surely so.

    Formulas were compared with the reference before.
    """
    if reference is None or network in (reference.model, finding.model):
        return False
    rows = context.few.validation
    with torch.no_grad():
        losses = reference.losses(context.few, rows, network(context.few.features(rows))[:, 0])
    return _errs_far_more(context, reference, finding, losses)


def _errs_far_more(context: Context, reference: Reference, finding: Finding, losses: Tensor) -> bool:
    """Whether a formula errs far more than a network with these losses on the validation rows, and surely so."""
    data, rows = context.few, context.few.validation
    if len(rows) < 2:
        return False
    with torch.no_grad():
        own = reference.losses(data, rows, finding.formula.torch(data.features(rows))[:, 0])
    difference = own - losses
    sure = float(difference.mean()) > _SURE * float(difference.std()) / math.sqrt(len(rows))
    return sure and float(own.mean()) > _FARTHER**2 * float(losses.mean())


# Round numbers: a formula may err somewhat more, since it can be read: on many rows twice as much, on few ones as much
# as the second where it is so many standard errors of the difference.
_FAR = 2.0
_FARTHER = 1.5
_SURE = 2.0
