"""Results of a benchmark in a folder: written after each table, and read when a run goes on."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.harness import machine
from superpose.atomic_write import write_atomically
from superpose.errors import OptionError
from superpose.files.json_numbers import json_ready


@dataclass
class Results:
    """The rows of ``results.json``.

    Attributes:
        path: of the file.
        settings: with which all rows were measured.
        rows: one or more for each table.
    """

    path: Path
    settings: dict[str, Any]
    rows: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, folder: Path, settings: dict[str, Any], *, resume: bool) -> Results:
        """The results in a folder; none, or with ``resume`` those that it holds.

        Raises:
            OptionError: if the folder holds rows that were measured with other settings.
        """
        folder.mkdir(parents=True, exist_ok=True)
        made = cls(folder / "results.json", settings)
        if resume and made.path.exists():
            earlier = json.loads(made.path.read_text(encoding="utf-8"))
            if earlier["settings"] != settings:
                raise OptionError(
                    f"--resume: {made.path} was measured with {earlier['settings']}; choose another folder"
                )
            made.rows = earlier["rows"]
        return made

    def add(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Append rows and write the file; returns the rows as JSON holds them."""
        ready: list[dict[str, Any]] = [json_ready(row) for row in rows]
        self.rows += ready
        document = {"settings": self.settings, "machine": machine.machine(), "versions": machine.versions()}
        write_atomically(self.path, (json.dumps(document | {"rows": self.rows}, indent=1) + "\n").encode())
        return ready
