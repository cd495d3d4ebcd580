"""What an engine can be asked to do, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# Loaded while the page is read, so that the first search need not wait for it.
from superpose.studio.engine import searching, tables

Json = dict[str, Any]


def look(worker: Any, request: Json) -> Json:
    """A table: its columns, first rows and mistakes."""
    return tables.look(request, worker.memory)


ACTIONS: dict[str, Callable[[Any, Json], Json]] = {
    "look": look,
    "search": searching.search,
    "train": searching.train,
}
