"""Networks and rows that several tests of editing share."""

from __future__ import annotations

import torch

from superpose.nn import KAN


def some_x(count: int, features: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(count, features, generator=generator, dtype=torch.float64) - 1


def rough(model: KAN, seed: int = 0) -> KAN:
    """The same model with wilder splines than a fresh start has."""
    generator = torch.Generator().manual_seed(seed)
    for layer in model.kan_layers():
        noise = torch.randn(layer.coefficients.shape, generator=generator, dtype=torch.float64)
        layer.coefficients.data += 0.3 * noise.to(layer.coefficients)
    return model
