"""How superpose's network does beside other methods, table by table, on the same folds.

    OMP_NUM_THREADS=1 python -m benchmarks tables --out out/tables --folder PMLB

The tables are those of ``tables.csv``, with ``--list fresh`` those of ``fresh_tables.csv``, with ``--list none`` none,
and files of PMLB (``NAME.tsv.gz`` with a column ``target``) from a folder; SRBench's black-box sets are some of these.
Every method is fitted to its end with its defaults, superpose's estimators and the peers of ``superpose.compare``; no
clock decides. The scores are means over five folds of R², or of the share of rows whose class is right.
"""

from __future__ import annotations

import argparse
import gzip
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.comparison.tables import MOST_ROWS, tables
from benchmarks.harness import program
from benchmarks.harness.resumable import Results
from superpose.cli import parsing
from superpose.parallel import Lost, work_off
from superpose.tasks.comparison.fitted import Fit, Fits, FittedMethod, TrainingRows
from superpose.tasks.comparison.fold_fits import FoldJob, judge
from superpose.tasks.comparison.folds import plan
from superpose.tasks.comparison.methods import METHODS, installed
from superpose.tasks.comparison.table import read

if TYPE_CHECKING:
    import pandas

# The network is to come within this of the best R², or accuracy, and never to be further below the linear method.
MARGIN = {"regression": 0.02, "classification": 0.01}
LINEAR = {"regression": "ridge", "classification": "logistic"}
OTHERS = {
    "regression": ("ridge", "gp", "boosting", "forest", "ebm"),
    "classification": ("logistic", "gp", "boosting", "forest", "ebm"),
}
LISTS = {"development": "tables.csv", "fresh": "fresh_tables.csv"}
FOLDS = 5
# Seconds of a fit of a peer: so many that none ends by them.
_NO_LIMIT = 1e5


def network(rows: TrainingRows) -> Fits:
    """superpose's estimator with its defaults."""
    from superpose.sklearn import KANClassifier, KANRegressor

    estimator: Any = KANClassifier() if rows.classes else KANRegressor()
    estimator.set_params(random_state=rows.seed).fit(rows.x, rows.y)
    return {"network": FittedMethod(lambda x: np.asarray(estimator.predict(x), dtype=float), size=None)}


def named_tables(
    listed: str | None, folder: Path | None, only: Sequence[str] | None
) -> Iterator[tuple[str, pandas.DataFrame, str, str]]:
    """Name, table, target and task of each table."""
    import pandas

    for name, table in tables(LISTS[listed]).items() if listed else ():
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
    table = read(frame, target, None, task)
    folds = plan(table.y, FOLDS, options.seed).repetitions[0]
    fits: dict[str, Fit] = {"network": network}
    fits |= {peer: METHODS[peer].fit for peer in OTHERS[task] if installed(METHODS[peer].package)}
    jobs = [(method, fold) for method in fits for fold in folds]
    losses: dict[str, list[float]] = {method: [] for method in fits}
    seconds = dict.fromkeys(fits, 0.0)
    made = [FoldJob(table, fold, fits[method], (method,), options.seed, _NO_LIMIT) for method, fold in jobs]
    for number, answer in work_off(judge, made, n_jobs=options.jobs):
        method = jobs[number][0]
        found = None if isinstance(answer, Lost) else answer.methods[method]
        if found is None or found.failure:
            print(f"{name}, {method}: {'the process ended' if found is None else found.failure}", flush=True)
        losses[method].append(float("nan") if found is None else found.loss)
        seconds[method] += 0.0 if found is None else found.seconds
    scores = {method: 1.0 - float(np.mean(values)) for method, values in losses.items()}
    own, linear = scores["network"], scores[LINEAR[task]]
    best = float(np.nanmax([score for method, score in scores.items() if method != "network"]))
    return {
        "table": name,
        "task": task,
        "rows": len(table.y),
        "columns": len(table.feature_names),
        "scores": scores,
        "below_best": best - own,
        "below_linear": linear - own,
        "seconds": seconds,
    }


def count(rows: Sequence[dict[str, Any]]) -> str:
    """On how many tables the network is near the best of the others, and on how many it is far below the linear one."""
    near = sum(row["below_best"] is not None and row["below_best"] <= MARGIN[row["task"]] for row in rows)
    below = sum(row["below_linear"] is None or row["below_linear"] > 0.02 for row in rows)
    return f"near the best on {near} of {len(rows)} tables; more than 0.02 below the linear method on {below}"


def lines(rows: Sequence[dict[str, Any]]) -> str:
    """The scores as tables of Markdown, one for each task."""
    blocks = []
    for task, others in OTHERS.items():
        chosen = [row for row in rows if row["task"] == task]
        if chosen:
            names = ("network", *others)
            block = [f"| table | rows | {' | '.join(names)} |", f"|---|{'---:|' * (1 + len(names))}"]
            for row in chosen:
                scores = (row["scores"].get(name) for name in names)
                cells = ("" if score is None else f"{score:.3f}" for score in scores)
                block.append(f"| {row['table']} | {row['rows']} | {' | '.join(cells)} |")
            blocks.append("\n".join(block))
    return "\n\n".join(blocks)


def main(arguments: Sequence[str]) -> int:
    """Run with these arguments and return the exit code."""
    return program.run("tables", __doc__, arguments, _declare, _run)


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--folder", type=Path, help="of PMLB files")
    parser.add_argument("--list", choices=(*LISTS, "none"), default="development", help="of tables from packages")
    parser.add_argument("--only", help="names of tables, with commas; all if left out")
    parser.add_argument("--seed", type=int, default=0, help="of the folds and the methods")
    parser.add_argument("--jobs", type=int, default=1, help="fits at a time, each with one thread")


def _run(options: argparse.Namespace) -> int:
    only = None if options.only is None else [part.strip() for part in options.only.split(",")]
    listed = None if options.list == "none" else options.list
    if only is not None:
        known = tables(LISTS[listed]) if listed else ()
        parsing.words("--only", options.only, tuple({*known, *_files(options.folder)}))
    results = Results.of(options.out, {"seed": options.seed}, resume=options.resume)
    done = {row["table"] for row in results.rows}
    for name, frame, target, task in named_tables(listed, options.folder, only):
        if name not in done:
            (row,) = results.add([measure(name, frame, target, task, options)])
            print(name, {key: value and round(value, 3) for key, value in row["scores"].items()}, flush=True)
    print(lines(results.rows), count(results.rows), sep="\n\n")
    return 0


def _files(folder: Path | None) -> list[str]:
    return [] if folder is None else [path.name.removesuffix(".tsv.gz") for path in folder.glob("*.tsv.gz")]
