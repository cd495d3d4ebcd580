"""The peers from scikit-learn, interpret and tabpfn, with the preprocessing that each of them needs.

Inputs and targets are standardised for all methods whose result depends on units. Settings are those of the packages,
except where a comment says why not. Every fit stops at its deadline with what it has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from superpose.data.tables import FloatArray
from superpose.tasks.comparison.fitted import Fits, FittedMethod, Standardiser, TrainingRows


@dataclass(frozen=True)
class PeerSettings:
    """Settings of the peers that are not their packages' own.

    Attributes:
        penalties: of ridge regression, decades of the sum of squares: leave-one-out chooses among them.
        trees: of the forest. 200 err less than scikit-learn's 100 at twice the time.
        histogram_rows: with more training rows boosting works on histograms; scikit-learn's guide names 10,000 rows as
            where that is faster by orders of magnitude.
        block: trees between two looks at the clock.
    """

    penalties: tuple[float, ...] = tuple(float(value) for value in np.logspace(-4, 6, 41))
    trees: int = 200
    histogram_rows: int = 10_000
    block: int = 20


SETTINGS = PeerSettings()


def constant(rows: TrainingRows) -> Fits:
    """The mean of the target, or the class of most rows."""
    if rows.classes:
        counts = np.bincount(rows.y.astype(int), minlength=len(rows.classes))
        return {"majority": FittedMethod(lambda x: np.full(len(x), float(counts.argmax())), 1)}
    mean = float(rows.y.mean())
    return {"mean": FittedMethod(lambda x: np.full(len(x), mean), 1)}


def line(rows: TrainingRows) -> Fits:
    """Least squares."""
    from sklearn.linear_model import LinearRegression

    fitted = _standardised(rows, LinearRegression())
    return {"line": FittedMethod(fitted, rows.x.shape[1] + 1)}


def ridge(rows: TrainingRows) -> Fits:
    """Ridge regression, its penalty chosen by leave-one-out."""
    from sklearn.linear_model import RidgeCV

    fitted = _standardised(rows, RidgeCV(SETTINGS.penalties))
    return {"ridge": FittedMethod(fitted, rows.x.shape[1] + 1)}


def logistic(rows: TrainingRows) -> Fits:
    """Logistic regression."""
    from sklearn.linear_model import LogisticRegression

    fitted = _standardised(rows, LogisticRegression(max_iter=1000))  # 100 steps do not always converge
    scores = 1 if len(np.unique(rows.y)) == 2 else len(np.unique(rows.y))
    return {"logistic": FittedMethod(fitted, scores * (rows.x.shape[1] + 1))}


def boosting(rows: TrainingRows) -> Fits:
    """Gradient boosting of trees."""
    from sklearn import ensemble

    kind = "Classifier" if rows.classes else "Regressor"
    if len(rows.y) > SETTINGS.histogram_rows:
        model = getattr(ensemble, f"HistGradientBoosting{kind}")(random_state=rows.seed, warm_start=True)
        note = _grown(model, rows, "max_iter", model.max_iter)
        # A leaf has a value, and every other node a threshold.
        size = sum(len(tree.nodes) for stage in model._predictors for tree in stage)
        return {"boosting": FittedMethod(model.predict, size, note)}
    model = getattr(ensemble, f"GradientBoosting{kind}")(random_state=rows.seed)
    model.fit(rows.x, rows.y, monitor=lambda *state: rows.deadline.passed())
    size = sum(tree.tree_.node_count for tree in model.estimators_.flat)
    done = len(model.estimators_)
    return {"boosting": FittedMethod(model.predict, size, _stopped(done, model.n_estimators, "trees"))}


def forest(rows: TrainingRows) -> Fits:
    """A random forest."""
    from sklearn import ensemble

    kind = "Classifier" if rows.classes else "Regressor"
    model = getattr(ensemble, f"RandomForest{kind}")(random_state=rows.seed, warm_start=True)
    note = _grown(model, rows, "n_estimators", SETTINGS.trees)
    # A leaf has a value, or a share for each class but one; every other node has a threshold.
    values = max(1, len(np.unique(rows.y)) - 1) if rows.classes else 1
    trees = [tree.tree_ for tree in model.estimators_]
    size = sum(tree.node_count - tree.n_leaves + values * tree.n_leaves for tree in trees)
    return {"forest": FittedMethod(model.predict, size, note)}


def ebm(rows: TrainingRows) -> Fits:
    """An explainable boosting machine (interpret): a sum of functions of single columns and of pairs."""
    from interpret import glassbox

    made = glassbox.ExplainableBoostingClassifier if rows.classes else glassbox.ExplainableBoostingRegressor
    model = made(random_state=rows.seed, n_jobs=1, callback=lambda *state: rows.deadline.passed())
    model.fit(rows.x, rows.y)
    size = sum(np.size(scores) for scores in model.term_scores_) + np.size(model.intercept_)
    note = "stopped by the time limit" if rows.deadline.passed() else ""
    return {"ebm": FittedMethod(model.predict, int(size), note)}


def tabpfn(rows: TrainingRows) -> Fits:
    """TabPFN, a network that was trained on many tables beforehand; nothing is fitted."""
    import tabpfn as package

    made = package.TabPFNClassifier if rows.classes else package.TabPFNRegressor
    model = made(random_state=rows.seed)
    model.fit(rows.x, rows.y)
    return {"tabpfn": FittedMethod(model.predict, None)}


def _standardised(rows: TrainingRows, model: Any) -> Callable[[FloatArray], FloatArray]:
    """Fit a model to standardised inputs and targets; its predictions in the user's units."""
    inputs, outputs = Standardiser.of(rows.x), Standardiser.of_target(rows)
    model.fit(inputs.apply(rows.x), outputs.apply(rows.y))
    return lambda new: outputs.undo(model.predict(inputs.apply(new)))


def _grown(model: Any, rows: TrainingRows, option: str, most: int) -> str:
    """Fit an ensemble, a few trees at a time, until the deadline; what a reader must know of it."""
    done = 0
    while done < most:
        done = min(done + SETTINGS.block, most)
        model.set_params(**{option: done})
        model.fit(rows.x, rows.y)
        if rows.deadline.passed():
            break
    return _stopped(done, most, "trees")


def _stopped(done: int, wanted: int, what: str) -> str:
    return f"stopped by the time limit after {done} of {wanted} {what}" if done < wanted else ""
