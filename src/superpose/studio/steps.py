"""Steps: what is done to a network, as a verb and arguments that JSON can hold, checked before anything is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from superpose.checks import is_finite, is_whole
from superpose.errors import OptionError
from superpose.messages import nearest
from superpose.short_repr import brief


@dataclass(frozen=True)
class Step:
    """One step: a verb and its arguments.

    The verbs are functions of :mod:`superpose.edit`, with the arguments of these functions except for model and data;
    ``"train"`` is :func:`superpose.fit`, ``"refine"`` is :meth:`superpose.KAN.refine`.

    Attributes:
        verb: one of ``VERBS``.
        arguments: by name; what JSON can hold, lists or tuples.

    Raises:
        OptionError: for a verb or an argument that does not exist, one that is missing, or a value of another kind.

    >>> Step("fix", {"edge": [0, 0, 0], "function": "sin"}).arguments["edge"]
    (0, 0, 0)
    >>> Step("fix", {"edge": [0, 0], "function": "sin"})
    Traceback (most recent call last):
        ...
    superpose.errors.OptionError: edge of fix is (layer, input, output) in whole numbers, not [0, 0]
    """

    __repr__ = brief

    verb: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.verb not in VERBS:
            raise OptionError(f"there is no step {self.verb!r}{nearest(str(self.verb), VERBS)}; one is a verb of "
                              f"{', '.join(VERBS)}")  # fmt: skip
        if not isinstance(self.arguments, Mapping):
            raise OptionError(f"the arguments of {self.verb} are named, as in {{'edge': [0, 0, 0]}}")
        required, optional = VERBS[self.verb]
        known = (*required, *optional)
        for name in self.arguments:
            if name not in known:
                raise OptionError(f"{self.verb} has no argument {name!r}{nearest(str(name), known)}")
        for name in required:
            if self.arguments.get(name) is None:
                raise OptionError(f"{self.verb} needs the argument {name!r}")
        # An argument that is None is one that is not given.
        given = {name: value for name, value in self.arguments.items() if value is not None}
        object.__setattr__(self, "arguments", {name: self._read(name, value) for name, value in given.items()})

    def _read(self, name: str, value: Any) -> Any:
        kind = ARGUMENTS[name]
        try:
            return kind.read(value)
        except (TypeError, ValueError):
            raise OptionError(f"{name} of {self.verb} is {kind.says}, not {value!r}") from None

    @classmethod
    def of(cls, step: Step | Mapping[str, Any]) -> Step:
        """The step itself, or that of a mapping ``{"verb": ..., "arguments": {...}}``."""
        if isinstance(step, Step):
            return step
        if not isinstance(step, Mapping) or not isinstance(step.get("verb"), str):
            raise OptionError("a step is {'verb': ..., 'arguments': {...}}")
        return cls(step["verb"], step.get("arguments") or {})

    def json(self) -> dict[str, Any]:
        """The step as JSON holds it."""
        return {"verb": self.verb, "arguments": _listed(dict(self.arguments))}


def _listed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _listed(inner) for name, inner in value.items()}
    return [_listed(inner) for inner in value] if isinstance(value, tuple) else value


@dataclass(frozen=True)
class Kind:
    """What an argument may be: ``read`` gives it as Python takes it, or raises TypeError or ValueError."""

    says: str
    read: Callable[[Any], Any]


def _whole(value: Any) -> int:
    if not is_whole(value):
        raise TypeError
    return int(value)


def _number(value: Any) -> float:
    if not is_finite(value):
        raise TypeError
    return float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _several(value: Any) -> Sequence[Any]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError
    return value


def _edge(value: Any) -> tuple[int, int, int]:
    n, i, o = (_whole(one) for one in _several(value))
    return n, i, o


def _node(value: Any) -> tuple[int, int]:
    level, index = (_whole(one) for one in _several(value))
    return level, index


def _column(value: Any) -> str | int:
    return value if isinstance(value, str) else _whole(value)


def _constants(value: Any) -> tuple[float, float, float, float]:
    a, b, c, d = (_number(one) for one in _several(value))
    return a, b, c, d


def _listing(of: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: tuple(of(one) for one in _several(value))


_WHOLE, _NUMBER = Kind("a whole number", _whole), Kind("a number", _number)
_NUMBERS = Kind("a list of numbers", _listing(_number))
_WHOLES = Kind("a list of whole numbers", _listing(_whole))
_FLAG, _TEXT = Kind("true or false", _flag), Kind("a text", _text)
ARGUMENTS: Mapping[str, Kind] = {
    "edge": Kind("(layer, input, output) in whole numbers", _edge),
    "edges": Kind("a list of (layer, input, output)", _listing(_edge)),
    "nodes": Kind("a list of (layer, index)", _listing(_node)),
    "inputs": Kind("a list of columns", _listing(_column)),
    "column": Kind("the name of a column", _column),
    "function": Kind("the name of a function", _text),
    "constants": Kind("the four numbers a, b, c, d", _constants),
    "frozen": Kind("true, false or letters", lambda value: value if isinstance(value, bool) else _text(value)),
    "units": _TEXT,
    "threshold": _NUMBER,
    "min_strength": _NUMBER,
    "tolerance": _NUMBER,
    "sparsity": _NUMBER,
    "roughness": _NUMBER,
    "learning_rate": _NUMBER,
    "time_limit": _NUMBER,
    "steps": _WHOLE,
    "starts": _WHOLE,
    "seed": _WHOLE,
    "patience": _WHOLE,
    "batch_size": _WHOLE,
    "records": _WHOLE,
    "grids": _WHOLES,
    "grid_size": Kind("a whole number, or one for each layer", lambda v: _whole(v) if is_whole(v) else _WHOLES.read(v)),
    "optimizer": _TEXT,
    "adapt": _FLAG,
    "x": _NUMBERS,
    "y": _NUMBERS,
}
# By verb, the arguments that it needs and those that it may have.
VERBS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "fix": (("edge", "function"), ("constants", "frozen", "units")),
    "replace": (("edge", "function"), ("constants", "frozen", "units")),
    "release": (("edge",), ()),
    "remove": (("edge",), ()),
    "prune": ((), ("threshold", "edges", "nodes", "inputs")),
    "straighten": ((), ("min_strength", "time_limit")),
    "merge": ((), ("tolerance",)),
    "refit": ((), ("steps", "tolerance")),
    "linear": (("column",), ("steps",)),
    "drag": (("edge", "x", "y"), ("units",)),
    "refine": (("grid_size",), ()),
    "train": (
        (),
        (
            *("optimizer", "grids", "steps", "starts", "sparsity", "roughness", "adapt", "patience", "batch_size"),
            *("learning_rate", "time_limit", "seed", "records"),
        ),
    ),
}
