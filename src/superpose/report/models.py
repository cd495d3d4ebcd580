"""Which model of a run the page shows, and the errors of all of them side by side."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from superpose.data import Dataset
from superpose.nn.model import KAN
from superpose.nn.rows import values_at
from superpose.report.numbers import number, r2_text
from superpose.tasks.result import TaskResult

# A formula is shown that errs by this much more than the network, since it can be read. A round number.
_TOLERATED = 1.02


def shows_network(result: TaskResult) -> bool:
    """Whether the page shows the spline network: without a formula, for classes, and where it predicts better."""
    if result.formula is None or result.network.head is not None:
        return True
    network, formula = _errors(result)
    return network * _TOLERATED < formula


_WITHOUT = "rmse_without_suspicious_rows"


def _errors(result: TaskResult) -> tuple[float, float]:
    """RMSE of network and formula, without the rows with gross errors where it is known for both."""
    metrics = result.metrics
    known = all(f"{what}_{_WITHOUT}" in metrics for what in ("network", "formula"))
    network, formula = (
        _number(metrics.get(f"{what}_{_WITHOUT if known else 'rmse'}")) for what in ("network", "formula")
    )
    return network, formula


def ordinary(result: TaskResult, rows: Tensor) -> Tensor:
    """The rows, by number, without those that seem to have gross errors."""
    gross = torch.tensor(result.metrics.get("suspicious_rows") or [], dtype=torch.long)
    return rows[~torch.isin(rows, gross)]


def advantage(result: TaskResult) -> float | None:
    """The RMSE of the network over that of the formula, where the page shows the network in the formula's place."""
    if result.formula is None or not shows_network(result):
        return None
    network, formula = _errors(result)
    return network / formula


def predictor(result: TaskResult) -> tuple[str, Callable[[Tensor], Tensor]]:
    """The model that the page shows, by its name, and its values ``[N, n_out]`` at rows ``[N, d]``."""
    if result.formula is not None and not shows_network(result):
        return "formula", result.formula.torch
    return "network", _values_of(result.network)


Model = tuple[str, Callable[[Tensor], Tensor]]


def both_models(result: TaskResult) -> tuple[Model, Model | None]:
    """As :func:`predictor`, and the other model, if there is one; for classes the network alone.

    Of two models that predict alike the first is the network, if it has standard errors.
    """
    network: Model = ("network", _values_of(result.network))
    if result.formula is None or result.network.head is not None:
        return network, None
    formula: Model = ("formula", result.formula.torch)
    errors = _errors(result)
    alike = result.smooth is not None and errors[0] <= _TOLERATED * errors[1]
    return (network, formula) if alike or shows_network(result) else (formula, network)


def _values_of(network: KAN) -> Callable[[Tensor], Tensor]:
    """The values of a network on any device, for rows in the memory of the CPU."""

    def values(x: Tensor) -> Tensor:
        found: Tensor = network(x.to(network.input_center.device))
        return found.double().cpu()

    return values


def _number(value: Any) -> float:
    """A number of the metrics; infinite where there is none."""
    found = math.inf if value is None else float(value)
    return found if math.isfinite(found) else math.inf


@dataclass(frozen=True)
class ErrorRow:
    """One line of the table of errors, as text."""

    model: str
    shown: bool
    cells: tuple[str, ...]


_HEADINGS = ("RMSE", "standard error", "R²", "constants", "nodes")


def error_headings(result: TaskResult) -> tuple[str, ...]:
    """Those of the cells of :func:`error_rows`."""
    return (*_HEADINGS, "RMSE without gross errors") if _has_gross_rows(result) else _HEADINGS


def _has_gross_rows(result: TaskResult) -> bool:
    return any(f"{what}_{_WITHOUT}" in result.metrics for what in ("network", "formula"))


def error_rows(result: TaskResult) -> list[ErrorRow]:
    """The errors and sizes of network, formula and mean, on the rows that errors are reported on."""
    data, metrics, formula = result.data, result.metrics, result.formula
    better = shows_network(result)
    effective = metrics.get("cross_validation", {}).get("constants") if result.smooth is not None else None
    constants = str(metrics.get("network_parameters", result.network.parameter_count()))
    if effective is not None:
        constants += f" ({number(effective)} effective)"
    found = [_row("network", result, better, (constants, "–"))]
    if formula is not None:
        nodes = metrics.get("formula_complexity")
        fitted = str(len(metrics["constants"])) if metrics.get("constants") else "–"
        found.append(_row("formula", result, not better, (fitted, "–" if nodes is None else str(nodes))))
    squares = _squares(data, _mean(data))
    rmse, error = _rmse(squares)
    spread = float(metrics.get("target_std") or data.target_std)
    # Several targets have several deviations.
    r2 = r2_text(1 - (rmse / spread) ** 2) if spread > 0 and data.n_targets == 1 else "–"
    others = ("–",) if _has_gross_rows(result) else ()
    found.append(ErrorRow("mean", False, (number(rmse), number(error), r2, "1", "1", *others)))
    return found


def _row(what: str, result: TaskResult, shown: bool, size: tuple[str, str]) -> ErrorRow:
    metrics = result.metrics
    rmse, error = metrics.get(f"{what}_rmse"), metrics.get(f"{what}_standard_error")
    if error is None and len(result.data.test) and rmse is not None:
        model = _values_of(result.network) if what == "network" or result.formula is None else result.formula.torch
        own, found = _rmse(_squares(result.data, values_at(model, result.data, result.data.test)))
        # The error of the metrics may leave rows out.
        error = found if math.isclose(own, float(rmse), rel_tol=1e-3) else None
    others = (number(metrics.get(f"{what}_{_WITHOUT}")),) if _has_gross_rows(result) else ()
    return ErrorRow(what, shown, (number(rmse), number(error), r2_text(metrics.get(f"{what}_r2")), *size, *others))


def _mean(data: Dataset) -> Tensor:
    """Predictions ``[M, n_targets]`` by the mean of the rows that were fitted, of each by the others if it is one."""
    fitted = torch.cat([data.train, data.validation])
    if len(data.test):
        weights = torch.ones(len(fitted)) if data.weights is None else data.weights[fitted]
        mean = (weights.double() @ data.y[fitted]) / weights.double().sum()
        return mean.expand(len(data.test), -1)
    weights = torch.ones(data.n_rows) if data.weights is None else data.weights
    weights = weights.double()[:, None]
    total = weights.sum()
    return ((weights * data.y).sum(0) - weights * data.y) / (total - weights).clamp(min=1e-300)


def _squares(data: Dataset, predicted: Tensor) -> Tensor:
    """Squared errors ``[M]``, the mean over the targets, times the weights of the rows."""
    split = data.evaluation_split
    weights = data.weights_of(split)
    squares = (predicted.double() - data.y[data.index(split)]).square().mean(1)
    return squares if weights is None else squares * weights / weights.mean()


def _rmse(squares: Tensor) -> tuple[float, float | None]:
    """The root mean square, and its standard error."""
    rmse = math.sqrt(float(squares.mean()))
    if len(squares) < 2 or not 0 < rmse < math.inf:
        return rmse, None
    return rmse, float(squares.std()) / math.sqrt(len(squares)) / (2 * rmse)
