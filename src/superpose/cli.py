"""The command line: ``superpose fit | predict | formula | plot | info | relations | bench``.

Commands hold no logic of their own. Each checks its options, then returns the work to be done as a
function; :func:`main` runs it, and turns whatever goes wrong into one sentence and an exit code:
0 done, 2 the user's mistake, 1 ours, 130 interrupted with nothing to show.

Nothing heavy is imported before the work begins, so that ``--help`` and a mistake in an option
answer at once.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import io
import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from superpose import _console, _options, cli_bench, cli_classify, cli_relations
from superpose._errors import OptionError, SuperposeError, nearest

if TYPE_CHECKING:
    from superpose.nn import KAN
    from superpose.workflow import Result

__all__ = ["main"]

Work = Callable[[], None]

_COMMANDS = ("fit", "predict", "formula", "plot", "info", "relations", "bench")
_OPTIMIZERS = ("lm", "lbfgs", "adamw")
_FORMATS = ("text", "latex", "python", "sympy")
_PICTURES = (".svg", ".png", ".pdf")
_TABLES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet")
# Generous ends that keep a slip of the finger from asking for all of the memory.
_MOST_INTERVALS = 1000
_MOST_PARAMETERS = 10**9
_MOST_SEED = 2**63 - 1
_SAMPLES = 1000
# What a system says when it is the disk, or a permission, that stands in the way.
_SURROUNDINGS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}

app = typer.Typer(
    name="superpose",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program with these arguments, or those of the process, and return its exit code.

    >>> main(["--version"])
    superpose ...
    0
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A name with letters that a terminal does not have is no reason to fail.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        work = _parse(arguments)
        if work is not None:
            work()
        sys.stdout.flush()
        return 0
    except BrokenPipeError:
        # Whoever read the output has had enough of it; nothing more may be written at exit.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return _fail("interrupted, and nothing was written", 130)
    except SuperposeError as error:
        return _fail(str(error), 2)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _SURROUNDINGS:
            place = f"{str(error.filename)!r}: " if error.filename else ""
            return _fail(f"{place}{error.strerror}", 2)
        return _fail(
            f"superpose itself failed ({type(error).__name__}), which is no fault of yours; run it "
            "again with SUPERPOSE_DEBUG=1 to see where, and please report that",
            1,
        )


def _fail(sentence: str, code: int) -> int:
    if os.environ.get("SUPERPOSE_DEBUG", "0") not in ("", "0"):
        import traceback

        traceback.print_exc()
    line = " ".join("".join(c if c.isprintable() else " " for c in sentence).split())
    with contextlib.suppress(OSError, ValueError):
        print(f"error: {line}", file=sys.stderr)
    return code


def _parse(arguments: list[str]) -> Work | None:
    """The work that the arguments ask for; None if it is done already, as after ``--help``."""
    first = arguments[0] if arguments else "--help"
    if not first.startswith("-") and first not in _COMMANDS:
        hint = nearest(first, _COMMANDS) or f"; the commands are {', '.join(_COMMANDS)}"
        if os.path.exists(first):
            fit = f"superpose fit {shlex.quote(first)} --target NAME"
            hint = f"; to learn from a table write: {fit}"
        raise OptionError(f"there is no command {_options.quoted(first)}{hint}")
    try:
        # Outside standalone mode typer neither prints nor exits, and returns what a command does.
        work = typer.main.get_command(app).main(
            args=arguments or ["--help"], prog_name="superpose", standalone_mode=False
        )
    except typer.Abort:
        raise KeyboardInterrupt from None
    except Exception as error:
        # All usage errors of typer have this method; where their classes live changes.
        if not hasattr(error, "format_message"):
            raise
        raise OptionError(_usage_sentence(error)) from None
    if work == 130:
        raise KeyboardInterrupt
    return work if callable(work) else None


def _usage_sentence(error: Any) -> str:
    """One sentence for an error of typer's, which speaks in several."""
    context: Any = getattr(error, "ctx", None)
    command = context.command_path if context else "superpose"
    more = f"see {command} --help"
    option: str = getattr(error, "option_name", "")
    if hasattr(error, "possibilities"):
        known = [name for parameter in context.command.params for name in parameter.opts]
        hint = nearest(option, [*known, "--help"]) or f"; {more}"
        return f"{command} has no option {_options.quoted(option)}{hint}"
    if option:
        return f"{option} {'takes no' if 'not take' in str(error) else 'needs a'} value; {more}"
    parameter = getattr(error, "param", None)
    if parameter is not None:
        what = parameter.metavar if parameter.param_type_name == "argument" else parameter.opts[0]
        return f"{command} needs {what} ({parameter.help}); {more}"
    surplus = re.search(r"extra argument(?:s|\(s\))? \((.*)\)", str(error), re.DOTALL)
    if surplus:
        return f"{command} does not know what to do with {_options.quoted(surplus[1])}; {more}"
    message = error.format_message().rstrip(". ")
    return f"{message[:1].lower()}{message[1:].replace('. ', ', ')}; {more}"


