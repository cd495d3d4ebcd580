"""The step to which values were rounded."""

from __future__ import annotations

import math

import pytest
import torch

from superpose.data.rounding import rounding_error, step_of

DOUBLE = torch.float64


@pytest.mark.parametrize("step", [0.001, 0.02, 0.05, 0.5, 1.0, 20.0, 1e5])
def test_the_step_of_rounded_values_is_found(step: float) -> None:
    values = 100 * step * torch.randn(200, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    rounded = (values / step).round() * step
    assert step_of(rounded) == pytest.approx(step, rel=1e-12)
    assert float((rounded - values).square().mean().sqrt()) == pytest.approx(rounding_error(step), rel=0.1)


def test_measurements_with_many_digits_have_no_step() -> None:
    values = torch.randn(50, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    assert step_of(values) is None
    assert step_of(1e9 + values.round()) is None
    for none in (torch.zeros(5), torch.tensor([1.0, math.inf]), torch.tensor([1.0, math.nan]), torch.empty(0)):
        assert step_of(none) is None
