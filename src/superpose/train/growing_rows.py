"""Training on more and more rows of a large table, as long as that changes the answer and there is time.

Most of what a network learns it learns from few rows. It goes on from there with four times as many rows, and so on; a
table of a million rows is rarely used up before the validation error stays. How many rows a stage takes follows from
what a step of the stage before cost, so that no single step takes a large part of the time that is left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from superpose.data import Dataset
from superpose.data.sampling import evenly
from superpose.nn.model import KAN
from superpose.spline.backend import full_precision
from superpose.stopping import StopReason
from superpose.train.budget import Budget
from superpose.train.history import History, Record
from superpose.train.run import Run
from superpose.train.settings import FitSettings


@dataclass(frozen=True)
class RowGrowth:
    """How rows grow. Round numbers.

    Attributes:
        factor: by which the rows of a stage are more than those of the one before.
        least_factor: a stage that could take fewer rows than this many times as many is not begun.
        steps: that a stage should have time for, in the given share of the time left.
        share: of the time left that these steps may take.
        better: a stage that lowers the validation error by less than this factor is the last.
        validation: rows that stages are compared on, at most.
    """

    factor: int = 4
    least_factor: float = 1.5
    steps: int = 20
    share: float = 0.7
    better: float = 0.98
    validation: int = 20_000


GROWTH = RowGrowth()


def rows_affordable(rows: int, step_seconds: float, left: float, rules: RowGrowth = GROWTH) -> int:
    """Rows of the next stage: ``rules.factor`` times as many as of the last, or as many as the time left allows.

    Args:
        rows: of the last stage.
        step_seconds: what a step of that took; steps are taken to cost as much as there are rows.
        left: seconds.

    >>> rows_affordable(1000, 0.001, 60.0), rows_affordable(1000, 1.0, 60.0)
    (4000, 2100)
    """
    allowed = rules.share * left / (rules.steps * max(step_seconds, 1e-9))
    return int(rows * min(float(rules.factor), allowed))


def fit_growing(
    model: KAN,
    data: Dataset,
    *,
    rows: int,
    time_limit: float | None = None,
    seed: int = 0,
    refine: bool = True,
    rules: RowGrowth = GROWTH,
) -> History:
    """Train a model in place by Levenberg-Marquardt on ``rows`` training rows, then on more and more of them.

    Args:
        model: that may be trained already, on the first rows at best.
        data: the table.
        rows: of the first stage; later ones have four times as many each, if the time left allows.
        time_limit: seconds for all stages.
        seed: of the starts, if the model was never trained.
        refine: whether grids may become finer.
        rules: see :class:`RowGrowth`.

    Returns:
        The history of all stages, one after the other. Its errors are those on the rows of the last stage, and on at
        most ``rules.validation`` validation rows.

    >>> import torch
    >>> x = 2 * torch.rand(9000, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) - 1
    >>> model = KAN([1, 1], grid_size=5, seed=0)
    >>> fit_growing(model, Dataset.from_arrays(x, torch.sin(3 * x)), rows=500).validation_rmse < 1e-5
    True
    """
    some = replace(data, validation=data.validation[evenly(len(data.validation), rules.validation)])
    budget, whole = Budget(time_limit), len(data.train)
    histories: list[History] = []
    rows, best = min(rows, whole), math.inf
    grids = None if refine else (max(layer.grid_size for layer in model.kan_layers()),)
    settings = FitSettings(grids=grids, seed=seed, progress=False)
    with full_precision(model.input_center):
        while True:
            part = replace(some, train=data.train[evenly(whole, rows)])
            taken, began = budget.taken, budget.elapsed()
            history = Run(model, part, "lm", settings, None, budget).run()
            histories.append(history)
            error = history.validation_rmse if len(some.validation) else history.train_rmse
            if history.interrupted or budget.over() or rows == whole or not error < rules.better * best:
                break
            step = (budget.elapsed() - began) / max(1, budget.taken - taken)
            more = min(whole, rows_affordable(rows, step, budget.deadline.left(), rules))
            if more < min(whole, rules.least_factor * rows):
                history.stop, history.reason = StopReason.TIME_LIMIT, f"there was no time for more than {rows} rows"
                break
            rows, best = more, error
    return joined(histories, rows, whole)


def joined(histories: list[History], rows: int, whole: int) -> History:
    """The stages' histories as one, with the reason of the last; says how many of the rows it used."""
    records: list[Record] = []
    seconds = 0.0
    for history in histories:
        records += [replace(r, step=r.step + len(records), seconds=r.seconds + seconds) for r in history.records]
        seconds += history.seconds
    last = histories[-1]
    notes = [note for history in histories for note in history.notes]
    used = f"; the last stage used {rows} of {whole} training rows" if rows < whole else ""
    return replace(last, records=records, seconds=seconds, notes=notes, reason=f"{last.reason}{used}")
