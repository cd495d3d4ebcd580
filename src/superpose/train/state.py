"""Parameters and grids of a model, to come back to."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from superpose.nn.layer import KANLayer
from superpose.nn.model import KAN
from superpose.optim.smoothness import Edge
from superpose.train.history import Record


@dataclass(frozen=True)
class State:
    """Parameters and grids of a model, to come back to."""

    layers: tuple[dict[str, Tensor | None], ...]

    @staticmethod
    def of(model: KAN) -> State:
        def saved(layer: KANLayer) -> dict[str, Tensor | None]:
            return {
                "knots": layer.knots.detach().clone(),
                "coefficients": layer.coefficients.detach().clone(),
                "constants": None if layer.symbolic is None else layer.symbolic.constants.detach().clone(),
            }

        return State(tuple(saved(layer) for layer in model.kan_layers()))

    @torch.no_grad()
    def restore(self, model: KAN) -> None:
        for layer, kept in zip(model.kan_layers(), self.layers, strict=True):
            knots, coefficients = kept["knots"], kept["coefficients"]
            assert knots is not None and coefficients is not None
            layer.knots = knots.clone()
            if layer.coefficients.shape == coefficients.shape:
                layer.coefficients.copy_(coefficients)
            else:
                wanted = layer.coefficients.requires_grad
                layer.coefficients = torch.nn.Parameter(coefficients.clone(), requires_grad=wanted)
            if layer.symbolic is not None and kept["constants"] is not None:
                layer.symbolic.constants.copy_(kept["constants"])


@dataclass(frozen=True)
class RunState:
    """All that a training depends on after its start, to go on from it.

    Attributes:
        present: parameters and grids.
        error: the least validation error so far, in scaled units.
        best: the state that has it.
        records: of the history.
        strengths: how smooth each edge is to be.
        notes: of the history.
        steps: that the budget has counted.
        visited: whether a grid was trained on.
    """

    present: State
    error: float
    best: State
    records: list[Record]
    strengths: dict[Edge, float]
    notes: list[str]
    steps: int
    visited: bool
