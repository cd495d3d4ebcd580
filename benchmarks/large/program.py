"""Tables of many rows or many columns, learnt by ``superpose fit`` in a process of its own.

    python -m benchmarks large                       each table with a limit of 60 s, beside gradient boosting
    python -m benchmarks limits --busy 1             limits of 10, 30 and 60 s, one core kept busy by something else
    python -m benchmarks large --only rows --out DIR

The tables are made from a fixed seed where they are not there yet, up to 500 MB in all. For each run: seconds from the
start of the command to its end, beside the limit; the largest resident memory above that of an interpreter that has
loaded torch, beside the size of the table's numbers; and the error on the rows that ``fit`` holds out for the test, the
RMSE of a number or the share of wrong classes. scikit-learn's gradient boosting with its defaults gets the training and
validation rows, and as much time as it takes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness.machine import load, machine, now, versions
from benchmarks.large import measured
from benchmarks.large.measured import Measured
from benchmarks.large.tables import TABLES, LargeTable

_LARGE = (60.0,)
_LIMITS = (10.0, 30.0, 60.0)
# By how much a command may exceed its limit: a share of it, and seconds.
TOLERATED = 0.05, 1.0
_COLUMNS = ("table", "options", "limit", "seconds", "memory", "table's", "network", "formula")


def main(arguments: Sequence[str]) -> int:
    """``large``: run with these arguments and return the exit code."""
    return _run("large", arguments, _LARGE, peers=True)


def limits(arguments: Sequence[str]) -> int:
    """``limits``: as :func:`main`, with several limits and without peers."""
    return _run("limits", arguments, _LIMITS, peers=False)


def _run(name: str, arguments: Sequence[str], times: tuple[float, ...], *, peers: bool) -> int:
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks {name}",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", help=f"some of the tables, of {','.join(TABLES)}")
    parser.add_argument("--time-limit", help="limits in seconds, such as 10,30")
    parser.add_argument("--busy", type=int, default=0, help="cores that something else keeps busy meanwhile")
    parser.add_argument("--tables", type=Path, default=Path("out/large-tables"), help="where the tables are")
    parser.add_argument("--out", type=Path, default=Path(f"out/bench-{name}"))
    parser.add_argument("--no-peers", action="store_true")
    options = parser.parse_args(arguments)
    names = options.only.split(",") if options.only else list(TABLES)
    if unknown := sorted(set(names) - set(TABLES)):
        parser.error(f"there is no table {unknown[0]!r}; the tables are {', '.join(TABLES)}")
    if options.time_limit:
        times = tuple(float(part) for part in options.time_limit.split(","))
    base = measured.python("import torch").peak_mb
    record: dict[str, Any] = {"machine": machine(), "versions": versions(), "date": now(), "busy": options.busy}
    record |= {"base_mb": base, "runs": [], "peers": {}}
    options.out.mkdir(parents=True, exist_ok=True)
    print(_line(_COLUMNS))
    for table in (TABLES[name] for name in names):
        path = table.written(options.tables)
        for limit in times:
            for more in ((), ("--no-formula",)):
                with measured.busy(options.busy):
                    row = _fitted(table, path, limit, more, base, options.out)
                record["runs"].append(row)
                _write(options.out, record)
                print(_line(_cells(row)), flush=True)
        if peers and not options.no_peers:
            from benchmarks.large.boosting import errors

            record["peers"][table.name] = errors(table, path)
            _write(options.out, record)
            for peer, found in record["peers"][table.name].items():
                print(_line((table.name, peer, "", f"{found['seconds']:.0f}", "", "", f"{found['error']:.4g}", "")))
    exceeded = [row for row in record["runs"] if row["exceeded"]]
    print(f"{len(exceeded)} of {len(record['runs'])} runs exceeded their limit by more than 5% and a second")
    return 0


def _fitted(
    table: LargeTable, path: Path, limit: float, more: tuple[str, ...], base: float, out: Path
) -> dict[str, Any]:
    command = [sys.executable, "-m", "superpose", "fit", str(path), "--target", "y", "--json", "--quiet", *more]
    command += ["--time-limit", f"{limit:g}", "--out", str(out / f"{table.name}-{limit:g}{''.join(more)}")]
    if table.classes:
        command += ["--task", "classification"]
    before = load()
    done = measured.run(command)
    return _row(table, limit, more, done, base) | {"load": before}


def _row(table: LargeTable, limit: float, more: tuple[str, ...], done: Measured, base: float) -> dict[str, Any]:
    share, seconds = TOLERATED
    row: dict[str, Any] = {
        "table": table.name,
        "options": " ".join(more),
        "limit": limit,
        "seconds": done.seconds,
        "exceeded": done.seconds > (1 + share) * limit + seconds,
        "memory_mb": done.peak_mb - base,
        "table_mb": table.megabytes,
        "network": None,
        "formula": None,
    }
    if done.code:
        return row | {"failure": done.errors.strip()}
    printed = json.loads(done.output)
    for name in ("network", "formula"):
        if table.classes:
            right = printed[f"{name}_accuracy"]
            row[name] = None if right is None else 1 - right
        else:
            row[name] = printed[f"{name}_rmse"]
    return row | {
        "text": printed["formula"],
        "columns": printed["screening"]["kept"],
        "reason": printed["reason"],
        "target_std": printed.get("target_std"),
    }


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    errors = ["-" if row[name] is None else f"{row[name]:.4g}" for name in ("network", "formula")]
    sizes = f"{row['memory_mb']:.0f} MB", f"{row['table_mb']:.0f} MB"
    time = f"{row['seconds']:.1f}{'!' if row['exceeded'] else ''}"
    return row["table"], row["options"], f"{row['limit']:g}", time, *sizes, *errors


def _line(cells: Sequence[str]) -> str:
    return "".join(f"{cell:<{width}}" for cell, width in zip(cells, (16, 29, 7, 9, 9, 9, 9, 9), strict=True)).rstrip()


def _write(out: Path, record: dict[str, Any]) -> None:
    (out / "results.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
