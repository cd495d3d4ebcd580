"""The result of :func:`superpose.classify`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from superpose.data import Split
from superpose.errors import OptionError
from superpose.formulas.expressions.formula import Formula
from superpose.formulas.from_scores.one_score import ScoreFormula
from superpose.nn.likelihood import Head
from superpose.pareto import pareto_front
from superpose.short_repr import brief
from superpose.tasks.classification import networks
from superpose.tasks.classification.labels import ClassificationDataset
from superpose.tasks.result import TaskResult


@dataclass
class Classification(TaskResult):
    """What :func:`classify` returns.

    ``network.head`` reads the scores, ``network.labels(table)`` names classes; ``data`` holds the columns that the
    network reads, and one target for each score. ``symbolic`` has the same head.

    Attributes:
        table: the data set as it was given, with all columns.
        formulas: for each score the formulas that were found, the shortest description first; empty for the reference
            class of a softmax head, whose score is zero.
    """

    __repr__ = brief

    table: ClassificationDataset
    formulas: list[list[ScoreFormula]] = field(default_factory=list)

    @property
    def head(self) -> Head:
        """The likelihood, which turns scores into probabilities of classes."""
        assert self.network.head is not None
        return self.network.head

    @property
    def front(self) -> list[Formula]:
        """For a single score, the Pareto front of its formulas, from simple to accurate, with the recommended one.

        Empty for several scores: their formulas are found together and cannot be exchanged one by one.
        """
        if self.formula is None or len(self.formulas) > 1:
            return []
        (found,) = self.formulas
        columns = set(self.data.feature_names)
        usable = [one for one in found[1:] if {symbol.name for symbol in one.score.free_symbols} <= columns]
        # The size is that of the whole score: its factor takes nodes too.
        listed = [(self.formula, found[0].deviance)]
        listed += [(Formula.from_expressions([one.score], self.data), one.deviance) for one in usable]
        kept = pareto_front(listed, size=lambda one: one[0].complexity, error=lambda one: one[1], keep=listed[0])
        return [formula for formula, _ in kept]

    def accuracy(self, split: Split | None = None, *, of: Literal["network", "formula"] = "network") -> float:
        """Share of the rows of a split whose class is predicted correctly; NaN for an empty split.

        Args:
            split: the test rows if left out, or all where there are none. These were fitted; the metrics have the
                accuracy in cross-validation.

        Raises:
            OptionError: for ``of="formula"`` without a formula.
        """
        x, y = self.data.rows(split or self.data.evaluation_split)
        scores = self.scores(x, of)
        return float((self.head.indices(scores) == networks.observed_classes(self.head, y)).double().mean())

    def cross_entropy(self, split: Split | None = None, *, of: Literal["network", "formula"] = "network") -> float:
        """Mean negative log-likelihood of the classes of a split, as for :meth:`accuracy`, in nats for each row."""
        x, y = self.data.rows(split or self.data.evaluation_split)
        return float(self.head(self.scores(x, of), y))

    def describe(self) -> str:
        """The formula in words: the class, and the condition under which it is predicted.

        Raises:
            OptionError: if there is no formula.
        """
        if self.formula is None:
            raise OptionError("there is no formula; use the network")
        return self.head.describe(self.formula.short())

    @torch.no_grad()
    def scores(self, x: Tensor, of: str) -> Tensor:
        """Scores ``[N, n_scores]`` of the network or the formula at ``x [N, n]``."""
        if of == "network":
            found: Tensor = self.network(x)
            return found
        if self.formula is None:
            raise OptionError("there is no formula; ask for the network")
        return self.formula.torch(x)
