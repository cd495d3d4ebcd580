"""scikit-learn's Gaussian process with a Gaussian kernel, one length for each input."""

from __future__ import annotations

import contextlib
import math
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.methods.fitted import Fitted, Scaled, rmse
from benchmarks.problems import KnownFunction
from benchmarks.problems.known_function import FloatArray

# Relative to the kernel's largest value. Smooth functions want it as small as the factorisation bears.
_JITTERS = tuple(10.0**power for power in range(-12, -4))
# A length of 0.2 of the unit square did well on the special functions; scaled inputs have ranges of 2.
_LENGTH = 0.4
# The likelihood of all points takes minutes; its lengths hardly change with more of them. Its gradient is an array of
# points x points x inputs.
_SUBSET, _MAX_ENTRIES = 1000, 2e7
_AFTERWARDS = 3


def fit(
    problem: KnownFunction,
    x: FloatArray,
    y: FloatArray,
    *,
    time_limit: float,
    seed: int,
    parameters: int | None = None,
) -> Fitted:
    """Choose the kernel's lengths by validation between 0.2 of each range and those of greatest marginal likelihood.

    The lengths chosen, all points ``x`` [N, n] and values ``y`` [N] are kept.
    """
    began = time.monotonic()
    scaled = Scaled.of(x, y, seed)
    fixed = np.full(x.shape[1], _LENGTH)
    with warnings.catch_warnings():
        # Of lengths at their bounds.
        warnings.simplefilter("ignore")
        score = _score(scaled, fixed)
        # The same once more for other lengths, and a larger one with all points, have to be paid for.
        left = time_limit - _AFTERWARDS * (time.monotonic() - began)
        # Distances grow with the dimensions: with short lengths there all points are strangers, and gradients vanish.
        likely = _likely_lengths(scaled, fixed * math.sqrt(x.shape[1] / 2), began + left, seed)
        lengths = likely if _score(scaled, likely) < score else fixed
        predict = _regression(lengths, *scaled.everything)
    return Fitted(scaled.predictor(predict), len(x))


def _score(scaled: Scaled, lengths: FloatArray) -> float:
    """The validation error, infinite where these lengths cannot be used."""
    try:
        error = rmse(_regression(lengths, *scaled.train)(scaled.validation[0]), scaled.validation[1])
    except np.linalg.LinAlgError:
        return math.inf
    return error if math.isfinite(error) else math.inf


def _regression(lengths: FloatArray, x: Tensor, y: Tensor) -> Callable[[Tensor], Tensor]:
    """The posterior mean, with the least jitter with which the kernel's matrix can be factorised."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF

    for jitter in _JITTERS:
        process = GaussianProcessRegressor(RBF(lengths, "fixed"), alpha=jitter, optimizer=None, normalize_y=True)
        try:
            process.fit(x.numpy(), y[:, 0].numpy())
        except np.linalg.LinAlgError:
            if jitter == _JITTERS[-1]:
                raise
            continue
        break
    return lambda new: torch.as_tensor(process.predict(new.numpy()))


class _TimeOver(Exception):
    pass


def _likely_lengths(scaled: Scaled, start: FloatArray, until: float, seed: int) -> FloatArray:
    """Lengths of greatest marginal likelihood on some of the training points, as far as the time goes."""
    from scipy.optimize import minimize
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    def optimizer(objective: Callable[..., Any], first: FloatArray, bounds: FloatArray) -> tuple[FloatArray, float]:
        best: list[Any] = [first, math.inf]

        def watched(theta: FloatArray) -> Any:
            if time.monotonic() > until:
                raise _TimeOver
            value, gradient = objective(theta, eval_gradient=True)
            if value < best[1]:
                best[:] = [theta.copy(), value]
            return value, gradient

        with contextlib.suppress(_TimeOver):
            minimize(watched, first, method="L-BFGS-B", jac=True, bounds=bounds)
        return best[0], best[1]

    x, y = scaled.train
    size = min(_SUBSET, math.isqrt(int(_MAX_ENTRIES / x.shape[1])))
    some = np.random.default_rng(seed).permutation(len(x))[:size]
    # The jitter inside the product, so that it stays relative to the kernel's size.
    kernel = ConstantKernel(1.0, (1e-4, 1e8)) * (
        RBF(start, (1e-2, 1e3)) + WhiteKernel(_JITTERS[0], noise_level_bounds="fixed")
    )
    process = GaussianProcessRegressor(kernel, alpha=0.0, optimizer=optimizer, normalize_y=True)
    try:
        process.fit(x.numpy()[some], y[:, 0].numpy()[some])
    except np.linalg.LinAlgError:
        return start
    return np.atleast_1d(process.kernel_.k2.k1.length_scale)
