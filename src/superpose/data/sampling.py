"""Subsamples of rows: evenly over the table, evenly over the ranks of one column, or at random.

Evenly over the table is the usual choice: it is reproducible without a seed, and rows of a shuffled split are in no
order that matters. Curves ``y(x)`` take ranks instead, so that both ends of ``x`` are in the subsample. Tests for
relations among columns draw at random, because the rows of a raw table may be periodic in time.
"""

from __future__ import annotations

import torch
from torch import Tensor

from superpose.data.dataset import Dataset

# Edge functions are evaluated on at most this many rows. A round number; larger samples were not compared.
EDGE_SAMPLES = 4096


def evenly(count: int, most: int) -> Tensor:
    """At most ``most`` of ``count`` row numbers, spaced evenly and in order, first and last included.

    >>> evenly(9, 3).tolist(), evenly(3, 9).tolist()
    ([0, 4, 8], [0, 1, 2])
    """
    if count <= most:
        return torch.arange(count)
    # In float64: float32 cannot tell apart row numbers beyond 2**24.
    return torch.linspace(0, count - 1, most, dtype=torch.float64).round().long()


def evenly_by_rank(values: Tensor, most: int) -> Tensor:
    """At most ``most`` row numbers of ``values [N]`` in ascending order of the values, spaced evenly over their ranks.

    >>> evenly_by_rank(torch.tensor([3.0, 1.0, 2.0]), 2).tolist()
    [1, 0]
    """
    order = values.argsort()
    return order[evenly(len(order), most).to(order.device)]


def at_random(count: int, most: int, seed: int) -> Tensor:
    """At most ``most`` of ``count`` row numbers, drawn with this seed, in ascending order.

    >>> at_random(1000, 3, seed=0).tolist() == at_random(1000, 3, seed=0).sort().values.tolist()
    True
    """
    if count <= most:
        return torch.arange(count)
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))[:most].sort().values


def training_sample(data: Dataset | Tensor, most: int = EDGE_SAMPLES) -> Tensor:
    """At most ``most`` training rows ``[S, n_in]`` of a data set, or rows of a tensor, evenly over the table."""
    if isinstance(data, Dataset):
        return data.features(data.train[evenly(len(data.train), most)])
    return data[evenly(len(data), most).to(data.device)]
