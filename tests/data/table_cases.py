"""Tables as text and as arrays that the tests of this room share."""

from __future__ import annotations

from pathlib import Path

import numpy
from hypothesis import strategies as st

finite = st.floats(allow_nan=False, allow_infinity=False, width=64)


def table_text(rows: int = 20, delimiter: str = ",", header: str = "x,y,f") -> str:
    lines = [header] + [f"{row / 8},{(row * 7) % 5},{row * row / 8 + 1}" for row in range(rows)]
    return "".join(line.replace(",", delimiter) + "\n" for line in lines)


def changed(line: int, content: str, text: str | None = None) -> str:
    """Return the table with one line, counted from 1, put in another's place."""
    lines = (text or table_text()).splitlines()
    lines[line - 1] = content
    return "\n".join(lines) + "\n"


def written(folder: Path, content: str | bytes, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


GOOD = table_text()
X = numpy.linspace(-1.0, 1.0, 40).reshape(20, 2)


Y = numpy.sin(X[:, 0])
