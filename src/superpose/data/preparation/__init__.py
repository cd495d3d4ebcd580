"""Raw columns of a table, as people have them, and the columns of numbers that a model learns from."""

from superpose.data.preparation.columns import (
    BooleanColumn,
    CategoryColumn,
    NumberColumn,
    OrderedColumn,
    PercentColumn,
    RawColumn,
)
from superpose.data.preparation.date_column import DateColumn
from superpose.data.preparation.options import PreparationOptions
from superpose.data.preparation.preparation import Preparation

__all__ = [
    "KINDS",
    "BooleanColumn",
    "CategoryColumn",
    "DateColumn",
    "NumberColumn",
    "OrderedColumn",
    "PercentColumn",
    "Preparation",
    "PreparationOptions",
    "RawColumn",
]

# Every kind of raw column, by the name that model files have for it.
KINDS: dict[str, type[RawColumn]] = {
    kind.kind: kind for kind in (NumberColumn, PercentColumn, BooleanColumn, CategoryColumn, OrderedColumn, DateColumn)
}
