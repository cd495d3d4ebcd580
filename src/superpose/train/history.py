"""History: what happened during training, and why it stopped."""

from __future__ import annotations

import csv
import io
import math
import os
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING

from superpose.atomic_write import write_atomically
from superpose.notebook_html import html_curve, html_paragraph, html_table
from superpose.short_repr import brief
from superpose.stopping import StopReason

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class Record:
    """One step of training.

    Attributes:
        step: counted from 0, the state before any step.
        event: ``"start"``, ``"adapt"`` or ``"refine"`` where the grid was chosen or changed just before (the losses
            are those right after the change), else empty.
        grid_size: intervals of the finest layer's grid.
        train_loss, validation_loss: root mean squared error in scaled target units (or the value of the loss that
            was given), without penalties.
        seconds: since the start of the fit.
    """

    step: int
    event: str
    grid_size: int
    train_loss: float
    validation_loss: float
    seconds: float


@dataclass
class History:
    """What :func:`superpose.fit` returns.

    Attributes:
        records: one :class:`~superpose.train.Record` for each step.
        optimizer: the optimiser's name; two where another took over.
        stop: why training ended.
        reason: a sentence with the details of that.
        notes: sentences on what was done otherwise than asked, such as a change of the optimiser.
        train_rmse, validation_rmse: of the model that was kept, in the target's units; for several targets the root
            of the mean over them. Weighted if the rows are, and so are the losses of the records.
        validated: whether there were validation rows; without any, ``validation_rmse`` and the validation losses are
            those of the training rows.
        estimated_rmse: without validation rows, the error on new rows that generalised cross-validation expects; NaN
            with validation rows, and for optimisers and losses for which there is none.
        seconds: wall-clock time of the whole fit, starts included.
    """

    __repr__ = brief

    records: list[Record] = field(default_factory=list)
    optimizer: str = ""
    stop: StopReason = StopReason.NOT_RUN
    reason: str = ""
    notes: list[str] = field(default_factory=list)
    train_rmse: float = float("nan")
    validation_rmse: float = float("nan")
    validated: bool = True
    estimated_rmse: float = float("nan")
    seconds: float = 0.0

    def _repr_html_(self) -> str:
        """What a notebook shows: how it ended, and the staircase of the errors."""
        judged = "validation" if self.validated else "training"
        losses = [math.log10(one.validation_loss) if one.validation_loss > 0 else math.nan for one in self.records]
        label = f"logarithm of the {judged} loss, step by step"
        head = ("optimiser", "steps", "grids", "training RMSE", f"{judged} RMSE", "seconds", "loss")
        row = (
            *(self.optimizer, len(self.records), ", ".join(map(str, self.grids)), self.train_rmse),
            *(self.validation_rmse, self.seconds, html_curve(losses, label, width=140)),
        )
        return html_table(head, [row]) + html_paragraph(self.reason)

    @property
    def interrupted(self) -> bool:
        """Whether a user interrupted the training."""
        return self.stop is StopReason.INTERRUPTED

    @property
    def grids(self) -> list[int]:
        """The grid sizes that were visited, in order."""
        sizes: list[int] = []
        for record in self.records:
            if not sizes or sizes[-1] != record.grid_size:
                sizes.append(record.grid_size)
        return sizes

    def frame(self) -> pandas.DataFrame:
        """The records as a table."""
        import pandas

        return pandas.DataFrame([asdict(record) for record in self.records], columns=_COLUMNS)

    def csv(self) -> str:
        """The records as the text of a CSV file."""
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(_COLUMNS)
        writer.writerows([getattr(record, column) for column in _COLUMNS] for record in self.records)
        return text.getvalue()

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the records to a CSV file; the file appears whole or not at all.

        Raises:
            FileError: if it cannot be written.
        """
        write_atomically(path, self.csv().encode())


_COLUMNS = [column.name for column in fields(Record)]
