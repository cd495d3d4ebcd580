"""Runs: a search for a formula, or the training of a network of a given shape, with what it shows on the way."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from superpose.checkpoint import Checkpoint
from superpose.data import Dataset
from superpose.deadline import Deadline
from superpose.files import save
from superpose.nn.model import KAN
from superpose.studio.engine import tables
from superpose.studio.engine.live import Live, front_rows
from superpose.tasks.classification import ClassifyOptions, classify
from superpose.tasks.regression import DiscoverOptions, Observer, discover
from superpose.tasks.result import TaskResult, warnings_of
from superpose.train import fit

Json = dict[str, Any]

# The options of a search, and of the training of a network, as the page sends them; others are of the table.
SEARCH = ("time_limit", "seed", "formula", "functions", "linear", "combine")
CLASSES = ("time_limit", "seed", "formula")
MODEL = "model.safetensors"


def search(worker: Any, request: Json) -> Json:
    """Search for a formula and a network as ``superpose fit`` does.

    Raises:
        SuperposeError: if the table or the options make no sense.
    """
    options = request["options"]
    data = tables.dataset(tables.read(request, worker.memory), options)
    rows: Dataset = getattr(data, "data", data)
    live = Live(worker.emit, rows, worker.clock)
    checkpoint = Checkpoint(worker.folder / "checkpoint", resume=bool(request.get("resume")))
    worker.emit("reading", features=list(rows.feature_names), targets=list(rows.target_names), notes=list(rows.notes))
    deadline = Deadline(options.get("time_limit"), worker.clock)
    worker.memory["deadline"] = deadline
    result: TaskResult
    if options.get("task") == "classification":
        chosen = ClassifyOptions(**{name: options[name] for name in CLASSES if name in options})
        deadline = Deadline(chosen.time_limit, worker.clock)
        result = classify(data, chosen, listener=live.sentence, deadline=deadline, checkpoint=checkpoint)
    else:
        given = {name: _fixed(options[name]) for name in SEARCH if name in options}
        asked = DiscoverOptions(**given)
        result = discover(
            data,
            asked,
            listener=live.sentence,
            on_formula=lambda formula: worker.emit("formula", text=str(formula), mathml=formula.mathml_trees()),
            deadline=Deadline(asked.time_limit, worker.clock),
            checkpoint=checkpoint,
            observer=Observer(live.finding, live.step),
        )
    worker.memory |= {"result": result, "data": rows}
    save(result.model, worker.folder / MODEL)
    live.picture(result.model)
    return finished(result)


def finished(result: TaskResult) -> Json:
    """What is said of a result when its run is done."""
    metrics = result.metrics
    rows = front_rows(metrics, list(result.front)) if result.formula is not None else []
    return {
        "formula": None if result.formula is None else str(result.formula),
        "mathml": None if result.formula is None else result.formula.mathml_trees(),
        "front": rows,
        "recommendation": metrics.get("recommendation"),
        "reason": metrics.get("reason"),
        "interrupted": bool(metrics.get("interrupted")),
        "errors": {name: metrics[name] for name in ERRORS if metrics.get(name) is not None},
        "warnings": warnings_of(result),
    }


ERRORS = (
    *("formula_rmse", "formula_r2", "network_rmse", "network_r2", "target_std"),
    *("formula_accuracy", "network_accuracy", "majority_accuracy"),
)


def train(worker: Any, request: Json) -> Json:
    """Train a network of a shape that was chosen by hand.

    Raises:
        SuperposeError: if the table or the options make no sense.
    """
    options = request["options"]
    data = tables.dataset(tables.read(request, worker.memory), options)
    rows: Dataset = getattr(data, "data", data)
    worker.emit("reading", features=list(rows.feature_names), targets=list(rows.target_names), notes=list(rows.notes))
    widths = [rows.n_features, *options.get("hidden", [5]), rows.n_targets]
    seed = options.get("seed", 0)
    model = KAN(
        widths,
        grid_size=options.get("grid", 5),
        seed=seed,
        feature_names=rows.feature_names,
        target_names=rows.target_names,
    )
    model.preparation = rows.preparation
    live = Live(worker.emit, rows, worker.clock)
    more: Json = {"sparsity": options["sparsity"]} if options.get("sparsity") else {}
    history = fit(
        model,
        rows,
        optimizer=options.get("optimizer", "lm"),
        time_limit=options.get("time_limit", 60.0),
        seed=seed,
        progress=False,
        listener=lambda record: live.step(model, record),
        **more,
    )
    worker.memory |= {"model": model, "data": rows}
    save(model, worker.folder / MODEL)
    live.picture(model)
    errors = {"network_rmse": history.validation_rmse} if math.isfinite(history.validation_rmse) else {}
    return {"formula": None, "front": [], "reason": history.reason, "errors": errors, "warnings": history.notes}


def saved(folder: Path) -> Path | None:
    """The model that a run left in its folder, if it came so far."""
    path = folder / MODEL
    return path if path.exists() else None


def _fixed(value: Any) -> Any:
    """A value of JSON as options are given: tuples for lists."""
    return tuple(value) if isinstance(value, list) else value
