"""What :func:`superpose.tasks.pde.solve` is asked for, and what it returns."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from superpose.errors import OptionError
from superpose.messages import nearest
from superpose.short_repr import brief

OPTIMIZERS = ("lm", "lbfgs", "adamw")


@dataclass(frozen=True)
class SolveSettings:
    """Options of :func:`solve`.

    Attributes:
        optimizer: ``"lm"`` (Levenberg-Marquardt on the residuals), ``"lbfgs"`` or ``"adamw"``.
        grids: sizes of the finest layer's grid to visit, each refined from the one before by exact knot insertion;
            layers keep their proportions, so ``KAN(..., grid_size=[20, 10])`` and ``grids=(10, 20)`` begin with 10
            and 5 intervals. If left out, the model's own grid and then (lm) twice and four times that, as far as 3,000
            constants go.
        blend: 0 for even knots in the first layer of a model that was never trained, 1 for knots at the quantiles of
            the first residual's points, between them a weighted mean: where points are dense knots are too.
        steps: most steps at each grid size; by default 60 (lm), 300 (lbfgs), 2000 (adamw), and three times as many at
            the last.
        starts: how many random starts are tried for a few steps before the best goes on, the first of them the model
            as it is; None tries 4 for a model that was never trained and continues from the present one otherwise
            (lm only).
        points: how many points of equations there are at least for each free constant, for regions that points are
            drawn from.
        resample: share of the points of equations that is drawn where residuals are large, after the first grid.
        roughness: strength of the term that holds coefficients that no point determines to their neighbours (lm).
        tolerance: a loss below which nothing more is asked for.
        learning_rate: by default 1 (lbfgs), 0.01 (adamw).
        time_limit: seconds; the best model so far is kept.
        seed: of the starts and the points.
    """

    optimizer: str = "lm"
    grids: Sequence[int] | None = None
    blend: float = 0.0
    steps: int | None = None
    starts: int | None = None
    points: float = 3.0
    resample: float = 0.0
    roughness: float = 0.0
    tolerance: float = 0.0
    learning_rate: float | None = None
    time_limit: float | None = None
    seed: int = 0

    def checked(self) -> SolveSettings:
        """These settings if they make sense; an error in one sentence otherwise."""
        if self.optimizer not in OPTIMIZERS:
            raise OptionError(
                f"optimizer must be one of {', '.join(OPTIMIZERS)}, not {self.optimizer!r}"
                f"{nearest(str(self.optimizer), OPTIMIZERS)}"
            )
        for name in ("steps", "starts"):
            value = getattr(self, name)
            if value is not None and not (_is_whole(value) and value >= 1):
                raise OptionError(f"{name} must be a whole number of at least 1, not {value!r}")
        for name in ("roughness", "tolerance", "points"):
            if not (_is_finite(getattr(self, name)) and getattr(self, name) >= 0):
                raise OptionError(f"{name} must be a finite number that is not negative, not {getattr(self, name)!r}")
        for name in ("learning_rate", "time_limit"):
            value = getattr(self, name)
            if value is not None and not (_is_finite(value) and value > 0):
                raise OptionError(f"{name} must be a positive finite number, not {value!r}")
        for name in ("resample", "blend"):
            if not (_is_finite(getattr(self, name)) and 0 <= getattr(self, name) <= 1):
                raise OptionError(f"{name} must be a number from 0 to 1, not {getattr(self, name)!r}")
        if not (_is_whole(self.seed) and 0 <= self.seed < 2**31):
            raise OptionError(f"seed must be a whole number from 0 to 2**31 - 1, not {self.seed!r}")
        if self.grids is not None:
            sizes = list(self.grids) if isinstance(self.grids, Iterable) else []
            if not sizes or not all(_is_whole(s) and s >= 1 for s in sizes) or sizes != sorted(set(sizes)):
                raise OptionError(f"grids must be growing whole numbers such as (5, 10, 20), not {self.grids!r}")
        return self


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_finite(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


@dataclass(frozen=True)
class SolveRecord:
    """One step.

    Attributes:
        step: counted from 0, the state before any step.
        event: ``"start"``, ``"refine"`` (grids and points are new) or ``"adapt"`` (hidden grids moved), else empty.
        grid_size: intervals of the finest layer's grid.
        points: of all residuals together.
        loss: weighted sum of the residuals' mean squares at the points of the present grid.
        seconds: since the start.
    """

    step: int
    event: str
    grid_size: int
    points: int
    loss: float
    seconds: float


@dataclass(frozen=True)
class Solution:
    """What :func:`solve` returns.

    Attributes:
        records: one for each step.
        optimizer: its name.
        reason: a sentence that says why it stopped.
        interrupted: whether a person or the time limit stopped it.
        loss: of the model that was kept, at fresh points.
        losses: the mean square of each residual, without weights, at fresh points.
        seconds: wall-clock time.
    """

    __repr__ = brief

    records: tuple[SolveRecord, ...]
    optimizer: str
    reason: str
    interrupted: bool
    loss: float
    losses: dict[str, float]
    seconds: float
