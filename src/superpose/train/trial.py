"""One network in a search: what it is, and how far its training came."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

from superpose.data import Dataset
from superpose.nn.model import KAN
from superpose.nn.products import Width
from superpose.train import endpoint_singularities, input_layer, linear_combinations
from superpose.train.budget import Budget
from superpose.train.endpoint_singularities import End
from superpose.train.linear_combinations import Sums
from superpose.train.run import Run
from superpose.train.settings import FitSettings

# Hidden layers, each so many sums or a pair of sums and products.
Hidden = tuple[Width, ...]
FIRST_GRID = 5


@dataclass(frozen=True)
class Form:
    """What tells the networks of a search apart.

    Attributes:
        hidden: the hidden layers.
        degree: of the splines.
        sums: of inputs, which a layer of their own computes before the hidden ones; None without.
        ends: of inputs, from which that layer computes roots of distances.
    """

    hidden: Hidden
    degree: int
    sums: Sums | None = None
    ends: tuple[End, ...] = ()

    def first(self, n_features: int) -> Sums | None:
        """The sums of inputs that the first layer computes; None if that is a hidden one."""
        return input_layer.alone(n_features) if self.sums is None and self.ends else self.sums

    def widths(self, n_features: int, n_targets: int) -> list[Width]:
        """Nodes of each layer."""
        first = self.first(n_features)
        return [n_features, *(() if first is None else (len(first),)), *self.hidden, n_targets]


class Entrant:
    """One network in the search: its training, and how far it came."""

    def __init__(self, form: Form, data: Dataset, seed: int, budget: Budget) -> None:
        self.form, self.seed = form, seed
        widths = form.widths(data.n_features, data.n_targets)
        model = KAN(widths, grid_size=FIRST_GRID, degree=form.degree, seed=seed)
        first = form.first(data.n_features)
        if first is not None:
            input_layer.compute(model.layer(0), first, form.ends)
        settings = FitSettings(starts=4 if len(widths) > 2 else 1, seed=seed, progress=False)
        self.run = Run(model, data, "lm", settings, None, budget)
        self.run.load()
        self.sizes = self.run.grids()
        self.reached: dict[int, float] = {}
        self.over = False

    @property
    def error(self) -> float:
        """The least validation error so far, in scaled units."""
        return self.run.best[0]

    def forked(self) -> Entrant:
        """Another that goes on from here with grids that are split where samples are."""
        other = copy.deepcopy(self)
        other.run.budget = self.run.budget
        other.run.settings = replace(self.run.settings, split="samples")
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
        if len(self.reached) == 1 and self.form.ends:
            # Before there is a fit, they would go anywhere.
            endpoint_singularities.release(self.run.model.layer(0), self.form.ends)
        self.reached[size] = self.run.visit(size)

    def steep_end(self) -> tuple[int, int] | None:
        """The end of an input at which most of this network's error is."""
        return endpoint_singularities.found_in(self.run.train[0], self.run.squares())

    def sums(self) -> Sums | None:
        """The sums in which inputs enter the function, as far as this network tells."""
        return linear_combinations.found_in(self.run.slopes(), self.error)
