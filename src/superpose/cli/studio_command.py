"""``superpose studio``: the page on which a network is looked at while it learns, and taken in hand."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from superpose.cli import parsing

_LEAST_PORT, _MOST_PORT = 1024, 65535


def command(
    table: Annotated[
        str | None, typer.Argument(metavar="[TABLE|MODEL]", help="a table, or a model.safetensors, to begin with")
    ] = None,
    port: Annotated[
        str | None, typer.Option("--port", metavar="N", help="The port of the page; a free one if left out.")
    ] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address, and open no browser.")] = False,
) -> Callable[[], None]:
    """Open a page in the browser on which tables are learnt and networks taken in hand; on this machine only."""
    number = None if port is None else parsing.whole("--port", port, _LEAST_PORT, _MOST_PORT)
    return functools.partial(_serve, None if table is None else Path(table), number, not no_browser)


def _serve(table: Path | None, port: int | None, browser: bool) -> None:
    from superpose.studio.server import serve

    serve(table, port=port, browser=browser)
