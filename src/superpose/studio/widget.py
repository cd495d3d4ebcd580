"""The network view in a notebook: Jupyter, marimo and other hosts of anywidget."""

from __future__ import annotations

import functools
import importlib.util
from typing import Any

import torch

from superpose.data import Dataset
from superpose.deadline import Deadline
from superpose.errors import OptionError
from superpose.files.json_numbers import json_ready
from superpose.nn.model import KAN
from superpose.studio.actions import CHANGES, answer
from superpose.studio.bundle import bundled, styles
from superpose.studio.network_numbers import network_numbers
from superpose.studio.session import Session
from superpose.tasks.classification import ClassificationDataset
from superpose.train import Record

# Seconds between two pictures of a network in training: five a second look like a movement.
_PAUSE = 0.2


def widget(model: KAN | Session, data: Dataset | ClassificationDataset | None = None) -> Any:
    """The network view of a model in a notebook: look at each edge, prune, set functions, refit, train, go back.

    What is clicked there is done in Python, and what is done in Python is shown there::

        view = superpose.widget(model, data)
        view                                            # the value of a cell: shows the view
        view.do("fix", edge=(0, 0, 0), function="sin")  # shown at once
        superpose.fit(model, data, listener=view)       # the curves move while it trains
        edited = view.model                             # the network that is shown
        view.model = superpose.edit.merge(edited, data) # a new state of the history

    ``view.session`` is the :class:`~superpose.studio.Session` behind it. A training that was begun by a click is ended
    by interrupting the kernel; the best state so far is kept.

    Args:
        model: the network, which clicks leave as it is; or a session.
        data: its table; not needed for a session.

    Raises:
        OptionError: if anywidget is not installed, or data are missing.
        DataError: if the model does not take and give the columns of the table.
    """
    for package in ("anywidget", "traitlets"):
        if importlib.util.find_spec(package) is None:
            raise OptionError(
                f"the widget needs {package}, which is not installed; pip install 'superpose[notebook]' adds it"
            )
    if isinstance(model, Session):
        return _widget_class()(model, None)
    if data is None:
        raise OptionError("a widget needs the table of the model: superpose.widget(model, data)")
    return _widget_class()(Session(model, data), model)


@functools.cache
def _widget_class() -> type[Any]:
    import anywidget
    import traitlets

    class NetworkWidget(anywidget.AnyWidget):
        """What :func:`widget` returns."""

        _esm = bundled()
        _css = styles()
        state = traitlets.Dict().tag(sync=True)
        # Changes that were made in the view; cells of marimo that depend on it run again.
        clicks = traitlets.Int(0).tag(sync=True)

        def __init__(self, session: Session, watched: KAN | None) -> None:
            self.session = session
            self._watched = watched
            self._seen = None if watched is None else _values(watched)
            self._pause = Deadline(0.0)
            super().__init__(state=_state(session))
            self.on_msg(self._hear)
            session.tree.watchers.append(self._show)

        # -- for programs

        @property
        def model(self) -> KAN:
            """The network that is shown; a copy."""
            self._follow()
            return self.session.model

        @model.setter
        def model(self, model: KAN) -> None:
            self.session.put(model)

        def do(self, verb: str, **arguments: Any) -> dict[str, Any]:
            """Do a step; see :class:`superpose.studio.Step`."""
            self._follow()
            return self.session.do({"verb": verb, "arguments": arguments}, listener=self._training)

        def __call__(self, record: Record) -> None:
            """As the listener of :func:`superpose.fit`: show the model of the widget while it trains."""
            if self._watched is None or not self._pause.passed():
                return
            self._pause = Deadline(_PAUSE)
            network = network_numbers(self._watched, self.session.data, live=True)
            message = f"training: step {record.step}, grid {record.grid_size}, loss {record.train_loss:.3g}"
            self.state = {**self.state, "network": network, "message": message}

        def __repr__(self) -> str:
            return f"superpose.widget of a KAN of shape {self.session.tree.state.model.shape}"

        # -- for the view

        def _hear(self, _: Any, request: Any, buffers: Any) -> None:
            if not isinstance(request, dict):
                return
            if request.get("action") in CHANGES:
                self._follow()
            self.send(json_ready(answer(self.session, request, self._training)))
            if self.state.get("busy"):
                self._show()

        def _training(self, record: Record) -> None:
            if self._pause.passed():
                self._pause = Deadline(_PAUSE)
                busy = {"text": "training", "record": json_ready(vars(record))}
                self.state = {**self.state, "network": self.session.network(), "busy": busy}

        def _follow(self) -> None:
            """Make a state of what a program has done to the model that the widget was made of."""
            if self._watched is None:
                return
            values = _values(self._watched)
            if not _equal(values, self._seen):
                self._seen = values
                self.session.put(self._watched)

        def _show(self) -> None:
            self.state = _state(self.session)

    return NetworkWidget


def _state(session: Session) -> dict[str, Any]:
    return {"network": session.network(), "history": session.history(), "busy": None, "message": ""}


def _values(model: KAN) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def _equal(values: dict[str, torch.Tensor], others: dict[str, torch.Tensor] | None) -> bool:
    return (
        others is not None
        and values.keys() == others.keys()
        and all(values[name].shape == others[name].shape and torch.equal(values[name], others[name]) for name in values)
    )
