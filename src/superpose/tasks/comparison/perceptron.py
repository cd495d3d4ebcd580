"""The multilayer perceptron among the peers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from superpose.tasks.comparison.fitted import Fits, FittedMethod, Standardiser, TrainingRows
from superpose.tasks.comparison.folds import plan


@dataclass(frozen=True)
class PerceptronSettings:
    """Settings of the MLP.

    Attributes:
        hidden: nodes of the hidden layer. A round number.
        penalties: on squared weights (``alpha``), of which cross-validation on the training rows chooses one. None is
            good for all tables: with 1 and 10 R² was 0.29 and 0.51 on scikit-learn's diabetes table, and 0.94 and 0.49
            on R's ethanol table (five folds, 64 nodes).
        folds: of that cross-validation.
        block: steps of L-BFGS between two looks at the clock.
        blocks: of L-BFGS at most.
        large: with more training rows it is trained by Adam in batches, with scikit-learn's own penalty.
        epochs: of Adam at most.
        patience, tolerance: so many blocks or epochs that lower the loss by less than this end the training.
    """

    hidden: int = 64
    penalties: tuple[float, ...] = (1.0, 10.0, 0.1)
    folds: int = 3
    block: int = 50
    blocks: int = 6
    large: int = 2000
    epochs: int = 200
    patience: int = 3
    tolerance: float = 1e-4


SETTINGS = PerceptronSettings()


def mlp(rows: TrainingRows) -> Fits:
    """A multilayer perceptron with one hidden layer: L-BFGS, or Adam on large tables."""
    inputs, outputs = Standardiser.of(rows.x), Standardiser.of_target(rows)
    scaled = replace(rows, x=inputs.apply(rows.x), y=outputs.apply(rows.y))
    model = _by_adam(scaled) if len(rows.y) > SETTINGS.large else _by_lbfgs(scaled, _penalty(scaled))
    size = sum(weights.size for weights in (*model.coefs_, *model.intercepts_))
    note = "stopped by the time limit" if rows.deadline.passed() else ""
    return {"mlp": FittedMethod(lambda new: outputs.undo(model.predict(inputs.apply(new))), size, note)}


def _penalty(rows: TrainingRows) -> float:
    """The penalty of the least error on folds of the training rows; the first one if the time is over."""
    best = (np.inf, SETTINGS.penalties[0])
    folds = plan(rows.y, SETTINGS.folds, rows.seed).repetitions[0]
    for penalty in SETTINGS.penalties:
        error = 0.0
        for fold in folds:
            if rows.deadline.passed():
                return best[1]
            found = _by_lbfgs(rows.chosen(fold.train), penalty).predict(rows.x[fold.test])
            apart = found != rows.y[fold.test] if rows.classes else np.square(found - rows.y[fold.test])
            error += float(apart.sum())
        best = min(best, (error, penalty))
    return best[1]


def _by_lbfgs(rows: TrainingRows, penalty: float) -> Any:
    model = _made(rows, alpha=penalty, solver="lbfgs", max_iter=SETTINGS.block, warm_start=True)
    return _trained(model, lambda: model.fit(rows.x, rows.y), rows, SETTINGS.blocks, patience=1)


def _by_adam(rows: TrainingRows) -> Any:
    model = _made(rows)
    classes = {"classes": np.unique(rows.y)} if rows.classes else {}
    step = lambda: model.partial_fit(rows.x, rows.y, **classes)  # noqa: E731
    return _trained(model, step, rows, SETTINGS.epochs, SETTINGS.patience)


def _made(rows: TrainingRows, **options: Any) -> Any:
    from sklearn import neural_network

    kind = neural_network.MLPClassifier if rows.classes else neural_network.MLPRegressor
    return kind(hidden_layer_sizes=(SETTINGS.hidden,), random_state=rows.seed, **options)


def _trained(model: Any, step: Callable[[], Any], rows: TrainingRows, most: int, patience: int) -> Any:
    """The model after steps that lower its loss, until the deadline."""
    best, since = np.inf, 0
    for _ in range(most):
        step()
        since = 0 if model.loss_ < best - SETTINGS.tolerance else since + 1
        best = min(best, model.loss_)
        if since >= patience or rows.deadline.passed():
            break
    return model
