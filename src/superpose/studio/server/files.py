"""The private folder of a server: tables as they were dropped, and a folder for each run; gone when the server ends."""

from __future__ import annotations

import re
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from superpose.errors import FileError

# Round numbers: what a person compares side by side, and a part of any disk.
MOST_TABLES, MOST_BYTES = 100, 2**30
_LONGEST_NAME = 100


@dataclass(frozen=True)
class StoredFile:
    """A table or a model that was dropped or named.

    Attributes:
        key: by which the browser knows it; no part of any path.
        folder, name: where it lies, and its name there.
    """

    key: str
    folder: Path
    name: str

    @property
    def is_model(self) -> bool:
        """Whether it is a model file."""
        return self.name.endswith(".safetensors")


@dataclass(eq=False)
class PrivateFolder:
    """The folder, and what was put there."""

    path: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="superpose-studio-")))
    files: dict[str, StoredFile] = field(default_factory=dict)
    size: int = 0

    def close(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.path, ignore_errors=True)

    def linked(self, path: Path) -> StoredFile:
        """A file that the person named on the command line, where it is."""
        return self._keep(StoredFile(secrets.token_hex(8), path.resolve().parent, path.name))

    async def stored(self, name: str, content: AsyncIterator[bytes]) -> StoredFile:
        """A file that was dropped on the page.

        Raises:
            FileError: if there are too many, or they are too large.
        """
        if len(self.files) >= MOST_TABLES:
            raise FileError(f"the studio holds {MOST_TABLES} tables already; start it anew for more")
        key = secrets.token_hex(8)
        folder = self.path / f"table-{key}"
        folder.mkdir(mode=0o700)
        stored = StoredFile(key, folder, safe_name(name))
        try:
            with open(folder / stored.name, "xb") as file:
                async for part in content:
                    self.size += len(part)
                    if self.size > MOST_BYTES:
                        raise FileError("the studio holds 1 GB of tables already; start it anew for more")
                    file.write(part)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return self._keep(stored)

    def run_folder(self) -> Path:
        """A new folder for the files of a run."""
        folder = self.path / f"run-{secrets.token_hex(8)}"
        folder.mkdir(mode=0o700)
        return folder

    def _keep(self, file: StoredFile) -> StoredFile:
        self.files[file.key] = file
        return file


def safe_name(name: str) -> str:
    """The name of a dropped file as that of a file in a folder of its own; only letters, digits and a few signs stay.

    >>> safe_name("../../etc/passwd"), safe_name("-"), safe_name("Größe 1.csv"), safe_name("<b>.csv")
    ('passwd', 'table', 'Größe 1.csv', '_b_.csv')
    """
    last = re.split(r"[/\\]", name)[-1]
    plain = re.sub(r"[^\w .()+-]", "_", last).strip(" .-")
    return plain[-_LONGEST_NAME:].strip(" .-") or "table"
