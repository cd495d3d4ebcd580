"""The features that a model was trained on, from any table."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from superpose.data.arrays import feature_columns, is_frame
from superpose.data.columns import as_tensor
from superpose.data.dataset import Dataset
from superpose.data.preparation import Preparation
from superpose.data.reading import read_table
from superpose.data.tables import Table, table_from_frame
from superpose.errors import DataError
from superpose.messages import counted, listed


def read_features(
    table: Any, names: Sequence[str], preparation: Preparation | None = None, *, notes: list[str] | None = None
) -> Tensor:
    """Return the features that a model was trained on, from any table, as float64 [N, n].

    Where columns have names (a path, a data frame, a :class:`~superpose.Dataset`) they are picked by name, in
    the order of ``names``; further columns do not matter. An array or a tensor needs exactly as
    many columns as there are names, or as many as the model's raw columns.

    Args:
        table: with the columns, or with the raw columns that these are made of.
        names: of the features.
        preparation: that of the model, by which features are made of raw columns.
        notes: takes sentences on what may be wrong; without it they are given as warnings.

    >>> import pandas
    >>> read_features(pandas.DataFrame({"b": [1.0], "c": [5.0], "a": [2.0]}), ["a", "b"])
    tensor([[2., 1.]], dtype=torch.float64)
    >>> read_features([[1.0, 2.0, 3.0]], ["a", "b"])
    Traceback (most recent call last):
        ...
    superpose.errors.DataError: the array has 3 columns, but the model was trained on 2: 'a', 'b'
    """
    if isinstance(table, Dataset):
        columns = tuple(table.x.numpy().T) + tuple(table.y.numpy().T)
        named = Table(table.source or "the data", table.feature_names + table.target_names, columns)
    elif isinstance(table, Table):
        named = table
    elif isinstance(table, str | os.PathLike):
        named = read_table(table)
    elif is_frame(table):
        named = table_from_frame(table, "the data frame")
    else:
        named = _array_table(table, tuple(names), preparation)
    if preparation is not None:
        prepared = preparation.apply(named, names, notes=notes)
        return as_tensor(prepared.numbers_only())
    for name in names:
        named.require(name, "a feature of the model")
    return as_tensor(named.numbers(name) for name in names)


def _array_table(array: Any, names: tuple[str, ...], preparation: Preparation | None) -> Table:
    """An array as a table with the columns of a model: those that it takes, or the raw ones."""
    columns = feature_columns(array, "the array")
    raw = () if preparation is None else preparation.raw_names
    needed = () if preparation is None else preparation.only(names).raw_names
    for known in (names, needed, raw):
        # Text is never a feature that was made already.
        if len(columns) == len(known) and (known is not names or not any(isinstance(one, list) for one in columns)):
            return Table("the array", known, columns)
    if len(columns) == len(names):
        return Table("the array", names, columns)
    trained = f"{len(names)}: {listed(names)}"
    if needed and needed != names:
        trained += f" (made of {len(needed)}: {listed(needed)})"
    raise DataError(f"the array has {counted(len(columns), 'column')}, but the model was trained on {trained}")
