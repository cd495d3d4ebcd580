"""What the tests of the benchmarks on functions share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.harness.settings import Settings

SMALL = Settings(time_limit=2.0, points=60, test_points=40, only=("I.6.2", "I.16.6"), seeds=(0, 1))
FILES = {"results.json", "results.csv", "results.md", "results.svg"}


def written(folder: Path) -> dict[str, Any]:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} in JSON")

    document: dict[str, Any] = json.loads((folder / "results.json").read_text(), parse_constant=refuse)
    return document
