"""What ``superpose compare`` leaves in its folder."""

from __future__ import annotations

import csv
import io
import json
import os
from dataclasses import asdict
from pathlib import Path

from superpose.atomic_write import write_atomically
from superpose.errors import FileError
from superpose.files.json_numbers import json_ready
from superpose.messages import quoted
from superpose.plot import canvas
from superpose.plot.comparison_chart import draw
from superpose.tasks.comparison.result import MethodComparison

FILES = ("comparison.json", "comparison.csv", "comparison.svg")


def write(comparison: MethodComparison, folder: str | os.PathLike[str]) -> dict[str, Path]:
    """Write a comparison as JSON, as a table and as a picture into a folder, which is made if need be.

    Raises:
        FileError: if the folder or a file cannot be written.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        label = quoted(os.fspath(folder), 120)
        raise FileError(f"{label} cannot be made: {error.strerror or error}; choose another folder") from None
    document = json.dumps(json_ready(comparison.to_dict()), indent=2, ensure_ascii=False, allow_nan=False)
    picture = canvas.drawn(lambda: draw(comparison), "Comparison").files["svg"]
    for name, content in zip(FILES, (f"{document}\n".encode(), _table(comparison), picture), strict=True):
        write_atomically(folder / name, content)
    return {name: folder / name for name in FILES}


def _table(comparison: MethodComparison) -> bytes:
    """One row for each method, without the losses of the folds."""
    text = io.StringIO()
    columns = [name for name in asdict(comparison.methods[0]) if name != "losses"]
    writer = csv.DictWriter(text, ["named", *columns], extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for one in comparison:
        writer.writerow(asdict(one) | {"named": int(one.name == comparison.named)})
    return text.getvalue().encode()
