"""Where the unknown constants of a form may lie, and start values spread over that.

Sizes follow from the columns. From the last operation back, each operation is given the size that its value should
have: a constant that is added to a column is of the column's size, one that multiplies a column within an exponential
of the size of one over it, an exponent about one. Candidates are a Sobol sequence over decades about these sizes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from superpose.formulas.forms.tape import Form

_PERIODIC = frozenset({"sin", "cos", "tan"})


@dataclass(frozen=True)
class Spread:
    """How far candidates spread.

    Attributes:
        decades: about the size of a constant, both ways, of one constant that is searched for; of two or three; of
            more. Wide enough for activation energies over temperatures; with more constants the space is too large.
        exponent: the largest exponent is this, the smallest one over it.
        negative: the share of candidates with the less usual sign.
        shares: of the candidates of a constant that is added to a column, or multiplies one within a periodic
            function, so many are within the column's range, or evenly spread over frequencies.

    Round numbers.
    """

    decades: tuple[float, float, float] = (3.0, 2.0, 1.5)
    exponent: float = 6.0
    negative: float = 0.3
    shares: float = 0.5


_SPREAD = Spread()


@dataclass(frozen=True)
class Scale:
    """Where a constant may lie: about ``size``, and evenly from ``low`` to ``high`` if these are given."""

    size: float = 1.0
    low: float = 0.0
    high: float = 0.0
    exponent: bool = False


def scales(form: Form, root: int, columns: Sequence[Tensor], y: Tensor) -> list[Scale]:
    """The scale of each constant.

    Args:
        form: whose constants.
        root: the operation that gives ``y``.
        columns: ``[S]`` each.
        y: ``[S]``.
    """
    depends = form.depends()
    ranges = _ranges(form, root, columns, depends)
    sizes = _sizes(form, root, ranges)
    wanted: list[float | None] = [None] * (root + 1)
    periodic = [False] * (root + 1)
    found: list[Scale | None] = [None] * len(form.constants)
    wanted[root] = _typical(y)
    for place in range(root, -1, -1):
        one, size = form.operations[place], wanted[place]
        if size is None or not depends[place]:
            continue
        if one.kind == "constant":
            if found[one.value] is None:
                found[one.value] = Scale(_clipped(size))
            continue
        for part, other in _pairs(one.parts):
            if not depends[part]:
                continue
            more = _wanted(one.kind, one.value, size, None if other is None else sizes[other], part == one.parts[0])
            wanted[part] = more if wanted[part] is None else wanted[part]
            periodic[part] = periodic[part] or periodic[place] or (one.kind == "call" and one.value in _PERIODIC)
            inner = form.operations[part]
            if inner.kind == "constant" and other is not None and found[inner.value] is None:
                found[inner.value] = _beside(
                    one.kind, part == one.parts[0], more, ranges[other], periodic[place], len(y)
                )
    return [one or Scale() for one in found]


def _pairs(parts: tuple[int, ...]) -> list[tuple[int, int | None]]:
    return [(parts[0], None)] if len(parts) == 1 else [(parts[0], parts[1]), (parts[1], parts[0])]


def _beside(kind: str, first: bool, size: float, other: tuple[float, float] | None, periodic: bool, rows: int) -> Scale:
    """The scale of a constant that has a part beside it in an operation; that part's range if it is known."""
    if kind == "power" and not first:
        return Scale(1.0, exponent=True)
    if other is None:
        return Scale(_clipped(size))
    low, high = other
    if kind == "add":
        # Where the sum is zero: the place of a threshold, a pole or a vertex.
        return Scale(_clipped(size), -high, -low)
    width = high - low
    if kind == "multiply" and periodic and width > 0:
        # Up to two rows in a period, evenly: a frequency is found only from nearby.
        return Scale(_clipped(size), 0.0, math.pi * rows / width)
    return Scale(_clipped(size))


def _wanted(kind: str, value: object, size: float, other: float | None, first: bool) -> float:
    """The size that a part of an operation should have, so that its value has a size, beside another part."""
    if kind == "add":
        return size if other is None else other
    if kind == "multiply":
        return size / other if other else size
    if kind == "divide":
        if first:
            return size * other if other else size
        return other / size if other else 1 / size
    if kind == "power":
        if not first:
            return 1.0
        exponent = other if other else 1.0
        return float(_clipped(size) ** (1 / exponent))
    if kind == "negate":
        return size
    return 1.0


def _clipped(size: float) -> float:
    """A size that leaves some decades to both sides within double precision. Round numbers."""
    return min(max(size, 1e-100), 1e100) if math.isfinite(size) else 1.0


