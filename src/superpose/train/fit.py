"""fit: the one training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any

import torch
from torch import Tensor

from superpose._errors import DataError, OptionError, ShapeError, nearest
from superpose.data import Dataset
from superpose.nn.layer import KANLayer
from superpose.nn.model import KAN
from superpose.optim import penalty
from superpose.optim.first_order import LBFGS, AdamW
from superpose.optim.levenberg_marquardt import LevenbergMarquardt
from superpose.spline import grid
from superpose.train.history import History, Record
from superpose.train.memory import Memory
from superpose.train.progress import Listener, TerminalProgress

OPTIMIZERS = ("lm", "lbfgs", "adamw")
_DEFAULT_STEPS = {"lm": 60, "lbfgs": 100, "adamw": 2000}
_DEFAULT_RATE = {"lm": 1.0, "lbfgs": 1.0, "adamw": 1e-2}
# Hidden activations are few at the ends of their range, where even knots would stand without samples between them.
# Of blends 0, 0.3, 0.6, 0.8, 0.9 and margins 0.01, 0.03, this pair gave the least test error on exp(sin(pi x) + y^2).
_HIDDEN_BLEND, _HIDDEN_MARGIN = 0.6, 0.03
# Above this many free constants the normal matrix of Levenberg-Marquardt (float64) is larger than 0.5 GiB.
_MOST_LM_PARAMETERS = 8000


@dataclass(frozen=True)
class FitSettings:
    """Options of :func:`fit`.

    Attributes:
        grids: grid sizes to visit, each refined from the one before by exact knot insertion; None doubles the grid
            while the validation error falls.
        steps: most steps at each grid size; by default 60 (lm), 100 (lbfgs), 2000 (adamw).
        starts: how many random starts are tried for a few steps before the best goes on; None tries 4 for a model
            that was never fitted and continues from the present parameters otherwise. The first start is always the
            model as it is.
        sparsity: strength of L1 + entropy (lbfgs, adamw) or of the reweighted quadratic terms (lm).
        roughness: strength of the term that holds coefficients without data to their neighbours (lm).
        adapt: whether grids are moved to the activations' ranges.
        blend: 0 for even knots, 1 for knots at the samples' quantiles, when grids are moved.
        patience: grid sizes in a row that may bring no better validation error before the schedule ends.
        loss: a torch loss of (prediction, target) in scaled units, mean squared error when None; lbfgs and adamw.
        batch_size: samples of a mini-batch; adamw.
        learning_rate: by default 1 (lbfgs), 0.01 (adamw).
        time_limit: seconds; the best model so far is kept.
        memory: what :func:`remember` kept of earlier data: their predictions are held beside the errors on these.
            Grids stand still then: it needs ``adapt=False``, one start, and no ``grids``.
        seed: of the starts and the order of mini-batches.
        progress: whether to show a line on the terminal; None shows it if there is one.
    """

    grids: Sequence[int] | None = None
    steps: int | None = None
    starts: int | None = None
    sparsity: float = 0.0
    roughness: float = 1e-11
    adapt: bool = True
    blend: float = 0.25
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
        if optimizer == "lm" and self.loss is not None:
            raise OptionError("optimizer 'lm' minimises squared errors only; for another loss use 'lbfgs' or 'adamw'")
        for name, least in (("steps", 1), ("starts", 1), ("batch_size", 1), ("patience", 1)):
            value = getattr(self, name)
            if value is not None and not (_is_whole(value) and value >= least):
                raise OptionError(f"{name} must be a whole number of at least {least}, not {value!r}")
        for name in ("sparsity", "roughness"):
            value = getattr(self, name)
            if not (_is_finite(value) and value >= 0):
                raise OptionError(f"{name} must be a finite number that is not negative, not {value!r}")
        for name in ("learning_rate", "time_limit"):
            value = getattr(self, name)
            if value is not None and not (_is_finite(value) and value > 0):
                raise OptionError(f"{name} must be a positive finite number, not {value!r}")
        if not (_is_finite(self.blend) and 0 <= self.blend <= 1):
            raise OptionError(f"blend must lie between 0 (uniform) and 1 (quantiles), not {self.blend!r}")
        if not (_is_whole(self.seed) and 0 <= self.seed < 2**63):
            raise OptionError(f"seed must be a whole number from 0 to 2**63 - 1, not {self.seed!r}")
        if self.loss is not None and not callable(self.loss):
            raise OptionError(f"loss must be a torch loss of (prediction, target), not {self.loss!r}")
        if self.grids is not None:
            sizes = list(self.grids) if isinstance(self.grids, Iterable) else []
            if not sizes or not all(_is_whole(s) and s >= 1 for s in sizes) or sizes != sorted(set(sizes)):
                raise OptionError(f"grids must be growing whole numbers such as (3, 6, 12), not {self.grids!r}")
        if self.memory is not None:
            if not isinstance(self.memory, Memory):
                raise OptionError(f"memory must come from superpose.remember, and is a {type(self.memory).__name__}")
            if self.adapt or self.grids is not None or self.starts not in (None, 1):
                raise OptionError(
                    "a memory holds only while grids stand still and training goes on from the model as it is; "
                    "with memory pass adapt=False, leave out grids, and leave starts at 1"
                )
        return self


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_finite(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def fit(
    model: KAN,
    data: Dataset | tuple[Any, Any],
    *,
    optimizer: str = "lm",
    listener: Listener | None = None,
    **options: Any,
) -> History:
    """Train a model in place on the training rows of a data set, and keep the best state by its validation rows.

    A model that was never fitted takes its scaling and column names from the data; one that was keeps them.

    Args:
        model: its parameters and grids are changed in place (its parameter tensors may be replaced).
        data: a :class:`~superpose.Dataset`, or a pair of arrays ``(x, y)``.
        optimizer: ``"lm"`` (Levenberg-Marquardt, squared errors), ``"lbfgs"`` or ``"adamw"``.
        listener: called with every :class:`~superpose.Record`.
        **options: see :class:`FitSettings`.

    Returns:
        A :class:`History`, whose ``reason`` says why training stopped.

    Raises:
        OptionError: for an option that does not exist or makes no sense.
        DataError: if ``data`` is neither a data set nor a pair of arrays.
        ShapeError: if model and data differ in their numbers of features or targets.

    >>> from superpose import Dataset, KAN
    >>> x = torch.linspace(-1, 1, 60, dtype=torch.float64)[:, None]
    >>> history = fit(KAN([1, 1], seed=0), Dataset.from_arrays(x, torch.sin(3 * x)), grids=(3, 6))
    >>> history.grids, history.train_rmse < 1e-2
    ([3, 6], True)
    """
    known = {option.name for option in fields(FitSettings)}
    for name in options:
        if name not in known:
            raise OptionError(f"fit has no option {name!r}{nearest(name, known)}")
    settings = FitSettings(**options).checked(optimizer)
    if not isinstance(data, Dataset):
        if not isinstance(data, tuple | list) or len(data) != 2:
            raise DataError(f"fit takes a Dataset or a pair of arrays (x, y), not {type(data).__name__}")
        data = Dataset.from_arrays(*data, seed=settings.seed)
    if [model.widths[0], model.widths[-1]] != [data.n_features, data.n_targets]:
        raise ShapeError(
            f"the model takes {model.widths[0]} features and gives {model.widths[-1]} targets, but the data have "
            f"{data.n_features} features and {data.n_targets} targets; "
            f"make it KAN([{data.n_features}, ..., {data.n_targets}])"
        )
    if settings.memory is not None:
        settings.memory.check(model)
    return _Run(model, data, optimizer, settings, listener).run()


class _Run:
    """One call of :func:`fit`."""

    def __init__(
        self,
        model: KAN,
        data: Dataset,
        optimizer: str,
        settings: FitSettings,
        listener: Listener | None,
    ) -> None:
        self.model, self.data, self.optimizer, self.settings = model, data, optimizer, settings
        self.listener, self.bar = (
            listener,
            None if settings.progress is False else TerminalProgress(),
        )
        self.began = time.monotonic()
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.history = History(optimizer=optimizer)
        self.best: tuple[float, _State] = (math.inf, _State.of(model))

    def run(self) -> History:
        fresh = not bool(self.model.scaled)
        if fresh:
            self.model.set_scaling(self.data.x_scale, self.data.y_scale)
            self.model.feature_names, self.model.target_names = (
                self.data.feature_names,
                self.data.target_names,
            )
        self.train = _scaled(self.model, *self.data.rows("train"))
        self.validation = _scaled(self.model, *self.data.rows("validation"))
        if not len(self.validation[0]):
            self.validation = self.train
        self.best = (math.inf, _State.of(self.model))
        try:
            starts = self.settings.starts or (4 if fresh and self.optimizer == "lm" else 1)
            self._prepare_grids(fresh)
            if starts > 1:
                self._choose_start(starts)
            self._schedule()
        except _StopFit as stop:
            self.history.reason, self.history.interrupted = str(stop), stop.interrupted
        except KeyboardInterrupt:
            self.history.reason, self.history.interrupted = (
                "interrupted; the best model so far was kept",
                True,
            )
        finally:
            if self.bar is not None:
                self.bar.close()
        if math.isfinite(self.best[0]):
            self.best[1].restore(self.model)
        self._report()
        return self.history

    # -- the schedule of grids

    def _grids(self) -> list[int]:
        if self.settings.grids is not None:
            return list(self.settings.grids)
        if self.settings.memory is not None:
            return [min(layer.grid_size for layer in self.model.kan_layers())]
        if self.optimizer != "lm":
            return [max(layer.grid_size for layer in self.model.kan_layers())]
        size = max(layer.grid_size for layer in self.model.kan_layers())
        # A grid interval without samples to fill it cannot teach anything.
        most = max(size, min(200, len(self.train[0]) // 4))
        sizes = [size]
        while sizes[-1] * 2 <= most:
            sizes.append(sizes[-1] * 2)
        return sizes

    def _prepare_grids(self, fresh: bool) -> None:
        first = self._grids()[0]
        if self.settings.grids is not None and any(layer.grid_size > first for layer in self.model.kan_layers()):
            sizes = [min(layer.grid_size, first) for layer in self.model.kan_layers()]
            x = self.data.rows("train")[0].to(self.train[0].device)
            self._replace(self.model.adapt(x, blend=0.0, grid_size=sizes))
        if fresh and self.settings.adapt:
            layer = self.model.layer(0)
            # All rows' features, and a little more: fresh samples reach about a range / n beyond those seen, and a
            # cubic that goes on is far nearer to the function there than the straight line outside the grid.
            seen = self.model.scale_inputs(self.data.x.to(self.train[0].device))
            margin = min(0.02, 4 / len(seen))
            points = grid.adapted_breakpoints(seen, layer.grid_size, blend=self.settings.blend, margin=margin)
            layer.set_knots(grid.extended_knots(points, layer.degree))

    def _replace(self, other: KAN) -> None:
        _State.of(other).restore(self.model)

    def _choose_start(self, starts: int) -> None:
        """Try several starts for a few steps each, and let the best go on."""
        candidates: list[tuple[float, _State]] = []
        origin = _State.of(self.model)
        for number in range(starts):
            origin.restore(self.model)
            if number:
                for layer in self.model.kan_layers():
                    layer.reset_parameters(self.generator)
            stepper = self._optimizer(30)
            for _ in range(6):
                self._check_time()
                if stepper.step().stalled:
                    break
            self._adapt_hidden()
            stepper = self._optimizer(30)
            for _ in range(14):
                self._check_time()
                if stepper.step().stalled:
                    break
            value = self._value(self.train)
            if math.isfinite(value):
                candidates.append((value, _State.of(self.model)))
        if candidates:
            min(candidates, key=lambda candidate: candidate[0])[1].restore(self.model)

    def _schedule(self) -> None:
        waited, best_stage = 0, math.inf
        self._record("start")
        for number, size in enumerate(self._grids()):
            if number and self.settings.adapt and self._adapt_hidden():
                self._record("adapt")
                self._stage(10)
            if number or any(layer.grid_size < size for layer in self.model.kan_layers()):
                self._replace(self.model.refine(size))
                if number:
                    self._record("refine")
            if number == 0 and self.settings.adapt and self._adapt_hidden():
                self._record("adapt")
            reached = self._stage()
            automatic = self.settings.grids is None
            if reached < best_stage * 0.98:
                best_stage, waited = reached, 0
            else:
                waited += 1
                if waited >= self.settings.patience and automatic:
                    self.history.reason = f"a grid of {size} intervals gave no better validation error"
                    return
            if automatic and reached < 1e-11:
                break
        self.history.reason = f"the schedule of grids ended at {self._finest()} intervals"

    def _adapt_hidden(self) -> bool:
        """Move hidden grids whose activations left them, or fill little of them; keeps the first layer's."""
        moved = False
        with torch.no_grad():
            h = self.model.layer(0)(self.train[0])
            for layer in self.model.kan_layers()[1:]:
                outputs = layer(h)
                points = grid.breakpoints(layer.knots, layer.degree)
                low, high = points[:, 0], points[:, -1]
                width = h.amax(0) - h.amin(0)
                outside = (h.amin(0) < low) | (h.amax(0) > high)
                if bool(torch.isfinite(h).all()) and bool((outside | (width < 0.5 * (high - low))).any()):
                    points = grid.adapted_breakpoints(h, layer.grid_size, blend=_HIDDEN_BLEND, margin=_HIDDEN_MARGIN)
                    layer.set_knots(grid.extended_knots(points, layer.degree))
                    moved = True
                h = outputs
        return moved

    # -- one grid size

    def _stage(self, steps: int | None = None) -> float:
        steps = steps or self.settings.steps or _DEFAULT_STEPS[self.optimizer]
        stepper = self._optimizer(steps)
        every = 50 if self.optimizer == "adamw" else 1
        best, losses = math.inf, []
        for number in range(steps):
            self._check_time()
            result = stepper.step()
            if result.loss != result.loss:
                raise _StopFit(
                    f"the loss became NaN at step {len(self.history.records)} (grid {self._finest()}); the best model "
                    "so far was kept; lower learning_rate, or use optimizer 'lm', which cannot take such a step"
                )
            losses.append(result.loss)
            if (number + 1) % every == 0 or number + 1 == steps:
                best = min(best, self._record(""))
            if self.settings.sparsity and isinstance(stepper, LevenbergMarquardt) and number % 5 == 4:
                stepper = self._optimizer(steps, stepper.damping)
            if result.stalled or (self.optimizer != "adamw" and _flat(losses, self.optimizer)):
                break
        return best

    def _optimizer(self, steps: int, damping: float = 1e-2) -> LevenbergMarquardt | LBFGS | AdamW:
        x, y = self.train
        rate = self.settings.learning_rate or _DEFAULT_RATE[self.optimizer]
        if self.optimizer == "lm":
            stepper = LevenbergMarquardt(self.model, x, y, damping=damping)
            if stepper.parameters.size > _MOST_LM_PARAMETERS:
                raise OptionError(
                    f"optimizer 'lm' would need a matrix of {stepper.parameters.size} x {stepper.parameters.size} for "
                    "this model; use optimizer 'lbfgs' or 'adamw', or a smaller grid"
                )
            stepper.penalties = penalty.roughness(stepper.parameters, self.settings.roughness)
            if self.settings.sparsity:
                stepper.penalties += penalty.reweighted(stepper.parameters, x, self.settings.sparsity)
            if self.settings.memory is not None:
                stepper.penalties.append(self.settings.memory.quadratic(y.numel()))
            return stepper
        loss = self.settings.loss or torch.nn.functional.mse_loss
        extra = self._penalty if self.settings.sparsity or self.settings.memory is not None else None
        if self.optimizer == "lbfgs":
            return LBFGS(self.model, x, y, loss=loss, penalty=extra, learning_rate=rate)
        return AdamW(
            self.model,
            x,
            y,
            loss=loss,
            penalty=extra,
            learning_rate=rate,
            batch_size=self.settings.batch_size,
            steps=steps,
            generator=self.generator,
        )

    def _penalty(self, scaled: Tensor) -> Tensor:
        total = self._forgotten()
        if self.settings.sparsity:
            total = total + self.settings.sparsity * penalty.sparsity(self.model.trace_scaled(scaled))
        return total

    def _forgotten(self) -> Tensor:
        memory, y = self.settings.memory, self.train[1]
        return y.new_zeros(()) if memory is None else memory.forgotten(self.model) / y.numel()

    # -- bookkeeping

    def _finest(self) -> int:
        return max(layer.grid_size for layer in self.model.kan_layers())

    @torch.no_grad()
    def _value(self, part: tuple[Tensor, Tensor]) -> float:
        h = part[0]
        for layer in self.model.layers:
            h = layer(h)
        if self.settings.loss is not None:
            return float(self.settings.loss(h, part[1]))
        return float((h - part[1]).square().mean().sqrt())

    def _record(self, event: str) -> float:
        train, validation = self._value(self.train), self._value(self.validation)
        seconds = time.monotonic() - self.began
        record = Record(len(self.history.records), event, self._finest(), train, validation, seconds)
        self.history.records.append(record)
        value = validation
        if self.settings.memory is not None:
            # The state with the least error on these data alone may have forgotten the earlier ones.
            with torch.no_grad():
                value = math.sqrt(validation**2 + float(self._forgotten().clamp(min=0)))
        if value < self.best[0]:
            self.best = (value, _State.of(self.model))
        for listener in (self.listener, self.bar):
            if listener is not None:
                listener(record)
        return validation

    def _check_time(self) -> None:
        limit = self.settings.time_limit
        if limit is not None and time.monotonic() - self.began > limit:
            raise _StopFit(
                f"the time limit of {limit:g} seconds was reached; the best model so far was kept",
                True,
            )

    def _report(self) -> None:
        for name, part in (("train_rmse", self.train), ("validation_rmse", self.validation)):
            with torch.no_grad():
                h = part[0]
                for layer in self.model.layers:
                    h = layer(h)
                error = (h - part[1]) * self.model.output_scale
            setattr(self.history, name, float(error.square().mean().sqrt()))
        self.history.seconds = time.monotonic() - self.began


