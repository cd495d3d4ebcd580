"""Free constants of a network, symbolic and spline, fitted again after an edit."""

from __future__ import annotations

from torch import Tensor

from superpose.data import Dataset
from superpose.deadline import Deadline
from superpose.nn.likelihood import Head
from superpose.nn.model import KAN, Edge
from superpose.nn.rows import scaled_rows
from superpose.optim.gauss_newton import DampedGaussNewton
from superpose.optim.levenberg_marquardt import FisherScoring, LevenbergMarquardt

# Damping of the first step, relative to the diagonal of the normal matrix. Smaller than in training: constants come
# from fitted curves, so the start is near. A round number; nothing was measured.
_DAMPING = 1e-3
# Mean squared errors below this are rounding: an error of 1e-14 is 45 units of 2^-52.
_ROUNDING = 1e-28


def refit(model: KAN, data: Dataset, *, steps: int = 50, tolerance: float = 1e-3) -> KAN:
    """A new model whose free constants, symbolic and spline, are fitted again to the training rows.

    Levenberg-Marquardt steps through the whole network; of a classifier on the likelihood of its head. Frozen constants
    stay as they are.

    Args:
        model: it is not changed.
        data: its training rows.
        steps: at most this many.
        tolerance: stop when three steps together lower the squared error by less than this share of itself.

    >>> import torch
    >>> x = torch.linspace(-1, 1, 60, dtype=torch.float64)[:, None]
    >>> data = Dataset.from_arrays(x, 3 * x**2)
    >>> model = KAN([1, 1], seed=0)
    >>> model.layer(0).set_symbolic({(0, 0): ("x^2", (1.0, 0.1, 1.0, 0.0))})
    >>> x, y = data.rows("test")
    >>> torch.allclose(refit(model, data)(x), y)
    True
    """
    fitted = model.copy()
    x, y = scaled_rows(fitted, data)
    polish(fitted, x, y, steps=steps, tolerance=tolerance, head=model.head)
    return fitted


def polish(
    model: KAN,
    x: Tensor,
    y: Tensor,
    *,
    steps: int,
    tolerance: float = 1e-3,
    only: Edge | None = None,
    deadline: Deadline | None = None,
    head: Head | None = None,
) -> float:
    """Fit a model's free constants in place by Levenberg-Marquardt; returns the mean squared error.

    With a head it is twice its mean loss, which Fisher scoring lowers.

    Args:
        model: changed in place.
        x, y: ``[B, n_in]`` and ``[B, n_out]`` in the model's scaled units.
        steps, tolerance: as for :func:`refit`.
        only: a symbolic edge; all of its constants are fitted, and nothing else.
        deadline: when no further step is taken.
        head: of a classifier.
    """
    stepper: DampedGaussNewton
    if head is None:
        stepper = LevenbergMarquardt(model, x, y, damping=_DAMPING)
    else:
        stepper = FisherScoring(model, x, y, head, damping=_DAMPING)
    if only is not None:
        stepper.parameters.hold_all_but(only)
    losses = [stepper.loss]
    for _ in range(steps):
        if deadline is not None and deadline.passed():
            break
        result = stepper.step()
        losses.append(result.loss)
        if result.stalled or result.loss < _ROUNDING or losses[-1] != losses[-1]:
            break
        if len(losses) > 4 and losses[-1] > losses[-4] * (1 - tolerance):
            break
    return losses[-1]
