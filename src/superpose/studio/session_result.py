"""A state of a session as the result of a run, so that the report of runs can be written of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from superpose.data import Dataset
from superpose.formulas.expressions.formula import Formula
from superpose.nn.model import KAN
from superpose.nn.rows import values_at
from superpose.short_repr import brief
from superpose.stopping import StopReason
from superpose.tasks.classification.networks import confusion_counts, observed_classes
from superpose.tasks.regression.metrics import of_network
from superpose.tasks.result import TaskResult
from superpose.train.history import History


@dataclass
class SessionResult(TaskResult):
    """What :meth:`superpose.studio.Session.result` returns."""

    __repr__ = brief

    @property
    def front(self) -> list[Formula]:
        """The formula alone: by hand there are no others."""
        return [] if self.formula is None else [self.formula]


def result_of(model: KAN, data: Dataset, formula: Formula) -> SessionResult:
    """A network as a result, with its formula where all of its edges are symbolic."""
    # The training rows of several steps are no one history.
    history = History(stop=StopReason.NOT_RUN)
    whole = None if formula.splines else formula
    facts = of_network(data, model, history) | {"shape": model.shape, "parameters": model.parameter_count()}
    if model.head is not None:
        # Scores have no errors of their own.
        facts = {name: value for name, value in facts.items() if not name.startswith(("network_r", "target_s"))}
        facts |= _of_classes(model, data, whole)
    elif whole is not None:
        split = data.evaluation_split
        facts |= {
            "formula": str(whole),
            "formula_rmse": whole.rmse(data, split),
            "formula_r2": whole.r2(data, split),
            "formula_complexity": whole.complexity,
            "constants": whole.constants(data),
        }
    return SessionResult(model, None if whole is None else model, whole, history, data, facts)


@torch.no_grad()
def confusion(model: KAN, data: Dataset) -> torch.Tensor:
    """``[K, K]`` rows of each class (first index) for which a classifier says each class, where errors are reported."""
    head = model.head
    assert head is not None
    rows = data.index(data.evaluation_split)
    seen, told = observed_classes(head, data.y[rows]), head.indices(values_at(model, data, rows).double().cpu())
    return confusion_counts(seen, told, len(head.classes))


@torch.no_grad()
def _of_classes(model: KAN, data: Dataset, formula: Formula | None) -> dict[str, Any]:
    """Shares and counts of classes on the rows that errors are reported on; the formula is the network."""
    head = model.head
    assert head is not None
    rows = data.index(data.evaluation_split)
    counts = confusion(model, data)
    known = observed_classes(head, data.y)
    most = int(torch.bincount(known[data.train], minlength=len(head.classes)).argmax())
    entropy = float(head(values_at(model, data, rows).double().cpu(), data.y[rows]))
    own = {"accuracy": float(counts.diagonal().sum()) / len(rows), "cross_entropy": entropy}
    found: dict[str, Any] = {f"network_{name}": value for name, value in own.items()}
    if formula is not None:
        found |= {f"formula_{name}": value for name, value in own.items()}
        found["formula"] = head.describe(formula.short())
    return found | {
        "target": [head.name],
        "classes": list(head.classes),
        "head": head.kind,
        "majority_class": head.classes[most],
        "majority_accuracy": float((known[rows] == most).double().mean()),
        "confusion": counts.tolist(),
        "boundaries": [],
    }
