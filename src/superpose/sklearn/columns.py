"""What estimators are given as ``X``: numbers, or columns with categories, gaps and dates, and what becomes of them."""

from __future__ import annotations

import datetime
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Number
from typing import Any

import numpy as np
import numpy.typing
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from superpose.data.arrays import feature_columns, is_frame
from superpose.data.preparation import NumberColumn, Preparation, PreparationOptions
from superpose.data.preparation.preparation import fitted
from superpose.data.preparation.understanding import RawTable, kind_of
from superpose.data.tables import Column, Table, declared_by, frame_column
from superpose.errors import DataError, DataWarning
from superpose.messages import listed
from superpose.sklearn.rows import FloatArray

BoolArray = numpy.typing.NDArray[np.bool_]

# Rows of whole weights are repeated where medians are taken and levels are counted; not beyond so many. A round number.
_MOST_REPEATED = 10_000_000


@dataclass(frozen=True)
class Cells:
    """The columns of a frame or an array that do not all hold numbers.

    Attributes:
        columns: numbers, or the cells' text.
        declared: by the number of the column, as :attr:`superpose.data.tables.Table.declared`.
        strange: the columns that hold other things than numbers, text, dates and gaps.
    """

    columns: tuple[Column, ...]
    declared: dict[int, str | tuple[str, ...]] = field(default_factory=dict)
    strange: frozenset[int] = frozenset()

    @classmethod
    def of(cls, X: Any) -> Cells | None:
        """Those of ``X``; None where it is numbers, or what scikit-learn refuses."""
        frame = _as_pandas(X)
        if frame is not None:
            from pandas.api import types

            series = [frame.iloc[:, place] for place in range(frame.shape[1])]
            if all(types.is_numeric_dtype(one.dtype) or types.is_bool_dtype(one.dtype) for one in series):
                return None
            said = {place: known for place, one in enumerate(series) if (known := declared_by(one.dtype))}
            odd = frozenset(place for place, one in enumerate(series) if one.dtype == object and _strange(one))
            return cls(tuple(frame_column(one) for one in series), said, odd)
        if hasattr(X, "toarray"):
            return None
        try:
            array = np.asarray(X)
        except (TypeError, ValueError):
            return None
        if array.dtype.kind not in "OUS" or array.ndim != 2 or not array.size or _are_numbers(array):
            return None
        odd = frozenset(place for place, column in enumerate(array.T) if _strange(column))
        return cls(feature_columns(array, "X"), strange=odd)


def _as_pandas(X: Any) -> Any:
    """A frame of pandas, made of one of polars too; None for anything else."""
    if is_frame(X):
        return X
    polars = type(X).__module__.partition(".")[0] == "polars" and hasattr(X, "to_pandas") and hasattr(X, "columns")
    return X.to_pandas() if polars else None


def _are_numbers(array: Any) -> bool:
    try:
        array.astype(np.float64)
    except (TypeError, ValueError):
        return False
    return True


def _strange(cells: Any) -> bool:
    known = (str, Number, np.bool_, datetime.date, datetime.time, np.datetime64, type(None))
    return not all(isinstance(cell, known) or cell != cell for cell in cells)


def checked(estimator: Any, X: Any, *, reset: bool, allow_nan: bool) -> tuple[Cells | None, FloatArray]:
    """``X`` of the rows of a fit or, without ``reset``, of a prediction, as far as scikit-learn can check it.

    Returns:
        Its cells and an array of as many rows; or None and its numbers ``[N, d]``.
    """
    cells = Cells.of(X)
    if cells is None:
        finite = "allow-nan" if allow_nan else True
        x: FloatArray = validate_data(estimator, X, reset=reset, dtype=np.float64, ensure_all_finite=finite)
        return None, x
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    rows: FloatArray = check_array(np.empty((len(cells.columns[0]), 1)), estimator=estimator, ensure_all_finite=False)
    return cells, rows


def table_of(cells: Cells | None, x: FloatArray, names: Sequence[str]) -> Table:
    """What :func:`checked` returned, as a table whose columns have the names."""
    if cells is None:
        return Table("X", tuple(names), tuple(x.T))
    return Table(
        "X", tuple(names), cells.columns, declared={names[place]: said for place, said in cells.declared.items()}
    )


def _matrix(table: Table) -> FloatArray:
    return np.column_stack([column.astype(np.float64, copy=False) for column in table.numbers_only()])


def only_numbers(preparation: Preparation) -> bool:
    """Whether every column is numbers that are taken as they are, but for gaps."""
    return all(isinstance(column, NumberColumn) and not column.indicator for column in preparation.columns)


