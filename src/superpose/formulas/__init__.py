"""Formulas: expressions and their constants, and how they are found in networks, tables and class scores."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from superpose.formulas.candidates import Candidate
    from superpose.formulas.expressions.compiler import compile_formula
    from superpose.formulas.expressions.formula import Formula
    from superpose.formulas.from_network.recognition import symbolify
    from superpose.formulas.from_table.law_pool import Law
    from superpose.formulas.from_table.laws import LawSearchResult, find_laws
    from superpose.formulas.recommendation import Finding

_HOME = {
    "Candidate": "superpose.formulas.candidates",
    "Finding": "superpose.formulas.recommendation",
    "Formula": "superpose.formulas.expressions.formula",
    "LawSearchResult": "superpose.formulas.from_table.laws",
    "Law": "superpose.formulas.from_table.law_pool",
    "compile_formula": "superpose.formulas.expressions.compiler",
    "find_laws": "superpose.formulas.from_table.laws",
    "symbolify": "superpose.formulas.from_network.recognition",
}

__all__ = [
    "Candidate",
    "Finding",
    "Formula",
    "Law",
    "LawSearchResult",
    "compile_formula",
    "find_laws",
    "symbolify",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value
