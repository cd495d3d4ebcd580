"""superpose: Kolmogorov-Arnold networks that are fast, accurate and readable.

The public names are listed here, each with the room it lives in, and come when they are first asked for; so do the
public submodules, such as ``superpose.plot``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from superpose._errors import BackendWarning, DataError, FileError, OptionError, ShapeError, SuperposeError
    from superpose.classification import (
        Classification,
        ClassifyOptions,
        Labelled,
        ScoreFormula,
        classify,
        read_labelled,
    )
    from superpose.data import Affine, Dataset, read_csv, read_features
    from superpose.discovery import Found, Law, find_laws
    from superpose.files import load, save
    from superpose.interpret import (
        Candidate,
        Combined,
        Compared,
        Comparison,
        Formula,
        Scores,
        combine,
        compare,
        compile_formula,
        fix,
        linear,
        merge,
        prune,
        refit,
        release,
        remove,
        replace,
        scores,
        straighten,
        suggest,
        symbolify,
    )
    from superpose.nn import KAN, Head, KANLayer, LayerTrace, SymbolicFunction, Trace, library, register
    from superpose.related import Inner, Relation, Relations, relations
    from superpose.spline import Backends, backends
    from superpose.train import FitSettings, History, Memory, Record, SearchResult, fit, remember, search
    from superpose.workflow import DiscoverOptions, Result, discover

__version__ = "0.1.0"

_ROOMS = {
    "_errors": ("BackendWarning", "DataError", "FileError", "OptionError", "ShapeError", "SuperposeError"),
    "classification": (
        "Classification",
        "ClassifyOptions",
        "Labelled",
        "ScoreFormula",
        "classify",
        "read_labelled",
    ),
    "data": ("Affine", "Dataset", "read_csv", "read_features"),
    "interpret": (
        "Candidate",
        "Combined",
        "Compared",
        "Comparison",
        "Formula",
        "Scores",
        "combine",
        "compare",
        "compile_formula",
        "fix",
        "linear",
        "merge",
        "prune",
        "refit",
        "release",
        "remove",
        "replace",
        "scores",
        "straighten",
        "suggest",
        "symbolify",
    ),
    "nn": ("KAN", "Head", "KANLayer", "LayerTrace", "SymbolicFunction", "Trace", "library", "register"),
    "discovery": ("Found", "Law", "find_laws"),
    "files": ("load", "save"),
    "related": ("Inner", "Relation", "Relations", "relations"),
    "spline": ("Backends", "backends"),
    "train": ("FitSettings", "History", "Memory", "Record", "SearchResult", "fit", "remember", "search"),
    "workflow": ("DiscoverOptions", "Result", "discover"),
}
# All but the command line's: ``superpose.plot`` needs no import of its own.
_SUBMODULES = frozenset(
    {
        "bench",
        "classification",
        "data",
        "datasets",
        "discover_options",
        "discovery",
        "files",
        "findings",
        "interpret",
        "nn",
        "optim",
        "pde",
        "plot",
        "related",
        "report",
        "spline",
        "train",
        "workflow",
    }
)
_HOME = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "KAN",
    "Affine",
    "BackendWarning",
    "Backends",
    "Candidate",
    "Classification",
    "ClassifyOptions",
    "Combined",
    "Compared",
    "Comparison",
    "DataError",
    "Dataset",
    "DiscoverOptions",
    "FileError",
    "FitSettings",
    "Formula",
    "Found",
    "Head",
    "History",
    "Inner",
    "KANLayer",
    "Labelled",
    "Law",
    "LayerTrace",
    "Memory",
    "OptionError",
    "Record",
    "Relation",
    "Relations",
    "Result",
    "ScoreFormula",
    "Scores",
    "SearchResult",
    "ShapeError",
    "SuperposeError",
    "SymbolicFunction",
    "Trace",
    "backends",
    "classify",
    "combine",
    "compare",
    "compile_formula",
    "discover",
    "find_laws",
    "fit",
    "fix",
    "library",
    "linear",
    "load",
    "merge",
    "prune",
    "read_csv",
    "read_features",
    "read_labelled",
    "refit",
    "register",
    "relations",
    "release",
    "remember",
    "remove",
    "replace",
    "save",
    "scores",
    "search",
    "straighten",
    "suggest",
    "symbolify",
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
    return sorted({*__all__, *_SUBMODULES})
