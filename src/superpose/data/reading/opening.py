"""Tables that are given by a path, or were read already."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from superpose.data.reading.formats import read_table
from superpose.data.reading.options import FileOptions
from superpose.data.tables import Table
from superpose.errors import OptionError
from superpose.messages import listed


def opened(table: str | os.PathLike[str] | Table, options: FileOptions) -> tuple[Table, str]:
    """The table, and where it is from.

    Raises:
        OptionError: if options on reading are given for a table that was read already.
    """
    if not isinstance(table, Table):
        return read_table(table, **options), os.fspath(table)
    if given := [name for name, value in options.items() if value is not None]:
        raise OptionError(f"the table was read already; give {listed(given)} to read_table")
    # Its array stays what it is.
    return replace(table, storage=None), table.label.strip("'")


def opened_test(test: Any, options: FileOptions) -> Any:
    """The option ``test`` of a data set, read if it is a path: its rows are chosen and written as the table's."""
    if not isinstance(test, str | os.PathLike):
        return test
    shared: Any = {name: value for name, value in options.items() if name in ("where", "decimal", "encoding")}
    return read_table(test, **shared)
