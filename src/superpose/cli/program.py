"""The command line: ``superpose fit | predict | formula | plot | info | relations``.

Commands hold no logic of their own. Each checks its options, then returns the work to be done as a
function; :func:`main` runs it, and turns whatever goes wrong into one sentence and an exit code:
0 done, 2 the user's mistake, 1 ours, 130 interrupted with nothing to show.

Nothing heavy is imported before the work begins, so that ``--help`` and a mistake in an option
answer at once.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from superpose.cli import classify_command, fit_command, model_commands, parsing, relations_command
from superpose.cli.fit_command import TableArgument
from superpose.cli.running import OneValueCommand, Work, execute
from superpose.errors import OptionError

__all__ = ["main"]

_COMMANDS = ("fit", "predict", "formula", "plot", "info", "relations")
_TASKS: dict[str, type[fit_command.Job]] = {
    "regression": fit_command.Regression,
    "classification": classify_command.Classifier,
}
_OPTIMIZERS = ("lm", "lbfgs", "adamw")
# Generous ends that keep a slip of the finger from asking for all of the memory.
_MOST_INTERVALS = 1000
_MOST_SEED = 2**63 - 1

app = typer.Typer(
    name="superpose",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_command = functools.partial(app.command, cls=OneValueCommand)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program with these arguments, or those of the process, and return its exit code.

    >>> main(["--version"])
    superpose ...
    0
    """
    return execute(app, "superpose", sys.argv[1:] if argv is None else argv, _COMMANDS)


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


@_command("fit")
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
    degree: Annotated[
        str | None,
        typer.Option("--degree", metavar="K", help="Degree of the splines, 1 to 5; 3, or with --no-formula chosen."),
    ] = None,
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
            metavar="|".join(classify_command.HEADS),
            help="How the scores of a classifier are read; chosen from the labels if left out.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> Work:
    """Learn a column of TABLE from others: network, formula, pictures, report."""
    options: dict[str, Any] = {
        "shape": parsing.shape(shape),
        "grid_size": None if grid is None else parsing.whole("--grid", grid, 1, _MOST_INTERVALS),
        "optimizer": parsing.one_of("--optimizer", optimizer, _OPTIMIZERS),
        "seed": parsing.whole("--seed", seed, 0, _MOST_SEED),
        "formula": not no_formula,
    }
    if degree is not None:
        options["degree"] = parsing.whole("--degree", degree, 1, 5)
    if not target.strip():
        raise OptionError("--target is empty; name the column to be learnt")
    columns = parsing.names("--features", features)
    forms = {
        "functions": parsing.names("--library", library),
        "linear": parsing.names("--linear", linear),
        "combine": parsing.names("--combine", combine),
    }
    options |= {name: tuple(value) for name, value in forms.items() if value is not None}
    learner = _TASKS[parsing.one_of("--task", task, tuple(_TASKS))]
    options = learner.checked(options | {"head": head, "parameters": parameters, "time_limit": time_limit})
    folder = parsing.folder("--out", out, parsing.default_folder(table, target))
    return learner(table, target, columns, folder, options, as_json, quiet).run


_command("relations")(relations_command.command)
_command("predict")(model_commands.predict)
_command("formula")(model_commands.formula)
_command("plot")(model_commands.plot)
_command("info")(model_commands.info)
