"""The folder of a sweep: ``sweep.json`` says which fits it has, and each finished fit is a file of its own.

    sweep.json               task, and the tables, options and seeds of the fits with their keys
    fits/KEY.json            one finished fit: its facts, or why it failed
    fits/KEY.safetensors     its model
    results.csv              all of them as one table, written at the end

A key is a checksum of everything that a fit depends on: the version of superpose, the task, the options, the seed and
the content of the table. So a sweep that was changed takes nothing that belongs to another fit. A model is written
before the file that names it; that file holds checksums of both, and what is damaged is made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from superpose.atomic_write import write_atomically
from superpose.checkpoint.folder import fingerprint
from superpose.data import Dataset
from superpose.errors import FileError
from superpose.files.json_numbers import json_ready
from superpose.messages import quoted
from superpose.tasks.classification import ClassificationDataset
from superpose.tasks.sweeps.jobs import Outcome
from superpose.tasks.sweeps.kinds import AnyTable

SCHEMA = 1
SWEEP, FITS, TABLE = "sweep.json", "fits", "results.csv"


def content_of(table: AnyTable) -> str:
    """A checksum of a table: its rows, and how they are divided; not where it was read from."""

    def bare(data: Dataset) -> Dataset:
        # What is said of a table names its file.
        return replace(data, notes=(), raw_columns=())

    if isinstance(table, ClassificationDataset):
        return fingerprint(replace(table, data=bare(table.data)))
    return fingerprint(bare(table))


def key_of(task: str, content: str, options: Mapping[str, Any], seed: int) -> str:
    """The key of a fit.

    >>> key_of("fit", "ab", {"hidden": [3]}, 0) == key_of("fit", "ab", {"hidden": [3]}, 1)
    False
    """
    from superpose import __version__

    made = {"schema": SCHEMA, "superpose": __version__, "task": task, "table": content, "options": options}
    return _digest(json.dumps(made | {"seed": seed}, sort_keys=True).encode())[:32]


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Store:
    """The finished fits of a folder; without a folder nothing is read or written.

    Args:
        folder: is made when the sweep begins.
        keep_models: whether a fit without the file of its model has to be made again.
    """

    def __init__(self, folder: str | os.PathLike[str] | None, keep_models: bool = True) -> None:
        self.folder = None if folder is None else Path(folder)
        self.keep_models = keep_models

    def begin(self, description: Mapping[str, Any]) -> None:
        """Make the folder, and write which fits the sweep has.

        Raises:
            FileError: if nothing can be written there.
        """
        if self.folder is None:
            return
        try:
            (self.folder / FITS).mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:
            text = getattr(error, "strerror", None) or str(error)
            raise FileError(
                f"the folder {quoted(self.folder, 120)} cannot be made: {text}; choose another place"
            ) from None
        self._write(SWEEP, {"schema": SCHEMA, **description})

    def read(self, key: str) -> Outcome | None:
        """A finished fit, or one that failed; None if it is missing or damaged."""
        if self.folder is None or not key:
            return None
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
            made = json.loads((self.folder / FITS / f"{key}.json").read_bytes())
            checksum = made.pop("checksum")
            if checksum != _digest(_text(made)) or made["key"] != key or made["schema"] != SCHEMA:
                return None
            outcome = Outcome(made["rows"], None, made["has_model"], made["failure"], made["seconds"])
            if not self.keep_models or not outcome.has_model:
                return outcome
            content = self.model_file(key).read_bytes()
            if _digest(content) == made["model"]:
                return outcome
        return None

    def write(self, key: str, description: Mapping[str, Any], outcome: Outcome) -> None:
        """Keep a finished fit.

        Raises:
            FileError: if it cannot be written.
        """
        if self.folder is None or not key:
            return
        model = None
        if outcome.model is not None:
            write_atomically(self.model_file(key), outcome.model)
            model = _digest(outcome.model)
        made = {
            "schema": SCHEMA,
            "key": key,
            **description,
            "rows": outcome.rows,
            "failure": outcome.failure,
            "has_model": outcome.has_model,
            "model": model,
            "seconds": outcome.seconds,
        }
        # As it will be read.
        made = json.loads(_text(made))
        self._write(f"{FITS}/{key}.json", made | {"checksum": _digest(_text(made))})

    def model_file(self, key: str) -> Path:
        """Where the model of a fit is."""
        assert self.folder is not None
        return self.folder / FITS / f"{key}.safetensors"

    def described(self) -> dict[str, Any]:
        """The content of ``sweep.json``.

        Raises:
            FileError: if it is missing or damaged.
        """
        assert self.folder is not None
        place = quoted(self.folder, 120)
        try:
            found = json.loads((self.folder / SWEEP).read_bytes())
            if found["schema"] == SCHEMA and isinstance(found["fits"], list):
                described: dict[str, Any] = found
                return described
            reason = f"{SWEEP} there is of another version"
        except OSError as error:
            reason = f"{SWEEP} there cannot be read: {error.strerror or error}"
        except (ValueError, KeyError, TypeError, RecursionError):
            reason = f"{SWEEP} there is damaged"
        raise FileError(f"{place} is no folder of a sweep, since {reason}; name the folder that a sweep was written to")

    def _write(self, name: str, made: Mapping[str, Any]) -> None:
        assert self.folder is not None
        text = json.dumps(json_ready(made), indent=1, allow_nan=False) + "\n"
        write_atomically(self.folder / name, text.encode())


def _text(made: Mapping[str, Any]) -> bytes:
    return json.dumps(json_ready(made), sort_keys=True, allow_nan=False).encode()
