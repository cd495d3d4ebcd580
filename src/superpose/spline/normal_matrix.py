"""``J^T J`` of spline edges by the compiled kernels. There is no plain twin here: where there are no kernels,
:mod:`superpose.optim.normal_equations` writes the Jacobian out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from superpose.spline import backend, reference

# Numbers in a record: degree + 1 spline rows, spares, the base function, and which row is the first.
RECORD = 8


@dataclass(frozen=True)
class Edges:
    """The spline edges of one layer as columns of a Jacobian; made by :meth:`Kernels.edges`.

    Attributes:
        records: ``[I, B, 8]``, what is not zero at each sample; see ``Records`` in ``csrc/kernels.hpp``.
        sensitivities: ``[O, n_out, B]``.
        inputs: ``[E]``, the input of each edge.
        outputs: ``[E]``, the output of each edge.
        rows: parameters of an edge.
        start: column of the first edge's first one.
        degree: of the splines.
        base: whether the last row is a base function.
    """

    records: Tensor
    sensitivities: Tensor
    inputs: Tensor
    outputs: Tensor
    rows: int
    start: int
    degree: int
    base: bool

    def _described(self) -> tuple[Any, ...]:
        tensors = (self.records, self.sensitivities, self.inputs, self.outputs)
        return *(t.data_ptr() for t in tensors), len(self.inputs), self.rows, self.start, self.degree, self.base


class Kernels:
    """The compiled kernels for one dtype; see :func:`kernels`."""

    def __init__(self, compiled: Any, kind: int) -> None:
        self._compiled, self._kind = compiled, kind

    def edges(
        self,
        knots: Tensor,
        degree: int,
        base: str,
        x: Tensor,
        inputs: Tensor,
        outputs: Tensor,
        sensitivity: Tensor,
        start: int,
    ) -> Edges:
        """One layer's edges at samples ``x [B, I]``.

        Args:
            knots, degree, base: of the layer.
            x: ``[B, I]``.
            inputs, outputs: ``[E]`` indices; edge ``e`` leads from ``inputs[e]`` to ``outputs[e]``.
            sensitivity: ``[n_out, O, B]``, how the network's outputs move with the layer's.
            start: column of the first edge's first row.
        """
        return Edges(
            self.records(knots, degree, base, x),
            sensitivity.transpose(0, 1).contiguous(),
            inputs.contiguous(),
            outputs.contiguous(),
            reference.row_count(knots, degree, base),
            start,
            degree,
            base != "none",
        )

    def records(self, knots: Tensor, degree: int, base: str, x: Tensor, order: int = 0) -> Tensor:
        """What is not zero at samples ``x [B, I]``, or its derivative of some order: ``[I, B, 8]``."""
        x, knots = x.contiguous(), knots.contiguous()
        records = x.new_empty((x.shape[1], x.shape[0], RECORD))
        intervals, code = knots.shape[1] - 2 * degree - 1, backend.BASES[base]
        addresses = (x.data_ptr(), knots.data_ptr(), records.data_ptr())
        self._compiled.records(self._kind, *addresses, *x.shape, intervals, degree, code, order)
        return records

    def own_edges(self, layer: tuple[Tensor, int, str], records: Tensor, start: int) -> Edges:
        """Edges that have records of their own ``[E, B, 8]`` instead of their input's and a sensitivity."""
        knots, degree, base = layer
        count, samples = records.shape[:2]
        return Edges(
            records.contiguous(),
            records.new_ones((1, 1, samples)),
            torch.arange(count),
            torch.zeros(count, dtype=torch.long),
            reference.row_count(knots, degree, base),
            start,
            degree,
            base != "none",
        )

    def add(self, matrix: Tensor, left: Edges, right: Edges) -> None:
        """Write the blocks of a pair of layers, or of a layer with itself, into a contiguous ``matrix [P, P]``."""
        outputs, samples = left.sensitivities.shape[1:]
        self._compiled.normal_matrix(
            self._kind,
            left._described(),
            right._described(),
            left is right,
            matrix.data_ptr(),
            matrix.shape[0],
            samples,
            outputs,
            torch.get_num_threads(),
        )


def kernels(x: Tensor, degrees: Sequence[int]) -> Kernels | None:
    """The kernels that serve samples like ``x`` and layers of these degrees, or None if there are none."""
    compiled = backend.compiled()
    kind = backend.KINDS.get(x.dtype)
    if compiled is None or kind is None or not x.is_cpu or not all(1 <= degree <= 5 for degree in degrees):
        return None
    return Kernels(compiled, kind)
