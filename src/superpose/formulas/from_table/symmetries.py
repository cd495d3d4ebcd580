"""Symmetries of a table, seen in the derivatives of a surrogate, and the smaller tables they lead to.

A function that depends on ``x - y`` only has ``f_x + f_y = 0``; on ``x * y`` only, ``x f_x = y f_y``; on ``x^2 + y^2``,
``f_x / x = f_y / y``. In general a function of ``a(x) + r b(y)`` has ``f_x / a'(x) = (1/r) f_y / b'(y)``: linear in the
derivatives, so whether it holds, and with which ``r``, is a least-squares problem with one unknown.

A law that keeps its form under changes of units has ``sum a_i x_i f_(x_i) = p f``. All such laws together are the null
space of one matrix, whose columns are ``x_i f_(x_i)`` and ``f``. With ``s`` of them the law is a product of powers
times a function of ``n - s`` products of powers (E. Buckingham's theorem), found without knowing a single unit.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from superpose.formulas.from_table.search_rules import LIMITS

if TYPE_CHECKING:
    import sympy


@dataclass(frozen=True)
class _Tolerances:
    """When a symmetry holds, and with which numbers. Chosen on the AI Feynman equations; not compared one by one.

    Attributes:
        scales: exponents of the functions of a column that are tried, 0 for the logarithm.
        offset: a constant is taken from the target if what is left of the scaling is less than this share.
        snap: a ratio this near to a fraction may be the fraction.
        plain: with the fraction a symmetry may be violated this many times as much.
        factors: powers of a column behind which a symmetry is looked for, and
        behind: how far it may be violated there: there are many more that could hold by chance.
    """

    scales: tuple[float, ...] = (1.0, 0.0, 2.0, -1.0, -2.0, 0.5, 3.0)
    offset: float = 0.1
    snap: float = 0.06
    plain: float = 2.0
    factors: tuple[float, ...] = (1.0, -1.0, 2.0, -2.0)
    behind: float = 1e-3


_TOLERANCES = _Tolerances()


@dataclass(frozen=True)
class Reduction:
    """A way to a table with fewer columns: ``y = term + factor * g(columns)``.

    Attributes:
        violation: how far the derivatives are from the symmetry, as a share of their size.
        columns: ``[N, m]`` of the smaller table.
        expressions: of those columns, in the symbols of the larger table.
        factor: ``[N]``; None for one.
        factor_expression: of the same symbols.
        note: what it is, for people.
        rough: error of the smaller table because its constants are not exact, in units of the target's spread.
        term: ``[N]`` what is taken from the target first; None for nothing.
        term_expression: of the same symbols.
        alternative: how many equivalent ways come before it.
    """

    violation: float
    columns: Tensor
    expressions: list[sympy.Expr]
    factor: Tensor | None
    factor_expression: sympy.Expr
    note: str
    rough: float = 0.0
    term: Tensor | None = None
    term_expression: sympy.Expr | None = None
    alternative: int = 0


def reductions(
    x: Tensor, symbols: list[sympy.Expr], points: Tensor, value: Tensor, gradient: Tensor
) -> Iterator[Reduction]:
    """All reductions that derivatives suggest, in no order.

    Args:
        x: ``[N, n]`` columns.
        symbols: of them.
        points: ``[S, n]`` rows at which the surrogate was evaluated.
        value, gradient: ``[S]`` and ``[S, n]`` what it said.
    """
    yield from _irrelevant(x, symbols, points, value, gradient)
    yield from _merges(x, symbols, points, gradient)
    yield from _column_powers(x, symbols, points, gradient)
    yield from _behind_factors(x, symbols, points, value, gradient)
    yield from _scalings(x, symbols, points, value, gradient)
    yield from _scalings_with_offset(x, symbols, points, value, gradient)


def _irrelevant(
    x: Tensor, symbols: list[sympy.Expr], points: Tensor, value: Tensor, gradient: Tensor
) -> Iterator[Reduction]:
    import sympy

    reach = points.std(0) * gradient.square().mean(0).sqrt() / value.std().clamp(min=1e-300)  # no division by zero
    for i in range(x.shape[1]):
        rest = [j for j in range(x.shape[1]) if j != i]
        yield Reduction(
            float(reach[i]), x[:, rest], [symbols[j] for j in rest], None, sympy.Integer(1), f"without {symbols[i]}"
        )


def _slope(column: Tensor, exponent: float) -> Tensor | None:
    """``a'(x)`` of ``a(x) = x^exponent`` (the logarithm for 0), or None where it has no place."""
    smallest = float(column.abs().min()) / max(float(column.abs().max()), 1e-300)  # no division by zero
    if exponent == 1:
        return torch.ones_like(column)
    if exponent == 2:
        return 2 * column
    # Next to 0, here a thousandth of the largest value, slopes of powers are huge. A round number.
    if smallest < 1e-3 or (not float(exponent).is_integer() and float(column.min()) < 0):
        return None
    return 1 / column if exponent == 0 else exponent * column ** (exponent - 1)


