"""Straighten: among the networks that fit equally well, come to one whose edges are few and simple.

A network has freedoms that its data do not fix: with several hidden nodes the same function can be written with many
sets of curves. Reweighted penalties on the edges' size and bend lead along these freedoms to curves that a person, and
the symbolic library, can recognise: most become straight lines, and the rest carry the structure.
"""

from __future__ import annotations

from superpose.data import Dataset
from superpose.data.sampling import evenly
from superpose.deadline import Deadline
from superpose.nn.model import KAN
from superpose.nn.rows import scaled_rows
from superpose.optim import penalty
from superpose.optim.levenberg_marquardt import LevenbergMarquardt

# Strengths in units of the targets' variance; each is held for some cycles of reweighting and a few steps.
_STRENGTHS = (1e-2, 1e-3, 1e-4)
_CYCLES, _STEPS = 6, 4
# Removing an edge is weighed against straightening it.
_SIZE_SHARE = 0.3


def straighten(model: KAN, data: Dataset, *, least: float = 1e-4, time_limit: float | None = None) -> KAN:
    """A new model of nearly the same function whose edges are as straight and few as the data allow.

    Args:
        model: a fitted network.
        data: its training rows are used, at most 2048 of them.
        least: the last and weakest strength; raise it with the noise, in units of the targets' variance.
        time_limit: seconds after which the network so far is returned; no limit if left out.
    """
    deadline = Deadline(time_limit)
    straight = model.copy()
    x, y = scaled_rows(straight, data)
    pick = evenly(len(x), 2048)
    x, y = x[pick], y[pick]
    damping = 1e-2
    for strength in [s for s in _STRENGTHS if s > least] + [least]:
        for _ in range(_CYCLES):
            if deadline.passed():
                return straight
            stepper = LevenbergMarquardt(straight, x, y, damping=damping)
            stepper.penalties = [
                *penalty.roughness(stepper.parameters, 1e-9),
                *penalty.reweighted(stepper.parameters, x, strength, kind="bend"),
                *penalty.reweighted(stepper.parameters, x, _SIZE_SHARE * strength, kind="size"),
            ]
            for _ in range(_STEPS):
                if stepper.step().stalled:
                    break
            damping = min(stepper.damping.value, 1.0)
    return straight
