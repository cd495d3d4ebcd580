"""One network of an architecture search: its architecture, and its training so far."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from superpose.data import Dataset
from superpose.nn.model import KAN
from superpose.nn.products import Width
from superpose.train import endpoint_singularities, input_layer, linear_combinations
from superpose.train.budget import Budget
from superpose.train.candidate_shapes import Hidden
from superpose.train.endpoint_singularities import EndpointSingularity
from superpose.train.linear_combinations import Combinations
from superpose.train.run import Run
from superpose.train.search_rules import RULES
from superpose.train.settings import FitSettings
from superpose.train.state import RunState

# Computes a part of a search, or reads it where the search goes on from a checkpoint: called with its name and with
# what computes it.
StageRunner = Callable[[str, Callable[[], Any]], Any]


@dataclass(frozen=True)
class Architecture:
    """What distinguishes the networks of a search.

    Attributes:
        hidden: the hidden layers.
        degree: of the splines.
        combinations: linear combinations of inputs, which an additional first layer computes; None without.
        singularities: endpoints of inputs, from which that layer computes roots of the distance.
    """

    hidden: Hidden
    degree: int
    combinations: Combinations | None = None
    singularities: tuple[EndpointSingularity, ...] = ()

    def first(self, n_features: int) -> Combinations | None:
        """The linear combinations that an additional first layer computes; None without such a layer."""
        return input_layer.alone(n_features) if self.combinations is None and self.singularities else self.combinations

    def widths(self, n_features: int, n_targets: int) -> list[Width]:
        """Nodes of each layer."""
        first = self.first(n_features)
        return [n_features, *(() if first is None else (len(first),)), *self.hidden, n_targets]


class Trial:
    """One network of the search: its training so far."""

    def __init__(
        self, architecture: Architecture, data: Dataset, seed: int, budget: Budget, stage: StageRunner | None = None
    ) -> None:
        self.architecture, self.seed, self.stage = architecture, seed, stage
        widths = architecture.widths(data.n_features, data.n_targets)
        model = KAN(widths, grid_size=RULES.first_grid, degree=architecture.degree, seed=seed)
        first = architecture.first(data.n_features)
        if first is not None:
            input_layer.compute(model.layer(0), first, architecture.singularities)
        # Without hidden layers all starts end in the same place. Four are a round number.
        settings = FitSettings(starts=4 if len(widths) > 2 else 1, seed=seed, progress=False)
        self.run = Run(model, data, "lm", settings, None, budget)
        self.sizes = self.run.grids()
        self.reached: dict[int, float] = {}
        self.over = False

    @property
    def error(self) -> float:
        """The least validation error so far, in scaled units."""
        return self.run.tracker.best[0]

    def forked(self) -> Trial:
        """Another that goes on from here with grids that are split where samples are."""
        other = copy.copy(self)
        other.run, other.reached = self.run.forked("samples"), dict(self.reached)
        return other

    def constants(self, size: int) -> int:
        """Free constants on a grid."""
        total = 0
        for layer in self.run.model.kan_layers():
            total += int(layer.spline_mask().sum()) * (size + layer.degree + (layer.base != "none"))
            total += 0 if layer.symbolic is None else int((~layer.symbolic.held).sum())
        return total

    def visit(self, size: int) -> None:
        """Train on a grid.

        Raises:
            StopFit: when the time is over.
        """
        if len(self.reached) == 1 and self.architecture.singularities:
            # Trained from the first grid on, endpoints move away before the network fits.
            endpoint_singularities.release(self.run.model.layer(0), self.architecture.singularities)
        self.reached[size] = self._staged(f"{size} intervals", lambda: self.run.visit(size))

    def begin(self) -> None:
        """Make the first grid, and take the best of several starts.

        Raises:
            StopFit: when the time is over.
        """

        def compute() -> float:
            self.run.begin()
            return self.error

        self._staged("the start", compute)

    def _staged(self, what: str, compute: Callable[[], float]) -> float:
        if self.stage is None:
            return compute()
        name = f"{what} of the network {self.run.model.shape} of degree {self.architecture.degree}"
        found: tuple[float, RunState] = self.stage(name, lambda: (compute(), self.run.snapshot()))
        # Also what was just computed, so that a search that goes on takes the same way.
        self.run.restore(found[1])
        return found[0]

    def singularity(self) -> tuple[int, int] | None:
        """The input and the side of the endpoint at which most of this network's error lies, or None."""
        return endpoint_singularities.detect(self.run.tracker.train.x, self.run.tracker.squares())

    def combinations(self) -> Combinations | None:
        """The linear combinations in which inputs enter the function, seen from this network's gradient."""
        return linear_combinations.detect(self.run.tracker.gradients(), self.error)