def _merges(
    x: Tensor,
    symbols: list[sympy.Expr],
    points: Tensor,
    gradient: Tensor,
    pairs: Sequence[tuple[int, int]] = (),
    most: float = LIMITS.violation,
) -> Iterator[Reduction]:
    """Two columns that enter as ``a(x_i) + r b(x_j)``; of all pairs if none are given.

    Args:
        most: violations that are followed.
    """
    import sympy

    for i, j in pairs or itertools.combinations(range(x.shape[1]), 2):
        sizes = gradient[:, [i, j]].square().mean(0).sqrt()
        # A column whose slope is rounding has no ratio to another one.
        if float(sizes.min()) < 1e-12 * float(sizes.max()):
            continue
        for p, q in itertools.product(_TOLERANCES.scales, repeat=2):
            if p != q and (0.0 in (p, q) or not {p, q} <= {1.0, 2.0, -1.0}):
                continue
            first, second = _slope(points[:, i], p), _slope(points[:, j], q)
            if first is None or second is None:
                continue
            # u = a(x_i) + r b(x_j): f_j / b'_j = r f_i / a'_i, with the weights of both derivatives' sizes.
            left, right = gradient[:, i] * second, gradient[:, j] * first
            ratio = _ratio(left, right)
            if ratio is None:
                continue
            size = float(right.norm() + abs(ratio) * left.norm())
            violation = float((right - ratio * left).norm()) / size
            if violation > most:
                continue
            r = _simple(ratio)
            if r is not None:
                # A plain number is taken if the derivatives do not object.
                snapped = float((right - float(r) * left).norm()) / size
                # 1e-9: without noise both violations are rounding.
                r, violation = (r, snapped) if snapped < _TOLERANCES.plain * violation + 1e-9 else (None, violation)
            rest = [k for k in range(x.shape[1]) if k not in (i, j)]
            s, t = symbols[i], symbols[j]
            if p == 0:
                if (r is None or not r.is_Integer) and float(x[:, j].min()) <= 0:
                    continue
                exponent = sympy.Float(ratio) if r is None else r
                column, expression = x[:, i] * x[:, j] ** float(exponent), s * t**exponent
                note = f"{s} and {t} as a product of powers"
            else:
                factor = sympy.Float(ratio) if r is None else r
                column = _powered(x[:, i], p) + float(factor) * _powered(x[:, j], q)
                expression = s ** _rational(p) + factor * t ** _rational(q)
                note = f"{s} and {t} as a sum"
            yield Reduction(
                # Plain ratios first; 1.5 was chosen on the AI Feynman equations.
                violation * (1.0 if r is not None else 1.5),
                torch.cat([column[:, None], x[:, rest]], -1),
                [expression, *(symbols[k] for k in rest)],
                None,
                sympy.Integer(1),
                note,
            )


def _column_powers(
    x: Tensor,
    symbols: list[sympy.Expr],
    points: Tensor,
    gradient: Tensor,
    pairs: Sequence[tuple[int, int]] = (),
    most: float = LIMITS.violation,
) -> Iterator[Reduction]:
    """Two columns that enter as a power: ``b^e``, or ``(1 + b)^e`` and ``(1 - b)^e``, as of a rate of interest.

    With ``h(e log b)`` the derivatives fulfil ``e f_e = b log(b) f_b``: a condition without an unknown.
    """
    import sympy

    chosen = pairs or list(itertools.combinations(range(x.shape[1]), 2))
    for i, j in [*chosen, *((j, i) for i, j in chosen)]:
        for constant, sign in ((0, 1), (1, 1), (1, -1)):
            base, rows = constant + sign * x[:, j], constant + sign * points[:, j]
            if float(base.min()) <= 0:
                continue
            left, right = points[:, i] * gradient[:, i], rows * rows.log() * sign * gradient[:, j]
            size = float(left.norm() + right.norm())
            if not size > 0:
                continue
            violation = float((left - right).norm()) / size
            if violation > most:
                continue
            rest = [k for k in range(x.shape[1]) if k not in (i, j)]
            column = x[:, i] * base.log()
            exponent = symbols[i] * sympy.log(constant + sign * symbols[j])
            yield Reduction(
                violation,
                torch.cat([column[:, None], x[:, rest]], -1),
                [exponent, *(symbols[k] for k in rest)],
                None,
                sympy.Integer(1),
                f"a power with {symbols[i]} as the exponent",
            )


