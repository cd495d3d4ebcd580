"""The estimators for scikit-learn beside other methods: 5-fold scores on tables of numbers and on mixed ones.

    OMP_NUM_THREADS=1 python -m benchmarks estimators --out rows.jsonl

On four tables of numbers R² (diabetes; Friedman's first function, 500 rows of 10 columns with noise of 1) and accuracy
for classes (breast cancer, wine), beside gradient boosting and linear models. Linear models get standardised columns
and choose the penalty by themselves; the others have their defaults.

On tables with categories and gaps (``benchmarks/mixed_tables.py``) R² and, for classes, the area under the ROC curve,
of more than two the mean over the classes, each against the others. Networks and the explainable boosting machine
(``pip install interpret-core``) get the frames as they are, gradient boosting with columns of text as categories of
pandas. All have their defaults.

All methods get the same folds.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.mixed_tables import MIXED, MixedTable

FOLDS, SEED = 5, 0


@dataclass(frozen=True)
class Problem:
    """A table and the methods for it.

    Attributes:
        x: columns ``[N, d]``, an array or a frame.
        y: target ``[N]``.
        classes: whether it holds classes.
        methods: estimators by name.
        scoring: scikit-learn's name of the score; None for that of the estimators.
    """

    x: Any
    y: np.ndarray
    classes: bool
    methods: Mapping[str, Any]
    scoring: str | None = None

    @classmethod
    def mixed(cls, table: MixedTable) -> Problem:
        """With categories and gaps."""
        x, y = table.read(SEED)
        scoring = ("roc_auc" if len(np.unique(y)) == 2 else "roc_auc_ovr") if table.classes else "r2"
        return cls(x, y, table.classes, methods_of_mixed(x, classes=table.classes), scoring)

    def scores(self, method: Any) -> list[float]:
        """Of each fold."""
        from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score

        splitter = (StratifiedKFold if self.classes else KFold)(FOLDS, shuffle=True, random_state=SEED)
        found: list[float] = cross_val_score(
            method, self.x, self.y, cv=splitter, scoring=self.scoring, error_score="raise"
        ).tolist()
        return found


def problem(name: str) -> Problem:
    """A table by its name."""
    if name in MIXED:
        return Problem.mixed(MIXED[name])
    x, y = tables()[name]
    classes = name in ("breast cancer", "wine")
    return Problem(x, y, classes, methods(classes=classes))


NUMERIC = ("diabetes", "friedman1", "breast cancer", "wine")


def tables() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The tables by name: columns and target."""
    from sklearn import datasets

    return {
        "diabetes": datasets.load_diabetes(return_X_y=True),
        "friedman1": datasets.make_friedman1(500, noise=1.0, random_state=SEED),
        "breast cancer": datasets.load_breast_cancer(return_X_y=True),
        "wine": datasets.load_wine(return_X_y=True),
    }


def methods(*, classes: bool) -> Mapping[str, Any]:
    """The estimators by name."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.linear_model import LogisticRegressionCV, RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from superpose.sklearn import FormulaClassifier, FormulaRegressor, KANClassifier, KANRegressor

    if classes:
        return {
            "KANClassifier": KANClassifier(),
            "FormulaClassifier": FormulaClassifier(),
            "HistGradientBoosting": HistGradientBoostingClassifier(random_state=SEED),
            # 100 steps do not always converge.
            "LogisticRegressionCV": make_pipeline(
                StandardScaler(),
                LogisticRegressionCV(
                    max_iter=1000, use_legacy_attributes=False, l1_ratios=(0.0,), scoring="neg_log_loss"
                ),
            ),
        }
    return {
        "KANRegressor": KANRegressor(),
        "FormulaRegressor": FormulaRegressor(),
        "HistGradientBoosting": HistGradientBoostingRegressor(random_state=SEED),
        "RidgeCV": make_pipeline(StandardScaler(), RidgeCV(np.logspace(-4, 6, 41))),
    }


def methods_of_mixed(x: Any, *, classes: bool) -> Mapping[str, Any]:
    """The estimators for tables with categories and gaps, by name; the boosting machine where it is installed."""
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    from superpose.sklearn import KANClassifier, KANRegressor

    text = [name for name in x if not is_numeric(x[name])]
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    levels = ColumnTransformer([("levels", encoder, text)], remainder="passthrough")
    boosting = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    found: dict[str, Any] = {
        f"KAN{'Classifier' if classes else 'Regressor'}": KANClassifier() if classes else KANRegressor(),
        "HistGradientBoosting": make_pipeline(
            levels, boosting(categorical_features=list(range(len(text))), random_state=SEED)
        ),
    }
    if importlib.util.find_spec("interpret") is not None:
        from interpret import glassbox

        machine = glassbox.ExplainableBoostingClassifier if classes else glassbox.ExplainableBoostingRegressor
        found["ExplainableBoosting"] = machine(random_state=SEED, n_jobs=1)
    return found


def is_numeric(column: Any) -> bool:
    """Whether a column of a frame holds numbers."""
    return column.dtype.kind in "biuf"


def main(arguments: Sequence[str]) -> int:
    """Measure, print a table, and add a row for each method and table to a file."""
    names = (*NUMERIC, *MIXED)
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks estimators",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, help="a file of JSON lines to append to")
    parser.add_argument("--only", nargs="*", choices=names, default=names, help="tables, all by default")
    parser.add_argument("--methods", nargs="*", default=[""], help="methods whose names begin so, all by default")
    options = parser.parse_args(list(arguments))
    for table in options.only:
        given = problem(table)
        for name, method in given.methods.items():
            if not name.startswith(tuple(options.methods)):
                continue
            began = time.process_time()
            scores = given.scores(method)
            seconds = (time.process_time() - began) / FOLDS
            error = float(np.std(scores, ddof=1)) / FOLDS**0.5
            print(
                f"{table:14} {name:22} {np.mean(scores):7.4f} ± {error:.4f}  {seconds:6.1f} s of CPU a fold", flush=True
            )
            if options.out is not None:
                row = {"table": table, "method": name, "scores": scores, "cpu_seconds_per_fold": seconds}
                with options.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
    return 0
