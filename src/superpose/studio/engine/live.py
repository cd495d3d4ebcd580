"""What a run shows while it goes on: sentences, training steps, formulas, and the network's curves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from superpose.data import Dataset
from superpose.data.arrays import root_mean_square
from superpose.deadline import Clock, Deadline
from superpose.formulas.recommendation import Finding, front
from superpose.nn.model import KAN
from superpose.studio.engine.pictures import curves
from superpose.train.history import Record

Json = dict[str, Any]
Emit = Callable[..., None]

# Seconds between two pictures of the network; ten in a second are more than a person tells apart.
_FRAME = 0.1


class Live:
    """Sends what happens as events, the network's curves no more often than they can be seen.

    Args:
        emit: sends an event.
        data: of the run.
        clock: of the run, whose seconds do not pass while it is held.
        classes: whether the target is one of some classes.
    """

    def __init__(self, emit: Emit, data: Dataset, clock: Clock, *, classes: bool = False) -> None:
        self._emit, self._data = emit, data
        self._time, self._frame = Deadline(None, clock), Deadline(0.0, clock)
        self._clock = clock
        # Losses of classes are cross-entropies already.
        self._spread = 1.0 if classes else root_mean_square(data.y_scale.scale)
        self._network: int | None = None
        self._steps = 0
        self.findings: list[Finding] = []

    def sentence(self, text: str) -> None:
        """Something was reached."""
        self._emit("log", text=text, seconds=self._time.elapsed())

    def step(self, model: KAN, record: Record) -> None:
        """A training step of a network."""
        if id(model) != self._network:
            self._network = id(model)
            self._emit("network", shape=list(model.widths))
        point = [self._steps, record.train_loss * self._spread, record.validation_loss * self._spread]
        self._steps += 1
        self._emit("step", point=point, grid=record.grid_size, change=record.event, seconds=self._time.elapsed())
        if self._frame.passed():
            self.picture(model)

    def picture(self, model: KAN) -> None:
        """The network's curves as they are."""
        self._emit("picture", picture=curves(model))
        self._frame = Deadline(_FRAME, self._clock)

    def finding(self, finding: Finding) -> None:
        """A formula that may be recommended."""
        self.findings.append(finding)
        rows = [
            {
                "complexity": one.formula.complexity,
                "error": one.error * self._spread,
                "formula": str(one.formula),
                "mathml": one.formula.mathml_trees(),
                "recommended": False,
            }
            for one in front(self.findings, None)
        ]
        self._emit("front", rows=rows, seconds=self._time.elapsed())


def front_rows(metrics: Mapping[str, Any], formulas: list[Any]) -> list[Json]:
    """The front of a finished run, with the formulas as MathML."""
    rows = [row for row in metrics.get("front", []) if "formula" in row]
    return [
        {
            "complexity": row["complexity"],
            "error": row.get("rmse", row.get("cross_entropy")),
            "r2": row.get("r2"),
            "accuracy": row.get("accuracy"),
            "formula": row["formula"],
            "mathml": formula.mathml_trees(),
            "recommended": row["recommended"],
        }
        for row, formula in zip(rows, formulas, strict=False)
    ]
