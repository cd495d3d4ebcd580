"""Numbers and options as a person writes them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from superpose.plot import canvas


def number(value: float | None) -> str:
    """A number of three digits, as a person writes it.

    >>> number(0.000123456), number(12.3456), number(None), number(float("inf"))
    ('1.23 × 10⁻⁴', '12.3', '–', '–')
    """
    if value is None or not math.isfinite(value):
        return "–"
    digits, _, power = f"{value:.3g}".partition("e")
    if not power and value and abs(value) < 1e-3:
        digits, _, power = f"{value:.2e}".partition("e")
    if not power:
        return digits.replace("-", "−")
    raised = str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{digits} × 10{raised}".replace("-", "−")


def r2_text(value: float | None) -> str:
    """A coefficient of determination of four digits.

    >>> r2_text(0.99987), r2_text(-0.5), r2_text(None)
    ('0.9999', '−0.5', '–')
    """
    return "–" if value is None or not math.isfinite(value) else f"{value:.4g}".replace("-", "−")


def option_text(value: Any) -> str:
    """An option's value as a person reads it."""
    if value is None:
        return "automatic"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Sequence) and not isinstance(value, str):
        parts = [f"[{option_text(v)}]" if isinstance(v, list | tuple) else option_text(v) for v in value]
        return ", ".join(parts) or "none"
    return canvas.clean(str(value))
