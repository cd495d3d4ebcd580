"""What the page shows of a table: its columns with ranges, gaps and histograms, and its first rows."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy

from superpose.data import read_csv
from superpose.data.description import describe
from superpose.data.reading import read_table
from superpose.data.reading.options import FileOptions
from superpose.data.tables import NUMBER, Column, Table
from superpose.errors import SuperposeError
from superpose.messages import counted
from superpose.studio.engine.places import on_the_page, place_of

Json = dict[str, Any]

# What fits on a page; round numbers.
_BINS, _ROWS, _CELL = 24, 12, 60
# Of longer columns every so-and-so-many-th cell of text is looked at for a histogram.
_MOST_CELLS = 20_000


def read(request: Mapping[str, Any], memory: dict[str, Any]) -> Table:
    """The table of a request, read once for as long as it is asked for with the same options."""
    options = {name: request["options"][name] for name in FileOptions.__annotations__ if name in request["options"]}
    key = (request["folder"], request["name"], repr(sorted(options.items())))
    if memory.get("table_key") != key:
        memory.pop("table_key", None)
        # Messages name a table by its path as it was given, and a person knows its name only.
        os.chdir(request["folder"])
        memory["table"], memory["table_key"] = read_table(request["name"], **options), key
    table: Table = memory["table"]
    return table


def row_options(options: Mapping[str, Any]) -> Json:
    """Those of the options that are on rows and raw columns."""
    names = ("missing", "categories", "dates", "weights", "sigma", "split", "test")
    return {name: options[name] for name in names if name in options}


def look(request: Mapping[str, Any], memory: dict[str, Any]) -> Json:
    """Columns, first rows and mistakes of a table, with the options that were chosen on the page.

    Raises:
        SuperposeError: if it cannot be read at all; mistakes in the choice of columns are ``"error"`` of the answer.
    """
    options = request["options"]
    table = read(request, memory)
    target, features = options.get("target"), options.get("features")
    error = None
    try:
        found = describe(table, target, features=features, **row_options(options))
    except SuperposeError as mistake:
        error, found = mistake, describe(table)
    columns = [column.__dict__ | {"holds": column.holds(), "result": column.result()} for column in found.columns]
    for column, cells in zip(columns, table.columns, strict=True):
        column["histogram"] = histogram(cells)
    if target is not None and error is None:
        try:
            facts = checked(table, options)
        except SuperposeError as mistake:
            error, facts = mistake, {}
    else:
        facts = {}
    shown = min(_ROWS, table.n_rows)
    return {
        "label": table.label.strip("'"),
        "rows": table.n_rows,
        "notes": list(map(on_the_page, table.notes)),
        "columns": columns,
        "head": [[cell_text(column[row]) for column in table.columns] for row in range(shown)],
        "guess": guessed_target(columns),
        "facts": facts,
        "error": None
        if error is None
        else {"sentence": on_the_page(str(error)), "place": place_of(str(error), request)},
    }


def checked(table: Table, options: Mapping[str, Any]) -> Json:
    """What the data set of a run would be.

    Raises:
        SuperposeError: if it cannot be made.
    """
    data = dataset(table, options)
    rows = getattr(data, "data", data)
    parts = {"training": len(rows.train), "validation": len(rows.validation), "the test": len(rows.test)}
    return {
        "features": list(rows.feature_names),
        "left_out": list(rows.left_out),
        "notes": list(map(on_the_page, rows.notes)),
        "rows": ", ".join(f"{counted(count, 'row')} for {name}" for name, count in parts.items() if count),
    }


def dataset(table: Table, options: Mapping[str, Any]) -> Any:
    """The data set of a run, of numbers or of classes."""
    chosen = row_options(options) | {"target": options["target"], "features": options.get("features")}
    if options.get("task") == "classification":
        from superpose.tasks.classification import read_classification

        return read_classification(table, **chosen)
    return read_csv(table, **chosen)


def guessed_target(columns: Sequence[Mapping[str, Any]]) -> str | None:
    """The column that is most often the one to be learnt: the last of numbers, with gaps or without."""
    numbers = [str(column["name"]) for column in columns if column["kind"] == "number"]
    return numbers[-1] if numbers else None


def histogram(cells: Column) -> Json | None:
    """How often values of a column occur: of numbers in bins of one width; None where there are none.

    >>> histogram(numpy.array([0.0, 1.0, 1.0, 3.0]))["counts"][::8]
    [1, 2, 0]
    """
    if isinstance(cells, list):
        some = cells[:: max(1, len(cells) // _MOST_CELLS)]
        values = numpy.array([float(cell) for cell in some if NUMBER.fullmatch(cell.strip())])
    else:
        values = numpy.asarray(cells, dtype=float)
    values = values[numpy.isfinite(values)]
    if not len(values):
        return None
    low, high = float(values.min()), float(values.max())
    if not math.isfinite(high - low):
        return None
    counts, _ = numpy.histogram(values, bins=_BINS, range=(low, high) if high > low else (low - 0.5, high + 0.5))
    return {"low": low, "high": high, "counts": counts.tolist()}


def cell_text(cell: Any) -> str:
    """A cell as it is shown.

    >>> cell_text(0.1 + 0.2), cell_text("a" * 100)[-4:], cell_text(3.0)
    ('0.3', 'aaa…', '3')
    """
    text = f"{float(cell):.6g}" if not isinstance(cell, str) else cell
    return text if len(text) <= _CELL else f"{text[: _CELL - 1]}…"
