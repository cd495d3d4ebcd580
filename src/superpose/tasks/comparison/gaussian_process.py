"""The Gaussian process among the peers: its kernel's constants are those of greatest marginal likelihood."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from superpose.data.tables import FloatArray
from superpose.deadline import Deadline
from superpose.tasks.comparison.fitted import Fits, FittedMethod, Standardiser, TrainingRows


@dataclass(frozen=True)
class ProcessSettings:
    """Sizes of the Gaussian process.

    Attributes:
        rows: it is fitted to at most so many rows, drawn at random: time grows with their cube.
        class_rows: the same for classes, where the Laplace approximation takes several factorisations for each value
            of the likelihood, and each class has a process of its own.
        entries: the gradient of the kernel is an array of rows x rows x inputs. With more entries, 160 MB, all inputs
            share one length. A round number.
        noise: standard deviation of the noise at the start, in units of the target's, squared.
    """

    rows: int = 1000
    class_rows: int = 500
    entries: float = 2e7
    noise: float = 0.1


SETTINGS = ProcessSettings()


class _TimeOver(Exception):
    pass


def gaussian_process(rows: TrainingRows) -> Fits:
    """A Gaussian process with a constant times a Gaussian kernel, one length for each input, and white noise."""
    from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    some = rows.sample(SETTINGS.class_rows if rows.classes else SETTINGS.rows)
    inputs = Standardiser.of(some.x)
    x, count = inputs.apply(some.x), some.x.shape[1]
    separate = len(x) ** 2 * count <= SETTINGS.entries
    # Distances between standardised points grow with the root of the number of inputs.
    lengths = np.full(count, math.sqrt(count)) if separate else math.sqrt(count)
    smooth = ConstantKernel(1.0, (1e-4, 1e4)) * RBF(lengths, (1e-2, 1e4))
    optimizer = _until(rows.deadline)
    notes = [] if some is rows else [f"fitted to {len(x):,} of {len(rows.y):,} rows"]
    notes += [] if separate else ["one length for all inputs"]
    if rows.classes:
        classifier = GaussianProcessClassifier(smooth, optimizer=optimizer, random_state=rows.seed)
        classifier.fit(x, some.y)
        processes = len(np.unique(some.y)) if len(np.unique(some.y)) > 2 else 1
        size = processes * (len(x) + smooth.n_dims)
        return {"gp": FittedMethod(lambda new: classifier.predict(inputs.apply(new)), size, ", ".join(notes))}
    targets = Standardiser.of(some.y)
    kernel = smooth + WhiteKernel(SETTINGS.noise, (1e-10, 1e1))
    process = GaussianProcessRegressor(kernel, optimizer=optimizer, random_state=rows.seed)
    process.fit(x, targets.apply(some.y))
    # A weight for each row, and the kernel's constants.
    size = len(x) + kernel.n_dims
    return {"gp": FittedMethod(lambda new: targets.undo(process.predict(inputs.apply(new))), size, ", ".join(notes))}


def _until(deadline: Deadline) -> Callable[..., tuple[FloatArray, float]]:
    """An optimiser for scikit-learn's processes: L-BFGS, and at the deadline the best constants so far."""
    from scipy.optimize import minimize

    def optimizer(objective: Callable[..., Any], first: FloatArray, bounds: FloatArray) -> tuple[FloatArray, float]:
        best: list[Any] = [first, math.inf]

        def watched(theta: FloatArray) -> Any:
            if deadline.passed():
                raise _TimeOver
            value, gradient = objective(theta, eval_gradient=True)
            if value < best[1]:
                best[:] = [theta.copy(), value]
            return value, gradient

        with contextlib.suppress(_TimeOver):
            minimize(watched, first, method="L-BFGS-B", jac=True, bounds=bounds)
        return best[0], best[1]

    return optimizer
