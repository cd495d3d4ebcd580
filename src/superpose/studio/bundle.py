"""The JavaScript modules of the view as one text, for hosts that load a single module."""

from __future__ import annotations

import re
from pathlib import Path

STATIC = Path(__file__).parent / "static"
_IMPORT = re.compile(r"^import\s*\{[^}]*\}\s*from\s*\"\./([a-z_]+\.js)\";\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const|let)\b)", re.MULTILINE)


def bundled(name: str = "widget.js") -> str:
    """A module of the folder ``static`` with all that it imports from there, each module once and before its users.

    Imports and exports by name are left out, since all names stand in one module then; they are different in all
    modules, which a test checks. The default export stays.

    >>> "export default" in bundled(), "import {" in bundled()
    (True, False)
    """
    texts: dict[str, str] = {}

    def add(module: str) -> None:
        if module in texts:
            return
        source = (STATIC / module).read_text(encoding="utf-8")
        # A place in the order now; the text once its imports have theirs.
        for other in _IMPORT.findall(source):
            add(other)
        texts[module] = _EXPORT.sub("", _IMPORT.sub("", source))

    add(name)
    return "\n".join(texts.values())


def styles() -> str:
    """The style sheet of the view."""
    return (STATIC / "network_view.css").read_text(encoding="utf-8")
