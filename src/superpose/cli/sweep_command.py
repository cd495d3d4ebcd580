"""``superpose sweep``: its options, and what it says when it is done."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from superpose import parallel
from superpose.choices import SWEPT
from superpose.cli import console, file_options, parsing, preparation_options
from superpose.cli.declarations import (
    CategoriesOption,
    DatesOption,
    FeaturesOption,
    JsonOption,
    MissingOption,
    QuietOption,
    TargetOption,
)
from superpose.cli.file_options import (
    DecimalOption,
    EncodingOption,
    ExcludeOption,
    QueryOption,
    SheetOption,
    WhereOption,
)
from superpose.cli.fit_options import SplitOption, TestShareOption
from superpose.errors import OptionError
from superpose.messages import counted

if TYPE_CHECKING:
    from superpose.tasks.sweeps import SweepResult

# Generous limits that keep a slip of the finger from asking for all of the memory.
_MAX_SEED, _MAX_SEEDS = 2**63 - 1, 1_000_000
# Of the fits with the least errors, on a terminal. A round number.
_SHOWN = 5
# What one value of --vary may be: layers such as 5x2, a number, or text.
_WIDTHS = re.compile(r"[0-9]{1,9}(x[0-9]{1,9})+")
_CONSTANTS: dict[str, Any] = {"none": None, "true": True, "false": False}
# Options whose values are lists, and how the command line calls what is called otherwise in Python.
_LISTS, _NAMES = ("hidden", "grids", "shapes"), {"grid": "grid_size"}


def command(
    table: Annotated[
        list[str], typer.Argument(metavar="TABLE...", help="one or more tables, of any kind that fit reads")
    ],
    target: TargetOption,
    features: FeaturesOption = None,
    task: Annotated[
        str, typer.Option("--task", metavar="|".join(SWEPT), help="What one fit is; a network if left out.")
    ] = "fit",
    vary: Annotated[
        list[str] | None,
        typer.Option(
            "--vary",
            metavar="NAME=A,B",
            help="An option of the task and its values, such as hidden=none,3,5x2 or grid=5,10; may be given often, "
            "all combinations are made.",
        ),
    ] = None,
    seeds: Annotated[str, typer.Option("--seeds", metavar="0,1,2|0..9", help="Of the fits.")] = "0",
    jobs: Annotated[
        str, typer.Option("--jobs", metavar="N", help="Fits at a time, each in a process of its own; -1: all cores.")
    ] = "1",
    backend: Annotated[
        str | None,
        typer.Option("--backend", metavar="loky|dask|ray", help="What distributes the fits; loky if left out."),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option("--cluster", metavar="ADDRESS", help="Of a scheduler of Dask or Ray; this machine if left out."),
    ] = None,
    split: SplitOption = "random",
    test_share: TestShareOption = None,
    where: WhereOption = None,
    exclude: ExcludeOption = None,
    sheet: SheetOption = None,
    query: QueryOption = None,
    decimal: DecimalOption = None,
    encoding: EncodingOption = None,
    missing: MissingOption = None,
    categories: CategoriesOption = None,
    dates: DatesOption = None,
    out: Annotated[
        str | None, typer.Option("--out", metavar="DIR", help="Where to write; out/TABLE-TARGET-sweep if left out.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume/--anew", help="Read the fits that the folder holds already, or make all again.")
    ] = True,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> Callable[[], None]:
    """Make a fit for every combination of tables, options and seeds, several at a time."""
    if not target.strip():
        raise OptionError("--target is empty; name the column to be learnt")
    rows = file_options.given(where, exclude, sheet, query, decimal, encoding)
    rows |= preparation_options.columns(missing, categories, dates) | {"split": split}
    if test_share is not None:
        rows["test"] = parsing.share("--test-share", test_share)
    if cluster is not None and backend not in ("dask", "ray"):
        raise OptionError("--cluster is the address of a scheduler; say of which with --backend dask or --backend ray")
    options = {
        "vary": varied(vary or []),
        "seeds": seeds_of(seeds),
        "task": parsing.one_of("--task", task, SWEPT),
        "features": parsing.names("--features", features),
        "row_options": rows,
        "resume": resume,
        "backend": backend,
        "n_jobs": parsing.jobs(jobs),
    }
    folder = parsing.folder("--out", out, parsing.default_folder(table[0], f"{target}-sweep"))
    return _Run(tuple(table), target, options, cluster, folder, as_json, quiet).run


def varied(texts: list[str]) -> dict[str, list[Any]]:
    """Options and their values, as they were typed.

    Raises:
        OptionError: for what is no option with values, or an option that is given twice.

    >>> varied(["hidden=none,3,5x2", "grid=5,10", "optimizer=lm"])
    {'hidden': [(), (3,), (5, 2)], 'grid_size': [5, 10], 'optimizer': ['lm']}
    """
    made: dict[str, list[Any]] = {}
    for text in texts:
        name, sign, values = text.partition("=")
        name = _NAMES.get(name.strip(), name.strip())
        parts = [part.strip() for part in values.split(",")]
        if not (name and sign and all(parts)):
            raise OptionError(f"--vary {parsing.quoted(text)} is no option with values; write NAME=A,B")
        if name in made:
            raise OptionError(f"--vary has the option {parsing.quoted(name)} twice; give all of its values at once")
        made[name] = [_value(name, part) for part in parts]
        if len({repr(one) for one in made[name]}) < len(parts):
            raise OptionError(f"--vary {parsing.quoted(text)} has a value twice; write each once")
    return made


def _value(name: str, text: str) -> Any:
    if name in ("hidden", "shapes") and text == "none":
        found: Any = ()
    elif text.lower() in _CONSTANTS:
        return _CONSTANTS[text.lower()]
    elif _WIDTHS.fullmatch(text):
        found = tuple(int(part) for part in text.split("x"))
    elif "+" in text[1:] and not re.fullmatch(r"[0-9.]+[eE]\+[0-9]+", text):
        found = tuple(text.split("+"))
    else:
        found = _number(text)
        if name in _LISTS and isinstance(found, int):
            found = (found,)
    # A search takes a list of shapes, of which this is one.
    return (found,) if name == "shapes" else found


def _number(text: str) -> Any:
    if re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        return int(text)
    try:
        value = float(text)
    except ValueError:
        return text
    return value if math.isfinite(value) else text


def seeds_of(text: str) -> list[int]:
    """Seeds from ``0,1,2`` or ``0..9``.

    >>> seeds_of("3,7"), seeds_of("0..3")
    ([3, 7], [0, 1, 2, 3])
    """
    first, dots, last = text.partition("..")
    if dots:
        low, high = (parsing.whole("--seeds", part, 0, _MAX_SEED) for part in (first, last))
        if not low <= high < low + _MAX_SEEDS:
            raise OptionError(f"--seeds {parsing.quoted(text)} is no range of at most {_MAX_SEEDS} seeds; write 0..9")
        return list(range(low, high + 1))
    seeds = [parsing.whole("--seeds", part, 0, _MAX_SEED) for part in text.split(",")]
    if len(set(seeds)) < len(seeds):
        raise OptionError(f"--seeds {parsing.quoted(text)} has a seed twice; write each once")
    return seeds


@dataclass(frozen=True)
class _Run:
    """One run of ``superpose sweep``, its options checked."""

    tables: tuple[str, ...]
    target: str
    options: dict[str, Any]
    cluster: str | None
    folder: Path
    as_json: bool
    quiet: bool

    def run(self) -> None:
        parallel.one_thread()
        from superpose.parallel import close, connected
        from superpose.tasks.sweeps import sweep

        shown = "rich" if not self.quiet and sys.stderr.isatty() else False
        try:
            with connected(self.options["backend"], self.cluster, self.options["n_jobs"]):
                found = sweep(list(self.tables), self.target, folder=self.folder, progress=shown, **self.options)
        finally:
            if self.options["n_jobs"] != 1:
                close()
        if found.fits and len(found.failed) == len(found):
            first = found.failed[0]
            raise OptionError(
                f"none of the {counted(len(found), 'fit')} succeeded; the first, {first.label}: {first.failure}"
            )
        if self.as_json:
            from superpose.files.json_numbers import json_ready

            print(json.dumps(json_ready(self._document(found)), allow_nan=False))
            return
        for line in self._lines(found):
            print(line)

    def _document(self, found: SweepResult) -> dict[str, Any]:
        fits = [
            {"table": one.table, "options": one.options, "seed": one.seed, "rows": one.rows, "failure": one.failure}
            | {"seconds": one.seconds, "key": one.key, "model": None if one.file is None else str(one.file)}
            for one in found
        ]
        facts = {"task": found.task, "total": found.total, "interrupted": found.interrupted, "seconds": found.seconds}
        return facts | {"fits": fits, "out": str(self.folder)}

    def _lines(self, found: SweepResult) -> list[str]:
        read = sum(one.read for one in found)
        known = f", {read} of them read from the folder" if read else ""
        lines = [f"{counted(len(found), 'fit')}{known}"]
        order = sorted((one for one in found if not one.failure), key=lambda one: one.facts.get("error") or 0.0)
        lines.append("  error     fit")
        for one in order[:_SHOWN]:
            table = f"{one.table}: " if len(self.tables) > 1 else ""
            lines.append(f"  {console.figure(one.facts.get('error')):<8}  {table}{one.label}")
        if len(order) > _SHOWN:
            lines.append(f"  and {counted(len(order) - _SHOWN, 'more fit')}")
        lines += [f"failed: {sentence}" for sentence in found.sentences()]
        if found.interrupted:
            lines.append(
                f"interrupted after {len(found)} of {counted(found.total, 'fit')}; the same command goes on from there"
            )
        return [*lines, f"written to {self.folder}; the table is {self.folder / 'results.csv'}"]
