"""The benchmarks by name. The command line loads this module before there is work to do: it imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Benchmark:
    """A benchmark's name on the command line.

    Attributes:
        name: what is typed.
        summary: a few words for ``--help``.
        module: its function ``suite(name)`` returns the :class:`~benchmarks.harness.suite.Suite`.
        formulas: whether the methods search for formulas: these benchmarks have levels of noise, several processes, and
            peers of their own.
    """

    name: str
    summary: str
    module: str
    formulas: bool = False


BENCHMARKS = {
    benchmark.name: benchmark
    for benchmark in (
        Benchmark("special", "15 special functions of two variables", "benchmarks.functions.suite"),
        Benchmark("feynman", "27 equations from the Feynman lectures", "benchmarks.functions.suite"),
        Benchmark("toy", "5 compositions of smooth functions, and error against grid size", "benchmarks.functions.toy"),
        Benchmark("poisson", "Poisson's equation on a square, two solutions", "benchmarks.pde.suite"),
        Benchmark("heat", "the heat equation on a line", "benchmarks.pde.suite"),
        Benchmark("burgers", "Burgers' equation with a sharp front", "benchmarks.pde.suite"),
        Benchmark("helmholtz", "Helmholtz's equation on a square", "benchmarks.pde.suite"),
        Benchmark("disc", "Poisson's equation on a disc and on an L", "benchmarks.pde.suite"),
        Benchmark(
            "continual", "peaks shown one after another, and errors on the earlier ones", "benchmarks.continual.suite"
        ),
        Benchmark(
            "discovery",
            "100 equations from the Feynman lectures found in tables",
            "benchmarks.discovery.suite",
            formulas=True,
        ),
        Benchmark("laws", "nine laws found in tables", "benchmarks.discovery.suite", formulas=True),
    )
}


@dataclass(frozen=True)
class Script:
    """A measurement with options of its own.

    Attributes:
        name: what is typed.
        summary: a few words for ``--help``.
        module: its function ``main(arguments)`` returns an exit code.
    """

    name: str
    summary: str
    module: str


SCRIPTS = {
    script.name: script
    for script in (
        Script("kernels", "speed and memory of layers beside other KAN libraries", "benchmarks.kernels.program"),
        Script(
            "first-light",
            "formulas from tables of 1,000 rows, and refinement to 100 intervals",
            "benchmarks.first_light",
        ),
        Script(
            "compare", "whether superpose compare names the best method, on 30 tables", "benchmarks.comparison.program"
        ),
        Script("tables", "the network beside other methods, table by table", "benchmarks.comparison.tables_program"),
        Script(
            "estimators", "the estimators for scikit-learn beside boosting and linear models", "benchmarks.estimators"
        ),
        Script("lists", "the public lists of symbolic regression, from their own few rows", "benchmarks.lists"),
        Script("catalogue", "textbook laws from 15 rows, and tables without a law", "benchmarks.textbook_laws"),
        Script("classic", "24 classic tables beside what a scientist would write", "benchmarks.classic.program"),
        Script(
            "gallery", "ten tables, what superpose says of each, and the page of them", "benchmarks.gallery.program"
        ),
        Script("odds", "whether odds between forms are honest, and the telling row decides", "benchmarks.odds"),
        Script("rows", "what can be known from how many rows", "benchmarks.rows"),
        Script("large", "tables of many rows or columns beside gradient boosting", "benchmarks.large.program"),
        Script("limits", "how well time limits are kept on such tables", "benchmarks.large.limits"),
        Script(
            "intervals",
            "whether intervals of 90% hold 90% of held-out targets, on 28 tables",
            "benchmarks.intervals.program",
        ),
        Script(
            "random",
            "200 tables made at random: exit codes, limits, never worse than the mean",
            "benchmarks.random_tables",
        ),
        Script("recurrent", "a recurrent cell with a KANLayer beside one with an MLP", "benchmarks.recurrent"),
        Script("onnx", "exported networks in onnxruntime beside an MLP of as many parameters", "benchmarks.onnx_speed"),
        Script("half", "training under autocast in bfloat16, of KAN layers and an MLP", "benchmarks.half_precision"),
        Script("units", "formulas with units of the columns and without, of few noisy rows", "benchmarks.units"),
        Script("kills", "runs that are killed at random moments, and go on with --resume", "benchmarks.kills"),
        Script(
            "sweep", "a sweep on one process, on two, on Dask and Ray, and killed at random moments", "benchmarks.sweep"
        ),
        Script("studio", "memory of the studio's server over an hour of runs", "benchmarks.studio"),
        Script("robustness", "50 random starts, and networks too large for their data", "benchmarks.robustness"),
    )
}


def install(*, formulas: bool = False) -> str:
    """The command that installs what the benchmarks need, for the root of a checkout.

    Args:
        formulas: whether the peers are wanted that search for formulas.
    """
    return f"pip install -c constraints.txt -e '.[{'discovery' if formulas else 'bench'}]'"
