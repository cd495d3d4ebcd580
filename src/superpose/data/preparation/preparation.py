"""Preparation: the columns of numbers that a model learns from, made of a table's raw columns."""

from __future__ import annotations

import functools
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import numpy.typing

from superpose.data.preparation.cells import gaps, refuse_missing
from superpose.data.preparation.columns import RawColumn
from superpose.data.preparation.options import PreparationOptions
from superpose.data.preparation.understanding import RawTable
from superpose.data.tables import FloatArray, Table
from superpose.errors import DataError, DataWarning
from superpose.messages import counted, quoted


@dataclass(frozen=True)
class Preparation:
    """How raw columns become the columns of numbers that a model learns from; the same for every later table.

    Attributes:
        columns: the raw columns, in the order of the table.
        missing: what is done with missing cells: ``"error"``, ``"drop"``, ``"median"`` or ``"indicator"``.

    >>> table = Table("'t'", ("size", "species"), (numpy.array([1.0, 2, 3, 4]), ["cat", "dog", "cat", "dog"]))
    >>> preparation = Preparation.fit(table)
    >>> preparation.names
    ('size', 'species = dog')
    >>> preparation.apply(table).columns[1].tolist()
    [0.0, 1.0, 0.0, 1.0]
    """

    columns: tuple[RawColumn, ...]
    missing: str = "error"

    @classmethod
    def fit(
        cls,
        table: Table,
        names: Sequence[str] | None = None,
        *,
        rows: numpy.typing.NDArray[numpy.int64] | None = None,
        **options: Any,
    ) -> Preparation:
        """The preparation of a table.

        Args:
            table: with its raw columns.
            names: of the columns, each of which has to be usable; None for all that are.
            rows: the numbers of the rows that medians and levels are taken from; all by default.
            options: ``missing``, ``categories`` and others of :class:`~superpose.data.RowOptions`.

        Raises:
            DataError: if a column cannot be used, or cells are missing and nothing is said of them.
            OptionError: for an option that makes no sense.
        """
        chosen = table.names if names is None else names
        raw = RawTable.of(table, chosen, PreparationOptions.read(options), named=names is not None)
        if raw.options.missing == "error":
            raw.refuse_missing()
        if rows is None:
            rows = numpy.flatnonzero(~raw.missing()) if raw.options.missing == "drop" else numpy.arange(table.n_rows)
        return fitted(raw, rows, named=names is not None)[0]

    @property
    def raw_names(self) -> tuple[str, ...]:
        """The names of the raw columns."""
        return tuple(column.name for column in self.columns)

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the columns that they become."""
        return tuple(name for column in self.columns for name in column.names)

    @functools.cached_property
    def meanings(self) -> Mapping[str, str]:
        """What each of these columns is, in words."""
        found: dict[str, str] = {}
        for column in self.columns:
            filled = "" if column.fill is None else f"; missing cells count as {column.filling}"
            words = (f"{meaning}{filled}" for meaning in column.meanings)
            found |= dict(zip(column.value_names, words, strict=True))
            if column.indicator:
                found[column.names[-1]] = f"1 where {column.name} is missing, else 0"
        return found

    def only(self, names: Sequence[str]) -> Preparation:
        """The raw columns of which some columns of numbers are made."""
        return Preparation(
            tuple(column for column in self.columns if any(name in names for name in column.names)), self.missing
        )

    def require(self, test: Table) -> None:
        """Raise unless a test table has every raw column, or the columns that it becomes."""
        for column in self.columns:
            if not all(name in test.names for name in column.names):
                test.require(column.name, "a feature, as in the table to learn from")

    @property
    def plain(self) -> bool:
        """Whether all columns are taken as they are."""
        return self.missing == "error" and all(column.plain for column in self.columns)

    def apply(
        self,
        table: Table,
        names: Sequence[str] | None = None,
        *,
        notes: list[str] | None = None,
        fills: list[str] | None = None,
    ) -> Table:
        """The columns of numbers of a table.

        A raw column that the table does not have is not needed where the columns that it becomes are there. So a table
        that was prepared before is taken as it is.

        Args:
            table: with the raw columns, in any order, and any others.
            names: of the columns of numbers that are wanted, all by default; others are taken from the table.
            notes: takes the sentences on what may be wrong, such as levels that were never seen; without it each is
                given as a :class:`~superpose.errors.DataWarning`.
            fills: takes those on missing cells that were filled; ``notes`` takes them without it.

        Returns:
            A table with these columns, float64 or as they were. With ``missing="drop"`` cells that are missing are NaN,
            and so are the columns made of them.

        Raises:
            DataError: if a column is missing, or a cell cannot be used.
        """
        wanted = self.names if names is None else tuple(names)
        found: dict[str, FloatArray] = {}
        told: list[str] = []
        for column in self.columns:
            made = [name for name in column.names if name in wanted]
            raw = column.name in table.names and not (column.indicator and column.names[-1] in table.names)
            if not made or (not raw and all(name in table.names for name in made)):
                continue
            table.require(column.name, "a feature of the model")
            found |= dict(zip(column.names, self._made(column, table, told, fills), strict=True))
        for name in wanted:
            if name not in found:
                table.require(name, "a feature of the model")
                found[name] = table.numbers(name)
        if notes is not None:
            notes += told
        else:
            for sentence in told:
                warnings.warn(sentence, DataWarning, stacklevel=3)
        finite = frozenset(name for name in wanted if name in table.finite and found[name] is table.column(name))
        columns = tuple(found[name] for name in wanted)
        return Table(table.label, wanted, columns, table.place, storage=table.storage, finite=finite)

    def _made(self, column: RawColumn, table: Table, notes: list[str], fills: list[str] | None) -> list[FloatArray]:
        """The columns of numbers that one raw column becomes."""
        values = column.read(table, notes)
        whole = column.name in table.finite and values is table.column(column.name)
        missing = numpy.zeros(len(values), dtype=bool) if whole else gaps(values)
        if not missing.any():
            extra = [numpy.zeros(len(values))] if column.indicator else []
            return [*column.spread(values), *extra]
        if self.missing == "error":
            refuse_missing(table, column.name, missing)
        if column.fill is not None:
            values = numpy.where(missing, column.fill, values)
            if not column.indicator:
                (notes if fills is None else fills).append(
                    f"{table.label}: column {quoted(column.name)} has {counted(int(missing.sum()), 'row')} without a "
                    f"value, filled with {column.filling}"
                )
        return [*column.spread(values), *([missing.astype(numpy.float64)] if column.indicator else [])]


def fitted(
    raw: RawTable, rows: numpy.typing.NDArray[numpy.int64], *, named: bool
) -> tuple[Preparation, tuple[str, ...]]:
    """The preparation of a table that was looked at, and the names of columns with nothing to learn from.

    Args:
        raw: the table.
        rows: the numbers of the rows that medians and levels are taken from.
        named: whether a person named the columns, so that each has to be usable.

    Raises:
        DataError: if a column that was named has nothing to learn from, or two columns would get one name.
    """
    columns: list[RawColumn] = []
    left_out: list[str] = []
    for name in raw.kinds:
        column = raw.fitted(name, rows)
        if column is not None:
            columns.append(column)
        elif named:
            raise DataError(
                f"{raw.table.label}: the feature {quoted(name)} has one level only in the rows to learn from, or no "
                "level with enough rows; leave it out"
            )
        else:
            left_out.append(name)
    made = Preparation(tuple(columns), raw.options.missing)
    twice = [name for name, count in Counter(made.names).items() if count > 1]
    if twice:
        raise DataError(
            f"{raw.table.label}: two columns would be named {quoted(twice[0])}, one of which is made of a column of "
            "text; rename one of them"
        )
    return made, tuple(left_out)