def _behind_factors(
    x: Tensor, symbols: list[sympy.Expr], points: Tensor, value: Tensor, gradient: Tensor
) -> Iterator[Reduction]:
    """Two columns that enter as one beside a power of one of them, ``x_i^p h(a(x_i) + r b(x_j))``; the clear ones."""
    for i in range(x.shape[1]):
        column = points[:, i]
        if _slope(x[:, i], 0.0) is None:
            continue
        for exponent in _TOLERANCES.factors:
            own = gradient.clone()
            own[:, i] -= exponent * value / column
            pairs = [(min(i, j), max(i, j)) for j in range(x.shape[1]) if j != i]
            found = itertools.chain(
                _merges(x, symbols, points, own, pairs, _TOLERANCES.behind),
                _column_powers(x, symbols, points, own, pairs, _TOLERANCES.behind),
            )
            for one in found:
                factor, note = _powered(x[:, i], exponent), f"{one.note}, behind a power of {symbols[i]}"
                yield replace(one, factor=factor, factor_expression=symbols[i] ** _rational(exponent), note=note)


def _powered(column: Tensor, exponent: float) -> Tensor:
    return column ** (int(exponent) if float(exponent).is_integer() else exponent)


def _ratio(left: Tensor, right: Tensor) -> float | None:
    """The ``r`` for which ``right = r left``, both sides equally in error."""
    p, q, cross = float(left @ left), float(right @ right), float(left @ right)
    if not (p > 0 and q > 0) or cross == 0:
        return None
    ratio = math.copysign(math.sqrt(q / p), cross)
    return ratio if math.isfinite(ratio) else None


def _rational(value: float) -> sympy.Rational:
    import sympy

    return sympy.Rational(value).limit_denominator(6)  # more than any exponent in ``scales`` has


# Halves and thirds, set by hand: laws have few others.
def _simple(value: float, denominators: tuple[int, ...] = (1, 2, 3)) -> sympy.Rational | None:
    """A small fraction close to a value, if there is one."""
    import sympy

    for denominator in denominators:
        whole = round(value * denominator)
        near = _TOLERANCES.snap * denominator * min(abs(value), 1.0)
        # Numerators up to 6, set by hand.
        if whole and abs(whole) <= 6 and abs(value * denominator - whole) < near:
            return sympy.Rational(whole, denominator)
    return None


def _scalings(
    x: Tensor, symbols: list[sympy.Expr], points: Tensor, value: Tensor, gradient: Tensor
) -> Iterator[Reduction]:
    """Products of powers times a function of fewer products of powers."""
    count = x.shape[1]
    matrix = torch.cat([points * gradient, value[:, None]], -1)
    norms = matrix.norm(dim=0)
    # A column that hardly matters would pass for a symmetry of its own. A round number.
    if float(norms.min()) < 1e-6 * float(norms.max()):
        return
    unit = matrix / norms
    _, singular, rows = torch.linalg.svd(unit, full_matrices=False)
    singular = singular / math.sqrt(count + 1)
    for dimension in range(min(count, len(singular) - 1), 0, -1):
        violation = float(singular[-dimension])
        if violation > LIMITS.violation:
            continue
        usable = (found for found in _pivoted(rows[-dimension:], norms, x, count) if _divides(x, *found))
        # Units are equivalent if one column is left. Else the simplest three choices; a round number.
        ways = itertools.islice(usable, 1 if dimension + 1 >= count else 3)
        for number, (pivots, exponents) in enumerate(ways):
            yield replace(_scaled(x, symbols, pivots, exponents, violation), alternative=number)


def _scalings_with_offset(
    x: Tensor, symbols: list[sympy.Expr], points: Tensor, value: Tensor, gradient: Tensor
) -> Iterator[Reduction]:
    """The same for a target from which a constant has to be taken first: what scales is the rest."""
    import sympy

    ones = torch.ones_like(value)[:, None]
    matrix = torch.cat([points * gradient, value[:, None], ones], -1)
    norms = matrix.norm(dim=0)
    if float(norms.min()) < 1e-6 * float(norms.max()):  # as in ``_scalings``
        return
    _, singular, rows = torch.linalg.svd(matrix / norms, full_matrices=False)
    null = rows[-1] / norms
    without = torch.linalg.svdvals(matrix[:, :-1] / norms[:-1])
    if float(singular[-1]) > _TOLERANCES.offset * float(without[-1]) or not float(null[-2].abs()) > 0:
        return
    constant = -float(null[-1] / null[-2])
    # A constant far smaller than the spread is noise, a far larger one hides the law. Round numbers.
    if not 1e-3 * float(value.std()) < abs(constant) < 1e3 * float(value.abs().max()):
        return
    term, expression = torch.full_like(x[:, 0], constant), sympy.Float(constant)
    for found in _scalings(x, symbols, points, value - constant, gradient):
        note = f"{found.note}, after a constant"
        yield replace(found, note=note, rough=found.rough + found.violation, term=term, term_expression=expression)


