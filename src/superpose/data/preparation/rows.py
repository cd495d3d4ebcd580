"""The rows of a table that a data set is made of: what is done with missing cells before rows are divided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy

from superpose.data.arrays import real_array
from superpose.data.columns import Roles, refuse_constant, refuse_few_rows
from superpose.data.options import RowOptions
from superpose.data.preparation.cells import BoolArray, missing_mask, numbers_with_gaps, refuse_missing
from superpose.data.preparation.options import PreparationOptions
from superpose.data.preparation.understanding import RawTable, target_numbers
from superpose.data.splitting import HOLD_OUT
from superpose.data.tables import FloatArray, Table
from superpose.errors import DataError
from superpose.messages import counted, quoted

# A column whose gaps alone cost this share of the rows is named. A round number.
_MANY = 0.1


@dataclass(frozen=True, eq=False)
class RawRows:
    """A table whose targets are all there, and whose features may have gaps that are filled later.

    Attributes:
        raw: the table, and how its features are understood.
        targets: by name, ``[N]`` each.
        test: a table of its own for the test, or None; its targets are numbers.
        options: those that were given, with weights of the rows that are left.
        notes: sentences on rows that were left out, and on targets in percent.
        dropped: the numbers of the rows that were left out, in ascending order.
    """

    raw: RawTable
    targets: dict[str, FloatArray]
    test: Table | None
    options: RowOptions
    notes: tuple[str, ...]
    dropped: tuple[int, ...] = ()


def read_rows(table: Table, test: Table | None, roles: Roles, options: RowOptions) -> RawRows:
    """Look at the columns of a table, and leave out rows with missing cells if that is wanted.

    Raises:
        DataError: if a target has a missing cell or is constant, or a feature has missing cells and nothing is said of
            them, or too few rows are left.
        OptionError: for an option that makes no sense.
    """
    settings = PreparationOptions.read(options)
    dropping = settings.missing == "drop"
    left_out: tuple[int, ...] = ()
    numeric, notes = target_numbers(table, roles.targets)
    if not dropping:
        for name in roles.targets:
            refuse_missing(table, name, missing_mask(numeric.column(name)), target=True)
        refuse_constant(table, _targets(numeric, roles), "target", "choose a column that varies")
    raw = RawTable.of(numeric, roles.features, settings, named=roles.named)
    notes += raw.notes
    if settings.missing == "error":
        raw.refuse_missing()
    if dropping:
        missing = raw.missing() | _missing_targets(numeric, roles)
        costly = _costly_column(raw, _missing_targets(numeric, roles))
        raw = raw.rows(numpy.flatnonzero(~missing))
        left_out = tuple(numpy.flatnonzero(missing).tolist())
        notes += [*dropped(table, missing), *costly]
        options = of_rows(options, missing)
        refuse_few_rows(raw.table, HOLD_OUT.min_rows)
        refuse_constant(table, _targets(raw.table, roles), "target", "choose a column that varies")
    if test is not None:
        test, more = _test_rows(test, raw, roles, dropping=dropping)
        notes += more
    return RawRows(raw, _targets(raw.table, roles), test, options, tuple(notes), left_out)


def _targets(table: Table, roles: Roles) -> dict[str, FloatArray]:
    return {name: numbers_with_gaps(table, name) for name in roles.targets}


def _missing_targets(table: Table, roles: Roles) -> BoolArray:
    found = numpy.zeros(table.n_rows, dtype=bool)
    for name in roles.targets:
        found |= missing_mask(table.column(name))
    return found


def _test_rows(test: Table, raw: RawTable, roles: Roles, *, dropping: bool) -> tuple[Table, list[str]]:
    for name in roles.targets:
        test.require(name, "the target, as in the table to learn from")
    numeric, _ = target_numbers(test, roles.targets)
    missing = _missing_targets(numeric, roles)
    if not dropping:
        for name in roles.targets:
            refuse_missing(test, name, missing_mask(numeric.column(name)), target=True)
        return numeric, []
    missing |= raw.missing(numeric)
    if missing.all():
        raise DataError(f"{test.label} has no row without a missing cell; fill some, or give another table")
    return numeric.rows(numpy.flatnonzero(~missing)), dropped(test, missing)


def dropped(table: Table, missing: BoolArray) -> list[str]:
    """A sentence on the rows that were left out, if there are any."""
    if not missing.any():
        return []
    return [
        f"{int(missing.sum())} of {counted(table.n_rows, 'row')} of {table.label} have missing cells and are left out, "
        f"the first in {table.place(int(missing.argmax()))}"
    ]


def _costly_column(raw: RawTable, missing_targets: BoolArray) -> list[str]:
    """A sentence on the feature whose gaps alone cost the most rows, if these are many."""
    gaps = {name: raw.missing_in(name) for name in raw.kinds if name in raw.table.names}
    count = missing_targets.astype(int)
    for gone in gaps.values():
        count += gone
    alone = {name: int((gone & (count == 1)).sum()) for name, gone in gaps.items()}
    worst = max(alone, key=lambda name: alone[name], default="")
    if len(alone) < 2 or alone[worst] < _MANY * raw.table.n_rows:
        return []
    return [
        f"{alone[worst]} of the rows left out miss only the cell of column {quoted(worst)}; without that column "
        "(exclude, --exclude) they stay"
    ]


def of_rows(options: RowOptions, missing: BoolArray) -> RowOptions:
    """The options with the weights of the rows that are left, where these were given as numbers."""
    made: Any = {**options}
    for name in ("weights", "sigma"):
        given = made.get(name)
        if given is not None and not isinstance(given, str):
            values = real_array(given, name).reshape(-1)
            made[name] = values[~missing] if len(values) == len(missing) else values
    kept: RowOptions = made
    return kept
