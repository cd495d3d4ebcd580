"""How smooth each edge is to be, found from the data: a strength of the roughness penalty for every edge.

The penalty of an edge is a sum over the interior knots of its spline, of the squared jump of its highest derivative
there, which says how far the curve is from one polynomial; so polynomials cost nothing on uneven knots either, such as
those of hidden layers. A knot beside which few samples lie is penalised more: ends of a hidden node's range, which are
reached from a corner of the data only, go on as the polynomials beside them instead of following single samples.

The strengths are those under which the data are most probable, by MacKay's fixed point: with ``gamma`` the number of
directions of an edge that the data determine and not the penalty, the strength is ``gamma / |D theta|^2`` in units of
the residuals' variance, so that it fades as the errors do.

Sources: D. MacKay, *Bayesian interpolation*, Neural Computation 4 (1992), section 4; F. Foresee and M. Hagan,
*Gauss-Newton approximation to Bayesian learning* (1997), for its use inside Levenberg-Marquardt. The weights for knots
with few samples are ours; docs/lab/training.md has the measurements.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from superpose.optim import penalty
from superpose.optim.gauss_newton import Quadratic
from superpose.optim.parameters import Parameters
from superpose.spline import grid

Edge = tuple[int, int, int]


@dataclass(frozen=True)
class _Strengths:
    """Bounds of the strengths, in units of the targets' variance. Round numbers; sensitivity was not measured.

    Attributes:
        first: before the errors are known: a polynomial is preferred only where samples do not decide.
        smallest, largest: at ``smallest`` the penalty is below rounding, at ``largest`` the edge is one polynomial.
        stride: most that one update changes a strength by. MacKay's fixed point is for a linear model; far from the
            solution it overshoots.
        max_weight: of a knot, (mean samples in an interval / samples beside the knot)^2. At this bound the weight is
            that of a knot with no sample beside it among 500 in a mean interval.
    """

    first: float = 1e-9
    smallest: float = 1e-20
    largest: float = 1e6
    stride: float = 30.0
    max_weight: float = 1e6


_STRENGTHS = _Strengths()


@dataclass(frozen=True)
class _Part:
    """One edge's penalty at strength 1, and the number of directions that it holds."""

    edge: Edge
    start: int
    matrix: Tensor
    rank: int

    @property
    def where(self) -> slice:
        return slice(self.start, self.start + self.matrix.shape[0])


class Smoothness:
    """The roughness of all spline edges of a model.

    Args:
        parameters: of the model.
        x: ``[B, n_in]`` scaled samples.
        strengths: of the edges, from an earlier grid.
        hold_unseen: leave knots without samples on either side alone, so that coefficients that no sample moves stay
            where an earlier fit left them.
        stiff: differences of the coefficients instead of jumps: on uneven knots polynomials cost a little too, which
            serves where samples say little.
    """

    def __init__(
        self,
        parameters: Parameters,
        x: Tensor,
        strengths: dict[Edge, float] | None = None,
        *,
        hold_unseen: bool = False,
        stiff: bool = False,
    ) -> None:
        self._parts = _parts(parameters, x, hold_unseen, stiff)
        known = strengths or {}
        self.strengths = {part.edge: known.get(part.edge, _STRENGTHS.first) for part in self._parts}

    def terms(self) -> list[Quadratic]:
        """The penalties at the present strengths."""
        return [Quadratic(part.start, part.matrix * self.strengths[part.edge]) for part in self._parts]

    def update(
        self, normal: Tensor, theta: Tensor, loss: float, residuals: int, *, dispersion: float | None = None
    ) -> bool:
        """Move the strengths one step towards those that make the data most probable.

        Args:
            normal: ``[P, P]``, ``J^T J`` of the mean of squares, penalties included.
            theta: ``[P]``, the parameters at which it was taken.
            loss: mean squared residual.
            residuals: how many there are.
            dispersion: their variance if it is known; found from the loss otherwise.

        Returns:
            Whether anything changed: not where the matrix is singular to working precision.
        """
        diagonal = normal.diagonal()
        # Directions along which nothing changes (the scale between two layers) are no evidence of anything.
        ridge = 1e-12 * (diagonal + diagonal.max())
        factor, failed = torch.linalg.cholesky_ex(normal + torch.diag(ridge))
        if int(failed) or not self._parts:
            return False
        covariance = torch.cholesky_inverse(factor)
        held = {
            part.edge: min(
                float((covariance[part.where, part.where] * part.matrix).sum()) * self.strengths[part.edge],
                float(part.rank),
            )
            for part in self._parts
        }
        free = len(theta) - sum(held.values())
        # As many constants as residuals leave no errors to learn from.
        variance = loss / max(residuals - free, 0.1 * residuals) if dispersion is None else dispersion / residuals
        for part in self._parts:
            d = theta[part.where]
            bend = max(float(d @ part.matrix @ d), 1e-300)
            old = self.strengths[part.edge]
            new = max(part.rank - held[part.edge], 0.1) * variance / bend
            low, high = (
                max(old / _STRENGTHS.stride, _STRENGTHS.smallest),
                min(old * _STRENGTHS.stride, _STRENGTHS.largest),
            )
            self.strengths[part.edge] = min(max(new, low), high)
        return True


