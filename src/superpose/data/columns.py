"""The choice of a table's columns: which are targets, and which are features."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy
import torch
from torch import Tensor

from superpose.data.arrays import chosen_names
from superpose.data.scaling import is_constant
from superpose.data.tables import FloatArray, Table
from superpose.errors import DataError
from superpose.messages import counted, listed, quoted


@dataclass(frozen=True)
class ChosenColumns:
    """Targets and features by name, and the names of columns that cannot be learnt from."""

    targets: dict[str, FloatArray]
    features: dict[str, FloatArray]
    left_out: tuple[str, ...]


def choose(
    table: Table,
    target: str | Sequence[str],
    features: Sequence[str] | None,
    *,
    never: Sequence[str] = (),
    unless_named: Sequence[str] = (),
    min_rows: int,
) -> ChosenColumns:
    """The targets and features, every number in them checked.

    Args:
        target, features: what was named; all other columns that hold numbers where features is None.
        never: columns that are neither, such as weights.
        unless_named: columns that are features only if they are named.
        min_rows: of the table.

    Raises:
        DataError: if a column is missing, used twice, constant, or holds something else than finite numbers.
    """
    targets = chosen_names(target, "target")
    for name in targets:
        table.require(name, "the target")
        if name in (*never, *unless_named):
            raise DataError(
                f"{table.label}: column {quoted(name)} is the target, and cannot weigh or divide the rows too"
            )
    if features is not None:
        features = chosen_names(features, "features")
        for name in features:
            table.require(name, "a feature")
            if name in targets:
                raise DataError(
                    f"{table.label}: column {quoted(name)} is the target and a feature at once; "
                    "leave it out of the features"
                )
            if name in never:
                raise DataError(
                    f"{table.label}: column {quoted(name)} weighs the rows and is a feature at once; leave it out of "
                    "the features"
                )
    if table.n_rows < min_rows:
        raise DataError(f"{table.label} has {counted(table.n_rows, 'row')}; at least {min_rows} are needed")
    for name in targets:
        _refuse_text(table, name)
    y_columns = {name: table.numbers(name) for name in targets}
    _refuse_constant(table, y_columns, "target", "choose a column that varies")
    if features is None:
        x_columns, left_out = _usable(table, exclude=[*targets, *never, *unless_named])
    else:
        x_columns, left_out = {name: table.numbers(name) for name in features}, ()
        _refuse_constant(table, x_columns, "feature", "leave it out")
    return ChosenColumns(y_columns, x_columns, left_out)


def _refuse_text(table: Table, target: str) -> None:
    words = [cell for cell in table.columns[table.names.index(target)] if cell] if table.is_label(target) else []
    if words and not table.is_percent(target):
        raise DataError(
            f"{table.label}: the target {quoted(target)} holds text such as {quoted(words[0])} and no numbers; to "
            "learn its classes use --task classification (in Python read_classification and classify), or "
            "choose a column of numbers"
        )


def _usable(table: Table, exclude: Sequence[str]) -> tuple[dict[str, FloatArray], tuple[str, ...]]:
    """Every column that can be learnt from, and the names of those that cannot."""
    columns: dict[str, FloatArray] = {}
    left_out: list[str] = []
    for name in table.names:
        if name in exclude:
            continue
        if table.is_label(name) or is_constant(column := table.numbers(name)):
            left_out.append(name)
        else:
            columns[name] = column
    if not columns:
        reason = f"{listed(left_out)} hold no numbers that vary; " if left_out else ""
        raise DataError(f"{table.label} has no feature beside the target; {reason}add a column of numbers")
    return columns, tuple(left_out)


def _refuse_constant(table: Table, columns: dict[str, FloatArray], role: str, remedy: str) -> None:
    for name, column in columns.items():
        if is_constant(column):
            raise DataError(
                f"{table.label}: the {role} {quoted(name)} is constant, {column[0] + 0.0:g} in every row; {remedy}"
            )


def as_tensor(columns: Iterable[FloatArray]) -> Tensor:
    """Columns ``[N]`` as a matrix ``[N, n]``, float64."""
    return torch.from_numpy(numpy.column_stack([column.astype(numpy.float64, copy=False) for column in columns]))


def features_in_place(table: Table, names: Sequence[str]) -> Tensor:
    """Features ``[N, n]``; in the table's own memory where that is possible, so that a large table is there once.

    The table must not be used afterwards.
    """
    columns, storage = [table.numbers(name) for name in names], table.storage
    owner = storage if storage is None or storage.base is None else storage.base
    if storage is None or any(column.base is not owner for column in columns):
        return as_tensor(columns)
    # Columns move towards the front, in their order: none is written over before it has moved.
    ordered = sorted(range(len(columns)), key=lambda k: _address(columns[k]))
    for row, k in zip(storage, ordered, strict=False):
        if _address(row) != _address(columns[k]):
            row[:] = columns[k]
    x = torch.from_numpy(storage[: len(columns)]).T
    return x if ordered == sorted(ordered) else x[:, numpy.argsort(ordered)]


def _address(column: FloatArray) -> int:
    return int(column.__array_interface__["data"][0])
