"""superpose: Kolmogorov-Arnold networks that are fast, accurate and readable.

The names that most programs need are here. Everything else is in the public
submodules that ``__all__`` lists. Names and submodules are imported when they are first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from superpose import (
        checkpoint,
        data,
        edit,
        errors,
        export,
        files,
        formulas,
        nn,
        optim,
        partial,
        plot,
        report,
        sklearn,
        spline,
        studio,
        tasks,
        train,
    )
    from superpose.data import Dataset, read_csv
    from superpose.edit import prune
    from superpose.errors import (
        BackendWarning,
        DataError,
        DataWarning,
        FileError,
        OptionError,
        ShapeError,
        SuperposeError,
    )
    from superpose.files import load, save
    from superpose.formulas import Formula, FormulaFit, fit_formula, symbolify
    from superpose.nn import KAN, KANLayer, library, register
    from superpose.spline import backends
    from superpose.studio.widget import widget
    from superpose.tasks.classification import Classification, ClassifyOptions, classify
    from superpose.tasks.comparison import CompareOptions, MethodComparison, compare
    from superpose.tasks.regression import DiscoverOptions, Knowledge, Result, calibrate, discover
    from superpose.tasks.relations import Relations, relations
    from superpose.tasks.sweeps import SweepResult, read_sweep, sweep
    from superpose.train import FitSettings, History, SearchResult, fit, search

__version__ = "0.1.0"

_ROOMS = {
    "data": (
        "Dataset",
        "read_csv",
    ),
    "edit": ("prune",),
    "errors": (
        "BackendWarning",
        "DataError",
        "DataWarning",
        "FileError",
        "OptionError",
        "ShapeError",
        "SuperposeError",
    ),
    "files": (
        "load",
        "save",
    ),
    "formulas": (
        "Formula",
        "FormulaFit",
        "fit_formula",
        "symbolify",
    ),
    "nn": (
        "KAN",
        "KANLayer",
        "library",
        "register",
    ),
    "spline": ("backends",),
    "studio.widget": ("widget",),
    "tasks.classification": (
        "Classification",
        "ClassifyOptions",
        "classify",
    ),
    "tasks.comparison": (
        "CompareOptions",
        "MethodComparison",
        "compare",
    ),
    "tasks.regression": (
        "DiscoverOptions",
        "Knowledge",
        "Result",
        "calibrate",
        "discover",
    ),
    "tasks.relations": (
        "Relations",
        "relations",
    ),
    "tasks.sweeps": (
        "SweepResult",
        "read_sweep",
        "sweep",
    ),
    "train": (
        "FitSettings",
        "History",
        "SearchResult",
        "fit",
        "search",
    ),
}
_HOME = {name: room for room, names in _ROOMS.items() for name in names}
_SUBMODULES = (
    "checkpoint",
    "data",
    "edit",
    "errors",
    "export",
    "files",
    "formulas",
    "nn",
    "optim",
    "partial",
    "plot",
    "report",
    "sklearn",
    "spline",
    "studio",
    "tasks",
    "train",
)

__all__ = [
    "KAN",
    "BackendWarning",
    "Classification",
    "ClassifyOptions",
    "CompareOptions",
    "DataError",
    "DataWarning",
    "Dataset",
    "DiscoverOptions",
    "FileError",
    "FitSettings",
    "Formula",
    "FormulaFit",
    "History",
    "KANLayer",
    "Knowledge",
    "MethodComparison",
    "OptionError",
    "Relations",
    "Result",
    "SearchResult",
    "ShapeError",
    "SuperposeError",
    "SweepResult",
    "backends",
    "calibrate",
    "checkpoint",
    "classify",
    "compare",
    "data",
    "discover",
    "edit",
    "errors",
    "export",
    "files",
    "fit",
    "fit_formula",
    "formulas",
    "library",
    "load",
    "nn",
    "optim",
    "partial",
    "plot",
    "prune",
    "read_csv",
    "read_sweep",
    "register",
    "relations",
    "report",
    "save",
    "search",
    "sklearn",
    "spline",
    "studio",
    "sweep",
    "symbolify",
    "tasks",
    "train",
    "widget",
]


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"superpose.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'superpose' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"superpose.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