def _version(wanted: bool) -> None:
    if wanted:
        from superpose import __version__

        print(f"superpose {__version__}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Learn a function from a table, as a network that can be read and as a formula."""


# -- fit

TableArgument = Annotated[str, typer.Argument(metavar="TABLE", help="a table: CSV, TSV, either in gzip, or Parquet")]
ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="a model.safetensors that 'fit' wrote")]


@app.command("fit")
def _fit_command(
    table: TableArgument,
    target: Annotated[str, typer.Option("--target", metavar="NAME", help="the column to be learnt")],
    features: Annotated[
        list[str] | None,
        typer.Option(
            "--features",
            metavar="A,B",
            help="The columns to learn from; all that hold numbers if left out. Names that hold "
            "commas go in double quotes, or one to each --features.",
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="DIR", help="Where to write; out/TABLE-TARGET if left out."),
    ] = None,
    shape: Annotated[
        str,
        typer.Option(
            "--shape",
            metavar="auto|5,1",
            help="Nodes of each layer after the inputs: 5,1 is 5 hidden nodes and 1 output; 3+p2,1 has 3 hidden sums "
            "and a product of 2.",
        ),
    ] = "auto",
    grid: Annotated[
        str | None,
        typer.Option("--grid", metavar="N", help="Grid intervals; searched for if left out."),
    ] = None,
    degree: Annotated[str, typer.Option("--degree", metavar="K", help="Degree of the splines, 1 to 5.")] = "3",
    optimizer: Annotated[str, typer.Option("--optimizer", metavar="lm|lbfgs|adamw", help="How to train.")] = "lm",
    time_limit: Annotated[
        str | None,
        typer.Option("--time-limit", metavar="SECONDS", help="When to stop searching."),
    ] = None,
    seed: Annotated[str, typer.Option("--seed", metavar="N", help="Of every random choice.")] = "0",
    no_formula: Annotated[bool, typer.Option("--no-formula", help="Train the network only.")] = False,
    parameters: Annotated[
        str | None,
        typer.Option("--parameters", metavar="N", help="Most constants of a network without a formula."),
    ] = None,
    library: Annotated[
        list[str] | None,
        typer.Option("--library", metavar="sin,x^2", help="The functions that a formula may hold; any if left out."),
    ] = None,
    linear: Annotated[
        list[str] | None,
        typer.Option("--linear", metavar="A,B", help="Columns that enter linearly."),
    ] = None,
    combine: Annotated[
        list[str] | None,
        typer.Option("--combine", metavar="A/B,C-D", help="Pairs of columns that enter as one: A+B, A-B, A*B or A/B."),
    ] = None,
    task: Annotated[
        str,
        typer.Option("--task", metavar="regression|classification", help="Learn a number, or one of some classes."),
    ] = "regression",
    head: Annotated[
        str | None,
        typer.Option(
            "--head",
            metavar="|".join(cli_classify.HEADS),
            help="How the scores of a classifier are read; chosen from the labels if left out.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> Work:
    """Learn a column of TABLE from others: network, formula, pictures, report."""
    options: dict[str, Any] = {
        "shape": _options.shape(shape),
        "grid_size": None if grid is None else _options.whole("--grid", grid, 1, _MOST_INTERVALS),
        "degree": _options.whole("--degree", degree, 1, 5),
        "optimizer": _options.one_of("--optimizer", optimizer, _OPTIMIZERS),
        "seed": _options.whole("--seed", seed, 0, _MOST_SEED),
        "formula": not no_formula,
    }
    if not target.strip():
        raise OptionError("--target is empty; name the column to be learnt")
    folder = Path(_options.default_folder(table, target) if out is None else out)
    columns = _options.names("--features", features)
    forms = {
        "functions": _options.names("--library", library),
        "linear": _options.names("--linear", linear),
        "combine": _options.names("--combine", combine),
    }
    given = {name: tuple(value) for name, value in forms.items() if value is not None}
    if _options.one_of("--task", task, cli_classify.TASKS) == "classification":
        if given:
            raise OptionError("--library, --linear and --combine are for numbers; leave them out with classes")
        options |= {"head": head, "parameters": parameters, "time_limit": time_limit}
        classifier = cli_classify.Job(
            table, target, columns, folder, cli_classify.checked(options), as_json=as_json, quiet=quiet
        )
        _options.check_folder("--out", folder)
        return classifier.run
    if head is not None:
        raise OptionError("--head is for classes; add --task classification, or leave it out")
    if parameters is not None:
        if not no_formula or shape != "auto" or grid is not None or optimizer != "lm":
            raise OptionError(
                "--parameters limits the search for a network; it needs --no-formula, and no --shape, --grid or "
                "--optimizer"
            )
        options["parameters"] = _options.whole("--parameters", parameters, 1, _MOST_PARAMETERS)
    options |= given
    if time_limit is not None:
        options["time_limit"] = _options.seconds("--time-limit", time_limit)
    job = _Fit(table, target, columns, folder, options, as_json, quiet)
    _options.check_folder("--out", folder)
    return job.run


@dataclass(frozen=True)
class _Fit:
    """One run of ``superpose fit``, its options checked."""

    table: str
    target: str
    features: list[str] | None
    folder: Path
    options: dict[str, Any]
    as_json: bool
    quiet: bool

    def run(self) -> None:
        _console.one_thread()
        from superpose import report
        from superpose.data import read_csv
        from superpose.workflow import DiscoverOptions, discover

        options = DiscoverOptions(**self.options)
        with _console.progress(self.quiet, "reading the table") as listener:
            data = read_csv(self.table, target=self.target, features=self.features, seed=options.seed)
            result = discover(data, options, listener=listener)
            report.write(result, self.folder, settings=asdict(options))
        summary = _summary(result, self.folder)
        if self.as_json:
            print(json.dumps(summary, allow_nan=False))
        else:
            _tell(result, summary)


def _summary(result: Result, folder: Path) -> dict[str, Any]:
    """What ``fit --json`` prints: the metrics of the run, and where its files are."""
    summary = {
        **result.metrics,
        "left_out": list(result.data.left_out),
        "out": str(folder),
    }
    return {name: _console.finite(value) for name, value in summary.items()}


def _tell(result: Result, summary: dict[str, Any]) -> None:
    target = result.data.target_names[0]
    errors = f"network error {summary['network_rmse']:.3g}"
    if summary["formula"] is None:
        print(f"no formula for {target}; the network stands by itself")
    else:
        print(f"{target} = {summary['formula']}")
        errors = f"formula error {summary['formula_rmse']:.3g}, {errors}"
    print(
        f"{errors}: RMSE on {len(result.data.test)} rows held out for the test, where {target} has "
        f"a standard deviation of {summary['target_std']:.3g}"
    )
    _console.show_front(summary.get("front", []), summary.get("recommendation"), "rmse", "error")
    if summary["left_out"]:
        print(f"columns left out (no numbers, or one value only): {', '.join(summary['left_out'])}")
    if summary.get("interrupted"):
        print("interrupted: this is the best model so far")
    print(f"written to {summary['out']}; begin with {os.path.join(summary['out'], 'report.html')}")


# -- bench

app.command("relations")(cli_relations.command)
app.command("bench")(cli_bench.command)


# -- predict, formula, plot, info


@app.command("predict")
def _predict_command(
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
) -> Work:
    """Write TABLE with one more column, what the model predicts; columns are found by name."""
    if out is not None:
        _options.check_file("--out", out, _TABLES, model, table)
    return functools.partial(_predict, model, table, out, probabilities)


def _predict(model_path: str, table: str, out: str | None, probabilities: bool) -> None:
    import pandas

    from superpose._reading import read_table
    from superpose.files import load, write_atomically

    model = load(model_path)
    predictions = model.predict(table)
    read = read_table(table)
    columns: dict[str, Any] = dict(zip(read.names, map(_as_written, read.columns), strict=True))
    if model.head is None and probabilities:
        raise OptionError(f"--probabilities is for classifiers, and {_options.quoted(model_path)} predicts numbers")
    found = cli_classify.columns(model, predictions, probabilities) if model.head is not None else {}
    for name, values in (found or dict(zip(model.target_names, predictions.T, strict=True))).items():
        columns[_free_name(name, columns)] = values
    frame = pandas.DataFrame(columns)
    if out is None:
        # Bytes, because a table is UTF-8 whatever the terminal is set to.
        sys.stdout.flush()
        sys.stdout.buffer.write(_table_bytes(frame, ".csv"))
    else:
        write_atomically(out, _table_bytes(frame, out.lower()))


def _as_written(column: Any) -> Any:
    """A column as a person would write it: whole numbers without a decimal point."""
    import numpy

    if isinstance(column, numpy.ndarray) and bool((abs(column) < 2**53).all()):
        whole = column.astype(numpy.int64)
        return whole if bool((whole == column).all()) else column
    return column


def _free_name(name: str, taken: dict[str, Any]) -> str:
    candidate, count = name, 1
    while candidate in taken:
        candidate = f"{name}_predicted" if count == 1 else f"{name}_predicted_{count}"
        count += 1
    return candidate


def _table_bytes(frame: Any, name: str) -> bytes:
    """A data frame as the bytes of a file of that name."""
    import gzip
    import io

    if name.endswith(".parquet"):
        buffer = io.BytesIO()
        frame.to_parquet(buffer, index=False)
        return buffer.getvalue()
    plain = name.removesuffix(".gz")
    text = frame.to_csv(index=False, sep="\t" if plain.endswith(".tsv") else ",", lineterminator="\n").encode(
        "utf-8", errors="surrogateescape"
    )
    # Without a time inside, the same table gives the same bytes.
    return gzip.compress(text, mtime=0) if plain != name else text


@app.command("formula")
def _formula_command(
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
    return functools.partial(_formula, model, _options.one_of("--format", form, _FORMATS))


def _formula(model_path: str, form: str) -> None:
    from superpose.files import load
    from superpose.interpret.formula import Formula

    model = load(model_path)
    formula = Formula.read(model)
    if form == "sympy":
        import sympy

        print("\n".join(sympy.srepr(expression) for expression in formula.expressions))
    elif form == "latex":
        print(formula.latex())
    elif form == "python":
        from superpose.report import label_code

        print(formula.python() + ("" if model.head is None else label_code(model.head)), end="")
    elif model.head is not None:
        print(model.head.says(formula.short()))
    else:
        print(formula)


@app.command("plot")
def _plot_command(
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
    _options.check_file("--out", out, _PICTURES, model, *([table] if table else []))
    return functools.partial(_plot, model, table, out)


def _plot(model_path: str, table: str | None, out: str) -> None:
    from superpose import plot
    from superpose.data import read_features
    from superpose.files import load

    model = load(model_path)
    x = _own_range(model) if table is None else read_features(table, model.feature_names)
    plot.save_figure(plot.network(model, x), out)


def _own_range(model: KAN) -> Any:
    """Samples spread over the range that the model was trained on."""
    import torch

    generator = torch.Generator().manual_seed(0)
    scaled = 2 * torch.rand(_SAMPLES, model.widths[0], generator=generator, dtype=torch.float64) - 1
    return scaled * model.input_scale + model.input_center


@app.command("info")
def _info_command(
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
