"""Commands that read a model: ``superpose predict | formula | plot | info``."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from superpose.cli import file_options, parsing
from superpose.cli.declarations import TableArgument
from superpose.cli.file_options import (
    DecimalOption,
    EncodingOption,
    ExcludeOption,
    QueryOption,
    SheetOption,
    WhereOption,
)
from superpose.errors import OptionError
from superpose.messages import counted, quoted

if TYPE_CHECKING:
    from torch import Tensor

    from superpose.data.tables import Table
    from superpose.nn import KAN, Intervals

Work = Callable[[], None]
ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="a model.safetensors that 'fit' wrote")]

_FORMATS = ("text", "latex", "python", "sympy")
_PICTURES = (".svg", ".png", ".pdf")
_TABLES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet")
_SAMPLES = 1000
# A warning stays one line of a terminal or two.
_NAMED_ROWS = 5


def predict(
    model: ModelArgument,
    table: TableArgument,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Where to write: .csv, .tsv, either with .gz, or .parquet; standard output as CSV if left out.",
        ),
    ] = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="For a classifier, a column for the probability of each class.")
    ] = False,
    interval: Annotated[
        float | None,
        typer.Option(
            "--interval",
            metavar="LEVEL",
            help="Three more columns: ends of intervals that hold the target with this probability, such as 0.9, and "
            "whether the row lies outside the data that the model was fitted to.",
        ),
    ] = None,
    where: WhereOption = None,
    exclude: ExcludeOption = None,
    sheet: SheetOption = None,
    query: QueryOption = None,
    decimal: DecimalOption = None,
    encoding: EncodingOption = None,
) -> Work:
    """Write TABLE with one more column, what the model predicts; columns are found by name.

    Where the model is undefined, as a root of negative numbers is, the cell is empty, and a warning says in which rows.
    """
    if out is not None:
        parsing.check_file("--out", out, _TABLES, model, table)
    if interval is not None and not 0 < interval < 1:
        raise OptionError(f"--interval {interval:g} is no probability between 0 and 1; write 0.9 for 90%")
    chosen = file_options.given(where, exclude, sheet, query, decimal, encoding)
    return functools.partial(_predict, model, (table, chosen), out, probabilities, interval)


def _predict(
    model_path: str, given: tuple[str, dict[str, Any]], out: str | None, probabilities: bool, level: float | None
) -> None:
    from superpose.atomic_write import write_atomically
    from superpose.data.reading import read_table
    from superpose.files import load
    from superpose.nn.predicted_table import predicted_table

    model = load(model_path)
    if model.head is None and probabilities:
        raise OptionError(f"--probabilities is for classifiers, and {parsing.quoted(model_path)} predicts numbers")
    path, chosen = given
    read = read_table(path, **chosen)
    made = predicted_table(model, read, level=level, probabilities=probabilities)
    if out is None:
        # Bytes, because a table is UTF-8 whatever the terminal is set to.
        sys.stdout.flush()
        sys.stdout.buffer.write(made.to_bytes(".csv"))
    else:
        write_atomically(out, made.to_bytes(out.lower()))
    for note in read.notes:
        print(f"note: {note}", file=sys.stderr)
    for note in made.notes:
        print(f"warning: {note}", file=sys.stderr)
    _warn_of_undefined(model, made.x, made.predictions, read)
    if made.intervals is not None:
        _warn_of_intervals(model, made.intervals, read)


def _warn_of_intervals(model: KAN, intervals: Intervals, table: Table) -> None:
    """Say on stderr which rows lie outside the data, and if the errors were too few for their quantiles."""
    import numpy

    if intervals.method == "student" and model.uncertainty is not None:
        print(
            f"note: {counted(len(model.uncertainty.residuals), 'error')} are too few for quantiles at the level "
            f"{intervals.level:g}, so the intervals are those of Student's t and hold for normal errors",
            file=sys.stderr,
        )
    rows = numpy.flatnonzero(intervals.outside).tolist()
    if not rows:
        return
    counts = {quoted(name): int(n) for name, n in zip(model.feature_names, intervals.beyond.sum(0), strict=True) if n}
    alone = int((intervals.outside & ~intervals.beyond.any(1)).sum())
    told = [f"{name} in {n}" for name, n in sorted(counts.items(), key=lambda one: -one[1])[:_NAMED_ROWS]]
    told += [f"an unusual combination of values in {alone}"] if alone else []
    print(
        f"warning: outside the data that the model was fitted to: {len(rows)} of "
        f"{counted(len(intervals.outside), 'row')} ({_places(rows, table)}): {', '.join(told)}; intervals may hold "
        "fewer targets there",
        file=sys.stderr,
    )


def _places(rows: list[int], table: Table) -> str:
    """The first of some rows, as a person finds them."""
    first = ", ".join(table.place(row) for row in rows[:_NAMED_ROWS])
    return f"{first} and {len(rows) - _NAMED_ROWS} more" if len(rows) > _NAMED_ROWS else first


def _warn_of_undefined(model: KAN, x: Tensor, predictions: Any, table: Table) -> None:
    """Say on stderr in which rows a prediction is no finite number; the others are of use, so that is no failure."""
    import numpy

    missing = x.isnan().any(1).numpy()
    if missing.any():
        print(
            f"warning: {int(missing.sum())} of {counted(len(x), 'row')} "
            f"({_places(numpy.flatnonzero(missing).tolist(), table)}) have missing cells, where nothing is predicted, "
            "as the model was fitted without such rows",
            file=sys.stderr,
        )
    rows = numpy.flatnonzero(~numpy.isfinite(predictions).all(1) & ~missing).tolist()
    if not rows:
        return
    written = "empty or infinite" if numpy.isinf(predictions).any() else "empty"
    what = "the model" if len(model.target_names) > 1 or model.head is not None else quoted(model.target_names[0])
    print(
        f"warning: {what} is undefined in {len(rows)} of {counted(len(predictions), 'row')} ({_places(rows, table)}), "
        f"where its cell is {written}; the features there lie outside of where the formula holds",
        file=sys.stderr,
    )


def formula(
    model: ModelArgument,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="|".join(_FORMATS),
            help="Text, LaTeX, a Python module that needs NumPy only, or SymPy's own form.",
        ),
    ] = "text",
) -> Work:
    """Print the formula that a symbolic model stands for."""
    return functools.partial(_formula, model, parsing.one_of("--format", form, _FORMATS))


def _formula(model_path: str, form: str) -> None:
    from superpose.files import load
    from superpose.formulas.expressions.formula import Formula

    model = load(model_path)
    formula = Formula.read(model)
    if form == "sympy":
        import sympy

        print("\n".join(sympy.srepr(expression) for expression in formula.expressions))
    elif form == "latex":
        print(formula.latex())
    elif form == "python":
        from superpose.tasks.classification.python_code import python_module

        print(python_module(formula, model.head), end="")
    elif model.head is not None:
        print(model.head.describe(formula.short()))
    else:
        print(formula)


def plot(
    model: ModelArgument,
    out: Annotated[str, typer.Option("--out", metavar="FILE", help="the picture: .svg, .png or .pdf")],
    table: Annotated[
        str | None,
        typer.Argument(
            metavar="[TABLE]",
            help="rows to draw for; evenly over the range of the training data if left out",
        ),
    ] = None,
) -> Work:
    """Draw the network with the function of every edge."""
    parsing.check_file("--out", out, _PICTURES, model, *([table] if table else []))
    return functools.partial(_plot, model, table, out)


def _plot(model_path: str, table: str | None, out: str) -> None:
    from superpose import plot
    from superpose.files import load

    model = load(model_path)
    x = _own_range(model) if table is None else model.features(table)
    plot.save_figure(plot.network(model, x), out)


def _own_range(model: KAN) -> Any:
    """Samples spread over the range that the model was trained on."""
    import torch

    generator = torch.Generator().manual_seed(0)
    scaled = 2 * torch.rand(_SAMPLES, model.widths[0], generator=generator, dtype=torch.float64) - 1
    return scaled * model.input_scale + model.input_center


def info(
    model: ModelArgument,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> Work:
    """Say what is in a model file."""
    return functools.partial(_info, model, as_json)


def _info(model_path: str, as_json: bool) -> None:
    from superpose.files import load

    facts = _facts(load(model_path))
    if as_json:
        print(json.dumps(facts, allow_nan=False))
        return
    lines = [(name.replace("_", " "), text) for name, value in facts.items() for text in _texts(value)]
    if not sys.stdout.isatty():
        for name, text in lines:
            print(f"{name}: {text}")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(show_header=False)
    for name, text in lines:
        grid.add_row(name, Text(text))
    Console().print(grid)


def _facts(model: KAN) -> dict[str, Any]:
    layers = model.kan_layers()
    symbolic = [
        {"layer": n, "input": i, "output": o, "function": name}
        | dict(zip("abcd", constants, strict=True))
        | ({"frozen": layer.frozen_table()[i, o]} if (i, o) in layer.frozen_table() else {})
        for n, layer in enumerate(layers)
        for (i, o), (name, constants) in layer.symbolic_table().items()
    ]
    return {
        "features": list(model.feature_names),
        "targets": list(model.target_names),
        "widths": model.shape,
        "degree": [layer.degree for layer in layers],
        "grid_size": [layer.grid_size for layer in layers],
        "base": [layer.base for layer in layers],
        **({} if model.head is None else {"head": model.head.kind, "classes": list(model.head.classes)}),
        "dtype": str(model.input_center.dtype).removeprefix("torch."),
        "parameters": model.parameter_count(),
        "edges": sum(layer.in_features * layer.sum_count for layer in layers),
        "edges_alive": len(model.active_edges()),
        "edges_symbolic": len(symbolic),
        "symbolic": symbolic,
        "input_center": model.input_center.tolist(),
        "input_scale": model.input_scale.tolist(),
        "output_center": model.output_center.tolist(),
        "output_scale": model.output_scale.tolist(),
    }


def _texts(value: Any) -> list[str]:
    """A fact as lines for a person."""
    if not isinstance(value, list):
        return [str(value)]
    if value and isinstance(value[0], dict):
        return [
            f"layer {edge['layer']}, {edge['input']} -> {edge['output']}: "
            f"c*f(a*x + b) + d with f = {edge['function']}, "
            + ", ".join(f"{name} = {edge[name]:.6g}" for name in "abcd")
            + (f"; frozen: {', '.join(edge['frozen'])}" if "frozen" in edge else "")
            for edge in value
        ]
    return [", ".join(f"{v:.6g}" if isinstance(v, float) else str(v) for v in value) or "none"]
