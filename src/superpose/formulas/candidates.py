"""The symbolic functions closest to a curve: ``c * f(a * x + b) + d`` is fitted for every function ``f`` at once.

Given ``a`` and ``b``, the best ``c`` and ``d`` follow by linear least squares (variable projection, G. Golub and
V. Pereyra, 1973). So only ``a`` and ``b`` are searched: on a lattice first, then by a few Gauss-Newton steps from its
best points. The lattice is one of endpoints, the values of ``a * x + b`` at both ends of the range of ``x``. It suits
every function alike, those that a user registered too, because where a function bends is a property of its argument.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from superpose.data.sampling import evenly_by_rank
from superpose.deadline import Deadline
from superpose.formulas import selection
from superpose.nn.symbolic_functions import SymbolicFunction
from superpose.optim.damping import adjusted

# Decades of unexplained variance that a unit of complexity is worth; the default of the option ``simplicity``.
SIMPLICITY = selection.WEIGHTS.curve


@dataclass(frozen=True)
class _Search:
    """Effort of :func:`fit_curve`: all functions coarsely, then the best of them finely.

    Round numbers: every function of the library is found in its own samples with them, whatever its constants
    (``tests/formulas/test_candidates.py``). Smaller efforts were not measured.

    Attributes:
        coarse_samples: samples of the curve on the lattice; memory grows with it.
        samples: for everything after the lattice.
        starts: points of the lattice from which each function is fitted,
        first_steps: by this many Gauss-Newton steps.
        finished: this many functions, the best so far,
        last_steps: take this many further steps.
    """

    coarse_samples: int = 48
    samples: int = 256
    starts: int = 4
    first_steps: int = 3
    finished: int = 10
    last_steps: int = 10


_SEARCH = _Search()
# Positive endpoints of the lattice. They are denser below 1, where the domains of arcsin and arctanh have their limit
# and where these functions bend most. Set by hand: with these endpoints every function of the library is found
# (see ``_Search``).
_ENDPOINTS = (
    *(1e-6, 1e-4, 1e-3, 1e-2, 0.03, 0.1, 0.2, 0.35, 0.5, 0.75, 0.9, 0.98),
    *(1.0, 1.4, 1.8, 2.3, 3.0, 4.0, 5.0, 6.2, 7.5, 9.0, 11.0, 13.0, 16.0, 20.0, 25.0),
)


@dataclass(frozen=True)
class Candidate:
    """A symbolic function fitted to the curve of an edge.

    Attributes:
        name: of the function in :func:`superpose.library`.
        constants: ``a, b, c, d`` of ``c * f(a * x + b) + d``, in the layer's scaled units.
        r2: share of the curve's variance that it explains.
        complexity: of the function; 1 for a straight line.
        score: by which candidates are ranked, less is better: log10(1 - r2) + ``simplicity`` * complexity.
    """

    name: str
    constants: tuple[float, float, float, float]
    r2: float
    complexity: int
    score: float


def _project(values: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Best ``c, d`` for each row of ``values [.., S]`` against ``y [S]``, and the unexplained share of variance."""
    centred = values - values.mean(-1, keepdim=True)
    target = y - y.mean()
    power = centred.square().sum(-1)
    cross = (centred * target).sum(-1)
    c = cross / power.clamp(min=torch.finfo(y.dtype).tiny)
    left = (target - c[..., None] * centred).square().sum(-1) / target.square().sum()
    # A function that varies by less than 1e-10 of its size is constant up to rounding, and explains nothing.
    constant = power <= 1e-20 * (values.square().sum(-1) + 1e-300)
    left = torch.where(torch.isfinite(left) & ~constant, left, torch.inf)
    return c, y.mean() - c * values.mean(-1), left


def _lattice_search(function: SymbolicFunction, u: Tensor, y: Tensor, keep: int) -> Tensor:
    """The best ``(a, b) [keep, 2]`` on the lattice of endpoints of ``a * u + b``, for ``u`` in [-1, 1]."""
    positive = torch.tensor(_ENDPOINTS, dtype=torch.float64)
    points = torch.cat([-positive.flip(0), positive.new_zeros(1), positive])
    low, high = (side.flatten() for side in torch.meshgrid(points, points, indexing="ij"))
    differ = low != high
    a, b = (high - low)[differ] / 2, (high + low)[differ] / 2
    values = function.evaluate(a[:, None] * u + b[:, None])
    _, _, left = _project(values, y)
    best = left.topk(keep, largest=False).indices
    return torch.stack([a[best], b[best]], -1)


