"""Straightening: a network of the same error whose edge functions are as few and as straight as possible.

The data do not determine the edge functions of a network with several hidden nodes: many sets of curves give the same
function. Reweighted penalties on the bend and the size of the edges (E. Candes et al., *Enhancing sparsity by
reweighted l1 minimization*, 2008) select a set in which most edges are straight lines, and which a person or the
symbolic library can recognise.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from superpose.data import Dataset
from superpose.data.sampling import evenly
from superpose.deadline import Deadline
from superpose.nn.model import KAN
from superpose.nn.rows import scaled_rows
from superpose.optim import penalty
from superpose.optim.levenberg_marquardt import LevenbergMarquardt


@dataclass(frozen=True)
class _Schedule:
    """The penalties of :func:`straighten`, from strong to weak.

    No measurement of these values is recorded.

    Attributes:
        strengths: of the penalty on bend, in units of the targets' variance.
        size_share: strength of the penalty on size relative to that on bend: edges are straightened before they are
            removed.
        roughness: strength of a smoothing penalty on all edges, which keeps unseen coefficients determined.
        cycles: of reweighting at each strength,
        steps: and Levenberg-Marquardt steps in each cycle.
        damping: of the first step, and ``largest_damping`` of the first step of a cycle.
        rows: at most this many training rows.
    """

    strengths: tuple[float, ...] = (1e-2, 1e-3, 1e-4)
    size_share: float = 0.3
    roughness: float = 1e-9
    cycles: int = 6
    steps: int = 4
    damping: float = 1e-2
    largest_damping: float = 1.0
    rows: int = 2048


_SCHEDULE = _Schedule()


def straighten(model: KAN, data: Dataset, *, min_strength: float = 1e-4, time_limit: float | None = None) -> KAN:
    """A new model of nearly the same function whose edges are as straight and as few as the data allow.

    Args:
        model: a fitted network; it is not changed.
        data: its training rows are used, at most 2048 of them; for a classifier, whose scores it keeps, only features.
        min_strength: the last and weakest strength of the penalty, in units of the targets' variance. With noise it
            should be about the variance of the noise.
        time_limit: seconds after which the network so far is returned; no limit by default.

    >>> import torch
    >>> x = torch.rand(200, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    >>> data = Dataset.from_arrays(x, (x[:, 0] + x[:, 1]) ** 2)
    >>> model = KAN([2, 2, 1], seed=0, feature_names=data.feature_names)
    >>> straighten(model, data).widths
    [2, 2, 1]
    """
    deadline = Deadline(time_limit)
    straight = model.copy()
    x, y = scaled_rows(straight, data)
    pick = evenly(len(x), _SCHEDULE.rows)
    x, y = x[pick], y[pick]
    if model.head is not None:
        # Labels are no values of scores, and the function is to stay.
        with torch.no_grad():
            y = straight.scale_targets(straight(data.features(data.train[pick]).to(straight.input_center.device)))
    damping = _SCHEDULE.damping
    for strength in [s for s in _SCHEDULE.strengths if s > min_strength] + [min_strength]:
        for _ in range(_SCHEDULE.cycles):
            if deadline.passed():
                return straight
            stepper = LevenbergMarquardt(straight, x, y, damping=damping)
            stepper.penalties = [
                *penalty.roughness(stepper.parameters, _SCHEDULE.roughness),
                *penalty.reweighted(stepper.parameters, x, strength, kind="bend"),
                *penalty.reweighted(stepper.parameters, x, _SCHEDULE.size_share * strength, kind="size"),
            ]
            for _ in range(_SCHEDULE.steps):
                if stepper.step().stalled:
                    break
            damping = min(stepper.damping.value, _SCHEDULE.largest_damping)
    return straight
