"""Data sets for classification: columns of numbers, and a column of classes as text or numbers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import torch
from torch import Tensor

from superpose.data import Affine, Dataset, RowOptions
from superpose.data.arrays import column_names, declared_of, feature_columns
from superpose.data.dataset import _dataset
from superpose.data.description import SHOWN_LEVELS, ColumnSummary
from superpose.data.held_out_table import read_test
from superpose.data.options import dividing_columns, weighing_columns
from superpose.data.preparation import PreparationOptions
from superpose.data.preparation.rows import dropped, of_rows
from superpose.data.preparation.understanding import RawTable
from superpose.data.reading.opening import opened, opened_test
from superpose.data.reading.options import TableOptions, check_options, file_options, row_options
from superpose.data.splitting import HOLD_OUT
from superpose.data.tables import NUMBER, Column, Table, frame_column, table_from_frame
from superpose.errors import DataError, OptionError
from superpose.messages import counted, quoted
from superpose.nn.likelihood import Head
from superpose.short_repr import brief

if TYPE_CHECKING:
    import pandas

# A column with more different labels holds a quantity or names. A round number.
MAX_CLASSES = 100
# Shares of the rows that are held out to compare networks, and for the test at the end, in tables that are not small.
VALIDATION, TEST = 0.15, 0.2
# Labels with a standard deviation below this or above its reciprocal: products of three of them overflow.
_MIN_UNIT = 1e-100


@dataclass(frozen=True, eq=False)
class ClassificationDataset:
    """A table of features and classes, with its split.

    Made by :func:`read_classification`, :meth:`from_frame` or :meth:`from_arrays`.

    Attributes:
        data: features and split; its target is the number of each row's class, or a probability (soft label).
        classes: the classes' names, numbers in ascending order, text in alphabetical order.
        numeric: whether all of them are numbers.
        soft: whether the target is the probability of the second of two classes (a soft label).
    """

    __repr__ = brief

    data: Dataset
    classes: tuple[str, ...]
    numeric: bool
    soft: bool = False

    @property
    def target(self) -> str:
        """The name of the column of classes."""
        return self.data.target_names[0]

    @property
    def indices(self) -> Tensor:
        """``[N]`` the number of each row's class."""
        return (self.data.y[:, 0] > 0.5).long() if self.soft else self.data.y[:, 0].long()

    def counts(self, rows: Tensor | None = None) -> Tensor:
        """``[K]`` number of rows of each class."""
        index = self.indices if rows is None else self.indices[rows]
        return torch.bincount(index, minlength=len(self.classes))

    def scored(self, head: Head) -> Dataset:
        """The data set on which a network with this head is trained: one target for each score, not scaled."""
        y = self.data.y if self.soft else head.targets(self.indices)
        count = y.shape[1]
        unit = Affine(torch.zeros(count, dtype=torch.float64), torch.ones(count, dtype=torch.float64))
        return replace(self.data, y=y, target_names=head.score_names, y_scale=unit)

    @classmethod
    def from_frame(
        cls,
        frame: pandas.DataFrame,
        *,
        target: str,
        features: Sequence[str] | None = None,
        soft: bool = False,
        **options: Unpack[RowOptions],
    ) -> ClassificationDataset:
        """Take the features and the labels of a data frame; see :func:`read_classification`."""
        return _dataset_of_classes(table_from_frame(frame, "the data frame"), target, features, soft, options)

    @classmethod
    def from_arrays(
        cls,
        x: Any,
        labels: Any,
        *,
        feature_names: Sequence[str] | None = None,
        target_name: str = "class",
        soft: bool = False,
        **options: Unpack[RowOptions],
    ) -> ClassificationDataset:
        """Take features ``[N, n]`` and ``N`` labels, text or numbers.

        >>> data = ClassificationDataset.from_arrays([[n / 10] for n in range(20)], ["low"] * 10 + ["high"] * 10)
        >>> data.classes, data.counts().tolist()
        (('high', 'low'), [10, 10])
        """
        import pandas

        features = feature_columns(x)
        names, rows = column_names(feature_names, x, len(features), "x"), len(features[0])
        column = list(np.asarray(labels, dtype=object).reshape(-1))
        if len(column) != rows:
            raise DataError(f"there are {counted(len(column), 'label')} for {counted(rows, 'row')}; give one each")
        if target_name in names:
            raise DataError(f"{quoted(target_name)} names a feature and the labels at once; pass another target_name")
        found = frame_column(pandas.Series(column).infer_objects())
        table = Table("the data frame", (*names, target_name), (*features, found), declared=declared_of(x, names))
        return _dataset_of_classes(table, target_name, None, soft, options)


