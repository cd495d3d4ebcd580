"""One network in a search: what it is, and how far its training came."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

from superpose.data import Dataset
from superpose.nn.model import KAN
from superpose.nn.products import Width
from superpose.train import input_sums
from superpose.train.input_sums import Sums
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
    """

    hidden: Hidden
    degree: int
    sums: Sums | None = None

    def widths(self, n_features: int, n_targets: int) -> list[Width]:
        """Nodes of each layer."""
        first: Hidden = () if self.sums is None else (len(self.sums),)
        return [n_features, *first, *self.hidden, n_targets]


class Entrant:
    """One network in the search: its training, and how far it came."""

    def __init__(self, form: Form, data: Dataset, seed: int, time_limit: float) -> None:
        self.form, self.seed = form, seed
        widths = form.widths(data.n_features, data.n_targets)
        model = KAN(widths, grid_size=FIRST_GRID, degree=form.degree, seed=seed)
        if form.sums is not None:
            input_sums.compute(model.layer(0), form.sums)
        settings = FitSettings(starts=4 if len(widths) > 2 else 1, time_limit=time_limit, seed=seed, progress=False)
        self.run = Run(model, data, "lm", settings, None)
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
        other.run.settings = replace(self.run.settings, split="samples")
        return other

    def constants(self, size: int) -> int:
        """Free constants on a grid."""
        total = 0
        for layer in self.run.model.kan_layers():
            total += int(layer.spline_mask().sum()) * (size + layer.degree + (layer.base != "none"))
            total += 0 if layer.symbolic is None else int((~layer.symbolic.held).sum())
        return total

    def sums(self) -> Sums | None:
        """The sums in which inputs enter the function, as far as this network tells."""
        return input_sums.found_in(self.run.slopes(), self.error)
