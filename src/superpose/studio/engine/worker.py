"""The main loop of an engine's process. Requests are done one after another; hold, release and stop at once.

Nothing heavy is imported before the process runs: the server imports this module for its name.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from superpose.deadline import Deadline, HeldClock, running_on
from superpose.errors import SuperposeError

Json = dict[str, Any]
Pipe = Connection[bytes, bytes] if hasattr(Connection, "__class_getitem__") else Connection


def main(pipe: Any, folder: str) -> None:
    """Serve requests from the pipe until its other end closes.

    Args:
        pipe: of JSON messages; see :mod:`superpose.studio.server.engine`.
        folder: of the run, in which files are written.
    """
    # Ctrl-C on the terminal is for the server, which then ends this process.
    with contextlib.suppress(OSError, AttributeError):
        os.setsid()
    Worker(pipe, Path(folder)).run()


class Worker:
    """Requests, one at a time, and events on the way.

    Attributes:
        folder: of the run.
        clock: of all its deadlines; a run pauses by it.
        taken: the time since the process began, pauses left out.
        memory: what requests leave for later ones, by name.
        check: of what is at work, checks other settings for it; None where it takes none.
    """

    def __init__(self, pipe: Any, folder: Path) -> None:
        self.folder, self.clock = folder, HeldClock()
        self.taken = Deadline(None, self.clock)
        self.memory: dict[str, Any] = {}
        self.check: Callable[[Json], None] | None = None
        self._changed: Json | None = None
        self._pipe, self._writing = pipe, threading.Lock()
        self._requests: queue.Queue[Json] = queue.Queue()
        self._busy = False
        self._extended = 0.0
        self._aside: list[Json] = []
        self._asking = threading.Condition()

    def run(self) -> None:
        """Answer requests for ever; the process ends when the server does."""
        signal.signal(signal.SIGINT, signal.default_int_handler)
        threading.Thread(target=self._listen, daemon=True).start()
        # After the thread, so that a process that is not needed any more ends at once.
        from superpose.studio.engine.actions import ACTIONS

        threading.Thread(target=self._beside, args=(ACTIONS,), daemon=True).start()
        with running_on(self.clock):
            while True:
                # An interruption that came too late is no reason to end.
                with contextlib.suppress(KeyboardInterrupt):
                    self._answer(self._requests.get(), ACTIONS)

    def _beside(self, actions: dict[str, Callable[[Worker, Json], Json]]) -> None:
        """Answer requests that need not wait for the one that is worked on."""
        while True:
            with self._asking:
                self._asking.wait_for(lambda: bool(self._aside))
                request = self._aside.pop(0)
            self._reply(request, actions)

    def _ask_aside(self, request: Json) -> None:
        """Let a request be answered beside; those that nobody waits for any more are answered at once."""
        from superpose.studio.engine.actions import is_superseded

        with self._asking:
            old = [one for one in self._aside if is_superseded(one, request)]
            self._aside = [one for one in self._aside if one not in old]
            self._aside.append(request)
            self._asking.notify()
        for one in old:
            answer = {"id": one["request"].get("id"), "error": "another edge was opened"}
            self._send({"id": one["id"], "answer": answer})

    def emit(self, event: str, **content: Any) -> None:
        """Send an event to the server. Seconds that were added to the run are no seconds that it took less."""
        if "seconds" in content:
            content["seconds"] += self._extended
        self._send({"event": event, **content})

    def _answer(self, request: Json, actions: dict[str, Callable[[Worker, Json], Json]]) -> None:
        self._busy = True
        try:
            self._reply(request, actions)
        finally:
            self._busy, self.check, self._changed = False, None, None

    def change(self, settings: Json) -> None:
        """End the work in hand with the best so far, and let it go on with other settings.

        Raises:
            OptionError: where nothing is at work that takes these.
        """
        from superpose.errors import OptionError

        if self.check is None:
            raise OptionError("nothing is at work whose settings could be changed")
        self.check(settings)
        self._changed = settings
        self.stop()

    def taken_change(self) -> Json | None:
        """The settings with which the work goes on that was just ended; None if it was not for that."""
        changed, self._changed = self._changed, None
        return changed

    def _reply(self, request: Json, actions: dict[str, Callable[[Worker, Json], Json]]) -> None:
        number = request.get("id")
        try:
            reply: Json = {"answer": actions[request["action"]](self, request)}
        except SuperposeError as error:
            from superpose.studio.engine.places import on_the_page, place_of

            reply = {"error": on_the_page(str(error)), "place": place_of(str(error), request)}
        except KeyboardInterrupt:
            reply = {"error": "stopped before anything was found"}
        except Exception as error:
            if os.environ.get("SUPERPOSE_DEBUG", "0") not in ("", "0"):
                import traceback

                traceback.print_exc()
            reply = {"error": f"superpose itself failed ({type(error).__name__}), which is no fault of yours"}
        if number is not None:
            self._send({"id": number, **reply})

    def _send(self, message: Json) -> None:
        from superpose.files.json_numbers import json_ready

        data = json.dumps(json_ready(message), allow_nan=False).encode()
        with self._writing, contextlib.suppress(OSError):
            self._pipe.send_bytes(data)

    def _listen(self) -> None:
        """Sort what arrives, in a thread of its own."""
        with contextlib.suppress(EOFError, OSError):
            while True:
                request = json.loads(self._pipe.recv_bytes())
                if request["action"] == "hold":
                    self.clock.hold()
                elif request["action"] == "release":
                    self.clock.release()
                elif request["action"] == "extend":
                    # Deadlines are moments of this clock.
                    self.clock.advance(-request["seconds"])
                    self._extended += request["seconds"]
                elif request["action"] == "stop":
                    self.stop()
                elif _is_aside(request):
                    self._ask_aside(request)
                else:
                    self._requests.put(request)
        # The server is gone, and nobody can use what is computed here.
        os._exit(0)

    def stop(self) -> None:
        """End the work in hand, which keeps the best so far, as Ctrl-C does on the command line."""
        self.clock.release()
        if self._busy:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def _is_aside(request: Json) -> bool:
    from superpose.studio.engine.actions import is_aside

    return is_aside(request)
