"""An engine: a process of its own that computes, with a pipe of JSON messages to and from it.

A request is ``{"id": 1, "action": "look", ...}``. Its answer is ``{"id": 1, "answer": {...}}`` or ``{"id": 1, "error":
"a sentence", "place": {...}}``. Between them come events, ``{"event": "log", ...}``.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import multiprocessing
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from superpose.errors import SuperposeError
from superpose.studio.engine import worker

Json = dict[str, Any]
# Seconds that a process has to end by itself before it is killed. A round number.
_PATIENCE = 3.0


def method() -> str:
    """How processes begin: as copies of one that has loaded the packages, where the system can; else each loads them.

    The copied process has no other threads, and never computes itself.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return "spawn"
    multiprocessing.get_context("forkserver").set_forkserver_preload(["superpose.studio.engine.actions"])
    return "forkserver"


class EngineError(SuperposeError):
    """What an engine could not do, in a sentence; ``place`` says where on the page it can be put right."""

    def __init__(self, sentence: str, place: Json | None = None) -> None:
        super().__init__(sentence)
        self.place = place or {}


class Engine:
    """The handle of the process; all methods are for the thread of the event loop.

    Args:
        folder: of its run, in which it may write.
        on_event: called with each event.
        on_end: called when the process has ended without being asked to, with how it ended in words.
    """

    def __init__(self, folder: Path, on_event: Callable[[Json], None], on_end: Callable[[str], None]) -> None:
        self.folder, self._on_event, self._on_end = folder, on_event, on_end
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[int, asyncio.Future[Json]] = {}
        self._ids = itertools.count(1)
        self._closing = False
        context: Any = multiprocessing.get_context(method())
        self._pipe, self._far = context.Pipe()
        self.process = context.Process(target=worker.main, args=(self._far, str(folder)), daemon=True)
        self._out = _Sender(self._pipe)
        self._started = threading.Event()
        threading.Thread(target=self._live, daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether the process answers, or will when it has started."""
        return not self._closing

    async def ask(self, action: str, **request: Any) -> Json:
        """The answer to a request.

        Raises:
            EngineError: with the sentence of the engine, or where its process ended.
        """
        number = next(self._ids)
        future: asyncio.Future[Json] = self._loop.create_future()
        self._waiting[number] = future
        self.tell(action, id=number, **request)
        return await future

    def tell(self, action: str, **request: Any) -> None:
        """Send a request that has no answer."""
        self._out.send({"action": action, **request})

    def watch(self, on_event: Callable[[Json], None], on_end: Callable[[str], None]) -> None:
        """Send events to someone else from now on."""
        self._on_event, self._on_end = on_event, on_end

    def close(self) -> None:
        """End the process."""
        if self._closing:
            return
        self._closing = True
        self._fail("the run was closed")
        self._out.close()
        threading.Thread(target=self._bury, daemon=True).start()

    def _bury(self) -> None:
        self._started.wait()
        with contextlib.suppress(OSError, ValueError):
            self.process.terminate()
            self.process.join(_PATIENCE)
            if self.process.exitcode is None:
                self.process.kill()
                self.process.join(_PATIENCE)
            self._pipe.close()
            # What the system keeps of a process that ended.
            self.process.close()

    def _live(self) -> None:
        """Start the process and pass on what it says, in a thread of its own, until it ends."""
        try:
            self.process.start()
        finally:
            self._far.close()
            self._started.set()
        with contextlib.suppress(RuntimeError):
            started = {"event": "process", "pid": self.process.pid}
            self._loop.call_soon_threadsafe(self._received, started)
        with contextlib.suppress(EOFError, OSError):
            while True:
                message = json.loads(self._pipe.recv_bytes())
                self._loop.call_soon_threadsafe(self._received, message)
        with contextlib.suppress(RuntimeError):
            # The loop may be gone.
            self._loop.call_soon_threadsafe(self._ended)

    def _received(self, message: Json) -> None:
        if "event" in message:
            self._on_event(message)
            return
        future = self._waiting.pop(message["id"], None)
        if future is None or future.done():
            return
        if "error" in message:
            future.set_exception(EngineError(message["error"], message.get("place")))
        else:
            future.set_result(message["answer"])

    def _ended(self) -> None:
        if self._closing:
            return
        self._closing = True
        self.process.join(_PATIENCE)
        sentence = f"the engine's process ended ({_how(self.process.exitcode)})"
        self._fail(sentence)
        self._out.close()
        self._on_end(sentence)

    def _fail(self, sentence: str) -> None:
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(EngineError(sentence))
                # Whoever asked may be gone.
                future.exception()
        self._waiting.clear()


def _how(code: int | None) -> str:
    """How a process ended.

    >>> _how(-9), _how(1)
    ('killed by signal 9, as happens when memory runs out', 'exit code 1')
    """
    if code is None or code >= 0:
        return f"exit code {code}"
    return f"killed by signal {-code}" + (", as happens when memory runs out" if code == -9 else "")


class _Sender:
    """Writes to a pipe in a thread of its own, so that a process that does not read holds up nobody."""

    def __init__(self, pipe: Connection[bytes, bytes]) -> None:
        import queue

        self._queue: queue.SimpleQueue[Json | None] = queue.SimpleQueue()
        self._pipe = pipe
        threading.Thread(target=self._write, daemon=True).start()

    def send(self, message: Json) -> None:
        self._queue.put(message)

    def close(self) -> None:
        self._queue.put(None)

    def _write(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while (message := self._queue.get()) is not None:
                self._pipe.send_bytes(json.dumps(message).encode())
