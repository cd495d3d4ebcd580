"""Whether the method that ``superpose compare`` names is within 2% of the best one in hindsight.

    OMP_NUM_THREADS=1 python -m benchmarks compare --out out/compare

For each table and seed a third of the rows is held out. ``superpose.compare`` sees the other rows and names a method.
All methods are then fitted to all of these rows, and their errors on the rows held out show which was the best. The
named method counts as within the margin if its RMSE is at most 2% larger than the best one's, for classes if its
accuracy is at most 0.02 lower.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from typing import Any

from benchmarks.comparison.tables import PublicTable, tables
from benchmarks.harness import program
from benchmarks.harness.resumable import Results
from superpose.choices import COMPARED
from superpose.cli import parsing
from superpose.deadline import Deadline
from superpose.tasks.comparison import CompareOptions, MethodComparison, compare
from superpose.tasks.comparison.evaluation import Evaluation
from superpose.tasks.comparison.folds import Fold, FoldPlan
from superpose.tasks.comparison.methods import METHODS
from superpose.tasks.comparison.table import read

# The margin of the target, and errors, in units of the target's deviation, that count as none.
MARGIN, EXACT = 0.02, 1e-6


def measure(table: PublicTable, seed: int, options: CompareOptions) -> dict[str, Any]:
    """One table: what compare says on two thirds of the rows, and the errors of all methods on the rest."""
    frame = table.frame(seed)
    split = table.split(frame, seed)
    found = compare(frame.iloc[split.train], table.target, task=table.task, options=options)
    held_out = _held_out(table, frame, split, found, options)
    judged = {name: error for name, error in held_out.items() if error is not None}
    best = min(judged, key=lambda name: judged[name])
    named = judged.get(found.named or "", math.inf)
    return {
        "table": table.name,
        "seed": seed,
        "task": table.task,
        "rows": len(split.train),
        "held_out_rows": len(split.test),
        "features": len(found.features),
        "named": found.named,
        "best": best,
        "excess": _excess(named, judged[best], table.task),
        "excess_of_best_by_folds": _excess(judged.get(found.best or "", math.inf), judged[best], table.task),
        "errors": held_out,
        "comparison": found.to_dict(),
    }


def _held_out(
    table: PublicTable, frame: Any, split: Fold, found: MethodComparison, options: CompareOptions
) -> dict[str, float | None]:
    """Errors on the rows held out, in units of the target's deviation, or shares of wrong rows; None for a failure."""
    # The same columns as in the comparison, whatever the rows held out hold.
    whole = read(frame, table.target, found.features, table.task)
    fold = FoldPlan(((Fold(0, 0, split.train, split.test),),))
    methods = [METHODS[one.name] for one in found if not one.failure]
    records = Evaluation(whole, fold, methods, options.seed, Deadline(options.time_limit), lambda event: None).run()
    losses = {one.method.name: None if one.failure else one.losses[0, 0] for one in records}
    return {
        name: loss if loss is None or table.task == "classification" else math.sqrt(loss)
        for name, loss in losses.items()
    }


def _excess(error: float, least: float, task: str) -> float:
    """By how much an error is larger than the least: as a share of it, for classes in shares of the rows."""
    if task == "classification":
        return error - least
    return max(error, EXACT) / max(least, EXACT) - 1


def line(row: dict[str, Any]) -> str:
    """One result for a terminal."""
    mark = "within" if row["excess"] <= MARGIN else "beyond"
    return (
        f"{row['table']:14} seed {row['seed']}  {row['rows']:4} rows  named {row['named']!s:9} best {row['best']:9} "
        f"{row['excess']:+.3f}  {mark}"
    )


def count(rows: Sequence[dict[str, Any]]) -> str:
    """How often the named method was within the margin, and how often that of the least cross-validated error."""
    named = sum(row["excess"] <= MARGIN for row in rows)
    least = sum(row["excess_of_best_by_folds"] <= MARGIN for row in rows)
    return (
        f"the named method is within {MARGIN:.0%} of the best on {named} of {len(rows)} tables, the method of the "
        f"least cross-validated error on {least}"
    )


def main(arguments: Sequence[str]) -> int:
    """Run with these arguments and return the exit code."""
    return program.run("compare", __doc__, arguments, _declare, _run)


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", help="names of tables, with commas; all if left out")
    parser.add_argument("--methods", help="names of methods, with commas; all that are installed if left out")
    parser.add_argument("--seeds", type=int, default=1, help="of the rows held out, the folds and the methods")
    parser.add_argument("--time-limit", type=float, default=300.0, help="seconds for each comparison")


def _run(options: argparse.Namespace) -> int:
    chosen = tables() if options.only is None else parsing.words("--only", options.only, tuple(tables()))
    methods = None if options.methods is None else parsing.words("--methods", options.methods, tuple(METHODS))
    settings = {"methods": methods and list(methods), "time_limit": options.time_limit}
    results = Results.of(options.out, settings, resume=options.resume)
    known = {(row["table"], row["seed"]) for row in results.rows}
    for seed in range(options.seeds):
        for name in chosen:
            table = tables()[name]
            # Some methods are for one task only.
            own = methods and tuple(one for one in methods if one in COMPARED[table.task])
            if (name, seed) not in known:
                settings_of_table = CompareOptions(seed=seed, time_limit=options.time_limit, methods=own)
                (row,) = results.add([measure(table, seed, settings_of_table)])
                print(line(row), flush=True)
    print(count(results.rows))
    return 0
