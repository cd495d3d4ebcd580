"""compare: the cross-validated errors of superpose and of the usual other methods, on the same folds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from superpose.data import RowOptions
from superpose.deadline import Deadline
from superpose.parallel import processes
from superpose.tasks.comparison.choice import Losses, choose
from superpose.tasks.comparison.evaluation import Evaluation, Record
from superpose.tasks.comparison.folds import plan
from superpose.tasks.comparison.methods import installed_methods, load
from superpose.tasks.comparison.options import CompareOptions
from superpose.tasks.comparison.result import MethodComparison, MethodResult
from superpose.tasks.comparison.sentence import sentence
from superpose.tasks.comparison.table import ComparisonTable, read

Listener = Callable[[str], None]


def compare(
    data: Any,
    target: str | None = None,
    *,
    features: Sequence[str] | None = None,
    task: str | None = None,
    row_options: RowOptions | None = None,
    options: CompareOptions | None = None,
    listener: Listener | None = None,
) -> MethodComparison:
    """Cross-validate superpose's network and formula beside the usual methods, and say which one to use.

    Args:
        data: a path, a data frame, a :class:`~superpose.Dataset` or a
            :class:`~superpose.tasks.classification.ClassificationDataset`, of which all rows are used.
        target: the column to be learnt; left out for a data set.
        features: the columns to learn from; all that can be learnt from if None.
        task: ``"regression"`` or ``"classification"``; if None that of the data set, else regression.
        row_options: ``missing``, ``categories``, ``split`` and others of :class:`~superpose.data.RowOptions`, for a
            path or a data frame.
        options: see :class:`CompareOptions`.
        listener: called with a short sentence before each fit.

    Returns:
        A :class:`MethodComparison`. A method that fails is listed with its reason. If a user interrupts, the methods
        that were judged until then.

    Raises:
        FileError: if a file cannot be read.
        DataError: if the table cannot be used.
        OptionError: for options that make no sense, or if scikit-learn is missing (the extra ``compare``).
        KeyboardInterrupt: if a user interrupts before any method was judged.

    >>> import pandas
    >>> frame = pandas.DataFrame({"x": [n % 7 for n in range(40)], "y": [3.0 * (n % 7) + n % 2 for n in range(40)]})
    >>> found = compare(frame, "y", options=CompareOptions(methods=("mean", "line")))
    >>> found.named, round(found["line"].score, 3)
    ('line', 0.992)
    """
    options = (options or CompareOptions()).checked(_task(data, task))
    table = read(data, target, features, task, row_options)
    methods, missing = installed_methods(table.task, options.methods)
    deadline = Deadline(options.time_limit)
    load(methods)
    folds = plan(table.y, options.cv, options.seed, groups=table.groups, order=table.order)
    tell = listener or (lambda event: None)
    evaluation = Evaluation(table, folds, methods, options.seed, deadline, tell, processes(options.n_jobs))
    records = evaluation.run()
    judged = [record for record in records if not record.failure]
    losses = Losses(judged, folds) if judged else None
    choice = choose(losses, bool(table.classes)) if losses else None
    results = [_result(record, losses, table) for record in records]
    # Failed methods last.
    results.sort(key=lambda one: (one.score is None, -(one.score or 0.0)))
    return MethodComparison(
        methods=tuple(results),
        task=table.task,
        target=table.target,
        features=table.feature_names,
        rows=len(table.y),
        cv=folds.count,
        repetitions=max(len(record.losses) for record in records) // folds.count,
        seed=options.seed,
        named=None if choice is None else choice.named,
        best=None if choice is None else choice.best,
        ties=choice.ties if choice else (),
        sentence=sentence(results, choice, table.target),
        not_installed=tuple(method.name for method in missing),
        left_out=table.left_out,
        interrupted=evaluation.interrupted,
        seconds=deadline.elapsed(),
    )


def _result(record: Record, losses: Losses | None, table: ComparisonTable) -> MethodResult:
    method = record.method
    if record.failure or losses is None:
        return MethodResult(method.name, method.label, failure=record.failure)
    mean, apart = losses.means[method.name], losses.standard_error(method.name)

    def error(loss: float) -> float:
        return loss if table.classes else math.sqrt(max(loss, 0.0)) * table.deviation

    return MethodResult(
        method.name,
        method.label,
        score=1 - mean,
        score_error=apart,
        rmse=None if table.classes else error(mean),
        error_low=error(max(mean - apart, 0.0)),
        error_high=error(mean + apart),
        size=record.size,
        seconds=statistics.fmean(record.seconds),
        folds=len(record.losses),
        losses=tuple(record.losses.values()),
        note="; ".join(dict.fromkeys(record.notes)),
    )


def _task(data: Any, task: str | None) -> str:
    from superpose.tasks.classification import ClassificationDataset

    return task or ("classification" if isinstance(data, ClassificationDataset) else "regression")
