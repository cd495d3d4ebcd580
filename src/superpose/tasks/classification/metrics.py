"""The metrics of a classification, ready for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from superpose.data import Split
from superpose.formulas.from_scores.one_score import ScoreFormula
from superpose.nn.likelihood import Head
from superpose.stopping import StopReason
from superpose.tasks.classification import networks
from superpose.tasks.classification.labels import ClassificationDataset, majority_class
from superpose.tasks.classification.networks import TrainedClassifier
from superpose.tasks.classification.result import Classification

if TYPE_CHECKING:
    import sympy


def metrics(
    result: Classification,
    formulas: Sequence[Sequence[ScoreFormula]],
    whole: TrainedClassifier,
    *,
    seed: int,
    stop: StopReason,
    reason: str,
    seconds: float,
) -> dict[str, Any]:
    """The content of ``metrics.json``, measured on the test rows, or on all rows if there are none.

    ``formulas`` has those of each score, the shortest description first; ``whole`` is the network of all columns.
    """
    data, head, table = result.data, result.head, result.table
    split = data.evaluation_split
    x, y = data.rows(split)
    classes = networks.observed_classes(head, y)
    predicted = head.indices(result.scores(x, "network"))
    confusion = networks.confusion_counts(classes, predicted, len(head.classes))
    has_formula = result.formula is not None
    majority = majority_class(table)
    return {
        "task": "classification",
        "target": [table.target],
        "features": list(table.data.feature_names),
        "features_used": list(data.feature_names),
        "classes": list(head.classes),
        "head": head.kind,
        "head_scale": head.scale,
        "formula": result.describe() if has_formula else None,
        "formula_accuracy": result.accuracy(split, of="formula") if has_formula else None,
        "formula_cross_entropy": result.cross_entropy(split, of="formula") if has_formula else None,
        "formula_complexity": result.formula.complexity if result.formula is not None else None,
        **_front(result, x, y),
        "boundaries": boundaries(head, formulas, table),
        "network_accuracy": result.accuracy(split),
        "network_cross_entropy": result.cross_entropy(split),
        "network_shape": result.network.widths,
        "network_parameters": result.network.parameter_count(),
        "all_columns_accuracy": _accuracy(whole, split),
        "all_columns_parameters": whole.model.parameter_count(),
        "majority_class": head.classes[majority],
        "majority_accuracy": float((classes == majority).double().mean()),
        "confusion": confusion.tolist(),
        "shape": result.network.widths,
        "parameters": result.network.parameter_count(),
        "grids": result.history.grids,
        "rows": {name: len(getattr(data, name)) for name in ("train", "validation", "test")},
        "formulas": [
            {
                "class": head.classes[k] if head.kind == "softmax" else None,
                "formula": str(one.score),
                "complexity": one.complexity,
                "deviance": one.deviance,
            }
            for k, found in enumerate(formulas)
            for one in found[:10]
        ],
        "seed": seed,
        "reason": reason,
        "training": result.history.reason,
        "stop": stop.value,
        "interrupted": stop is StopReason.INTERRUPTED,
        "seconds": seconds,
    }


@torch.no_grad()
def _front(result: Classification, x: Tensor, y: Tensor) -> dict[str, Any]:
    """The Pareto front with its errors on the held-out rows, and the reason of the recommendation."""
    head, rows = result.head, []
    for one in result.front:
        scores = one.torch(x)
        rows.append(
            {
                "formula": one.short()[0],
                "complexity": one.complexity,
                "cross_entropy": float(head(scores, y)),
                "accuracy": float((head.indices(scores) == networks.observed_classes(head, y)).double().mean()),
                "recommended": one is result.formula,
            }
        )
    why = "recommended for its likelihood and its size together, where a function costs more than a power"
    return {"front": rows, "recommendation": None if result.formula is None else why}


@torch.no_grad()
def _accuracy(trained: TrainedClassifier, split: Split) -> float:
    x, y = trained.data.rows(split)
    return float((trained.head.indices(trained.model(x)) == networks.observed_classes(trained.head, y)).double().mean())


def boundaries(
    head: Head, formulas: Sequence[Sequence[ScoreFormula]], table: ClassificationDataset
) -> list[dict[str, Any]]:
    """Decision boundaries as ``expression = 0``; for a Gaussian head, where the second class is most probable."""
    if head.kind == "ordinal":
        return []
    reference = head.classes[majority_class(table)] if head.kind == "softmax" else head.classes[0]
    found = []
    for k, one in enumerate(formulas):
        # Between two classes whose scores are constants there is no boundary.
        if one and one[0].expression.free_symbols:
            name = head.classes[k] if head.kind == "softmax" else head.classes[1]
            sign: sympy.Expr = one[0].expression
            found.append({"between": [reference, name], "equation": f"{sign} = 0"})
    return found
