"""What a table is used for: regression, classification, relations among columns, differential equations."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from superpose.tasks import classification, pde, regression, relations

__all__ = ["classification", "pde", "regression", "relations"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.{name}")
