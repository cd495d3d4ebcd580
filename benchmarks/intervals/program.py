"""Whether prediction intervals of 90% hold 90% of the targets of rows held out, on 29 tables.

    OMP_NUM_THREADS=1 python -m benchmarks intervals --out out/intervals

Each table of at least 60 rows is split at random, again and again: a model is fitted to 70% of the rows and gives
intervals for the others. Counted are, over all splits, the targets within the intervals, below and above; the targets
within them in the third of the rows, by prediction, where these are fewest; and the rows that count as outside the
data. By default the models are sums of smooth functions, without the search for networks and formulas; with --discover
SECONDS that search is run on every split, and the intervals are those of its network and its formula.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.comparison.tables import PublicTable, tables
from benchmarks.harness import program
from benchmarks.harness.resumable import Results
from superpose.atomic_write import write_atomically
from superpose.cli import parsing
from superpose.data import Dataset
from superpose.nn import KAN
from superpose.tasks.regression import DiscoverOptions, discover
from superpose.tasks.regression.context import Context
from superpose.tasks.regression.intervals import Found, attach
from superpose.tasks.regression.reference import fit_reference

if TYPE_CHECKING:
    import pandas

# Share of the rows to fit to; least rows of a table; splits of tables of fewer than MANY rows, whose held-out rows are
# few, and of others.
SHARE, LEAST_ROWS, MANY, SPLITS_OF_FEW, SPLITS = 0.7, 60, 200, 20, 10


def all_tables() -> dict[str, PublicTable]:
    """The tables of the comparison with numeric targets, and those of ``tables.csv``."""
    text = Path(__file__).with_name("tables.csv").read_text(encoding="utf-8")
    rows = [row | {"leave_out": tuple(row["leave_out"].split())} for row in csv.DictReader(text.splitlines())]
    own = {row["name"]: PublicTable(**row) for row in rows}
    return {name: table for name, table in tables().items() if table.task == "regression"} | own


def smooth(data: Dataset, seed: int) -> dict[str, KAN]:
    """The sum of smooth functions, as ``superpose fit`` compares everything with it."""
    context = Context.start(data, DiscoverOptions(seed=seed, time_limit=600), lambda event: None)
    reference = fit_reference(context)
    assert reference is not None
    attach(data, Found(reference.model, smooth=True), reference, data.validation, reference.choice.fit.deviation)
    return {"sum": reference.model}


def found(data: Dataset, seed: int, seconds: float) -> dict[str, KAN]:
    """The network and the formula of a whole run."""
    result = discover(data, DiscoverOptions(seed=seed, time_limit=seconds))
    models = {"network": result.network}
    return models if result.symbolic is None else models | {"formula": result.symbolic}


def measure(table: PublicTable, options: argparse.Namespace) -> list[dict[str, Any]]:
    """One row for each kind of model of a table."""
    frame = table.frame(0)
    splits = options.splits or (SPLITS_OF_FEW if len(frame) < MANY else SPLITS)
    counts: dict[str, list[dict[str, Any]]] = {}
    for seed in range(splits):
        order = np.random.default_rng(seed).permutation(len(frame))
        fitted, held_out = (frame.iloc[np.sort(part)] for part in np.split(order, [round(SHARE * len(frame))]))
        data = Dataset.from_frame(
            fitted, target=table.target, validation=0.0 if options.discover is None else 0.15, test=0.0
        )
        models = smooth(data, seed) if options.discover is None else found(data, seed, options.discover)
        for kind, model in models.items():
            if model.uncertainty is not None:
                counts.setdefault(kind, []).append(count(model, held_out, table.target, options.level))
    return [
        {"table": table.name, "model": kind, "rows": round(SHARE * len(frame)), "features": frame.shape[1] - 1}
        | {"splits": len(some)}
        | {name: float(np.mean([one[name] for one in some])) for name in some[0] if name != "thirds"}
        | {"least_third": float(np.mean([one["thirds"] for one in some], 0).min())}
        for kind, some in counts.items()
    ]


def count(model: KAN, frame: pandas.DataFrame, target: str, level: float) -> dict[str, Any]:
    """Shares of the held-out targets within, below and above the intervals of a model."""
    intervals, y = model.predict_interval(frame, level), frame[target].to_numpy(float)
    below, above = y < intervals.low[:, 0], y > intervals.high[:, 0]
    within = ~(below | above)
    by_prediction = np.array_split(within[np.argsort(intervals.prediction[:, 0], kind="stable")], 3)
    width = np.median(intervals.high[:, 0] - intervals.low[:, 0])
    return {
        "coverage": within.mean(),
        "below": below.mean(),
        "above": above.mean(),
        "thirds": [part.mean() for part in by_prediction],
        "outside": intervals.outside.mean(),
        "width": float(width / y.std()),
    }


HEADINGS = (
    *("table", "model", "rows", "features", "splits"),
    *("within %", "below %", "above %", "least third %", "outside %", "width"),
)


def page(rows: Sequence[dict[str, Any]]) -> str:
    """The results as a table in Markdown."""
    lines = [
        f"| {' | '.join(HEADINGS)} |",
        "|---|---|" + "---:|" * (len(HEADINGS) - 2),
    ]
    for row in rows:
        shares = [f"{100 * row[name]:.1f}" for name in ("coverage", "below", "above", "least_third", "outside")]
        cells = [row["table"], row["model"], *(str(row[name]) for name in ("rows", "features", "splits")), *shares]
        lines.append(f"| {' | '.join(cells)} | {wide(row)} |")
    return "\n".join(lines) + "\n"


def wide(row: dict[str, Any]) -> str:
    """The mean width; JSON has no infinite one."""
    return "infinite" if row["width"] is None else f"{row['width']:.2f}"


def summary(rows: Sequence[dict[str, Any]], level: float) -> str:
    """How many tables are near the level."""
    near = sum(abs(row["coverage"] - level) <= 0.03 for row in rows)
    mean = float(np.mean([row["coverage"] for row in rows]))
    return f"within 3 points of {level:.0%} on {near} of {len(rows)}; {mean:.1%} in the mean"


def main(arguments: Sequence[str]) -> int:
    """Run with these arguments and return the exit code."""
    return program.run("intervals", __doc__, arguments, _declare, _run)


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", help="names of tables, with commas; all if left out")
    parser.add_argument("--level", type=float, default=0.9, help="the probability of an interval")
    parser.add_argument("--splits", type=int, help="of each table; 20 of those below 200 rows and 10 of others")
    parser.add_argument("--discover", type=float, metavar="SECONDS", help="search for networks and formulas so long")


def _run(options: argparse.Namespace) -> int:
    known = all_tables()
    chosen = known if options.only is None else parsing.words("--only", options.only, tuple(known))
    settings = {name: getattr(options, name) for name in ("level", "splits", "discover")}
    results = Results.of(options.out, settings, resume=options.resume)
    done = {row["table"] for row in results.rows}
    for name in chosen:
        if name in done or len(known[name].frame(0)) < LEAST_ROWS:
            continue
        made = results.add(measure(known[name], options))
        for row in made:
            print(
                f"{row['table']:12} {row['model']:8} {row['rows']:4} rows  within {row['coverage']:.1%}  "
                f"outside {row['outside']:.1%}  width {wide(row)}",
                flush=True,
            )
        write_atomically(options.out / "results.md", page(results.rows).encode())
    for kind in dict.fromkeys(row["model"] for row in results.rows):
        print(f"{kind}: {summary([row for row in results.rows if row['model'] == kind], options.level)}")
    return 0
