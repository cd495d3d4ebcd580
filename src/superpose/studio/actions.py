"""Requests of the network view, answered by a session: the same for the page of the studio and for notebooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from superpose.errors import OptionError, SuperposeError
from superpose.messages import nearest
from superpose.studio.session import Session
from superpose.studio.training import Listener

# What may change the session; all others only read it.
CHANGES = frozenset({"do", "undo", "redo", "go", "name"})
READS = frozenset({"preview", "edge", "formula", "code", "predict", "script", "network", "history"})


def answer(session: Session, request: Mapping[str, Any], listener: Listener | None = None) -> dict[str, Any]:
    """The answer to one request of the network view, ``{"id": ..., ...}`` or ``{"id": ..., "error": sentence}``.

    Args:
        session: is changed by the actions ``do``, ``undo``, ``redo``, ``go`` and ``name``.
        request: ``{"id": ..., "action": ..., ...}``, with what the session's method of that name takes.
        listener: of trainings.

    >>> import torch
    >>> from superpose import KAN, Dataset
    >>> x = torch.linspace(-1, 1, 60, dtype=torch.float64)[:, None]
    >>> session = Session(KAN([1, 1], seed=0), Dataset.from_arrays(x, x**2))
    >>> answer(session, {"id": 3, "action": "undo"})
    {'id': 3, 'error': 'there is nothing to undo: this is the first state of the network'}
    """
    id = request.get("id")
    try:
        return {**_answered(session, request, listener), "id": id}
    except SuperposeError as error:
        return {"id": id, "error": str(error)}


def _answered(session: Session, request: Mapping[str, Any], listener: Listener | None) -> dict[str, Any]:
    action = request.get("action")
    given = {name: value for name, value in request.items() if name not in ("id", "action")}

    def need(name: str) -> Any:
        if name not in given:
            raise OptionError(f"the request {action!r} needs {name!r}")
        return given[name]

    if action == "do":
        return {"entry": session.do(need("step"), listener=listener)}
    if action == "preview":
        return session.preview(need("step"))
    if action == "edge":
        edge = need("edge")
        if not isinstance(edge, list | tuple):
            raise OptionError(f"an edge is (layer, input, output), not {edge!r}")
        return session.edge(edge, candidates=given.get("candidates") is not False)
    if action in ("undo", "redo"):
        return {"entry": session.undo() if action == "undo" else session.redo()}
    if action == "go":
        return {"entry": session.go(need("node"))}
    if action == "name":
        return {"entry": session.name(need("node"), need("text"))}
    if action == "formula":
        return session.formula(given.get("node"))
    if action == "code":
        return {"code": session.code(need("language"))}
    if action == "predict":
        return session.predict(given.get("inputs"))
    if action == "script":
        return {"script": session.script(given.get("table"), given.get("target"), **_options(given.get("options")))}
    if action == "network":
        return {"network": session.network()}
    if action == "history":
        return {"history": session.history()}
    known = sorted(CHANGES | READS)
    raise OptionError(f"there is no action {action!r}{nearest(str(action), known)}; one of {', '.join(known)}")


def _options(given: Any) -> dict[str, Any]:
    """The options by which a table was read."""
    if given is None:
        return {}
    if not isinstance(given, Mapping) or "table" in given or "target" in given:
        raise OptionError("options of a script are those of superpose.read_csv by their names, without the target")
    return dict(given)
