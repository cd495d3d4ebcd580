"""What ``superpose relations`` leaves in its folder."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from superpose.atomic_write import write_atomically
from superpose.errors import FileError
from superpose.files.json_numbers import json_ready
from superpose.messages import counted, quoted
from superpose.plot import canvas
from superpose.plot.relations_chart import draw
from superpose.tasks.relations.result import Relation, Relations

LOG = "errors.log"
FILES = ("relations.json", "relations.md", "relations.svg", "relations.png")
_HEAD = ("columns", "relation", "explained", "formula's error", "real nearer than permuted", "confirmed")


def write(relations: Relations, folder: str | os.PathLike[str]) -> dict[str, Path]:
    """Write the relations as JSON, as a page and as a picture into a folder, which is made if need be.

    A file other than ``relations.json`` that cannot be made or written is left out, which is said by a sentence in
    ``relations.failures``, in ``relations.json`` and on the page, with the traceback in ``errors.log``.

    Raises:
        FileError: if the folder or ``relations.json`` cannot be written.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        label = quoted(os.fspath(folder), 120)
        raise FileError(f"{label} cannot be made: {error.strerror or error}; choose another folder") from None
    failures = relations.failures

    def failed(error: Exception) -> None:
        failures.record("the picture of the relations could not be drawn", error, "a sentence stands in its place")

    def document() -> bytes:
        text = json.dumps(json_ready(relations.to_dict()), indent=2, ensure_ascii=False, allow_nan=False)
        return f"{text}\n".encode()

    written = []

    def write_part(name: str, content: Callable[[], bytes]) -> None:
        with failures.part(f"{name} could not be written", "all other files are there"):
            write_atomically(folder / name, content())
            written.append(name)

    write_atomically(folder / FILES[0], document())
    picture: Mapping[str, bytes] = {}
    with failures.part("the picture of the relations could not be drawn"):
        picture = canvas.drawn(lambda: draw(relations), "Relations", ("svg", "png"), failed).files
    for kind in picture:
        write_part(f"relations.{kind}", functools.partial(picture.__getitem__, kind))
    write_part("relations.md", lambda: page(relations).encode())
    if failures.sentences:
        write_part(LOG, lambda: "\n\n".join(failures.tracebacks).encode())
        write_atomically(folder / FILES[0], document())
    for name in {*FILES[1:], LOG} - set(written):
        with failures.part(f"{name} of an earlier run could not be removed"):
            (folder / name).unlink(missing_ok=True)
    return {name: folder / name for name in (FILES[0], *FILES[1:], LOG) if name == FILES[0] or name in written}


def page(relations: Relations) -> str:
    """The relations as Markdown."""
    lines = ["# Relations", "", f"{relations.summary()}.", ""]
    lines += [line for sentence in relations.failures.sentences for line in (f"Warning: {_code(sentence)}.", "")]
    if relations.found:
        lines += ["![Which columns belong together](relations.svg)", "", _row(_HEAD), _row(["---"] * len(_HEAD))]
        lines += [_row(_cells(relation)) for relation in relations.found]
        lines += ["", "Shares and errors are on rows that were held out; an error is in units of the target's standard "
                  "deviation.", ""]  # fmt: skip
        lines += [line for relation in relations.found for line in _inner(relation)]
    else:
        lines += [f"No relation explains {100 * relations.threshold:g}% of a column.", ""]
    if relations.unrelated:
        lines += [f"In no relation: {', '.join(map(_code, relations.unrelated))}.", ""]
    if relations.left_out:
        lines += [f"Not looked at (text, or one value only): {', '.join(map(_code, relations.left_out))}.", ""]
    return "\n".join(lines)


def _cells(relation: Relation) -> list[str]:
    if relation.equation is not None:
        what = _code(relation.equation)
    elif relation.implicit:
        what = f"{', '.join(map(_code, relation.columns))} lie on a curve or a surface"
    else:
        what = f"{_code(relation.target)} depends on {', '.join(map(_code, relation.features))}"
    error = "" if relation.error is None else f"{relation.error:.2g}"
    share = f"{relation.seeds_agreeing} of {relation.seeds}"
    strength = relation.strength_text().removesuffix(" explained")
    return [", ".join(map(_code, relation.columns)), what, strength, error, f"{relation.separation:.3f}", share]


def _inner(relation: Relation) -> list[str]:
    if not relation.inner:
        return []
    parts = ", ".join(f"{_code(one.name)} of {_code(one.column)} (R² {one.r2:.4f})" for one in relation.inner)
    return [f"Functions whose sum is constant look like {parts}: {counted(len(relation.inner), 'column')}.", ""]


def _code(text: str) -> str:
    """A name or a formula as Markdown shows it letter by letter."""
    plain = " ".join(text.split()).replace("`", "'").replace("|", "\\|")
    return f"`{plain}`"


def _row(cells: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"
