"""How many laws of the public lists are found from the few rows that the lists give.

    OMP_NUM_THREADS=1 python -m benchmarks lists --time-limit 60

For each problem ``superpose.formulas.find_laws`` gets the rows. A law counts as found if on 10,000 fresh rows of ranges
twice as wide (where the law is finite) the recommended one errs by less than 1e-6 of the spread there. Problems are
divided in two: the search was developed on every other one, from the first on; the rest was looked at in the end only.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.discovery.recovery import CRITERION, assess
from benchmarks.harness import program
from benchmarks.harness.resumable import Results
from benchmarks.problems.lists import ListProblem, problems
from superpose.cli import parsing
from superpose.data import Dataset
from superpose.formulas import find_laws


def measure(problem: ListProblem, seed: int, time_limit: float) -> dict[str, Any]:
    """One line of the results."""
    law = problem.law
    x, y = problem.table(seed)
    names = [one.name for one in law.variables]
    data = Dataset.from_arrays(x, y, feature_names=names, target_names=["target"], seed=seed)
    began = time.monotonic()
    found = find_laws(data, time_limit=time_limit, seed=seed)
    line = {"problem": law.name, "development": problem.development, "law": law.title, "rows": len(y)}
    line |= {"seconds": round(time.monotonic() - began, 1)}
    if found.best is None:
        return line | {"found": None, "error": None, "recovered": False}
    recovery = assess(law, found.best.expression, functions=found.splines, seed=seed)
    within = recovery.wider_error < CRITERION.exact
    return line | {"found": str(found.best.expression)[:500], "error": recovery.wider_error, "recovered": within}


def main(arguments: Sequence[str]) -> int:
    """Run with these arguments and return the exit code."""
    return program.run("lists", __doc__, arguments, _declare, _run)


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", help="names of problems, or of lists, with commas; all if left out")
    parser.add_argument("--part", choices=("development", "rest"), help="one half of the problems")
    parser.add_argument("--time-limit", type=float, default=60.0, help="seconds for each")
    parser.add_argument("--seed", type=int, default=0, help="of the rows that are drawn")


def _run(options: argparse.Namespace) -> int:
    known = problems()
    lists = tuple(dict.fromkeys(name.rsplit("-", 1)[0] for name in known))
    wanted = lists if options.only is None else parsing.words("--only", options.only, (*known, *lists))
    results = Results.of(options.out, {"time_limit": options.time_limit, "seed": options.seed}, resume=options.resume)
    done = {row["problem"] for row in results.rows}
    for name, problem in known.items():
        left_out = options.part is not None and problem.development != (options.part == "development")
        if name in done or left_out or not {name, name.rsplit("-", 1)[0]} & set(wanted):
            continue
        line = measure(problem, options.seed, options.time_limit)
        results.add([line])
        print(
            f"{'found ' if line['recovered'] else 'MISSED'} {name:17} {line['seconds']:5.1f} s  {line['found']}",
            flush=True,
        )
    for part, of in (("development", True), ("rest", False)):
        rows = [row for row in results.rows if row["development"] is of]
        print(f"{part}: {sum(row['recovered'] for row in rows)} of {len(rows)}")
    return 0


__all__ = ["main", "measure"]
