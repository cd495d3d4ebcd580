"""The columns of a table that can be part of a relation: those of numbers that vary."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import torch
from torch import Tensor

from superpose.data import Dataset
from superpose.data.arrays import chosen_names, column_names, feature_matrix, is_frame
from superpose.data.reading import read_table
from superpose.data.sampling import at_random
from superpose.data.scaling import is_constant
from superpose.data.tables import Table, table_from_frame
from superpose.errors import DataError
from superpose.messages import counted, listed, quoted

# Of fewer rows too few are held out: chance looks like a relation. A round number.
MIN_ROWS = 30


@dataclass(frozen=True, eq=False)
class Columns:
    """Columns of numbers that vary.

    Attributes:
        names: of the columns.
        values: ``[N, n]``, float64, in the table's units.
        left_out: columns that hold text or a single value.
        source: the origin of the table, for messages.
    """

    names: tuple[str, ...]
    values: Tensor
    left_out: tuple[str, ...]
    source: str

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.values.shape[0]

    def __len__(self) -> int:
        return len(self.names)

    def named(self, columns: Sequence[int]) -> tuple[str, ...]:
        """Names of columns by number."""
        return tuple(self.names[j] for j in columns)

    def dataset(self, target: int, features: Sequence[int], rows: Tensor, seed: int) -> Dataset:
        """A data set with one column as the target, and 60% of the rows for training, 20% for each other part."""
        return Dataset.from_arrays(
            self.values[rows][:, list(features)],
            self.values[rows][:, [target]],
            feature_names=self.named(features),
            target_names=[self.names[target]],
            validation=0.2,
            test=0.2,
            seed=seed,
            source=self.source,
        )

    def sample(self, most: int, seed: int) -> Tensor:
        """At most so many row numbers, drawn with this seed, in ascending order."""
        return at_random(self.n_rows, most, seed)

    def others(self, rows: Tensor, most: int) -> Tensor:
        """At most ``most`` rows ``[M, n]`` of the table that are not among ``rows``."""
        left = torch.ones(self.n_rows, dtype=torch.bool)
        left[rows] = False
        return self.values[torch.nonzero(left)[:most, 0]]


def read_columns(table: Any, chosen: Sequence[str] | None) -> Columns:
    """The columns of a path, a data frame, a data set, or an array ``[N, n]``.

    Raises:
        FileError: if a file cannot be read.
        DataError: if a cell is missing or no finite number, or fewer than two columns or too few rows are left.
    """
    named = _table(table)
    if chosen is not None:
        chosen = chosen_names(chosen, "columns")
        for name in chosen:
            named.require(name, "a relation")
    kept: dict[str, Any] = {}
    left_out = []
    for name in named.names if chosen is None else chosen:
        if chosen is None and named.is_label(name):
            left_out.append(name)
            continue
        numbers = named.numbers(name)
        if is_constant(numbers):
            left_out.append(name)
        else:
            kept[name] = numbers
    if len(kept) < 2:
        reason = f"{listed(left_out)} hold no numbers that vary" if left_out else "the table has no others"
        raise DataError(
            f"{named.label} has {counted(len(kept), 'column')} of numbers that vary, and a relation needs two; {reason}"
        )
    if named.n_rows < MIN_ROWS:
        raise DataError(
            f"{named.label} has {counted(named.n_rows, 'row')}; at least {MIN_ROWS} are needed to tell relations "
            "from chance"
        )
    values = torch.from_numpy(
        numpy.column_stack([column.astype(numpy.float64, copy=False) for column in kept.values()])
    )
    return Columns(tuple(kept), values, tuple(left_out), named.label)


def _table(table: Any) -> Table:
    if isinstance(table, Dataset):
        columns = tuple(table.rows("all")[0].numpy().T) + tuple(table.y.numpy().T)
        return Table(quoted(table.source or "the data"), table.feature_names + table.target_names, columns)
    if isinstance(table, Table):
        return table
    if isinstance(table, str | os.PathLike):
        return read_table(table)
    if is_frame(table):
        return table_from_frame(table, "the data frame")
    array = feature_matrix(table, "the array")
    names = column_names(None, table, array.shape[1], "x")
    return Table("the array", names, tuple(array.T))
