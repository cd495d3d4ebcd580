"""Predictions of a model for tables: columns by name, intervals, classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from superpose.data import Dataset, read_features
from superpose.data.preparation import Preparation
from superpose.errors import OptionError
from superpose.nn.likelihood import Head
from superpose.nn.scaling import ScaledModule
from superpose.nn.uncertainty import Intervals, Uncertainty, required
from superpose.nn.wide_buffers import wide

# Rows that are computed with at once. A round number.
_BLOCK = 1 << 16


class TableModel(ScaledModule):
    """A module that takes the rows of a table, whose columns have the names of its inputs.

    Attributes:
        head: turns the outputs of a classifier into classes; None where the outputs are the predictions.
        preparation: how the inputs are made of the columns of a table; None where they are these columns.
        uncertainty: what prediction intervals follow from; None where no errors were measured.
    """

    head: Head | None = None
    preparation: Preparation | None = None
    uncertainty: Uncertainty | None = None

    def features(self, table: Any, *, notes: list[str] | None = None) -> Tensor:
        """The inputs ``[N, n_in]`` of a table (as for :meth:`predict`), float64 unless a data set has them in float32.

        Args:
            table: see :meth:`predict`.
            notes: takes sentences on what may be wrong, such as levels that the model was not fitted to; without it
                they are given as warnings.

        Raises:
            DataError: as :meth:`predict`.
        """
        if isinstance(table, Dataset) and table.feature_names == self.feature_names:
            return table.x
        return read_features(table, self.feature_names, self.preparation, notes=notes)

    def predict(self, table: Any) -> np.ndarray:
        """Predictions ``[N, n_out]`` in the user's units for a table.

        Args:
            table: array or tensor ``[N, n_in]``, :class:`~superpose.Dataset`, DataFrame, or the path of a file.
                Columns of tables are taken by name, in whatever order they stand, as people have them: a model that was
                fitted to categories, dates or gaps knows what became of them (``preparation``).

        Raises:
            DataError: if a column is missing or the number of columns differs.
        """
        return self.values(self.features(table))

    @torch.no_grad()
    def values(self, x: Tensor) -> np.ndarray:
        """Outputs ``[N, n_out]`` for inputs ``x [N, n_in]``, as :meth:`features` gives them, block by block."""
        blocks = [self(block.to(self.input_center.device)).cpu() for block in torch.split(x, _BLOCK)]
        return wide(torch.cat(blocks)).numpy() if blocks else np.empty((0, len(self.target_names)))

    def predict_interval(self, table: Any, level: float = 0.9) -> Intervals:
        """Intervals that hold the targets of the rows of a table (as for :meth:`predict`) with a probability.

        Raises:
            OptionError: if the model's errors are not known, or it was changed since; see :func:`superpose.calibrate`.
            DataError: as :meth:`predict`.
        """
        return self.intervals(self.features(table), level)

    def intervals(self, x: Tensor, level: float = 0.9) -> Intervals:
        """As :meth:`predict_interval`, for inputs ``x [N, n_in]``, as :meth:`features` gives them."""
        known, device = required(self.uncertainty, classifier=self.head is not None), self.input_center.device
        return known.intervals(lambda rows: self(rows.to(device)), x.double(), level)

    def labels(self, table: Any) -> list[str]:
        """The class of each row of a table (as for :meth:`predict`), by the model's head.

        Raises:
            OptionError: if the model has no head.
            DataError: as :meth:`predict`.
        """
        return self._required_head().labels(self.predict(table))

    def probabilities(self, table: Any) -> np.ndarray:
        """Probabilities ``[N, K]`` of the classes ``model.head.classes`` for a table.

        Raises:
            OptionError: if the model has no head.
            DataError: as :meth:`predict`.
        """
        head = self._required_head()
        found: np.ndarray = head.probabilities(torch.from_numpy(self.predict(table))).numpy()
        return found

    def _required_head(self) -> Head:
        if self.head is None:
            raise OptionError(
                "the model has no head, so its outputs are numbers and no classes; train it with superpose.classify, "
                "or set model.head"
            )
        return self.head
