"""Formulas: expressions and constants, those of a given form, and how they are found in networks and tables."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from superpose.formulas.candidates import Candidate
    from superpose.formulas.catalogue.law import LawColumn, LawConstant, TextbookLaw
    from superpose.formulas.catalogue.trial import Recognised, recognise
    from superpose.formulas.discrimination import TellingRow, telling_row
    from superpose.formulas.expressions.compiler import compile_formula
    from superpose.formulas.expressions.formula import Formula
    from superpose.formulas.forms.fit import FittedConstant, FormulaFit, fit_formula
    from superpose.formulas.forms.parsing import parse_form
    from superpose.formulas.forms.tape import Form, Operation
    from superpose.formulas.from_network.recognition import symbolify
    from superpose.formulas.from_table.law_pool import Law
    from superpose.formulas.from_table.laws import LawSearchResult, find_laws
    from superpose.formulas.recommendation import Finding
    from superpose.formulas.units.checking import UnitCheck, check_units
    from superpose.formulas.units.unit import Unit

_HOME = {
    "Operation": "superpose.formulas.forms.tape",
    "Recognised": "superpose.formulas.catalogue.trial",
    "TellingRow": "superpose.formulas.discrimination",
    "TextbookLaw": "superpose.formulas.catalogue.law",
    "recognise": "superpose.formulas.catalogue.trial",
    "Candidate": "superpose.formulas.candidates",
    "Finding": "superpose.formulas.recommendation",
    "FittedConstant": "superpose.formulas.forms.fit",
    "Form": "superpose.formulas.forms.tape",
    "Formula": "superpose.formulas.expressions.formula",
    "FormulaFit": "superpose.formulas.forms.fit",
    "LawColumn": "superpose.formulas.catalogue.law",
    "LawConstant": "superpose.formulas.catalogue.law",
    "LawSearchResult": "superpose.formulas.from_table.laws",
    "Law": "superpose.formulas.from_table.law_pool",
    "Unit": "superpose.formulas.units.unit",
    "UnitCheck": "superpose.formulas.units.checking",
    "check_units": "superpose.formulas.units.checking",
    "compile_formula": "superpose.formulas.expressions.compiler",
    "find_laws": "superpose.formulas.from_table.laws",
    "fit_formula": "superpose.formulas.forms.fit",
    "parse_form": "superpose.formulas.forms.parsing",
    "telling_row": "superpose.formulas.discrimination",
    "symbolify": "superpose.formulas.from_network.recognition",
}

__all__ = [
    "Candidate",
    "Finding",
    "FittedConstant",
    "Form",
    "Formula",
    "FormulaFit",
    "Law",
    "LawColumn",
    "LawConstant",
    "LawSearchResult",
    "Operation",
    "Recognised",
    "TellingRow",
    "TextbookLaw",
    "Unit",
    "UnitCheck",
    "check_units",
    "compile_formula",
    "find_laws",
    "fit_formula",
    "parse_form",
    "recognise",
    "symbolify",
    "telling_row",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value
