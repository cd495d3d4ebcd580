"""The tables of a sweep: one or several, read once, each under a name."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from superpose.data import Dataset, Table, read_csv
from superpose.data.arrays import is_frame
from superpose.errors import DataError, OptionError, SuperposeError
from superpose.partial import reason
from superpose.short_repr import brief
from superpose.tasks.classification import ClassificationDataset, read_classification
from superpose.tasks.sweeps.kinds import KINDS, AnyTable, check_table
from superpose.tasks.sweeps.store import content_of


@dataclass(frozen=True, eq=False)
class SweptTable:
    """A table of a sweep.

    Attributes:
        name: in the results.
        data: its rows; None if it could not be read.
        content: a checksum of them.
        failure: why it could not be read.
    """

    __repr__ = brief

    name: str
    data: AnyTable | None = None
    content: str = ""
    failure: str = ""


def named(tables: Any) -> dict[str, Any]:
    """Tables by their names: paths as they were given, others by their number.

    Raises:
        OptionError: if there is none.
    """
    if isinstance(tables, Mapping):
        found = {str(name): one for name, one in tables.items()}
    else:
        several = list(tables) if isinstance(tables, list | tuple) else [tables]
        found = {}
        for number, one in enumerate(several, 1):
            name = os.fspath(one) if isinstance(one, str | os.PathLike) else f"table {number}"
            if name in found:
                raise OptionError(f"the table {name!r} is given twice; give each once")
            found[name] = one
    if not found:
        raise OptionError("there is no table; give at least one")
    return found


def read(
    tables: Any, target: str | None, features: Sequence[str] | None, rows: Mapping[str, Any], task: str
) -> list[SweptTable]:
    """The tables of a sweep; one that cannot be read has its failure.

    Raises:
        OptionError: if there is none, or one has no target.
    """
    found = []
    for name, table in named(tables).items():
        if not isinstance(table, Dataset | ClassificationDataset) and target is None:
            raise OptionError("target is missing; name the column to be learnt")
        try:
            data = _read(table, target, features, rows, task)
            check_table(KINDS[task], task, data)
            found.append(SweptTable(name, data, content_of(data)))
        except (SuperposeError, OSError) as error:
            found.append(SweptTable(name, failure=reason(error)))
    return found


def _read(
    table: Any, target: str | None, features: Sequence[str] | None, rows: Mapping[str, Any], task: str
) -> AnyTable:
    if isinstance(table, Dataset | ClassificationDataset):
        if target is not None or features is not None or rows:
            raise OptionError(
                "a data set has its target, its features and its rows already; leave out target, features and "
                "row_options"
            )
        return table
    classes = KINDS[task].classes is True
    options: Any = dict(rows)
    if is_frame(table):
        made: Any = ClassificationDataset if classes else Dataset
        of_frame: AnyTable = made.from_frame(table, target=target, features=features, **options)
        return of_frame
    if not isinstance(table, str | os.PathLike | Table):
        raise DataError(
            f"a sweep takes paths, data frames and data sets, not a {type(table).__name__}; for arrays use "
            "superpose.Dataset.from_arrays"
        )
    reader: Any = read_classification if classes else read_csv
    read_one: AnyTable = reader(table, target=target, features=features, **options)
    return read_one
