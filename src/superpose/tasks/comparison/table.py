"""The table of a comparison: features, a target of numbers or classes, names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from superpose.data import Dataset, RowOptions, read_csv
from superpose.data.arrays import is_frame
from superpose.data.scaling import mean_and_deviation
from superpose.data.tables import FloatArray, Table
from superpose.errors import DataError, OptionError
from superpose.messages import counted, listed, quoted
from superpose.short_repr import brief
from superpose.tasks.classification import ClassificationDataset, read_classification


@dataclass(frozen=True, eq=False)
class ComparisonTable:
    """All rows of a table.

    Attributes:
        x: ``[N, n]`` features.
        y: ``[N]`` target in its units, or the number of each row's class.
        feature_names, target: names of the columns.
        classes: names of the classes; empty for a target of numbers.
        numeric: whether the classes are numbers.
        left_out: columns with nothing to learn from.
        groups, order: as those of :class:`~superpose.Dataset`.
    """

    __repr__ = brief

    x: FloatArray
    y: FloatArray
    feature_names: tuple[str, ...]
    target: str
    classes: tuple[str, ...] = ()
    numeric: bool = False
    left_out: tuple[str, ...] = ()
    groups: Tensor | None = None
    order: Tensor | None = None

    @property
    def task(self) -> str:
        """``"classification"`` if there are classes, else ``"regression"``."""
        return "classification" if self.classes else "regression"

    @property
    def deviation(self) -> float:
        """Standard deviation of a target of numbers over all rows; 1 for classes."""
        if self.classes:
            return 1.0
        return float(mean_and_deviation(torch.from_numpy(self.y)[:, None])[1])


def read(
    data: Any, target: str | None, features: Sequence[str] | None, task: str | None, rows: RowOptions | None = None
) -> ComparisonTable:
    """The table of a path, a data frame, a :class:`~superpose.Dataset` or a
    :class:`~superpose.tasks.classification.ClassificationDataset`.

    Raises:
        OptionError: if there is no target, or a data set already has it.
        DataError: if the table cannot be used.
        FileError: if a file cannot be read.
    """
    if isinstance(data, Dataset | ClassificationDataset):
        if target is not None or features is not None or rows:
            raise OptionError(
                "a data set has its target, its features and its rows already; leave out target, features and "
                "row_options"
            )
        if task is not None and (task == "classification") != isinstance(data, ClassificationDataset):
            raise OptionError(
                f"the data set is a {type(data).__name__}, which is not for {task}; leave out task, or pass the table"
            )
        return _of_classes(data) if isinstance(data, ClassificationDataset) else _of_numbers(data)
    if target is None:
        raise OptionError("target is missing; name the column to be learnt")
    if is_frame(data):
        made: Any = ClassificationDataset if task == "classification" else Dataset
        read_one: Any = made.from_frame
    elif isinstance(data, str | os.PathLike | Table):
        read_one = read_classification if task == "classification" else read_csv
    else:
        raise DataError(
            f"compare needs a path, a data frame or a data set, not a {type(data).__name__}; for arrays use "
            "superpose.Dataset.from_arrays"
        )
    found = read_one(data, target=target, features=features, **{**(rows or {}), "validation": 0.0, "test": 0.0})
    return _of_classes(found) if task == "classification" else _of_numbers(found)


def _of_numbers(data: Dataset) -> ComparisonTable:
    if data.n_targets > 1:
        raise DataError(
            f"the data set has {counted(data.n_targets, 'target')}, {listed(data.target_names)}; methods are compared "
            "on one target at a time"
        )
    return _made(data, data.y[:, 0].numpy())


def _of_classes(table: ClassificationDataset) -> ComparisonTable:
    if table.soft:
        raise DataError(f"{quoted(table.target)} holds shares, not classes; compare methods for it as a number")
    return replace(_made(table.data, table.indices.double().numpy()), classes=table.classes, numeric=table.numeric)


def _made(data: Dataset, y: FloatArray) -> ComparisonTable:
    return ComparisonTable(
        data.rows("all")[0].numpy(),
        y,
        data.feature_names,
        data.target_names[0],
        left_out=data.left_out,
        groups=data.groups,
        order=data.order,
    )
