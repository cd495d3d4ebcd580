"""Data sets: a table's columns as tensors, with their names, their scaling and their split.

>>> import superpose
>>> x = [[0.1 * row, 0.01 * row * row] for row in range(20)]
>>> y = [first + second for first, second in x]
>>> data = superpose.Dataset.from_arrays(x, y, feature_names=["time", "height"], validation=0.15, test=0.15, seed=0)
>>> data.n_rows, data.feature_names, data.target_names
(20, ('time', 'height'), ('y',))
>>> len(data.train), len(data.validation), len(data.test)
(14, 3, 3)

Whatever a person can get wrong in a table raises :class:`DataError` or :class:`FileError` with one
sentence that names the file, the column and the row.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, Unpack

import torch
from torch import Tensor

from superpose.data.arrays import (
    column_names,
    declared_of,
    feature_columns,
    refuse_different_rows,
    root_mean_square,
    target_matrix,
)
from superpose.data.columns import as_tensor, choose, features_in_place, without_constants
from superpose.data.description import ColumnSummary, summaries
from superpose.data.division import divide
from superpose.data.held_out_table import read_test, repeated_rows, test_columns
from superpose.data.options import RowOptions, SplitRule, check_names, dividing_columns, weighing_columns
from superpose.data.preparation import Preparation
from superpose.data.preparation.preparation import fitted
from superpose.data.preparation.rows import read_rows
from superpose.data.reading.opening import opened, opened_test
from superpose.data.reading.options import TableOptions, check_options, file_options, row_options
from superpose.data.scaling import Affine, mean_and_deviation, ranges, standard_scale
from superpose.data.splitting import HOLD_OUT
from superpose.data.tables import Table, table_from_frame
from superpose.errors import DataError, OptionError
from superpose.messages import counted, listed, quoted

if TYPE_CHECKING:
    import pandas

__all__ = ["Affine", "Dataset", "RowOptions", "read_csv"]

Split: TypeAlias = Literal["train", "validation", "test", "all"]

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
    """Middle and half of each feature's range, so that scaled features lie in [-1, 1].

    It is the range over all rows, except those of a test table or, where the split is by time, of the test.
    """
    y_scale: Affine
    """Mean and standard deviation of each target over the training rows, weighted if these have weights."""
    source: str | None = None
    """Where the numbers came from, for messages."""
    left_out: tuple[str, ...] = ()
    """Columns of the table that were not used because they hold text or a single value."""
    groups: Tensor | None = None
    """The group of each row, int64 [N], where no group may be divided; None where rows are independent."""
    order: Tensor | None = None
    """The rank of each row's time, int64 [N], where the past predicts the future; equal times share one."""
    weights: Tensor | None = None
    """How much each row counts, positive, float64 [N] with mean 1 over the training rows; None for equal rows."""
    notes: tuple[str, ...] = ()
    """Sentences on what may be wrong with the rows, their split and their missing cells."""
    preparation: Preparation | None = None
    """How the features were made of the table's columns; None where all of them are numbers, taken as they are."""
    dropped: tuple[int, ...] = field(default=(), repr=False)
    """Rows of the table, counted from 0, that are not among the rows here, since cells are missing."""
    raw_columns: tuple[ColumnSummary, ...] = field(default=(), repr=False)
    """What was understood of each column of the table."""

    def __repr__(self) -> str:
        parts = ", ".join(f"{len(self.index(split))} {split}" for split in ("train", "validation", "test"))
        more = f", left out: {listed(self.left_out)}" if self.left_out else ""
        more += ", weighted" if self.weights is not None else ""
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
    def evaluation_split(self) -> Split:
        """The rows that errors are reported on, which are those of the test, or all where there is no test."""
        return "test" if len(self.test) else "all"

    @property
    def target_std(self) -> float:
        """Standard deviation of the first target over :attr:`evaluation_split`, weighted if rows are.

        It is the RMSE of the best constant prediction: errors are measured against it.
        """
        split = self.evaluation_split
        return float(mean_and_deviation(self.y[self.index(split), :1], self.weights_of(split))[1])

    def rows(self, split: Split) -> tuple[Tensor, Tensor]:
        """Return the features and the targets of one split, or of ``"all"`` rows.

        >>> data = Dataset.from_arrays([[float(row)] for row in range(20)], range(20), validation=0.15)
        >>> x, y = data.rows("validation")
        >>> x.shape, y.shape
        (torch.Size([3, 1]), torch.Size([3, 1]))
        """
        if split == "all":
            return self.x.to(torch.float64), self.y
        index = self.index(split)
        return self.features(index), self.y[index]

    def table_rows(self, rows: Tensor) -> Tensor:
        """The numbers in the table, from 0, of some rows, by their indices here."""
        if not self.dropped:
            return rows
        kept = torch.ones(self.n_rows + len(self.dropped), dtype=torch.bool)
        kept[list(self.dropped)] = False
        return kept.nonzero()[rows, 0]

    def features(self, rows: Tensor) -> Tensor:
        """The features ``[S, n_features]`` of some rows, by their indices, as float64."""
        return self.x[rows].to(torch.float64, memory_format=torch.contiguous_format)

    def weights_of(self, split: Split) -> Tensor | None:
        """The weights [M] of the rows of one split, or of ``"all"`` rows; None where all count the same."""
        if self.weights is None or split == "all":
            return self.weights
        return self.weights[self.index(split)]

    def rmse(self, predicted: Tensor, split: Split) -> float:
        """Root mean squared error of predictions [M, n_targets] for the rows of a split, weighted if rows are.

        For several targets the root of the mean over them; NaN if there are no rows.
        """
        return root_mean_square(predicted - self.y[self.index(split)], self.weights_of(split))

    def r2(self, predicted: Tensor, split: Split) -> float:
        """Coefficient of determination, 1 - rmse² / variance of the targets on the same rows; weighted if rows are.

        1 for exact predictions, 0 for those as good as the mean of these rows. For several targets the squares of all
        are summed first. NaN where the targets do not vary, or there are no rows.

        >>> data = Dataset.from_arrays([[0.0], [1.0], [2.0]], [0.0, 1.0, 2.0])
        >>> data.r2(data.y, "train"), data.r2(torch.ones(3, 1), "train")
        (1.0, 0.0)
        """
        y, weights = self.y[self.index(split)], self.weights_of(split)
        if not len(y):
            return float("nan")
        spread = root_mean_square(mean_and_deviation(y, weights)[1])
        return 1 - (self.rmse(predicted, split) / spread) ** 2 if spread > 0 else float("nan")

    def to_frame(self, split: Split = "all") -> pandas.DataFrame:
        """Return one split as a data frame, features first, indexed by row number from 0."""
        import pandas

        x, y = self.rows(split)
        index = range(self.n_rows) if split == "all" else self.index(split).numpy()
        names = list(self.feature_names + self.target_names)
        return pandas.DataFrame(torch.cat([x, y], dim=1).numpy(), columns=names, index=index)

    def index(self, split: Split) -> Tensor:
        """Row indices of a split, int64, in ascending order."""
        known = {"train": self.train, "validation": self.validation, "test": self.test}
        if split == "all":
            return torch.arange(self.n_rows)
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
        source: str | None = None,
        **options: Unpack[RowOptions],
    ) -> Dataset:
        """Make a data set of NumPy arrays, tensors, pandas objects or nested lists.

        Parameters
        ----------
        x
            Features, shape [N, n_features]; text and missing cells in arrays of objects and in data frames.
        y
            Targets, shape [N], [N, n_targets], or a single row [1, N].
        feature_names, target_names
            By default the names of pandas columns, otherwise x1, x2, ... and y, or y1, y2, ...
        source
            Where the numbers came from, for messages.
        **options
            See :class:`RowOptions`. A column of ``x`` that ``split``, ``weights`` or ``sigma`` names is no feature.

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
        features = feature_columns(x)
        targets = target_matrix(y, len(features[0]))
        x_names = column_names(feature_names, x, len(features), "x")
        y_names = column_names(target_names, y, targets.shape[1], "y")
        check_names("from_arrays", options, ("feature_names", "target_names", "source"))
        test = read_test(options.get("test"), x_names, y_names)
        if test is not None:
            options = RowOptions(**{**options, "test": test})
        declared = declared_of(x, x_names)
        table = Table(label, x_names + y_names, features + tuple(targets.T), declared=declared)
        others = (*weighing_columns(options), *dividing_columns(options))
        return _dataset(table, y_names, [name for name in x_names if name not in others], options, source)

    @classmethod
    def from_frame(
        cls,
        frame: pandas.DataFrame,
        *,
        target: str | Sequence[str],
        features: Sequence[str] | None = None,
        source: str | None = None,
        **options: Unpack[RowOptions],
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
        check_names("from_frame", options, ("target", "features", "source"))
        table = table_from_frame(frame, source or "the data frame")
        return _dataset(table, target, features, options, source)


def read_csv(
    path: str | os.PathLike[str] | Table,
    *,
    target: str | Sequence[str],
    features: Sequence[str] | None = None,
    **options: Unpack[TableOptions],
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
        The file, whose kind is told from its contents, ``-`` for standard input; or what
        :func:`superpose.data.read_table` returned.
    target
        The name of the column to be learnt, or several names.
    features
        The names of the columns to learn from, in this order.
    **options
        See :class:`superpose.data.RowOptions` and :class:`superpose.data.FileOptions`.

    Raises
    ------
    FileError
        If the file is missing, damaged or of another kind.
    DataError
        If the table or one of its columns cannot be used.
    """
    check_options("read_csv", options, ("target", "features"))
    _refuse_excluded(target, features, options.get("exclude"))
    table, source = opened(path, file_options(options))
    options["test"] = opened_test(options.get("test"), file_options(options))
    if len(table.names) == 1:
        raise DataError(
            f"{table.label} has one column only, {listed(table.names)}; a table needs a target and "
            "at least one feature, held apart by commas, semicolons, tabs, bars or white space"
        )
    return _dataset(table, target, features, row_options(options), source)


