"""Tables: reading, checking, splitting and scaling.

The names are imported when they are first asked for: reading a table needs no torch, a data set does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from superpose.data.dataset import Affine, Dataset, RowOptions, Split, read_csv, read_features
    from superpose.data.screening import Screening, screen, with_features

_HOME = {
    "Affine": "dataset",
    "Dataset": "dataset",
    "RowOptions": "options",
    "Screening": "screening",
    "Split": "dataset",
    "read_csv": "dataset",
    "read_features": "dataset",
    "screen": "screening",
    "with_features": "screening",
}

__all__ = [
    "Affine",
    "Dataset",
    "RowOptions",
    "Screening",
    "Split",
    "read_csv",
    "read_features",
    "screen",
    "with_features",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"superpose.data.{_HOME[name]}"), name)
    globals()[name] = value
    return value
