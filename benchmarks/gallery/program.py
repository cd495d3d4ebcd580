"""Ten tables: what superpose says of each, and the page and the pictures that show it.

    OMP_NUM_THREADS=1 python -m benchmarks gallery                 # all tables, the page, the pictures: ten minutes
    OMP_NUM_THREADS=1 python -m benchmarks gallery --only kepler   # one of them anew
    OMP_NUM_THREADS=1 python -m benchmarks gallery --only none     # only the page, from what was run before

Each table goes through the command that the page shows. What it prints, and the numbers that the text quotes, are kept
in ``docs/results/gallery.json``; the page ``docs/gallery.md`` and the output in ``docs/reading_output.md`` are made of
these.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

import superpose
from benchmarks.gallery.entries import ENTRIES, Entry
from benchmarks.gallery.pictures import picture
from superpose.atomic_write import write_atomically
from superpose.cli import parsing
from superpose.data import Dataset, read_csv

ROOT = Path(__file__).parents[2]
STORE, PAGE = ROOT / "docs/results/gallery.json", ROOT / "docs/gallery.md"
PICTURES = ROOT / "docs/images/gallery"
# The page that explains the output of one of the runs line by line, and which.
EXPLAINED, EXPLAINED_RUN = ROOT / "docs/reading_output.md", "puromycin"
BEGIN, END = "<!-- written by python -m benchmarks gallery: -->", "<!-- end -->"
# Letters of a line that a page shows without a bar to scroll.
_WIDTH = 84


def measure(entry: Entry) -> tuple[dict[str, Any], bytes]:
    """What a run prints and finds, and its picture."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for place in ("benchmarks", "examples"):
            (folder / place).symlink_to(ROOT / place)
        run = subprocess.run(
            [sys.executable, "-m", "superpose", *entry.arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"},
        )
        (made,) = (folder / "out").iterdir()
        metrics = json.loads((made / "metrics.json").read_text(encoding="utf-8"))
        drawn = picture(entry, superpose.load(made / "model.safetensors"), _table(entry))
    return {"output": run.stdout.splitlines(), "warnings": run.stderr.splitlines(), "numbers": numbers(metrics)}, drawn


def _table(entry: Entry) -> Dataset:
    options = dict(zip(entry.options[::2], entry.options[1::2], strict=True))
    features = options["--features"].split(",") if "--features" in options else None
    return read_csv(ROOT / entry.file, target=entry.target, features=features, test=0.0)


def numbers(metrics: Mapping[str, Any]) -> dict[str, str]:
    """What the text of an entry may quote, from the metrics of its run."""
    better = "formula" if metrics.get("formula_rmse") is not None else "network"
    found = {"rmse": metrics[f"{better}_rmse"], "r2": metrics[f"{better}_r2"], "spread": metrics["target_std"]}
    found |= {name: one["value"] for name, one in metrics.get("law", {}).get("constants", {}).items()}
    return {name: f"{value:.4g}" for name, value in found.items()}


def shown(lines: Sequence[str]) -> list[str]:
    """The lines of an output as a page has them: indented, long ones wrapped, the list of formulas as it is.

    >>> shown(["* a", "b " * 60])[2].startswith("        b")
    True
    """
    found = []
    for line in lines:
        row = re.match(r"^\*? +\d+  |^  nodes", line)
        parts = (
            [line]
            if row
            else textwrap.wrap(line, _WIDTH, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
        )
        found += [f"    {part}".rstrip() for part in parts]
    return found


def command(entry: Entry) -> str:
    """The command as it is typed."""
    return " ".join(["superpose", *entry.arguments])


def page(runs: Mapping[str, Mapping[str, Any]], machine: str) -> str:
    """The gallery, of the tables that were run."""
    lines = ["# Gallery", "", _INTRODUCTION.format(count=len(ENTRIES)), ""]
    for entry in (one for one in ENTRIES if one.name in runs):
        run = runs[entry.name]
        lines += [f"## {entry.title}", "", entry.description, "", f"    {command(entry)}", "", "prints", ""]
        lines += [*shown(run["output"]), "", f"![{_caption(entry)}](images/gallery/{entry.name}.svg)", ""]
        lines += [entry.meaning.format(**run["numbers"]), ""]
    lines += ["## How this page was made", "", "    OMP_NUM_THREADS=1 python -m benchmarks gallery", "", machine]
    return "\n".join(lines) + "\n"


def _caption(entry: Entry) -> str:
    if not entry.across:
        return f"The formula for {entry.target} as a network"
    return f"{entry.target} against {entry.across}: the rows, and the curve that superpose found"


def explained(text: str, run: Mapping[str, Any]) -> str:
    """The page on the output, with that of a run in its place."""
    head, _, rest = text.partition(f"{BEGIN}\n")
    tail = rest.partition(END)[2]
    (entry,) = (one for one in ENTRIES if one.name == EXPLAINED_RUN)
    own = [f"    {command(entry)}", "", "prints", "", *shown(run["output"])]
    return "\n".join([f"{head}{BEGIN}", *own, f"{END}{tail}"])


_INTRODUCTION = """{count} tables from the history of science and from mathematics, and what `superpose fit` says of
each. The files are part of the project, so every command can be repeated from the root of a checkout; the folder that
it writes has pictures and a report. [Reading the output](reading_output.md) explains the lines, which are wrapped here.
All tables were looked at while superpose was developed; of how many laws are found in general, see
[few rows](few_rows.md) and the [results](results/index.md)."""


def main(arguments: Sequence[str]) -> int:
    """Run with these arguments and return the exit code."""
    names = tuple(entry.name for entry in ENTRIES)
    parser = argparse.ArgumentParser(prog="python -m benchmarks gallery", description=__doc__)
    parser.add_argument("--only", help="names of tables, with commas; all if left out, none for the page only")
    given = parser.parse_args(arguments).only
    wanted = names if given is None else () if given == "none" else parsing.words("--only", given, names)
    store: dict[str, Any] = {"machine": "", "runs": {}}
    if STORE.exists():
        store = json.loads(STORE.read_text(encoding="utf-8"))
    for entry in (one for one in ENTRIES if one.name in wanted):
        run, drawn = measure(entry)
        PICTURES.mkdir(parents=True, exist_ok=True)
        write_atomically(PICTURES / f"{entry.name}.svg", drawn)
        store["runs"][entry.name] = run
        store["machine"] = (
            f"Python {platform.python_version()}, torch {torch.__version__}, on two cores that did other work too."
        )
        write_atomically(STORE, f"{json.dumps(store, indent=1, ensure_ascii=False)}\n".encode())
        print(f"{entry.name}: {run['output'][0]}", flush=True)
    write_atomically(PAGE, page(store["runs"], store["machine"]).encode())
    if EXPLAINED.exists() and EXPLAINED_RUN in store["runs"]:
        text = EXPLAINED.read_text(encoding="utf-8")
        write_atomically(EXPLAINED, explained(text, store["runs"][EXPLAINED_RUN]).encode())
    return 0
