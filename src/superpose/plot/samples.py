"""Rows for pictures, and the activations of a model on them."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from superpose.data import Dataset
from superpose.data.arrays import feature_matrix, is_frame
from superpose.errors import DataError, OptionError, ShapeError
from superpose.nn import KAN
from superpose.nn.trace import Trace
from superpose.nn.wide_buffers import HALF

# Ranges, standard deviations and histograms of 40 bins hardly change with more rows. A round number.
_MAX_ROWS = 10_000
# Activations of the widest layer, [B, I, O]: 128 MiB in float64.
_MAX_ELEMENTS = 1 << 24


@torch.no_grad()
def traced(model: KAN, x: Tensor | Dataset | Any) -> Trace:
    """The activations of a model on samples in the user's units, on the CPU, finite rows only.

    Raises:
        OptionError: if ``model`` is no :class:`~superpose.KAN`.
        DataError: if there is no row on which the model is finite, or the samples hold no numbers or lack a column.
        ShapeError: if the samples do not have the model's number of features.
    """
    if not isinstance(model, KAN):
        raise OptionError(
            f"a picture of a network needs a KAN first, not a {type(model).__name__}; the samples come second, and "
            "what discover and classify return holds a KAN as its model"
        )
    if model.dtype in HALF:
        # NumPy, which draws, has no bfloat16.
        model = model.copy().float()
    rows = _rows(model, x)
    # The rows keep their dtype: in float32 a large offset would leave them few digits.
    rows = rows.to(model.input_center.device)
    model.scale_inputs(rows[:0])
    widest = max(layer.in_features * layer.sum_count for layer in model.kan_layers())
    most = max(2, min(_MAX_ROWS, _MAX_ELEMENTS // widest))
    if rows.shape[0] > most:
        rows = rows[torch.linspace(0, rows.shape[0] - 1, most, device=rows.device).round().long()]
    trace = model.trace(rows)
    finite = trace.output.isfinite().all(-1)
    for layer in trace.layers:
        finite &= layer.inputs.isfinite().all(-1) & layer.edges.flatten(1).isfinite().all(-1)
    if not bool(finite.any()):
        raise DataError(
            f"there is nothing to draw, since the model is finite on none of the {rows.shape[0]} "
            "rows; pass samples like those it was trained on"
        )
    return Trace(
        tuple(
            replace(
                layer,
                inputs=layer.inputs[finite].cpu(),
                edges=layer.edges[finite].cpu(),
                outputs=layer.outputs[finite].cpu(),
                sums=layer.sums[finite].cpu(),
            )
            for layer in trace.layers
        ),
        trace.output[finite].cpu(),
    )


def _rows(model: KAN, x: Any) -> Tensor:
    """Samples ``[B, n_in]`` from a table or an array; named columns are taken by name."""
    if isinstance(x, Dataset | str | os.PathLike) or is_frame(x):
        return model.features(x)
    rows = x if isinstance(x, Tensor) else torch.from_numpy(feature_matrix(x, "the array of samples"))
    if rows.dim() != 2:
        raise ShapeError(
            f"samples need shape [rows, {model.widths[0]}], and have shape {list(rows.shape)}; "
            "reshape(-1, 1) makes a list of numbers one feature, reshape(1, -1) one row"
        )
    return rows


def input_ranges(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Lower and upper bounds ``[I]`` of the columns ``[B, I]``; the range of a constant column is widened."""
    low, high = inputs.min(0).values, inputs.max(0).values
    flat = high - low <= 1e-12 * torch.maximum(low.abs(), high.abs())
    around = torch.where(flat, torch.maximum(0.5 * low.abs(), torch.full_like(low, 0.5)), 0.0)
    return low - around, high + around


def magnitudes(trace: Trace) -> tuple[Tensor, ...]:
    """For each layer ``[I, O]``: the standard deviation of each edge's output, in units of that of its sum."""
    found = []
    for layer in trace.layers:
        deviation = layer.edges.std(0, correction=0)
        node = layer.sums.std(0, correction=0)
        # The sum of edges that cancel is a rounding error; without a lower bound their quotients would be huge.
        whole = torch.maximum(node, 1e-9 * deviation.sum(0))
        found.append(torch.where(whole > 0, deviation / whole.where(whole > 0, torch.ones_like(whole)), 0.0))
    return tuple(found)
