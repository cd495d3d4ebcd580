"""Run a program of commands: parse its arguments, do the work, and turn whatever goes wrong into one sentence.

Exit codes: 0 done, 2 the user's mistake, 1 ours, 130 interrupted with nothing to show.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from typing import Any

import typer
import typer.core

from superpose.cli import parsing
from superpose.errors import OptionError, SuperposeError
from superpose.messages import nearest

Work = Callable[[], None]

# What a system says when it is the disk, or a permission, that stands in the way.
_SURROUNDINGS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}


class OneValueCommand(typer.core.TyperCommand):
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


def execute(app: typer.Typer, program: str, arguments: Sequence[str], commands: Sequence[str] = ()) -> int:
    """Run a program with these arguments and return its exit code.

    Args:
        app: whose commands check their options and return the work to be done as a function.
        program: its name, as it is typed.
        arguments: after the name.
        commands: the names of its commands, of which the first argument must be one; none for a single command.
    """
    arguments = list(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A name with letters that a terminal does not have is no reason to fail.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        work = _parse(app, program, arguments, commands)
        if work is not None:
            work()
        sys.stdout.flush()
        return 0
    except BrokenPipeError:
        # Whoever read the output has had enough of it; nothing more may be written at exit.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt as interruption:
        return _fail(str(interruption) or "interrupted, and nothing was written", 130)
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


def _parse(app: typer.Typer, program: str, arguments: list[str], commands: Sequence[str]) -> Work | None:
    """The work that the arguments ask for; None if it is done already, as after ``--help``."""
    first = arguments[0] if arguments else "--help"
    if commands and not first.startswith("-") and first not in commands:
        hint = nearest(first, commands) or f"; the commands are {', '.join(commands)}"
        if os.path.exists(first):
            fit = f"superpose fit {shlex.quote(first)} --target NAME"
            hint = f"; to learn from a table write: {fit}"
        raise OptionError(f"there is no command {parsing.quoted(first)}{hint}")
    try:
        # Outside standalone mode typer neither prints nor exits, and returns what a command does.
        work = typer.main.get_command(app).main(args=arguments or ["--help"], prog_name=program, standalone_mode=False)
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
        return f"{command} has no option {parsing.quoted(option)}{hint}"
    if option:
        return f"{option} {'takes no' if 'not take' in str(error) else 'needs a'} value; {more}"
    parameter = getattr(error, "param", None)
    if parameter is not None:
        what = parameter.metavar if parameter.param_type_name == "argument" else parameter.opts[0]
        return f"{command} needs {what} ({parameter.help}); {more}"
    surplus = re.search(r"extra argument(?:s|\(s\))? \((.*)\)", str(error), re.DOTALL)
    if surplus:
        return f"{command} does not know what to do with {parsing.quoted(surplus[1])}; {more}"
    message = error.format_message().rstrip(". ")
    return f"{message[:1].lower()}{message[1:].replace('. ', ', ')}; {more}"
