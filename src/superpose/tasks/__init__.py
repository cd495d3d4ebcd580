"""What a table is used for: numbers, classes, a comparison of methods, relations, differential equations, sweeps."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from superpose.tasks import classification, comparison, pde, regression, relations, sweeps

__all__ = ["classification", "comparison", "pde", "regression", "relations", "sweeps"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.{name}")
