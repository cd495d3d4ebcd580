"""The server: a port of the loopback address, the application behind its guard, and an end that leaves nothing."""

from __future__ import annotations

import contextlib
import signal
import socket
import webbrowser
from collections.abc import Iterator
from pathlib import Path

import uvicorn

from superpose import parallel
from superpose.errors import FileError, OptionError
from superpose.studio.server.app import Studio
from superpose.studio.server.files import PrivateFolder
from superpose.studio.server.security import LIMITS, Guard

HOST = "127.0.0.1"
# Connections that may wait to be accepted, and seconds for which pages have time to end; round numbers.
_BACKLOG, _FAREWELL = 128, 2
# Open files that are asked for; a round number.
_CONNECTIONS = 8192


@contextlib.contextmanager
def made(given: Path | None = None, port: int | None = None) -> Iterator[tuple[uvicorn.Server, socket.socket, Guard]]:
    """A server that is ready to run, its socket, and its guard; its private folder is gone at the end.

    Raises:
        FileError: if the table that is given is not there.
        OptionError: if the port is taken.
    """
    if given is not None and not given.is_file():
        raise FileError(f"{str(given)!r} is not there; name a table or a model file")
    # Engines read it when they load torch.
    parallel.one_thread()
    _many_connections()
    folder = PrivateFolder()
    listening = _socket(port)
    try:
        stored = None if given is None else folder.linked(given)
        studio = Studio(folder, stored)
        guard = Guard(studio.application(), listening.getsockname()[1])
        config = uvicorn.Config(
            guard,
            http="h11",
            ws="none",
            lifespan="on",
            loop="asyncio",
            log_level="critical",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            h11_max_incomplete_event_size=LIMITS.header,
            timeout_graceful_shutdown=_FAREWELL,
        )
        yield uvicorn.Server(config), listening, guard
    finally:
        listening.close()
        folder.close()


def serve_forever(given: Path | None, *, port: int | None, browser: bool) -> None:
    """Serve until interrupted; see :func:`superpose.studio.server.serve`."""
    # uvicorn ends in order, and then gives the signal to whoever had it before: the default would end the process at
    # once, with the private folder still there. A terminal that is closed is a signal of its own.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt), made(given, port) as (server, listening, guard):
        if hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, server.handle_exit)
        address = f"http://{HOST}:{guard.port}/?token={guard.token}"
        print(f"the studio is at {address}\nit answers this machine only; Ctrl-C ends it", flush=True)
        if browser:
            webbrowser.open(address)
        server.run(sockets=[listening])


def _many_connections() -> None:
    """Let the process have as many open connections as the system grants, so that idle ones keep nobody out."""
    try:
        import resource
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, _CONNECTIONS)), hard))


def _socket(port: int | None) -> socket.socket:
    """A socket on the loopback address, on a free port unless one is named."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((HOST, port or 0))
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        reason = error.strerror or str(error)
        raise OptionError(
            f"port {port} cannot be used ({reason}); choose another with --port, or leave it out"
        ) from None
    return listening
