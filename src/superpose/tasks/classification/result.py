"""What :func:`superpose.classify` found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from superpose.data import Split
from superpose.errors import OptionError
from superpose.formulas.expressions.formula import Formula
from superpose.formulas.from_scores.search import ScoreFormula
from superpose.nn.head import Head
from superpose.pareto import pareto_front
from superpose.short_repr import brief
from superpose.tasks.classification import networks
from superpose.tasks.classification.labels import Labelled
from superpose.tasks.result import TaskResult


@dataclass
class Classification(TaskResult):
    """What :func:`classify` returns.

    ``network.head`` reads the scores, ``network.labels(table)`` names classes; ``data`` holds the columns that the
    network reads, and one target for each score. ``symbolic`` has the same head.

    Attributes:
        labelled: the table as it was given.
        formulas: for each score the formulas that were found, the cheapest first; the score of the first class that
            others are compared with has none.
    """

    __repr__ = brief

    labelled: Labelled
    formulas: list[list[ScoreFormula]] = field(default_factory=list)

    @property
    def head(self) -> Head:
        """How scores are read."""
        assert self.network.head is not None
        return self.network.head

    @property
    def front(self) -> list[Formula]:
        """Of a classifier with one score, the formulas of its columns that no simpler one surpasses, from simple to
        accurate, and the recommended one; none where there are several scores, whose formulas belong together."""
        if self.formula is None or len(self.formulas) > 1:
            return []
        (found,) = self.formulas
        columns = set(self.data.feature_names)
        usable = [one for one in found if {symbol.name for symbol in one.score.free_symbols} <= columns]
        kept = pareto_front(usable, size=lambda one: one.complexity, error=lambda one: one.deviance, keep=found[0])
        data = self.data
        return [self.formula if one is found[0] else Formula.from_expressions([one.score], data) for one in kept]

    def accuracy(self, split: Split = "test", *, of: Literal["network", "formula"] = "network") -> float:
        """Share of the rows of a split whose class is named; NaN where there are none.

        Raises:
            OptionError: if there is no formula, and it is asked for.
        """
        x, y = self.data.rows(split)
        scores = self.scores(x, of)
        return float((self.head.indices(scores) == networks.seen(self.head, y)).double().mean())

    def cross_entropy(self, split: Split = "test", *, of: Literal["network", "formula"] = "network") -> float:
        """Mean over the rows of a split of minus the logarithm of the probability of their class."""
        x, y = self.data.rows(split)
        return float(self.head(self.scores(x, of), y))

    def says(self) -> str:
        """The formula in words: which class it is, and where.

        Raises:
            OptionError: if there is no formula.
        """
        if self.formula is None:
            raise OptionError("there is no formula; look at the network")
        return self.head.describe(self.formula.short())

    @torch.no_grad()
    def scores(self, x: Tensor, of: str) -> Tensor:
        if of == "network":
            found: Tensor = self.network(x)
            return found
        if self.formula is None:
            raise OptionError("there is no formula; ask for the network")
        return self.formula.torch(x)
