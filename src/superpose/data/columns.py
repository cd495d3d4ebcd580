"""The choice of a table's columns: which are targets, and which are features."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
class Roles:
    """Targets and columns to learn from, by name.

    Attributes:
        targets: the columns to be learnt.
        features: the raw columns to learn from.
        named: whether a person named these, so that each has to be usable.
    """

    targets: tuple[str, ...]
    features: tuple[str, ...]
    named: bool


def choose(
    table: Table,
    target: str | Sequence[str],
    features: Sequence[str] | None,
    *,
    never: Sequence[str] = (),
    unless_named: Sequence[str] = (),
    min_rows: int,
) -> Roles:
    """The targets, and the columns that may be features.

    Args:
        target, features: what was named; all other columns where features is None.
        never: columns that are neither, such as weights.
        unless_named: columns that are features only if they are named.
        min_rows: of the table.

    Raises:
        DataError: if a column is missing or used twice, a target holds text, or there are too few rows.
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
    refuse_few_rows(table, min_rows)
    for name in targets:
        _refuse_text(table, name)
    exclude = (*targets, *never, *unless_named)
    others = tuple(name for name in table.names if name not in exclude)
    return Roles(targets, others if features is None else features, features is not None)


def refuse_few_rows(table: Table, least: int) -> None:
    """Raise if a table has too few rows."""
    if table.n_rows < least:
        raise DataError(f"{table.label} has {counted(table.n_rows, 'row')}; at least {least} are needed")


def _refuse_text(table: Table, target: str) -> None:
    words = [cell for cell in table.columns[table.names.index(target)] if cell] if table.is_label(target) else []
    if words and not table.is_percent(target):
        raise DataError(
            f"{table.label}: the target {quoted(target)} holds text such as {quoted(words[0])} and no numbers; to "
            "learn its classes use --task classification (in Python read_classification and classify), or "
            "choose a column of numbers"
        )


def without_constants(table: Table, roles: Roles, columns: Table, left_out: Sequence[str]) -> tuple[str, ...]:
    """The features that vary, of those that were made of the columns of a table.

    Args:
        table: with the raw columns, for messages.
        roles: of these.
        columns: the features.
        left_out: raw columns that hold nothing to learn from.

    Raises:
        DataError: if a feature that was named is constant, or none is left.
    """
    if roles.named:
        refuse_constant(table, dict(zip(columns.names, columns.numbers_only(), strict=True)), "feature", "leave it out")
        return columns.names
    kept = tuple(
        name for name, column in zip(columns.names, columns.numbers_only(), strict=True) if not is_constant(column)
    )
    if not kept:
        constant = [name for name in columns.names if name not in kept]
        unusable = [name for name in table.names if name in (*left_out, *constant)]
        reason = f"{listed(unusable)} hold no numbers that vary; " if unusable else ""
        raise DataError(f"{table.label} has no feature beside the target; {reason}add a column of numbers")
    return kept


def refuse_constant(table: Table, columns: Mapping[str, FloatArray], role: str, remedy: str) -> None:
    """Raise if a column holds a single value."""
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
