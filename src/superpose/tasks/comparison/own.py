"""superpose's own network and formula among the compared methods: one run of ``discover`` or ``classify`` for both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from superpose.data import Dataset
from superpose.data.tables import FloatArray
from superpose.formulas.expressions.formula import Formula
from superpose.stopping import StopReason
from superpose.tasks.classification import ClassificationDataset, ClassifyOptions, classify
from superpose.tasks.comparison.fitted import Fits, FittedMethod, TrainingRows
from superpose.tasks.regression import DiscoverOptions, discover
from superpose.tasks.result import TaskResult

# A run that is asked for no time at all refuses its time limit; one of this many seconds ends after its first stage.
_LEAST_SECONDS = 0.1
NO_FORMULA = "no formula was found"


def network_and_formula(rows: TrainingRows) -> Fits:
    """The spline network and the recommended formula of a run with the default options."""
    # A column may be constant on the training rows of a fold.
    varying = np.flatnonzero(np.ptp(rows.x, axis=0) > 0)
    names = tuple(rows.feature_names[column] for column in varying)
    some = replace(rows, x=rows.x[:, varying], feature_names=names)
    found = _classes(some) if rows.classes else _numbers(some)
    return {name: _of_columns(one, varying) for name, one in found.items()}


def _numbers(rows: TrainingRows) -> Fits:
    options = DiscoverOptions(seed=rows.seed)
    data = Dataset.from_arrays(
        rows.x, rows.y, feature_names=rows.feature_names, target_names=(rows.target,), test=0.0, seed=rows.seed
    )
    data = replace(data, groups=rows.groups, order=rows.order)
    result = discover(data, replace(options, time_limit=_seconds(rows, options.time_limit)))
    _refuse_interrupted(result)

    def values(function: Callable[[Tensor], Tensor]) -> Callable[[FloatArray], FloatArray]:
        return lambda x: _evaluated(function, x)[:, 0]

    fits: Fits = {"network": FittedMethod(values(result.network), result.network.parameter_count())}
    formula = result.formula
    fits["formula"] = NO_FORMULA if formula is None else FittedMethod(values(formula.torch), free_constants(formula))
    return fits


def _classes(rows: TrainingRows) -> Fits:
    # A class needs two rows to be learnt; one that has a single row in this fold is never predicted.
    counts = np.bincount(rows.y.astype(int), minlength=len(rows.classes))
    some = rows.chosen(np.flatnonzero(counts[rows.y.astype(int)] > 1))
    names = [rows.classes[int(number)] for number in some.y]
    options = ClassifyOptions(seed=rows.seed)
    data = ClassificationDataset.from_arrays(
        some.x,
        [float(name) for name in names] if rows.numeric else names,
        feature_names=rows.feature_names,
        target_name=rows.target,
        test=0.0,
        seed=rows.seed,
    )
    result = classify(data, replace(options, time_limit=_seconds(rows, options.time_limit)))
    _refuse_interrupted(result)
    head = result.head
    number = np.array([rows.classes.index(name) for name in head.classes], dtype=float)
    columns = [rows.feature_names.index(name) for name in result.data.feature_names]

    def labels(function: Callable[[Tensor], Tensor]) -> Callable[[FloatArray], FloatArray]:
        def predict(x: FloatArray) -> FloatArray:
            scores = _evaluated(function, x[:, columns])
            classes: FloatArray = number[head.indices(torch.from_numpy(scores)).numpy()]
            # Where a score is no number there is no class.
            return np.where(np.isfinite(scores).all(1), classes, np.nan)

        return predict

    fits: Fits = {"network": FittedMethod(labels(result.network), result.network.parameter_count())}
    formula = result.formula
    fits["formula"] = NO_FORMULA if formula is None else FittedMethod(labels(formula.torch), free_constants(formula))
    return fits


def free_constants(formula: Formula) -> int:
    """Numbers in a formula that are neither integers nor fractions, and the coefficients of its splines.

    >>> import sympy
    >>> x = sympy.Symbol("x", real=True)
    >>> free_constants(Formula((2 * sympy.sin(1.5 * x) + 0.25,), (x,), ("x",), ("y",)))
    2
    """
    import sympy

    nodes = (node for expression in formula.expressions for node in sympy.preorder_traversal(expression))
    splines = sum(spline.rows.numel() for spline in formula.splines.values())
    return sum(isinstance(node, sympy.Float) for node in nodes) + splines


def _refuse_interrupted(result: TaskResult) -> None:
    """A run that was interrupted has a result; the comparison ends all the same."""
    if result.stop is StopReason.INTERRUPTED:
        raise KeyboardInterrupt


def _seconds(rows: TrainingRows, default: float) -> float:
    return min(max(rows.deadline.left(), _LEAST_SECONDS), default)


@torch.no_grad()
def _evaluated(function: Callable[[Tensor], Tensor], x: FloatArray) -> FloatArray:
    values: FloatArray = function(torch.from_numpy(np.ascontiguousarray(x))).double().numpy()
    return values


def _of_columns(fit: FittedMethod | str, columns: np.ndarray) -> FittedMethod | str:
    """A fit to some of the columns, which takes all of them."""
    return fit if isinstance(fit, str) else replace(fit, predict=lambda x: fit.predict(x[:, columns]))
