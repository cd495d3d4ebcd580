"""What every task returns: a spline network, the same function as a formula, and how both were found."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from superpose.data import Dataset
from superpose.formulas.expressions.formula import Formula
from superpose.messages import counted
from superpose.nn.model import KAN
from superpose.notebook_html import html_paragraph, html_table
from superpose.partial import Failures
from superpose.short_repr import brief
from superpose.stopping import StopReason
from superpose.train.anova import AnovaAverage
from superpose.train.history import History, Record


def evaluation_rows(data: Dataset, metrics: Mapping[str, Any] | None = None) -> str:
    """Which rows errors are reported on, and how these were predicted, in words.

    Args:
        data: the table.
        metrics: of the run; errors that have a standard error are of rows that were left out of the fit.

    >>> evaluation_rows(Dataset.from_arrays([[0.0], [1.0], [2.0]], [0.0, 1.0, 2.0]))
    'all 3 rows, as none was held out'
    """
    if len(data.test):
        return f"{counted(len(data.test), 'row')} held out for the test"
    rows = f"all {data.n_rows} rows, as none was held out{' for a test' if len(data.validation) else ''}"
    known = metrics or {}
    how = [
        f"of the {what} by {known.get(f'{what}_judged', usual)}"
        for what, usual in (("formula", "leave-one-out"), ("network", "cross-validation"))
        if known.get(f"{what}_standard_error") is not None
    ]
    return f"{rows} ({', '.join(how)})" if how else rows


def warnings_of(result: TaskResult) -> list[str]:
    """Sentences on what may be wrong with the rows, and on the parts of the run that failed."""
    return [*result.data.notes, *result.failures.sentences]


def _nothing(*seen: object) -> None:
    pass


@dataclass(frozen=True)
class Observer:
    """Who sees a run while it goes on.

    Attributes:
        finding: called with every formula that may be recommended, a :class:`~superpose.formulas.Finding` of a search
            for numbers, when it was found.
        step: called with a network and the record of each of its training steps; the network goes on changing.
    """

    finding: Callable[[Any], None] = _nothing
    step: Callable[[KAN, Record], None] = _nothing


@dataclass
class TaskResult(ABC):
    """The fields that the results of all tasks share.

    Attributes:
        network: the spline network.
        symbolic: the network whose edges are the functions of the formula; None if there is no formula, or none that
            a network can represent.
        formula: the recommended formula, or None.
        history: of the training of ``network``.
        data: the data set that ``network`` was trained on.
        metrics: numbers and facts, ready for JSON; ``metrics["warnings"]`` lists what failed.
        failures: the parts of the run that failed, with their tracebacks.
        smooth: the sum of smooth functions that ``network`` computes, where it is one; it has standard errors.
    """

    __repr__ = brief

    network: KAN
    symbolic: KAN | None
    formula: Formula | None
    history: History
    data: Dataset
    metrics: dict[str, Any]
    failures: Failures = field(default_factory=Failures, kw_only=True, repr=False)
    smooth: AnovaAverage | None = field(default=None, kw_only=True, repr=False)

    def __post_init__(self) -> None:
        # Sums of smooth functions and parts of networks know no table.
        for model in (self.network, self.symbolic):
            if model is not None and model.preparation is None:
                model.preparation = self.data.preparation

    def _repr_html_(self) -> str:
        """What a notebook shows: the formula, the errors of both models, and how the run ended."""
        names = {"rmse": "RMSE", "accuracy": "accuracy", "r2": "R²"}
        models = [name for name in ("formula", "network") if any(f"{name}_{one}" in self.metrics for one in names)]
        columns = [one for one in names if any(f"{name}_{one}" in self.metrics for name in models)]
        rows = [(name, *(self.metrics.get(f"{name}_{one}") for one in columns)) for name in models]
        caption = f"on {evaluation_rows(self.data, self.metrics)}"
        shown = "" if self.formula is None else self.formula.mathml()
        errors = html_table(("", *(names[one] for one in columns)), rows, caption) if rows else ""
        last = html_paragraph(str(self.metrics.get("reason", "")))
        warnings = "".join(html_paragraph(one) for one in warnings_of(self))
        return f"{shown}{errors}{last}{warnings}" or html_paragraph(repr(self))

    @property
    def model(self) -> KAN:
        """The symbolic network, or the spline network where there is none, as ``model.safetensors`` holds it."""
        return self.network if self.symbolic is None else self.symbolic

    @property
    def stop(self) -> StopReason:
        """Why the search ended; ``metrics["reason"]`` is a sentence with the details of the run."""
        return StopReason(self.metrics.get("stop", StopReason.NOT_RUN))

    @property
    @abstractmethod
    def front(self) -> list[Formula]:
        """The formulas that no simpler one surpasses, from simple to accurate, and the recommended one."""