def _ranges(form: Form, root: int, columns: Sequence[Tensor], depends: list[bool]) -> list[tuple[float, float] | None]:
    """The least and the largest value of each operation without constants."""
    zeros = columns[0].new_zeros(1, len(form.constants))
    found: list[tuple[float, float] | None] = []
    for place in range(root + 1):
        values = None if depends[place] else form.values(columns, zeros, place)[0]
        kept = None if values is None else values[values.isfinite()]
        found.append(None if kept is None or not len(kept) else (float(kept.min()), float(kept.max())))
    return found


def _sizes(form: Form, root: int, ranges: list[tuple[float, float] | None]) -> list[float | None]:
    """The size of each operation as far as it is known: of sums that of a known part, exponents taken as one."""
    found: list[float | None] = []
    for place in range(root + 1):
        one = form.operations[place]
        parts = [found[part] for part in one.parts]
        limits = ranges[place]
        if limits is not None:
            size: float | None = max(abs(limits[0]), abs(limits[1])) or None
            if one.kind == "number":
                size = abs(float(one.value)) or None
        elif one.kind == "add":
            known = [part for part in parts if part]
            size = max(known) if known else None
        elif one.kind == "negate":
            size = parts[0]
        elif one.kind in ("multiply", "divide") and None not in parts:
            first, second = float(parts[0] or 1), float(parts[1] or 1)
            size = first * second if one.kind == "multiply" else first / second
        elif one.kind == "power" and parts[0]:
            exponent = form.operations[one.parts[1]]
            size = _clipped(parts[0]) ** float(exponent.value) if exponent.kind == "number" else parts[0]
        elif one.kind == "call":
            size = 1.0
        else:
            size = None
        found.append(None if size is None else _clipped(size))
    return found


def _typical(y: Tensor) -> float:
    kept = y[y.isfinite()].abs()
    return _clipped(float(kept.median()) or float(kept.max()) or 1.0) if len(kept) else 1.0


def candidates(
    scale: Sequence[Scale],
    bounds: Sequence[tuple[float, float]],
    start: Mapping[int, float],
    count: int,
    seed: int,
) -> Tensor:
    """Start values ``[count, P]`` of the constants that are searched for.

    Args:
        scale: of each.
        bounds: least and largest value of each; infinite where there are none.
        start: values that were given, by place: half of the candidates have them.
        count: how many.
        seed: of the sequence.
    """
    dimension = len(scale)
    if dimension == 0:
        return torch.zeros(1, 0, dtype=torch.float64)
    engine = torch.quasirandom.SobolEngine(2 * dimension, scramble=dimension > 1, seed=seed)  # type: ignore[no-untyped-call]
    # Of one constant an even lattice is better than any sequence.
    if dimension == 1:
        even = (torch.arange(count // 2, dtype=torch.float64) + 0.5) / (count // 2)
        shares = torch.cat([torch.stack([even, torch.full_like(even, side)], -1) for side in (0.2, 0.8)])
    else:
        shares = engine.draw(count, dtype=torch.float64)
    decades = _SPREAD.decades[min(dimension, 4) // 2]
    made = torch.stack(
        [
            _spread(one, limits, shares[:, 2 * n], shares[:, 2 * n + 1], decades)
            for n, (one, limits) in enumerate(zip(scale, bounds, strict=True))
        ],
        -1,
    )
    # At the sizes themselves, with all signs plus: the middle of the lattice.
    middle = torch.tensor([one.size for one in scale], dtype=torch.float64)
    lower, upper = torch.tensor(bounds, dtype=torch.float64).unbind(-1)
    made = torch.cat([middle[None], made]).clamp(lower, upper)
    if start:
        places, values = list(start), torch.tensor(list(start.values()), dtype=torch.float64)
        # The first, and every second one: the constants that were not given are spread all the same.
        made[::2, places] = values
    return made


def _spread(scale: Scale, limits: tuple[float, float], share: Tensor, side: Tensor, decades: float) -> Tensor:
    """Values ``[count]`` of one constant from two coordinates in [0, 1]."""
    low, high = limits
    if math.isfinite(low) and math.isfinite(high):
        logarithmic = low > 0 and high > 100 * low
        return low * (high / low) ** share if logarithmic else low + (high - low) * share
    even = 2 * share - 1
    value = _SPREAD.exponent**even if scale.exponent else scale.size * 10 ** (decades * even)
    sign = torch.where(side % _SPREAD.shares < _SPREAD.shares * (1 - _SPREAD.negative), 1.0, -1.0)
    value = sign * value
    if scale.high > scale.low:
        # A margin of a tenth of the range to both sides, since a vertex may lie beside the rows. A round number.
        margin = 0.1 * (scale.high - scale.low) if scale.low < 0 or scale.high < 0 else 0.0
        even = scale.low - margin + (scale.high - scale.low + 2 * margin) * share
        value = torch.where(side < _SPREAD.shares, even, value)
    if math.isfinite(low):
        return low + (value - low).abs()
    if math.isfinite(high):
        return high - (value - high).abs()
    return value
