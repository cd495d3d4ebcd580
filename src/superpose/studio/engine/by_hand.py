"""The network of a run, taken in hand: a session, kept in the run's folder after every step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from superpose.choices import OPTIMIZERS
from superpose.data.sampling import evenly
from superpose.deadline import Deadline
from superpose.errors import OptionError
from superpose.messages import counted
from superpose.studio.actions import CHANGES, answer
from superpose.studio.engine.live import Live
from superpose.studio.session import Session
from superpose.studio.session_result import confusion
from superpose.studio.steps import Step
from superpose.tasks.result import evaluation_rows
from superpose.train.history import Record
from superpose.train.settings import FitSettings

Json = dict[str, Any]

SESSION = "session"
# Seconds between two diagrams of a network in training: each has curves and scores, and takes some hundredths of one.
_DIAGRAM = 0.3
# Rows of the pictures of residuals; a round number, more of which are a cloud.
_ROWS = 600


def begin(worker: Any, session: Session) -> None:
    """Take a session in hand: keep it, and show it."""
    worker.memory[SESSION] = session
    keep(worker)
    show(worker)


def keep(worker: Any) -> None:
    """Write the session to the run's folder."""
    worker.memory[SESSION].save(worker.folder / SESSION)


def show(worker: Any) -> None:
    """Send the diagram and the history to the page."""
    session: Session = worker.memory[SESSION]
    worker.emit("session", network=session.network(), history=session.history())


def say(worker: Any) -> None:
    """A line in the run's log on the present state."""
    entry = worker.memory[SESSION].entry
    judged = entry["error_validation"] if entry["error_validation"] is not None else entry["error_train"]
    worker.emit("log", text=f"{entry['text']}: {entry['measure']} {judged:.3g}", seconds=worker.taken.elapsed())


def has_session(folder: Path) -> bool:
    """Whether a session was kept in a run's folder."""
    return (folder / SESSION / "session.json").exists()


def restored(worker: Any) -> Session:
    """The session that was kept, taken in hand again."""
    session = Session.restore(worker.folder / SESSION)
    worker.memory[SESSION] = session
    show(worker)
    return session


def in_hand(worker: Any) -> Session:
    """The session of the run.

    Raises:
        OptionError: while there is none.
    """
    if SESSION not in worker.memory:
        raise OptionError("there is no network yet; wait until the run has found one, or stop it")
    session: Session = worker.memory[SESSION]
    return session


def request(worker: Any, message: Json) -> Json:
    """The answer to a request of the network view, ``{"id": ...}`` as :func:`superpose.studio.actions.answer` gives it.

    A step that is stopped is no step, unless it is a training, which keeps the best so far.
    """
    session, asked = in_hand(worker), message["request"]
    change = asked.get("action") in CHANGES
    listener = training_listener(worker, session) if change else None
    arguments = training_of(asked)
    if arguments is not None:
        takes_changes(worker, arguments)
    while True:
        try:
            found = answer(session, asked, listener)
        except KeyboardInterrupt:
            found = {"id": asked.get("id"), "error": "the step was stopped, and nothing was changed"}
        settings = worker.taken_change()
        if settings is None or arguments is None:
            break
        arguments = gone_on(worker, session, arguments, settings)
        asked = {**asked, "step": {"verb": "train", "arguments": arguments}}
    if change:
        worker.emit("busy", record=None)
        if "error" not in found:
            keep(worker)
            show(worker)
            say(worker)
    return found


def training_of(asked: Json) -> Json | None:
    """The arguments of a training that the network view asks for; None for anything else."""
    step = asked.get("step")
    if asked.get("action") != "do" or not isinstance(step, dict) or step.get("verb") != "train":
        return None
    arguments = step.get("arguments")
    return dict(arguments) if isinstance(arguments, dict) else {}


# What of a training can be changed while it is held.
CHANGEABLE = ("sparsity", "optimizer", "steps", "time_limit")


def takes_changes(worker: Any, arguments: Json) -> None:
    """Show the settings of a training that begins, and take others for it."""

    def check(settings: Json) -> None:
        if unknown := set(settings) - set(CHANGEABLE):
            raise OptionError(f"a training has no setting {', '.join(sorted(unknown))} that can be changed")
        made = Step("train", arguments | settings).arguments
        numbers = {name: made[name] for name in ("sparsity", "steps") if name in made}
        FitSettings(**numbers).checked(made.get("optimizer", OPTIMIZERS[0]))

    worker.check = check
    shown = {name: arguments.get(name) for name in CHANGEABLE}
    worker.emit("settings", kind="train", **shown | {"optimizer": shown["optimizer"] or OPTIMIZERS[0]})


def gone_on(worker: Any, session: Session, arguments: Json, settings: Json) -> Json:
    """The arguments with which a training goes on from where the network is, when its settings were changed."""
    keep(worker)
    show(worker)
    say(worker)
    sizes = max(layer.grid_size for layer in session.tree.state.model.kan_layers())
    made = arguments | settings | {"grids": [sizes]}
    takes_changes(worker, made)
    return made


def training_listener(worker: Any, session: Session) -> Any:
    """Shows each step of a training, and the network as often as it can be seen."""
    live = Live(worker.emit, session.data, worker.clock, classes=session.model.head is not None)
    frame = Deadline(0.0, worker.clock)

    def listener(record: Record) -> None:
        nonlocal frame
        if session.in_training is not None:
            live.step(session.in_training, record)
        numbers = {"step": record.step, "grid_size": record.grid_size}
        losses = {"train_loss": record.train_loss, "validation_loss": record.validation_loss}
        worker.emit("busy", record=numbers | losses)
        if frame.passed():
            worker.emit("training", network=session.network())
            frame = Deadline(_DIAGRAM, worker.clock)

    return listener


def residuals(worker: Any, message: Json) -> Json:
    """Measured and predicted values of rows that were held out, with all columns; of classes how many are told right.

    Raises:
        OptionError: while there is no network.
    """
    session = in_hand(worker)
    data, model = session.data, session.model
    if model.head is not None:
        names = list(model.head.classes)
        return {"rows": evaluation_rows(data), "classes": names, "confusion": confusion(model, data).tolist()}
    parts = (("the test", data.test), ("validation", data.validation), ("training", data.train))
    name, rows = next((name, rows) for name, rows in parts if len(rows))
    some = rows[evenly(len(rows), _ROWS)]
    x = data.features(some)
    return {
        "rows": f"{counted(len(some), 'row')} for {name}",
        "targets": list(data.target_names),
        "measured": data.y[some].T.tolist(),
        "predicted": model.values(x).T.tolist(),
        "columns": {name: column.tolist() for name, column in zip(data.feature_names, x.T, strict=True)},
    }
