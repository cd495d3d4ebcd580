"""What was understood of the table, for the page: the same lines as ``superpose describe`` prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from superpose.data.description import TableDescription
from superpose.messages import counted
from superpose.plot import canvas
from superpose.tasks.result import TaskResult


@dataclass(frozen=True)
class Columns:
    """The columns of the table.

    Attributes:
        title: how many rows and columns there are.
        head: the headings.
        lines: a line for each column.
        open: whether they are shown at once, since some column is no plain number.
    """

    title: str
    head: Sequence[str]
    lines: Sequence[Sequence[str]]
    open: bool


def columns_of(result: TaskResult) -> Columns | None:
    """The columns of the table of a run; None for data sets that were not made of a table."""
    data = result.data
    if not data.raw_columns:
        return None
    found = TableDescription("", data.n_rows, data.raw_columns)
    title = f"The table: {counted(data.n_rows, 'row')}, {counted(len(found.columns), 'column')}"
    lines = [[canvas.clean(cell) for cell in line] for line in found.lines()]
    # More lines would push the results off the screen. A round number.
    return Columns(title, found.HEAD, lines, found.raw and len(lines) <= 12)
