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


def change(worker: Any, request: Json) -> Json:
    """Other settings for what is at work."""
    worker.change(request["settings"])
    return {}


# Answered beside a training that goes on: they only read what was there before it, or are about it.
ASIDE = frozenset({"residuals", "change"})


def is_aside(request: Json) -> bool:
    """Whether a request may be answered while another is worked on."""
    if request["action"] == "network":
        return request["request"].get("action") in READS - {"preview"}
    return request["action"] in ASIDE


def is_superseded(request: Json, later: Json) -> bool:
    """Whether nobody waits for a request any more, after a later one: an edge that was opened before another one.

    >>> first, second = ({"action": "network", "request": {"action": "edge", "edge": [0, 0, o]}} for o in (0, 1))
    >>> is_superseded(first, second), is_superseded(first, first)
    (True, False)
    """
    asked, new = request.get("request", {}), later.get("request", {})
    edges = asked.get("action") == "edge" and new.get("action") == "edge"
    return bool(edges and asked.get("edge") != new.get("edge"))


ACTIONS: dict[str, Callable[[Any, Json], Json]] = {
    "look": look,
    "change": change,
    "search": searching.search,
    "train": searching.train,
    "open": searching.open_model,
    "network": by_hand.request,
    "residuals": by_hand.residuals,
    "take": take_away.taken,
}
