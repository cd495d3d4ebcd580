"""Tables: reading, checking, splitting and scaling.

The names are imported when they are first asked for: reading a table needs no torch, a data set does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from superpose.data.dataset import Affine, Dataset, RowOptions, Split, read_csv
    from superpose.data.description import ColumnSummary, TableDescription, describe
    from superpose.data.model_features import read_features
    from superpose.data.preparation import Preparation
    from superpose.data.reading import read_table
    from superpose.data.reading.options import FileOptions, TableOptions
    from superpose.data.screening import Screening, screen, with_features
    from superpose.data.tables import Table

_HOME = {
    "Affine": "dataset",
    "ColumnSummary": "description",
    "Dataset": "dataset",
    "FileOptions": "reading.options",
    "Preparation": "preparation",
    "RowOptions": "options",
    "Screening": "screening",
    "Split": "dataset",
    "Table": "tables",
    "TableDescription": "description",
    "TableOptions": "reading.options",
    "describe": "description",
    "read_csv": "dataset",
    "read_features": "model_features",
    "read_table": "reading",
    "screen": "screening",
    "with_features": "screening",
}

__all__ = [
    "Affine",
    "ColumnSummary",
    "Dataset",
    "FileOptions",
    "Preparation",
    "RowOptions",
    "Screening",
    "Split",
    "Table",
    "TableDescription",
    "TableOptions",
    "describe",
    "read_csv",
    "read_features",
    "read_table",
    "screen",
    "with_features",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"superpose.data.{_HOME[name]}"), name)
    globals()[name] = value
    return value