def read_classification(
    path: str | os.PathLike[str] | Table,
    *,
    target: str,
    features: Sequence[str] | None = None,
    soft: bool = False,
    **options: Unpack[TableOptions],
) -> ClassificationDataset:
    """Read a table whose target is a class: text, or numbers with few distinct values.

    Args:
        path: as for :func:`superpose.read_csv`, and so are ``features``.
        target: the column of classes.
        soft: whether the target is a number from 0 to 1, the probability of the class ``1``.
        options: see :class:`superpose.data.RowOptions` and :class:`superpose.data.FileOptions`; of 500 rows and more
            ``validation`` is 0.15 and ``test`` 0.2 if not given.

    Raises:
        DataError: if a label is missing, all labels are equal, a class has a single row, or there are more than
            100 classes.
        FileError: if the file cannot be read.

    >>> data = read_classification("examples/data/knots.csv", target="signature")
    >>> data.classes
    ('-8', '-6', '-4', '-2', '0', '2', '4', '6', '8', '10')
    """
    check_options("read_classification", options, ("target", "features", "soft"))
    table, source = opened(path, file_options(options))
    options["test"] = opened_test(options.get("test"), file_options(options))
    return _dataset_of_classes(table, target, features, soft, row_options(options), source)


def _dataset_of_classes(
    table: Table,
    target: str,
    features: Sequence[str] | None,
    soft: bool,
    given: RowOptions,
    source: str | None = None,
) -> ClassificationDataset:
    if not isinstance(target, str):
        raise OptionError(f"the target of a classification is the name of one column, not {target!r}")
    options = given.copy()
    held_out = table.n_rows >= HOLD_OUT.rows
    if options.get("validation") is None:
        options["validation"] = VALIDATION if held_out else 0.0
    if options.get("test") is None:
        options["test"] = TEST if held_out else 0.0
    table.require(target, "the target")
    column = table.columns[table.names.index(target)]
    if soft:
        values = table.numbers(target)
        if float(values.min()) < 0 or float(values.max()) > 1:
            raise DataError(f"{table.label}: a target of shares lies from 0 to 1, and {quoted(target)} goes beyond")
        data = _dataset(table, target, features, options, source)
        return ClassificationDataset(data, ("0", "1"), True, soft=bool(((values > 0) & (values < 1)).any()))
    notes: list[str] = []
    if options.get("missing") == "drop":
        table, options, notes = _without_gaps(table, target, features, options)
        column = table.column(target)
    _refuse_missing(table, target, column)
    classes, index, numeric = _classes(column)
    _refuse_classes(table, target, classes, index)
    test = read_test(options["test"])
    if test is not None:
        if options.get("missing") == "drop":
            test, _, more = _without_gaps(test, target, (), options)
            notes += more
        options["test"] = _numbered(test, target, _known_indices(test, target, classes, numeric))
    data = _dataset(_numbered(table, target, index), target, features, options, source)
    counts = np.bincount(index, minlength=len(classes)).tolist()
    levels = tuple(sorted(zip(classes, counts, strict=True), key=lambda one: -one[1]))[:SHOWN_LEVELS]
    of_target = ColumnSummary(target, "target", "classes", levels=levels, distinct=len(classes))
    columns = tuple(of_target if one.name == target else one for one in data.raw_columns)
    data = replace(data, notes=(*notes, *data.notes), raw_columns=columns)
    return ClassificationDataset(_each_in_training(data, table.n_rows), classes, numeric)


def _without_gaps(
    table: Table, target: str, features: Sequence[str] | None, options: RowOptions
) -> tuple[Table, RowOptions, list[str]]:
    """The rows with a label and without missing cells, before classes are counted, and a sentence on the others."""
    exclude = (target, *weighing_columns(options), *dividing_columns(options))
    names = [name for name in table.names if name not in exclude] if features is None else features
    raw = RawTable.of(table, [name for name in names if name in table.names], PreparationOptions.read(options))
    missing = raw.missing() | _without_label(table.column(target))
    if missing.all() or not missing.any():
        return table, options, []
    return table.rows(np.flatnonzero(~missing)), of_rows(options, missing), dropped(table, missing)


def _numbered(table: Table, target: str, index: np.ndarray) -> Table:
    """The table with the numbers of the classes in place of the labels."""
    columns = list(table.columns)
    columns[table.names.index(target)] = index.astype(np.float64)
    return replace(table, columns=tuple(columns))


