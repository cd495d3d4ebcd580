"""Tables: reading, checking, splitting and scaling.

The names are imported when they are first asked for: reading a table needs no torch, a data set does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from superpose.data.dataset import Affine, Dataset, Split, read_csv, read_features

__all__ = ["Affine", "Dataset", "Split", "read_csv", "read_features"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module("superpose.data.dataset"), name)
    globals()[name] = value
    return value
