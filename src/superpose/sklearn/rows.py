"""What estimators are given, as tables: distinct rows with weights, columns that vary, names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superpose.data import Dataset
from superpose.data.scaling import is_constant

FloatArray = NDArray[np.float64]

# Of distinct rows; from fewer nothing is learnt but a mean. See ``HoldOut.min_rows``.
LEAST_ROWS = 3


@dataclass(frozen=True)
class Rows:
    """Distinct rows in a fixed order.

    A row that is there twice, and one of weight 2, are the same: fits do not depend on the order of the rows, nor on
    how repetitions are written.

    Attributes:
        x: ``[N, d]``.
        y: ``[N, k]``; of classes their numbers, ``k = 1``.
        weights: ``[N]``, positive; None where all are equal.
        columns: of ``x`` that vary.
    """

    x: FloatArray
    y: FloatArray
    weights: FloatArray | None
    columns: tuple[int, ...]

    @classmethod
    def of(cls, x: FloatArray, y: FloatArray, weights: FloatArray | None) -> Rows:
        """From rows ``x [N, d]``, ``y [N, k]`` and weights ``[N]``, zeros allowed."""
        share = np.ones(len(x)) if weights is None else weights
        used = share > 0
        both, share = np.hstack([x, y])[used], share[used]
        # Zeros of both signs are one number.
        both, place = np.unique(both + 0.0, axis=0, return_inverse=True)
        total: FloatArray = np.bincount(place.reshape(-1), share, len(both)).astype(np.float64)
        x, y = np.ascontiguousarray(both[:, : x.shape[1]]), np.ascontiguousarray(both[:, x.shape[1] :])
        equal = not len(total) or np.ptp(total) <= 1e-12 * total.max()
        columns = tuple(n for n in range(x.shape[1]) if len(x) and not is_constant(x[:, n]))
        return cls(x, y, None if equal else total, columns)

    @property
    def mean(self) -> FloatArray:
        """``[k]``, weighted."""
        found: FloatArray = np.average(self.y, axis=0, weights=self.weights)
        return found

    @property
    def learnable(self) -> bool:
        """Whether there is anything to learn beside a mean."""
        varying = any(not is_constant(column) for column in self.y.T)
        return len(self.x) >= LEAST_ROWS and bool(self.columns) and varying

    def dataset(self, names: Sequence[str], targets: Sequence[str], seed: int) -> Dataset:
        """The rows as a data set of the columns that vary, none of its rows held out for a test.

        Args:
            names: of all columns.
            targets: of the columns of ``y``.
            seed: of the rows that are held out for validation.
        """
        options: dict[str, Any] = {} if self.weights is None else {"weights": self.weights}
        return Dataset.from_arrays(
            self.x[:, list(self.columns)],
            self.y,
            feature_names=[names[n] for n in self.columns],
            target_names=targets,
            test=0.0,
            seed=seed,
            **options,
        )


def names_of(given: Any, count: int) -> tuple[str, ...]:
    """Names of ``count`` columns: scikit-learn's of data frames if they are different, ``x0, x1, ...`` otherwise."""
    names = () if given is None else tuple(str(name) for name in given)
    plain = tuple(f"x{n}" for n in range(count))
    return names if len(set(names)) == count and all(names) else plain


def target_names_of(given: Any, count: int, taken: Sequence[str]) -> tuple[str, ...]:
    """Names of targets: those of a series or a data frame, ``y, y1, ...`` otherwise, and none that a feature has."""
    found = getattr(given, "columns", None)
    found = [given.name] if found is None and isinstance(getattr(given, "name", None), str) else found
    names = [] if found is None else [str(name) for name in found]
    if len(set(names)) != count or not all(names):
        names = ["y"] if count == 1 else [f"y{n}" for n in range(count)]
    while set(names) & set(taken):
        names = [f"{name}_" for name in names]
    return tuple(names)
