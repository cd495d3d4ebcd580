"""The command line: ``superpose fit | predict | formula | plot | info | export | relations |
compare | describe | sweep | studio``.

Commands hold no logic of their own. Each checks its options, then returns the work to be done as a
function; :func:`main` runs it, and turns whatever goes wrong into one sentence and an exit code:
0 done, 2 the user's mistake, 1 ours, 130 interrupted with nothing to show.

Nothing heavy is imported before the work begins, so that ``--help`` and a mistake in an option
answer at once.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from superpose.cli import (
    compare_command,
    describe_command,
    export_command,
    fit_command,
    model_commands,
    relations_command,
    studio_command,
    sweep_command,
)
from superpose.cli.running import OneValueCommand, execute

__all__ = ["main"]

_COMMANDS = (
    *("fit", "predict", "formula", "plot", "info", "export", "relations", "compare", "describe", "sweep"),
    "studio",
)

app = typer.Typer(
    name="superpose",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_command = functools.partial(app.command, cls=OneValueCommand)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program with these arguments and return its exit code.

    Without arguments, run it with those of the process, and end the process with that code.

    >>> main(["--version"])
    superpose ...
    0
    """
    if argv is not None:
        return execute(app, "superpose", argv, _COMMANDS)
    code = execute(app, "superpose", sys.argv[1:], _COMMANDS)
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    # The process ends here. To free the objects of torch and SymPy one by one would take another second and a half.
    os._exit(code)


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


_command("fit")(fit_command.command)
_command("relations")(relations_command.command)
_command("compare")(compare_command.command)
_command("describe")(describe_command.command)
_command("sweep")(sweep_command.command)
_command("predict")(model_commands.predict)
_command("formula")(model_commands.formula)
_command("plot")(model_commands.plot)
_command("info")(model_commands.info)
_command("export")(export_command.command)
_command("studio")(studio_command.command)