class _StopFit(Exception):
    def __init__(self, sentence: str, interrupted: bool = False) -> None:
        super().__init__(sentence)
        self.interrupted = interrupted


def _flat(losses: list[float], optimizer: str) -> bool:
    """Whether the loss has all but stopped falling."""
    window = 6 if optimizer == "lm" else 12
    return len(losses) > window and losses[-1] > losses[-1 - window] * (1 - 1e-2)


def _scaled(model: KAN, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    device = model.input_center.device
    return model.scale_inputs(x.to(device)), model.scale_targets(y.to(device))


@dataclass(frozen=True)
class _State:
    """Parameters and grids of a model, to come back to."""

    layers: tuple[dict[str, Tensor | None], ...]

    @staticmethod
    def of(model: KAN) -> _State:
        def saved(layer: KANLayer) -> dict[str, Tensor | None]:
            return {
                "knots": layer.knots.detach().clone(),
                "coefficients": layer.coefficients.detach().clone(),
                "constants": None if layer.symbolic is None else layer.symbolic.constants.detach().clone(),
            }

        return _State(tuple(saved(layer) for layer in model.kan_layers()))

    @torch.no_grad()
    def restore(self, model: KAN) -> None:
        for layer, kept in zip(model.kan_layers(), self.layers, strict=True):
            knots, coefficients = kept["knots"], kept["coefficients"]
            assert knots is not None and coefficients is not None
            layer.knots = knots.clone()
            if layer.coefficients.shape == coefficients.shape:
                layer.coefficients.copy_(coefficients)
            else:
                wanted = layer.coefficients.requires_grad
                layer.coefficients = torch.nn.Parameter(coefficients.clone(), requires_grad=wanted)
            if layer.symbolic is not None and kept["constants"] is not None:
                layer.symbolic.constants.copy_(kept["constants"])
