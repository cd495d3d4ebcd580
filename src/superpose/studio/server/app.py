"""The application: what each address answers. Requests are checked and passed on; mathematics is for the engines."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import quote, unquote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from superpose.errors import DataError, OptionError, SuperposeError
from superpose.studio.server import events, examples, settings
from superpose.studio.server.engine import Engine, EngineError
from superpose.studio.server.files import PrivateFolder, StoredFile
from superpose.studio.server.pages import static_files
from superpose.studio.server.runs import Runs
from superpose.studio.server.security import Refused

Json = dict[str, Any]

# What can be taken away, with its media type; pages among it are not opened here, but saved.
FILES = {
    "model.safetensors": "application/octet-stream",
    "start.safetensors": "application/octet-stream",
    "formula.py": "text/x-python; charset=utf-8",
    "script.py": "text/x-python; charset=utf-8",
    "predictions.csv": "text/csv; charset=utf-8",
    "report.html": "application/octet-stream",
}
# What a page may change of a run that is paused; its engine says which of them the run has.
CHANGEABLE = ("sparsity", "optimizer", "steps", "functions", "formula", "time_limit")
_STREAM_HEADERS = {"X-Accel-Buffering": "no"}


class Studio:
    """The state of one server, and its answers.

    Args:
        folder: in which everything is kept.
        given: the table that was named on the command line.
    """

    def __init__(self, folder: PrivateFolder, given: StoredFile | None = None) -> None:
        self.folder, self.given = folder, given
        self.runs = Runs(folder.run_folder)
        self.static = static_files()
        self._tables: Engine | None = None

    def application(self) -> Starlette:
        """What uvicorn serves."""

        @contextlib.asynccontextmanager
        async def lifespan(app: Starlette) -> AsyncIterator[None]:
            self.table_engine()
            yield
            self.runs.close_all()
            if self._tables is not None:
                self._tables.close()

        routes = [
            Route("/", self.index),
            Route("/static/{name}", self.file),
            Route("/api/state", self.state),
            Route("/api/events", self.events),
            Route("/api/uploads", self.upload, methods=["POST"]),
            Route("/api/examples", self.example, methods=["POST"]),
            Route("/api/tables/{key}", self.look, methods=["POST"]),
            Route("/api/runs", self.start, methods=["POST"]),
            Route("/api/runs/{key}", self.control, methods=["POST"]),
            Route("/api/runs/{key}/network", self.network, methods=["POST"]),
            Route("/api/runs/{key}/residuals", self.residuals),
            Route("/api/runs/{key}/files/{name}", self.take),
        ]
        handlers: dict[Any, Callable[[Request, Any], Awaitable[Response]]] = {
            SuperposeError: _mistake,
            HTTPException: _http,
            Exception: _fault,
        }
        return Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers)

    def table_engine(self) -> Engine:
        """The process that reads tables; a new one where the last has ended."""
        if self._tables is None or not self._tables.alive:
            self._tables = Engine(self.folder.run_folder(), lambda event: None, lambda sentence: None)
        return self._tables

    async def index(self, request: Request) -> Response:
        """The page."""
        return self._static("index.html")

    async def file(self, request: Request) -> Response:
        """A script or a style of the page."""
        return self._static(request.path_params["name"])

    def _static(self, name: str) -> Response:
        if name not in self.static:
            raise HTTPException(404)
        content, kind = self.static[name]
        return Response(content, media_type=kind)

    async def state(self, request: Request) -> Response:
        """What a page needs to begin."""
        given = self.given
        return JSONResponse(
            {
                "examples": examples.listed(),
                "given": None if given is None else {"id": given.key, "name": given.name, "model": given.is_model},
                "runs": [run.summary() for run in self.runs.found.values()],
            }
        )

    async def events(self, request: Request) -> Response:
        """The stream of what happens."""
        found = events.stream(self.runs, request.query_params.get("run"))
        return StreamingResponse(found, media_type="text/event-stream", headers=_STREAM_HEADERS)

    async def upload(self, request: Request) -> Response:
        """A table that was dropped: the body is its bytes, a header has its name."""
        name = unquote(request.headers.get("x-file-name", ""))
        stored = await self.folder.stored(name, request.stream())
        return JSONResponse({"id": stored.key, "name": stored.name, "model": stored.is_model})

    async def example(self, request: Request) -> Response:
        """One of the example tables."""
        body = await _json(request)
        stored = await self.folder.stored(*examples.opened(str(body.get("name"))))
        return JSONResponse({"id": stored.key, "name": stored.name, "model": False})

    async def look(self, request: Request) -> Response:
        """What a table holds, under the options that the page sends."""
        stored = self._table(request.path_params["key"])
        options = settings.checked((await _json(request)).get("options", {}))
        found = await self.table_engine().ask("look", folder=str(stored.folder), name=stored.name, options=options)
        return JSONResponse(found)

    async def start(self, request: Request) -> Response:
        """A new run on a table."""
        body = await _json(request)
        stored = self._table(str(body.get("table")))
        kind = body.get("kind", "search")
        if kind not in ("search", "train", "open"):
            raise OptionError("a run is a search, the training of a network, or a model that is opened")
        options = settings.checked(body.get("options", {}))
        model = self._table(str(body.get("model"))) if kind == "open" else None
        if model is not None and not model.is_model:
            raise OptionError("a model is a file that superpose fit or the studio wrote, such as model.safetensors")
        if kind != "open" and not options.get("target"):
            raise OptionError("choose the target, the column to be learnt")
        run = self.runs.start(kind, stored, options, model)
        return JSONResponse({"id": run.key})

    async def control(self, request: Request) -> Response:
        """Pause, resume, stop, close or open again a run."""
        run = self.runs.get(request.path_params["key"])
        body = await _json(request)
        action = body.get("action")
        if action == "extend":
            self.runs.extend(run, body.get("seconds"))
        elif action == "change":
            await self.runs.change(run, _changed(body.get("options")))
        elif action == "close":
            self.runs.close(run)
        elif action == "reopen":
            self.runs.reopen(run)
        else:
            self.runs.control(run, str(action))
        return JSONResponse({"status": run.status})

    async def network(self, request: Request) -> Response:
        """A request of the network view."""
        run = self.runs.get(request.path_params["key"])
        return JSONResponse(await self.runs.step(run, await _json(request)))

    async def residuals(self, request: Request) -> Response:
        """Measured and predicted values of rows that were held out."""
        run = self.runs.get(request.path_params["key"])
        return JSONResponse(await self.runs.ask(run, "residuals"))

    async def take(self, request: Request) -> Response:
        """A file of the run, made when it is asked for."""
        run, name = self.runs.get(request.path_params["key"]), request.path_params["name"]
        if name not in FILES:
            raise HTTPException(404)
        await self.runs.ask(run, "take", file=name)
        stem = run.table.name.rpartition(".")[0] or run.table.name
        shown = name if name == "start.safetensors" else f"{stem}_{name}"
        headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(shown, safe='')}"}
        return Response((run.folder / name).read_bytes(), media_type=FILES[name], headers=headers)

    def _table(self, key: str) -> StoredFile:
        if key not in self.folder.files:
            raise OptionError("there is no such table; drop it on the page again")
        return self.folder.files[key]


def _changed(given: Any) -> Json:
    """Settings that are changed while a run is held; None where one is left out again."""
    if not isinstance(given, dict) or not given or not set(given) <= set(CHANGEABLE):
        raise OptionError(f"of a run that is paused these can be changed: {', '.join(CHANGEABLE)}")
    return dict.fromkeys(given) | settings.checked(given)


async def _json(request: Request) -> Json:
    """The body of a request.

    Raises:
        DataError: if it is no object of JSON.
    """
    if not re.match(r"application/json\b", request.headers.get("content-type", "")):
        raise DataError("the studio takes JSON here")
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError):
        raise DataError("the studio takes JSON here, and this is none") from None
    if not isinstance(body, dict):
        raise DataError("the studio takes an object of JSON here")
    return body


async def _mistake(request: Request, error: SuperposeError) -> Response:
    """A mistake: of the person, in the sentence of the command line, which is an answer; or of the request."""
    if isinstance(error, EngineError):
        return JSONResponse({"mistake": {"sentence": str(error), "place": error.place}})
    return JSONResponse({"error": str(error)}, status_code=422)


async def _http(request: Request, error: HTTPException) -> Response:
    sentences = {404: "there is no such page in the studio", 405: "the studio does not know this method here"}
    return JSONResponse({"error": sentences.get(error.status_code, "the request is wrong")}, error.status_code)


async def _fault(request: Request, error: Exception) -> Response:
    if isinstance(error, Refused):
        raise error
    if isinstance(error, ClientDisconnect):
        return Response(status_code=400)
    sentence = f"superpose itself failed ({type(error).__name__}), which is no fault of yours"
    return JSONResponse({"error": sentence}, status_code=500)
