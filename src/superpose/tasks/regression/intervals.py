"""Prediction intervals of the models of a run: from the errors on rows that a model was not fitted to.

The errors are those of cross-validation for the sum of smooth functions, of leave-one-out for formulas, and on held-out
rows for other networks. Where the rows show that their size depends on the columns or on the prediction, the intervals
follow it (:mod:`~superpose.tasks.regression.error_scale`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from superpose.data import Dataset, Split
from superpose.data.sampling import evenly
from superpose.errors import DataError, OptionError
from superpose.formulas.expressions.constants import ConstantFit
from superpose.formulas.expressions.formula import Formula
from superpose.messages import counted
from superpose.nn.model import KAN
from superpose.nn.support import Support
from superpose.nn.uncertainty import RULES as INTERVALS
from superpose.nn.uncertainty import Uncertainty, probed
from superpose.tasks.regression.error_scale import Deviation, local_scale
from superpose.tasks.regression.judging import loo_predictions
from superpose.tasks.regression.reference import RULES as REFERENCE
from superpose.tasks.regression.reference import Reference


@dataclass(frozen=True)
class Errors:
    """Predictions of rows by models that were not fitted to them.

    Attributes:
        rows: ``[n]``, of the data set.
        predictions: ``[n, n_out]``, in the user's units.
        log: whether logarithms are compared.
        source: as in :class:`~superpose.nn.Uncertainty`.
        freedom: degrees of freedom of the errors.
    """

    rows: Tensor
    predictions: Tensor
    log: bool
    source: str
    freedom: float


def of_reference(reference: Reference) -> Errors:
    """The errors of the sum of smooth functions, by cross-validation."""
    free = max(1.0, len(reference.rows) - reference.choice.fit.effective)
    return Errors(reference.rows, reference.predictions[:, None], reference.log, "cross-validation", free)


def of_formula(data: Dataset, formula: Formula, rows: Tensor, *, log: bool = False) -> Errors:
    """The errors of a formula of one target, by leave-one-out of its constants."""
    predictions = loo_predictions(formula, data, rows, log=log)
    x, y = data.features(rows), data.y[rows, 0]
    _, slots, _, _ = ConstantFit(formula.symbols, x, y, formula.splines).parameterised(formula.expressions[0])
    return Errors(rows, predictions[:, None], log, "leave-one-out", float(max(1, len(rows) - len(slots))))


def of_held_out(data: Dataset, model: KAN, rows: Tensor, *, log: bool = False) -> Errors:
    """The errors of a model on rows that it was not fitted to; of many rows some."""
    rows = rows[evenly(len(rows), REFERENCE.rows)]
    with torch.no_grad():
        predictions = model(data.features(rows)).double()
    return Errors(rows, predictions, log, "held-out rows", float(max(1, len(rows))))


def uncertainty(
    data: Dataset,
    model: KAN,
    errors: Errors,
    deviation: Deviation | None = None,
) -> Uncertainty | None:
    """What a model needs for intervals; None where fewer than two rows have an error.

    Args:
        deviation: standard deviation ``[N]`` of a new row from the model's score, up to a factor; None if unknown.
    """
    y, predictions = data.y[errors.rows], errors.predictions
    if errors.log:
        y, predictions = y.log(), torch.where(predictions > 0, predictions, math.nan).log()
    error = y - predictions
    finite = error.isfinite().all(1)
    if int(finite.sum()) < 2:
        return None
    x, error, predictions = data.features(errors.rows[finite]), error[finite], predictions[finite]
    if data.weights is not None:
        # A new row is taken to have the mean weight.
        share = data.weights[errors.rows[finite]]
        error = error * (share / share.mean()).sqrt()[:, None]
    scale = None
    if error.shape[1] == 1:
        scale, sizes = local_scale(x, predictions[:, 0], error[:, 0], deviation)
        error = error / sizes[:, None]
    residuals = error.sort(0).values
    if len(residuals) > INTERVALS.kept:
        residuals = residuals[torch.linspace(0, len(residuals) - 1, INTERVALS.kept).round().long()]
    support = _support(data)
    with torch.no_grad():
        values = probed(model, support.points(INTERVALS.points))
    return Uncertainty(residuals, errors.log, errors.freedom, errors.source, scale, support, values)


def _support(data: Dataset) -> Support:
    """That of the rows for training and validation; a large table is gone through in blocks."""
    rows = torch.cat([data.train, data.validation])
    ends = [(block.amin(0), block.amax(0)) for block in map(data.features, torch.split(rows, _BLOCK))]
    low, high = (torch.stack(some) for some in zip(*ends, strict=True))
    return Support.of(data.features(rows[evenly(len(rows), _BLOCK)]), (low.amin(0), high.amax(0)))


_BLOCK = 1 << 16


def calibrate(model: KAN, data: Dataset, split: Split = "validation") -> KAN:
    """A copy of a model with prediction intervals, from its errors on rows that it was not fitted to.

    >>> x = torch.rand(400, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    >>> noise = torch.randn(400, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    >>> data = Dataset.from_arrays(x, 2 * x + 0.1 * noise, validation=0.5, test=0.0)
    >>> line = KAN([1, 1], grid_size=1, feature_names=data.feature_names)
    >>> line.layer(0).set_symbolic({(0, 0): ("x", (1.0, 0.0, 2.0, 0.0))})
    >>> found = calibrate(line, data).predict_interval([[0.5]], level=0.9)
    >>> bool(0.1 < found.high[0, 0] - found.prediction[0, 0] < 0.25)
    True

    Args:
        model: any model without a head; :func:`superpose.discover` has calibrated its models already.
        data: the table.
        split: the rows that the model was not fitted to. Those for validation have ended its training, which hardly
            matters; those of ``"test"`` have decided nothing.

    Raises:
        OptionError: for a classifier.
        DataError: if the split has fewer than two rows on which the model is defined, or the columns are not the
            model's.
    """
    if model.head is not None:
        raise OptionError("a classifier has probabilities and no prediction intervals; use model.probabilities(table)")
    if tuple(model.feature_names) != tuple(data.feature_names):
        raise DataError("the model has other features than the data; read the table with the model's features")
    if split not in ("train", "validation", "test", "all"):
        raise OptionError(f"there is no split {split!r}; it is one of 'train', 'validation', 'test', 'all'")
    rows = torch.arange(data.n_rows) if split == "all" else getattr(data, split)
    found = uncertainty(data, model, of_held_out(data, model, rows)) if len(rows) else None
    if found is None:
        raise DataError(
            f"the split {split!r} has {counted(len(rows), 'row')} on which the model could err; hold out more rows"
        )
    made = model.copy()
    made.uncertainty = found
    return made


@dataclass(frozen=True)
class Found:
    """The models of a run.

    Attributes:
        network: the spline network.
        smooth: whether it computes the sum of smooth functions.
        symbolic, formula: None where there is no formula.
    """

    network: KAN
    smooth: bool = False
    symbolic: KAN | None = None
    formula: Formula | None = None


def attach(
    data: Dataset,
    found: Found,
    reference: Reference | None,
    held_out: Tensor,
    deviation: Deviation | None = None,
) -> None:
    """Give the models of a run what their prediction intervals follow from, where there are rows for it.

    Args:
        data: the table.
        found: the models.
        reference: the sum of smooth functions; None if there is none.
        held_out: rows that networks were not fitted to; those for the test if there are none.
        deviation: that of the reference, by the columns of ``data``.
    """
    held_out = held_out if len(held_out) else data.test
    log, rows = False, torch.cat([data.train, data.validation]).sort().values
    if reference is not None:
        log, rows = reference.log, reference.rows
    if found.smooth and reference is not None:
        errors = of_reference(reference)
    else:
        errors = of_held_out(data, found.network, held_out, log=log)
    found.network.uncertainty = uncertainty(data, found.network, errors, deviation)
    if found.symbolic is None:
        return
    if found.formula is not None and data.n_targets == 1:
        errors = of_formula(data, found.formula, rows[evenly(len(rows), REFERENCE.rows)], log=log)
        found.symbolic.uncertainty = uncertainty(data, found.symbolic, errors, deviation)
    if found.symbolic.uncertainty is None:
        errors = of_held_out(data, found.symbolic, held_out, log=log)
        found.symbolic.uncertainty = uncertainty(data, found.symbolic, errors, deviation)
