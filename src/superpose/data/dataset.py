"""Data sets: a table's columns as tensors, with their names, their scaling and their split.

>>> import superpose
>>> x = [[0.1 * row, 0.01 * row * row] for row in range(20)]
>>> y = [first + second for first, second in x]
>>> data = superpose.Dataset.from_arrays(x, y, feature_names=["time", "height"], seed=0)
>>> data.n_rows, data.feature_names, data.target_names
(20, ('time', 'height'), ('y',))
>>> len(data.train), len(data.validation), len(data.test)
(14, 3, 3)

Whatever a person can get wrong in a table raises :class:`DataError` or :class:`FileError` with one
sentence that names the file, the column and the row.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy
import torch
from torch import Tensor

from superpose.data.arrays import (
    chosen_names,
    column_names,
    feature_matrix,
    is_frame,
    refuse_different_rows,
    target_matrix,
)
from superpose.data.reading import read_table
from superpose.data.scaling import Affine, is_constant, mean_and_deviation, ranges, standard_scale
from superpose.data.splitting import split_rows
from superpose.data.tables import REMARK, FloatArray, Table, table_from_frame
from superpose.errors import DataError, OptionError
from superpose.messages import counted, listed, quoted

if TYPE_CHECKING:
    import pandas

__all__ = ["Affine", "Dataset", "read_csv", "read_features"]

Split: TypeAlias = Literal["train", "validation", "test", "all"]

_MIN_ROWS = 10
# What a notebook shows of a table, as pandas' own head() and its usual number of columns.
_SHOWN_ROWS, _SHOWN_COLUMNS = 5, 20


@dataclass(frozen=True, eq=False)
class Dataset:
    """A regression table: features, targets, names, scaling, and three disjoint sets of rows.

    Make one with :func:`read_csv`, :meth:`from_frame` or :meth:`from_arrays`, which check what they
    are given. All numbers are in the user's units, and float64, but for ``x`` where all features of a Parquet file are
    float32.
    """

    x: Tensor
    """Features, shape [N, n_features]; :meth:`rows` returns them as float64."""
    y: Tensor
    """Targets, shape [N, n_targets]."""
    feature_names: tuple[str, ...]
    target_names: tuple[str, ...]
    train: Tensor
    """Row indices, int64, in ascending order; so are ``validation`` and ``test``."""
    validation: Tensor
    test: Tensor
    x_scale: Affine
    """Middle and half of each feature's range over all rows, so that scaled features lie in [-1, 1]."""
    y_scale: Affine
    """Mean and standard deviation of each target over the training rows."""
    source: str | None = None
    """Where the numbers came from, for messages."""
    left_out: tuple[str, ...] = ()
    """Columns of the table that were not used because they hold text or a single value."""
    groups: Tensor | None = None
    """The group of each row, int64 [N], where no group may be divided; None where rows are independent."""
    order: Tensor | None = None
    """The rank of each row's time, int64 [N], where the past predicts the future; equal times share one."""

    def __repr__(self) -> str:
        parts = ", ".join(f"{len(self._index(split))} {split}" for split in ("train", "validation", "test"))
        more = f", left out: {listed(self.left_out)}" if self.left_out else ""
        more += f", source: {quoted(self.source, 120)}" if self.source else ""
        return (
            f"Dataset({counted(self.n_rows, 'row')}: {parts}; features: {listed(self.feature_names)}, "
            f"targets: {listed(self.target_names)}{more})"
        )

    def _repr_html_(self) -> str:
        """What a notebook shows: the same, above the first rows."""
        import html

        import pandas

        first = torch.cat([self.x[:_SHOWN_ROWS], self.y[:_SHOWN_ROWS]], dim=1).numpy()
        frame = pandas.DataFrame(first, columns=list(self.feature_names + self.target_names))
        return f"<p>{html.escape(repr(self))}</p>{frame.to_html(max_cols=_SHOWN_COLUMNS)}"

    @property
    def n_rows(self) -> int:
        return self.x.shape[0]

    @property
    def n_features(self) -> int:
        return self.x.shape[1]

    @property
    def n_targets(self) -> int:
        return self.y.shape[1]

    @property
    def target_std(self) -> float:
        """Standard deviation of the first target over the test rows, or over all without any.

        It is the RMSE of the best constant prediction: errors are measured against it.
        """
        rows = self.y[self.test, 0] if len(self.test) else self.y[:, 0]
        return float(mean_and_deviation(rows[:, None])[1])

    def rows(self, split: Split) -> tuple[Tensor, Tensor]:
        """Return the features and the targets of one split, or of ``"all"`` rows.

        >>> data = Dataset.from_arrays([[float(row)] for row in range(20)], range(20))
        >>> x, y = data.rows("validation")
        >>> x.shape, y.shape
        (torch.Size([3, 1]), torch.Size([3, 1]))
        """
        if split == "all":
            return self.x.to(torch.float64), self.y
        index = self._index(split)
        return self.features(index), self.y[index]

    def features(self, rows: Tensor) -> Tensor:
        """The features ``[S, n_features]`` of some rows, by their indices, as float64."""
        return self.x[rows].to(torch.float64, memory_format=torch.contiguous_format)

    def to_frame(self, split: Split = "all") -> pandas.DataFrame:
        """Return one split as a data frame, features first, indexed by row number from 0."""
        import pandas

        x, y = self.rows(split)
        index = range(self.n_rows) if split == "all" else self._index(split).numpy()
        names = list(self.feature_names + self.target_names)
        return pandas.DataFrame(torch.cat([x, y], dim=1).numpy(), columns=names, index=index)

    def _index(self, split: Split) -> Tensor:
        known = {"train": self.train, "validation": self.validation, "test": self.test}
        if split not in known:
            raise OptionError(f"there is no split {split!r}; it is one of 'train', 'validation', 'test', 'all'")
        return known[split]

    @classmethod
    def from_arrays(
        cls,
        x: Any,
        y: Any,
        *,
        feature_names: Sequence[str] | None = None,
        target_names: Sequence[str] | None = None,
        validation: float = 0.15,
        test: float = 0.15,
        seed: int = 0,
        source: str | None = None,
    ) -> Dataset:
        """Make a data set of NumPy arrays, tensors, pandas objects or nested lists.

        Parameters
        ----------
        x
            Features, shape [N, n_features].
        y
            Targets, shape [N], [N, n_targets], or a single row [1, N].
        feature_names, target_names
            By default the names of pandas columns, otherwise x1, x2, ... and y, or y1, y2, ...
        validation, test
            Shares of the rows that are held out for each.
        seed
            Of the split; the same seed gives the same split.

        Raises
        ------
        DataError
            If the shapes do not belong together, or a value is missing, infinite or no number, or
            a column holds a single value.

        Examples
        --------
        >>> Dataset.from_arrays([0.5, 1.5, 2.5], [1.0, 2.0, 3.0])
        Traceback (most recent call last):
            ...
        superpose.errors.DataError: x has shape [3] and needs shape [rows, features]; \
reshape(-1, 1) makes it one feature, reshape(1, -1) one row
        """
        label = source or "the data"
        refuse_different_rows(x, y)
        features = feature_matrix(x)
        targets = target_matrix(y, len(features))
        x_names = column_names(feature_names, x, features.shape[1], "x")
        y_names = column_names(target_names, y, targets.shape[1], "y")
        columns = tuple(features.T) + tuple(targets.T)
        table = Table(label, x_names + y_names, columns)
        return _dataset(table, y_names, x_names, (validation, test, seed), source)

    @classmethod
    def from_frame(
        cls,
        frame: pandas.DataFrame,
        *,
        target: str | Sequence[str],
        features: Sequence[str] | None = None,
        validation: float = 0.15,
        test: float = 0.15,
        seed: int = 0,
        source: str | None = None,
    ) -> Dataset:
        """Make a data set of a data frame's columns; :func:`read_csv` tells what is accepted.

        >>> import pandas
        >>> frame = pandas.DataFrame({"x": range(20), "name": ["a"] * 20, "f": range(20)})
        >>> data = Dataset.from_frame(frame, target="f")
        >>> data.feature_names, data.left_out
        (('x',), ('name',))
        """
        import pandas

        if not isinstance(frame, pandas.DataFrame):
            raise DataError(
                f"from_frame needs a pandas.DataFrame, not a {type(frame).__name__}; "
                "for arrays use Dataset.from_arrays, for a file superpose.read_csv"
            )
        table = table_from_frame(frame, source or "the data frame")
        return _dataset(table, target, features, (validation, test, seed), source)


