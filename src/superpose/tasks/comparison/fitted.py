"""What every method of a comparison takes and returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from superpose.data.scaling import mean_and_deviation
from superpose.data.tables import FloatArray
from superpose.deadline import Deadline
from superpose.short_repr import brief


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """What a method is fitted to, and how long it may take.

    Attributes:
        x: ``[N, n]`` features in their units.
        y: ``[N]`` target in its units, or the number of each row's class.
        feature_names, target: names of the columns.
        classes: names of the classes; empty for a target of numbers.
        numeric: whether the classes are numbers.
        seed: of every random choice.
        deadline: after which a method stops with what it has.
        groups, order: as those of :class:`~superpose.Dataset`.
    """

    __repr__ = brief

    x: FloatArray
    y: FloatArray
    feature_names: tuple[str, ...]
    target: str
    classes: tuple[str, ...]
    numeric: bool
    seed: int
    deadline: Deadline
    groups: Tensor | None = None
    order: Tensor | None = None

    def sample(self, most: int) -> TrainingRows:
        """These rows, or ``most`` of them drawn at random."""
        if len(self.y) <= most:
            return self
        rows = np.sort(np.random.default_rng(self.seed).permutation(len(self.y))[:most])
        return self.chosen(rows)

    def chosen(self, rows: np.ndarray) -> TrainingRows:
        """Some of these rows."""
        groups, order = (None if one is None else one[rows] for one in (self.groups, self.order))
        return replace(self, x=self.x[rows], y=self.y[rows], groups=groups, order=order)


@dataclass(frozen=True, eq=False)
class FittedMethod:
    """A method after fitting.

    Attributes:
        predict: from ``[M, n]`` features to ``[M]`` numbers, or numbers of classes.
        size: free constants that the predictions depend on; None where nobody counts them.
        note: what a reader must know of the fit, such as that a sample of the rows was used.
    """

    __repr__ = brief

    predict: Callable[[FloatArray], FloatArray]
    size: int | None
    note: str = ""


# One method, or several that share a fit, by name; a text says why there is none.
Fits = dict[str, FittedMethod | str]
Fit = Callable[[TrainingRows], Fits]


@dataclass(frozen=True, eq=False)
class Standardiser:
    """Columns with mean 0 and standard deviation 1, as on the training rows."""

    mean: FloatArray
    deviation: FloatArray

    @classmethod
    def of(cls, values: FloatArray) -> Standardiser:
        """For ``values [N, n]`` or ``[N]``; a constant column is only centred."""
        columns = torch.from_numpy(np.ascontiguousarray(values)).reshape(len(values), -1)
        mean, deviation = (found.numpy().reshape(values.shape[1:]) for found in mean_and_deviation(columns))
        return cls(mean, np.where(deviation > 0, deviation, 1.0))

    @classmethod
    def of_target(cls, rows: TrainingRows) -> Standardiser:
        """For the target; numbers of classes stay as they are."""
        return cls(np.zeros(()), np.ones(())) if rows.classes else cls.of(rows.y)

    def apply(self, values: FloatArray) -> FloatArray:
        """From the user's units."""
        scaled: FloatArray = (values - self.mean) / self.deviation
        return scaled

    def undo(self, scaled: FloatArray) -> FloatArray:
        """To the user's units."""
        values: FloatArray = scaled * self.deviation + self.mean
        return values
