"""What happens, as server-sent events: each page gets what it has not seen yet, as fast as it reads and no faster."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from superpose.studio.server.runs import Run, Runs

Json = dict[str, Any]

# Seconds: between two messages, so that a page draws twenty times a second at most, and of silence after which a
# line is sent all the same, since some programs end connections that are silent. Round numbers.
_PACE, _SILENCE = 0.05, 15.0


@dataclass
class Seen:
    """What a page has been sent of a run."""

    versions: dict[str, int] = field(default_factory=dict)
    log: int = 0
    points: int = 0
    thinned: int = 0


def news(run: Run, seen: Seen) -> Json | None:
    """What a page has not seen of a run, and notes that it has; None if it has seen everything."""
    message: Json = {}
    if seen.thinned != run.thinned:
        seen.thinned, seen.log, seen.points, message["anew"] = run.thinned, 0, 0, True
    for part, version in run.versions.items():
        if seen.versions.get(part) != version:
            seen.versions[part], message[part] = version, run.parts[part]
    if len(run.log) > seen.log:
        message["log"], seen.log = run.log[seen.log :], len(run.log)
    if len(run.points) > seen.points:
        message["points"], seen.points = run.points[seen.points :], len(run.points)
    return {"id": run.key, **message} if message else None


async def stream(runs: Runs, key: str | None) -> AsyncIterator[str]:
    """The events for one page: the list of runs, and everything of one of them."""
    changed = runs.subscribe()
    version, seen = -1, Seen()
    try:
        while True:
            changed.clear()
            if runs.version != version:
                version = runs.version
                yield message("runs", [run.summary() for run in runs.found.values()])
            run = None if key is None else runs.found.get(key)
            if run is not None and (content := news(run, seen)) is not None:
                yield message("run", content)
            try:
                await asyncio.wait_for(changed.wait(), _SILENCE)
            except TimeoutError:
                yield ": nothing new\n\n"
            await asyncio.sleep(_PACE)
    finally:
        runs.unsubscribe(changed)


def message(event: str, content: Any) -> str:
    """One event.

    >>> message("run", {"id": "1"})
    'event: run\\ndata: {"id": "1"}\\n\\n'
    """
    return f"event: {event}\ndata: {json.dumps(content)}\n\n"
