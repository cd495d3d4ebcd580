"""The folder of a checkpoint: ``run.json`` says which run it belongs to, each finished stage is a file of its own.

A stage is one safetensors file, ``0000.safetensors`` and so on: its tensors, and in the header a JSON text with its
name and the seconds that the run had taken. Each appears whole or not at all, and holds a checksum. Reading ends at the
first file that is missing or damaged: what was found later may depend on it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from superpose.atomic_write import write_atomically
from superpose.errors import OptionError
from superpose.messages import quoted

_SCHEMA = 1
_RUN = "run.json"
# Keys of a file's metadata.
_TEXT, _CHECKSUM = "stage", "checksum"
# Numbers that are copied at once for a checksum. A round number.
_ELEMENTS = 1 << 20


@dataclass(frozen=True)
class Stage:
    """A finished stage.

    Attributes:
        name: unique within the run.
        seconds: that the run had taken when it was finished.
        values: JSON.
        tensors: by the names that ``values`` has for them.
    """

    name: str
    seconds: float
    values: Any
    tensors: Mapping[str, Tensor]


class Checkpoint:
    """The finished stages of a run in a folder, from which the run goes on if it is killed.

    Nothing is written before the first stage is finished; a checkpoint of another run is replaced then. Pass it to
    :func:`superpose.discover` or :func:`superpose.classify`, and call :meth:`remove` when what was found is saved.

    Args:
        folder: is made when it is needed.
        resume: whether to read the stages that are there; otherwise the run begins anew.
        kept: beginnings of names: where the run goes on with other options, the stages that do not depend on these. All
            others are forgotten. None where the options have to be the same.

    Attributes:
        resumed: whether stages are there that the run goes on from.

    >>> checkpoint = Checkpoint("no-such-folder/checkpoint", resume=True)
    >>> checkpoint.begin({"seed": 0})
    >>> checkpoint.resumed
    False
    """

    def __init__(
        self, folder: str | os.PathLike[str], *, resume: bool = False, kept: tuple[str, ...] | None = None
    ) -> None:
        self.folder, self._resume, self._kept = Path(folder), resume, kept
        self._run: Mapping[str, Any] = {}
        self._id = secrets.token_hex(8)
        self._stages: dict[str, Stage] = {}
        self._count = 0
        self.resumed = False

    def begin(self, run: Mapping[str, Any]) -> None:
        """Say what the run depends on, such as its options and a checksum of its table; read the stages of before.

        Raises:
            OptionError: if the stages that are there belong to another run.
        """
        # As it will be read.
        self._run = json.loads(json.dumps({"schema": _SCHEMA, **run}))
        if not self._resume:
            return
        found = self._described()
        if found is None:
            return
        self._check(found["run"] if self._kept is None else {**found["run"], "options": self._run.get("options")})
        self._id = found["id"]
        while (stage := self._read(self._count)) is not None and stage.name not in self._stages:
            self._stages[stage.name] = stage
            self._count += 1
        if self._kept is not None:
            self._forget(self._kept)
        self._trim()
        self.resumed = self._count > 0

    def _forget(self, kept: tuple[str, ...]) -> None:
        """Write the stages that are kept as those of the run with its options of now."""
        stages = [stage for stage in self._stages.values() if stage.name.startswith(kept)]
        self._id, self._stages, self._count = secrets.token_hex(8), {}, 0
        for stage in stages:
            self.write(stage)

    @property
    def empty(self) -> bool:
        """Whether no stage is finished."""
        return self._count == 0

    def get(self, name: str) -> Stage | None:
        """A finished stage; None if it has to be computed."""
        return self._stages.get(name)

    def drop(self, name: str) -> None:
        """Forget a stage that turned out to be damaged, and all that were finished after it."""
        names = list(self._stages)
        self._count = names.index(name)
        for later in names[self._count :]:
            del self._stages[later]
        self._trim()

    def write(self, stage: Stage) -> None:
        """Add a finished stage.

        Raises:
            FileError, OSError: if it cannot be written.
        """
        from safetensors.torch import save

        if self._count == 0:
            # Of an earlier run.
            self._trim()
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self.folder / _RUN, json.dumps({"id": self._id, "run": self._run}, indent=2).encode())
        text = json.dumps({"run": self._id, "name": stage.name, "seconds": stage.seconds, "values": stage.values})
        checksum = _checksum(text, stage.tensors)
        write_atomically(self._path(self._count), save(dict(stage.tensors), {_TEXT: text, _CHECKSUM: checksum}))
        self._stages[stage.name] = stage
        self._count += 1

    def remove(self) -> None:
        """Remove the folder, when what the run found is saved elsewhere."""
        self._count = 0
        self._trim()
        with contextlib.suppress(OSError):
            (self.folder / _RUN).unlink()
        # Only if nothing else lies in it.
        with contextlib.suppress(OSError):
            self.folder.rmdir()

    def _trim(self) -> None:
        """Remove the files behind the last stage that counts, so that none of them is taken for a later stage."""
        for path in self.folder.glob("[0-9]" * 4 + ".safetensors"):
            if int(path.stem) >= self._count:
                with contextlib.suppress(OSError):
                    path.unlink()

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:04d}.safetensors"

    def _described(self) -> dict[str, Any] | None:
        """The content of ``run.json``; None if there is none, or a damaged one."""
        with contextlib.suppress(OSError, ValueError, RecursionError):
            found = json.loads((self.folder / _RUN).read_bytes())
            if isinstance(found, dict) and isinstance(found.get("run"), dict) and isinstance(found.get("id"), str):
                return found
        return None

    def _check(self, found: Mapping[str, Any]) -> None:
        place = quoted(os.fspath(self.folder), 120)
        for name in dict.fromkeys((*self._run, *found)):
            old, new = found.get(name), self._run.get(name)
            if old == new:
                continue
            if isinstance(old, dict) and isinstance(new, dict):
                name = next(one for one in dict.fromkeys((*new, *old)) if old.get(one) != new.get(one))
                old, new = old.get(name), new.get(name)
            difference = f"with {name.replace('_', ' ')} {_shown(old)} and not {_shown(new)}"
            if name == "table":
                difference = "on a table with other contents"
            raise OptionError(
                f"the run in {place} was begun {difference}, so it cannot go on; give what it was begun with, or begin "
                "anew without resuming"
            )

    def _read(self, number: int) -> Stage | None:
        """A stage; None if its file is missing or damaged."""
        from safetensors import SafetensorError, safe_open

        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError, SafetensorError):
            with safe_open(self._path(number), framework="pt") as file:
                metadata = file.metadata()
                # Copies: they stay when the file is removed, and lie in memory as if they had been computed.
                tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
            if metadata[_CHECKSUM] != _checksum(metadata[_TEXT], tensors):
                return None
            made = json.loads(metadata[_TEXT])
            if made["run"] == self._id:
                return Stage(str(made["name"]), float(made["seconds"]), made["values"], tensors)
        return None


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value)) or "nothing"
    return "nothing" if value is None else quoted(value)


def _checksum(text: str, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        # Some rows at a time: a copy of a large table would take as much memory as the table.
        width = max(1, tensor.numel() // max(1, len(tensor))) if tensor.dim() else 1
        step = max(1, _ELEMENTS // width)
        for start in range(0, len(tensor) if tensor.dim() else 1, step):
            part = tensor[start : start + step] if tensor.dim() else tensor
            digest.update(part.contiguous().numpy().data)
    return digest.hexdigest()


def fingerprint(value: Any) -> str:
    """A checksum of a table: a dataclass of tensors, texts and numbers. Where it was read from does not count.

    >>> from superpose.data import Dataset
    >>> one, other = (Dataset.from_arrays([[n] for n in range(20)], list(range(20)), source=name) for name in "ab")
    >>> fingerprint(one) == fingerprint(other)
    True
    """
    digest = hashlib.sha256()

    def add(value: Any) -> None:
        fields = getattr(value, "__dataclass_fields__", None)
        if isinstance(value, Tensor):
            digest.update(_checksum("", {"": value}).encode())
        elif fields is not None:
            for name in fields:
                digest.update(f"{name}:".encode())
                add(None if name == "source" else getattr(value, name))
        elif isinstance(value, tuple | list):
            digest.update(f"{len(value)}:".encode())
            for one in value:
                add(one)
        else:
            digest.update(f"{value!r};".encode())

    add(value)
    return digest.hexdigest()
