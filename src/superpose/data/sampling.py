"""Subsamples of rows."""

from __future__ import annotations

import torch
from torch import Tensor

from superpose.data.dataset import Dataset

# Curves are recognised from at most this many samples, whatever the size of the table.
_MOST_SAMPLES = 4096


def sample(data: Dataset | Tensor, count: int = _MOST_SAMPLES) -> Tensor:
    """At most ``count`` training rows ``[S, n_in]``, spread evenly over the table."""
    x = data.rows("train")[0] if isinstance(data, Dataset) else data
    if len(x) > count:
        x = x[torch.linspace(0, len(x) - 1, count).round().long()]
    return x
