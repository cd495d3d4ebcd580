"""Pieces of HTML that notebooks show of results: tables, small curves. Every text in them is escaped.

Jupyter and marimo ask a value for ``_repr_html_`` and ``_repr_latex_``; programs without either show its ``repr``.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Any

# Rows of a table that a notebook shows. A round number.
_MOST_ROWS = 30


def text(value: Any) -> str:
    """A value as text of HTML: numbers of three digits, nothing for None.

    >>> text(0.123456), text("a<b"), text(None), text(3)
    ('0.123', 'a&lt;b', '–', '3')
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, float):
        return f"{value:.3g}".replace("-", "−")
    return html.escape(str(value))


class Markup(str):
    """Text that is HTML already, made by this module or by a printer of MathML."""


def html_table(head: Sequence[str], rows: Sequence[Sequence[Any]], caption: str = "") -> str:
    """A table; cells are values, or :class:`Markup`. Of many rows the first are shown.

    >>> html_table(["name", "score"], [["x<1", 0.5]])
    '<table><thead><tr><th>name</th><th>score</th></tr></thead><tbody><tr><td>x&lt;1</td><td>0.5</td></tr></tbody></table>'
    """

    def line(cells: Sequence[Any], tag: str) -> str:
        inner = (str(cell) if isinstance(cell, Markup) else text(cell) for cell in cells)
        return f"<tr>{''.join(f'<{tag}>{one}</{tag}>' for one in inner)}</tr>"

    shown = [line(row, "td") for row in rows[:_MOST_ROWS]]
    more = len(rows) - _MOST_ROWS
    if more > 0:
        shown.append(f'<tr><td colspan="{len(head)}">and {more} more</td></tr>')
    title = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    return f"<table>{title}<thead>{line(head, 'th')}</thead><tbody>{''.join(shown)}</tbody></table>"


def html_paragraph(sentence: str) -> str:
    """A sentence as a paragraph; nothing for an empty one."""
    return f"<p>{html.escape(sentence)}</p>" if sentence else ""


def html_curve(
    values: Sequence[float], label: str, *, width: int = 64, height: int = 36, symbolic: bool = False
) -> Markup:
    """A small curve of values at even places, as SVG; places without a finite value are left out."""
    finite = [value for value in values if math.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    points, down = [], False
    for k, value in enumerate(values):
        if not math.isfinite(value):
            down = False
            continue
        share = (value - low) / (high - low) if high > low else 0.5
        x, y = 3 + (width - 6) * k / max(1, len(values) - 1), height - 3 - (height - 6) * share
        points.append(f"{'L' if down else 'M'}{x:.1f} {y:.1f}")
        down = True
    # The colour of symbolic edges in pictures; other curves have that of the text, on light and dark pages.
    color = "#c2410c" if symbolic else "currentColor"
    named = html.escape(label)
    return Markup(
        f'<svg role="img" aria-label="{named}" width="{width}" height="{height}"><title>{named}</title>'
        f'<path d="{"".join(points)}" fill="none" stroke="{color}" stroke-width="1.6"/></svg>'
    )


def html_bar(share: float, most: float = 1.0) -> Markup:
    """A bar for a share of the largest one, with its number."""
    length = 100 * min(1.0, max(0.0, share / most)) if most > 0 and math.isfinite(share) else 0.0
    return Markup(
        f'<svg width="106" height="12" aria-hidden="true"><rect width="{length:.1f}" height="10" y="1" fill="#0f766e"/>'
        f"</svg> {text(float(share))}"
    )
