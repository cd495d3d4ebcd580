"""The files of the page, read once: no name from the browser is ever looked up on the disk."""

from __future__ import annotations

from importlib.resources import files

_KINDS = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
}


def static_files() -> dict[str, tuple[bytes, str]]:
    """The content and the media type of each file, by its name.

    >>> sorted(name for name in static_files() if name.endswith(".html"))
    ['index.html']
    """
    found = {}
    for file in (files("superpose.studio") / "static").iterdir():
        kind = file.name.rpartition(".")[2]
        if kind in _KINDS:
            found[file.name] = file.read_bytes(), _KINDS[kind]
    return found
