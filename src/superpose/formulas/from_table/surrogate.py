"""A surrogate for a table: values and derivatives at any point, without noise.

Polynomials of total degree in the columns, or in their logarithms, for the target or its logarithm, whichever predicts
held-out rows best. One linear least-squares problem each: a tenth of a second where training a network takes seconds.
A network is what is left when no polynomial will do.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from superpose.deadline import charge
from superpose.formulas.from_table import chebyshev


@dataclass(frozen=True)
class _Polynomials:
    """Sizes of the least-squares problems: some tenths of a second each. Round numbers.

    Attributes:
        monomials: at most, and a third of the rows.
        degree: at most.
        rows: first rows.
    """

    monomials: int = 500
    degree: int = 24
    rows: int = 4000


_POLYNOMIALS = _Polynomials()
# Seconds of a least-squares problem on one core of a server, and of each product of two entries in a row of it.
_PROBLEM, _PRODUCT = 1e-3, 3e-10


# Functions of the target.
KINDS = ("x", "log", "square", "inverse", "inverse square")


@dataclass(frozen=True)
class Surrogate:
    """A surrogate.

    Attributes:
        error: root mean squared error on held-out rows, as weighted, in units of the spread.
        logarithmic: whether the columns' logarithms are its variables.
        kind: which function of the target is the polynomial, one of ``KINDS``.
    """

    powers: Tensor
    coefficients: Tensor
    center: Tensor
    scale: Tensor
    logarithmic: bool
    kind: str
    sign: float
    error: float

    def _inner(self, x: Tensor) -> Tensor:
        inside = x.log() if self.logarithmic else x
        return (inside - self.center) / self.scale

    def values(self, x: Tensor) -> Tensor:
        """``[N]`` at points ``x [N, n]``."""
        return _back(
            self.kind, self.sign, _columns(_bases(self._inner(x), self.powers), self.powers) @ self.coefficients
        )

    def gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Values ``[N]`` and derivatives by every column ``[N, n]`` at points ``x [N, n]``."""
        inner = self._inner(x)
        bases = _bases(inner, self.powers)
        slopes = [chebyshev.derivatives(u, int(self.powers.max())) for u in inner.unbind(-1)]
        value = _columns(bases, self.powers) @ self.coefficients
        parts = []
        for i in range(x.shape[1]):
            mixed = [slopes[j] if j == i else bases[j] for j in range(x.shape[1])]
            parts.append(_columns(mixed, self.powers) @ self.coefficients / self.scale[i])
        gradient = torch.stack(parts, -1)
        if self.logarithmic:
            gradient = gradient / x
        value = _back(self.kind, self.sign, value)
        return value, gradient / _steepness(self.kind, value)[:, None]


def _forth(kind: str, y: Tensor) -> Tensor:
    """The function of the target that is a polynomial; all but the identity for targets of one sign."""
    if kind == "x":
        return y
    if kind == "inverse square":
        return y**-2
    return y.abs().log() if kind == "log" else y.square() if kind == "square" else 1 / y


def _back(kind: str, sign: float, value: Tensor) -> Tensor:
    if kind == "x":
        return value
    if kind == "log":
        return sign * value.clamp(max=700).exp()  # exp(709.8) overflows
    if kind == "inverse square":
        return sign * value.clamp(min=0).rsqrt()
    return sign * value.clamp(min=0).sqrt() if kind == "square" else 1 / value


def _steepness(kind: str, y: Tensor) -> Tensor:
    """The derivative of that function by the target."""
    if kind == "x":
        return torch.ones_like(y)
    if kind == "inverse square":
        return -2 * y**-3
    return 1 / y if kind == "log" else 2 * y if kind == "square" else -1 / y.square()


def exponents_of(count: int, most: int) -> Tensor:
    """Exponents ``[D, n]`` of all monomials of the largest total degree that has at most ``most`` of them."""
    degree = 1
    while degree < _POLYNOMIALS.degree and math.comb(count + degree + 1, count) <= most:
        degree += 1
    rows = []
    for total in range(degree + 1):
        for places in itertools.combinations_with_replacement(range(count), total):
            row = [0] * count
            for place in places:
                row[place] += 1
            rows.append(row)
    return torch.tensor(rows)


