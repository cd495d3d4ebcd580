"""What a step of Levenberg-Marquardt costs, predicted from the sizes of a network and its data.

A search that keeps a time limit must not begin what it has no time for: of a network of many inputs a single step may
take seconds. Predictions are those of a core of an AMD EPYC server; each training that was measured corrects them for
the machine and for what else it does.
"""

from __future__ import annotations

from dataclasses import dataclass

from superpose.nn.model import KAN
from superpose.train.history import History

# Multiplications a second on one core, of the sums over samples (64-bit floats, mean of 11 networks of 2 to 200 inputs)
# and of the Cholesky factor. A pair of cubic edges takes 25 / 2 multiplications a sample.
_SUMS, _FACTOR, _PAIR = 1.3e9, 1e10, 12.5
# What every step costs beside that: [2, 5, 1] on 1,000 samples.
_LEAST = 1e-3
# Predictions are corrected by trainings of at least so many seconds, in which what else a fit does is little, and by at
# most such a factor. Round numbers.
_TELLING, _MOST = 0.5, 10.0
# Steps that each start takes before the best goes on (``_START_STEPS`` of run.py).
_START = 20


@dataclass
class StepCost:
    """Predicts seconds.

    Attributes:
        slowness: how many times longer steps take than on the core that the predictions are made for.
    """

    slowness: float = 1.0

    def seconds(self, edges: int, constants: int, rows: int) -> float:
        """Of one step of a network of so many spline edges and free constants on so many samples.

        >>> StepCost().seconds(edges=12, constants=108, rows=2048) < StepCost().seconds(402, 3618, 1000) / 100
        True
        """
        sums = _PAIR * rows * float(edges) ** 2 / _SUMS
        return self.slowness * (_LEAST + sums + float(constants) ** 3 / 3 / _FACTOR)

    def of(self, model: KAN, rows: int, grid_size: int | None = None) -> float:
        """Of one step of a network, with its grids or others."""
        edges = constants = 0
        for layer in model.kan_layers():
            own = int(layer.spline_mask().sum())
            edges += own
            constants += own * ((grid_size or layer.grid_size) + layer.degree + (layer.base != "none"))
            constants += 0 if layer.symbolic is None else int((~layer.symbolic.held).sum())
        return self.seconds(edges, constants, rows)

    def corrected(self, model: KAN, rows: int, seconds: float, steps: int) -> None:
        """Correct later predictions by what so many steps took."""
        predicted = steps * self.of(model, rows)
        if predicted >= _TELLING * self.slowness:
            self.slowness = min(max(seconds / predicted * self.slowness, 1 / _MOST), _MOST)

    def measured(self, model: KAN, rows: int, history: History, starts: int = 1) -> None:
        """Correct later predictions by a training."""
        sizes = [record.grid_size for record in history.records]
        if not sizes:
            return
        each = {size: self.of(model, rows, size) for size in set(sizes)}
        predicted = sum(each[size] for size in sizes) + _START * (starts - 1) * each[sizes[0]]
        if predicted >= _TELLING * self.slowness:
            self.slowness = min(max(history.seconds / predicted * self.slowness, 1 / _MOST), _MOST)

    def affordable(self, model: KAN, rows: int, left: float) -> int:
        """How many steps of a network there is time for."""
        return int(min(left / self.of(model, rows), 1e9))


def affordable_starts(steps: int, wanted: int, least: int) -> int:
    """As many of the wanted random starts as leave ``least`` of so many steps for the training itself; 0 if none does.

    >>> [affordable_starts(steps, wanted=6, least=30) for steps in (10, 40, 100, 1000)]
    [0, 1, 3, 6]
    """
    if steps < least:
        return 0
    return max(1, min(wanted, (steps - least) // _START))
