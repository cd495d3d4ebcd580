"""Whether two models are the same."""

from __future__ import annotations

import torch

import superpose


def same_bits(first: torch.Tensor, second: torch.Tensor) -> bool:
    """Return whether two tensors are equal bit for bit, so that 0 and -0 differ."""
    return (
        first.dtype == second.dtype
        and first.shape == second.shape
        and first.numpy().tobytes() == second.numpy().tobytes()
    )


def assert_same_model(first: superpose.KAN, second: superpose.KAN) -> None:
    before, after = first.state_dict(), second.state_dict()
    assert list(before) == list(after)
    for name, tensor in before.items():
        assert same_bits(tensor, after[name]), name
    assert first.shape == second.shape
    assert first.feature_names == second.feature_names
    assert first.target_names == second.target_names
    for one, other in zip(first.kan_layers(), second.kan_layers(), strict=True):
        assert (one.degree, one.grid_size, one.base) == (other.degree, other.grid_size, other.base)
        assert one.spline_scale == other.spline_scale
        assert list(one.symbolic_table().items()) == list(other.symbolic_table().items())
        assert one.frozen_table() == other.frozen_table()
        assert (one.base_weight is None) == (other.base_weight is None)
