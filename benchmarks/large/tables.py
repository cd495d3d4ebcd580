"""The tables: a formula of few of the columns plus noise, from a fixed seed, written as a file."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy

Array = numpy.ndarray


@dataclass(frozen=True)
class LargeTable:
    """A table of columns ``c0, c1, ...`` and a target ``y``.

    Attributes:
        name: what is typed.
        summary: a few words.
        rows, columns: of the features.
        function: the values that are learnt from columns ``[N, n]``, without noise.
        noise: standard deviation that is added to the values of a number.
        low, high: the columns are uniform between these.
        dtype: of the features in the file.
        kind: of the file, ``"csv"`` or ``"parquet"``.
        classes: whether the target is a class: one of two, by the sign of the values after the noise.
    """

    name: str
    summary: str
    rows: int
    columns: int
    function: Callable[[Array], Array]
    noise: float
    low: float = -1.0
    high: float = 1.0
    dtype: str = "float64"
    kind: str = "csv"
    classes: bool = False

    @property
    def megabytes(self) -> float:
        """What features and target take as numbers of the file's types."""
        return self.rows * (self.columns * numpy.dtype(self.dtype).itemsize + 8) / 1e6

    def written(self, folder: Path) -> Path:
        """The file in the folder, made if it is not there."""
        path = folder / f"{self.name}.{self.kind}"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            self._write(path)
        return path

    def _write(self, path: Path) -> None:
        import pyarrow
        import pyarrow.csv
        import pyarrow.parquet

        generator = numpy.random.default_rng(0)
        x = generator.uniform(self.low, self.high, (self.columns, self.rows)).astype(self.dtype)
        values = self.function(x.T.astype(numpy.float64)) + self.noise * generator.standard_normal(self.rows)
        columns = {f"c{number}": column for number, column in enumerate(x)}
        target = numpy.where(values > 0, "above", "below") if self.classes else values
        table = pyarrow.table(columns | {"y": target})
        part = path.with_suffix(".part")
        if self.kind == "csv":
            pyarrow.csv.write_csv(table, part)
        else:
            pyarrow.parquet.write_table(table, part)
        part.rename(path)


def five_of_ten(c: Array) -> Array:
    """Two waves that decay, and a quotient."""
    values: Array = c[:, 0] * numpy.exp(-c[:, 1]) * numpy.sin(c[:, 2]) + c[:, 3] / c[:, 4]
    return values


def boundary(c: Array) -> Array:
    """A disc of two columns whose radius follows three others."""
    values: Array = c[:, 0] ** 2 + c[:, 1] ** 2 - 0.6 - 0.2 * numpy.sin(math.pi * c[:, 2]) - 0.2 * c[:, 3] * c[:, 4]
    return values


def three_of_many(c: Array) -> Array:
    """A wave of one column and a product of two others, which no column shows alone."""
    values: Array = numpy.sin(math.pi * c[:, 7]) + 2 * c[:, 42] * c[:, 137]
    return values


def twelve_of_many(c: Array) -> Array:
    """A sum of curves, a product and a quotient of twelve columns."""
    curves = numpy.sin(2 * c[:, 3]) + c[:, 50] ** 2 + numpy.exp(c[:, 99]) + 0.5 * numpy.abs(c[:, 120])
    products = c[:, 150] * c[:, 200] + c[:, 210] / (2 + c[:, 250])
    weak = 0.2 * c[:, 300] + 0.2 * c[:, 310] ** 3 + 0.2 * numpy.cos(3 * c[:, 380]) + 0.1 * c[:, 405]
    values: Array = curves + products + weak
    return values


TABLES = {
    table.name: table
    for table in (
        LargeTable("rows", "1,000,000 rows, 5 of 10 columns matter", 1_000_000, 10, five_of_ten, 0.01, 0.5, 3.0),
        LargeTable("columns", "300 columns, 3 matter, 2,000 rows", 2_000, 300, three_of_many, 0.1),
        LargeTable("some", "200 columns, 3 matter, 1,000 rows", 1_000, 200, three_of_many, 0.1),
        LargeTable(
            *("both", "190,000 rows of 406 columns, 12 matter", 190_000, 406, twelve_of_many, 0.1),
            dtype="float32",
            kind="parquet",
        ),
        LargeTable(
            *("row-classes", "two classes, 200,000 rows, 5 of 10 columns matter", 200_000, 10, boundary, 0.1),
            classes=True,
        ),
        LargeTable(
            *("column-classes", "two classes, 300 columns, 3 matter, 2,000 rows", 2_000, 300, three_of_many, 0.1),
            classes=True,
        ),
    )
}
