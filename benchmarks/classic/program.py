"""Whether the formulas of 24 classic tables are found, each from its few rows.

    OMP_NUM_THREADS=1 python -m benchmarks classic --seeds 0,1,2 --time-limit 45

Each table goes through ``superpose.discover`` with its defaults. The recommended formula counts if it is the form that
a scientist would write (that form, its constants left open, has its values), or if it predicts as well (leave-one-out
error at most 5% larger) with as few constants. Poles, cancellation and errors above a straight line's are named.
"""

from __future__ import annotations

import argparse
import math
import re
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.classic.judge import judge
from benchmarks.classic.tables import ClassicTable, tables
from benchmarks.harness import program
from benchmarks.harness.resumable import Results
from superpose import DiscoverOptions, discover, parallel
from superpose.atomic_write import write_atomically
from superpose.cli import parsing

# Characters of a formula in the page. A round number.
_SHOWN = 100


def measure(table: ClassicTable, seed: int, time_limit: float) -> dict[str, Any]:
    """One line of the results."""
    data = table.read()
    began = time.monotonic()
    result = discover(data, DiscoverOptions(seed=seed, time_limit=time_limit))
    seconds = time.monotonic() - began
    verdict = judge(data, result.formula, table.form, relative=table.relative)
    short = None if result.formula is None else result.formula.texts(4)[0]
    law = result.metrics.get("law", {}).get("name")
    numbers = {"error": verdict.error, "their_error": verdict.theirs, "line_error": verdict.line}
    return {
        "table": table.name,
        "rows": data.n_rows,
        "seed": seed,
        "seconds": round(seconds, 1),
        "verdict": verdict.word,
        "faults": verdict.faults,
        "formula": short,
        "full": None if result.formula is None else str(result.formula),
        "law": law,
        "form": table.form,
        "fitted_form": verdict.form,
        **numbers,
        "constants": verdict.constants,
        "their_constants": verdict.their_constants,
        "tried": [str(one.formula) for one in result.findings][:20],
    }


def counts(rows: Sequence[dict[str, Any]]) -> list[str]:
    """A sentence for each seed, and one on whether the seeds agree."""
    lines = []
    seeds = sorted({row["seed"] for row in rows})
    for seed in seeds:
        own = [row for row in rows if row["seed"] == seed]
        same, good = (sum(row["verdict"] == word for row in own) for word in ("same form", "as good"))
        faulty = sum(bool(row["faults"]) for row in own)
        lines.append(
            f"seed {seed}: {same + good} of {len(own)} ({same} the same form, {good} as good); with a fault: {faulty}"
        )
    if len(seeds) > 1:
        names = {row["table"] for row in rows if sum(row["table"] == other["table"] for other in rows) == len(seeds)}
        agree = sum(len({_shape(row) for row in rows if row["table"] == name}) == 1 for name in names)
        lines.append(f"the same form with every seed: {agree} of {len(names)}")
    return lines


def _shape(row: dict[str, Any]) -> str:
    """A formula without its numbers."""
    return re.sub(r"\d+\.?\d*(e[+-]?\d+)?", "#", row["formula"] or "")


def page(rows: Sequence[dict[str, Any]], known: dict[str, ClassicTable], command: str) -> str:
    """The page of the results."""
    lines = ["# Classic tables", "", _INTRODUCTION, "", f"    {command}", ""]
    lines += [f"- {line}" for line in counts(rows)]
    lines += [
        "",
        "| table | rows | a scientist writes | superpose says | error | theirs | verdict |",
        "|---|---:|---|---|---:|---:|---|",
    ]
    first = min((row["seed"] for row in rows), default=0)
    for row in rows:
        if row["seed"] != first:
            continue
        words = {other["verdict"] for other in rows if other["table"] == row["table"]}
        verdict = (
            row["verdict"]
            if len(words) == 1
            else "; ".join(
                f"{other['verdict']} (seed {other['seed']})" for other in rows if other["table"] == row["table"]
            )
        )
        verdict += "".join(f"; {fault}" for fault in row["faults"])
        said = row["formula"] or "no formula"
        said = said if len(said) <= _SHOWN else said[:_SHOWN] + " ..."
        error = "" if row["error"] is None or row["error"] == math.inf else f"{row['error']:.3g}"
        lines.append(
            f"| {row['table']} | {row['rows']} | `{row['form']}` ({row['their_constants']}) "
            f"| `{said}` ({row['constants']}) | {error} | {row['their_error']:.3g} | {verdict} |"
        )
    lines += ["", "## Where the tables come from", "", "| table | columns | source | licence |", "|---|---|---|---|"]
    lines += [f"| {one.name} | {one.what} | {one.source} | {one.licence} |" for one in known.values()]
    return "\n".join(lines) + "\n"


_INTRODUCTION = """How often `superpose.discover` with its defaults finds in a small table what a scientist would write.
*Same form*: the scientist's form, its constants left open, has the values of the recommended formula. *As good*: the
leave-one-out error is at most 5% larger, with as few constants. Anything else is a *miss*. In brackets stands the
number of fitted constants. Errors are root mean squares of leave-one-out (to first order in the constants), of the
target's logarithm where its errors are relative. All tables were looked at while superpose was developed. The rules are
in `benchmarks/classic/judge.py`, the numbers in `benchmarks/classic/data/`."""


def main(arguments: Sequence[str]) -> int:
    """Run with these arguments and return the exit code."""
    return program.run("classic", __doc__, arguments, _declare, _run)


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", help="names of tables, with commas; all if left out")
    parser.add_argument("--seeds", default="0", help="with commas")
    parser.add_argument("--time-limit", type=float, default=45.0, help="seconds for each")


def _run(options: argparse.Namespace) -> int:
    parallel.one_thread()
    known = tables()
    wanted = tuple(known) if options.only is None else parsing.words("--only", options.only, tuple(known))
    seeds = [parsing.whole("--seeds", text, 0, 2**32 - 1) for text in options.seeds.split(",")]
    results = Results.of(options.out, {"time_limit": options.time_limit}, resume=options.resume)
    done = {(row["table"], row["seed"]) for row in results.rows}
    for seed in seeds:
        for name in wanted:
            if (name, seed) in done:
                continue
            (line,) = results.add([measure(known[name], seed, options.time_limit)])
            faults = "".join(f", {fault}" for fault in line["faults"])
            print(
                f"seed {seed}  {name:10} {line['seconds']:5.1f} s  {line['verdict']}{faults}: {line['formula']}"
                f"  (error {line['error'] or math.inf:.3g} beside {line['their_error']:.3g})",
                flush=True,
            )
    for sentence in counts(results.rows):
        print(sentence)
    command = f"python -m benchmarks classic --seeds {options.seeds} --time-limit {options.time_limit:g}"
    text = page(results.rows, known, command)
    write_atomically(options.out / "results.md", text.encode())
    print(f"written to {options.out}; begin with {options.out / 'results.md'}")
    return 0
