"""The declarations of the options of ``superpose fit``."""

from __future__ import annotations

from typing import Annotated

import typer

from superpose.choices import HEADS

TestOption = Annotated[
    str | None,
    typer.Option("--test", metavar="FILE", help="A table of its own with the same columns, for the test."),
]
TestShareOption = Annotated[
    str | None,
    typer.Option(
        "--test-share",
        metavar="SHARE",
        help="The share of the rows that is held out for the test; 0.15 from 500 rows on if left out, else none.",
    ),
]
SplitOption = Annotated[
    str,
    typer.Option(
        "--split",
        metavar="random|time:COLUMN|group:COLUMN",
        help="How rows are held out: at random, the last ones in time, or whole groups.",
    ),
]
FoldsOption = Annotated[
    str | None,
    typer.Option("--cv", metavar="K", help="Folds of the cross-validation that estimates errors."),
]
WeightsOption = Annotated[
    str | None, typer.Option("--weights", metavar="COLUMN", help="How much each row counts; no feature then.")
]
SigmaOption = Annotated[
    str | None,
    typer.Option("--sigma", metavar="COLUMN", help="The error bar of each row; it counts 1 / sigma^2 then."),
]
OutOption = Annotated[
    str | None,
    typer.Option("--out", metavar="DIR", help="Where to write; out/TABLE-TARGET if left out."),
]
ShapeOption = Annotated[
    str,
    typer.Option(
        "--shape",
        metavar="auto|5,1",
        help="Nodes of each layer after the inputs: 5,1 is 5 hidden nodes and 1 output; 3+p2,1 has 3 hidden sums "
        "and a product of 2.",
    ),
]
GridOption = Annotated[
    str | None,
    typer.Option("--grid", metavar="N", help="Grid intervals; searched for if left out."),
]
DegreeOption = Annotated[
    str | None,
    typer.Option("--degree", metavar="K", help="Degree of the splines, 1 to 5; 3, or with --no-formula chosen."),
]
OptimizerOption = Annotated[str, typer.Option("--optimizer", metavar="lm|lbfgs|adamw", help="How to train.")]
TimeLimitOption = Annotated[
    str | None,
    typer.Option("--time-limit", metavar="SECONDS", help="For the whole command."),
]
SeedOption = Annotated[str, typer.Option("--seed", metavar="N", help="Of every random choice.")]
NoFormulaOption = Annotated[bool, typer.Option("--no-formula", help="Train the network only.")]
ParametersOption = Annotated[
    str | None,
    typer.Option("--parameters", metavar="N", help="Most constants of a network without a formula."),
]
AllColumnsOption = Annotated[
    bool, typer.Option("--all-columns", help="Use all columns of a wide table, also those without influence.")
]
LibraryOption = Annotated[
    list[str] | None,
    typer.Option("--library", metavar="sin,x^2", help="The functions that a formula may hold; any if left out."),
]
LogTargetOption = Annotated[
    str,
    typer.Option("--log-target", metavar="auto|yes|no", help="Whether the logarithm of a positive target is fitted."),
]
LinearOption = Annotated[
    list[str] | None,
    typer.Option("--linear", metavar="A,B", help="Columns that enter linearly."),
]
CombineOption = Annotated[
    list[str] | None,
    typer.Option("--combine", metavar="A/B,C-D", help="Pairs of columns that enter as one: A+B, A-B, A*B or A/B."),
]
UnitsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--units",
        metavar="m=kg,v=m/s",
        help="Units of columns and of the target, 1 for numbers; or names, if they stand in brackets in the names.",
    ),
]
FormOption = Annotated[
    list[str] | None,
    typer.Option(
        "--form",
        metavar="TEXT",
        help="A law whose constants are fitted, such as 'V*conc/(K + conc)': names that are no columns are "
        "constants. Given several times, the forms are compared.",
    ),
]
BoundOption = Annotated[
    list[str] | None,
    typer.Option("--bound", metavar="K=0..1", help="The least and largest value of a constant of the form."),
]
StartOption = Annotated[
    list[str] | None,
    typer.Option("--start", metavar="K=0.1", help="A value of a constant of the form to begin at."),
]
NoSearchOption = Annotated[
    bool, typer.Option("--no-search", help="Fit the form only; search for no other formula to compare with.")
]
IncreasingOption = Annotated[
    list[str] | None,
    typer.Option("--increasing", metavar="A,B", help="Columns in which the target never falls; known beforehand."),
]
DecreasingOption = Annotated[
    list[str] | None, typer.Option("--decreasing", metavar="A,B", help="Columns in which the target never rises.")
]
EvenOption = Annotated[
    list[str] | None, typer.Option("--even", metavar="A,B", help="Columns whose sign does not change the target.")
]
OddOption = Annotated[
    list[str] | None, typer.Option("--odd", metavar="A,B", help="Columns whose sign is a factor of the target.")
]
AtOption = Annotated[
    list[str] | None,
    typer.Option(
        "--at", metavar="'A=0: 0'", help="The target's value where columns have these values; may be given often."
    ),
]
LowerOption = Annotated[str | None, typer.Option("--lower", metavar="VALUE", help="What the target never falls below.")]
UpperOption = Annotated[str | None, typer.Option("--upper", metavar="VALUE", help="What the target never exceeds.")]
HeadOption = Annotated[
    str | None,
    typer.Option(
        "--head",
        metavar="|".join(("auto", *HEADS)),
        help="How the scores of a classifier are read; chosen from the labels if left out.",
    ),
]
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Go on with a run that was stopped, with the same table and options.")
]
