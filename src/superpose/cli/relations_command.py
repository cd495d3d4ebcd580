"""``superpose relations``: its options, and what it says when it is done."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from superpose import parallel
from superpose.cli import console, file_options, parsing
from superpose.cli.declarations import JsonOption, QuietOption, TableArgument
from superpose.cli.file_options import (
    DecimalOption,
    EncodingOption,
    ExcludeOption,
    QueryOption,
    SheetOption,
    WhereOption,
)
from superpose.errors import OptionError

if TYPE_CHECKING:
    from superpose.tasks.relations import Relations

_MAX_SEED, _MAX_SEEDS = 2**63 - 1001, 100


def command(
    table: TableArgument,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--columns",
            metavar="A,B",
            help="The columns to look at; all that hold numbers if left out. Names that hold commas go in double "
            "quotes, or one to each --columns.",
        ),
    ] = None,
    where: WhereOption = None,
    exclude: ExcludeOption = None,
    sheet: SheetOption = None,
    query: QueryOption = None,
    decimal: DecimalOption = None,
    encoding: EncodingOption = None,
    threshold: Annotated[
        str,
        typer.Option(
            "--threshold", metavar="SHARE", help="The least share of a column's variance that a relation explains."
        ),
    ] = "0.5",
    seeds: Annotated[
        str, typer.Option("--seeds", metavar="N", help="Divisions of the rows that each relation is tried on.")
    ] = "3",
    time_limit: Annotated[str, typer.Option("--time-limit", metavar="SECONDS", help="When to stop searching.")] = "180",
    seed: Annotated[str, typer.Option("--seed", metavar="N", help="Of every random choice.")] = "0",
    no_formulas: Annotated[bool, typer.Option("--no-formulas", help="Say which columns, not how.")] = False,
    out: Annotated[
        str | None, typer.Option("--out", metavar="DIR", help="Where to write; out/TABLE-relations if left out.")
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> Callable[[], None]:
    """Find which columns of TABLE depend on one another, and by which formulas."""
    options = {
        "columns": parsing.names("--columns", columns),
        "threshold": _share("--threshold", threshold),
        "seeds": parsing.whole("--seeds", seeds, 1, _MAX_SEEDS),
        "time_limit": parsing.seconds("--time-limit", time_limit),
        "formulas": not no_formulas,
        "seed": parsing.whole("--seed", seed, 0, _MAX_SEED),
    }
    folder = parsing.folder("--out", out, parsing.default_folder(table, "relations"))
    chosen = file_options.given(where, exclude, sheet, query, decimal, encoding)
    return _Run(table, chosen, options, folder, as_json, quiet).run


def _share(option: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise OptionError(
            f"{option} is {parsing.quoted(text)} and must be a share of the variance, above 0 and below 1"
        )
    return value


@dataclass(frozen=True)
class _Run:
    """One run of ``superpose relations``, its options checked."""

    table: str
    chosen: dict[str, Any]
    options: dict[str, Any]
    folder: Path
    as_json: bool
    quiet: bool

    def run(self) -> None:
        parallel.one_thread()
        from superpose.data.reading import read_table
        from superpose.files.json_numbers import json_ready
        from superpose.report.relations import write
        from superpose.tasks.relations import relations

        with console.progress(self.quiet, "reading the table") as progress:
            table = read_table(self.table, **self.chosen)
            found = relations(table, **self.options, listener=progress.listener)
            written = write(found, self.folder)
        if self.as_json:
            print(json.dumps(json_ready(found.to_dict() | {"out": str(self.folder)}), allow_nan=False))
            return
        part = found.failures.part("the relations could not be printed", "they are in the files")
        with part, contextlib.suppress(BrokenPipeError):
            if sys.stdout.isatty() and len(found):
                _table(found)
                if found.unrelated:
                    print(f"in no relation: {', '.join(found.unrelated)}")
            else:
                print(found)
        print(found.summary())
        if found.left_out:
            print(f"{console.NOT_NUMBERS}: {', '.join(found.left_out)}")
        console.show_warnings([*table.notes, *found.failures.sentences])
        begin = f"; begin with {self.folder / 'relations.md'}" if "relations.md" in written else ""
        print(f"written to {self.folder}{begin}")


def _table(found: Relations) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table("columns", "relation", "explained", "error", "confirmed")
    for one in found:
        what = one.equation or ("a curve or a surface" if one.implicit else f"{one.target} depends on the others")
        error = "" if one.error is None else f"{one.error:.2g}"
        cells = (", ".join(one.columns), what, one.strength_text().removesuffix(" explained"), error,
                 f"{one.seeds_agreeing} of {one.seeds}")  # fmt: skip
        grid.add_row(*(Text(cell) for cell in cells))
    Console().print(grid)
