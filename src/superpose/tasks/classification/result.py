"""What :func:`superpose.classify` found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from superpose.data import Dataset, Split
from superpose.errors import DataError, OptionError
from superpose.formulas.expressions.compiler import compile_formula
from superpose.formulas.expressions.formula import Formula
from superpose.formulas.from_scores.search import ScoreFormula
from superpose.nn.head import Head
from superpose.nn.model import KAN
from superpose.pareto import pareto_front
from superpose.short_repr import brief
from superpose.tasks.classification import networks
from superpose.tasks.classification.labels import Labelled
from superpose.train.history import History

if TYPE_CHECKING:
    pass


@dataclass
class Classification:
    """What :func:`classify` returns.

    Attributes:
        model: the network; ``model.head`` reads its scores, ``model.labels(table)`` names classes.
        history: of its training.
        formula: of the scores, or None.
        data: what the network was trained on: the columns that it reads, one target for each score.
        labelled: the table as it was given.
        metrics: numbers and facts, ready for JSON.
        formulas: for each score the formulas that were found, the cheapest first; the score of the first class that
            others are compared with has none.
    """

    __repr__ = brief

    model: KAN
    history: History
    formula: Formula | None
    data: Dataset
    labelled: Labelled
    metrics: dict[str, Any]
    formulas: list[list[ScoreFormula]] = field(default_factory=list)

    @property
    def network(self) -> KAN:
        """The spline network; the same as ``model``."""
        return self.model

    @property
    def head(self) -> Head:
        """How scores are read."""
        assert self.model.head is not None
        return self.model.head

    @property
    def symbolic(self) -> KAN | None:
        """The formula as a network with the same head; None if there is no formula, or none that a network can say."""
        if self.formula is None:
            return None
        data = self.data
        try:
            model = compile_formula(self.formula.expressions, data.feature_names, data.target_names, data=data)
        except (DataError, OptionError):
            return None
        model.head = self.head
        return model

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
            found: Tensor = self.model(x)
            return found
        if self.formula is None:
            raise OptionError("there is no formula; ask for the network")
        return self.formula.torch(x)
