"""What :func:`superpose.tasks.pde.solve` is asked for, and what it returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from superpose.checks import check_grid_sizes, check_not_negative, check_positive, check_seed, check_share, check_whole
from superpose.choices import OPTIMIZERS
from superpose.errors import OptionError
from superpose.messages import nearest
from superpose.short_repr import brief
from superpose.stopping import StopReason


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
            check_whole(name, getattr(self, name), optional=True)
        for name in ("roughness", "tolerance", "points"):
            check_not_negative(name, getattr(self, name))
        for name in ("learning_rate", "time_limit"):
            check_positive(name, getattr(self, name), optional=True)
        for name in ("resample", "blend"):
            check_share(name, getattr(self, name))
        # Sobol points take no larger seed.
        check_seed(self.seed, bits=31)
        check_grid_sizes("grids", self.grids)
        return self


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
        stop: why the solver ended.
        reason: a sentence with the details of that.
        loss: of the model that was kept, at fresh points.
        losses: the mean square of each residual, without weights, at fresh points.
        seconds: wall-clock time.
    """

    __repr__ = brief

    records: tuple[SolveRecord, ...]
    optimizer: str
    stop: StopReason
    reason: str
    loss: float
    losses: dict[str, float]
    seconds: float

    @property
    def interrupted(self) -> bool:
        """Whether a user interrupted the solver."""
        return self.stop is StopReason.INTERRUPTED
