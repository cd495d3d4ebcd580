"""Which symbolic function is this curve? ``c * f(a * x + b) + d`` fitted for every ``f`` at once.

``c`` and ``d`` are linear and follow from ``a`` and ``b`` (variable projection, G. Golub and V. Pereyra, 1973), so a
coarse search over ``a, b`` and a few Gauss-Newton steps from its best points do. The coarse search is over where
``a * x + b`` begins and ends while ``x`` runs through its range, which treats every function alike, also those that
a person registered.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from superpose.data.sampling import evenly_by_rank
from superpose.formulas import selection
from superpose.nn.symbolic_functions import SymbolicFunction
from superpose.optim.damping import adjusted

SIMPLICITY = selection.WEIGHTS.curve
_COARSE_SAMPLES, _FINE_SAMPLES = 48, 256
# So many functions, the best after a few steps, are fitted to the end.
_FINISHED = 10


@dataclass(frozen=True)
class Candidate:
    """A symbolic function fitted to an edge.

    Attributes:
        name: of the function in :func:`superpose.library`.
        constants: ``a, b, c, d`` of ``c * f(a * x + b) + d``, in the layer's scaled units.
        r2: share of the edge's variance that it explains.
        complexity: of the function.
        score: what candidates are ranked by, lower is better: log10(1 - r2) + ``simplicity`` * complexity.
    """

    name: str
    constants: tuple[float, float, float, float]
    r2: float
    complexity: int
    score: float


def _turning_points() -> Tensor:
    # Denser below 1, where the domains of arcsin and arctanh end and most of their bend lies.
    small = [1e-6, 1e-4, 1e-3, 1e-2, 0.03, 0.1, 0.2, 0.35, 0.5, 0.75, 0.9, 0.98]
    large = [1.0, 1.4, 1.8, 2.3, 3.0, 4.0, 5.0, 6.2, 7.5, 9.0, 11.0, 13.0, 16.0, 20.0, 25.0]
    positive = torch.tensor(small + large, dtype=torch.float64)
    return torch.cat([-positive.flip(0), torch.zeros(1, dtype=torch.float64), positive])


def _project(values: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Best ``c, d`` for each row of ``values [.., S]`` against ``y [S]``, and the unexplained share of variance."""
    centred = values - values.mean(-1, keepdim=True)
    target = y - y.mean()
    power = centred.square().sum(-1)
    cross = (centred * target).sum(-1)
    c = cross / power.clamp(min=torch.finfo(y.dtype).tiny)
    left = (target - c[..., None] * centred).square().sum(-1) / target.square().sum()
    # A function that is flat to rounding over the range explains nothing.
    flat = power <= 1e-20 * (values.square().sum(-1) + 1e-300)
    left = torch.where(torch.isfinite(left) & ~flat, left, torch.inf)
    return c, y.mean() - c * values.mean(-1), left


def _coarse(function: SymbolicFunction, u: Tensor, y: Tensor, keep: int) -> Tensor:
    """The best ``(a, b) [keep, 2]`` on the lattice of begins and ends of ``a * u + b``, ``u`` in [-1, 1]."""
    points = _turning_points()
    begin, end = (side.flatten() for side in torch.meshgrid(points, points, indexing="ij"))
    differ = begin != end
    a, b = (end - begin)[differ] / 2, (end + begin)[differ] / 2
    values = function.evaluate(a[:, None] * u + b[:, None])
    _, _, left = _project(values, y)
    best = left.topk(keep, largest=False).indices
    return torch.stack([a[best], b[best]], -1)


