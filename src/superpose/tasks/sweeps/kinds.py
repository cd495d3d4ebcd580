"""What one fit of a sweep is: a network, a search for one, a formula, a classifier, a comparison of methods."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from superpose.checks import check_whole
from superpose.data import Dataset
from superpose.errors import DataError, OptionError
from superpose.messages import counted, quoted
from superpose.nn import KAN
from superpose.stopping import StopReason
from superpose.tasks.classification import ClassificationDataset, ClassifyOptions, classify
from superpose.tasks.comparison import CompareOptions, compare
from superpose.tasks.regression import DiscoverOptions, discover
from superpose.train import FitSettings, History, fit, search

Rows = list[dict[str, Any]]
AnyTable = Dataset | ClassificationDataset
# A network, where there is one, and one row of facts, or several.
Found = tuple[Rows, KAN | None]
# Hidden nodes and grid intervals of a network about which nothing is said: those of superpose.KAN and of the first
# example of the documentation. With grid_size None, fit doubles the grid while that helps, from here on.
_HIDDEN, _GRID = (5,), 3


@dataclass(frozen=True)
class Kind:
    """A task of a sweep.

    Attributes:
        run: from a table, options and a seed to what was found.
        options: names of its options.
        classes: whether it is for classes, for numbers, or for both (None).
    """

    run: Callable[[Any, Mapping[str, Any], int], Found]
    options: tuple[str, ...]
    classes: bool | None = False


def _fit(data: Dataset, options: Mapping[str, Any], seed: int) -> Found:
    settings = dict(options)
    hidden = settings.pop("hidden", _HIDDEN)
    if not isinstance(hidden, list | tuple):
        raise OptionError(f"hidden lists the nodes of the hidden layers, such as (5,) or (), not {quoted(hidden)}")
    size, degree = settings.pop("grid_size", None), settings.pop("degree", 3)
    check_whole("grid_size", size, optional=True)
    check_whole("degree", degree, least=0, most=5)
    model = KAN([data.n_features, *hidden, data.n_targets], grid_size=size or _GRID, degree=degree, seed=seed)
    if size is not None:
        settings.setdefault("grids", (size,))
    history = fit(model, data, seed=seed, progress=False, **settings)
    return [_of_network(data, model, history)], model


def _search(data: Dataset, options: Mapping[str, Any], seed: int) -> Found:
    found = search(data, seed=seed, **options)
    _refuse_interrupted(found.stop)
    facts = _of_network(data, found.model, found.history)
    return [{"shape": str(found.model.shape)} | facts], found.model


def _of_network(data: Dataset, model: KAN, history: History) -> dict[str, Any]:
    """The facts of a trained network; ``error`` is that by which networks are chosen."""
    _refuse_interrupted(history.stop)
    error, judged = history.validation_rmse, "validation"
    if not history.validated:
        error, judged = history.estimated_rmse, "generalised cross-validation"
        if not math.isfinite(error):
            error, judged = history.train_rmse, "training"
    facts = {
        "error": error,
        "judged": judged,
        "train_rmse": history.train_rmse,
        "parameters": model.parameter_count(),
        "stop": history.stop.value,
    }
    if len(data.test):
        predicted = model.predict(data.rows("test")[0].double())
        facts |= _test(data, predicted)
    return facts


def _test(data: Dataset, predicted: Any) -> dict[str, Any]:
    import torch

    values = torch.as_tensor(predicted)
    return {"test_rmse": data.rmse(values, "test"), "test_r2": data.r2(values, "test")}


def _discover(data: Dataset, options: Mapping[str, Any], seed: int) -> Found:
    result = discover(data, DiscoverOptions(seed=seed, **options))
    _refuse_interrupted(result.stop)
    known = result.metrics
    facts = {
        "error": known["network_rmse"] if result.formula is None else known["formula_rmse"],
        "formula": None if result.formula is None else str(result.formula),
        "complexity": known.get("formula_complexity"),
        **{name: known.get(name) for name in ("formula_rmse", "network_rmse", "recommendation")},
        "parameters": result.network.parameter_count(),
        "stop": result.stop.value,
    }
    return [facts], result.model


def _classify(table: ClassificationDataset, options: Mapping[str, Any], seed: int) -> Found:
    result = classify(table, ClassifyOptions(seed=seed, **options))
    _refuse_interrupted(result.stop)
    known = result.metrics
    numbers = {
        name: value
        for name, value in known.items()
        if name.startswith(("network_", "formula_")) and isinstance(value, int | float) and not isinstance(value, bool)
    }
    facts = {
        "error": known["network_cross_entropy" if result.formula is None else "formula_cross_entropy"],
        "formula": None if result.formula is None else str(result.formula),
        **numbers,
        "parameters": result.network.parameter_count(),
        "stop": result.stop.value,
    }
    return [facts], result.model


def _compare(table: AnyTable, options: Mapping[str, Any], seed: int) -> Found:
    found = compare(table, options=CompareOptions(seed=seed, **options))
    if found.interrupted:
        raise KeyboardInterrupt
    # Without seconds, which are those of the machine.
    kept = ("score", "score_error", "rmse", "size", "folds", "failure")
    rows = [
        {"method": one.name, "error": one.error, "named": one.name == found.named}
        | {name: getattr(one, name) for name in kept}
        for one in found
    ]
    return rows, None


def _refuse_interrupted(stop: StopReason) -> None:
    """A run that a user interrupted has a result, which is not that of the whole run."""
    if stop is StopReason.INTERRUPTED:
        raise KeyboardInterrupt


def _names(settings: Any, *without: str) -> tuple[str, ...]:
    return tuple(one.name for one in fields(settings) if one.name not in ("seed", *without))


KINDS = {
    # A loss and a memory are objects of the process, and no text says what they are.
    "fit": Kind(
        _fit,
        ("hidden", "grid_size", "degree", "optimizer", *_names(FitSettings, "loss", "memory", "progress")),
    ),
    "search": Kind(_search, ("parameters", "time_limit", "steps", "shapes", "degree")),
    "discover": Kind(_discover, _names(DiscoverOptions)),
    "classify": Kind(_classify, _names(ClassifyOptions), classes=True),
    "compare": Kind(_compare, _names(CompareOptions, "n_jobs"), classes=None),
}


def check_table(kind: Kind, task: str, table: AnyTable) -> None:
    """Raise :class:`DataError` for a table that a task is not for."""
    if kind.classes is not None and kind.classes != isinstance(table, ClassificationDataset):
        wanted = "ClassificationDataset" if kind.classes else "Dataset"
        raise DataError(f"the task {task} takes a {wanted}, not a {type(table).__name__}")
    if isinstance(table, Dataset) and task == "compare" and table.n_targets > 1:
        raise DataError(f"methods are compared on one target, and the table has {counted(table.n_targets, 'target')}")
