"""``superpose describe``: what was understood of a table, column by column."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from superpose.cli import file_options, parsing, preparation_options
from superpose.cli.declarations import (
    CategoriesOption,
    DatesOption,
    FeaturesOption,
    JsonOption,
    MissingOption,
    TableArgument,
)
from superpose.cli.file_options import (
    DecimalOption,
    EncodingOption,
    ExcludeOption,
    QueryOption,
    SheetOption,
    WhereOption,
)

if TYPE_CHECKING:
    from superpose.data.description import TableDescription


def command(
    table: TableArgument,
    target: Annotated[
        str | None, typer.Option("--target", metavar="NAME", help="The column to be learnt, if that is known already.")
    ] = None,
    features: FeaturesOption = None,
    where: WhereOption = None,
    exclude: ExcludeOption = None,
    sheet: SheetOption = None,
    query: QueryOption = None,
    decimal: DecimalOption = None,
    encoding: EncodingOption = None,
    missing: MissingOption = None,
    categories: CategoriesOption = None,
    dates: DatesOption = None,
    as_json: JsonOption = False,
) -> Callable[[], None]:
    """Say what each column of TABLE is, and what 'fit' would make of it; nothing is fitted."""
    options = preparation_options.columns(missing, categories, dates)
    chosen = file_options.given(where, exclude, sheet, query, decimal, encoding)
    return functools.partial(
        _describe, (table, chosen), target, parsing.names("--features", features), options, as_json
    )


def _describe(
    given: tuple[str, dict[str, Any]],
    target: str | None,
    features: list[str] | None,
    options: dict[str, Any],
    as_json: bool,
) -> None:
    from superpose.data.description import describe
    from superpose.data.reading import read_table
    from superpose.files.json_numbers import json_ready

    path, chosen = given
    table = read_table(path, **chosen)
    found = describe(table, target, features=features, **options)
    for note in table.notes:
        print(f"note: {note}", file=sys.stderr)
    if as_json:
        print(json.dumps(json_ready(found.to_dict()), allow_nan=False))
    elif sys.stdout.isatty():
        _grid(found)
    else:
        print(found)


def _grid(found: TableDescription) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    first, *_ = str(found).splitlines()
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in found.HEAD:
        grid.add_column(name, overflow="fold")
    for line in found.lines():
        grid.add_row(*(Text(cell) for cell in line))
    console = Console()
    console.print(Text(first))
    console.print(grid)
