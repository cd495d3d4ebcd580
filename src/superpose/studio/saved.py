"""A session in a folder: a JSON text for the history, and safetensors files for the table and each network.

The text is written last, and whole or not at all, so that a session that is killed while it is saved is the one that
was saved before. Nothing in the folder can run code.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from superpose.atomic_write import write_atomically
from superpose.checkpoint.values import SHARED, Packed, unpack
from superpose.data import Affine, Dataset
from superpose.data.description import ColumnSummary
from superpose.errors import FileError, OptionError, SuperposeError
from superpose.files import load, to_bytes
from superpose.files.container import parse
from superpose.files.values import Refusal
from superpose.nn.model import KAN
from superpose.studio.history import State, Tree
from superpose.studio.script import Origin
from superpose.studio.state_errors import Errors
from superpose.studio.steps import Step

_SCHEMA = 1
_SESSION, _TABLE, _KEY = "session.json", "table.safetensors", "table"
# Levels of the JSON texts; those of a table are a few for each part of its preparation. A round number.
_DEEPEST = 40
_KINDS: tuple[type, ...] = (*SHARED, Dataset, Affine, ColumnSummary)


def _state_file(id: int) -> str:
    return f"state-{id:04d}.safetensors"


def save_session(folder: str | os.PathLike[str], data: Dataset, tree: Tree, origin: Origin | None) -> None:
    """Write a session to a folder, which is made; files of states that are there already stay.

    Raises:
        FileError: if it cannot be written.
        OptionError: if a network cannot be written, such as one with a NaN.
    """
    from safetensors.torch import save

    place = Path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"the folder {os.fspath(folder)!r} cannot be made: {error.strerror}") from None
    if not (place / _SESSION).exists():
        packed = Packed(data, _KINDS)
        write_atomically(place / _TABLE, save(packed.tensors, {_KEY: json.dumps(packed.json, allow_nan=False)}))
    known = _known(place)
    for state in tree.states:
        path = place / _state_file(state.id)
        if state.id not in known or not path.exists():
            write_atomically(path, to_bytes(state.model))
    described = {
        "schema": _SCHEMA,
        "origin": None if origin is None else {"widths": list(origin.widths), "options": dict(origin.options)},
        "current": tree.current,
        "later": sorted(tree.later.items()),
        "states": [_described(state) for state in tree.states],
    }
    write_atomically(place / _SESSION, json.dumps(described, allow_nan=False, indent=1).encode())


def _known(place: Path) -> set[int]:
    """The states that were saved before; of a session of another kind none."""
    try:
        return {one["id"] for one in parse((place / _SESSION).read_bytes(), _DEEPEST)["states"]}
    except (OSError, Refusal, KeyError, TypeError, UnicodeDecodeError):
        return set()


def _described(state: State) -> dict[str, Any]:
    return {
        "id": state.id,
        "parent": state.parent,
        "step": None if state.step is None else state.step.json(),
        "text": state.text,
        "errors": state.errors.json(),
        "note": state.note,
        "name": state.name,
    }


def restore_session(folder: str | os.PathLike[str]) -> tuple[Dataset, Tree, Origin | None]:
    """What :func:`save_session` wrote.

    Raises:
        FileError: if the folder holds no session, or a damaged one.
    """
    place = Path(folder)
    label = repr(os.fspath(folder))
    try:
        described = parse((place / _SESSION).read_bytes(), _DEEPEST)
    except (OSError, Refusal, UnicodeDecodeError):
        raise FileError(f"{label} holds no session that can be read; choose a folder that Session.save wrote") from None
    try:
        if described["schema"] != _SCHEMA:
            raise FileError(f"{label} holds a session of a later version of superpose; update the package")
        tree = _tree(place, described)
        origin = described["origin"]
        made = None if origin is None else Origin(tuple(origin["widths"]), dict(origin["options"]))
        return _table(place / _TABLE), tree, made
    except FileError:
        raise
    except (SuperposeError, KeyError, TypeError, ValueError, OSError, AttributeError) as error:
        raise FileError(f"the session in {label} is damaged ({type(error).__name__}); save it again") from None


def _tree(place: Path, described: Mapping[str, Any]) -> Tree:
    tree = Tree()
    for number, one in enumerate(described["states"]):
        parent = one["parent"]
        if one["id"] != number or (parent is None) != (number == 0) or not (parent is None or 0 <= parent < number):
            raise ValueError
        step = None if one["step"] is None else Step.of(one["step"])
        model: KAN = load(place / _state_file(number))
        texts = [str(one[name]) for name in ("text", "note", "name")]
        tree.states.append(State(number, parent, step, model, texts[0], Errors(**one["errors"]), texts[1], texts[2]))
    tree.later = {int(one): tree.find(int(other)).id for one, other in described["later"]}
    tree.current = tree.find(described["current"]).id
    return tree


def _table(path: Path) -> Dataset:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            packed = parse(file.metadata()[_KEY], _DEEPEST)
    except (SafetensorError, Refusal) as error:
        raise FileError(f"{os.fspath(path)!r} is damaged ({type(error).__name__}); save the session again") from None
    data = unpack(packed, tensors, _KINDS)
    if not isinstance(data, Dataset):
        raise OptionError
    return data
