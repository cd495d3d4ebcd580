"""What a model file holds of the raw columns of a table: an entry of its description."""

from __future__ import annotations

import dataclasses
from typing import Any

from superpose.choices import MISSING
from superpose.data.preparation import KINDS, CategoryColumn, DateColumn, OrderedColumn, Preparation, RawColumn
from superpose.data.preparation.dates import DAY_FIRST, MONTH_FIRST, PARTS, UNITS
from superpose.files.values import as_array, as_object, check_finite, damaged
from superpose.messages import quoted

_WHAT = "its preparation"
_MOST_COLUMNS = 1 << 20
_MOST_LEVELS = 1 << 16


def describe(preparation: Preparation) -> dict[str, Any]:
    """The entry, ready for JSON."""
    return {
        "missing": preparation.missing,
        "columns": [
            {"kind": column.kind} | {name: _plain(value) for name, value in vars(column).items()}
            for column in preparation.columns
        ],
    }


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def built(made: Any) -> Preparation:
    """The preparation of an entry, which is checked."""
    entry = as_object(made, _WHAT, {"missing", "columns"})
    if entry["missing"] not in MISSING:
        damaged(f"{quoted(entry['missing'])} is nothing that is done with missing cells")
    columns = as_array(entry["columns"], f"the columns of {_WHAT}", 0, _MOST_COLUMNS)
    preparation = Preparation(tuple(_column(column) for column in columns), entry["missing"])
    for names in (preparation.raw_names, preparation.names):
        if len(set(names)) < len(names):
            damaged(f"{_WHAT} has two columns of one name")
    return preparation


def _column(made: Any) -> RawColumn:
    what = f"a column of {_WHAT}"
    kind = as_object(made, what, {"kind", "name"}, others=True)["kind"]
    if not isinstance(kind, str) or kind not in KINDS:
        damaged(f"{quoted(kind)} is no kind of column")
    fields = dataclasses.fields(KINDS[kind])
    as_object(made, what, {"kind", *(field.name for field in fields)})
    values: dict[str, Any] = {field.name: _checked(field, made[field.name], what) for field in fields}
    column = KINDS[kind](**values)
    if not column.name:
        damaged(f"{what} has no name")
    if isinstance(column, CategoryColumn | OrderedColumn):
        _check_levels(column)
    if isinstance(column, DateColumn):
        _check_dates(column)
    return column


def _checked(field: dataclasses.Field[Any], value: Any, what: str) -> Any:
    """A value of the kind that the field has: text, truth, a list of texts, or a number that may be missing."""
    if field.type == "str | None" and value is not None and not isinstance(value, str):
        damaged(f"the {field.name} of {what} is {quoted(value)} and should be text")
    if field.type == "str" and not isinstance(value, str):
        damaged(f"the {field.name} of {what} is {quoted(value)} and should be text")
    if field.type == "bool" and type(value) is not bool:
        damaged(f"the {field.name} of {what} is neither true nor false")
    if field.type == "tuple[str, ...]":
        texts = as_array(value, f"the {field.name} of {what}", 0, _MOST_LEVELS)
        if not all(isinstance(text, str) and text for text in texts) or len(set(texts)) < len(texts):
            damaged(f"the {field.name} of {what} are no different texts")
        return tuple(texts)
    if field.type == "float" or (field.type == "float | None" and value is not None):
        check_finite(value, f"the {field.name} of {what}")
        return float(value)
    return value


def _check_dates(column: DateColumn) -> None:
    where = f"column {quoted(column.name)} of {_WHAT}"
    if column.unit not in UNITS:
        damaged(f"{where} counts time in {quoted(column.unit)}")
    if column.order not in (None, DAY_FIRST, MONTH_FIRST):
        damaged(f"{where} has dates in which {quoted(column.order)} comes first")
    if not set(column.parts) <= set(PARTS):
        damaged(f"{where} has {quoted(column.parts)} as parts of dates")
    # Dates end with the year 9999.
    if not all(abs(seconds) < 2.5e11 for seconds in (column.origin, column.fill or 0.0)):
        damaged(f"{where} counts time from no date")


def _check_levels(column: CategoryColumn | OrderedColumn) -> None:
    where = f"column {quoted(column.name)} of {_WHAT}"
    if isinstance(column, OrderedColumn):
        least, most = 1, len(column.levels)
        few = not column.levels
    else:
        least, most = 0, len(column.levels)
        few = len(column.levels) + column.other < 2 or not column.levels
        if set(column.levels) & set(column.rare):
            damaged(f"{where} has a level that is rare and is not")
    if few:
        damaged(f"{where} has too few levels")
    if column.fill is not None and column.fill not in range(least, most + 1) and column.kind == "category":
        damaged(f"{where} fills cells with a level that it does not have")
