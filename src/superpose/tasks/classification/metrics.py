"""Numbers and facts on a classification, ready for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from superpose.data import Split
from superpose.formulas.from_scores.search import ScoreFormula
from superpose.nn.head import Head
from superpose.tasks.classification import networks
from superpose.tasks.classification.labels import Labelled, usual_class
from superpose.tasks.classification.networks import Trained
from superpose.tasks.classification.result import Classification

if TYPE_CHECKING:
    import sympy


def metrics(
    result: Classification,
    formulas: Sequence[Sequence[ScoreFormula]],
    whole: Trained,
    *,
    seed: int,
    reason: str,
    interrupted: bool,
    seconds: float,
) -> dict[str, Any]:
    """All that ``metrics.json`` says, measured on the rows that were held out.

    Args:
        result: whose own metrics are not looked at.
        formulas: for each score those that were found, the cheapest first.
        whole: the network of all columns.
        seed: of the options.
        reason: why the search ended.
        interrupted: by a person.
        seconds: that it took.
    """
    data, head, labelled = result.data, result.head, result.labelled
    split: Split = "test" if len(data.test) else "all"
    x, y = data.rows(split)
    classes = networks.seen(head, y)
    confusion = torch.zeros(len(head.classes), len(head.classes), dtype=torch.long)
    predicted = head.indices(result.scores(x, "network"))
    confusion.index_put_((classes, predicted), torch.ones_like(classes), accumulate=True)
    has = result.formula is not None
    usual = usual_class(labelled)
    return {
        "task": "classification",
        "target": [labelled.target],
        "features": list(labelled.data.feature_names),
        "features_used": list(data.feature_names),
        "classes": list(head.classes),
        "head": head.kind,
        "head_scale": head.scale,
        "formula": result.says() if has else None,
        "formula_accuracy": result.accuracy(split, of="formula") if has else None,
        "formula_cross_entropy": result.cross_entropy(split, of="formula") if has else None,
        "formula_complexity": result.formula.complexity if result.formula is not None else None,
        **_front(result, x, y),
        "boundaries": boundaries(head, formulas, labelled),
        "network_accuracy": result.accuracy(split),
        "network_cross_entropy": result.cross_entropy(split),
        "network_shape": result.network.widths,
        "network_parameters": result.network.parameter_count(),
        "all_columns_accuracy": _accuracy(whole, split),
        "all_columns_parameters": whole.model.parameter_count(),
        "majority_class": head.classes[usual],
        "majority_accuracy": float((classes == usual).double().mean()),
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
        "interrupted": interrupted,
        "seconds": seconds,
    }


@torch.no_grad()
def _front(result: Classification, x: Tensor, y: Tensor) -> dict[str, Any]:
    """The front with its errors on rows that were held out, and why one formula is recommended."""
    head, rows = result.head, []
    for one in result.front:
        scores = one.torch(x)
        rows.append(
            {
                "formula": one.short()[0],
                "complexity": one.complexity,
                "cross_entropy": float(head(scores, y)),
                "accuracy": float((head.indices(scores) == networks.seen(head, y)).double().mean()),
                "recommended": one is result.formula,
            }
        )
    why = "recommended for its likelihood and its size together, where a function costs more than a power"
    return {"front": rows, "recommendation": None if result.formula is None else why}


@torch.no_grad()
def _accuracy(trained: Trained, split: Split) -> float:
    x, y = trained.data.rows(split)
    return float((trained.head.indices(trained.model(x)) == networks.seen(trained.head, y)).double().mean())


def boundaries(head: Head, formulas: Sequence[Sequence[ScoreFormula]], labelled: Labelled) -> list[dict[str, Any]]:
    """Where two classes are equally probable (on the ridge of the second, for a Gaussian), as ``expression = 0``."""
    if head.kind == "ordinal":
        return []
    usual = head.classes[usual_class(labelled)] if head.kind == "softmax" else head.classes[0]
    found = []
    for k, one in enumerate(formulas):
        # Between two classes whose scores are constants there is no boundary.
        if one and one[0].expression.free_symbols:
            name = head.classes[k] if head.kind == "softmax" else head.classes[1]
            sign: sympy.Expr = one[0].expression
            found.append({"between": [usual, name], "equation": f"{sign} = 0"})
    return found
