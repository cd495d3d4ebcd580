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
import os
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
import typer.core

from superpose import _options, cli_bench, cli_classify, cli_fit, cli_models, cli_relations
from superpose._errors import OptionError, SuperposeError, nearest
from superpose.cli_fit import TableArgument

__all__ = ["main"]

Work = Callable[[], None]

_COMMANDS = ("fit", "predict", "formula", "plot", "info", "relations", "bench")
_TASKS: dict[str, type[cli_fit.Job]] = {"regression": cli_fit.Regression, "classification": cli_classify.Classifier}
_OPTIMIZERS = ("lm", "lbfgs", "adamw")
# Generous ends that keep a slip of the finger from asking for all of the memory.
_MOST_INTERVALS = 1000
_MOST_SEED = 2**63 - 1
# What a system says when it is the disk, or a permission, that stands in the way.
_SURROUNDINGS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}

app = typer.Typer(
    name="superpose",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class _Command(typer.core.TyperCommand):
    """A command that refuses an option of one value given twice, of which the parser would keep the last in silence."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        # The parser empties the list that it is given; its third result lists options as often as they were given.
        _, _, given = self.make_parser(ctx).parse_args(args=list(args))
        for parameter in given:
            flag, many = getattr(parameter, "is_flag", True), getattr(parameter, "multiple", True)
            if not flag and not many and (count := given.count(parameter)) > 1:
                raise OptionError(
                    f"{parameter.opts[0]} is given {count} times and takes one value; give it once, or run "
                    f"{ctx.command_path} once for each value"
                )
        return super().parse_args(ctx, args)


_command = functools.partial(app.command, cls=_Command)


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
        "optimizer": _options.one_of("--optimizer", optimizer, _OPTIMIZERS),
        "seed": _options.whole("--seed", seed, 0, _MOST_SEED),
        "formula": not no_formula,
    }
    if degree is not None:
        options["degree"] = _options.whole("--degree", degree, 1, 5)
    if not target.strip():
        raise OptionError("--target is empty; name the column to be learnt")
    columns = _options.names("--features", features)
    forms = {
        "functions": _options.names("--library", library),
        "linear": _options.names("--linear", linear),
        "combine": _options.names("--combine", combine),
    }
    options |= {name: tuple(value) for name, value in forms.items() if value is not None}
    learner = _TASKS[_options.one_of("--task", task, tuple(_TASKS))]
    options = learner.checked(options | {"head": head, "parameters": parameters, "time_limit": time_limit})
    folder = _options.folder("--out", out, _options.default_folder(table, target))
    return learner(table, target, columns, folder, options, as_json, quiet).run


_command("relations")(cli_relations.command)
_command("bench")(cli_bench.command)
_command("predict")(cli_models.predict)
_command("formula")(cli_models.formula)
_command("plot")(cli_models.plot)
_command("info")(cli_models.info)
