"""``python -m benchmarks NAME``: the options, and what is printed at the end."""

from __future__ import annotations

import importlib
import json
import math
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks import methods
from benchmarks.catalogue import BENCHMARKS, SCRIPTS, Benchmark
from benchmarks.harness.settings import Settings
from benchmarks.methods import FORMULA_PEERS, REGRESSION_PEERS
from superpose import parallel
from superpose.cli import console, parsing
from superpose.cli.running import OneValueCommand, execute
from superpose.errors import OptionError

# Round upper bounds, so that a typing error does not ask for all of the memory.
_MAX_POINTS = 1_000_000
_MAX_JOBS = 1000
# pykan and gplearn hand their seed to NumPy's old generator, which takes 32 bits.
_MAX_SEED = 2**32 - 1
_DEFAULT = Settings()
# Rows of a table in the benchmarks of symbolic regression; a round number.
_FORMULA_POINTS = 10_000
_FORMULAS = " and ".join(name for name, benchmark in BENCHMARKS.items() if benchmark.formulas)
_NAMES = f"one of {', '.join(BENCHMARKS)}; {', '.join(SCRIPTS)} have options of their own: NAME --help"


app = typer.Typer(
    name="benchmarks",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program with these arguments, or those of the process, and return its exit code."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    if arguments and arguments[0] in SCRIPTS:
        status: int = importlib.import_module(SCRIPTS[arguments[0]].module).main(arguments[1:])
        return status
    return execute(app, "python -m benchmarks", arguments)


@app.command(cls=OneValueCommand)
def command(
    name: Annotated[str, typer.Argument(metavar="NAME", help=_NAMES)],
    time_limit: Annotated[
        str,
        typer.Option("--time-limit", metavar="SECONDS", help="For each problem, seed and method."),
    ] = f"{_DEFAULT.time_limit:g}",
    seed: Annotated[
        str, typer.Option("--seed", metavar="0,1,2", help="Of points and starts; tables show medians over several.")
    ] = "0",
    points: Annotated[
        str | None,
        typer.Option(
            "--points", metavar="N", help=f"To learn from; {_DEFAULT.points}, {_FORMULA_POINTS} for {_FORMULAS}."
        ),
    ] = None,
    test_points: Annotated[
        str, typer.Option("--test-points", metavar="N", help="Fresh ones, to measure errors on.")
    ] = str(_DEFAULT.test_points),
    only: Annotated[
        str | None,
        typer.Option("--only", metavar="NAME,NAME", help="Some of the problems; all if left out."),
    ] = None,
    peer: Annotated[
        str | None,
        typer.Option(
            "--peer",
            metavar=",".join(REGRESSION_PEERS),
            help=f"Methods to run beside superpose; {', '.join(FORMULA_PEERS)} for {_FORMULAS}.",
        ),
    ] = None,
    noise: Annotated[
        str | None,
        typer.Option("--noise", metavar="0,0.01", help=f"On the target, as shares of its spread; for {_FORMULAS}."),
    ] = None,
    jobs: Annotated[
        str | None,
        typer.Option("--jobs", metavar="N", help=f"Processes at a time, each with one thread; for {_FORMULAS}."),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="DIR", help="Where to write; out/bench-NAME if left out."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Keep the results that the folder holds already, and add to them.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> Callable[[], None]:
    """Measure superpose, and peers beside it, on problems with known answers."""
    benchmark = BENCHMARKS[parsing.one_of("the benchmark's name", name, (*BENCHMARKS, *SCRIPTS))]
    default_points = _FORMULA_POINTS if benchmark.formulas else _DEFAULT.points
    settings = Settings(
        time_limit=parsing.seconds("--time-limit", time_limit),
        seeds=_seeds(seed),
        points=default_points if points is None else parsing.whole("--points", points, 10, _MAX_POINTS),
        test_points=parsing.whole("--test-points", test_points, 1, _MAX_POINTS),
        only=() if only is None else parsing.words("--only", only),
        peers=() if peer is None else parsing.words("--peer", peer, tuple(methods.of(benchmark))),
        noise=_DEFAULT.noise if noise is None else _noise(_only_formulas("--noise", noise, benchmark)),
        jobs=_DEFAULT.jobs
        if jobs is None
        else parsing.whole("--jobs", _only_formulas("--jobs", jobs, benchmark), 1, _MAX_JOBS),
    )
    folder = parsing.folder("--out", out, os.path.join("out", f"bench-{name}"))
    return _Bench(name, settings, folder, resume, as_json, quiet).run


def _seeds(text: str) -> tuple[int, ...]:
    seeds = tuple(parsing.whole("--seed", part, 0, _MAX_SEED) for part in text.split(","))
    if len(set(seeds)) < len(seeds):
        raise OptionError(f"--seed {parsing.quoted(text)} has a seed twice; write each once, as in 0,1,2")
    return seeds


def _only_formulas(option: str, text: str, benchmark: Benchmark) -> str:
    if not benchmark.formulas:
        raise OptionError(f"{option} is for the benchmarks {_FORMULAS}, not for {benchmark.name}; leave it out")
    return text


def _noise(text: str) -> tuple[float, ...]:
    found = []
    for part in text.split(","):
        try:
            share = float(part)
        except ValueError:
            share = math.nan
        if not 0 <= share <= 1:
            raise OptionError(
                f"--noise is {parsing.quoted(text)} and must be shares of the target's spread from 0 to 1, "
                "as in 0,0.001,0.01"
            )
        found.append(share)
    if len(set(found)) < len(found):
        raise OptionError(f"--noise {parsing.quoted(text)} has a level twice; write each once")
    return tuple(found)


@dataclass(frozen=True)
class _Bench:
    """One run of ``python -m benchmarks``, its options checked."""

    name: str
    settings: Settings
    folder: Path
    resume: bool
    as_json: bool
    quiet: bool

    def run(self) -> None:
        parallel.one_thread()
        from benchmarks.harness import suite
        from superpose.files.json_numbers import json_ready

        with console.progress(self.quiet, "loading") as progress:
            store = suite.run(self.name, self.settings, self.folder, resume=self.resume, listener=progress.listener)
        if self.as_json:
            document: dict[str, Any] = store.document() | {"out": str(self.folder)}
            print(json.dumps(json_ready(document), allow_nan=False))
            return
        for line in suite.of(self.name).lines(store):
            print(line)
        if store.interrupted:
            print("interrupted: these are the results so far; --resume goes on from them")
        print(f"written to {self.folder}; begin with {self.folder / 'results.md'}")
