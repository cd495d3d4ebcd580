"""``superpose fit``: its options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from superpose.choices import LOG_TARGET, OPTIMIZERS
from superpose.cli import file_options, form_options, knowledge_options, parsing, preparation_options, unit_options
from superpose.cli.classification_job import ClassificationJob
from superpose.cli.declarations import (
    CategoriesOption,
    DatesOption,
    FeaturesOption,
    JsonOption,
    MissingOption,
    QuietOption,
    TableArgument,
    TargetOption,
    TaskOption,
)
from superpose.cli.file_options import (
    DecimalOption,
    EncodingOption,
    ExcludeOption,
    QueryOption,
    SheetOption,
    WhereOption,
)
from superpose.cli.fit_options import (
    AllColumnsOption,
    AtOption,
    BoundOption,
    CombineOption,
    DecreasingOption,
    DegreeOption,
    EvenOption,
    FoldsOption,
    FormOption,
    GridOption,
    HeadOption,
    IncreasingOption,
    LibraryOption,
    LinearOption,
    LogTargetOption,
    LowerOption,
    NoFormulaOption,
    NoSearchOption,
    OddOption,
    OptimizerOption,
    OutOption,
    ParametersOption,
    ResumeOption,
    SeedOption,
    ShapeOption,
    SigmaOption,
    SplitOption,
    StartOption,
    TestOption,
    TestShareOption,
    TimeLimitOption,
    UnitsOption,
    UpperOption,
    WeightsOption,
)
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
    test: TestOption = None,
    test_share: TestShareOption = None,
    split: SplitOption = "random",
    cv: FoldsOption = None,
    weights: WeightsOption = None,
    sigma: SigmaOption = None,
    where: WhereOption = None,
    exclude: ExcludeOption = None,
    sheet: SheetOption = None,
    query: QueryOption = None,
    decimal: DecimalOption = None,
    encoding: EncodingOption = None,
    missing: MissingOption = None,
    categories: CategoriesOption = None,
    dates: DatesOption = None,
    out: OutOption = None,
    shape: ShapeOption = "auto",
    grid: GridOption = None,
    degree: DegreeOption = None,
    optimizer: OptimizerOption = "lm",
    time_limit: TimeLimitOption = None,
    seed: SeedOption = "0",
    no_formula: NoFormulaOption = False,
    parameters: ParametersOption = None,
    all_columns: AllColumnsOption = False,
    library: LibraryOption = None,
    log_target: LogTargetOption = "auto",
    linear: LinearOption = None,
    combine: CombineOption = None,
    units: UnitsOption = None,
    form: FormOption = None,
    bound: BoundOption = None,
    start: StartOption = None,
    no_search: NoSearchOption = False,
    increasing: IncreasingOption = None,
    decreasing: DecreasingOption = None,
    even: EvenOption = None,
    odd: OddOption = None,
    at: AtOption = None,
    lower: LowerOption = None,
    upper: UpperOption = None,
    task: TaskOption = "regression",
    head: HeadOption = None,
    resume: ResumeOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> Callable[[], None]:
    """Learn a column of TABLE from others: network, formula, pictures, report."""
    options = _network_options(shape, grid, degree, optimizer, seed)
    options |= {"formula": not no_formula, "reduce": not all_columns}
    if not target.strip():
        raise OptionError("--target is empty; name the column to be learnt")
    columns = parsing.names("--features", features)
    forms = {
        "functions": parsing.names("--library", library),
        "linear": parsing.names("--linear", linear),
        "combine": parsing.names("--combine", combine),
    }
    options |= {name: tuple(value) for name, value in forms.items() if value is not None}
    logarithm = LOG_TARGET[parsing.one_of("--log-target", log_target, tuple(LOG_TARGET))]
    if logarithm is not None:
        options["log_target"] = logarithm
    if (given_units := unit_options.units(units)) is not None:
        options["units"] = given_units
    chosen = file_options.given(where, exclude, sheet, query, decimal, encoding)
    rows = {"test": test, "test_share": test_share, "split": split, "weights": weights, "sigma": sigma}
    given = form_options.forms(form, bound, start, no_search)
    columns_known = {"increasing": increasing, "decreasing": decreasing, "even": even, "odd": odd}
    if known := knowledge_options.knowledge(columns_known, at, lower, upper):
        options["knowledge"] = known
    learner = _TASKS[parsing.one_of("--task", task, tuple(_TASKS))]
    more = {"head": head, "parameters": parameters, "time_limit": time_limit, "cv": cv, "form": given}
    options = learner.parsed(options | more)
    folder = parsing.folder("--out", out, parsing.default_folder(table, target))
    rows_given = row_options(rows) | chosen | preparation_options.columns(missing, categories, dates)
    return learner(table, target, columns, rows_given, folder, options, as_json, quiet, resume).run


def _network_options(shape: str, grid: str | None, degree: str | None, optimizer: str, seed: str) -> dict[str, Any]:
    """The options on the network as ``discover`` and ``classify`` take them."""
    made: dict[str, Any] = {
        "shape": parsing.shape(shape),
        "grid_size": None if grid is None else parsing.whole("--grid", grid, 1, _MAX_INTERVALS),
        "optimizer": parsing.one_of("--optimizer", optimizer, OPTIMIZERS),
        "seed": parsing.whole("--seed", seed, 0, _MAX_SEED),
    }
    if degree is not None:
        made["degree"] = parsing.whole("--degree", degree, 1, 5)
    return made
