"""Arguments and options that several commands declare alike."""

from __future__ import annotations

from typing import Annotated

import typer

from superpose.choices import MISSING

TableArgument = Annotated[
    str,
    typer.Argument(
        metavar="TABLE", help="a table: text, Excel, JSON, Parquet, Arrow, SQLite or DuckDB; - for standard input"
    ),
]
TargetOption = Annotated[str, typer.Option("--target", metavar="NAME", help="the column to be learnt")]
FeaturesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--features",
        metavar="A,B",
        help="The columns to learn from; all that can be learnt from if left out. Names that hold "
        "commas go in double quotes, or one to each --features.",
    ),
]
TaskOption = Annotated[
    str,
    typer.Option("--task", metavar="regression|classification", help="Learn a number, or one of some classes."),
]
MissingOption = Annotated[
    str | None,
    typer.Option(
        "--missing",
        metavar="|".join(MISSING),
        help="Missing cells: refuse them, leave out their rows, fill them with the median (or the most frequent "
        "level), or fill them and add a column that says where; refused if left out.",
    ),
]
CategoriesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--categories",
        metavar="A,B|none",
        help="Columns that are categories whatever they hold, beside text with few levels; none: text is left out.",
    ),
]
DatesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--dates",
        metavar="A:hour,weekday|none",
        help="Parts of a column of dates beside the time that has passed: hour, weekday, month; day-first or "
        "month-first where that cannot be told; none: dates are left out. May be given often.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
QuietOption = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]
