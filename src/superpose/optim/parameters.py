"""The free constants of a KAN as one vector, in the order that least squares sees them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor

from superpose.nn.layer import KANLayer
from superpose.nn.model import KAN, Edge


@dataclass(frozen=True)
class LayerPlan:
    """Which parameters of one layer are free, in the order of the parameter vector."""

    inputs: Tensor
    outputs: Tensor
    rows: int
    symbolic: tuple[tuple[int, int], ...]

    # Whether all edges are splines: then the parameters are the coefficients in another order, and views suffice.
    whole: bool

    @property
    def splines(self) -> int:
        return len(self.inputs) * self.rows

    @property
    def size(self) -> int:
        return self.splines + 4 * len(self.symbolic)


def _plan(layer: KANLayer) -> LayerPlan:
    mask = layer.spline_mask()
    inputs, outputs = torch.nonzero(mask, as_tuple=True)
    symbolic = () if layer.symbolic is None else layer.symbolic.edges
    return LayerPlan(inputs, outputs, layer.coefficients.shape[1], symbolic, len(inputs) == mask.numel())


class Parameters:
    """The free constants of a model as one vector, and the way back."""

    def __init__(self, model: KAN) -> None:
        self.layers = model.kan_layers()
        self.plans = [_plan(layer) for layer in self.layers]
        self.starts = list(itertools.accumulate((plan.size for plan in self.plans), initial=0))
        self.size = self.starts.pop()
        self.frozen = self._frozen()

    def _frozen(self) -> Tensor:
        """Places in the vector of constants that are not to move."""
        places = [
            start + plan.splines + torch.nonzero(layer.symbolic.held.flatten())[:, 0]
            for layer, plan, start in zip(self.layers, self.plans, self.starts, strict=True)
            if layer.symbolic is not None and layer.symbolic.frozen
        ]
        return torch.cat(places) if places else torch.empty(0, dtype=torch.long)

    def hold_all_but(self, edge: Edge) -> None:
        """Let the rows of one spline edge, or the constants of one symbolic edge, move and nothing else."""
        n, i, o = edge
        plan = self.plans[n]
        if (i, o) in plan.symbolic:
            place, count = plan.splines + 4 * plan.symbolic.index((i, o)), 4
        else:
            index = int(torch.nonzero((plan.inputs == i) & (plan.outputs == o))[0, 0])
            place, count = plan.rows * index, plan.rows
        place += self.starts[n]
        self.frozen = torch.cat([torch.arange(place), torch.arange(place + count, self.size)])

    @torch.no_grad()
    def get(self) -> Tensor:
        """The parameter vector ``[P]``."""
        return self.vector()

    def vector(self) -> Tensor:
        """The parameter vector ``[P]``, through which gradients flow to the model's own tensors."""
        parts = []
        for layer, plan in zip(self.layers, self.plans, strict=True):
            rows: Tensor = layer.coefficients
            rows = rows.transpose(1, 2) if plan.whole else rows[plan.inputs, :, plan.outputs]
            parts.append(rows.reshape(-1))
            if layer.symbolic is not None:
                parts.append(layer.symbolic.constants.flatten())
        return torch.cat(parts)

    @torch.no_grad()
    def set(self, vector: Tensor) -> None:
        """Write a parameter vector back into the model."""
        start = 0
        for layer, plan in zip(self.layers, self.plans, strict=True):
            rows, free = layer.coefficients, vector[start : start + plan.splines]
            if plan.whole:
                rows.copy_(free.view(rows.shape[0], rows.shape[2], plan.rows).transpose(1, 2))
            else:
                rows[plan.inputs, :, plan.outputs] = free.view(-1, plan.rows)
            if layer.symbolic is not None:
                layer.symbolic.constants.copy_(vector[start + plan.splines : start + plan.size].view(-1, 4))
            start += plan.size
