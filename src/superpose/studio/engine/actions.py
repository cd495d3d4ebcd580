"""What an engine can be asked to do, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from superpose.studio.actions import READS

# Loaded while the page is read, so that the first search need not wait for it.
from superpose.studio.engine import by_hand, searching, tables, take_away

Json = dict[str, Any]


def look(worker: Any, request: Json) -> Json:
    """A table: its columns, first rows and mistakes."""
    return tables.look(request, worker.memory)


# Answered beside a training that goes on, since they only read what was there before it.
ASIDE = frozenset({"residuals"})


def is_aside(request: Json) -> bool:
    """Whether a request may be answered while another is worked on."""
    if request["action"] == "network":
        return request["request"].get("action") in READS - {"preview"}
    return request["action"] in ASIDE


ACTIONS: dict[str, Callable[[Any, Json], Json]] = {
    "look": look,
    "search": searching.search,
    "train": searching.train,
    "network": by_hand.request,
    "residuals": by_hand.residuals,
    "take": take_away.taken,
}