@dataclass(frozen=True)
class Prepared:
    """The columns of numbers that a model learns from.

    Attributes:
        preparation: how they are made.
        x: ``[M, n]``, of the rows that are kept.
        kept: ``[N]``, all but rows with gaps that are dropped.
        left_out: names of the columns of ``X`` that cannot be learnt from.
    """

    preparation: Preparation
    x: FloatArray
    kept: BoolArray
    left_out: tuple[str, ...]

    @classmethod
    def fit(
        cls, table: Table, options: PreparationOptions, weights: FloatArray | None, strange: Sequence[str] = ()
    ) -> Prepared:
        """Look at columns, and say in a warning which are left out.

        Args:
            table: the columns.
            options: how they are to be understood.
            weights: ``[N]`` of the rows; None where all are equal.
            strange: names of columns that hold neither numbers nor text.

        Raises:
            DataError: if a cell cannot be used, or no column.
        """
        raw = RawTable.of(table, [name for name in table.names if name not in strange], options)
        kept = np.ones(table.n_rows, dtype=bool)
        if options.missing == "error":
            raw.refuse_missing()
        elif options.missing == "drop":
            kept = ~raw.missing()
            if not kept.any():
                raise DataError('X has a gap in every row; take another value for missing, such as "indicator"')
        if not kept.all():
            raw, weights = raw.rows(np.flatnonzero(kept)), None if weights is None else weights[kept]
        preparation, single = fitted(raw, _counted(raw.table.n_rows, weights), named=False)
        left_out = (*strange, *raw.left_out, *single)
        if not preparation.columns:
            raise DataError(
                f"X has no column to learn from: {listed(left_out)} hold neither numbers nor dates nor levels with "
                "enough rows; add a column, or name some in categories"
            )
        for sentence in _sentences(raw, (*strange, *single)):
            warnings.warn(sentence, DataWarning, stacklevel=5)
        x = _matrix(preparation.apply(raw.table, notes=[]))
        return cls(preparation, x, kept, left_out)


def _counted(rows: int, weights: FloatArray | None) -> numpy.typing.NDArray[np.int64]:
    """The numbers of rows that medians and levels are taken from: one of weight 2 counts twice, as two rows do."""
    if weights is None:
        return np.arange(rows)
    if (weights == np.floor(weights)).all() and weights.sum() <= _MOST_REPEATED:
        return np.repeat(np.arange(rows), weights.astype(np.int64))
    return np.flatnonzero(weights > 0)


def _sentences(raw: RawTable, unusable: Sequence[str]) -> list[str]:
    """On columns that are left out, but for those that the options leave out."""
    options, names = raw.options, list(unusable)
    for name in raw.left_out:
        kind = kind_of(raw.original, name, options)
        if kind != "date" and not (kind == "text" and not options.automatic):
            names.append(name)
    if not names:
        return list(raw.notes)
    one = len(names) == 1
    return [
        *raw.notes,
        f"X: the column{'' if one else 's'} {listed(names)} hold{'s' if one else ''} names, remarks, a single level, "
        f"or nothing, and {'is' if one else 'are'} left out; leave {'it' if one else 'them'} out of X, or name "
        f"{'it' if one else 'them'} in categories",
    ]


def numbers_of(preparation: Preparation, cells: Cells | None, x: FloatArray, names: Sequence[str]) -> FloatArray:
    """The columns ``[N, n]`` that a preparation makes of what :func:`checked` returned.

    Raises:
        DataError: for a gap where gaps are not filled, or a cell that cannot be used.
    """
    if cells is None and preparation.raw_names == tuple(names) and only_numbers(preparation) and np.isfinite(x).all():
        return x
    table, notes = table_of(cells, x, names), list[str]()
    # With "median" gaps are filled as was asked for; with "indicator" one without an indicator is a surprise.
    fills: list[str] | None = [] if preparation.missing == "median" else None
    found = _matrix(preparation.apply(table, notes=notes, fills=fills))
    for sentence in notes:
        warnings.warn(sentence, DataWarning, stacklevel=4)
    if preparation.missing == "drop" and (gaps := np.isnan(found)).any():
        row, place = np.argwhere(gaps)[0]
        column = next(one.name for one in preparation.columns if preparation.names[place] in one.names)
        raise DataError(
            f"X, {table.place(int(row))}: column {column!r} has no value, and rows cannot be left out of predictions; "
            'fill the cell, or fit with missing="indicator" or "median"'
        )
    return found
