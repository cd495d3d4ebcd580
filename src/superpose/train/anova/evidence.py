"""Penalised least squares whose strengths are those under which the data are most probable.

The coefficients of the design have independent normal priors of mean 0. Their precisions are products of a strength
for each group (main effects and interactions; roughness and size) and a relevance of each column. One step of the
fixed point of Fellner and Schall (S. Wood and M. Fasiolo, *A generalized Fellner-Schall method for smoothing parameter
optimization*, Biometrics 73, 2017) multiplies each strength by what the data say of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from superpose.deadline import charge


@dataclass(frozen=True)
class EvidenceRules:
    """Constants of the fixed point.

    Attributes:
        steps: most steps; it settles in 7 to 40.
        change: of the logarithms of all strengths, below which it has settled. A strength moves the fit by far less.
        relax: a step's power. 1 converges slowly where a strength goes to infinity; 1.5 oscillates nowhere that was
            looked at (22 tables of R's datasets and SRBench).
        stride: most that a step changes a logarithm by.
        least, most: between which the logarithms of strengths stay: below ``least`` the matrix is no longer positive
            definite to working precision.
        doubt: pseudo-observations that hold each column's relevance at that of the others, so that in a table of 30
            rows no column is dropped for the luck of a few. A round number.
        begin: steps before the relevances move.
        least_free: share of the rows that count as free of the fit at least. Far above rounding; a tenth, where there
            are as many coefficients as rows, takes the noise for less than it is, and ends at a fit through all rows.
    """

    steps: int = 40
    change: float = 0.1
    relax: float = 1.5
    stride: float = 3.0
    least: float = -14.0
    most: float = 10.0
    doubt: float = 1.0
    begin: int = 5
    least_free: float = 1e-6


RULES = EvidenceRules()


@dataclass(frozen=True)
class Penalised:
    """What is penalised how: one entry for each of the ``P`` coefficients.

    Attributes:
        roughness: ``[P]``.
        group: ``[P]``, 0 for main effects, 1 for interactions.
        columns: ``[P, 2]``, the columns that a coefficient belongs to; twice the same for a main effect.
        relevance: whether each column has a strength of its own.
    """

    roughness: Tensor
    group: Tensor
    columns: Tensor
    relevance: bool

    @property
    def count(self) -> int:
        """Of columns."""
        return int(self.columns.max()) + 1


@dataclass(frozen=True)
class Solution:
    """A penalised fit.

    Attributes:
        theta: ``[P]`` coefficients.
        precision: ``[P]``, the penalties.
        system: the normal matrix with the penalties, factorised.
        strengths: ``[2, 2]``, logarithms of those of the groups.
        variance: of the residuals.
        effective: number of constants that the data determine, the intercept included.
        log_evidence: logarithm of the marginal likelihood.
    """

    theta: Tensor
    precision: Tensor
    system: System
    strengths: Tensor
    variance: float
    effective: float
    log_evidence: float

    def leverage(self, design: Tensor) -> Tensor:
        """``[N]``: ``x (X^T W X / N + penalties)^-1 x`` for rows of a (centred) design ``[N, P]``."""
        return self.system.quadratic(design)


class System:
    """``X^T W X / N + D`` with diagonal ``D``, factorised by columns or, where these are more, by rows."""

    def __init__(self, rooted: Tensor, normal: Tensor | None, precision: Tensor) -> None:
        """``rooted`` is ``W^(1/2) X / N^(1/2)``, ``[N, P]``; ``normal`` its ``X^T X``, or None to work by rows."""
        self.by_rows = normal is None
        self.precision = precision
        if normal is None:
            self.scaled = rooted / precision
            matrix = self.scaled @ rooted.T
            matrix.diagonal().add_(1.0)
        else:
            matrix = normal + torch.diag(precision)
        self.factor = torch.linalg.cholesky(matrix)

    def solve(self, moment: Tensor) -> Tensor:
        """The inverse times a vector ``[P]``."""
        if not self.by_rows:
            return torch.cholesky_solve(moment[:, None], self.factor)[:, 0]
        inner = torch.cholesky_solve((self.scaled @ moment)[:, None], self.factor)[:, 0]
        return moment / self.precision - self.scaled.T @ inner

    def variances(self) -> Tensor:
        """The diagonal ``[P]`` of the inverse."""
        if not self.by_rows:
            identity = torch.eye(len(self.precision), dtype=self.precision.dtype)
            found: Tensor = torch.linalg.solve_triangular(self.factor, identity, upper=False).square().sum(0)
            return found
        half: Tensor = torch.linalg.solve_triangular(self.factor, self.scaled, upper=False)
        return (1 / self.precision - half.square().sum(0)).clamp(min=0)

    def quadratic(self, design: Tensor) -> Tensor:
        """``[M]``: ``x A^-1 x`` for each row of ``design [M, P]``."""
        if not self.by_rows:
            found: Tensor = torch.linalg.solve_triangular(self.factor, design.T, upper=False).square().sum(0)
            return found
        inner: Tensor = torch.linalg.solve_triangular(self.factor, self.scaled @ design.T, upper=False)
        return ((design.square() / self.precision).sum(1) - inner.square().sum(0)).clamp(min=0)

    def log_volume(self) -> float:
        """Logarithm of the ratio of the determinants of the matrix and of the penalties."""
        total = 2 * float(self.factor.diagonal().log().sum())
        return total if self.by_rows else total - float(self.precision.log().sum())


class Strengths:
    """Logarithms of the strengths, and the precisions that they make, none below a floor."""

    def __init__(self, penalised: Penalised, start: Tensor | None, floor: float = 0.0) -> None:
        self.of, self.floor = penalised, floor
        like = penalised.roughness
        # By group and kind, roughness and size; interactions are to be preferred less at first.
        self.log = like.new_tensor([[-7.0, -4.6], [-7.0, 0.0]])
        self.membership = torch.nn.functional.one_hot(penalised.group, 2).to(like.dtype)
        self.used = self.membership.any(0)
        self.kinds = torch.stack([like, torch.ones_like(like)])
        self.relevance = like.new_zeros(penalised.count)
        main = penalised.columns[:, 0] == penalised.columns[:, 1]
        self.owned = torch.nn.functional.one_hot(penalised.columns[:, 0], penalised.count).to(like.dtype)
        self.owned[~main] += torch.nn.functional.one_hot(penalised.columns[~main, 1], penalised.count).to(like.dtype)
        if start is not None:
            self.log = start
        self.refresh()

    def refresh(self) -> None:
        """The precisions ``[P]`` at the present strengths."""
        self.scale = (self.owned @ self.relevance).exp()
        strengths = self.membership @ self.log.exp()
        precision = (strengths[:, 0] * self.kinds[0] + strengths[:, 1]) * self.scale
        self.precision = precision.clamp(min=self.floor)

    def update(self, theta: Tensor, variances: Tensor, noise: float, relevance: bool) -> float:
        """One step; ``variances`` are the diagonal of the inverse matrix, ``noise`` the variance of a row's residual
        over the number of rows. Returns the largest change."""
        parts, squares = self.kinds * self.scale, theta.square()
        told = (parts * (1 / self.precision - variances)) @ self.membership
        size = (parts * squares) @ self.membership
        move = RULES.relax * (noise * told.clamp(min=1e-12) / size.clamp(min=1e-300)).log()
        new = (self.log + move.T.clamp(-RULES.stride, RULES.stride)).clamp(RULES.least, RULES.most)
        change = (new - self.log).abs()[self.used]
        self.log = new
        largest = float(change.max())
        if relevance:
            told_of = (1 - variances * self.precision) @ self.owned
            size_of = (self.precision * squares / noise) @ self.owned
            step = ((told_of.clamp(min=0) + RULES.doubt) / (size_of + RULES.doubt)).log().clamp(-1.5, 1.5)
            moved = (self.relevance + step).clamp(-RULES.most / 2, RULES.most)
            largest = max(largest, float((moved - self.relevance).abs().max()))
            self.relevance = moved
        self.refresh()
        return largest


def step_seconds(size: int, width: int) -> float:
    """Of a step with a matrix ``[size, size]`` whose triangular systems have ``width`` right-hand sides.

    1e10 multiplications a second, and what small matrices cost beside that: round numbers, with which the choice of
    sums for six tables of 20 to 4,000 rows counted between a third of the time by the clock and all of it.
    """
    return 3e-4 + (float(size) ** 3 / 3 + float(size) ** 2 * width) / 1e10


# Squared error of a fit to a target that does not vary, in place of 0.
_NOTHING = 1e-200


def most_probable(
    design: Tensor,
    y: Tensor,
    penalised: Penalised,
    weights: Tensor | None = None,
    start: Tensor | None = None,
    late: Callable[[], bool] = lambda: False,
) -> Solution:
    """Fit the coefficients of a design with the strengths under which the data are most probable.

    Args:
        design: ``[N, P]``, each column of (weighted) mean 0.
        y: ``[N]``, of (weighted) mean 0 and variance about 1.
        penalised: the penalties.
        weights: ``[N]`` of the rows, with mean 1; None for ones.
        start: strengths to begin with, from a fit to similar rows.
        late: whether the time is over: then the strengths stay as they are.
    """
    rows = len(y)
    root = ((torch.ones_like(y) if weights is None else weights) / rows).sqrt()
    rooted = design * root[:, None]
    # By rows where these are fewer: the matrix is then the smaller one.
    normal = None if rows < len(penalised.roughness) else rooted.T @ rooted
    target = y * root
    moment, total = rooted.T @ target, float(target @ target)
    strengths = Strengths(penalised, start)
    begin = RULES.begin if start is None else 1
    # Of a step: the Cholesky factor and the diagonal of the inverse, of coefficients or of rows.
    size, other = sorted((rows, len(penalised.roughness)))
    work = step_seconds(size, other if normal is None else size)
    charge(step_seconds(size, other))
    for number in range(RULES.steps):
        charge(work)
        precision, known = strengths.precision, strengths.log
        system = System(rooted, normal, precision)
        theta = system.solve(moment)
        variances = system.variances()
        error = max(float((target - rooted @ theta).square().sum()), 1e-14 * total, _NOTHING)
        effective = len(theta) - float((variances * precision).sum()) + 1
        free = max(rows - effective, RULES.least_free * rows)
        moves = penalised.relevance and number >= begin
        change = strengths.update(theta, variances, error / free, moves)
        if (change < RULES.change and number > begin) or late():
            break
    variance = rows * error / free
    fit = rows * (error + float((precision * theta.square()).sum())) / variance
    log_evidence = -0.5 * (rows * math.log(2 * math.pi * variance) + fit + system.log_volume())
    return Solution(theta, precision, system, known, variance, effective, log_evidence)
