"""``superpose compare``: its options, and what it says when it is done."""

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
from superpose.choices import COMPARED
from superpose.cli import console, file_options, parsing, preparation_options
from superpose.cli.declarations import (
    CategoriesOption,
    DatesOption,
    FeaturesOption,
    JsonOption,
    MissingOption,
    QuietOption,
    TableArgument,
    TargetOption,
    TaskOption,
)
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
    from superpose.tasks.comparison import MethodComparison

# scikit-learn takes seeds of 32 bits.
_MAX_SEED = 2**32 - 1
# A generous limit that keeps a slip of the finger from asking for days.
_MAX_FOLDS = 1000


def command(
    table: TableArgument,
    target: TargetOption,
    features: FeaturesOption = None,
    task: TaskOption = "regression",
    where: WhereOption = None,
    exclude: ExcludeOption = None,
    sheet: SheetOption = None,
    query: QueryOption = None,
    decimal: DecimalOption = None,
    encoding: EncodingOption = None,
    missing: MissingOption = None,
    categories: CategoriesOption = None,
    dates: DatesOption = None,
    cv: Annotated[
        str | None,
        typer.Option("--cv", metavar="K", help="Folds; 5, or one for each row of fewer than 15, if left out."),
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option(
            "--methods",
            metavar="A,B",
            help=f"Some of {', '.join(COMPARED['regression'])}; for classes some of "
            f"{', '.join(COMPARED['classification'])}; all that are installed if left out.",
        ),
    ] = None,
    time_limit: Annotated[
        str, typer.Option("--time-limit", metavar="SECONDS", help="For everything, shared by folds and methods.")
    ] = "300",
    seed: Annotated[str, typer.Option("--seed", metavar="N", help="Of the folds and every random choice.")] = "0",
    jobs: Annotated[
        str, typer.Option("--jobs", metavar="N", help="Fits at a time, each in a process of its own; -1: all cores.")
    ] = "1",
    out: Annotated[
        str | None, typer.Option("--out", metavar="DIR", help="Where to write; out/TABLE-TARGET-compare if left out.")
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> Callable[[], None]:
    """Cross-validate superpose beside other methods on TABLE, and say which one to use."""
    if not target.strip():
        raise OptionError("--target is empty; name the column to be learnt")
    task = parsing.one_of("--task", task, tuple(COMPARED))
    options: dict[str, Any] = {
        "cv": None if cv is None else parsing.whole("--cv", cv, 2, _MAX_FOLDS),
        "methods": None if methods is None else parsing.words("--methods", methods, COMPARED[task]),
        "time_limit": parsing.seconds("--time-limit", time_limit),
        "seed": parsing.whole("--seed", seed, 0, _MAX_SEED),
        "n_jobs": parsing.jobs(jobs),
    }
    columns = parsing.names("--features", features)
    folder = parsing.folder("--out", out, parsing.default_folder(table, f"{target}-compare"))
    chosen = file_options.given(where, exclude, sheet, query, decimal, encoding)
    rows = preparation_options.columns(missing, categories, dates)
    return _Run((table, chosen), target, columns, task, rows, options, folder, as_json, quiet).run


@dataclass(frozen=True)
class _Run:
    """One run of ``superpose compare``, its options checked."""

    table: tuple[str, dict[str, Any]]
    target: str
    features: list[str] | None
    task: str
    rows: Any
    options: dict[str, Any]
    folder: Path
    as_json: bool
    quiet: bool

    def run(self) -> None:
        parallel.one_thread()
        from superpose.data.reading import read_table
        from superpose.files.json_numbers import json_ready
        from superpose.report.comparison import write
        from superpose.tasks.comparison import CompareOptions, compare

        with console.progress(self.quiet, "reading the table") as progress:
            path, chosen = self.table
            table = read_table(path, **chosen)
            with contextlib.ExitStack() as stack:
                if self.options["n_jobs"] != 1:
                    stack.callback(parallel.close)
                found = compare(
                    table,
                    self.target,
                    features=self.features,
                    task=self.task,
                    row_options=self.rows,
                    options=CompareOptions(**self.options),
                    listener=progress.listener,
                )
            write(found, self.folder)
        if self.as_json:
            print(json.dumps(json_ready(found.to_dict() | {"out": str(self.folder)}), allow_nan=False))
            return
        if sys.stdout.isatty():
            _grid(found)
            print(found.sentence)
        else:
            print(found)
        console.show_warnings(table.notes)
        for line in found.notes():
            print(line)
        if found.left_out:
            print(f"{console.LEFT_OUT}: {', '.join(found.left_out)}")
        print(f"written to {self.folder}; the picture is {self.folder / 'comparison.svg'}")


def _grid(found: MethodComparison) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    head, lines = found.table()
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in head:
        grid.add_column(name)
    for line in lines:
        grid.add_row(*(Text(cell) for cell in line), style="bold" if line[0] else "")
    Console().print(grid)
