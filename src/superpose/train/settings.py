"""The options of fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from superpose.checks import check_grid_sizes, check_not_negative, check_positive, check_seed, check_whole, is_finite
from superpose.choices import OPTIMIZERS
from superpose.errors import OptionError
from superpose.messages import nearest
from superpose.nn.likelihood import Head
from superpose.train.memory import Memory

SPLITS = ("width", "samples")


@dataclass(frozen=True)
class FitSettings:
    """Options of :func:`fit`.

    Attributes:
        grids: grid sizes to visit, each refined from the one before by exact knot insertion; None doubles the grid
            while the validation error falls, there are more residuals than constants, and each interval has samples.
        steps: most steps at each grid size; by default 60 (lm), 100 (lbfgs), 2000 (adamw).
        starts: how many random starts are tried for a few steps before the best goes on; None tries 4 for a model
            that was never fitted (2 above 500 constants, 1 above 2,000), and continues from the present parameters
            otherwise. The first start is always the
            model as it is.
        sparsity: strength of L1 + entropy (lbfgs, adamw) or of the reweighted quadratic terms (lm).
        roughness: strength of the term that keeps curves smooth where few samples lie (lm). None finds one for each
            edge, under which the data are most probable: it fades with the errors, and stays where there is noise.
        adapt: whether grids are moved to the activations' ranges.
        blend: 0 for even knots, 1 for knots at the samples' quantiles, when grids are moved. A round
            number, for the first layer only.
        split: which intervals are cut when grids are refined: the widest (``"width"``), or in hidden layers only those
            that hold samples enough for their parts (``"samples"``). The latter errs less in the corners of the data,
            and reaches less where a function is learnt to many digits; :func:`search` tries both.
        patience: grid sizes in a row that may bring no better validation error before the schedule ends.
        loss: a torch loss of (prediction, target) in scaled units, mean squared error when None; lbfgs and adamw. A
            :class:`~superpose.nn.Head` also serves lm.
        batch_size: samples of a mini-batch; adamw. A round number.
        learning_rate: by default 1 (lbfgs), 0.01 (adamw).
        time_limit: seconds; the best model so far is kept.
        memory: what :func:`superpose.train.remember` kept of earlier data: their predictions are held beside the
            errors on these.
            Grids stand still then: it needs ``adapt=False``, one start, and no ``grids``.
        seed: of the starts and the order of mini-batches.
        progress: whether to show a line on the terminal; None shows it if there is one.
    """

    grids: Sequence[int] | None = None
    steps: int | None = None
    starts: int | None = None
    sparsity: float = 0.0
    roughness: float | None = None
    adapt: bool = True
    blend: float = 0.25
    split: str = "width"
    patience: int = 1
    loss: Callable[[Tensor, Tensor], Tensor] | None = None
    batch_size: int = 256
    learning_rate: float | None = None
    time_limit: float | None = None
    memory: Memory | None = None
    seed: int = 0
    progress: bool | None = None

    def checked(self, optimizer: str) -> FitSettings:
        """These settings if they make sense together; raises :class:`OptionError` otherwise."""
        if optimizer not in OPTIMIZERS:
            raise OptionError(
                f"optimizer must be one of {', '.join(OPTIMIZERS)}, not {optimizer!r}"
                f"{nearest(str(optimizer), OPTIMIZERS)}"
            )
        if optimizer == "lm" and self.loss is not None and not isinstance(self.loss, Head):
            raise OptionError(
                "optimizer 'lm' minimises squared errors, or what a superpose.nn.Head says; for another loss use "
                "'lbfgs' or 'adamw'"
            )
        for name in ("steps", "starts", "batch_size", "patience"):
            check_whole(name, getattr(self, name), optional=name in ("steps", "starts"))
        for name in ("sparsity", "roughness"):
            check_not_negative(name, getattr(self, name), optional=name == "roughness")
        for name in ("learning_rate", "time_limit"):
            check_positive(name, getattr(self, name), optional=True)
        if self.split not in SPLITS:
            raise OptionError(f"split must be one of {', '.join(SPLITS)}, not {self.split!r}")
        if not (is_finite(self.blend) and 0 <= self.blend <= 1):
            raise OptionError(f"blend must lie between 0 (uniform) and 1 (quantiles), not {self.blend!r}")
        check_seed(self.seed)
        if self.loss is not None and not callable(self.loss):
            raise OptionError(f"loss must be a torch loss of (prediction, target), not {self.loss!r}")
        check_grid_sizes("grids", self.grids)
        if self.memory is not None:
            if not isinstance(self.memory, Memory):
                raise OptionError(
                    f"memory must come from superpose.train.remember, and is a {type(self.memory).__name__}"
                )
            if self.adapt or self.grids is not None or self.starts not in (None, 1):
                raise OptionError(
                    "a memory holds only while grids stand still and training goes on from the model as it is; "
                    "with memory pass adapt=False, leave out grids, and leave starts at 1"
                )
        return self
