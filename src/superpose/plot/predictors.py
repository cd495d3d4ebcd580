"""What pictures need of a model: its columns, its predictions for the rows of a table, and its errors there."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from superpose.data import Dataset, read_features
from superpose.data.arrays import feature_matrix, is_frame, target_matrix
from superpose.data.preparation import Preparation
from superpose.data.sampling import evenly
from superpose.errors import DataError, OptionError, ShapeError
from superpose.formulas.expressions.formula import Formula
from superpose.messages import nearest
from superpose.nn import KAN, Head
from superpose.nn.wide_buffers import wide
from superpose.tasks.result import TaskResult


@dataclass(frozen=True)
class Predictor:
    """A model as a function of rows.

    Attributes:
        names: of its columns.
        targets: names of the columns that it predicts; of a classifier the column of the classes.
        outputs: names of the predictions: the targets, or the classes whose probabilities they are.
        predict: from ``[N, d]`` to ``[N, len(outputs)]``, float64 on the CPU.
        head: of a classifier, else None.
        scores: as ``predict``, but the scores of a classifier.
        preparation: how the columns are made of those of a table; None where they are these.
    """

    names: tuple[str, ...]
    targets: tuple[str, ...]
    outputs: tuple[str, ...]
    predict: Callable[[Tensor], Tensor]
    head: Head | None
    scores: Callable[[Tensor], Tensor]
    preparation: Preparation | None

    def column(self, name: Any) -> int:
        """The place of a column.

        Raises:
            OptionError: if the model has no such column.
        """
        if not isinstance(name, str) or name not in self.names:
            hint = nearest(str(name), self.names)
            raise OptionError(f"the model has no column {name!r}{hint}; its columns are {', '.join(self.names[:8])}")
        return self.names.index(name)

    def error(self, x: Tensor, y: Tensor) -> float:
        """The root mean squared error at rows, for classes the cross-entropy."""
        values = self.scores(x)
        if self.head is not None:
            return float(self.head(values, y))
        return float((values - y).square().mean().sqrt())


def predictor_of(model: Any) -> Predictor:
    """A model as a function of rows.

    Args:
        model: a :class:`~superpose.KAN`, a :class:`~superpose.Formula`, or the result of a task: then the model that it
            hands out.

    Raises:
        OptionError: for anything else.
    """
    if isinstance(model, TaskResult):
        model = model.model
    if not isinstance(model, KAN | Formula):
        raise OptionError(
            f"the picture needs a KAN, a Formula or the result of discover or classify, not a {type(model).__name__}; "
            "the table comes second"
        )
    names, targets, prepared = tuple(model.feature_names), tuple(model.target_names), model.preparation
    head = model.head if isinstance(model, KAN) else None
    scores = functools.partial(_values, model)
    if head is None:
        return Predictor(names, targets, targets, scores, None, scores, prepared)

    def probabilities(x: Tensor) -> Tensor:
        return head.probabilities(scores(x))

    return Predictor(names, (head.name,), head.classes, probabilities, head, scores, prepared)


@torch.no_grad()
def _values(model: KAN | Formula, x: Tensor) -> Tensor:
    if isinstance(model, Formula):
        return model.torch(x)
    found: Tensor = model(x.to(model.input_center.device))
    return wide(found).double().cpu()


def features_of(predictor: Predictor, table: Any, most: int) -> Tensor:
    """The rows ``[N, d]`` of a table in float64 on which the model is finite, at most so many, evenly chosen.

    Raises:
        DataError: if there are fewer than two such rows, or the table holds no numbers or lacks a column.
        ShapeError: if an array does not have the model's number of columns.
    """
    x = all_features(predictor, table)
    x = x[evenly(len(x), most)]
    return x[finite_rows(predictor, x)]


def finite_rows(predictor: Predictor, x: Tensor) -> Tensor:
    """Which rows the model is finite on.

    Raises:
        DataError: if these are fewer than two.
    """
    finite = x.isfinite().all(1)
    if bool(finite.any()):
        finite[finite.clone()] = predictor.predict(x[finite]).isfinite().all(1)
    if int(finite.sum()) < 2:
        raise DataError(
            f"there is nothing to draw, since the model is finite on {int(finite.sum())} of {len(x)} rows; pass two or "
            "more rows like those it was trained on"
        )
    return finite


def all_features(predictor: Predictor, table: Any) -> Tensor:
    """The rows ``[N, d]`` of a table in float64; named columns are taken by name."""
    names = predictor.names
    if isinstance(table, Dataset) and table.feature_names == names:
        x = table.x
    elif isinstance(table, Dataset | str | os.PathLike) or is_frame(table):
        x = read_features(table, names, predictor.preparation)
    else:
        x = table.detach().cpu() if isinstance(table, Tensor) else torch.from_numpy(feature_matrix(table, "the table"))
        if x.is_complex():
            raise DataError("the table holds complex numbers; pass their real parts")
    if x.dim() != 2 or x.shape[1] != len(names):
        raise ShapeError(
            f"the model takes {len(names)} columns ({', '.join(names[:8])}), but the table has shape {list(x.shape)}"
        )
    return x.double()


def targets_of(predictor: Predictor, table: Any, y: Any, rows: int) -> Tensor | None:
    """The targets ``[N, n]`` that belong to the rows of a table; None if it holds none.

    Args:
        predictor: of the model.
        table: as for :func:`all_features`; data sets and data frames may hold the targets.
        y: the targets, if they are not in the table; of classes their names.
        rows: of the table.

    Raises:
        DataError: if the targets are no numbers, or not as many as rows.
        OptionError: for a class that the model does not know.
    """
    if y is None:
        if isinstance(table, Dataset):
            return table.y
        if not is_frame(table) or not set(predictor.targets) <= set(table.columns):
            return None
        y = table[list(predictor.targets)]
    if predictor.head is not None:
        return _classes(predictor.head, y, rows)
    found = torch.from_numpy(target_matrix(y, rows, "y"))
    if found.shape[1] != len(predictor.outputs):
        raise ShapeError(f"the model has {len(predictor.outputs)} targets, but y has {found.shape[1]} columns")
    return found


def _classes(head: Head, y: Any, rows: int) -> Tensor:
    labels = np.asarray(y).reshape(-1)
    if len(labels) != rows:
        raise DataError(f"there are {rows} rows, but y has {len(labels)} classes; pass one for each row")
    known = {name: code for code, name in enumerate(head.classes)}
    unknown = sorted({str(label) for label in labels} - set(known))
    if unknown:
        raise OptionError(f"the model has no class {unknown[0]!r}; its classes are {', '.join(head.classes[:8])}")
    return head.targets([known[str(label)] for label in labels])