def _bases(inner: Tensor, powers: Tensor) -> list[Tensor]:
    """Chebyshev polynomials of each variable, ``[N, degree + 1]``."""
    return [chebyshev.polynomials(u, int(powers.max())) for u in inner.unbind(-1)]


def _columns(bases: list[Tensor], powers: Tensor) -> Tensor:
    product = bases[0][:, powers[:, 0]]
    for n in range(1, len(bases)):
        product *= bases[n][:, powers[:, n]]
    return product


def fit_surrogate(
    x: Tensor,
    y: Tensor,
    weight: Tensor,
    spread: float,
    *,
    most: int = _POLYNOMIALS.monomials,
    kinds: Collection[str] = KINDS,
) -> Surrogate:
    """The best surrogate for a table whose rows are in random order.

    Args:
        x: ``[N, n]`` columns.
        y: ``[N]`` target.
        weight: ``[N]`` what an error of a row counts.
        spread: what errors are measured by.
        most: columns of the least-squares problem.
        kinds: which functions of the target may be the polynomial.
    """
    x, y, weight = x[: _POLYNOMIALS.rows], y[: _POLYNOMIALS.rows], weight[: _POLYNOMIALS.rows]
    held = held_out(len(x))
    best: Surrogate | None = None
    positive = bool((x > 0).all())
    sign = 1.0 if float(y.mean()) > 0 else -1.0
    one_sided = bool((sign * y > 0).all())
    # Three rows for each column at least, and a second, coarse surrogate in case the fine one swings. Round numbers.
    budgets = dict.fromkeys(min(limit, (len(x) - held) // 3) for limit in (most, most // 4))
    tried = [kind for kind in KINDS if kind in kinds] if one_sided else ["x"]
    for budget, log_x in itertools.product(budgets, (False, True)):
        if (log_x and not positive) or budget < x.shape[1] + 1:
            continue
        inside = x.log() if log_x else x
        low, high = inside.amin(0), inside.amax(0)
        center, scale = (low + high) / 2, ((high - low) / 2).clamp(min=1e-300)  # no division by zero
        powers = exponents_of(x.shape[1], budget)
        matrix = _columns(_bases((inside - center) / scale, powers), powers)
        for kind in tried:
            charge(_PROBLEM + _PRODUCT * len(x) * len(powers) ** 2)
            # Errors count in the target's own units, but no row may outweigh all others.
            rows = weight / _steepness(kind, y).abs()
            # From 1/1000 to 30 times the median weight: chosen on the AI Feynman equations, not compared.
            rows = (rows / rows.median().clamp(min=1e-300)).clamp(min=1e-3, max=30)
            found = solved(matrix[held:] * rows[held:, None], (_forth(kind, y) * rows)[held:])
            predicted = _back(kind, sign, matrix[:held] @ found)
            error = float(((predicted - y[:held]) * weight[:held]).square().mean().sqrt()) / spread
            if math.isfinite(error) and (best is None or error < best.error):
                best = Surrogate(powers, found, center, scale, log_x, kind, sign, error)
    if best is None:
        powers = torch.zeros(1, x.shape[1], dtype=torch.long)
        zero, one = torch.zeros(x.shape[1], dtype=x.dtype), torch.ones(x.shape[1], dtype=x.dtype)
        best = Surrogate(powers, y.mean()[None], zero, one, False, "x", 1.0, 1.0)
    return best


def separate(
    x: Tensor,
    y: Tensor,
    weight: Tensor,
    spread: float,
    groups: Sequence[Sequence[int]],
    *,
    product: bool = False,
    beside: Tensor | None = None,
) -> tuple[float, list[Tensor]]:
    """The best sum, or product, of polynomials of different columns.

    Args:
        x, y, weight, spread: as for :func:`fit_surrogate`.
        groups: the columns of each.
        product: of exponentials of the polynomials; the target must have one sign.
        beside: ``[N, k]`` further terms, whose coefficients are fitted too.

    Returns:
        Its error as that of :class:`Surrogate`, and the values ``[N]`` of each part, up to a constant; last those of
        the further terms, if there are some.
    """
    some, goal, rows = x[: _POLYNOMIALS.rows], y[: _POLYNOMIALS.rows], weight[: _POLYNOMIALS.rows]
    held = held_out(len(some))
    low, high = some.amin(0), some.amax(0)
    center, scale = (low + high) / 2, ((high - low) / 2).clamp(min=1e-300)  # no division by zero
    # Three rows for each monomial.
    powers = _shared([len(group) for group in groups], min(_POLYNOMIALS.monomials, (len(some) - held) // 3))

    def matrix(points: Tensor, part: int) -> Tensor:
        inner = (points - center) / scale
        # The constant stands in the first.
        return _columns(_bases(inner[:, list(groups[part])], powers[part]), powers[part])[:, int(part > 0) :]

    blocks = [matrix(x, part) for part in range(len(groups))] + ([] if beside is None else [beside])
    every = torch.cat(blocks, -1)[: len(some)]
    charge(_PROBLEM + _PRODUCT * len(some) * every.shape[1] ** 2)
    kind, sign = ("log" if product else "x"), (1.0 if float(goal.mean()) > 0 else -1.0)
    factor = rows / _steepness(kind, goal).abs()
    # Limits as in ``fit_surrogate``.
    factor = (factor / factor.median().clamp(min=1e-300)).clamp(min=1e-3, max=30)
    found = solved(every[held:] * factor[held:, None], (_forth(kind, goal) * factor)[held:])
    predicted = _back(kind, sign, every[:held] @ found)
    error = float(((predicted - goal[:held]) * rows[:held]).square().mean().sqrt()) / spread
    each = torch.split(found, [block.shape[1] for block in blocks])
    parts = [block @ coefficients for block, coefficients in zip(blocks, each, strict=True)]
    # exp(709.8) overflows.
    return (error if math.isfinite(error) else math.inf), [p.clamp(max=700).exp() if product else p for p in parts]


def _shared(counts: Sequence[int], most: int) -> list[Tensor]:
    """Exponents for groups of so many columns, ``most`` together: two groups have half each, more have one degree."""
    if len(counts) <= 2:
        return [exponents_of(count, most // len(counts)) for count in counts]
    degree = 1
    while degree < _POLYNOMIALS.degree and sum(math.comb(count + degree + 1, count) for count in counts) <= most:
        degree += 1
    return [exponents_of(count, math.comb(count + degree, count)) for count in counts]


def columns_of(inner: Tensor, powers: Tensor) -> Tensor:
    """Products of Chebyshev polynomials ``[N, D]`` of variables ``[N, n]``, with these exponents ``[D, n]``."""
    return _columns(_bases(inner, powers), powers)


def held_out(rows: int) -> int:
    """How many of the first rows are held out to measure the error of a surrogate."""
    return max(1, min(rows, _POLYNOMIALS.rows) // 5)  # a fifth; a round number


def solved(matrix: Tensor, goal: Tensor) -> Tensor:
    """Least squares by the normal equations, once more on what is left; by orthogonal factors if they are singular."""
    normal = matrix.T @ matrix
    normal.diagonal().mul_(1 + 1e-14)  # 45 roundings: a matrix that is singular up to rounding gets a factor
    factor, failed = torch.linalg.cholesky_ex(normal)
    if int(failed):
        slow: Tensor = torch.linalg.lstsq(matrix, goal[:, None], driver="gelsy").solution[:, 0]
        return slow
    solution = torch.cholesky_solve(matrix.T @ goal[:, None], factor)
    for _ in range(2):
        solution = solution + torch.cholesky_solve(matrix.T @ (goal[:, None] - matrix @ solution), factor)
    return solution[:, 0]


__all__ = ["Surrogate", "columns_of", "exponents_of", "fit_surrogate", "held_out", "separate", "solved"]
