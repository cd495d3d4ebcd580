"""Runs side by side: what each has shown so far, kept so that a page that is opened later finds it as it is."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from superpose.deadline import Deadline
from superpose.errors import OptionError
from superpose.studio.server.engine import Engine, EngineError
from superpose.studio.server.files import StoredFile

Json = dict[str, Any]

# What one page can show, and one machine can run; round numbers.
MOST_RUNS, _MOST_SENTENCES, _MOST_POINTS = 12, 1000, 2000
_MOST_SECONDS = 86_400
RUNNING, PAUSED, DONE, FAILED, DEAD = "running", "paused", "done", "failed", "dead"


@dataclass(eq=False)
class Run:
    """One run, and what it has shown.

    Attributes:
        key: by which the browser knows it.
        kind: ``"search"``, ``"train"``, or ``"open"`` for a model that is there already.
        table: what it learns from.
        options: as the page sent them.
        folder: of its files.
        parts: what it has shown, by name; each part is sent as a whole when it changes.
        versions: how often each part changed.
        log, points: what only grows, and how often its beginning was thinned out.
    """

    key: str
    kind: str
    table: StoredFile
    options: Json
    folder: Path
    engine: Engine | None = None
    model: StoredFile | None = None
    status: str = RUNNING
    parts: Json = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    log: list[Json] = field(default_factory=list)
    points: list[list[Any]] = field(default_factory=list)
    thinned: int = 0
    began: Deadline = field(default_factory=Deadline)
    took: float | None = None

    def show(self, part: str, content: Any) -> None:
        """Replace a part of what is shown."""
        self.parts[part] = content
        self.versions[part] = self.versions.get(part, 0) + 1

    def summary(self) -> Json:
        """What the list of runs says of it."""
        result = self.parts.get("result") or {}
        return {
            "id": self.key,
            "kind": self.kind,
            "table": self.table.name,
            "table_id": self.table.key,
            "target": self.options.get("target", ""),
            "status": self.status,
            "formula": result.get("formula") or (self.parts.get("formula") or {}).get("text"),
            "sentence": self.parts.get("sentence"),
            "hidden": self.options.get("hidden"),
        }


class Runs:
    """All runs of a server.

    Args:
        folder_for: makes the folder of a new run.
    """

    def __init__(self, folder_for: Callable[[], Path]) -> None:
        self._folder_for = folder_for
        self.found: dict[str, Run] = {}
        self.version = 0
        self._changed: set[asyncio.Event] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def get(self, key: str) -> Run:
        """The run of that key; raises :class:`OptionError` if there is none."""
        if key not in self.found:
            raise OptionError("there is no such run; it may have been closed")
        return self.found[key]

    def subscribe(self) -> asyncio.Event:
        """An event that is set whenever something changes; give it back to :meth:`unsubscribe`."""
        event = asyncio.Event()
        self._changed.add(event)
        return event

    def unsubscribe(self, event: asyncio.Event) -> None:
        """Set that event no more."""
        self._changed.discard(event)

    def changed(self) -> None:
        """Something changed."""
        for event in self._changed:
            event.set()

    def start(self, kind: str, table: StoredFile, options: Json, model: StoredFile | None = None) -> Run:
        """A new run; a model that is opened comes with it.

        Raises:
            OptionError: if there are too many.
        """
        if len(self.found) >= MOST_RUNS:
            raise OptionError(f"there are {MOST_RUNS} runs already; close one of them first")
        folder = self._folder_for()
        engine = Engine(folder, lambda event: None, lambda sentence: None)
        run = Run(secrets.token_hex(8), kind, table, options, folder, engine, model=model)
        self.found[run.key] = run
        self._follow(run, engine)
        return run

    def reopen(self, run: Run) -> None:
        """Go on with a run whose process ended, from the last step that was kept.

        Raises:
            OptionError: if it has not ended so.
        """
        if run.status != DEAD:
            raise OptionError(f"the run is {run.status}; there is nothing to open again")
        run.engine = Engine(run.folder, lambda event: None, lambda sentence: None)
        run.show("sentence", None)
        self._follow(run, run.engine, resume=True)

    def _follow(self, run: Run, engine: Engine, *, resume: bool = False) -> None:
        engine.watch(lambda event: self._happened(run, event), lambda sentence: self._died(run, sentence))
        self._set_status(run, RUNNING)
        task = asyncio.get_running_loop().create_task(self._wait(run, engine, resume))
        # The loop holds tasks by weak references only.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _wait(self, run: Run, engine: Engine, resume: bool) -> None:
        """Wait for what a run comes to."""
        place = {"folder": str(run.table.folder), "name": run.table.name}
        if run.model is not None:
            place["model"] = str(run.model.folder / run.model.name)
        try:
            result = await engine.ask(run.kind, options=run.options, resume=resume, **place)
        except EngineError as error:
            if engine.alive:
                run.show("sentence", str(error))
                run.show("place", error.place)
                self._set_status(run, FAILED)
            return
        if result.get("front"):
            run.show("front", result["front"])
        if not result.get("restored"):
            run.show("result", result)
        self._set_status(run, DONE)

    async def ask(self, run: Run, action: str, **request: Any) -> Json:
        """The answer of a run's engine about the network in hand.

        Raises:
            OptionError: if its process has ended.
            EngineError: with the engine's sentence.
        """
        engine = run.engine
        if engine is None or not engine.alive:
            raise OptionError("the engine of this run has ended; open the run again first")
        place = {"folder": str(run.table.folder), "name": run.table.name, "options": run.options}
        return await engine.ask(action, **place, **request)

    async def step(self, run: Run, request: Json) -> Json:
        """Pass on a request of the network view; while a step is done the run can be held and stopped."""
        working = request.get("action") == "do" and run.status == DONE
        if working:
            self._set_status(run, RUNNING)
        try:
            return await self.ask(run, "network", request=request)
        finally:
            if working and run.status in (RUNNING, PAUSED):
                self._set_status(run, DONE)

    def control(self, run: Run, action: str) -> None:
        """Hold a run, let it go on, or end it with the best so far.

        Raises:
            OptionError: for an action that the run's state does not allow.
        """
        engine = run.engine
        allowed = {"pause": (RUNNING,), "resume": (PAUSED,), "stop": (RUNNING, PAUSED)}
        if action not in allowed:
            raise OptionError("a run can be paused, resumed, stopped and closed")
        if engine is None or run.status not in allowed[action]:
            raise OptionError(f"the run is {run.status}, and cannot be {_DONE_TO[action]}")
        engine.tell({"pause": "hold", "resume": "release", "stop": "stop"}[action])
        if action != "stop":
            self._set_status(run, PAUSED if action == "pause" else RUNNING)

    async def change(self, run: Run, settings: Json) -> None:
        """Let a run that is paused go on with other settings.

        Raises:
            OptionError: if it is not paused.
            EngineError: if it has no such settings.
        """
        if run.engine is None or run.status != PAUSED:
            raise OptionError(f"the run is {run.status}; its settings are changed while it is paused")
        await self.ask(run, "change", settings=settings)
        given = {name: value for name, value in settings.items() if name in _SEARCHED}
        # So that a run that is opened again, and its report, know them.
        run.options = {name: one for name, one in (run.options | given).items() if one is not None}
        self._set_status(run, RUNNING)

    def extend(self, run: Run, seconds: Any) -> None:
        """Give a run that is paused more time.

        Raises:
            OptionError: if it is not paused, or this is no number of seconds.
        """
        fits = isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 < seconds <= _MOST_SECONDS
        if run.engine is None or run.status != PAUSED or not fits:
            raise OptionError(f"a run that is paused can be given 1 to {_MOST_SECONDS} more seconds")
        run.engine.tell("extend", seconds=float(seconds))

    def close(self, run: Run) -> None:
        """End a run and forget it."""
        self.found.pop(run.key, None)
        if run.engine is not None:
            run.engine.close()
        self.version += 1
        self.changed()

    def close_all(self) -> None:
        """End all processes."""
        for run in list(self.found.values()):
            self.close(run)

    def _set_status(self, run: Run, status: str) -> None:
        run.status = status
        run.took = run.began.elapsed() if status in (DONE, FAILED, DEAD) else None
        run.show("status", status)
        self.version += 1
        self.changed()

    def _died(self, run: Run, sentence: str) -> None:
        """The process of a run ended by itself."""
        kept = "what it had shown is here, and 'Open again' goes on from the last step that was kept"
        run.show("sentence", f"{sentence}; {kept}")
        self._set_status(run, DEAD)

    def _happened(self, run: Run, event: Json) -> None:
        """Keep what an engine shows."""
        kind = event["event"]
        if "seconds" in event:
            run.show("seconds", event["seconds"])
        if kind == "log":
            run.log.append({"text": event["text"], "seconds": event["seconds"]})
            if len(run.log) > _MOST_SENTENCES:
                del run.log[: _MOST_SENTENCES // 2]
                run.thinned += 1
        elif kind == "step":
            run.points.append([*event["point"], event["grid"]])
            if len(run.points) > _MOST_POINTS:
                run.points = run.points[::2]
                run.thinned += 1
        elif kind == "front":
            run.show("front", event["rows"])
        elif kind == "picture":
            run.show("picture", event["picture"])
        elif kind == "process":
            run.show("process", event["pid"])
        elif kind == "busy":
            run.show("busy", event["record"])
        else:
            run.show(kind, {name: value for name, value in event.items() if name != "event"})
            self.version += kind == "formula"
        self.changed()


# Settings of a search; those of a training are of one step.
_SEARCHED = ("functions", "formula", "time_limit")
_DONE_TO = {"pause": "paused", "resume": "resumed", "stop": "stopped"}
