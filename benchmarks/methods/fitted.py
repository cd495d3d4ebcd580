"""The points as scaled tensors, and a fitted function: input and output of every method of regression."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmarks.problems.known_function import FloatArray
from superpose.data import Dataset
from superpose.nn import KAN
from superpose.nn.products import Width


class Fitted(NamedTuple):
    """What training gave.

    Attributes:
        predict: from points [N, n] to values [N], both in the problem's units.
        parameters: how many numbers the function keeps; stored points for those that store points.
        shape: widths of the layers, as :class:`~superpose.KAN` takes them; empty where there are none.
        grids: grid sizes that were visited, empty where there are none.
    """

    predict: Callable[[FloatArray], FloatArray]
    parameters: int
    shape: tuple[Width, ...] = ()
    grids: tuple[int, ...] = ()

    @classmethod
    def of(cls, model: KAN, grids: tuple[int, ...] = ()) -> Fitted:
        """A network's own predictions."""

        def predict(points: FloatArray) -> FloatArray:
            with torch.no_grad():
                values: FloatArray = model(torch.as_tensor(points, dtype=torch.float64))[:, 0].numpy()
            return values

        return cls(predict, model.parameter_count(), tuple(model.shape), grids)


def as_dataset(x: FloatArray, y: FloatArray, seed: int) -> Dataset:
    """The points with a tenth held out for validation, and none for a test, which has points of its own."""
    return Dataset.from_arrays(x, y, validation=0.1, test=0.0, seed=seed)


@dataclass(frozen=True)
class Scaled:
    """The points as a peer sees them: inputs in [-1, 1], targets with mean 0 and deviation 1, as for superpose.

    Attributes:
        data: in the problem's units.
        train, validation: ``(x [N, n], y [N, 1])``, scaled.
    """

    data: Dataset
    train: tuple[Tensor, Tensor]
    validation: tuple[Tensor, Tensor]

    @classmethod
    def of(cls, x: FloatArray, y: FloatArray, seed: int) -> Scaled:
        data = as_dataset(x, y, seed)

        def part(xs: Tensor, ys: Tensor) -> tuple[Tensor, Tensor]:
            return data.x_scale.apply(xs), data.y_scale.apply(ys)

        return cls(data, part(*data.rows("train")), part(*data.rows("validation")))

    @property
    def everything(self) -> tuple[Tensor, Tensor]:
        """All points, scaled, for methods that keep them."""
        return self.data.x_scale.apply(self.data.x), self.data.y_scale.apply(self.data.y)

    def predictor(self, function: Callable[[Tensor], Tensor]) -> Callable[[FloatArray], FloatArray]:
        """A function of scaled tensors as one of arrays in the problem's units."""

        def predict(x: FloatArray) -> FloatArray:
            with torch.no_grad():
                scaled = function(self.data.x_scale.apply(torch.as_tensor(x, dtype=torch.float64)))
                values = self.data.y_scale.undo(scaled.reshape(-1, 1))
            return np.asarray(values[:, 0].numpy(), dtype=np.float64)

        return predict


def rmse(predicted: Tensor, target: Tensor) -> float:
    """Root mean squared error of two tensors of as many values."""
    return float((predicted.reshape(-1) - target.reshape(-1)).square().mean().sqrt())
