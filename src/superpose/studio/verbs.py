"""What each verb of a step does: the public function that it calls, the sentence and the code that say so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from superpose import edit
from superpose.data import Dataset
from superpose.edit.pruning import THRESHOLD
from superpose.errors import OptionError
from superpose.messages import counted
from superpose.nn.model import KAN
from superpose.plot.edge_closeup import node_names
from superpose.studio.steps import Step
from superpose.studio.training import Listener, train


@dataclass(frozen=True)
class Done:
    """What a step made.

    Attributes:
        model: the new network.
        step: the step as a script repeats it.
        note: a sentence on how it ended; may be empty.
    """

    model: KAN
    step: Step
    note: str = ""


def perform(
    step: Step,
    model: KAN,
    data: Dataset,
    listener: Listener | None = None,
    training: Callable[[KAN], None] | None = None,
) -> Done:
    """Do a step to a network, which is not changed.

    Args:
        step: what is done.
        model: to what.
        data: the table.
        listener: of a training.
        training: is given the network that a training changes in place, before it begins.

    Raises:
        SuperposeError: if the step cannot be done, or would change nothing.
    """
    arguments = dict(step.arguments)
    if step.verb == "train":
        made = model.copy()
        if training is not None:
            training(made)
        history, repeated = train(made, data, arguments, listener)
        sentences = [history.reason, *history.notes]
        return Done(made, Step("train", repeated), "; ".join(one for one in sentences if one))
    made = _EDITS[step.verb](model, data, arguments)
    if step.verb in ("prune", "merge", "refine") and _size(made) == _size(model):
        raise OptionError(_nothing(step, model))
    return Done(made, step)


def _size(model: KAN) -> tuple[Any, ...]:
    sizes = [layer.grid_size for layer in model.kan_layers()]
    return model.shape, model.active_edges(), sizes


def _nothing(step: Step, model: KAN) -> str:
    """Why a step changes nothing."""
    if step.verb == "prune":
        threshold = step.arguments.get("threshold", THRESHOLD)
        return (
            f"no edge has an attribution score below {threshold:g} but those that an output needs, so pruning changes "
            "nothing; choose a larger threshold"
        )
    if step.verb == "refine":
        return (
            f"the grids have {max(layer.grid_size for layer in model.kan_layers())} intervals already; refine to more"
        )
    return "no two hidden nodes of a layer have the same function, so merging changes nothing; try a larger tolerance"


_Edit = Callable[[KAN, Dataset, dict[str, Any]], KAN]


def _edit(name: str) -> _Edit:
    """The verb of a function of :mod:`superpose.edit`, which may take an edge, a function or a column by position."""
    function: Callable[..., KAN] = getattr(edit, name)

    def edited(model: KAN, data: Dataset, arguments: dict[str, Any]) -> KAN:
        positions = [arguments.pop(name) for name in _POSITIONS if name in arguments]
        return function(model, data, *positions, **arguments)

    return edited


_POSITIONS = ("edge", "column", "function")


def _drag(model: KAN, data: Dataset, arguments: dict[str, Any]) -> KAN:
    return edit.drag(model, arguments.pop("edge"), **arguments)


def _refine(model: KAN, data: Dataset, arguments: dict[str, Any]) -> KAN:
    return model.refine(arguments["grid_size"], data.features(data.train).to(model.input_center.device))


_EDITS: Mapping[str, _Edit] = {
    "fix": _edit("fix"),
    "replace": _edit("replace"),
    "release": _edit("release"),
    "remove": _edit("remove"),
    "prune": _edit("prune"),
    "straighten": _edit("straighten"),
    "merge": _edit("merge"),
    "refit": _edit("refit"),
    "linear": _edit("linear"),
    "drag": _drag,
    "refine": _refine,
}


# -- what a step is called


def described(step: Step, model: KAN) -> str:
    """A step in words, as the history shows it; ``model`` is the network before it.

    >>> described(Step("fix", {"edge": [0, 1, 2], "function": "sin"}), KAN([2, 3, 1]))
    'set x2 → node 3 of layer 1 to sin'
    """
    arguments = dict(step.arguments)
    where = " → ".join(node_names(model, arguments["edge"])) if _known(model, arguments.get("edge")) else "an edge"
    says: Mapping[str, Callable[[], str]] = {
        "fix": lambda: f"set {where} to {arguments['function']}{_held(arguments)}",
        "replace": lambda: f"set {where} to {arguments['function']}, fitted to the targets{_held(arguments)}",
        "release": lambda: f"free {where}: a spline again",
        "remove": lambda: f"remove {where}",
        "prune": lambda: _pruning(arguments),
        "straighten": lambda: "straighten the curves",
        "merge": lambda: "merge hidden nodes with the same function",
        "refit": lambda: "refit all free constants",
        "linear": lambda: f"make {_name(model, arguments['column'])} enter linearly",
        "drag": lambda: f"drag {where} between {min(arguments['x']):.3g} and {max(arguments['x']):.3g}",
        "refine": lambda: f"refine the grids to {_grid(arguments['grid_size'])} intervals",
        "train": lambda: _training(arguments),
    }
    return says[step.verb]()


def _known(model: KAN, edge: Any) -> bool:
    return edge is not None and edge in set(model.active_edges())


def _held(arguments: Mapping[str, Any]) -> str:
    frozen = arguments.get("frozen")
    letters = "a, b, c, d" if frozen is True else ", ".join(frozen) if frozen else ""
    return f" ({letters} frozen)" if letters else ""


def _name(model: KAN, column: str | int) -> str:
    names = model.feature_names
    return names[column] if isinstance(column, int) and 0 <= column < len(names) else str(column)


def _grid(size: int | tuple[int, ...]) -> str:
    return ", ".join(map(str, size)) if isinstance(size, tuple) else str(size)


def _pruning(arguments: Mapping[str, Any]) -> str:
    named = [
        counted(len(arguments[kind]), noun)
        for kind, noun in (("edges", "edge"), ("nodes", "node"), ("inputs", "input"))
        if arguments.get(kind)
    ]
    threshold = arguments.get("threshold")
    if named and not threshold:
        return f"prune {' and '.join(named)}"
    below = f"edges with a score below {THRESHOLD if threshold is None else threshold:g}"
    return f"prune {' and '.join([*named, below])}"


def _training(arguments: Mapping[str, Any]) -> str:
    text = f"train with {arguments.get('optimizer', 'lm')}"
    if arguments.get("grids"):
        text += f" on grids of {_grid(arguments['grids'])} intervals"
    if arguments.get("steps"):
        text += f", {counted(arguments['steps'], 'step')} on each"
    if arguments.get("sparsity"):
        text += f", sparsity {arguments['sparsity']:g}"
    if arguments.get("records"):
        text += f", ended after {counted(arguments['records'], 'record')}"
    return text


# -- and as code


def code(step: Step, *, classifier: bool = False) -> list[str]:
    """The lines of Python that do a step, with ``model``, ``data`` and the name ``superpose``.

    >>> code(Step("fix", {"edge": [0, 0, 0], "function": "sin"}))
    ["model = superpose.edit.fix(model, data, (0, 0, 0), 'sin')"]
    """
    arguments = dict(step.arguments)
    if step.verb == "train":
        records = arguments.pop("records", None)
        options = _keywords({**arguments, "progress": False})
        if records is not None:
            options += f", listener=superpose.studio.stop_after({records})"
        loss = "loss=model.head, " if classifier else ""
        return [f"superpose.fit(model, data, {loss}{options})"]
    if step.verb == "refine":
        return [f"model = model.refine({arguments['grid_size']!r}, data.features(data.train))"]
    positions = [repr(arguments.pop(name)) for name in _POSITIONS if name in arguments]
    given = ["model"] if step.verb == "drag" else ["model", "data"]
    rest = [_keywords(arguments)] if arguments else []
    return [f"model = superpose.edit.{step.verb}({', '.join([*given, *positions, *rest])})"]


def _keywords(arguments: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items())
