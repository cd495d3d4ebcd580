"""Results of stages as JSON and tensors, and back.

What may stand in a result: None, booleans, numbers, texts, lists, tuples, mappings, tensors, networks, expressions, and
dataclasses and enumerations of kinds that the reader names. Anything else is refused, and a file names no code.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

from torch import Tensor

from superpose.checkpoint.expressions import as_lists, from_lists
from superpose.data.preparation import KINDS, Preparation
from superpose.errors import OptionError
from superpose.files import model_from_parts, model_parts
from superpose.formulas.expressions.formula import Formula
from superpose.formulas.expressions.splines import SplineEdge
from superpose.nn.model import KAN
from superpose.stopping import StopReason
from superpose.train.history import History, Record

# Kinds that results of all tasks hold.
SHARED: tuple[type, ...] = (Formula, History, Record, SplineEdge, StopReason, Preparation, *KINDS.values())
_KIND, _PARTS = "kind", "parts"


class Packed:
    """A value as JSON and tensors.

    An object that stands in several places is written once, so that it is one object again when it is read.

    Args:
        value: a result.
        kinds: classes of dataclasses and enumerations in it.

    Attributes:
        json: ready for :func:`json.dumps`.
        tensors: by the names that they have in ``json``.

    Raises:
        OptionError: for what no file may hold, such as a network with a NaN.
        TypeError: for an object of another kind.

    >>> packed = Packed([1.5, float("inf"), (True, None)], ())
    >>> packed.json
    [1.5, {'kind': 'float', 'parts': ['inf']}, {'kind': 'tuple', 'parts': [True, None]}]
    >>> unpack(packed.json, packed.tensors, ())
    [1.5, inf, (True, None)]
    """

    def __init__(self, value: Any, kinds: Sequence[type]) -> None:
        self.tensors: dict[str, Tensor] = {}
        self._names = {kind: kind.__name__ for kind in kinds}
        self._places: dict[int, int] = {}
        # Kept, since another object could otherwise get the same id.
        self._values: list[Any] = []
        self.json = self._packed(value)

    def _packed(self, value: Any) -> Any:
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if abs(value) < float("inf") else _node("float", [repr(value)])
        if type(value) is list:
            return [self._packed(one) for one in value]
        if type(value) is tuple:
            return _node("tuple", [self._packed(one) for one in value])
        if isinstance(value, Mapping):
            return _node("mapping", [[self._packed(key), self._packed(one)] for key, one in value.items()])
        if isinstance(value, Enum) and type(value) in self._names:
            return _node(self._names[type(value)], [value.value])
        if id(value) in self._places:
            return _node("again", [self._places[id(value)]])
        made = self._object(value)
        self._places[id(value)] = len(self._values)
        self._values.append(value)
        return made

    def _object(self, value: Any) -> dict[str, Any]:
        if isinstance(value, Tensor):
            return _node("tensor", [self._stored(value)])
        if type(value) is KAN:
            description, tensors = model_parts(value)
            return _node("network", [description, {name: self._stored(one) for name, one in tensors.items()}])
        if hasattr(value, "free_symbols"):
            return _node("expression", as_lists(value))
        name = self._names.get(type(value))
        if name is None or not dataclasses.is_dataclass(value):
            raise TypeError(f"a checkpoint cannot hold a {type(value).__name__}; name its class among the kinds")
        return _node(name, [self._packed(getattr(value, field.name)) for field in dataclasses.fields(value)])

    def _stored(self, tensor: Tensor) -> str:
        name = f"t{len(self.tensors)}"
        self.tensors[name] = tensor.detach().cpu().contiguous().clone()
        return name


def unpack(json: Any, tensors: Mapping[str, Tensor], kinds: Sequence[type]) -> Any:
    """The value that :class:`Packed` was made of.

    Raises:
        OptionError: for what it does not write.
    """
    classes = {kind.__name__: kind for kind in kinds}
    seen: list[Any] = []

    def built(json: Any) -> Any:
        if isinstance(json, list):
            return [built(one) for one in json]
        if not isinstance(json, dict):
            return json
        kind, parts = json[_KIND], json[_PARTS]
        if kind == "float":
            return {"inf": float("inf"), "-inf": float("-inf"), "nan": float("nan")}[parts[0]]
        if kind == "tuple":
            return tuple(built(one) for one in parts)
        if kind == "mapping":
            return {built(key): built(one) for key, one in parts}
        if kind == "again":
            return seen[parts[0]]
        if kind in classes and issubclass(classes[kind], Enum):
            return classes[kind](parts[0])
        made = of_kind(kind, parts)
        seen.append(made)
        return made

    def of_kind(kind: str, parts: Any) -> Any:
        if kind == "tensor":
            return tensors[parts[0]]
        if kind == "network":
            return model_from_parts(parts[0], {name: tensors[one] for name, one in parts[1].items()})
        if kind == "expression":
            return from_lists(parts)
        fields = dataclasses.fields(classes[kind])
        if len(fields) != len(parts):
            raise OptionError(f"{kind} has {len(fields)} fields, and {len(parts)} are there")
        values = {field.name: built(one) for field, one in zip(fields, parts, strict=True)}
        return classes[kind](**values)

    try:
        return built(json)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, OptionError):
            raise
        raise OptionError(f"a value of a checkpoint cannot be read ({type(error).__name__})") from None


def _node(kind: str, parts: list[Any]) -> dict[str, Any]:
    return {_KIND: kind, _PARTS: parts}