@torch.no_grad()
def _parts(parameters: Parameters, x: Tensor, hold_unseen: bool, stiff: bool) -> list[_Part]:
    parts: list[_Part] = []
    made: dict[tuple[int, int], Tensor] = {}
    inputs = penalty.layer_inputs(parameters, x)
    for n, layer, i, o, where in penalty.edges(parameters):
        count = layer.spline_coefficients.shape[1]
        order = min(layer.degree + 1, count - 1)
        if order < 1:
            continue
        if (n, i) not in made:
            if stiff or order < layer.degree + 1:
                difference = torch.diff(torch.eye(count, dtype=x.dtype, device=x.device), n=order, dim=0)
            else:
                difference = jumps(layer.knots[i], layer.degree)
            if order == layer.degree + 1:
                points = grid.breakpoints(layer.knots[i : i + 1], layer.degree)[0]
                weights = knot_weights(points, inputs[n][:, i], hold_unseen=hold_unseen)
                difference = difference * weights.sqrt()[:, None]
            made[n, i] = difference.T @ difference
        parts.append(_Part((n, i, o), where.start, made[n, i], count - order))
    return parts


def jumps(knots: Tensor, degree: int) -> Tensor:
    """How far a spline is from one polynomial at each interior knot, ``[G - 1, R]`` by its coefficients.

    The jump of the derivative of order ``degree`` there, times the mean width of the intervals beside the knot to that
    power: on even knots the difference of order ``degree + 1`` of the coefficients.

    >>> jumps(torch.arange(6.0), 1)
    tensor([[ 1., -2.,  1.,  0.],
            [ 0.,  1., -2.,  1.]])
    """
    rows = torch.eye(len(knots) - degree - 1, dtype=knots.dtype, device=knots.device)
    for order in range(degree):
        left = degree - order
        inner = knots[1 + order : len(knots) - 1 - order]
        rows = left * rows.diff(dim=0) / (inner[left:] - inner[:-left])[:, None]
    points = knots[degree : len(knots) - degree]
    return rows.diff(dim=0) * ((points[2:] - points[:-2]) / 2).pow(degree)[:, None]


def knot_weights(points: Tensor, h: Tensor, *, hold_unseen: bool = False) -> Tensor:
    """How much a bend at each interior knot costs, ``[G - 1]``: 1 where samples are many, more where few lie beside it.

    Args:
        points: ``[G + 1]`` ends of the intervals.
        h: ``[B]`` samples.
        hold_unseen: 0 where there are none.
    """
    size = len(points) - 1
    counts = grid.counts(points[None], h[:, None])[0]
    beside = torch.minimum(counts[:-1], counts[1:])
    weights = (len(h) / size / beside.clamp(min=0.5)).clamp(min=1).square().clamp(max=_STRENGTHS.max_weight)
    if hold_unseen:
        # The differences at a knot move all curves that are not zero beside it, on either side.
        weights = torch.where(beside > 0, weights, 0.0)
    return weights