def _gauss_newton(function: SymbolicFunction, ab: Tensor, u: Tensor, y: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Damped Gauss-Newton steps on ``a, b`` from several starts ``[K, 2]`` at once, with ``c`` and ``d`` projected out.

    Returns:
        The points reached ``[K, 2]`` and their unexplained shares of the variance ``[K]``.
    """
    # The start that Numerical Recipes (section 15.5) gives; not compared with others.
    damping = torch.full((len(ab),), 1e-3, dtype=ab.dtype)
    _, _, best = _project(function.evaluate(ab[:, :1] * u + ab[:, 1:]), y)
    for _ in range(steps):
        inner = ab[:, :1] * u + ab[:, 1:]
        values, slopes = function.evaluate(inner), function.derivative(inner)
        c, d, _ = _project(values, y)
        residual = c[:, None] * values + d[:, None] - y
        # L. Kaufman's approximation (1975): the Jacobian loses its components along the two linear terms.
        unit = torch.nn.functional.normalize(values - values.mean(-1, keepdim=True), dim=-1)
        first, second = _orthogonal(c[:, None] * slopes * u, unit), _orthogonal(c[:, None] * slopes, unit)
        move = _solve_pair(first, second, residual, damping)
        trial = ab - move
        _, _, left = _project(function.evaluate(trial[:, :1] * u + trial[:, 1:]), y)
        better = left < best
        ab = torch.where(better[:, None], trial, ab)
        best = torch.where(better, left, best)
        damping = adjusted(damping, better)
    return ab, best


def _orthogonal(column: Tensor, unit: Tensor) -> Tensor:
    """The part of columns ``[K, S]`` that is orthogonal to a constant and to unit vectors ``[K, S]``."""
    centred = column - column.mean(-1, keepdim=True)
    return centred - (centred * unit).sum(-1, keepdim=True) * unit


def _solve_pair(first: Tensor, second: Tensor, residual: Tensor, damping: Tensor) -> Tensor:
    """The damped least-squares step ``[K, 2]`` for two Jacobian columns ``[K, S]``."""
    p, q, r = (first * first).sum(-1), (first * second).sum(-1), (second * second).sum(-1)
    # Beside the larger column a column this small is rounding; 1e-300 where both vanish. Round numbers.
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
    deadline: Deadline | None = None,
) -> list[Candidate]:
    """Every function that can be fitted to samples of a curve, best first.

    Memory grows with the number of lattice points times 48 samples, whatever ``S`` is.

    Args:
        x, y: ``[S]``.
        functions: by name.
        simplicity: see :class:`Candidate`.
        only: names of some of the functions; by default all.
        deadline: after which no further function is fitted, if there is one.
    """
    deadline = deadline or Deadline()
    x, y = x.detach().double().cpu(), y.detach().double().cpu()
    middle, half = (x.max() + x.min()) / 2, (x.max() - x.min()) / 2
    wanted = {name: functions[name] for name in (only or functions)}
    zero, mean = wanted.pop("0", None), float(y.mean())
    # A curve that varies by less than 1e-12 of its size is a constant up to rounding.
    if not float(y.std(correction=0)) > 1e-12 * (1 + float(y.abs().max())) or not float(half) > 0:
        return [] if zero is None else [Candidate("0", (1.0, 0.0, 0.0, mean), 1.0, 0, 0.0)]
    u = (x - middle) / half
    coarse_u, coarse_y = _samples(u, y, _SEARCH.coarse_samples)
    fine_u, fine_y = _samples(u, y, _SEARCH.samples)
    fitted: dict[str, tuple[Tensor, Tensor]] = {}
    # A straight line first: it takes no time.
    for name, function in sorted(wanted.items(), key=lambda item: item[0] != "x"):
        if fitted and deadline.passed():
            break
        if name == "x":
            line = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
            fitted[name] = line, _project(fine_u[None], fine_y)[2]
            continue
        starts = _lattice_search(function, coarse_u, coarse_y, _SEARCH.starts)
        fitted[name] = _gauss_newton(function, starts, fine_u, fine_y, _SEARCH.first_steps)
    found = []
    if zero is not None:
        found.append(Candidate("0", (1.0, 0.0, 0.0, mean), 0.0, 0, _score(1.0, zero, simplicity)))
    ranked = sorted(fitted, key=lambda name: _score(float(fitted[name][1].min()), wanted[name], simplicity))
    for place, name in enumerate(ranked):
        function, (ab, left) = wanted[name], fitted[name]
        if name != "x" and place < _SEARCH.finished and not deadline.passed():
            ab, left = _gauss_newton(function, ab, fine_u, fine_y, _SEARCH.last_steps)
        best = int(left.argmin())
        if not bool(torch.isfinite(left[best])):
            continue
        c, d, _ = _project(function.evaluate(ab[:, :1] * fine_u + ab[:, 1:]), fine_y)
        a, b = float(ab[best, 0] / half), float(ab[best, 1] - ab[best, 0] * middle / half)
        constants = (a, b, float(c[best]), float(d[best]))
        unexplained = float(left[best])
        score = _score(unexplained, function, simplicity)
        found.append(Candidate(name, constants, 1 - unexplained, function.complexity, score))
    return sorted(found, key=lambda candidate: candidate.score)


def _score(unexplained: float, function: SymbolicFunction, simplicity: float) -> float:
    return selection.score(math.sqrt(unexplained), function.complexity, floor=selection.FLOORS.curve, weight=simplicity)
