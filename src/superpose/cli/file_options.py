"""The options on how a table is read from its file, the same for every command that reads one."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from superpose.cli import parsing
from superpose.errors import OptionError

WhereOption = Annotated[
    str | None,
    typer.Option("--where", metavar="CONDITION", help="The rows to use, such as \"price > 0 and kind != 'x'\"."),
]
ExcludeOption = Annotated[
    list[str] | None,
    typer.Option("--exclude", metavar="A,B", help="Columns not to use; names that hold commas in double quotes."),
]
SheetOption = Annotated[
    str | None,
    typer.Option("--sheet", metavar="NAME", help="The sheet of an Excel workbook; the first one if left out."),
]
QueryOption = Annotated[
    str | None,
    typer.Option("--query", metavar="SELECT...", help="What to read of an SQLite or DuckDB database."),
]
DecimalOption = Annotated[
    str | None,
    typer.Option("--decimal", metavar=",|.", help="The decimal mark, where the cells do not tell."),
]
EncodingOption = Annotated[
    str | None,
    typer.Option("--encoding", metavar="NAME", help="Of a text that is not UTF-8, such as cp1250."),
]


def given(
    where: str | None,
    exclude: list[str] | None,
    sheet: str | None,
    query: str | None,
    decimal: str | None,
    encoding: str | None,
) -> dict[str, Any]:
    """The options that were typed, checked, as those of :func:`superpose.data.read_table`.

    Raises:
        OptionError: for one that makes no sense.

    >>> given(" x > 0", ["a,b"], None, None, ",", None)
    {'where': 'x > 0', 'decimal': ',', 'exclude': ['a', 'b']}
    """
    typed = {"where": where, "sheet": sheet, "query": query, "decimal": decimal, "encoding": encoding}
    made: dict[str, Any] = {}
    for name, text in typed.items():
        if text is not None and not text.strip():
            raise OptionError(f"--{name} is empty; give it a value, or leave it out")
        made |= {} if text is None else {name: text.strip()}
    if "decimal" in made:
        parsing.one_of("--decimal", made["decimal"], (",", "."))
    if "where" in made:
        from superpose.data.conditions import read_condition

        # A mistake is answered before the table is read.
        read_condition(made["where"])
    if (columns := parsing.names("--exclude", exclude)) is not None:
        made["exclude"] = columns
    return made
