"""Weights of rows, from a column or from numbers."""

from __future__ import annotations

from typing import Any

import numpy

from superpose.data.arrays import real_array
from superpose.data.tables import FloatArray, Table
from superpose.errors import DataError
from superpose.messages import counted, quoted


def row_weights(table: Table, test: Table | None, given: Any, *, deviations: bool) -> FloatArray:
    """The weights ``[N]`` of a table's rows, the largest 1; ``[N + M]`` with the same column of a test table.

    Args:
        given: the name of a column, or ``N`` numbers.
        deviations: whether these are standard deviations of errors, so that the weights are ``1 / given**2``.

    Raises:
        DataError: if a number is missing, not finite, zero or negative, or the weights differ by more than doubles can.

    >>> row_weights(Table("'t'", ("s",), (numpy.array([1.0, 2.0]),)), None, "s", deviations=True).tolist()
    [1.0, 0.25]
    """
    option = "sigma" if deviations else "weights"
    tables = [table, *([test] if test is not None and isinstance(given, str) else [])]
    values = numpy.concatenate([_positive(one, given, option) for one in tables])
    # In units of the most reliable row, so that squares stay in range.
    with numpy.errstate(under="ignore"):
        weights: FloatArray = (values.min() / values) ** 2 if deviations else values / values.max()
    if not (weights > 0).all():
        raise DataError(
            f"{table.label}: {_place(given, option)} has values from {values.min():g} to {values.max():g}, too far "
            "apart to weigh rows by"
        )
    return weights


def _positive(table: Table, given: Any, option: str) -> FloatArray:
    """Numbers above 0, one for each row."""
    if isinstance(given, str):
        table.require(given, option)
        values = table.numbers(given)
    else:
        values = real_array(given, option).reshape(-1)
        if len(values) != table.n_rows:
            raise DataError(
                f"{option} has {counted(len(values), 'number')} for {counted(table.n_rows, 'row')}; give one each"
            )
        values = Table(table.label, (option,), (values,), table.place).numbers(option)
    wrong = ~(values > 0)
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(
            f"{table.label}, {table.place(row)}: {_place(given, option)} holds {values[row] + 0.0:g}, and must be "
            "above 0; correct it, or leave out the row"
        )
    return values


def _place(given: Any, option: str) -> str:
    return f"column {quoted(given)}" if isinstance(given, str) else option