def _polish(function: SymbolicFunction, ab: Tensor, u: Tensor, y: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Damped Gauss-Newton on ``a, b`` of several starts ``[K, 2]`` at once; returns them and what they leave."""
    damping = torch.full((len(ab),), 1e-3, dtype=ab.dtype)
    _, _, best = _project(function.evaluate(ab[:, :1] * u + ab[:, 1:]), y)
    for _ in range(steps):
        inner = ab[:, :1] * u + ab[:, 1:]
        values, slopes = function.evaluate(inner), function.derivative(inner)
        c, d, _ = _project(values, y)
        residual = c[:, None] * values + d[:, None] - y
        # Kaufman's variable projection: the columns' parts along the two linear terms are taken out.
        unit = torch.nn.functional.normalize(values - values.mean(-1, keepdim=True), dim=-1)
        first, second = _less(c[:, None] * slopes * u, unit), _less(c[:, None] * slopes, unit)
        move = _solve_pair(first, second, residual, damping)
        trial = ab - move
        _, _, left = _project(function.evaluate(trial[:, :1] * u + trial[:, 1:]), y)
        better = left < best
        ab = torch.where(better[:, None], trial, ab)
        best = torch.where(better, left, best)
        damping = adjusted(damping, better)
    return ab, best


def _less(column: Tensor, unit: Tensor) -> Tensor:
    centred = column - column.mean(-1, keepdim=True)
    return centred - (centred * unit).sum(-1, keepdim=True) * unit


def _solve_pair(first: Tensor, second: Tensor, residual: Tensor, damping: Tensor) -> Tensor:
    """The damped least-squares step ``[K, 2]`` for two Jacobian columns ``[K, S]``."""
    p, q, r = (first * first).sum(-1), (first * second).sum(-1), (second * second).sum(-1)
    floor = 1e-12 * torch.maximum(p, r) + 1e-300
    p, r = p + damping * (p + floor) + floor, r + damping * (r + floor) + floor
    g, h = (first * residual).sum(-1), (second * residual).sum(-1)
    determinant = p * r - q * q
    return torch.nan_to_num(torch.stack([r * g - q * h, p * h - q * g], -1) / determinant[:, None], 0.0, 0.0, 0.0)


def _samples(x: Tensor, y: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """At most ``count`` samples, spaced evenly over their ranks in ``x``."""
    order = evenly_by_rank(x, count)
    return x[order], y[order]


@torch.no_grad()
def fit_curve(
    x: Tensor,
    y: Tensor,
    functions: Mapping[str, SymbolicFunction],
    *,
    simplicity: float = SIMPLICITY,
    only: Sequence[str] | None = None,
) -> list[Candidate]:
    """Every function that can be fitted to samples ``x, y [S]`` of a curve, best first.

    Memory grows with the number of lattice points times 48 samples, whatever ``S`` is.
    """
    x, y = x.detach().double().cpu(), y.detach().double().cpu()
    middle, half = (x.max() + x.min()) / 2, (x.max() - x.min()) / 2
    spread = float(y.std(correction=0))
    chosen = {name: functions[name] for name in (only or functions)}
    if not spread > 1e-12 * (1 + float(y.abs().max())) or not float(half) > 0:
        zero = chosen.get("0")
        return [] if zero is None else [Candidate("0", (1.0, 0.0, 0.0, float(y.mean())), 1.0, 0, 0.0)]
    u = (x - middle) / half
    coarse_u, coarse_y = _samples(u, y, _COARSE_SAMPLES)
    fine_u, fine_y = _samples(u, y, _FINE_SAMPLES)
    polished: dict[str, tuple[Tensor, Tensor]] = {}
    for name, function in chosen.items():
        if name == "0":
            continue
        if name == "x":
            ab = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
            polished[name] = ab, _project(fine_u[None], fine_y)[2]
            continue
        polished[name] = _polish(function, _coarse(function, coarse_u, coarse_y, keep=4), fine_u, fine_y, 3)
    hopeful = sorted(polished, key=lambda name: _score(float(polished[name][1].min()), chosen[name], simplicity))
    found = []
    if "0" in chosen:
        constants = (1.0, 0.0, 0.0, float(y.mean()))
        found.append(Candidate("0", constants, 0.0, 0, _score(1.0, chosen["0"], simplicity)))
    for place, name in enumerate(hopeful):
        function, (ab, left) = chosen[name], polished[name]
        if name != "x" and place < _FINISHED:
            ab, left = _polish(function, ab, fine_u, fine_y, 10)
        pick = int(left.argmin())
        if not bool(torch.isfinite(left[pick])):
            continue
        c, d, _ = _project(function.evaluate(ab[:, :1] * fine_u + ab[:, 1:]), fine_y)
        a, b = float(ab[pick, 0] / half), float(ab[pick, 1] - ab[pick, 0] * middle / half)
        score = _score(float(left[pick]), function, simplicity)
        constants = (a, b, float(c[pick]), float(d[pick]))
        found.append(Candidate(name, constants, 1 - float(left[pick]), function.complexity, score))
    return sorted(found, key=lambda candidate: candidate.score)


def _score(left: float, function: SymbolicFunction, simplicity: float) -> float:
    return selection.score(math.sqrt(left), function.complexity, floor=selection.FLOORS.curve, weight=simplicity)
