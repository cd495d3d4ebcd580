"""Edges of the form ``c * f(a * x + b) + d`` with a symbolic function ``f``: the symbolic part of a layer."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from superpose.nn.symbolic_functions import find

# Names of an edge's constants in ``c * f(a * x + b) + d``, in the order of the columns of ``SymbolicEdges.constants``.
CONSTANTS = "abcd"


class SymbolicEdges(nn.Module):
    """The edges of one layer that are symbolic: ``y_o = sum c * f(a * x_i + b) + d`` over those edges.

    ``constants [E, 4]`` holds ``a, b, c, d`` of each edge and is a parameter; which function stands on which edge
    (``edges``), and which of its constants are not trained (``frozen``, such as ``"ab"``), is structure and changes
    only by making another module.
    """

    constants: nn.Parameter
    held: Tensor

    def __init__(
        self,
        edges: Mapping[tuple[int, int], str],
        constants: Tensor,
        frozen: Mapping[tuple[int, int], str] | None = None,
    ) -> None:
        super().__init__()
        self.edges = tuple(edges)
        self.names = dict(edges)
        self.functions = tuple(find(name) for name in edges.values())
        self.constants = nn.Parameter(constants.detach().clone().reshape(len(self.edges), 4))
        self.frozen = {edge: letters for edge, letters in (frozen or {}).items() if letters and edge in self.names}
        held = [[letter in self.frozen.get(edge, "") for letter in CONSTANTS] for edge in self.edges]
        self.register_buffer("held", torch.tensor(held, device=constants.device).reshape(-1, 4), persistent=False)

    def of(self, i: int, o: int) -> tuple[float, float, float, float]:
        """The constants ``a, b, c, d`` of edge ``i -> o``."""
        a, b, c, d = self.constants[self.edges.index((i, o))].tolist()
        return a, b, c, d

    def curve(self, index: int, x: Tensor) -> Tensor:
        """Values of the ``index``-th symbolic edge at ``x``, any shape."""
        constants = self.constants[index]
        if self.edges[index] in self.frozen:
            constants = torch.where(self.held[index], constants.detach(), constants)
        a, b, c, d = constants
        value: Tensor = c * self.functions[index].evaluate(a * x + b) + d
        return value

    def forward(self, x: Tensor, outputs: int) -> Tensor:
        """``[B, I] -> [B, O]``."""
        columns: list[list[Tensor]] = [[] for _ in range(outputs)]
        for index, (i, o) in enumerate(self.edges):
            columns[o].append(self.curve(index, x[:, i]))
        zero = x.new_zeros(x.shape[0])
        return torch.stack([functools.reduce(torch.add, column, zero) for column in columns], -1)

    def __deepcopy__(self, memo: dict[int, Any]) -> SymbolicEdges:
        copied = SymbolicEdges(self.names, self.constants, self.frozen)
        copied.constants.requires_grad_(self.constants.requires_grad)
        copied.train(self.training)
        memo[id(self)] = copied
        return copied
