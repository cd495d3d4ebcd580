"""Relations between products, surrogates with a wave, and powers with a column as the exponent."""

from __future__ import annotations

import sympy
import torch
from torch import Tensor

from superpose.deadline import Deadline
from superpose.formulas.from_table.relations import relations
from superpose.formulas.from_table.subproblem import Subproblem
from superpose.formulas.from_table.surrogate import fit_surrogate
from superpose.formulas.from_table.symmetries import reductions
from superpose.formulas.from_table.wave_surrogate import fit_wave_surrogate


def _rows(count: int, columns: int, low: float = 0.5, high: float = 2.0) -> Tensor:
    shape, made = (count, columns), torch.Generator().manual_seed(0)
    return low + (high - low) * torch.rand(*shape, generator=made, dtype=torch.float64)


def _table(x: Tensor, y: Tensor) -> Subproblem:
    symbols = [sympy.Symbol(name, real=True) for name in "abcdf"[: x.shape[1]]]
    return Subproblem(x, y, torch.ones_like(y), symbols, float(y.std()), lambda inner: inner)


def test_a_sum_of_seven_terms_is_one_relation() -> None:
    x = _rows(1500, 4)
    n, a, b, d = x.unbind(-1)
    (guess,) = relations(_table(x, (n - 1) * (1 / a - 1 / b + (n - 1) * d / (n * a * b))))
    assert guess.error < 1e-12


def test_a_root_of_a_quotient_is_one_relation() -> None:
    x = _rows(1500, 3)
    a, b, c = x.unbind(-1)
    (guess,) = relations(_table(x, 1 / ((a**2 - b**2) ** 2 + (c * b) ** 2).sqrt()))
    assert guess.error < 1e-12


def test_noise_is_no_relation() -> None:
    x = _rows(1500, 3)
    noise = torch.randn(1500, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert relations(_table(x, x[:, 0] * x[:, 1] / (1 + x[:, 2]) + 1e-4 * noise)) == []


def test_a_wave_is_followed_where_polynomials_fail() -> None:
    x = _rows(3000, 3) * torch.tensor([1.0, 5.0, 1.0], dtype=torch.float64)
    w, t, p = x.unbind(-1)
    y, ones = (2 * w * t + p).cos(), torch.ones(len(x), dtype=x.dtype)
    spread = float(y.std())
    wave = fit_wave_surrogate(x, y, ones, spread, Deadline())
    assert wave is not None and wave.error < 0.01 * fit_surrogate(x, y, ones, spread).error
    _, slopes = wave.gradient(x[:200])
    exact = -(2 * w * t + p).sin()[:200]
    assert float((slopes[:, 2] - exact).abs().median()) < 1e-3


def test_a_column_may_be_an_exponent() -> None:
    x = _rows(2000, 2)
    a, b = x.unbind(-1)
    y = 1 / (1 + b**-a)
    surrogate = fit_surrogate(x, y, torch.ones_like(y), float(y.std()))
    symbols = _table(x, y).symbols
    found = min(reductions(x, symbols, x[:500], *surrogate.gradient(x[:500])), key=lambda one: one.violation)
    assert found.expressions == [symbols[0] * sympy.log(symbols[1])]
