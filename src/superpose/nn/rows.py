"""Rows of a table as a model takes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from superpose.data.dataset import Dataset
from superpose.errors import DataError
from superpose.nn.model import KAN

# Rows that are computed with at once. A round number.
_BLOCK = 1 << 16


def samples(model: KAN, x: Tensor | Dataset) -> Tensor:
    """The samples ``[B, n_in]`` that stand for ``x``, on the model's device.

    Raises:
        DataError: if there are fewer than two.
    """
    if isinstance(x, Dataset):
        x = model.features(x)[x.train]
    rows = x.to(model.input_center.device)
    if rows.dim() != 2 or rows.shape[0] < 2:
        raise DataError(
            f"scores are taken over samples of shape [B, {model.widths[0]}] with B of 2 or more, "
            f"but these have shape {tuple(rows.shape)}; pass more rows"
        )
    return rows


class ScaledRows(NamedTuple):
    """Rows in a model's scaled units and dtype, with weights of mean 1 among them, or None where all count the same."""

    x: Tensor
    y: Tensor
    weights: Tensor | None = None


def weighted_rows(model: KAN, data: Dataset, split: Any = "train") -> ScaledRows:
    """Inputs, targets and weights of a split."""
    x, y = scaled_rows(model, data, split)
    weights = data.weights_of(split)
    return ScaledRows(x, y, None if weights is None else (weights / weights.mean()).to(y))


def scaled_rows(model: KAN, data: Dataset, split: Any = "train") -> tuple[Tensor, Tensor]:
    """Inputs and targets of a split in the model's scaled units and dtype."""
    x, y = data.rows(split)
    device = model.input_center.device
    return model.scale_inputs(x.to(device)), model.scale_targets(y.to(device))


@torch.no_grad()
def values_at(function: Callable[[Tensor], Tensor], data: Dataset, rows: Tensor) -> Tensor:
    """Values ``[S, n_out]`` of a model or a formula at rows of a data set, block by block.

    >>> data = Dataset.from_arrays([[float(n)] for n in range(20)], range(20), test=0.15)
    >>> values_at(lambda x: 2 * x, data, data.test).shape
    torch.Size([3, 1])
    """
    starts = range(0, max(1, len(rows)), _BLOCK)
    return torch.cat([function(data.features(rows[start : start + _BLOCK])) for start in starts])
