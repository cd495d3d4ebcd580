"""What all stages of a run read: the table, the options, the clock, and who is told what was reached."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from superpose.checkpoint.stages import Stages
from superpose.data import Dataset
from superpose.data.arrays import root_mean_square
from superpose.data.sampling import evenly
from superpose.data.splitting import folds
from superpose.deadline import Deadline
from superpose.formulas.units.unit import Unit
from superpose.partial import Failures
from superpose.tasks.regression.column_units import read_column_units
from superpose.tasks.regression.options import DiscoverOptions
from superpose.tasks.result import Observer
from superpose.train.step_cost import StepCost

Listener = Callable[[str], None]


@dataclass(frozen=True)
class Budget:
    """How time and rows are divided among the stages.

    Shares and row counts were chosen on the AI Feynman equations and the tables in ``examples/data``; neighbouring
    values were not compared.

    Attributes:
        screening: share of the time limit for choosing columns of wide tables.
        structure, structure_of_many: share of the time left for the search by structure; what it leaves goes to
            networks. The second with more than ``many`` columns, of which polynomials show little.
        search: share of the time limit after which no further network is trained or read. The final network and the
            files of the run take the rest.
        rows: training rows that networks of the search are fitted to, and four times the validation rows.
        sample: training rows that formulas are searched for, fitted and judged on, and four times the validation rows.
        shapes: share of the time left in which the shape of a large table's network is searched for, if no formula is.
        growing: of more training rows than this the final network takes more and more; below it, all at once.
        reading: share of the time left for the search that may be spent on reading one network.
        min_reading: seconds that reading one network may take at least.
        simplifying: the same share for simplifying the formula that was read, after its reading.
        min_simplifying: seconds that simplifying may take at least, if the time limit leaves them: a formula that was
            not simplified is of little use.
        beside: seconds for refining the network that is shown beside a formula that was found by structure.
        final: seconds for the final network in all other cases.
    """

    screening: float = 0.1
    structure: float = 0.6
    structure_of_many: float = 0.3
    many: int = 20
    search: float = 0.8
    rows: int = 2048
    sample: int = 20_000
    shapes: float = 0.6
    growing: int = 10_000
    reading: float = 0.6
    min_reading: float = 2.0
    simplifying: float = 0.2
    min_simplifying: float = 8.0
    beside: float = 6.0
    final: float = 20.0


BUDGET = Budget()


@dataclass(frozen=True)
class Context:
    """What all stages of one run read.

    Attributes:
        data: the table, with combined columns if there are any.
        few: the same with at most ``BUDGET.rows`` training rows, and with validation rows, for the networks of the
            search.
        sample: the same with at most ``BUDGET.sample`` training rows, for formulas.
        options: of the run, checked.
        tell: called with a sentence whenever something was reached.
        deadline: of the run.
        search: of the search for networks and formulas.
        failures: of parts of the run.
        gross: rows that were left out of all three tables, since they seem to have gross errors.
        cost: of optimiser steps, by what the networks so far took.
        units: of columns and targets, by name, as far as they are known.
        stages: of the run, which it does not compute again when it goes on from a checkpoint.
        observer: who sees formulas and training steps.
    """

    data: Dataset
    few: Dataset
    sample: Dataset
    options: DiscoverOptions
    tell: Listener
    deadline: Deadline
    search: Deadline
    failures: Failures = field(default_factory=Failures)
    stages: Stages = field(default_factory=Stages)
    units: Mapping[str, Unit] = field(default_factory=dict)
    gross: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.long))
    cost: StepCost = field(default_factory=StepCost)
    observer: Observer = field(default_factory=Observer)

    @classmethod
    def start(
        cls,
        data: Dataset,
        options: DiscoverOptions,
        tell: Listener,
        deadline: Deadline | None = None,
        stages: Stages | None = None,
        observer: Observer | None = None,
    ) -> Context:
        """The context of a run that ends at the deadline; by default the clock starts now."""
        deadline = deadline or Deadline(options.time_limit)
        stages = stages or Stages(deadline=deadline)
        few, sample = fewer(_with_validation(data, options.seed), BUDGET.rows), fewer(data, BUDGET.sample)
        late = (1 - BUDGET.search) * deadline.left()
        search = Deadline(deadline.left() - late, deadline.clock)
        units = {} if options.units is None else read_column_units(options.units, data)
        seen = observer or Observer()
        return cls(data, few, sample, options, tell, deadline, search, stages.failures, stages, units, observer=seen)

    def relative(self, rmse: float) -> float:
        """A root mean squared error in units of the target's spread."""
        return rmse / root_mean_square(self.data.y_scale.scale)


def fewer(data: Dataset, rows: int) -> Dataset:
    """The data set with at most so many training rows, and a quarter as many for validation."""
    return replace(
        data,
        train=data.train[evenly(len(data.train), rows)],
        validation=data.validation[evenly(len(data.validation), rows // 4)],
    )


def _with_validation(data: Dataset, seed: int) -> Dataset:
    """The table with validation rows for the networks of the search, also where rows are few."""
    if len(data.validation) or len(data.train) < 2 * _FOLDS:
        return data
    train, validation = folds(data, _FOLDS, seed)[-1]
    return replace(data, train=train, validation=validation)


# A fifth of the rows: fewer say nothing of a network, more are missed in its training. A round number.
_FOLDS = 5