def _known_indices(test: Table, target: str, classes: Sequence[str], numeric: bool) -> np.ndarray:
    """The number of each row's class in a test table, whose labels must all be known."""
    test.require(target, "the target, as in the table to learn from")
    column = test.columns[test.names.index(target)]
    _refuse_missing(test, target, column)
    known = {name: number for number, name in enumerate(classes)}
    found = []
    for row, cell in enumerate(column):
        number = numeric and (not isinstance(cell, str) or bool(NUMBER.fullmatch(cell)))
        name = _written(float(cell)) if number else str(cell)
        if name not in known:
            raise DataError(
                f"{test.label}, {test.place(row)}: column {quoted(target)} holds the label {quoted(name)}, which the "
                "table to learn from does not have; leave out the row"
            )
        found.append(known[name])
    return np.array(found)


def _without_label(column: Column) -> np.ndarray:
    """``[N]``, the rows without a label; other marks of missing values than these may be labels, such as - beside +."""
    return np.array([not np.isfinite(cell) if isinstance(cell, float) else cell in ("", "nan") for cell in column])


def _refuse_missing(table: Table, target: str, column: Column) -> None:
    missing = _without_label(column)
    if missing.any():
        row = int(missing.argmax())
        raise DataError(
            f"{table.label}, {table.place(row)}: column {quoted(target)} has no label "
            f"({counted(int(missing.sum()), 'row')} without one); fill it in, or leave out the row"
        )


def _classes(column: Column) -> tuple[tuple[str, ...], np.ndarray, bool]:
    """The classes' names, each row's number, and whether all are numbers."""
    cells = column
    if not isinstance(cells, np.ndarray) and all(NUMBER.fullmatch(cell) for cell in cells):
        cells = np.array([float(cell) for cell in cells])
    values, index = np.unique(np.asarray(cells), return_inverse=True)
    numeric = isinstance(cells, np.ndarray)
    names = tuple(_written(float(value)) if numeric else str(value) for value in values)
    return names, index, numeric


def _written(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(value)


def _refuse_classes(table: Table, target: str, classes: tuple[str, ...], index: np.ndarray) -> None:
    where = f"{table.label}: column {quoted(target)}"
    if len(classes) < 2:
        raise DataError(f"{where} holds one label only, {quoted(classes[0])}; choose a column with two or more classes")
    counts = np.bincount(index)
    if len(classes) > min(MAX_CLASSES, max(2, len(index) // 2)):
        raise DataError(
            f"{where} holds {len(classes)} different labels in {counted(len(index), 'row')}; a class needs several "
            "rows: learn it as a number (leave out the task), or join classes"
        )
    if counts.min() < 2:
        rare = int(counts.argmin())
        row = int((index == rare).argmax())
        raise DataError(
            f"{where} holds the label {quoted(classes[rare])} once only, {table.place(row)}; a class needs two rows or "
            "more: leave out the row, or give it to another class"
        )


def _each_in_training(data: Dataset, n_rows: int) -> Dataset:
    """The data set, with all rows of a class moved to the training rows if it had none there.

    Args:
        n_rows: that may be moved: those after them belong to a test table.

    Raises:
        DataError: if rows are divided by groups or time, and so cannot be moved.
    """
    index = data.y[:, 0]
    lacking = [value for value in torch.unique(index) if not bool((index[data.train] == value).any())]
    if not lacking:
        return data
    if data.groups is not None or data.order is not None:
        raise DataError(
            f"{len(lacking)} of the classes of {quoted(data.target_names[0])} would have no training rows under this "
            "split; split at random, or hold out fewer rows"
        )
    moved = torch.isin(index, torch.stack(lacking)) & (torch.arange(len(index)) < n_rows)
    train = torch.cat([data.train, moved.nonzero().flatten()]).sort().values
    validation, test = (rows[~moved[rows]] for rows in (data.validation, data.test))
    return replace(data, train=train, validation=validation, test=test)


def label_deviation(table: ClassificationDataset) -> float | None:
    """The standard deviation of labels that are numbers; None if it is too small or too large for products of it."""
    values = torch.tensor([float(name) for name in table.classes], dtype=torch.float64)
    deviation = float(values[table.indices].std())
    return deviation if _MIN_UNIT < deviation < 1 / _MIN_UNIT else None


def majority_class(table: ClassificationDataset) -> int:
    """The class of most training rows."""
    return int(table.counts(table.data.train).argmax())


def entropy(table: ClassificationDataset) -> float:
    """Cross-entropy of a model that predicts the classes' frequencies, whatever the features are."""
    shares = table.counts(table.data.train).double()
    shares = shares[shares > 0] / shares.sum()
    return -float((shares * shares.log()).sum())
