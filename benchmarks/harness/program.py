"""The command line of a benchmark that has options of its own."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from superpose.errors import SuperposeError


def run(
    name: str,
    description: str | None,
    arguments: Sequence[str],
    declare: Callable[[argparse.ArgumentParser], None],
    work: Callable[[argparse.Namespace], int],
) -> int:
    """Read the arguments of ``python -m benchmarks NAME``, do its work, and return the exit code.

    All of these benchmarks write what they measured row by row (:class:`benchmarks.harness.resumable.Results`), and so
    have ``--out`` and ``--resume``.

    Args:
        name: of the benchmark.
        description: shown with ``--help``.
        arguments: behind the name.
        declare: adds further options.
        work: given the options; a mistake of the user ends the process with code 2.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks {name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=Path("out") / name)
    parser.add_argument("--resume", action="store_true", help="keep the rows in the folder, and add to them")
    declare(parser)
    options = parser.parse_args(arguments)
    try:
        return work(options)
    except SuperposeError as error:
        parser.error(str(error))
