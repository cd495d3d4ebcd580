"""A surrogate for functions that oscillate: ``y = P cos(v) + Q sin(v) + R`` with polynomials ``P``, ``Q``, ``R``.

Polynomials of several columns have a degree of some six, and follow a wave for half a period. But the phase ``v`` of a
wave in a law is mostly a plain product, ``w t`` or ``2 pi n d cos(t) / l``, and what it is multiplied by is smooth: so
is the rest of the phase, since ``cos(v + p) = cos(v) cos(p) - sin(v) sin(p)``. All plain phases are compared with
polynomials of degree 1, the best few with larger ones. Derivatives of the best show the symmetries of the table.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from superpose.deadline import Deadline, charge
from superpose.formulas.from_table.surrogate import Surrogate, columns_of, exponents_of, held_out, solved
from superpose.formulas.from_table.symmetries import Reduction

if TYPE_CHECKING:
    import sympy


@dataclass(frozen=True)
class _Waves:
    """Which phases are tried. Round numbers; not compared one by one.

    Attributes:
        columns: of a table, at most.
        factors: of a phase, at most.
        constants: that a phase is multiplied by.
        slow, fast: ranges of phases in radians, of the middle 80% of the rows: of less, polynomials do; of more, rows
            are too far apart.
        turning: the range of a column of which sine and cosine are factors of phases, at most.
        compared: first rows of the first comparison.
        better: share of the variance left by the straight polynomials that a phase must leave.
        followed: phases that are fitted with larger polynomials.
        monomials: of each of the three polynomials.
        rows: first rows of these fits.
        zero: a column nearer to zero than this share of its largest has no negative powers.
    """

    columns: int = 6
    factors: int = 4
    constants: tuple[float, ...] = (1.0, 2.0, math.pi, 2 * math.pi, 4 * math.pi, 0.5)
    slow: float = 2.5
    fast: float = 300.0
    compared: int = 800
    better: float = 0.8
    followed: int = 3
    monomials: int = 170
    rows: int = 3000
    turning: float = 7.0
    zero: float = 1e-2


_WAVES = _Waves()
# Seconds on one core of a server: of a phase in the first comparison, and of a product of two entries in a row.
_PHASE, _PRODUCT = 5e-4, 3e-10


class Phase(NamedTuple):
    """``constant * prod x_i^powers_i``, times the sine or cosine of a column.

    Attributes:
        turned: the column, or -1.
        cosine: of it, or its sine.
    """

    powers: tuple[int, ...]
    constant: float
    turned: int = -1
    cosine: bool = True

    def values(self, x: Tensor) -> Tensor:
        """``[N]`` at points ``x [N, n]``."""
        value = torch.full_like(x[:, 0], self.constant)
        for column, power in zip(x.unbind(-1), self.powers, strict=True):
            if power:
                value = value * column**power
        if self.turned >= 0:
            inner = x[:, self.turned]
            value = value * (inner.cos() if self.cosine else inner.sin())
        return value

    def places(self) -> list[int]:
        """Its columns."""
        return [k for k, power in enumerate(self.powers) if power or k == self.turned]

    def expression(self, symbols: Sequence[sympy.Expr]) -> sympy.Expr:
        """The phase in radians."""
        import sympy

        turns = sympy.Rational(self.constant / math.pi).limit_denominator(8)
        plain = (
            turns * sympy.pi if abs(float(turns) * math.pi - self.constant) < 1e-12 else sympy.Rational(self.constant)
        )
        made = plain * sympy.Mul(*(symbol**power for symbol, power in zip(symbols, self.powers, strict=True)))
        if self.turned >= 0:
            made *= (sympy.cos if self.cosine else sympy.sin)(symbols[self.turned])
        return made

    def gradient(self, x: Tensor) -> Tensor:
        """``[N, n]`` derivatives by every column."""
        point = x.detach().clone().requires_grad_()
        (slopes,) = torch.autograd.grad(self.values(point).sum(), point)
        return slopes


@dataclass(frozen=True)
class WaveSurrogate:
    """A surrogate with a wave.

    Attributes:
        error: as of :class:`~superpose.formulas.from_table.surrogate.Surrogate`.
        phase: of the wave.
        parts: the three polynomials, in units of nothing.
    """

    phase: Phase
    parts: tuple[Surrogate, Surrogate, Surrogate]
    error: float
    kind: str = "x"

    def values(self, x: Tensor) -> Tensor:
        """``[N]`` at points ``x [N, n]``."""
        return self.gradient(x)[0]

    def gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Values ``[N]`` and derivatives by every column ``[N, n]`` at points ``x [N, n]``."""
        phase, turning = self.phase.values(x), self.phase.gradient(x)
        (p, by_p), (q, by_q), (r, by_r) = (part.gradient(x) for part in self.parts)
        cosine, sine = phase.cos(), phase.sin()
        value = p * cosine + q * sine + r
        along = (q * cosine - p * sine)[:, None] * turning
        return value, by_p * cosine[:, None] + by_q * sine[:, None] + by_r + along