def read_csv(
    path: str | os.PathLike[str],
    *,
    target: str | Sequence[str],
    features: Sequence[str] | None = None,
    validation: float = 0.15,
    test: float = 0.15,
    seed: int = 0,
) -> Dataset:
    """Read a table with a header: text with any usual delimiter, the same in gzip, or Parquet.

    >>> data = read_csv("examples/data/knots.csv", target="cusp_volume")
    >>> data.left_out
    ('name',)

    The delimiter (comma, semicolon, tab, bar or white space) is recognised, and so are decimal
    commas if the delimiter is not itself the comma. Text is UTF-8.

    Without ``features`` every other column is one, except that columns without a single number
    (names, dates) and columns that hold one value only are left out and listed in
    ``Dataset.left_out``. A column that mixes numbers with text, or has empty or infinite cells, is
    an error that names the first such line. A feature that is named has to be usable.

    Parameters
    ----------
    path
        The file; its kind is told from its contents.
    target
        The name of the column to be learnt, or several names.
    features
        The names of the columns to learn from, in this order.
    validation, test, seed
        As in :meth:`Dataset.from_arrays`.

    Raises
    ------
    FileError
        If the file is missing, damaged or of another kind.
    DataError
        If the table or one of its columns cannot be used.
    """
    table = read_table(path)
    if len(table.names) == 1 and table.names[0].startswith("#"):
        raise DataError(f"{table.label} begins with a line that starts with #, {listed(table.names)}; {REMARK}")
    if len(table.names) == 1:
        raise DataError(
            f"{table.label} has one column only, {listed(table.names)}; a table needs a target and "
            "at least one feature, held apart by commas, semicolons, tabs, bars or white space"
        )
    return _dataset(table, target, features, (validation, test, seed), os.fspath(path))


