"""The tables: where each comes from, and the form that a scientist would write."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from superpose.data import Dataset, read_csv

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class ClassicTable:
    """A table.

    Attributes:
        name: of the file in ``data/``.
        target: the column that the others explain.
        form: what a scientist would write, as for :func:`superpose.fit_formula`.
        relative: whether errors are relative to the target: those of its logarithm count.
        what: the columns in words.
        source: where the numbers were published.
        licence: of the numbers.
    """

    name: str
    target: str
    form: str
    relative: bool
    what: str
    source: str
    licence: str

    def read(self) -> Dataset:
        """All rows; none are held out."""
        return read_csv(_FOLDER / "data" / f"{self.name}.csv", target=self.target, test=0.0)


def tables() -> dict[str, ClassicTable]:
    """All tables by name."""
    with open(_FOLDER / "tables.csv", encoding="utf-8", newline="") as file:
        rows = [row | {"relative": row.pop("errors") == "relative"} for row in csv.DictReader(file)]
    return {row["name"]: ClassicTable(**row) for row in rows}
