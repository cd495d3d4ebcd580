"""Gradient boosting of scikit-learn on the same rows: what a table of many rows or columns is learnt with elsewhere."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.large.tables import LargeTable
from superpose.data import Dataset, read_csv

# Trees of GradientBoosting are grown one by one on all rows: beyond this many entries only the histogram method is run.
_MOST_ENTRIES = 2_000_000


def data_set(table: LargeTable, path: Path) -> Dataset:
    """The table with the split that ``superpose fit`` makes."""
    if not table.classes:
        return read_csv(path, target="y")
    from superpose.tasks.classification import read_classification

    return read_classification(path, target="y").data


def errors(table: LargeTable, path: Path) -> dict[str, Any]:
    """For each method its seconds, and its error on the test rows: RMSE, or the share of wrong classes."""
    from sklearn import ensemble

    data = data_set(table, path)
    kind = "Classifier" if table.classes else "Regressor"
    names = [f"HistGradientBoosting{kind}"]
    if data.x.numel() <= _MOST_ENTRIES:
        names.append(f"GradientBoosting{kind}")
    fitted = torch.cat([data.train, data.validation])
    x, y = data.x[fitted].numpy(), data.y[fitted, 0].numpy()
    test_x, test_y = data.x[data.test].numpy(), data.y[data.test, 0]
    found = {}
    for name in names:
        model = getattr(ensemble, name)(random_state=0)
        began = time.perf_counter()
        model.fit(x, y)
        seconds = time.perf_counter() - began
        found[name] = {"seconds": seconds, "error": _error(torch.from_numpy(model.predict(test_x)), test_y, table)}
    return found


def _error(predicted: Tensor, y: Tensor, table: LargeTable) -> float:
    if table.classes:
        return float((predicted != y).double().mean())
    return float((predicted - y).square().mean().sqrt())