def one_phase(x: Tensor, symbols: list[sympy.Expr], points: Tensor, gradient: Tensor, phase: Phase) -> list[Reduction]:
    """The columns of a phase as one, if the derivatives by them are in the ratio of those of the phase.

    Args:
        x: ``[N, n]`` columns.
        symbols: of them.
        points, gradient: ``[S, n]`` rows, and derivatives of the target there.
    """
    import sympy

    places = phase.places()
    if len(places) < 2:
        return []
    along, own = phase.gradient(points)[:, places], gradient[:, places]
    # In units of the ranges of the columns.
    spread = points[:, places].std(0)
    along, own = along * spread, own * spread
    size = along.square().sum(-1, keepdim=True).clamp(min=1e-300)  # no division by zero
    across = own - along * ((along * own).sum(-1, keepdim=True) / size)
    violation = float(across.norm() / own.norm().clamp(min=1e-300))  # no division by zero
    column = phase.values(x)
    rest = [k for k in range(x.shape[1]) if k not in places]
    columns = torch.cat([column[:, None], x[:, rest]], -1)
    expressions = [phase.expression(symbols), *(symbols[k] for k in rest)]
    return [Reduction(violation, columns, expressions, None, sympy.Integer(1), "the columns of a phase as one")]


def fit_wave_surrogate(x: Tensor, y: Tensor, weight: Tensor, spread: float, deadline: Deadline) -> WaveSurrogate | None:
    """The best surrogate with a wave for a table whose rows are in random order; None if no phase helps.

    Args:
        x: ``[N, n]`` columns.
        y: ``[N]`` target.
        weight: ``[N]`` what an error of a row counts.
        spread: what errors are measured by.
    """
    if not 1 < x.shape[1] <= _WAVES.columns:
        return None
    low, high = x.amin(0), x.amax(0)
    center, scale = (low + high) / 2, ((high - low) / 2).clamp(min=1e-300)  # no division by zero
    some = x[: _WAVES.compared]
    plain = torch.cat([torch.ones_like(some[:, :1]), (some - center) / scale], -1)
    goal = (y * weight)[: _WAVES.compared]
    rows = weight[: _WAVES.compared, None]
    least = _left(plain * rows, goal)
    tried: list[tuple[float, Phase]] = []
    for phase in _phases(x):
        if deadline.passed():
            break
        values = phase.values(some)
        charge(_PHASE)
        matrix = torch.cat([plain, plain * values.cos()[:, None], plain * values.sin()[:, None]], -1) * rows
        tried.append((_left(matrix, goal), phase))
    tried = [item for item in tried if item[0] < _WAVES.better * least]
    best: WaveSurrogate | None = None
    for _, phase in sorted(tried, key=lambda item: item[0])[: _WAVES.followed]:
        if deadline.passed():
            break
        found = _fitted(x, y, weight, spread, phase, center, scale)
        if found is not None and (best is None or found.error < best.error):
            best = found
    return best


def _left(matrix: Tensor, goal: Tensor) -> float:
    """The sum of squares that least squares leave."""
    return float((goal - matrix @ solved(matrix, goal)).square().sum())


def _fitted(
    x: Tensor, y: Tensor, weight: Tensor, spread: float, phase: Phase, center: Tensor, scale: Tensor
) -> WaveSurrogate | None:
    x, y, weight = x[: _WAVES.rows], y[: _WAVES.rows], weight[: _WAVES.rows]
    held = held_out(len(x))
    powers = exponents_of(x.shape[1], min(_WAVES.monomials, (len(x) - held) // 9))
    plain, values = columns_of((x - center) / scale, powers), phase.values(x)
    matrix = torch.cat([plain * values.cos()[:, None], plain * values.sin()[:, None], plain], -1) * weight[:, None]
    if not bool(torch.isfinite(matrix).all()):
        return None
    charge(_PRODUCT * len(x) * matrix.shape[1] ** 2)
    found = solved(matrix[held:], (y * weight)[held:])
    error = float((matrix[:held] @ found - (y * weight)[:held]).square().mean().sqrt()) / spread
    if not math.isfinite(error):
        return None
    parts = [Surrogate(powers, own, center, scale, False, "x", 1.0, error) for own in found.chunk(3)]
    return WaveSurrogate(phase, (parts[0], parts[1], parts[2]), error)


def _phases(x: Tensor) -> Iterator[Phase]:
    """Plain phases that turn enough on the table."""
    count = x.shape[1]
    some = x[: _WAVES.compared]
    away = (x.abs().amin(0) > _WAVES.zero * x.abs().amax(0)).tolist()
    choices = [(0, 1, -1) if free else (0, 1) for free in away]
    turning = ((x.amax(0) - x.amin(0)) < _WAVES.turning).tolist()
    for powers in itertools.product(*choices):
        used = sum(map(abs, powers))
        first = next((power for power in powers if power), 0)
        if used > _WAVES.factors or first == 0:
            continue
        shapes = [(-1, True)]
        if used < _WAVES.factors and first:
            shapes += [(k, cosine) for k in range(count) if turning[k] and not powers[k] for cosine in (True, False)]
        for turned, cosine in shapes:
            values = Phase(powers, 1.0, turned, cosine).values(some)
            ends = values.quantile(torch.tensor([0.1, 0.9], dtype=values.dtype))
            width = float(ends[1] - ends[0])
            for constant in _WAVES.constants:
                if _WAVES.slow < constant * width < _WAVES.fast:
                    yield Phase(powers, constant, turned, cosine)


__all__ = ["WaveSurrogate", "fit_wave_surrogate", "one_phase"]
