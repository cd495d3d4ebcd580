"""Errors of a network on the rows of a table, as the history shows them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch

from superpose.data import Dataset, Split
from superpose.nn.model import KAN
from superpose.nn.rows import values_at
from superpose.tasks.classification.networks import observed_classes


@dataclass(frozen=True)
class Errors:
    """Errors of a network; those of a split without rows are None.

    Attributes:
        measure: what ``error_train`` and ``error_validation`` are: ``"RMSE"``, in the target's units, or for a
            classifier ``"share of wrong classes"``.
        error_train, error_validation: on the rows of the split; None where the network is not finite.
        loss_train, loss_validation: the mean cross-entropy of a classifier; None of other networks.
    """

    measure: str
    error_train: float | None
    error_validation: float | None
    loss_train: float | None = None
    loss_validation: float | None = None

    def json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def judging(self) -> float:
        """The error by which states are compared: on validation rows where there are any; infinite if unknown."""
        found = self.error_train if self.error_validation is None else self.error_validation
        return math.inf if found is None else found


def errors_of(model: KAN, data: Dataset) -> Errors:
    """The errors of a network on the training and the validation rows of its table."""
    if model.head is None:
        return Errors("RMSE", _rmse(model, data, "train"), _rmse(model, data, "validation"))
    train, validation = _classes(model, data, "train"), _classes(model, data, "validation")
    return Errors("share of wrong classes", train[0], validation[0], train[1], validation[1])


def _rmse(model: KAN, data: Dataset, split: Split) -> float | None:
    return _finite(data.rmse(values_at(model, data, data.index(split)).double().cpu(), split))


@torch.no_grad()
def _classes(model: KAN, data: Dataset, split: Split) -> tuple[float | None, float | None]:
    """The weighted share of wrong classes and the mean loss."""
    assert model.head is not None
    rows = data.index(split)
    if not len(rows):
        return None, None
    scores, y = values_at(model, data, rows).double().cpu(), data.y[rows]
    weights = data.weights_of(split)
    weights = torch.ones(len(rows), dtype=torch.float64) if weights is None else weights / weights.mean()
    wrong = model.head.indices(scores) != observed_classes(model.head, y)
    return _finite(float((wrong * weights).mean())), _finite(float(model.head(scores, y, weights)))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
