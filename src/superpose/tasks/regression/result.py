"""What :func:`superpose.discover` returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from superpose.formulas import recommendation
from superpose.formulas.expressions.formula import Formula
from superpose.formulas.forms.fit import FormulaFit
from superpose.formulas.recommendation import Finding
from superpose.nn.uncertainty import Intervals
from superpose.short_repr import brief
from superpose.tasks.regression.alternatives import Alternative
from superpose.tasks.result import TaskResult


@dataclass
class Result(TaskResult):
    """What :func:`discover` returns.

    Attributes:
        findings: every formula that was found, the recommended one included.
        alternatives: the forms that come next, with the odds against each; three at most.
    """

    __repr__ = brief

    findings: list[Finding] = field(default_factory=list)
    alternatives: tuple[Alternative, ...] = ()

    def predict_interval(self, table: Any, level: float = 0.9) -> Intervals:
        """Intervals that hold the targets of the rows of a table with a probability, about the values of ``model``.

        See :meth:`superpose.KAN.predict_interval`.
        """
        return self.model.predict_interval(table, level)

    @property
    def front(self) -> list[Formula]:
        """The formulas that no simpler one surpasses, from simple to accurate, and the recommended one."""
        recommended = next((one for one in self.findings if one.formula is self.formula), None)
        return [one.formula for one in recommendation.front(self.findings, recommended, self.data)]


@dataclass
class FormResult(Result):
    """What :func:`~superpose.tasks.regression.judge_forms` returns.

    Attributes:
        fits: the forms with their constants, the one that is handed out first.
    """

    __repr__ = brief

    fits: list[FormulaFit] = field(default_factory=list)
