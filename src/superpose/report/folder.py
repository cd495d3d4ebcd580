"""What ``superpose fit`` leaves behind. A file that cannot be made costs no other, unless it is that of the model."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from superpose import plot
from superpose.deadline import Deadline
from superpose.errors import FileError
from superpose.files import save
from superpose.files.json_numbers import json_ready
from superpose.messages import quoted
from superpose.report.front_table import front_rows, trade_off_figure
from superpose.report.page import page
from superpose.report.pictures import drawn, pictured
from superpose.tasks.classification.python_code import python_module
from superpose.tasks.result import TaskResult, warnings_of

__all__ = ["FILES", "write"]

MODEL, LOG = "model.safetensors", "errors.log"
FILES = (
    MODEL,
    "network.safetensors",
    "formula.txt",
    "formula.tex",
    "formula.py",
    "metrics.json",
    "history.csv",
    "front.svg",
    "network.svg",
    "network.png",
    "report.html",
)
_KEPT = "all other files are there"


def write(
    result: TaskResult,
    folder: str | os.PathLike[str],
    *,
    settings: Mapping[str, Any] | None = None,
    deadline: Deadline | None = None,
) -> dict[str, Path]:
    """Write all files of a run into a folder, which is made if need be.

    They are written elsewhere first and moved in at the end, so that an interruption, or a model that cannot be
    written, leaves the folder as it was. Any other file that cannot be made or written is left out, which is said by a
    sentence in ``result.failures``, in ``metrics.json`` and on the page, with the traceback in ``errors.log``. Files of
    an earlier run are replaced; a formula of an earlier run does not stay beside a model that has none.

    Args:
        result: what :func:`superpose.discover` or :func:`superpose.classify` gave.
        folder: where.
        settings: the options of the run, to be listed in the report.
        deadline: when no further close-up of an edge, and few charts of columns, are drawn; all else is written
            whatever the time.

    Returns:
        The path of each file by its name.

    Raises:
        FileError: if the folder or the model cannot be written.
    """
    folder = Path(folder)
    with _staging(folder) as staging:
        _write_all(result, staging, settings or {}, deadline or Deadline())
        names = [name for name in (*FILES, LOG) if (staging / name).exists()]
        if not folder.is_dir():
            os.rename(staging, folder)
        else:
            os.replace(staging / MODEL, folder / MODEL)
            for name in names[1:]:
                with result.failures.part(f"{name} could not be written", _KEPT):
                    os.replace(staging / name, folder / name)
            for name in {*FILES, LOG} - set(names):
                with result.failures.part(f"{name} of an earlier run could not be removed"):
                    (folder / name).unlink(missing_ok=True)
    return {name: folder / name for name in names if (folder / name).exists()}


@contextlib.contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """A fresh folder on the same disk, gone at the end."""
    label = quoted(os.fspath(folder), 120)
    if folder.exists() and not folder.is_dir():
        raise FileError(f"{label} is a file, and a run needs a folder; choose another name")
    staging = (folder if folder.is_dir() else folder.parent) / f".{secrets.token_hex(8)}.tmp"
    try:
        staging.parent.mkdir(parents=True, exist_ok=True)
        staging.mkdir()
        yield staging
    except FileError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise FileError(
            f"the files of the run cannot be written to {label}: {reason}; choose another place, or make room for them"
        ) from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _write_all(result: TaskResult, folder: Path, settings: Mapping[str, Any], deadline: Deadline) -> None:
    failures = result.failures

    def write(name: str, content: Callable[[], str | bytes]) -> None:
        with failures.part(f"{name} could not be written", _KEPT):
            made = content()
            _write_whole(folder / name, made.encode() if isinstance(made, str) else made)

    model = result.model
    if model is not result.network:
        with failures.part("network.safetensors could not be written", _KEPT):
            save(result.network, folder / "network.safetensors")
        instead = f"{MODEL} holds the spline network in its place"
        with failures.part("the symbolic network could not be written", instead):
            save(model, folder / MODEL)
    if not (folder / MODEL).exists():
        save(result.network, folder / MODEL)
        (folder / "network.safetensors").unlink(missing_ok=True)
    formula = result.formula
    if formula is not None:
        write("formula.txt", lambda: f"{formula}\n")
        write("formula.tex", lambda: f"{formula.latex()}\n")
        write("formula.py", lambda: python_module(formula, result.network.head))
    write("history.csv", result.history.csv)
    trade_off = diagram = None
    with failures.part("front.svg could not be drawn", _KEPT):
        if front_rows(result):
            trade_off = drawn(result, lambda: trade_off_figure(result), "Errors of the formulas by their size")
            write("front.svg", functools.partial(trade_off.files.__getitem__, "svg"))
    with failures.part("the network could not be drawn", _KEPT):
        shown = pictured(result)
        diagram = drawn(result, lambda: plot.network(shown, result.data), "The network", ("svg", "png"))
        for kind in diagram.files:
            write(f"network.{kind}", functools.partial(diagram.files.__getitem__, kind))

    def metrics() -> str:
        result.metrics["warnings"] = warnings_of(result)
        return f"{json.dumps(json_ready(result.metrics), indent=2, ensure_ascii=False, allow_nan=False)}\n"

    write("metrics.json", metrics)
    write("report.html", lambda: page(result, diagram, trade_off, settings, deadline))
    if result.metrics["warnings"] != warnings_of(result):
        # What failed on the page.
        write("metrics.json", metrics)
    if failures.tracebacks:
        write(LOG, lambda: "\n\n".join(failures.tracebacks))


def _write_whole(path: Path, data: bytes) -> None:
    """Write a file that nobody else reads yet; half of one does not stay."""
    try:
        path.write_bytes(data)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
