"""Collocation points: where the residuals of a problem are evaluated during a run."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from superpose.nn.model import KAN
from superpose.tasks.pde.equations import Term
from superpose.tasks.pde.problem import Problem, Residual
from superpose.tasks.pde.regions import Region

# Points to draw from, for each point that moves to where residuals are large. A round number; nothing was measured.
_CANDIDATES = 6
# Seeds of one stage's points and of its candidates: primes, so that stages and candidates of different runs with seeds
# that follow one another do not share points.
_STAGE_STRIDE, _CANDIDATE_OFFSET = 31, 17
# The stage of the points at which the final losses are measured; no schedule has as many grids.
_FRESH_STAGE = 1 << 20


@dataclass(frozen=True)
class Collocation:
    """The points of one run.

    Attributes:
        problem: whose residuals are evaluated.
        points: of all regions together for each free constant of the model, at least.
        resample: share of the points that are drawn where residuals are large.
        seed: of the points.
        generator: of the choice among candidates.
    """

    problem: Problem
    points: float
    resample: float
    seed: int
    generator: torch.Generator

    def draw(self, model: KAN, stage: int) -> list[Term]:
        """Points for a stage; from the second stage on, a share of them where the model's residuals are large.

        Each region gets at least the count of its residual. Where the model has many constants, all regions get more
        points in the same proportion.
        """
        wanted = math.ceil(self.points * model.parameter_count())
        drawn = [residual.count for residual in self.problem.residuals if isinstance(residual.where, Region)]
        factor = max(1.0, wanted / max(1, sum(drawn)))
        return [
            self._term(model, residual, stage, math.ceil(factor * residual.count), self.resample if stage else 0.0)
            for residual in self.problem.residuals
        ]

    def fresh(self, model: KAN) -> list[Term]:
        """Points that no stage used."""
        return [self._term(model, residual, _FRESH_STAGE, residual.count, 0.0) for residual in self.problem.residuals]

    def _term(self, model: KAN, residual: Residual, stage: int, count: int, resample: float) -> Term:
        seed = self.seed + _STAGE_STRIDE * stage
        # Sobol points are best balanced in powers of two, but any number of them is better than independent ones.
        points = self.problem.points(residual, seed, count).to(model.input_center)
        moved = math.floor(resample * count)
        if isinstance(residual.where, Region) and moved:
            candidates = self.problem.points(residual, seed + _CANDIDATE_OFFSET, _CANDIDATES * count)
            candidates = candidates.to(model.input_center)
            with torch.no_grad():
                value, _ = self.problem.evaluate(residual, model, candidates)
            size = value.square().sum(1).sqrt()
            # In proportion to the residual, as in residual-based adaptive distribution (C. Wu et al. 2023).
            chosen = torch.multinomial((size + 1e-300).cpu(), moved, generator=self.generator)
            points = torch.cat([points[: count - moved], candidates[chosen.to(candidates.device)]])
        return Term(residual, points, residual.weight)
