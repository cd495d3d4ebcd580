"""Folds for candidates that leave-one-out would flatter."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from superpose.data.splitting import Fold, folds_of_rows
from superpose.train.anova.fit import AnovaSettings


def chooses_pairs(settings: AnovaSettings, columns: int) -> bool:
    """Whether interactions are chosen among more, of so many columns."""
    return settings.interactions and columns * (columns - 1) // 2 > settings.most_pairs


# Of candidates whose pairs are chosen, where all others are judged by leave-one-out. As usual.
_FOLDS = 5


def apart(y: Tensor) -> list[Fold]:
    """Folds of rows with targets ``y [N]`` or ``[N, S]``, the same each time."""
    return folds_of_rows(y, _FOLDS)


def in_order(values: Tensor, folds: Sequence[Fold]) -> Tensor:
    """Values ``[N, ...]`` of the test rows, fold by fold, in the order of the rows."""
    return values[torch.cat([test for _, test in folds]).argsort()]
