"""The formula of a state: as text, LaTeX and MathML, its constants with standard errors, its errors on each split."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch import Tensor

from superpose.data import Dataset, Split
from superpose.files.json_numbers import json_ready
from superpose.formulas.expressions.formula import Formula
from superpose.nn.model import KAN
from superpose.nn.rows import values_at

# Seconds for the simplification of a formula; someone waits. A round number.
_PATIENCE = 5.0


def formula_of(model: KAN, data: Dataset) -> Formula:
    """The formula of a network: simplified if all edges are symbolic, else with splines as named functions."""
    symbolic = sum(len(layer.symbolic_table()) for layer in model.kan_layers())
    if symbolic < len(model.active_edges()) or model.head is not None:
        # Constants beside splines mean little, and classes are no values that constants could be fitted to.
        return Formula.of(model)
    return Formula.of(model, data, time_limit=_PATIENCE)


def formula_panel(model: KAN, data: Dataset, formula: Formula) -> dict[str, Any]:
    """All that is shown of a formula, ready for JSON."""
    exact = not formula.splines and model.head is None
    # With curves as they are the formula is the network, which is computed faster.
    judged = model if formula.splines else formula.torch
    found: dict[str, Any] = json_ready(
        {
            "texts": formula.texts(),
            "short": formula.short(),
            "latex": formula.latex(),
            "mathml": formula.mathml_trees(),
            "targets": list(formula.target_names),
            "complexity": formula.complexity,
            "splines": sorted(formula.splines),
            "rule": None if model.head is None else model.head.describe(formula.short()),
            "constants": formula.constants(data) if exact else [],
            "errors": {} if model.head is not None else {split: _error(judged, data, split) for split in _SPLITS},
        }
    )
    return found


_SPLITS: tuple[Split, ...] = ("train", "validation", "test")


def _error(judged: Callable[[Tensor], Tensor], data: Dataset, split: Split) -> float | None:
    found = data.rmse(values_at(judged, data, data.index(split)).double().cpu(), split)
    return found if math.isfinite(found) else None
