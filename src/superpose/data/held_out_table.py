"""A table of its own whose rows are for the test: reading it, and comparing it with the table to learn from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy
import numpy.typing

from superpose.data.arrays import feature_columns, is_frame, target_matrix
from superpose.data.reading import read_table
from superpose.data.tables import FloatArray, Table, table_from_frame
from superpose.errors import DataError, OptionError
from superpose.messages import counted


def read_test(test: Any, features: Sequence[str] = (), targets: Sequence[str] = ()) -> Table | None:
    """The table that the option ``test`` of a data set stands for; None where it is a share of the rows.

    Args:
        test: a path, a data frame, a table, or a pair of arrays ``(x, y)``.
        features, targets: the names of the columns of such a pair.

    Raises:
        FileError, DataError: if it cannot be read.
        OptionError: if it is nothing of that kind.
    """
    if test is None or isinstance(test, Real):
        return None
    if isinstance(test, Table):
        return test
    if isinstance(test, str | os.PathLike):
        return read_table(test)
    if is_frame(test):
        return table_from_frame(test, "the test data frame")
    if isinstance(test, tuple | list) and len(test) == 2 and features:
        x = feature_columns(test[0], "the x of the test")
        y = target_matrix(test[1], len(x[0]), "the y of the test").T
        for letter, columns, names in (("x", x, features), ("y", y, targets)):
            if len(columns) != len(names):
                raise DataError(
                    f"the {letter} of the test has {counted(len(columns), 'column')}, but that of the training "
                    f"{len(names)}; give the same columns"
                )
        return Table("the test data", (*features, *targets), (*x, *y))
    raise OptionError(
        f"test is of type {type(test).__name__}; it is a share of the rows, a path, a data frame, or for arrays a "
        "pair (x, y)"
    )


def test_columns(test: Table, names: Sequence[str], role: str) -> list[FloatArray]:
    """These columns of a test table as finite numbers.

    Raises:
        DataError: if one is missing, or a cell is no finite number.
    """
    for name in names:
        test.require(name, f"{role}, as in the table to learn from")
    return [test.numbers(name) for name in names]


def repeated_rows(table: FloatArray, test: FloatArray) -> numpy.typing.NDArray[numpy.int64]:
    """The rows of ``test [M, n]`` that stand in ``table [N, n]`` too, in ascending order.

    >>> repeated_rows(numpy.array([[1.0, 0.0], [2.0, 0.0]]), numpy.array([[2.0, -0.0], [3.0, 0.0]])).tolist()
    [0]
    """
    # Adding 0 makes the two zeros the same bytes.
    known = {row.tobytes() for row in table + 0.0}
    return numpy.flatnonzero([row.tobytes() in known for row in test + 0.0])
