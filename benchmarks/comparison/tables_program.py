"""How superpose's network does beside other methods, table by table, on the same folds.

    OMP_NUM_THREADS=1 python -m benchmarks tables --out out/tables --folder PMLB

The regression tables are those of ``tables.csv``, and files of PMLB (``NAME.tsv.gz`` with a column ``target``) from a
folder; SRBench's black-box sets are some of these. ``superpose.compare`` judges all methods by cross-validation with
its defaults.
"""

from __future__ import annotations

import argparse
import gzip
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.comparison.tables import MOST_ROWS, tables
from benchmarks.harness import program
from benchmarks.harness.resumable import Results
from superpose.cli import parsing
from superpose.tasks.comparison import CompareOptions, compare

if TYPE_CHECKING:
    import pandas

# The network is to come within this of the best R², or accuracy, and never to be further below the linear method.
MARGIN = {"regression": 0.02, "classification": 0.01}
LINEAR = {"regression": "ridge", "classification": "logistic"}
OTHERS = {
    "regression": ("line", "ridge", "gp", "boosting", "forest"),
    "classification": ("logistic", "gp", "boosting", "forest"),
}


def named_tables(folder: Path | None, only: Sequence[str] | None) -> Iterator[tuple[str, pandas.DataFrame, str, str]]:
    """Name, table, target and task of each table."""
    import pandas

    for name, table in tables().items():
        if only is None or name in only:
            yield name, table.frame(0), table.target, table.task
    for path in sorted(folder.glob("*.tsv.gz")) if folder is not None else ():
        name = path.name.removesuffix(".tsv.gz")
        if only is None or name in only:
            with gzip.open(path, "rt", encoding="utf-8") as file:
                frame = pandas.read_csv(file, sep="\t")
            if len(frame) > MOST_ROWS:
                frame = frame.sample(MOST_ROWS, random_state=0).reset_index(drop=True)
            yield name, frame, "target", "regression"


def measure(name: str, frame: pandas.DataFrame, target: str, task: str, options: argparse.Namespace) -> dict[str, Any]:
    """Scores of all methods on one table."""
    found = compare(
        frame,
        target,
        task=task,
        options=CompareOptions(
            cv=5, seed=options.seed, time_limit=options.time_limit, methods=("network", *OTHERS[task])
        ),
    )
    scores = {one.name: one.score for one in found}
    errors = {one.name: one.score_error for one in found}
    others = [score for name, score in scores.items() if name != "network" and score is not None]
    own, linear = scores.get("network"), scores.get(LINEAR[task])
    return {
        "table": name,
        "task": task,
        "rows": len(frame),
        "columns": len(found.features),
        "scores": scores,
        "standard_errors": errors,
        "below_best": None if own is None else max(others) - own,
        "below_linear": None if own is None or linear is None else linear - own,
        "seconds": {one.name: one.seconds for one in found},
    }


def count(rows: Sequence[dict[str, Any]]) -> str:
    """On how many tables the network is near the best of the others, and on how many it is far below the linear one."""
    near = sum(row["below_best"] is not None and row["below_best"] <= MARGIN[row["task"]] for row in rows)
    below = sum(row["below_linear"] is None or row["below_linear"] > 0.02 for row in rows)
    return f"near the best on {near} of {len(rows)} tables; more than 0.02 below the linear method on {below}"


def main(arguments: Sequence[str]) -> int:
    """Run with these arguments and return the exit code."""
    return program.run("tables", __doc__, arguments, _declare, _run)


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--folder", type=Path, help="of PMLB files")
    parser.add_argument("--only", help="names of tables, with commas; all if left out")
    parser.add_argument("--seed", type=int, default=0, help="of the folds and the methods")
    parser.add_argument("--time-limit", type=float, default=300.0, help="seconds for each table")


def _run(options: argparse.Namespace) -> int:
    only = None if options.only is None else [part.strip() for part in options.only.split(",")]
    if only is not None:
        parsing.words("--only", options.only, tuple({*tables(), *_files(options.folder)}))
    settings = {"seed": options.seed, "time_limit": options.time_limit}
    results = Results.of(options.out, settings, resume=options.resume)
    done = {row["table"] for row in results.rows}
    for name, frame, target, task in named_tables(options.folder, only):
        if name not in done:
            (row,) = results.add([measure(name, frame, target, task, options)])
            print(name, {key: value and round(value, 3) for key, value in row["scores"].items()}, flush=True)
    print(count(results.rows))
    return 0


def _files(folder: Path | None) -> list[str]:
    return [] if folder is None else [path.name.removesuffix(".tsv.gz") for path in folder.glob("*.tsv.gz")]
