"""Turns what a person passes as x and y into float64 matrices, and refuses every other shape.

Nothing is ever broadcast: a list of N targets is one column, and any other shape that does not have
one row of targets for each row of features is an error.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy
import torch

from superpose.data.tables import Column, FloatArray, table_from_frame
from superpose.errors import DataError, OptionError
from superpose.messages import counted, quoted


def root_mean_square(values: torch.Tensor, weights: torch.Tensor | None = None) -> float:
    """That of all entries, also of numbers whose squares are no doubles; NaN if one is NaN, or there are none.

    Args:
        values: ``[N]`` or ``[N, n]``.
        weights: ``[N]``, positive, of the rows; equal if None.

    >>> root_mean_square(torch.tensor([3e200, -4e200], dtype=torch.float64))
    3.5355339059327374e+200
    >>> root_mean_square(torch.tensor([0.0, 2.0]), weights=torch.tensor([3.0, 1.0]))
    1.0
    """
    largest = float(values.abs().amax()) if values.numel() else float("nan")
    if not 0 < largest < float("inf"):
        return largest
    squares = (values / largest).square()
    if weights is not None:
        squares = (weights / weights.sum()) @ squares.reshape(len(values), -1)
    return float(squares.mean().sqrt()) * largest


def is_frame(value: Any) -> bool:
    """Return whether a value is a pandas data frame, without importing pandas."""
    return hasattr(value, "iloc") and hasattr(value, "columns")


def feature_matrix(value: Any, what: str = "x") -> FloatArray:
    """Return features as [N, n_features]; ``what`` names them in messages."""
    array = real_array(value, what)
    shape = list(array.shape)
    if array.ndim == 1:
        raise DataError(
            f"{what} has shape {shape} and needs shape [rows, features]; "
            "reshape(-1, 1) makes it one feature, reshape(1, -1) one row"
        )
    if array.ndim != 2:
        raise DataError(
            f"{what} has shape {shape} and needs shape [rows, features]; put each sample's features into one row"
        )
    if array.size == 0:
        raise DataError(f"{what} has shape {shape}; it needs at least one row and one feature")
    return array


def feature_columns(value: Any, what: str = "x") -> tuple[Column, ...]:
    """The columns of features ``[N, n_features]``: numbers, or the cells' text where an array or a frame holds such."""
    if is_frame(value):
        columns = table_from_frame(value, what).columns
        if any(isinstance(column, list) for column in columns):
            return columns
    elif not isinstance(value, torch.Tensor) and not hasattr(value, "iloc"):
        array = _as_array(value, what)
        if array.dtype.kind in "OUS" and array.ndim == 2 and array.size:
            return tuple(_object_column(column) for column in array.T)
    return tuple(feature_matrix(value, what).T)


def _object_column(cells: numpy.ndarray[Any, Any]) -> Column:
    """A column of an array of objects: numbers if all are, None among them as NaN; else text."""
    if all(cell is None or (isinstance(cell, Real) and not isinstance(cell, bool)) for cell in cells):
        return numpy.array([math.nan if cell is None else float(cell) for cell in cells])
    return ["" if cell is None or cell != cell else str(cell).strip() for cell in cells]


def declared_of(value: Any, names: Sequence[str]) -> Mapping[str, str | tuple[str, ...]]:
    """What a data frame or an array says of its columns beside their cells, under these names."""
    if is_frame(value):
        said = table_from_frame(value, "x").declared
        own = column_names(None, value, len(names), "x")
        return {new: said[old] for new, old in zip(names, own, strict=True) if old in said}
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    return dict.fromkeys(names, "boolean") if kind == "b" or getattr(value, "dtype", None) is torch.bool else {}


def target_matrix(value: Any, n_rows: int, what: str = "y") -> FloatArray:
    """Return targets as [N, n_targets]; a flat list of N, and a single row of N, is one column."""
    array = real_array(value, what)
    shape = list(array.shape)
    if shape in ([n_rows], [1, n_rows]):
        array = array.reshape(-1, 1)
    if array.ndim != 2 or len(array) != n_rows or array.size == 0:
        raise DataError(
            f"{what} has shape {shape}, but x has {counted(n_rows, 'row')}; "
            f"y needs shape [{n_rows}], or [{n_rows}, targets] for several targets"
        )
    return array


def real_array(value: Any, what: str) -> FloatArray:
    """Return real numbers of any shape as float64; ``what`` names them in messages."""
    if hasattr(value, "iloc"):
        table = table_from_frame(value if is_frame(value) else value.to_frame(), what)
        return numpy.column_stack([table.numbers(name) for name in table.names])
    array = _as_array(value, what)
    if array.dtype.kind not in "biuf":
        raise DataError(
            f"{what} holds elements of type {array.dtype.name} instead of real numbers; "
            "convert them, or choose the columns that are numbers"
        )
    return numpy.asarray(array, dtype=numpy.float64)


def _as_array(value: Any, what: str) -> numpy.ndarray[Any, Any]:
    try:
        if isinstance(value, torch.Tensor):
            value = value.detach().cpu()
            value = (value if value.is_complex() else value.to(torch.float64)).numpy()
        array: numpy.ndarray[Any, Any] = numpy.asarray(value)
    except (RuntimeError, TypeError, ValueError):
        raise DataError(f"{what} is no rectangular array of numbers; give every row as many numbers") from None
    return array


def column_names(given: Sequence[str] | None, values: Any, n_columns: int, letter: str) -> tuple[str, ...]:
    """Return the names given, or those that pandas objects carry, or x1, x2, ... (y, y1, ...)."""
    if given is not None:
        option = "feature_names" if letter == "x" else "target_names"
        names = chosen_names(given, option)
        if len(names) != n_columns:
            raise DataError(
                f"{option} has {counted(len(names), 'name')}, but {letter} has "
                f"{counted(n_columns, 'column')}; give one name for each"
            )
        return names
    if is_frame(values):
        return tuple(str(name).strip() for name in values.columns)
    if hasattr(values, "iloc") and values.name is not None:
        return (str(values.name),)
    if letter == "y" and n_columns == 1:
        return ("y",)
    return tuple(f"{letter}{position + 1}" for position in range(n_columns))


def chosen_names(names: str | Sequence[str], role: str) -> tuple[str, ...]:
    """Return a choice of columns as a tuple; a single name may stand alone."""
    chosen = (names,) if isinstance(names, str) else tuple(names)
    if not chosen or not all(isinstance(name, str) for name in chosen):
        raise OptionError(f"{role} must be one or more names of columns, not {quoted(names)}")
    for position, name in enumerate(chosen):
        if name in chosen[:position]:
            raise DataError(f"column {quoted(name)} is named twice in {role}; name it once")
    return chosen


def refuse_different_rows(x: Any, y: Any) -> None:
    """Raise if two pandas objects label their rows differently: NumPy would pair them anyhow."""
    if hasattr(x, "iloc") and hasattr(y, "iloc") and not x.index.equals(y.index):
        raise DataError(
            "x and y have different row labels, so their rows may not belong together; "
            "bring them into one order, then pass both with .reset_index(drop=True)"
        )