def _refuse_excluded(target: str | Sequence[str], features: Sequence[str] | None, exclude: Any) -> None:
    excluded = [exclude] if isinstance(exclude, str) else list(exclude or ())
    for role, names in (("target", target), ("features", features or ())):
        for name in [names] if isinstance(names, str) else names:
            if name in excluded:
                raise OptionError(
                    f"column {quoted(name)} is named in {role} and in exclude; take it out of one of them"
                )


def _dataset(
    table: Table,
    target: str | Sequence[str],
    features: Sequence[str] | None,
    options: RowOptions,
    source: str | None = None,
) -> Dataset:
    """Check the choice of columns and every cell in them, make them numbers, then split and scale."""
    roles = choose(
        table, target, features, never=weighing_columns(options), unless_named=dividing_columns(options),
        min_rows=HOLD_OUT.min_rows,
    )  # fmt: skip
    read = read_rows(table, read_test(options.get("test")), roles, options)
    table, test = read.raw.table, read.test
    rows = divide(table, test, SplitRule.read(options.get("split", "random")), read.options)
    parts, weights = rows.parts, rows.weights
    whole, unusable = fitted(read.raw, parts.train.numpy(), named=roles.named)
    notes = list(read.notes)
    prepared = whole.apply(table, notes=notes)
    names = without_constants(table, roles, prepared, (*read.raw.left_out, *unusable))
    preparation = whole.only(names)
    raw_columns = summaries(read.raw, roles, preparation, options)
    y = as_tensor(read.targets.values())
    # From here on the table must not be used, but for the places of its rows.
    x = features_in_place(prepared, names)
    if test is not None:
        preparation.require(test)
        test_x = as_tensor(test_columns(preparation.apply(test, names, notes=notes), names, "a feature"))
        test_y = as_tensor(test_columns(test, roles.targets, "the target"))
        notes += _repeated(table, test, torch.cat([x, y], 1), torch.cat([test_x, test_y], 1))
        x, y = torch.cat([x, test_x]), torch.cat([y, test_y])
    # What is not known yet when a model is made has no part in its units.
    known = x
    if test is not None or rows.order is not None:
        known = x[torch.cat([parts.train, parts.validation])]
    return Dataset(
        x=x,
        y=y,
        feature_names=names,
        target_names=roles.targets,
        train=parts.train,
        validation=parts.validation,
        test=parts.test,
        x_scale=ranges(known),
        y_scale=standard_scale(table, roles.targets, y[parts.train], None if weights is None else weights[parts.train]),
        source=source,
        left_out=() if roles.named else tuple(name for name in roles.features if name not in preparation.raw_names),
        groups=rows.groups,
        order=rows.order,
        weights=weights,
        notes=(*table.notes, *notes, *rows.notes),
        preparation=None if preparation.plain else preparation,
        raw_columns=raw_columns,
        dropped=read.dropped,
    )


def _repeated(table: Table, test: Table, rows: Tensor, test_rows: Tensor) -> tuple[str, ...]:
    """A sentence on the rows of a test table that are in the table to learn from too, if there are any."""
    found = repeated_rows(rows.numpy(), test_rows.numpy())
    if not len(found):
        return ()
    return (
        f"{len(found)} of {counted(test.n_rows, 'row')} of {test.label} are in {table.label} too, the first in "
        f"{test.place(int(found[0]))}, so errors on them say nothing about new rows",
    )
