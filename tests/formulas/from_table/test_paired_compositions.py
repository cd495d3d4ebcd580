"""A target as two of many expressions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from superpose.deadline import Deadline
from superpose.formulas.from_table.paired_compositions import Pair, pairs

DOUBLE = torch.float64


def expressions(count: int = 400, rows: int = 30) -> Tensor:
    """Values ``[count, rows]`` that have nothing to do with one another."""
    return torch.randn(count, rows, generator=torch.Generator().manual_seed(1), dtype=DOUBLE)


def made(pair: Pair, values: Tensor) -> Tensor:
    """The target that a pair stands for."""
    first, second = values[pair.first], values[pair.second]
    if pair.sign in "*/":
        inner = pair.taken + pair.constant * (first * second if pair.sign == "*" else first / second)
    else:
        inner = pair.constant + (first + second if pair.sign == "+" else first - second)
    return inner if pair.divisor is None else values[pair.divisor] * inner


@pytest.mark.parametrize(
    "target",
    [
        lambda v: -2.5 * v[100] * v[300],
        lambda v: 0.3 * v[250] / v[70],
        lambda v: v[200] + v[399] + 7.0,
        lambda v: v[10] - v[310] - 2.0,
        lambda v: v[3] * (1 + 0.7 * v[100] * v[300]),
        lambda v: v[5] * (v[111] - v[222]),
    ],
    ids=["product", "quotient", "sum", "difference", "one and a product, times another", "difference, times another"],
)
def test_the_pair_is_found(target) -> None:  # type: ignore[no-untyped-def]
    values = expressions()
    wanted = target(values)
    pair = next(pairs(values, wanted, Deadline()))
    assert torch.allclose(made(pair, values), wanted, rtol=0, atol=1e-8)


def test_noise_is_no_pair() -> None:
    values = expressions()
    wanted = values[100] * values[300]
    noise = 1e-6 * torch.randn(len(wanted), generator=torch.Generator().manual_seed(2), dtype=DOUBLE)
    assert list(pairs(values, wanted + noise, Deadline())) == []


def test_values_without_logarithm_or_limit_are_passed_over() -> None:
    values = expressions()
    values[7, 3], values[8, 4], values[9] = 0.0, torch.inf, torch.nan
    wanted = values[100] * values[300]
    found = list(pairs(values, wanted, Deadline()))
    assert found and all({pair.first, pair.second}.isdisjoint({8, 9}) for pair in found)


def test_after_the_time_nothing_is_tried() -> None:
    values = expressions()
    assert list(pairs(values, values[100] * values[300], Deadline(0.0))) == []
