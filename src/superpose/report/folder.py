"""What ``superpose fit`` leaves behind: the files of a run, written all together or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from superpose import plot
from superpose.errors import FileError
from superpose.files import save
from superpose.files.json_numbers import json_ready
from superpose.messages import quoted
from superpose.plot import canvas
from superpose.report.front_table import front_rows, trade_off_figure
from superpose.report.page import page
from superpose.report.pictures import drawn_network
from superpose.tasks.classification.python_code import python_module
from superpose.tasks.result import TaskResult

__all__ = ["FILES", "write"]

FILES = (
    "model.safetensors",
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


def write(
    result: TaskResult, folder: str | os.PathLike[str], *, settings: Mapping[str, Any] | None = None
) -> dict[str, Path]:
    """Write all files of a run into a folder, which is made if need be.

    They are written elsewhere first and moved in at the end, so a failure leaves the folder as it
    was. Files of an earlier run are replaced; a formula of an earlier run does not stay beside a
    model that has none.

    Args:
        result: what :func:`superpose.discover` or :func:`superpose.classify` gave.
        folder: where.
        settings: the options of the run, to be listed in the report.

    Returns:
        The path of each file by its name.

    Raises:
        FileError: if the folder or a file cannot be written.
    """
    folder = Path(folder)
    with _staging(folder) as staging:
        _write_all(result, staging, settings or {})
        names = [name for name in FILES if (staging / name).exists()]
        if folder.is_dir():
            for name in names:
                os.replace(staging / name, folder / name)
            for name in set(FILES) - set(names):
                (folder / name).unlink(missing_ok=True)
        else:
            os.rename(staging, folder)
    return {name: folder / name for name in names}


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


def _write_all(result: TaskResult, folder: Path, settings: Mapping[str, Any]) -> None:
    save(result.model, folder / "model.safetensors")
    if result.model is not result.network:
        save(result.network, folder / "network.safetensors")
    if result.formula is not None:
        _write_text(folder / "formula.txt", f"{result.formula}\n")
        _write_text(folder / "formula.tex", f"{result.formula.latex()}\n")
        _write_text(folder / "formula.py", python_module(result.formula, result.network.head))
    metrics = json.dumps(json_ready(result.metrics), indent=2, ensure_ascii=False, allow_nan=False)
    _write_text(folder / "metrics.json", f"{metrics}\n")
    result.history.to_csv(folder / "history.csv")
    trade_off = None
    if front_rows(result):
        trade_off = canvas.drawn(lambda: trade_off_figure(result), "Errors of the formulas by their size")
        (folder / "front.svg").write_bytes(trade_off.files["svg"])
    diagram = canvas.drawn(lambda: plot.network(drawn_network(result), result.data), "The network", ("svg", "png"))
    for kind, content in diagram.files.items():
        (folder / f"network.{kind}").write_bytes(content)
    _write_text(folder / "report.html", page(result, diagram, trade_off, settings))


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
