"""The results of a benchmark in a folder: kept as they come, resumed, and written out."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.harness import machine
from benchmarks.harness.settings import Settings
from superpose.atomic_write import write_atomically
from superpose.cli.parsing import quoted
from superpose.errors import FileError, OptionError
from superpose.files.json_numbers import json_ready

Row = dict[str, Any]

_FILE = "results.json"
# 2: the methods of a row stand under "method".
_SCHEMA = 2
# What two runs must have in common for their figures to stand in one table.
_SAME_SETTINGS = ("time_limit", "points", "test_points")
_SAME_MACHINE = ("processor", "architecture", "threads")


class Store:
    """Results in sections, each a list of rows, with what they were measured on.

    The file ``results.json`` is written after each row, so that nothing is lost when a run ends early.

    Args:
        folder: made with the first row.
        benchmark: its name.
        settings: those of this run.
        order: names of all problems and methods, in which rows are listed however they came.
    """

    def __init__(self, folder: Path, benchmark: str, settings: Settings, *, order: Sequence[str]) -> None:
        self.folder = folder
        self.benchmark = benchmark
        self.interrupted = False
        self.problems: dict[str, Any] = {}
        self._order = {name: place for place, name in enumerate(order)}
        self._sections: dict[str, list[Row]] = {}
        self._began = machine.now()
        self._settings = {name: getattr(settings, name) for name in _SAME_SETTINGS}
        self._machine = machine.machine() | {"threads": torch.get_num_threads(), "load_before": machine.load()}
        self._versions = machine.versions()

    @property
    def path(self) -> Path:
        """Of ``results.json``."""
        return self.folder / _FILE

    # -- rows

    def rows(self, section: str = "results") -> list[Row]:
        """The rows of a section, by problem, then seed, then method."""
        return sorted(self._sections.get(section, []), key=self._place)

    def found(self, section: str = "results", **key: Any) -> Row | None:
        """The row with these values, or None if it has not been measured."""
        for row in self._sections.get(section, []):
            if all(row.get(name) == value for name, value in key.items()):
                return row
        return None

    def add(self, row: Row, section: str = "results") -> None:
        """Keep a row, on the disk too.

        Raises:
            FileError: if it cannot be written.
        """
        self._sections.setdefault(section, []).append(json_ready(row))
        self.save()

    def _place(self, row: Row) -> tuple[Any, ...]:
        last = len(self._order)
        problem, method = (self._order.get(row.get(name, ""), last) for name in ("problem", "method"))
        return problem, row.get("degree", 0), row.get("noise", 0.0), row.get("seed", 0), method

    # -- the folder

    def document(self) -> dict[str, Any]:
        """Everything, as it stands in ``results.json``."""
        sections = {name: self.rows(name) for name in self._sections}
        document = {
            "schema": _SCHEMA,
            "benchmark": self.benchmark,
            "began": self._began,
            "machine": self._machine,
            "versions": self._versions,
            "settings": self._settings,
            "interrupted": self.interrupted,
            "problems": dict(sorted(self.problems.items(), key=lambda item: self._order.get(item[0], 0))),
        } | sections
        clean: dict[str, Any] = json_ready(document)
        return clean

    def save(self) -> None:
        """Write ``results.json``."""
        self.write({_FILE: (json.dumps(self.document(), indent=1, allow_nan=False) + "\n").encode()})

    def write(self, files: Mapping[str, bytes]) -> None:
        """Write files into the folder, which is made if it is not there; each appears whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            write_atomically(self.folder / name, data)

    def resume(self) -> None:
        """Go on from the results that the folder holds, if it holds any.

        Raises:
            FileError: if they cannot be read.
            OptionError: if they are another benchmark's, or were measured otherwise.
        """
        path = self.path
        if not path.exists():
            return
        earlier = _read(path)
        for what, mine, theirs in (
            ("of the benchmark", self.benchmark, earlier["benchmark"]),
            *(
                (f"with {_option(name)}", self._settings[name], earlier["settings"].get(name))
                for name in _SAME_SETTINGS
            ),
            *((f"on another {name}:", self._machine.get(name), earlier["machine"].get(name)) for name in _SAME_MACHINE),
            *(
                (f"with another version of {name}:", version, earlier["versions"][name])
                for name, version in self._versions.items()
                if name in earlier["versions"]
            ),
        ):
            if mine != theirs:
                raise OptionError(
                    f"--resume: {quoted(str(path))} holds results {what} {theirs}, not {mine}; "
                    "leave out --resume to start anew, or name another --out"
                )
        self._began, self._machine = earlier["began"], earlier["machine"]
        self._versions |= earlier["versions"]
        self.problems = earlier["problems"]
        self._sections = {
            name: rows for name, rows in earlier.items() if isinstance(rows, list) and name not in self._settings
        }


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _read(path: Path) -> dict[str, Any]:
    label = quoted(str(path))
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileError(f"--resume: {label} cannot be read: {error.strerror}") from None
    except ValueError:
        raise FileError(f"--resume: {label} is damaged; leave out --resume to start anew") from None
    kinds = {"benchmark": str, "began": str, "machine": dict, "versions": dict, "settings": dict, "problems": dict}
    whole = isinstance(document, dict) and all(isinstance(document.get(name), kind) for name, kind in kinds.items())
    rows_whole = whole and all(
        isinstance(row, dict) for section in document.values() if isinstance(section, list) for row in section
    )
    if not rows_whole or document.get("schema") != _SCHEMA:
        raise FileError(f"--resume: {label} holds no results of this version; leave out --resume to start anew")
    return document


def as_csv(rows: Iterable[Row]) -> bytes:
    """Rows as a table; a list in a cell is written as JSON, what is missing as nothing."""
    rows = list(rows)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        cells = (row.get(name) for name in columns)
        writer.writerow([json.dumps(cell) if isinstance(cell, list | tuple) else cell for cell in cells])
    return text.getvalue().encode()
