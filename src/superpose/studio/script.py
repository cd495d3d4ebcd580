"""The Python script that does what was done in a session, by public functions of the package."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from superpose.data import Dataset
from superpose.data.reading.options import TableOptions, check_options
from superpose.errors import OptionError
from superpose.messages import nearest, quoted
from superpose.nn.likelihood import Head
from superpose.studio.history import State
from superpose.studio.verbs import code

# The file of the first network, where it was not made in the session.
START_FILE = "start.safetensors"


@dataclass(frozen=True)
class Origin:
    """How the first network of a session was made: a :class:`superpose.KAN` of these widths and options."""

    widths: tuple[Any, ...]
    options: Mapping[str, Any]

    def __post_init__(self) -> None:
        for name in self.options:
            if name not in _OPTIONS:
                raise OptionError(f"a new network has no option {name!r}{nearest(str(name), _OPTIONS)}")


# What a session says of a new network; the names are those of the table.
_OPTIONS = ("grid_size", "degree", "grid_range", "base", "seed")


def script_of(
    path: Sequence[State],
    data: Dataset,
    origin: Origin | None,
    table: str | None,
    target: str | Sequence[str] | None,
    options: Mapping[str, Any],
) -> str:
    """The text of the script.

    Args:
        path: the states from the first to the one that the script makes.
        data: the table of the session.
        origin: of the first network; None if it is read from ``START_FILE``.
        table: the path of the table; by default where the data came from.
        target: the column to be learnt; by default that of the data.
        options: of :func:`superpose.read_csv`, by which the table was read.

    Raises:
        OptionError: for a table without a path, and for options that no script can hold.
    """
    # Names stand in the script as they are.
    rest = {name: value for name, value in options.items() if name != "features"}
    check_options("script", cast(TableOptions, rest), ("table", "target", "features"))
    head = path[0].model.head
    source = table if table is not None else data.source
    if source is None:
        raise OptionError("the table has no file that a script could read; say its path with table=...")
    if target is None:
        target = head.name if head is not None else _one_or_several(data.target_names)
    lines = [
        f'"""{_sentence(path[-1])}',
        "",
        "Written by superpose.studio: it does what was done by hand, step by step.",
        '"""',
        "",
        "import superpose",
        "",
        *_reading(source, target, options, head),
        *_check(data),
        "",
        *_beginning(origin, head, path[0], data),
    ]
    for number, state in enumerate(path[1:], start=1):
        assert state.step is not None
        lines += [
            "",
            f"# {number}. {_comment(state.text)}{_error(state)}",
            *code(state.step, classifier=head is not None),
        ]
    lines += ["", 'superpose.save(model, "model.safetensors")']
    lines += [_formula(path[-1]), ""]
    return "\n".join(lines)


def _one_or_several(names: Sequence[str]) -> str | list[str]:
    return names[0] if len(names) == 1 else list(names)


def _reading(source: str, target: Any, options: Mapping[str, Any], head: Head | None) -> list[str]:
    given = "".join(f", {name}={_literal(name, value)}" for name, value in options.items())
    arguments = f"{source!r}, target={_literal('target', target)}{given}"
    if head is None:
        return [f"data = superpose.read_csv({arguments})"]
    scale = "" if head.scale == 1.0 else f", scale={head.scale!r}"
    name = "" if head.name == "class" else f", name={head.name!r}"
    return [
        f"table = superpose.tasks.classification.read_classification({arguments})",
        f"head = superpose.nn.Head({head.kind!r}, table.classes{scale}{name})",
        "data = table.scored(head)",
    ]


def _check(data: Dataset) -> list[str]:
    """Lines that notice another table, or one that was read otherwise."""
    sizes = data.n_rows, len(data.train), len(data.validation)
    return [
        f"if (data.n_rows, len(data.train), len(data.validation)) != {sizes}:",
        "    raise SystemExit(",
        f'        "the table of the session had {sizes[0]} rows, {sizes[1]} of them for training and {sizes[2]} for "',
        '        "validation; read the same file with the same options"',
        "    )",
    ]


def _beginning(origin: Origin | None, head: Head | None, first: State, data: Dataset) -> list[str]:
    if origin is None:
        return [
            "# The network that the session began with.",
            f'model = superpose.load("{START_FILE}")',
        ]
    given = "".join(f", {name}={_literal(name, value)}" for name, value in origin.options.items())
    lines = [f"model = superpose.KAN({list(origin.widths)!r}{given})"]
    return lines if head is None else [*lines, "model.head = head"]


def _formula(last: State) -> str:
    symbolic = sum(len(layer.symbolic_table()) for layer in last.model.kan_layers())
    if last.model.head is None and symbolic == len(last.model.active_edges()):
        return "print(superpose.Formula.of(model, data))"
    return "print(superpose.Formula.of(model))"


def _sentence(last: State) -> str:
    title = last.name or f"The network of step {last.id} of a session"
    return _plain(title).rstrip(".") + "."


def _error(state: State) -> str:
    value = state.errors.judging
    rows = "training" if state.errors.error_validation is None else "validation"
    return f" ({state.errors.measure} on {rows} rows {value:.3g})" if math.isfinite(value) else ""


def _comment(text: str) -> str:
    return _plain(text)


def _plain(text: str) -> str:
    """A text that ends neither a comment nor a docstring: names of columns may hold anything."""
    return "".join(letter if letter.isprintable() and letter not in '"\\' else " " for letter in text)


def _literal(name: str, value: Any) -> str:
    """A value as Python writes it.

    Raises:
        OptionError: for anything but numbers, texts, None, and lists and mappings of these.
    """
    if value is None or isinstance(value, bool | int | str):
        return repr(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise OptionError(f"a script cannot hold {name}={value!r}")
        return repr(value)
    if isinstance(value, list | tuple):
        inner = ", ".join(_literal(name, one) for one in value)
        return f"[{inner}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_literal(name, key)}: {_literal(name, one)}' for key, one in value.items())}}}"
    raise OptionError(f"a script cannot hold {name}={quoted(value)}; give numbers and texts only")
