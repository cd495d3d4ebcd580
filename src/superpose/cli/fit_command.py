"""``superpose fit``: its options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from superpose.choices import HEADS, OPTIMIZERS
from superpose.cli import form_options, parsing
from superpose.cli.classification_job import ClassificationJob
from superpose.cli.declarations import FeaturesOption, TableArgument, TargetOption, TaskOption
from superpose.cli.job import Job, row_options
from superpose.cli.regression_job import RegressionJob
from superpose.errors import OptionError

_TASKS: dict[str, type[Job]] = {"regression": RegressionJob, "classification": ClassificationJob}
# Generous limits that keep a slip of the finger from asking for all of the memory.
_MAX_INTERVALS = 1000
_MAX_SEED = 2**63 - 1


def command(
    table: TableArgument,
    target: TargetOption,
    features: FeaturesOption = None,
    test: Annotated[
        str | None,
        typer.Option("--test", metavar="FILE", help="A table of its own with the same columns, for the test."),
    ] = None,
    test_share: Annotated[
        str | None,
        typer.Option(
            "--test-share",
            metavar="SHARE",
            help="The share of the rows that is held out for the test; 0.15 from 500 rows on if left out, else none.",
        ),
    ] = None,
    split: Annotated[
        str,
        typer.Option(
            "--split",
            metavar="random|time:COLUMN|group:COLUMN",
            help="How rows are held out: at random, the last ones in time, or whole groups.",
        ),
    ] = "random",
    cv: Annotated[
        str | None,
        typer.Option("--cv", metavar="K", help="Folds of the cross-validation that estimates errors."),
    ] = None,
    weights: Annotated[
        str | None, typer.Option("--weights", metavar="COLUMN", help="How much each row counts; no feature then.")
    ] = None,
    sigma: Annotated[
        str | None,
        typer.Option("--sigma", metavar="COLUMN", help="The error bar of each row; it counts 1 / sigma^2 then."),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="DIR", help="Where to write; out/TABLE-TARGET if left out."),
    ] = None,
    shape: Annotated[
        str,
        typer.Option(
            "--shape",
            metavar="auto|5,1",
            help="Nodes of each layer after the inputs: 5,1 is 5 hidden nodes and 1 output; 3+p2,1 has 3 hidden sums "
            "and a product of 2.",
        ),
    ] = "auto",
    grid: Annotated[
        str | None,
        typer.Option("--grid", metavar="N", help="Grid intervals; searched for if left out."),
    ] = None,
    degree: Annotated[
        str | None,
        typer.Option("--degree", metavar="K", help="Degree of the splines, 1 to 5; 3, or with --no-formula chosen."),
    ] = None,
    optimizer: Annotated[str, typer.Option("--optimizer", metavar="lm|lbfgs|adamw", help="How to train.")] = "lm",
    time_limit: Annotated[
        str | None,
        typer.Option("--time-limit", metavar="SECONDS", help="For the whole command."),
    ] = None,
    seed: Annotated[str, typer.Option("--seed", metavar="N", help="Of every random choice.")] = "0",
    no_formula: Annotated[bool, typer.Option("--no-formula", help="Train the network only.")] = False,
    parameters: Annotated[
        str | None,
        typer.Option("--parameters", metavar="N", help="Most constants of a network without a formula."),
    ] = None,
    all_columns: Annotated[
        bool, typer.Option("--all-columns", help="Use all columns of a wide table, also those without influence.")
    ] = False,
    library: Annotated[
        list[str] | None,
        typer.Option("--library", metavar="sin,x^2", help="The functions that a formula may hold; any if left out."),
    ] = None,
    linear: Annotated[
        list[str] | None,
        typer.Option("--linear", metavar="A,B", help="Columns that enter linearly."),
    ] = None,
    combine: Annotated[
        list[str] | None,
        typer.Option("--combine", metavar="A/B,C-D", help="Pairs of columns that enter as one: A+B, A-B, A*B or A/B."),
    ] = None,
    form: Annotated[
        list[str] | None,
        typer.Option(
            "--form",
            metavar="TEXT",
            help="A law whose constants are fitted, such as 'V*conc/(K + conc)': names that are no columns are "
            "constants. Given several times, the forms are compared.",
        ),
    ] = None,
    bound: Annotated[
        list[str] | None,
        typer.Option("--bound", metavar="K=0..1", help="The least and largest value of a constant of the form."),
    ] = None,
    start: Annotated[
        list[str] | None,
        typer.Option("--start", metavar="K=0.1", help="A value of a constant of the form to begin at."),
    ] = None,
    no_search: Annotated[
        bool, typer.Option("--no-search", help="Fit the form only; search for no other formula to compare with.")
    ] = False,
    task: TaskOption = "regression",
    head: Annotated[
        str | None,
        typer.Option(
            "--head",
            metavar="|".join(("auto", *HEADS)),
            help="How the scores of a classifier are read; chosen from the labels if left out.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run that was stopped, with the same table and options.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> Callable[[], None]:
    """Learn a column of TABLE from others: network, formula, pictures, report."""
    options: dict[str, Any] = {
        "shape": parsing.shape(shape),
        "grid_size": None if grid is None else parsing.whole("--grid", grid, 1, _MAX_INTERVALS),
        "optimizer": parsing.one_of("--optimizer", optimizer, OPTIMIZERS),
        "seed": parsing.whole("--seed", seed, 0, _MAX_SEED),
        "formula": not no_formula,
        "reduce": not all_columns,
    }
    if degree is not None:
        options["degree"] = parsing.whole("--degree", degree, 1, 5)
    if not target.strip():
        raise OptionError("--target is empty; name the column to be learnt")
    columns = parsing.names("--features", features)
    forms = {
        "functions": parsing.names("--library", library),
        "linear": parsing.names("--linear", linear),
        "combine": parsing.names("--combine", combine),
    }
    options |= {name: tuple(value) for name, value in forms.items() if value is not None}
    rows = {"test": test, "test_share": test_share, "split": split, "weights": weights, "sigma": sigma}
    given = form_options.forms(form, bound, start, no_search)
    learner = _TASKS[parsing.one_of("--task", task, tuple(_TASKS))]
    more = {"head": head, "parameters": parameters, "time_limit": time_limit, "cv": cv, "form": given}
    options = learner.parsed(options | more)
    folder = parsing.folder("--out", out, parsing.default_folder(table, target))
    return learner(table, target, columns, row_options(rows), folder, options, as_json, quiet, resume).run
