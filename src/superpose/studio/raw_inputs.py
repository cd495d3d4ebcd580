"""The inputs of a prediction as the table has them: a category, a date or a gap, in place of the numbers made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from superpose.checks import is_finite
from superpose.data import Dataset
from superpose.data.preparation import Preparation
from superpose.data.preparation.columns import OTHER, BooleanColumn, CategoryColumn, OrderedColumn, RawColumn
from superpose.data.preparation.date_column import DateColumn
from superpose.data.preparation.dates import UNITS, stamp
from superpose.data.tables import Table
from superpose.errors import OptionError
from superpose.nn.model import KAN

_YES_NO = ("no", "yes")


@dataclass(frozen=True)
class RawInput:
    """A column of the table from which columns of numbers were made.

    Attributes:
        column: how they are made.
        places: which inputs of the model they are.
        names: of these.
        missing: the rule for missing cells.
    """

    column: RawColumn
    places: tuple[int, ...]
    names: tuple[str, ...]
    missing: str

    @property
    def choices(self) -> tuple[str, ...]:
        """The values that there are, for columns of levels; empty for others."""
        column = self.column
        if isinstance(column, CategoryColumn):
            return (*column.levels, *((OTHER,) if column.other else ()))
        if isinstance(column, OrderedColumn):
            return column.levels
        return _YES_NO if isinstance(column, BooleanColumn) else ()

    def numbers(self, value: Any, notes: list[str]) -> Tensor:
        """The model's inputs for a value of the table's column; None is a missing cell.

        Raises:
            SuperposeError: for a value that the column cannot have.
        """
        number = is_finite(value)
        if not (value is None or isinstance(value, str) or number):
            raise OptionError(
                f"the value of {self.column.name!r} is a text, a finite number, or None for a missing cell"
            )
        text = "" if value is None else repr(float(value)) if number else value
        if number and self.choices and not isinstance(self.column, BooleanColumn):
            # Levels are texts, also where they are numbers.
            text = f"{value:g}"
        if not text.strip() and self.column.fill is None:
            raise OptionError(
                f"{self.column.name!r} is missing, and no row that the model was fitted to has a gap there"
            )
        made = Preparation((self.column,), self.missing).apply(
            Table("the values", (self.column.name,), ([text],)), self.names, notes=notes, fills=[]
        )
        return torch.tensor([float(numbers[0]) for numbers in made.numbers_only()], dtype=torch.float64)

    def usual(self, x: Tensor) -> Tensor:
        """What training rows ``x [N, n_in]`` usually have: the level of most rows, or the row next to the median."""
        own = x[:, list(self.places)]
        if self.choices:
            found = np.unique(own.numpy(), axis=0, return_counts=True)
            return torch.from_numpy(found[0][found[1].argmax()])
        if self.column.indicator and self.names[-1] == self.column.names[-1] and len(self.names) > 1:
            # A value that was there.
            known = own[own[:, -1] == 0]
            own = known if len(known) else own
        return own[(own[:, 0] - own[:, 0].median()).abs().argmin()]

    def shown(self, row: Tensor, low: Tensor, high: Tensor) -> dict[str, Any]:
        """The control: its value in a row ``[n_in]``, and its range or its levels."""
        own = row[list(self.places)]
        found: dict[str, Any] = {
            "name": self.column.name,
            "kind": self.column.kind,
            "inputs": list(self.names),
            "choices": list(self.choices) or None,
            "missing": self.column.indicator,
            "value": None,
        }
        if self.column.indicator and self.names[-1] == self.column.names[-1] and own[-1] == 1:
            return found
        if self.choices:
            fits = (one for one in self.choices if torch.equal(self.numbers(one, []), own))
            return found | {"value": next(fits, None)}
        first = self.places[0]
        if isinstance(self.column, DateColumn):
            column = self.column
            seconds = UNITS[column.unit].seconds
            values = {"value": own[0], "low": low[first], "high": high[first]}
            return found | {
                name: stamp(column.origin + float(one) * seconds, UNITS["days"]) for name, one in values.items()
            }
        return found | {"value": float(own[0]), "low": float(low[first]), "high": float(high[first])}


def raw_inputs(model: KAN) -> list[RawInput]:
    """The columns of the table that are not taken as they are, as far as the model reads what is made of them."""
    preparation = model.preparation
    if preparation is None:
        return []
    places = {name: place for place, name in enumerate(model.feature_names)}
    found = []
    for column in preparation.columns:
        names = tuple(name for name in column.names if name in places)
        # A date without its time, and the like, are no one column of the table any more.
        if names and names[0] == column.names[0] and not column.plain:
            found.append(RawInput(column, tuple(places[name] for name in names), names, preparation.missing))
    return found


def row_of(given: Mapping[str, Any], model: KAN, data: Dataset, notes: list[str]) -> tuple[Tensor, set[str]]:
    """The usual row ``[n_in]`` with the values of the table's columns that are given, and the names of these."""
    x = data.features(data.train)
    row, read = x.median(0).values, set()
    for one in raw_inputs(model):
        row[list(one.places)] = one.usual(x)
        # A number keeps its name where it has an indicator beside it.
        if one.column.name in given:
            row[list(one.places)] = one.numbers(given[one.column.name], notes)
            read.add(one.column.name)
    return row, read


def outcomes(model: KAN, row: Tensor, choices: Sequence[tuple[str, Tensor]], places: Sequence[int]) -> list[Any]:
    """What the model gives for each level of a column, with all other inputs as they are: ``[choice, outputs]``."""
    rows = row.repeat(len(choices), 1)
    for number, (_, values) in enumerate(choices):
        rows[number, list(places)] = values
    values = model.values(rows).tolist()
    return [[name, list(line)] for (name, _), line in zip(choices, values, strict=True)]