def _pivoted(
    null: Tensor, norms: Tensor, x: Tensor, count: int
) -> list[tuple[tuple[int, ...], list[list[sympy.Rational]]]]:
    """Choices of columns that serve as units, with the exponents that go with them, the simplest first.

    The null space is that of the matrix whose columns were divided by ``norms``.
    """
    dimension = len(null)
    mixed = [float(column.min()) <= 0 for column in x.unbind(-1)]
    found = []
    # Each takes a linear solve. A round number: all 330 choices of four of 11 columns are within it.
    for pivots in itertools.islice(itertools.combinations(range(count), dimension), 400):
        square = null[:, list(pivots)]
        # Columns that cannot serve as units together; a round number.
        if float(torch.linalg.svdvals(square)[-1]) < 1e-7:
            continue
        reduced = norms[list(pivots)][:, None] * torch.linalg.solve(square, null) / norms
        exponents: list[list[sympy.Rational]] = []
        cost = 0.0
        for t in range(dimension):
            row = []
            for k in [*(k for k in range(count) if k not in pivots), count]:
                # The last column stands for the target, on the other side of the equation.
                exact = float(reduced[t, k]) * (-1 if k == count else 1)
                near = _nearest(exact)
                if near is None or (mixed[pivots[t]] and not near.is_Integer):
                    break
                # Small numerators, then integers, then what fits: weights set by hand, on the AI Feynman equations.
                cost += abs(near.p) + 2 * (near.q - 1) + 3 * abs(float(near) - exact)
                row.append(near)
            else:
                exponents.append(row)
                continue
            break
        if len(exponents) == dimension:
            found.append((cost, pivots, exponents))
    found.sort(key=lambda item: item[0])
    return [(pivots, exponents) for _, pivots, exponents in found]


def _nearest(value: float) -> sympy.Rational | None:
    import sympy

    if not abs(value) < 12:  # larger exponents are no units; a round number
        return None
    for denominator in (1, 2, 3):  # halves and thirds, as in ``_simple``
        whole = round(value * denominator)
        # The denser the fractions, the nearer one must be. Chosen on the AI Feynman equations; not compared.
        if abs(value * denominator - whole) < (0.15, 0.1, 0.08)[denominator - 1] * denominator:
            return sympy.Rational(whole, denominator)
    return None


def _divides(x: Tensor, pivots: tuple[int, ...], exponents: list[list[sympy.Rational]]) -> bool:
    """Whether no column that comes near zero is divided by."""
    for pivot, row in zip(pivots, exponents, strict=True):
        column = x[:, pivot].abs()
        near = float(column.min()) < 1e-3 * float(column.max())  # a thousandth, as in ``_slope``
        # Columns are divided by positive powers of a unit; the target by its own, on the other side.
        if near and (any(power > 0 for power in row[:-1]) or row[-1] < 0):
            return False
    return True


def _scaled(
    x: Tensor,
    symbols: list[sympy.Expr],
    pivots: tuple[int, ...],
    exponents: list[list[sympy.Rational]],
    violation: float,
) -> Reduction:
    import sympy

    rest = [k for k in range(x.shape[1]) if k not in pivots]
    columns, expressions = [], []
    for place, k in enumerate(rest):
        powers = [-row[place] for row in exponents]
        columns.append(x[:, k] * _product(x, pivots, powers))
        expressions.append(symbols[k] * sympy.Mul(*(symbols[j] ** p for j, p in zip(pivots, powers, strict=True))))
    powers = [row[-1] for row in exponents]
    factor = _product(x, pivots, powers)
    outside = sympy.Mul(*(symbols[j] ** p for j, p in zip(pivots, powers, strict=True)))
    stacked = torch.stack(columns, -1) if columns else x.new_zeros((len(x), 0))
    return Reduction(violation, stacked, expressions, factor, outside, f"{len(pivots)} of the columns as units")


def _product(x: Tensor, columns: tuple[int, ...], powers: list[sympy.Rational]) -> Tensor:
    value = torch.ones_like(x[:, 0])
    for j, power in zip(columns, powers, strict=True):
        value = value * _powered(x[:, j], float(power))
    return value


__all__ = ["Reduction", "reductions"]
