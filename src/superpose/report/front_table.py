"""The formulas of a run from simple to accurate: the table on the page, one column for each error, and its picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from superpose import plot
from superpose.plot import canvas
from superpose.report.numbers import number, r2_text
from superpose.report.pictures import Picture, as_picture, typeset
from superpose.tasks.result import TaskResult

# Inches that the column of formulas has; see MAX_FORMULA_WIDTH.
_MAX_TABLE_WIDTH = 9.0


@dataclass(frozen=True)
class FrontRow:
    """One formula of the front; its picture is None where it is too wide for the table, or several formulas.

    ``note`` says where its units do not agree.
    """

    nodes: int
    errors: Sequence[str]
    text: str
    picture: Picture | None
    recommended: bool
    note: str = ""


@dataclass(frozen=True)
class Front:
    """The formulas from simple to accurate, as the page shows them."""

    headings: Sequence[str]
    rows: Sequence[FrontRow]
    picture: Picture


def front_rows(result: TaskResult) -> list[dict[str, Any]]:
    """What the metrics say of the front; that of networks alone has no formulas."""
    return [row for row in result.metrics.get("front", []) if "formula" in row]


def trade_off_figure(result: TaskResult) -> Any:
    """The picture of the front."""
    rows = front_rows(result)
    if "cross_entropy" in rows[0]:
        return plot.front(rows, error="cross_entropy")
    return plot.front(rows, target_std=result.metrics.get("target_std"))


def front_table(result: TaskResult, trade_off: canvas.Drawn | None) -> Front | None:
    """The table of the front; None where it would hold no more than the formula at the top of the page."""
    rows = front_rows(result)
    if len(rows) < 2 or trade_off is None:
        return None
    classes = "cross_entropy" in rows[0]
    made, told = [], []
    for row, formula in zip(rows, result.front, strict=True):
        error = row["cross_entropy"] if classes else row["rmse"]
        r2 = row.get("r2")
        errors = [number(error), f"{row['accuracy']:.2%}" if classes else r2_text(r2)]
        picture = typeset(formula, _MAX_TABLE_WIDTH, named=False) if len(formula.expressions) == 1 else None
        note = f"units do not agree: {row['inconsistent']}" if row.get("inconsistent") else ""
        text = canvas.clean(row["formula"])
        made.append(FrontRow(row["complexity"], errors, text, picture, row["recommended"], canvas.clean(note)))
        told.append(f"{row['complexity']} nodes {errors[0]}{' (recommended)' if row['recommended'] else ''}")
    headings = ["cross-entropy", "right"] if classes else ["error", "R²"]
    return Front(headings, made, as_picture(trade_off, f"Errors of the formulas by their size: {'; '.join(told)}"))
