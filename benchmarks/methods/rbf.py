"""SciPy's RBFInterpolator: local quintic splines through the 100 nearest points."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.methods.fitted import Fitted, Scaled
from benchmarks.problems import KnownFunction
from benchmarks.problems.known_function import FloatArray

_NEIGHBOURS = 100


def fit(
    problem: KnownFunction,
    x: FloatArray,
    y: FloatArray,
    *,
    time_limit: float,
    seed: int,
    parameters: int | None = None,
) -> Fitted:
    """Store the points ``x`` [N, n] and values ``y`` [N]; the work is done at each prediction.

    Raises:
        ValueError: if 100 points do not determine the polynomial part, as in more than 12 dimensions.
    """
    from scipy.interpolate import RBFInterpolator

    scaled = Scaled.of(x, y, seed)
    points, values = scaled.everything
    interpolator = RBFInterpolator(
        points.numpy(), values.numpy(), neighbors=min(_NEIGHBOURS, len(points)), kernel="quintic"
    )

    def predict(new: Tensor) -> Tensor:
        return torch.as_tensor(interpolator(new.numpy()))

    return Fitted(scaled.predictor(predict), len(points))
