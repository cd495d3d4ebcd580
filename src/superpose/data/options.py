"""The options on the rows of a data set: which are held out, how they are divided, and how much each counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypedDict

from superpose.errors import OptionError
from superpose.messages import nearest, quoted


class SplitRule(NamedTuple):
    """How rows are divided: ``"random"``, or by the ``"time"`` or the ``"group"`` in a column."""

    kind: str
    column: str

    @classmethod
    def read(cls, text: Any, option: str = "split") -> SplitRule:
        """The rule that was written.

        Raises:
            OptionError: for everything but ``random``, ``time:COLUMN`` and ``group:COLUMN``.

        >>> SplitRule.read("group:patient")
        SplitRule(kind='group', column='patient')
        """
        kind, _, column = text.partition(":") if isinstance(text, str) else ("", "", "")
        column = column.strip()
        if (kind == "random" and text == kind) or (kind in ("time", "group") and column):
            return cls(kind, column)
        raise OptionError(f"{option} is {quoted(text)} and must be random, time:COLUMN or group:COLUMN")


class RowOptions(TypedDict, total=False):
    """Options on rows, the same for every way of making a :class:`~superpose.Dataset`.

    Attributes:
        validation: the share of the rows that is held out to choose among models. None (default): 0.15 from 500 rows
            on; below that none, so that all rows train.
        test: the share of the rows that is held out to judge the result, by default like ``validation``; or a table of
            its own with the same columns, all of whose rows are for the test: a path, a data frame, or a pair of
            arrays ``(x, y)``.
        split: ``"random"`` (default); ``"time:COLUMN"``, where the last rows in that order are for the test and those
            before them for validation (numbers, or dates such as 2024-01-31); ``"group:COLUMN"``, where no group is in
            two parts. The column is a feature only if it is named as one.
        weights: how much each row counts: a column, which is no feature then, or ``N`` numbers. Only ratios matter.
            Where they are ``N`` numbers, rows of a test table count 1 each.
        sigma: the standard deviation of each row's measurement error, in the same two ways; the weights are
            ``1 / sigma**2``.
        seed: of the split, 0 by default; the same seed gives the same split.
        missing: what is done with missing cells: ``"error"`` (default); ``"drop"`` leaves out their rows; ``"median"``
            fills them with the median of the training rows, or the most frequent level; ``"indicator"`` does the same
            and adds a column of 0 and 1 that says where. Predictions follow the same rule; after ``"drop"`` they are
            NaN in such rows.
        categories: names of columns that are categories whatever they hold, such as numbers of months. Columns of text
            with few levels are by themselves, unless this is ``"none"``.
        dates: parts of columns of dates that are columns too, beside the time that has passed: ``"sold:hour,weekday"``,
            a list of such texts, or a mapping such as ``{"sold": ["hour", "weekday"]}``. There are ``hour`` and
            ``month`` (sine and cosine), and ``weekday`` (a column of 0 and 1 for each day); ``day-first`` and
            ``month-first`` say what 01/02/2024 means. ``"none"`` leaves columns of dates out.
    """

    validation: float | None
    test: Any
    split: str
    weights: Any
    sigma: Any
    seed: int
    missing: str
    categories: Any
    dates: Any


def check_names(function: str, options: Mapping[str, Any], more: tuple[str, ...] = ()) -> None:
    """Raise :class:`OptionError` for an option that does not exist; ``more`` are the function's other options."""
    known = [*RowOptions.__annotations__, *more]
    for name in options:
        if name not in RowOptions.__annotations__:
            raise OptionError(f"{function} has no option {name!r}{nearest(name, known)}")


def weighing_columns(options: RowOptions) -> list[str]:
    """The column that says how much each row counts, if there is one.

    Raises:
        OptionError: if two options say so.
    """
    if options.get("weights") is not None and options.get("sigma") is not None:
        raise OptionError("weights and sigma both say how much each row counts; give one of them")
    return [name for name in (options.get("weights"), options.get("sigma")) if isinstance(name, str)]


def dividing_columns(options: RowOptions) -> list[str]:
    """The column that rows are divided by, if there is one."""
    column = SplitRule.read(options.get("split", "random")).column
    return [column] if column else []