def read_features(table: Any, names: Sequence[str]) -> Tensor:
    """Return the features that a model was trained on, from any table, as float64 [N, n].

    Where columns have names (a path, a data frame, a :class:`~superpose.Dataset`) they are picked by name, in
    the order of ``names``; further columns do not matter. An array or a tensor needs exactly as
    many columns as there are names.

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
    elif isinstance(table, str | os.PathLike):
        named = read_table(table)
    elif is_frame(table):
        named = table_from_frame(table, "the data frame")
    else:
        array = feature_matrix(table, "the array")
        if array.shape[1] != len(names):
            raise DataError(
                f"the array has {counted(array.shape[1], 'column')}, but the model was trained on "
                f"{len(names)}: {listed(names)}"
            )
        named = Table("the array", tuple(names), tuple(array.T))
    for name in names:
        named.require(name, "a feature of the model")
    return _tensor(named.numbers(name) for name in names)


def _dataset(
    table: Table,
    target: str | Sequence[str],
    features: Sequence[str] | None,
    split: tuple[float, float, int],
    source: str | None,
) -> Dataset:
    """Check the choice of columns and every number in them, then scale and split."""
    targets = chosen_names(target, "target")
    for name in targets:
        table.require(name, "the target")
    if features is not None:
        features = chosen_names(features, "features")
        for name in features:
            table.require(name, "a feature")
            if name in targets:
                raise DataError(
                    f"{table.label}: column {quoted(name)} is the target and a feature at once; "
                    "leave it out of the features"
                )
    if table.n_rows < _MIN_ROWS:
        raise DataError(
            f"{table.label} has {counted(table.n_rows, 'row')}; at least {_MIN_ROWS} are needed "
            "to train, to validate and to test"
        )
    for name in targets:
        words = [cell for cell in table.columns[table.names.index(name)] if cell] if table.is_label(name) else []
        if words and not table.is_percent(name):
            raise DataError(
                f"{table.label}: the target {quoted(name)} holds text such as {quoted(words[0])} and no numbers; to "
                "learn its classes use --task classification (in Python read_classification and classify), or "
                "choose a column of numbers"
            )
    y_columns = {name: table.numbers(name) for name in targets}
    _refuse_constant(table, y_columns, "target", "choose a column that varies")
    if features is None:
        x_columns, left_out = _usable_columns(table, exclude=targets)
    else:
        x_columns, left_out = {name: table.numbers(name) for name in features}, ()
        _refuse_constant(table, x_columns, "feature", "leave it out")
    y = _tensor(y_columns.values())
    x = _features(table, tuple(x_columns))
    train, validation, test = split_rows(table, *split)
    return Dataset(
        x=x,
        y=y,
        feature_names=tuple(x_columns),
        target_names=targets,
        train=train,
        validation=validation,
        test=test,
        x_scale=ranges(x),
        y_scale=standard_scale(table, targets, y[train]),
        source=source,
        left_out=left_out,
    )


def _usable_columns(table: Table, exclude: Sequence[str]) -> tuple[dict[str, FloatArray], tuple[str, ...]]:
    """Return every column that can be learnt from, and the names of those that cannot."""
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


def _tensor(columns: Iterable[FloatArray]) -> Tensor:
    return torch.from_numpy(numpy.column_stack([column.astype(numpy.float64, copy=False) for column in columns]))


def _features(table: Table, names: Sequence[str]) -> Tensor:
    """Features ``[N, n]``; in the table's own memory where that is possible, so that a large table is there once.

    The table must not be used afterwards.
    """
    columns, storage = [table.numbers(name) for name in names], table.storage
    owner = storage if storage is None or storage.base is None else storage.base
    if storage is None or any(column.base is not owner for column in columns):
        return _tensor(columns)
    # Columns move towards the front, in their order: none is written over before it has moved.
    ordered = sorted(range(len(columns)), key=lambda k: _address(columns[k]))
    for row, k in zip(storage, ordered, strict=False):
        if _address(row) != _address(columns[k]):
            row[:] = columns[k]
    x = torch.from_numpy(storage[: len(columns)]).T
    return x if ordered == sorted(ordered) else x[:, numpy.argsort(ordered)]


def _address(column: FloatArray) -> int:
    return int(column.__array_interface__["data"][0])
