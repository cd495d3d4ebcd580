"""A formula of many terms as a table: each term with its coefficient and what is known of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from superpose.data.sampling import evenly
from superpose.formulas.expressions.formula import Formula
from superpose.plot import canvas
from superpose.report.numbers import number
from superpose.tasks.result import TaskResult

if TYPE_CHECKING:
    import sympy

# Formulas of more terms are shown as a table, and rows over which terms are compared. Round numbers.
_MANY, _ROWS = 6, 2000


@dataclass(frozen=True)
class Term:
    """One term as text: what its coefficient multiplies, the coefficient, its standard error, and how it varies."""

    text: str
    coefficient: str
    error: str
    deviation: str


def terms_of(result: TaskResult) -> list[Term]:
    """The terms of a formula of one target with many, the one that varies most first; empty for other formulas."""
    import sympy

    formula = result.formula
    if formula is None or len(formula.expressions) != 1 or not isinstance(formula.expressions[0], sympy.Add):
        return []
    parts = sympy.Add.make_args(formula.expressions[0])
    if len(parts) <= _MANY:
        return []
    x = result.data.features(evenly(result.data.n_rows, _ROWS))
    found = []
    for part in parts:
        coefficient, rest = part.as_coeff_Mul()
        one = replace(formula, expressions=(part,))
        with torch.no_grad():
            spread = float(one.torch(x).std(correction=0)) if part.free_symbols else 0.0
        text = canvas.clean(_text(formula, rest)) if part.free_symbols else "1"
        value = float(coefficient if part.free_symbols else part)
        found.append((spread, Term(text, _exact(value), _error(value, result), number(spread))))
    return [term for _, term in sorted(found, key=lambda one: -one[0])]


def _text(formula: Formula, expression: sympy.Expr) -> str:
    (text,) = replace(formula, expressions=(expression,)).short()
    return text


def _exact(value: float) -> str:
    """A coefficient with six digits."""
    return f"{value:.6g}".replace("-", "−")


def _error(value: float, result: TaskResult) -> str:
    """The standard error of a constant, which is known by its value."""
    constants: Sequence[dict[str, float]] = result.metrics.get("constants") or []
    near = [one for one in constants if abs(one["value"] - value) <= 1e-9 * abs(value)]
    return number(near[0]["standard_error"]) if near else "–"
