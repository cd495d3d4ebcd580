"""Dates as text: recognised, and read as times."""

from __future__ import annotations

import datetime


def looks_like_dates(cells: set[str]) -> bool:
    """Whether all cells are dates as ISO 8601 writes them."""
    try:
        for cell in cells:
            datetime.datetime.fromisoformat(cell)
    except ValueError:
        return False
    return True
