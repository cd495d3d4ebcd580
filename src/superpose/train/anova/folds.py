"""Folds for candidates that leave-one-out would flatter."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from superpose.train.anova.fit import AnovaSettings

# Training and test rows.
Fold = tuple[Tensor, Tensor]


def chooses_pairs(settings: AnovaSettings, columns: int) -> bool:
    """Whether interactions are chosen among more, of so many columns."""
    return settings.interactions and columns * (columns - 1) // 2 > settings.most_pairs


# Of candidates whose pairs are chosen, where all others are judged by leave-one-out. As usual.
_FOLDS = 5


def apart(rows: int) -> list[Fold]:
    """Folds of so many rows, the same each time."""
    order = torch.randperm(rows, generator=torch.Generator().manual_seed(0))
    parts = [order[k::_FOLDS].sort().values for k in range(min(_FOLDS, rows))]
    return [(torch.cat([one for one in parts if one is not test]).sort().values, test) for test in parts]


def in_order(values: Tensor, folds: Sequence[Fold]) -> Tensor:
    """Values ``[N, ...]`` of the test rows, fold by fold, in the order of the rows."""
    return values[torch.cat([test for _, test in folds]).argsort()]
