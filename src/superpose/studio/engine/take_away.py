"""The files that a person takes away: the model, its report, its formula as code, predictions, and the script."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from superpose import report
from superpose.atomic_write import write_atomically
from superpose.data.reading.options import FileOptions
from superpose.deadline import Deadline
from superpose.errors import OptionError
from superpose.files import to_bytes
from superpose.nn.predicted_table import predicted_table
from superpose.studio.engine import tables
from superpose.studio.engine.by_hand import in_hand
from superpose.studio.script import START_FILE

Json = dict[str, Any]

# Seconds for the pictures of the page; a round number.
_PICTURES = 10.0
_LEVEL = 0.9


def taken(worker: Any, request: Json) -> Json:
    """Write one of the files into the run's folder.

    Raises:
        OptionError: if the run has none of that name.
    """
    name = request["file"]
    content = _MAKERS[name](worker, request)
    if content is None:
        raise OptionError("this network needs no such file")
    write_atomically(worker.folder / name, content if isinstance(content, bytes) else content.encode())
    return {}


def _model(worker: Any, request: Json) -> bytes:
    return to_bytes(in_hand(worker).model)


def _formula(worker: Any, request: Json) -> str:
    return in_hand(worker).code("python")


def _predictions(worker: Any, request: Json) -> bytes:
    model = in_hand(worker).model
    level = (
        _LEVEL if model.head is None and model.uncertainty is not None and model.uncertainty.describes(model) else None
    )
    table = tables.read(request, worker.memory)
    return predicted_table(model, table, level=level, probabilities=model.head is not None).to_bytes("predictions.csv")


def _script(worker: Any, request: Json) -> str:
    options = request["options"]
    given = tables.row_options(options) | {
        name: options[name] for name in FileOptions.__annotations__ if name in options
    }
    if options.get("features") is not None:
        given["features"] = options["features"]
    return in_hand(worker).script(request["name"], options["target"], **given)


def _start(worker: Any, request: Json) -> bytes | None:
    return in_hand(worker).start_file()


def _report(worker: Any, request: Json) -> bytes:
    """The report of the search as long as its network is the one that is shown, else of the network in hand."""
    session = in_hand(worker)
    folder: Path = worker.folder / "report"
    settings = {name: value for name, value in request["options"].items() if name != "target"}
    result = worker.memory.get("result")
    if result is None or session.tree.current != 0:
        result = session.result()
        settings |= {f"step {n}": one.text for n, one in enumerate(session.tree.path()) if n}
    report.write(result, folder, settings=settings, deadline=Deadline(_PICTURES, worker.clock))
    return (folder / "report.html").read_bytes()


# By the names of the files, which the server knows too: no other name reaches the disk.
_MAKERS: dict[str, Callable[[Any, Json], bytes | str | None]] = {
    "model.safetensors": _model,
    START_FILE: _start,
    "formula.py": _formula,
    "predictions.csv": _predictions,
    "script.py": _script,
    "report.html": _report,
}
