"""Runs: a search for a formula, or the training of a network of a given shape, with what it shows on the way."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from superpose.checkpoint import Checkpoint
from superpose.data import Dataset
from superpose.deadline import Deadline
from superpose.errors import OptionError
from superpose.files import load
from superpose.studio.engine import by_hand, tables
from superpose.studio.engine.live import Live, front_rows
from superpose.studio.engine.pictures import curves
from superpose.studio.engine.places import on_the_page
from superpose.studio.session import Session
from superpose.tasks.classification import ClassifyOptions, classify
from superpose.tasks.regression import DiscoverOptions, Observer, discover
from superpose.tasks.result import TaskResult, warnings_of

Json = dict[str, Any]

# The options of a search, and of the training of a network, as the page sends them; others are of the table.
SEARCH = ("time_limit", "seed", "formula", "functions", "linear", "combine")
CLASSES = ("time_limit", "seed", "formula")


def search(worker: Any, request: Json) -> Json:
    """Search for a formula and a network as ``superpose fit`` does.

    A run that is opened again after it was done is a session.

    Raises:
        SuperposeError: if the table or the options make no sense.
    """
    options = request["options"]
    data = tables.dataset(tables.read(request, worker.memory), options)
    if request.get("resume") and by_hand.has_session(worker.folder):
        by_hand.restored(worker)
        return {"restored": True}
    rows: Dataset = getattr(data, "data", data)
    classes = options.get("task") == "classification"
    live = Live(worker.emit, rows, worker.clock, classes=classes)
    worker.emit("reading", measure="cross-entropy" if classes else "RMSE", notes=list(map(on_the_page, rows.notes)))
    resume, kept = bool(request.get("resume")), None
    while True:
        _takes_changes(worker, data, options)
        checkpoint = Checkpoint(worker.folder / "checkpoint", resume=resume, kept=kept)
        result = None
        with contextlib.suppress(KeyboardInterrupt):
            result = _searched(worker, data, options, live, checkpoint)
        changed = worker.taken_change()
        if changed is None:
            break
        resume, kept = True, KEPT if set(changed) <= {"functions", "time_limit"} and not classes else KEPT[:1]
        options = {name: value for name, value in (options | changed).items() if value is not None}
        live.findings.clear()
        live.sentence(f"goes on with other settings: {_said(changed)}")
    if result is None:
        raise KeyboardInterrupt
    # For the report.
    request["options"] = options
    worker.memory["result"] = result
    live.picture(result.model)
    # Of columns that the search left out the network knows nothing.
    by_hand.begin(worker, Session(result.model, result.data))
    return finished(result)


# What of a search can be changed while it is held, and the beginnings of the names of stages that are not done again:
# the choice of columns, and, where only functions change, the networks that were trained.
CHANGEABLE = ("functions", "formula", "time_limit")
KEPT = ("screening", "network [")


def _options(options: Json) -> DiscoverOptions | ClassifyOptions:
    """The options of a search as the page sent them."""
    if options.get("task") == "classification":
        return ClassifyOptions(**{name: options[name] for name in CLASSES if name in options})
    return DiscoverOptions(**{name: _fixed(options[name]) for name in SEARCH if name in options})


def _takes_changes(worker: Any, data: Any, options: Json) -> None:
    """Show the settings of a search that begins, and take others for it."""
    own = [name for name in CHANGEABLE if name in SEARCH and (name in CLASSES or isinstance(data, Dataset))]

    def check(settings: Json) -> None:
        if unknown := set(settings) - set(own):
            raise OptionError(f"a search has no setting {', '.join(sorted(unknown))} that can be changed")
        made = _options({name: value for name, value in (options | settings).items() if value is not None})
        if isinstance(made, DiscoverOptions):
            made.checked(data)

    worker.check = check
    shown = {"formula": True} | {name: options.get(name) for name in own if options.get(name) is not None}
    shown["time_limit"] = _options(options).time_limit
    worker.emit("settings", kind="search", names=own, **shown)


def _said(changed: Json) -> str:
    says: dict[str, Callable[[Any], str]] = {
        "functions": lambda value: f"functions {', '.join(value)}" if value else "any functions",
        "formula": lambda value: "with formulas" if value else "a network alone, without formulas",
        "time_limit": lambda value: f"{value:g} seconds",
    }
    return "; ".join(says[name](value) for name, value in changed.items())


def _searched(worker: Any, data: Any, options: Json, live: Live, checkpoint: Checkpoint) -> TaskResult:
    """One search with the options of now."""
    asked = _options(options)
    observer, deadline = Observer(live.finding, live.step), Deadline(asked.time_limit, worker.clock)
    if isinstance(asked, ClassifyOptions):
        return classify(
            data, asked, listener=live.sentence, deadline=deadline, checkpoint=checkpoint, observer=observer
        )
    return discover(
        data,
        asked,
        listener=live.sentence,
        on_formula=lambda formula: worker.emit("formula", text=str(formula), mathml=formula.mathml_trees()),
        deadline=deadline,
        checkpoint=checkpoint,
        observer=observer,
    )


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
        "warnings": list(map(on_the_page, warnings_of(result))),
    }


ERRORS = (
    *("formula_rmse", "formula_r2", "network_rmse", "network_r2", "target_std"),
    *("formula_accuracy", "network_accuracy", "majority_accuracy"),
)


# Intervals and steps of the first training of a network whose shape was chosen, as in ``Session.start``'s example: the
# steps are enough for idle edges to become small on the tables of ``examples/data``.
GRID, STEPS = 5, 40
# Training rows above which one start is enough, since a person waits for the first picture. A round number.
MANY = 5000


def train(worker: Any, request: Json) -> Json:
    """Train a network of a shape that was chosen by hand.

    Raises:
        SuperposeError: if the table or the options make no sense.
    """
    options = request["options"]
    data = tables.dataset(tables.read(request, worker.memory), options)
    session = by_hand.restored(worker) if request.get("resume") and by_hand.has_session(worker.folder) else None
    if session is None:
        session = new_session(data, options)
        worker.emit("reading", measure="RMSE" if session.model.head is None else "cross-entropy", notes=[])
        by_hand.begin(worker, session)
    if len(session.history()) == 1:
        # A training that was lost is done again.
        step = {"verb": "train", "arguments": training(options, session.data)}
        found = by_hand.request(worker, {"request": {"action": "do", "step": step}})
        if "error" in found:
            raise OptionError(found["error"])
    worker.emit("picture", picture=curves(session.model))
    worker.emit("busy", record=None)
    by_hand.show(worker)
    entry = session.entry
    error = entry["error_validation"] if entry["error_validation"] is not None else entry["error_train"]
    what = "network_rmse" if session.model.head is None else "network_wrong"
    return {"formula": None, "front": [], "reason": entry["text"], "errors": {what: error}, "warnings": []}


def open_model(worker: Any, request: Json) -> Json:
    """Take a model in hand that was saved, with a table that has its columns.

    Raises:
        SuperposeError: if the model cannot be read, or the table lacks one of its columns.
    """
    if request.get("resume") and by_hand.has_session(worker.folder):
        by_hand.restored(worker)
        return {"restored": True}
    model = load(request["model"])
    options, table = request["options"], tables.read(request, worker.memory)
    own = {"task": "regression", "target": list(model.target_names)}
    if model.head is not None:
        own = {"task": "classification", "target": model.head.name}
    if set(model.feature_names) <= set(table.names):
        own["features"] = list(model.feature_names)
    data = tables.dataset(table, {name: value for name, value in options.items() if name != "features"} | own)
    session = Session(model, data)
    by_hand.begin(worker, session)
    worker.emit("picture", picture=curves(session.model))
    return {"formula": None, "front": [], "reason": "the model was opened", "errors": {}, "warnings": []}


def new_session(data: Any, options: Json) -> Session:
    """A session with a new network of the widths that were chosen."""
    hidden, more = options.get("hidden", [5]), {"grid_size": options.get("grid", GRID), "seed": options.get("seed", 0)}
    if isinstance(data, Dataset):
        return Session.start(data, [data.n_features, *hidden, data.n_targets], **more)
    # One score tells classes in an order, where there is one.
    kinds = ClassifyOptions().kinds(data)
    kind = "ordinal" if "ordinal" in kinds else kinds[0]
    scores = len(data.classes) if kind == "softmax" else 1
    return Session.start(data, [data.data.n_features, *hidden, scores], head=kind, **more)


def training(options: Json, data: Dataset) -> Json:
    """The arguments of the first training, as the page chose them."""
    given = {name: options[name] for name in ("sparsity", "time_limit", "seed") if options.get(name)}
    # On one grid idle edges are pressed to zero, and a person sees soon what comes of it; finer grids are a next step.
    return (
        given
        | {"grids": [options.get("grid", GRID)], "steps": STEPS}
        | ({"starts": 1} if len(data.train) > MANY else {})
    )


def _fixed(value: Any) -> Any:
    """A value of JSON as options are given: tuples for lists."""
    return tuple(value) if isinstance(value, list) else value
