"""The server of ``superpose studio``: one page on the loopback address, and engines in processes of their own."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from superpose.errors import OptionError

__all__ = ["serve"]

INSTALL = "pip install 'superpose[studio]'"


def serve(given: Path | None = None, *, port: int | None = None, browser: bool = True) -> None:
    """Serve the studio on the loopback address until it is interrupted.

    Args:
        given: a table, or a model file, that the page shows first.
        port: of the server; a free one if None.
        browser: whether the page is opened.

    Raises:
        OptionError: if a package of the extra ``studio`` is missing, or the port is taken.
    """
    for package in ("starlette", "uvicorn"):
        if importlib.util.find_spec(package) is None:
            raise OptionError(f"the studio needs the package {package}; install it with: {INSTALL}")
    from superpose.studio.server.serving import serve_forever

    serve_forever(given, port=port, browser=browser)
