"""The form that a user gave, as the page shows it: its constants with their errors, and other forms beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from superpose.plot import canvas
from superpose.report.numbers import number
from superpose.tasks.result import TaskResult


@dataclass(frozen=True)
class FormTable:
    """Tables of texts.

    Attributes:
        text: of the form.
        constants: name, value, standard error, and both ends of the interval of each.
        names, correlations: of the constants.
        others: leave-one-out error, AICc, description length and text of each form, if there are several.
        notes: sentences.
    """

    text: str
    constants: Sequence[Sequence[str]]
    names: Sequence[str]
    correlations: Sequence[Sequence[str]]
    others: Sequence[Sequence[str]]
    notes: Sequence[str]


def form_of(result: TaskResult) -> FormTable | None:
    """The tables of a run on forms; None of any other run."""
    fits: Sequence[Mapping[str, Any]] = result.metrics.get("form", {}).get("fits") or []
    if not fits:
        return None
    first = fits[0]
    constants = [
        [canvas.clean(one["name"]), f"{one['value']:.6g}{_unit(one)}", *(number(one[what]) for what in _COLUMNS)]
        for one in first["constants"]
    ]
    others = [
        [*(number(fit[what]) for what in ("leave_one_out", "aicc", "description_length")), canvas.clean(fit["form"])]
        for fit in fits
    ]
    return FormTable(
        canvas.clean(first["form"]),
        constants,
        [one[0] for one in constants],
        [[_two_digits(value) for value in row] for row in first["correlations"]] if len(constants) > 1 else [],
        others if len(others) > 1 else [],
        [canvas.clean(note) for note in first["notes"]],
    )


def _unit(constant: Mapping[str, Any]) -> str:
    unit = constant.get("unit", "1")
    return "" if unit in (None, "1") else f" {canvas.clean(unit)}"


_COLUMNS = ("standard_error", "low", "high")


def _two_digits(value: float | None) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.2f}".replace("-", "−")
