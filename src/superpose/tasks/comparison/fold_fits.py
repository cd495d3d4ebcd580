"""Methods that share a fit, fitted on the training rows of one fold and judged on its test rows."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from superpose.data.tables import FloatArray
from superpose.deadline import Deadline
from superpose.errors import SuperposeError
from superpose.messages import counted
from superpose.short_repr import brief
from superpose.tasks.comparison.fitted import Fit, TrainingRows
from superpose.tasks.comparison.folds import Fold
from superpose.tasks.comparison.table import ComparisonTable

# Of a reason: a line of a terminal or two.
_LONGEST = 160


@dataclass(frozen=True, eq=False)
class FoldJob:
    """What a process needs to judge methods on a fold.

    Attributes:
        table: all rows.
        fold: which of them are for what.
        fit: of the methods.
        names: of those that are judged.
        seed: of every random choice.
        seconds: that the fit may take.
    """

    __repr__ = brief

    table: ComparisonTable
    fold: Fold
    fit: Fit
    names: tuple[str, ...]
    seed: int
    seconds: float


@dataclass(frozen=True)
class Judged:
    """A method on a fold.

    Attributes:
        loss: mean squared error in units of the target's variance, or share of wrong rows.
        seconds: of the fit and the prediction.
        size, note: as those of :class:`~superpose.tasks.comparison.fitted.FittedMethod`.
        failure: why there is none of these; empty if there are.
    """

    loss: float = math.nan
    seconds: float = 0.0
    size: int | None = None
    note: str = ""
    failure: str = ""


@dataclass(frozen=True)
class FoldAnswer:
    """The methods of a fit on a fold, by their names, and seconds of all of it."""

    methods: dict[str, Judged]
    seconds: float


def judge(job: FoldJob) -> FoldAnswer:
    """Fit once, and judge every method of the fit; an interruption passes."""
    table, fold, clock = job.table, job.fold, Deadline()
    rows = TrainingRows(
        table.x,
        table.y,
        table.feature_names,
        table.target,
        table.classes,
        table.numeric,
        job.seed,
        Deadline(job.seconds),
        table.groups,
        table.order,
    ).chosen(fold.train)
    try:
        # Warnings of packages about constants at their bounds and steps that were not enough.
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            fits = job.fit(rows)
    except Exception as error:
        failed = Judged(failure=_reason(error))
        return FoldAnswer(dict.fromkeys(job.names, failed), clock.elapsed())
    fitting, found = clock.elapsed(), {}
    for name in job.names:
        fit, watch = fits[name], Deadline()
        if isinstance(fit, str):
            found[name] = Judged(failure=fit)
            continue
        loss, failure = _loss(fit.predict, table, fold)
        found[name] = Judged(loss, fitting + watch.elapsed(), fit.size, fit.note, failure)
    return FoldAnswer(found, clock.elapsed())


def _loss(predict: Callable[[FloatArray], FloatArray], table: ComparisonTable, fold: Fold) -> tuple[float, str]:
    """The mean loss on the test rows of a fold, or why there is none."""
    x, y = table.x[fold.test], table.y[fold.test]
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            found = np.asarray(predict(x), dtype=np.float64).reshape(-1)
            errors = found != y if table.classes else np.square((found - y) / table.deviation)
    except Exception as error:
        return math.nan, _reason(error)
    lost = int((~np.isfinite(found)).sum())
    if lost:
        return math.nan, f"no finite prediction for {lost} of {counted(len(y), 'row')}"
    loss = float(errors.mean())
    return loss, "" if math.isfinite(loss) else "predictions too large to be squared"


def _reason(error: Exception) -> str:
    """A failure on one line: a sentence of superpose's as it is, others with their kind."""
    text = " ".join(str(error).split())
    if not isinstance(error, SuperposeError):
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
