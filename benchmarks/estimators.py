"""The estimators for scikit-learn beside gradient boosting and linear models: 5-fold scores on four tables.

    OMP_NUM_THREADS=1 python -m benchmarks estimators --out rows.jsonl

R² for numbers (diabetes; Friedman's first function, 500 rows of 10 columns with noise of 1), accuracy for classes
(breast cancer, wine). All methods get the same folds. Linear models get standardised columns and choose the penalty by
themselves; the others have their defaults.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

FOLDS, SEED = 5, 0


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


def main(arguments: Sequence[str]) -> int:
    """Measure, print a table, and add a row for each method and table to a file."""
    from sklearn.base import clone
    from sklearn.model_selection import KFold, StratifiedKFold

    parser = argparse.ArgumentParser(prog="python -m benchmarks estimators", description=__doc__)
    parser.add_argument("--out", type=Path, help="a file of JSON lines to append to")
    parser.add_argument("--only", nargs="*", default=[], help="tables or methods whose name begins so")
    options = parser.parse_args(list(arguments))
    for table, (x, y) in tables().items():
        classes = table in ("breast cancer", "wine")
        splitter = (StratifiedKFold if classes else KFold)(FOLDS, shuffle=True, random_state=SEED)
        for name, method in methods(classes=classes).items():
            if options.only and not any(one.startswith(tuple(options.only)) for one in (table, name)):
                continue
            scores, began = [], time.process_time()
            for train, test in splitter.split(x, y):
                scores.append(float(clone(method).fit(x[train], y[train]).score(x[test], y[test])))
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
